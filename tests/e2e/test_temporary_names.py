"""Names of unfinished uploads: two servers never use the same one, none stays for ever, and those of others are left alone."""

import os
import signal
import time

import pytest
from server import MAIN, wait_until

OLD = b"the old file"
NEW = b"0123456789abcdef" * 10_000
HALF = 80_000


def own(names):
    return sorted(name for name in names if name.startswith(".ftpdlite-"))


def begin(server, control, name="file"):
    """An upload that has not come to its end, when what was sent has arrived."""
    data = control.data()
    control.expect(f"STOR {name}", "150")
    data.sendall(NEW[:HALF])
    wait_until(lambda: f" in progress, {HALF} " in control("STAT"), server.describe)
    return data


def swept(server, folder="/", others=()):
    """Waits until a folder has no names of unfinished uploads but those."""
    wait_until(lambda: own(server.files.names(folder)) == sorted(others), lambda: f"{server.files.names(folder)}\n{server.describe()}")


# -- two servers on one root


def test_two_servers_on_one_folder(start_server, tmp_path):
    one = start_server()
    with one.login() as control:
        data = begin(one, control)
        [temporary] = own(os.listdir(one.root))
        # A server looks for leftovers when it starts.
        (one.root / ".ftpdlite-7").write_bytes(b"left")
        two = start_server(root=one.root)
        swept(one, others=[temporary])
        with two.login() as other:
            more = begin(two, other)
            assert len(own(os.listdir(one.root))) == 2
            # The folder is not empty, and the second server must not empty it.
            os.mkdir(one.root / "sub")
            third = one.login()
            inner = begin(one, third, "sub/file")
            with two.login() as fourth:
                assert fourth("RMD sub").startswith("550 ")
            assert len(own(os.listdir(one.root / "sub"))) == 1
            inner.close()
            assert third.reply().startswith("226")
            third.close()
            data.sendall(NEW[HALF:])
            data.close()
            assert control.reply().startswith("226") and (one.root / "file").read_bytes() == NEW
            more.close()
            assert other.reply().startswith("226") and (one.root / "file").read_bytes() == NEW[:HALF]
    wait_until(lambda: not own(os.listdir(one.root)) and not own(os.listdir(one.root / "sub")))
    one.assert_nothing_leaked()
    two.assert_nothing_leaked()


def test_two_servers_in_one_program(start_server):
    # The second one of the program starts while the first has an upload.
    program = MAIN.replace(
        "s.run()",
        """\
import os
from asyncio import core

t = FTPdLite(host={host!r}, port={last}, root={root!r}, pasv_port_range=range({last} - 9, {last}){settings})

async def later():
    while "start" not in os.listdir({root!r}):
        await core.sleep_ms(20)
    await t.start()

core.create_task(later())
s.run()""",
    ).replace("{last} + 1", "{last} - 9")
    server = start_server(program=program)
    with server.login() as control:
        data = begin(server, control)
        [temporary] = own(os.listdir(server.root))
        (server.root / ".ftpdlite-7").write_bytes(b"left")
        (server.root / "start").write_bytes(b"")
        swept(server, others=[temporary])
        data.sendall(NEW[HALF:])
        data.close()
        assert control.reply().startswith("226")
    assert (server.root / "file").read_bytes() == NEW


def test_names_differ_from_start_to_start(start_server):
    server = start_server()
    seen = set()
    for _ in range(8):
        with server.login() as control:
            data = begin(server, control)
            [temporary] = own(os.listdir(server.root))
            assert temporary not in seen
            seen.add(temporary)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            data.close()
        server.process = None
        server.start()
        swept(server)
    assert len(seen) == 8
    assert os.listdir(server.root) == []


# -- a process that dies


@pytest.mark.parametrize("old", [False, True], ids=["new", "over"])
def test_a_server_that_is_killed_leaves_nothing(start_server, old):
    server = start_server()
    if old:
        (server.root / "file").write_bytes(OLD)
    controls = [server.login() for _ in range(4)]
    data = [begin(server, control, name) for control, name in zip(controls, ("file", "two", "three", "four"))]
    left = own(os.listdir(server.root))
    assert len(left) == 4
    server.process.kill()
    server.process.wait()
    for connection in (*data, *(control.socket for control in controls)):
        connection.close()
    assert own(os.listdir(server.root)) == left
    server.process = None
    server.start()
    swept(server)
    assert server.files.tree() == ({"/file": OLD} if old else {})
    with server.login() as control:
        control.store("STOR file", NEW)
    assert server.files.read("/file") == NEW
    server.assert_nothing_leaked()


