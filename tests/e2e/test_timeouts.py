"""Time-outs. No test measures how long it took. A limit is a second where nothing must be done in time, else longer, for a machine that stands still meanwhile."""

import time

from control import data_connection, read_all

BIG = 64 << 20


def test_a_data_connection_that_never_comes_gets_425(start_server):
    server = start_server(data_timeout=1)
    (server.root / "file").write_bytes(b"content")
    with server.login() as control:
        for command in ("RETR file", "STOR new", "LIST"):
            control.expect("PASV", "227")
            control.expect(command, "150")
            assert control.reply() == "425 Can't open data connection."
        assert control.retrieve("RETR file") == b"content"
    server.assert_nothing_leaked()


def test_a_client_that_says_nothing_gets_421(start_server):
    server = start_server(idle_timeout=3)
    with server.connect() as silent, server.login() as idle:
        assert silent.reply().startswith("220 ")
        for control in (silent, idle):
            assert control.reply().startswith("421 ")
            assert control.line() is None
    server.assert_nothing_leaked()


def test_a_client_that_sends_half_a_line_and_no_more_gets_421(start_server):
    server = start_server(idle_timeout=3)
    with server.login() as control:
        control.send(b"NOO")
        assert control.reply().startswith("421 ")
        assert control.line() is None
    server.assert_nothing_leaked()


def test_an_upload_that_stands_still_gets_426(start_server):
    server = start_server(stall_timeout=2)
    with server.login() as control:
        with control.data() as data:
            control.expect("STOR new", "150")
            data.sendall(b"and then nothing")
            assert control.reply() == "426 Data connection broken, transfer aborted."
        control.store("STOR new", b"whole")
    assert (server.root / "new").read_bytes() == b"whole"
    server.assert_nothing_leaked()


def test_a_download_that_nobody_reads_gets_426(start_server):
    server = start_server(stall_timeout=1)
    with open(server.root / "big", "wb") as file:
        file.truncate(BIG)
    with server.login() as control:
        with control.data(receive_buffer=4096):
            control.expect("RETR big", "150")
            assert control.reply() == "426 Data connection broken, transfer aborted."
        control.expect("NOOP", "200")
    server.assert_nothing_leaked()


def test_a_slow_transfer_is_not_a_stalled_one_and_its_session_is_not_idle(start_server):
    # Each byte comes before the limit, the last one long after it.
    server = start_server(stall_timeout=4, idle_timeout=3)
    with server.login() as control:
        with control.data() as data:
            control.expect("STOR new", "150")
            for _ in range(6):
                data.sendall(b"x")
                time.sleep(1)
        assert control.reply() == "226 Transfer complete."
    assert (server.root / "new").read_bytes() == b"x" * 6
    server.assert_nothing_leaked()


def test_a_timeout_of_0_is_none(start_server):
    server = start_server(data_timeout=0, idle_timeout=0, stall_timeout=0)
    (server.root / "file").write_bytes(b"content")
    with server.login() as control, server.login() as idle:
        port = int(control("EPSV").split("|")[3])
        control.expect("RETR file", "150")
        time.sleep(2)
        with data_connection(server.host, port) as data:
            assert read_all(data) == b"content"
        assert control.reply() == "226 Transfer complete."
        idle.expect("NOOP", "200")
    server.assert_nothing_leaked()
