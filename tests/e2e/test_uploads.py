"""Uploads: the old file stays until the new one is complete, whatever happens. Also the conversion of lines."""

import hashlib

import pytest
from control import reset
from server import MAIN, wait_until

OLD = b"the old file"
NEW = hashlib.shake_128(b"new").digest(300_000)


@pytest.fixture
def server(board):
    """A server on each of the file systems, with an old file."""
    board.files.write("/file", OLD)
    return board


def names(server):
    return server.files.names()


def content(server):
    return server.files.read("/file")


def begin(control, command="STOR file", count=100_000):
    """An upload that has not come to its end."""
    data = control.data()
    control.expect(command, "150")
    data.sendall(NEW[:count])
    return data


def arrived(server, count=1):
    """Waits until something of each upload is in the server's folder."""
    wait_until(lambda: len([name for name in names(server) if name.startswith(".ftpdlite-")]) == count, server.describe)


def test_others_see_the_old_file_until_the_new_one_is_whole(server):
    with server.login() as control, server.login("guest:guest") as other:
        data = begin(control)
        arrived(server)
        assert other.retrieve("RETR file") == OLD
        for command in ("LIST", "LIST -a", "NLST", "MLSD", "NLST .*"):
            assert b"ftpdlite" not in other.retrieve(command)
        assert "ftpdlite" not in other("STAT /")
        data.sendall(NEW[100_000:])
        data.close()
        assert control.reply() == "226 Transfer complete."
        assert other.retrieve("RETR file") == NEW
        assert names(server) == ["file"]


@pytest.mark.clients
def test_a_client_that_vanishes_leaves_the_old_file(server):
    with server.login() as control:
        data = begin(control)
        arrived(server)
        control.reset()
        wait_until(lambda: names(server) == ["file"], server.describe)
        data.close()
    assert content(server) == OLD


@pytest.mark.parametrize("ending", ["ABOR", "QUIT", "break", "kick", "stop"])
def test_an_upload_that_ends_early_leaves_the_old_file(server, ending):
    with server.login() as control:
        data = begin(control)
        arrived(server)
        if ending == "ABOR":
            control.expect("ABOR", "426")
            assert control.reply().startswith("226")
        elif ending == "QUIT":
            # It waits for the transfer's end.
            control.send(b"QUIT\r\n")
            assert content(server) == OLD
            data.close()
            assert control.reply().startswith("226")
            assert control.reply().startswith("221")
            assert content(server) == NEW[:100_000]
            return
        elif ending == "break":
            reset(data)
            assert control.reply().startswith("426")
        elif ending == "kick":
            with server.login() as admin:
                admin.expect("SITE KICK 127.0.0.1", "200")
            # The end of the connection must not come before that, or it would be the end of the file.
            assert control.reply().startswith("426")
        else:
            with server.login() as admin:
                admin.expect("SITE SHUTDOWN -h", "200")
                wait_until(lambda: names(server) == ["file"], server.describe)
        data.close()
        wait_until(lambda: names(server) == ["file"], server.describe)
        assert content(server) == OLD
    if ending == "stop":
        server.wait()
        server.start()


def test_one_name_has_one_upload_at_a_time(server):
    with server.login() as one, server.login() as two:
        first = begin(one)
        arrived(server)
        for command in ("STOR file", "STOR FILE" if server.files.folds_case else "STOR ./file", "APPE file", "DELE file", "RNFR file"):
            two.data().close()
            assert two(command) == "450 File is busy."
        first.sendall(NEW[100_000:])
        first.close()
        assert one.reply().startswith("226") and content(server) == NEW
        two.store("STOR file", OLD)
    assert content(server) == OLD and names(server) == ["file"]


# What a power cut left.
LEFTOVERS = """\
import os

for folder in ("", "/deep", "/deep/deeper"):
    if folder:
        os.mkdir({root!r} + folder)
    for name in ("kept", ".ftpdlite-7", ".ftpdlite-123", "not.ftpdlite-7"):
        with open({root!r} + folder + "/" + name, "w") as file:
            file.write("content")

"""


