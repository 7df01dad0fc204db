"""File systems that are full, change, or are written in Python, and what the program does to their files meanwhile."""

OLD, NEW = b"the old content", b"the new content, which is longer"


def store(control, command, content=b"content"):
    """Uploads; gives the reply that ends it."""
    with control.data() as data:
        reply = control(command)
        if reply.startswith("150 "):
            data.sendall(content)
            data.close()
            reply = control.reply()
    return reply


def rename(control, old, new):
    control.expect(f"RNFR {old}", "350")
    return control(f"RNTO {new}")


# -- names


def test_a_name_that_no_file_system_takes_is_refused_at_once(board):
    longest, longer = "x" * 255, "\u00fc" * 128
    with board.login() as control:
        assert store(control, "STOR " + longest, NEW) == "226 Transfer complete."
        assert control.retrieve("RETR " + longest) == NEW
        with control.data():
            for command in ("STOR", "APPE", "RETR", "MKD", "DELE", "SIZE", "LIST"):
                assert control(f"{command} {longer}") == "550 Path too long.", command
                assert control(f"{command} {longer}/file") == "550 Path too long.", command
        assert rename(control, longest, longer) == "550 Path too long."
    assert board.files.tree() == {"/" + longest: NEW}
