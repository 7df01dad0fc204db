"""Uploads: the old file stays until the new one is whole, whatever happens; and lines that are converted."""

import hashlib
import os

import pytest
from control import reset
from server import MAIN, wait_until

OLD = b"the old file"
NEW = hashlib.shake_128(b"new").digest(300_000)


@pytest.fixture
def old(server):
    path = server.root / "file"
    path.write_bytes(OLD)
    return path


def names(server):
    return sorted(os.listdir(server.root))


def begin(control, command="STOR file", count=100_000):
    """An upload that has not come to its end."""
    data = control.data()
    control.expect(command, "150")
    data.sendall(NEW[:count])
    return data


def arrived(server, count=1):
    """Waits until something of each upload is in the server's folder."""
    wait_until(lambda: len([name for name in names(server) if name.startswith(".ftpdlite-")]) == count, server.describe)


def test_others_see_the_old_file_until_the_new_one_is_whole(server, old):
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


def test_a_client_that_vanishes_leaves_the_old_file(server, old):
    with server.login() as control:
        data = begin(control)
        arrived(server)
        control.reset()
        wait_until(lambda: names(server) == ["file"], server.describe)
        data.close()
    assert old.read_bytes() == OLD


@pytest.mark.parametrize("ending", ["ABOR", "QUIT", "break", "kick", "stop"])
def test_an_upload_that_ends_early_leaves_the_old_file(server, old, ending):
    with server.login() as control:
        data = begin(control)
        arrived(server)
        if ending == "ABOR":
            control.expect("ABOR", "426")
            assert control.reply().startswith("226")
        elif ending == "QUIT":
            # It waits for the transfer's end.
            control.send(b"QUIT\r\n")
            assert old.read_bytes() == OLD
            data.close()
            assert control.reply().startswith("226")
            assert control.reply().startswith("221")
            assert old.read_bytes() == NEW[:100_000]
            return
        elif ending == "break":
            reset(data)
            assert control.reply().startswith("426")
        elif ending == "kick":
            with server.login() as admin:
                admin.expect("SITE KICK 127.0.0.1", "200")
        else:
            with server.login() as admin:
                admin.expect("SITE SHUTDOWN -h", "200")
                wait_until(lambda: names(server) == ["file"], server.describe)
        data.close()
        wait_until(lambda: names(server) == ["file"], server.describe)
        assert old.read_bytes() == OLD
    if ending == "stop":
        server.process.wait(20)
        server.start()


def test_two_uploads_of_one_name_are_each_whole(server, old):
    with server.login() as one, server.login() as two:
        first, second = begin(one), begin(two)
        arrived(server, 2)
        second.close()
        assert two.reply().startswith("226") and old.read_bytes() == NEW[:100_000]
        first.sendall(NEW[100_000:])
        first.close()
        assert one.reply().startswith("226") and old.read_bytes() == NEW
    assert names(server) == ["file"]


def test_leftovers_are_swept_at_start(start_server):
    server = start_server()
    server.stop()
    folder = server.root / "deep" / "deeper"
    folder.mkdir(parents=True)
    for path in (server.root, folder):
        (path / ".ftpdlite-7").write_bytes(b"left when the power was cut")
        (path / "kept").touch()
    server.start()
    wait_until(lambda: os.listdir(folder) == ["kept"] and names(server) == ["deep", "kept"], server.describe)


def test_the_sweep_spares_uploads_that_run(start_server):
    # It starts with the server, and an upload may begin before it comes to its folder.
    slow = MAIN.replace("s.run()", "import asyncio\nsweep = s._sweep\n\ndef later():\n    yield from asyncio.sleep_ms(1500)\n    yield from sweep()\n\ns._sweep = later\ns.run()")
    server = start_server(program=slow)
    (server.root / ".ftpdlite-99").touch()
    with server.login() as control:
        data = begin(control)
        wait_until(lambda: ".ftpdlite-99" not in names(server), server.describe)
        data.sendall(NEW[100_000:])
        data.close()
        assert control.reply() == "226 Transfer complete."
    assert (server.root / "file").read_bytes() == NEW


def test_unique_names_are_unique_at_the_same_time(server):
    with server.login() as one, server.login() as two:
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
    assert {name: (server.root / name).read_text() for name in names(server)} == {name: name for name in told}


def test_in_place_what_came_stays_for_rest(start_server):
    server = start_server(atomic_uploads=False)
    path = server.root / "file"
    path.write_bytes(OLD)
    with server.login() as control:
        for command in ("STOR file", "APPE file"):
            before = path.stat().st_size if command == "APPE file" else 0
            data = begin(control, command)
            # A buffer is written when it is full.
            wait_until(lambda: path.stat().st_size > before + 10_000, server.describe)
            reset(data)
            assert control.reply().startswith("426")
            assert names(server) == ["file"]
        size = path.stat().st_size
        content = path.read_bytes()
        control.expect(f"REST {size}", "350")
        control.store("STOR file", b"the rest")
        assert path.read_bytes() == content + b"the rest"
    server.assert_nothing_leaked()


# -- TYPE A


@pytest.mark.parametrize("size", [512, 513, 4096])
def test_lines_survive_any_buffer(start_server, size):
    server = start_server(transfer_buffer_size=size)
    # Every place of a CR, an LF and both, at every border of a buffer.
    file = b"".join(b"x" * (index % 7) + (b"\n", b"\r", b"\r\n", b"\n\n\r")[index % 4] for index in range(20_000))
    (server.root / "file").write_bytes(file)
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
                    assert other.retrieve("RETR file") == (server.root / "file").read_bytes()
        assert control.reply() == "226 Transfer complete."
    assert (server.root / "again").read_bytes() == file
    server.assert_nothing_leaked()