def test_leftovers_are_swept_at_start(start_board):
    server = start_board(program=LEFTOVERS + MAIN)
    kept = {folder + name: b"content" for folder in ("/", "/deep/", "/deep/deeper/") for name in ("kept", "not.ftpdlite-7")}
    for folder in ("/deep", "/deep/deeper", "/"):
        wait_until(lambda: all(not name.startswith(".ftpdlite-") for name in server.files.names(folder)), server.describe)
    assert server.files.tree() == kept | {"/deep/": None, "/deep/deeper/": None}


# What a cut left of a replacement: the files that are there, and those that must be there afterwards. A note says that its upload is complete, and what its name will be.
REPLACEMENTS = {
    "the old file is gone": ({".ftpdlite-7": b"new", ".ftpdlite-7.to": b"file"}, b"new"),
    "the old file is there": ({"file": b"the old", ".ftpdlite-7": b"new", ".ftpdlite-7.to": b"file"}, b"the old"),
    "the old file is as long": ({"file": b"old", ".ftpdlite-7": b"new", ".ftpdlite-7.to": b"file"}, b"old"),
    "the new file has both names": ({"file": b"new", ".ftpdlite-7": b"new", ".ftpdlite-7.to": b"file"}, b"new"),
    "the copy is not whole": ({"file": b"new", ".ftpdlite-7": b"new", ".ftpdlite-7.to": b"file", ".ftpdlite-7-copy": b"n"}, b"new"),
    "the copy is whole": (
        {"file": b"new", ".ftpdlite-7": b"new", ".ftpdlite-7.to": b"file", ".ftpdlite-7-copy": b"new", ".ftpdlite-7-copy.to": b"file"},
        b"new",
    ),
    "both names are emptied": ({"file": b"", ".ftpdlite-7": b"", ".ftpdlite-7-copy": b"new", ".ftpdlite-7-copy.to": b"file"}, b"new"),
    "it is in its place": ({"file": b"new", ".ftpdlite-7.to": b"file"}, b"new"),
    "there was no room for the note": ({"file": b"old", ".ftpdlite-7": b"new", ".ftpdlite-7.to": b""}, b"old"),
    "it is not whole": ({"file": b"old", ".ftpdlite-7": b"ne"}, b"old"),
}

PLANT = """\
import os

os.mkdir({root!r} + "/deep")
for name, content in %r:
    with open({root!r} + "/deep/" + name, "wb") as file:
        file.write(content)

"""


@pytest.mark.parametrize("state", REPLACEMENTS)
def test_what_was_begun_is_finished_at_start(start_board, state):
    files, right = REPLACEMENTS[state]
    server = start_board(program=PLANT % (list(files.items()),) + MAIN)
    wait_until(lambda: server.files.names("/deep") == ["file"], server.describe)
    assert server.files.read("/deep/file") == right
    with server.login() as control:
        control.expect("DELE /deep/file", "250")
        control.expect("RMD /deep", "250")


@pytest.mark.parametrize("name", [b"\x80\x81", "\u00fc \u4e2d".encode()], ids=["no UTF-8", "UTF-8"])
def test_a_strange_name_is_replaced(board, name):
    path = "/" + name.decode(errors="surrogateescape")
    with board.login() as control:
        for content in (OLD, NEW):
            with control.data() as data:
                control.send(b"STOR " + name + b"\r\n")
                assert control.reply().startswith("150")
                data.sendall(content)
            assert control.reply() == "226 Transfer complete."
            assert board.files.read(path) == content
    assert len(names(board)) == 1