def test_what_a_process_owned_that_runs_no_more_is_swept(start_server):
    server = start_server()
    server.stop()
    (server.root / f".ftpdlite-{os.getpid()}-17").write_bytes(b"of a process that runs")
    (server.root / ".ftpdlite-4194305-17").write_bytes(b"of none: Linux has no such number")
    (server.root / ".ftpdlite-17").write_bytes(b"of a board")
    server.start()
    swept(server, others=[f".ftpdlite-{os.getpid()}-17"])
    time.sleep(0.5)
    assert own(os.listdir(server.root)) == [f".ftpdlite-{os.getpid()}-17"]


# -- many folders

WIDE = 500
DEEP = 20


@pytest.mark.clients
def test_all_leftovers_are_found_in_many_folders(start_server, tmp_path):
    root = tmp_path / "many"
    leftovers = []
    for number in range(WIDE):
        folder = root / "wide" / f"folder {number}" / "sub"
        folder.mkdir(parents=True)
        leftovers += [folder / f".ftpdlite-{number}", folder.parent / f".ftpdlite-{number}"]
    deep = root
    for number in range(DEEP):
        deep = deep / f"deep{number}"
        deep.mkdir()
        leftovers.append(deep / ".ftpdlite-1")
        for other in range(8):
            (deep / f"side{other}").mkdir()
            leftovers.append(deep / f"side{other}" / ".ftpdlite-2")
    for number in range(120):
        leftovers.append(root / f".ftpdlite-{number + 1000}")
    for path in leftovers:
        path.write_bytes(b"left")
    (deep / "kept").write_bytes(b"kept")
    server = start_server(root=root, heap="128k")
    with server.login() as control:
        slowest = 0
        # It answers meanwhile.
        while any(path.exists() for path in leftovers):
            start = server.computed()
            control.expect("NOOP", "200")
            slowest = max(slowest, server.computed() - start)
            assert time.monotonic() < server_deadline(server), [str(path) for path in leftovers if path.exists()][:10]
        # Of the server's own computing: on a busy machine a NOOP alone may take long.
        assert slowest < 1
    assert (deep / "kept").read_bytes() == b"kept"
    server.assert_nothing_leaked()


def server_deadline(server, seconds=120):
    """When that many seconds are over since this was first asked."""
    if not hasattr(server, "deadline"):
        server.deadline = time.monotonic() + seconds
    return server.deadline


@pytest.mark.parametrize("count", [99, 100, 101, 102, 250])
def test_folders_that_do_not_fit_the_list_are_found_too(start_board, count):
    # What was there when the server started.
    make = f"""\
import os

for number in range({count}):
    os.mkdir({{root!r}} + "/%d" % number)
    for sub in ("", "/x", "/y"):
        if sub:
            os.mkdir({{root!r}} + "/%d%s" % (number, sub))
        with open({{root!r}} + "/%d%s/.ftpdlite-5" % (number, sub), "w") as file:
            file.write("left")

"""
    server = start_board(program=make + MAIN, **({"disc_size": 8 << 20, "heap": "16m"}))
    folders = [f"/{number}{sub}" for number in range(count) for sub in ("", "/x", "/y")]
    for folder in folders:
        swept(server, folder)
    assert len(server.files.names()) == count
    server.assert_nothing_leaked()


# -- folders with nothing but leftovers


@pytest.mark.parametrize("names", [[".ftpdlite-7"], [".ftpdlite-7", ".ftpdlite-8", ".ftpdlite-123456789"], [f".ftpdlite-{number}" for number in range(120)]], ids=len)
def test_a_folder_with_only_leftovers_can_be_removed(board, names):
    files = board.files
    with board.login() as control:
        files.fill({"/folder/" + name: b"left" for name in names} | {"/other/" + names[0]: b"left", "/other/kept": b"kept"})
        control.expect("RMD folder", "250")
        reply = control("RMD other")
        assert reply.startswith("550 "), reply
        assert "kept" in files.names("/other")
        control.expect("DELE other/kept", "250")
        control.expect("RMD other", "250")
    assert files.names() == []