def test_the_sweep_spares_uploads_that_run(start_board):
    # It starts with the server, and an upload may begin before it comes to its folder.
    slow = MAIN.replace("s.run()", "import asyncio\nimport ftpdlite\n\nsweep = ftpdlite._sweep\n\ndef later(server):\n    yield from asyncio.sleep_ms(1500)\n    yield from sweep(server)\n\nftpdlite._sweep = later\ns.run()")
    server = start_board(program=slow)
    server.files.write("/.ftpdlite-99", b"")
    with server.login() as control:
        data = begin(control)
        wait_until(lambda: ".ftpdlite-99" not in names(server), server.describe)
        data.sendall(NEW[100_000:])
        data.close()
        assert control.reply() == "226 Transfer complete."
    assert content(server) == NEW


def test_unique_names_are_unique_at_the_same_time(board):
    with board.login() as one, board.login() as two:
        data, told = [], []
        for control in (one, two):
            connection = control.data()
            told.append(control("STOU log").removeprefix("150 FILE: "))
            connection.sendall(told[-1].encode())
            data.append(connection)
        for control, connection in zip((one, two), data):
            connection.close()
            assert control.reply().startswith("226")
    assert told[0] != told[1]
    assert board.files.tree() == {f"/{name}": name.encode() for name in told}


def test_in_place_what_came_stays_for_rest(start_board):
    server = start_board(atomic_uploads=False, transfer_buffer_size=4096)
    server.files.write("/file", OLD)
    with server.login() as control:
        for command in ("STOR file", "APPE file"):
            before = len(content(server)) if command == "APPE file" else 0
            data = begin(control, command)
            # A buffer is written when it is full.
            wait_until(lambda: moved(control) > 10_000, server.describe)
            reset(data)
            assert control.reply().startswith("426")
            assert names(server) == ["file"] and len(content(server)) > before + 5_000
        stayed = content(server)
        control.expect(f"REST {len(stayed)}", "350")
        control.store("STOR file", b"the rest")
        assert content(server) == stayed + b"the rest"
    server.assert_nothing_leaked()


def moved(control):
    """The bytes that the transfer of a session has moved so far."""
    return int(control("STAT").split(" in progress, ")[1].split(" ")[0])


# -- TYPE A


@pytest.mark.parametrize("size", [512, 513, 4096])
def test_lines_survive_any_buffer(start_board, size):
    server = start_board(transfer_buffer_size=size)
    # Every place of a CR, an LF and both, at every border of a buffer.
    file = b"".join(b"x" * (index % 7) + (b"\n", b"\r", b"\r\n", b"\n\n\r")[index % 4] for index in range(20_000))
    server.files.write("/file", file)
    with server.login() as control, server.login() as other:
        control.expect("TYPE A", "200")
        wire = control.retrieve("RETR file")
        assert wire == file.replace(b"\n", b"\r\n")
        with control.data() as data:
            control.expect("STOR again", "150")
            # In odd pieces, while another session takes the same file.
            for start in range(0, len(wire), 1777):
                data.sendall(wire[start : start + 1777])
                if start % 40_871 == 0:
                    assert other.retrieve("RETR file") == file
        assert control.reply() == "226 Transfer complete."
    assert server.files.read("/again") == file
    server.assert_nothing_leaked()


def test_the_longest_path_in_a_deep_folder(board):
    folder = ("/" + "d" * 49) * 5
    name = "n" * 36
    path = f"{folder}/{name}"
    assert len(path) == 287
    board.files.make_folders(folder)
    with board.login() as control:
        for content in (b"first", b"second"):
            control.store(f"STOR {path}", content)
            assert control.retrieve(f"RETR {path}") == content
        control.store(f"APPE {path}", b" and more")
        control.expect(f"CWD {folder}", "250")
        control.expect(f"RNFR {name}", "350")
        control.expect("RNTO elif", "250")
        control.store("STOU x", b"unique")
        assert sorted(control.retrieve("NLST").split()) == [b"elif", b"x.1"]
    assert board.files.read(f"{folder}/elif") == b"second and more"