def test_a_large_folder_is_not_removed_in_a_small_heap(start_server):
    server = start_server(heap="96k")
    for folder, name in (("full", "a file with a name of some length %d"), ("left", ".ftpdlite-%d")):
        (server.root / folder).mkdir()
        for number in range(2000 if folder == "full" else 300):
            (server.root / folder / (name % number)).touch()
    with server.login() as control:
        assert control("RMD full") == "550 Directory not empty."
        assert len(os.listdir(server.root / "full")) == 2000
        control.expect("RMD left", "250")
    server.assert_nothing_leaked()


def test_a_folder_in_which_somebody_uploads_is_not_removed(board):
    board.files.make_folders("/folder")
    with board.login() as control, board.login() as other:
        data = begin(board, control, "folder/file")
        board.files.write("/folder/.ftpdlite-7", b"left")
        for command in ("RMD folder", "RNFR folder"):
            assert other(command) == "450 File is busy.", command
        data.sendall(NEW[HALF:])
        data.close()
        assert control.reply().startswith("226")
        assert board.files.read("/folder/file") == NEW
        other.expect("DELE folder/file", "250")
        other.expect("RMD folder", "250")
    assert board.files.names() == []


def test_a_folder_whose_whole_upload_has_no_name_yet(start_server):
    # On FAT, a cut after the removal of the old file and before the renaming of the upload leaves this. It is not a leftover: it is the file.
    server = start_server(file_system="VfsFat")
    server.files.fill({"/folder/.ftpdlite-9": NEW, "/folder/.ftpdlite-9.to": b"file", "/other/.ftpdlite-9.to": b"file"})
    with server.login() as control:
        reply = control("RMD folder")
        assert reply.startswith("550 "), reply
        assert control.retrieve("RETR folder/file") == NEW
        control.expect("RMD other", "250")
    assert server.files.tree() == {"/folder/": None, "/folder/file": NEW}


# -- atomic_uploads=False, where there is little room


@pytest.mark.parametrize("file_system", ["VfsLfs2", "VfsFat"], indirect=True)
@pytest.mark.parametrize("size", [300_000, 350_000, 380_000])
def test_a_tight_overwrite_in_place(start_board, file_system, size):
    # The disc has 512 KiB: the old and the new file do not fit together.
    server = start_board(disc_size=512 << 10, atomic_uploads=False)
    old, new = (b"old " * size)[:size], (b"new " * size)[:size]
    with server.login() as control:
        control.store("STOR file", old)
        with control.data() as data:
            reply = control("STOR file")
            if reply.startswith("150"):
                data.sendall(new)
                data.close()
                reply = control.reply()
        assert reply.startswith(("226 ", "452 ")), reply
        content = control.retrieve("RETR file")
        # If there is no room, the reply comes before anything is lost.
        assert content == (new if reply.startswith("226") else old)
        assert reply.startswith("226 ")
        control.store("STOR file", old[:1000])
        assert control.retrieve("RETR file") == old[:1000]
    assert server.files.names() == ["file"]
    server.assert_nothing_leaked()


@pytest.mark.parametrize("file_system", ["VfsLfs2", "VfsFat"], indirect=True)
def test_an_overwrite_beside_the_old_file_without_room_keeps_it(start_board, file_system):
    server = start_board(disc_size=512 << 10)
    old, new = b"old " * 75_000, b"new " * 75_000
    with server.login() as control:
        control.store("STOR file", old)
        with control.data() as data:
            control.expect("STOR file", "150")
            try:
                data.sendall(new)
            except OSError:
                pass
        assert control.reply().startswith("452 ")
        assert control.retrieve("RETR file") == old
    assert server.files.names() == ["file"]
    server.assert_nothing_leaked()


@pytest.mark.parametrize("spare", [0, 1, 2, 3])
def test_no_room_for_the_note_loses_nothing(start_server, spare):
    # On FAT a note is written before the old file is removed: it takes a cluster.
    server = start_server(file_system="VfsFat", disc_size=128 << 10)
    new = b"new " * 1280
    server.files.write("/file", OLD)
    server.files.write("/fill", bytes(server.files.free() - len(new) - spare * 512))
    with server.login() as control:
        with control.data() as data:
            control.expect("STOR file", "150")
            data.sendall(new)
        reply = control.reply()
        assert reply.startswith("226 " if spare else "452 "), reply
        assert control.retrieve("RETR file") == (new if spare else OLD)
        # There is room for a new file, which needs no note.
        control.expect("DELE file", "250")
        control.store("STOR other", new)
    assert sorted(server.files.names()) == ["fill", "other"]
    server.assert_nothing_leaked()
