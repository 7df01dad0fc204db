"""A file that is open has an owner. Nobody else can change or remove it, by any name."""

import hashlib
import select
import string
import time

import pytest
from control import Control, data_connection, read_all, reset
from server import MAIN, wait_until

# Two servers of one program, and an account whose home is below the root.
TWO_SERVERS = MAIN.replace(
    "s.run()",
    """\
import os
from asyncio import core

os.mkdir({root!r} + "/sub")
os.mkdir({root!r} + "/sub/deep")
s.add_account("inner:inner", "rw", home={root!r} + "/sub")
t = FTPdLite(host={host!r}, port={last}, root={root!r}, pasv_port_range=range({last} - 9, {last}){settings})
t.add_account("tester:secret")
core.create_task(t.start())
s.run()""",
).replace("{last} + 1", "{last} - 9")

# On FAT all of them are one file: its short name, and a letter that is the same byte in capitals in code page 437.
NAME = "Läng ste.txt"
SPELLINGS = {
    "same": NAME,
    "case": "läNG STE.TXT",
    "dots": "Läng ste.txt. .",
    "short": "LåNGS~1.TXT",
    "short, small": "längs~1.txt",
    "letter": "Lång ste.txt",
}
# The letters of ASCII only: other letters have other capitals on FAT.
SWAPPED = {ord(letter): letter.swapcase() for letter in string.ascii_letters}
OLD = b"what was there before " * 200
NEW = b"what is new " * 3000


class Other:
    """A session that does not hold the file. `folder` is its name for the folder of the file, `above` for the folder above that."""

    def __init__(self, server, port, account, above):
        self.control = Control(server.host, port).login(*account.split(":"))
        self.above = above
        self.folder = above + "/deep"

    def transfer(self, command):
        """The first reply to a command of a transfer that must be refused."""
        data = self.control.data()
        reply = self.control(command)
        if reply[0] == "1":
            reset(data)
            self.control.reply()
        data.close()
        return reply


def others(server):
    """A session of the same account, one of an account whose home is below, one of another server in the program."""
    return [
        Other(server, server.port, "tester:secret", "/sub"),
        Other(server, server.port, "inner:inner", ""),
        Other(server, second_port(server), "tester:secret", "/sub"),
    ]


def second_port(server):
    return server.port + 40


def hold(server, holder, path):
    """Begins an operation that holds the file; gives a function that ends it."""
    control = server.login()
    if holder == "RETR":
        # The file is open, and nobody takes its bytes yet.
        port = int(control.expect("EPSV", "229").split("|")[3])
        control.expect(f"RETR {path}", "150")

        def end():
            with data_connection(server.host, port) as data:
                assert read_all(data) == OLD
            assert control.reply().startswith("226")
            control.close()

        return end
    command = {"APPE": "APPE", "STOU": "STOU"}.get(holder, "STOR")
    if holder == "REST":
        control.expect("REST 10", "350")
    data = control.data()
    reply = control.expect(f"{command} {path}", "150")
    data.sendall(NEW)

    def end():
        data.close()
        assert control.reply() == "226 Transfer complete."
        control.close()

    end.name = reply.rpartition("/")[2].partition(": ")[2] if holder == "STOU" else None
    return end


def attempts(other, name):
    """What might change the file of a name: the command, what sends it, and when it is 450: "always", if a file is "found" by that name,
    or, of MKD, if none is, for then it is 550 as well.
    """
    control, path = other.control, f"{other.folder}/{name}"
    yield f"DELE {path}", lambda: control(f"DELE {path}"), "found"
    yield f"RNFR {path}", lambda: control(f"RNFR {path}"), "found"

    def rename():
        control.expect(f"RNFR {other.above}/source", "350")
        return control(f"RNTO {path}")

    yield f"RNTO {path}", rename, "always"
    yield f"STOR {path}", lambda: other.transfer(f"STOR {path}"), "always"
    yield f"APPE {path}", lambda: other.transfer(f"APPE {path}"), "always"
    yield f"REST, STOR {path}", lambda: control("REST 0") and other.transfer(f"STOR {path}"), "always"
    yield f"MKD {path}", lambda: control(f"MKD {path}"), "not found"


@pytest.mark.parametrize("holder", ["STOR new", "STOR over", "STOR in place", "APPE", "REST", "STOU", "RETR"])
def test_what_is_open_is_changed_by_nobody_else(start_board, holder):
    server = start_board(program=TWO_SERVERS, data_timeout=60, atomic_uploads=holder != "STOR in place")
    files = server.files
    files.write("/sub/source", b"source")
    exists = holder not in ("STOR new", "STOU")
    name, spellings = NAME, SPELLINGS
    if exists:
        files.write(f"/sub/deep/{NAME}", OLD)
    rivals = others(server)
    moving = []
    for port in (server.port, second_port(server)):
        for folder in ("/sub", "/sub/deep", "/SUB", "/sub./DEEP") if files.folds_case else ("/sub", "/sub/deep"):
            control = Control(server.host, port).login()
            control.expect(f"RNFR {folder}", "350")
            moving.append((folder, control))
    end = hold(server, holder, f"/sub/deep/{NAME}")
    if holder == "STOU":
        name = end.name
        spellings = {"same": name, "case": name.translate(SWAPPED), "dots": name + ". ."}
    points = 0
    for spelling, spelled in spellings.items():
        for other in rivals:
            there = holder not in ("STOR new",) and (spelling == "same" or files.folds_case)
            for command, attempt, when in attempts(other, spelled):
                reply = attempt()
                code = reply[:3]
                if when == "always":
                    right = ("450",)
                elif when == "found":
                    # There is no file of this name to remove.
                    right = ("450",) if exists and there else ("450", "550")
                else:
                    right = ("450", "550") if there else ("450",)
                assert code in right, f"{holder}, {spelling}: {command}: {reply}"
                points += 1
    for other in rivals:
        for folder in [other.folder, other.above] if other.above else [other.folder]:
            spelled = [folder] + ([folder.upper(), folder + ". "] if files.folds_case else [])
            for path in spelled:
                for command in ("RMD", "RNFR"):
                    reply = other.control(f"{command} {path}")
                    assert reply.startswith("450 "), f"{holder}: {command} {path}: {reply}"
                    points += 1
    for folder, control in moving:
        # The folder was free when it was chosen.
        reply = control("RNTO /elsewhere")
        assert reply.startswith("450 "), f"{holder}: {folder}: {reply}"
        control.close()
        points += 1
    print(points, "points")
    end()
    # Now it is free.
    content = {"RETR": OLD, "APPE": OLD + NEW, "REST": OLD[:10] + NEW}.get(holder, NEW)
    assert files.read(f"/sub/deep/{name}") == content
    assert files.tree().keys() == {"/sub/", "/sub/source", "/sub/deep/", f"/sub/deep/{name}"}
    for other in rivals:
        control = other.control
        assert control.retrieve(f"RETR {other.folder}/{name}") == content
        control.store(f"APPE {other.folder}/{name}", b"more")
        control.store(f"STOR {other.folder}/{name}", b"again")
        control.expect(f"RNFR {other.folder}/{name}", "350")
        control.expect(f"RNTO {other.folder}/moved", "250")
        control.expect(f"DELE {other.folder}/moved", "250")
        control.expect(f"RMD {other.folder}", "250")
        control.expect(f"MKD {other.folder}", "257")
        control.store(f"STOR {other.folder}/{name}", b"last")
        content = b"last"
    for other in rivals:
        other.control.close()
    server.files.remount()
    assert files.tree() == {"/sub/": None, "/sub/source": b"source", "/sub/deep/": None, f"/sub/deep/{name}": b"last"}
    server.assert_nothing_leaked()


# The file that is read for HASH does not end before the test says so, however fast the machine is. Each read takes longer than a share of the time.
HELD = MAIN.replace(
    "s.run()",
    """\
import builtins
import os
import time

class Held:
    def __init__(self, file):
        self.file = file

    def readinto(self, piece):
        try:
            os.stat({root!r} + "/go on")
        except OSError:
            self.file.seek(0)
            time.sleep_ms(3)
        return self.file.readinto(piece)

    def close(self):
        self.file.close()

usual = open
builtins.open = lambda path, mode="r": Held(usual(path, mode)) if mode == "rb" and path.endswith("large") else usual(path, mode)
s.run()""",
)


@pytest.mark.clients
@pytest.mark.parametrize("command", ["HASH", "XCRC"])
def test_a_file_whose_hash_is_made_is_busy(start_board, command):
    server = start_board(program=HELD)
    server.files.write("/large", OLD)
    with server.login() as control, server.login() as other:
        control.send(f"{command} large\r\n".encode())
        # It has begun when the file is busy.
        wait_until(lambda: other("RNFR large").startswith("450 "), server.describe)
        with other.data():
            for attempt in ("DELE large", "STOR large", "APPE large", "RNFR LARGE" if server.files.folds_case else "RNFR large"):
                assert other(attempt) == "450 File is busy.", attempt
        assert not select.select([control.socket], [], [], 0)[0], "it was over before"
        server.files.write("/go on", b"")
        assert control.reply()[:4] == ("213 " if command == "HASH" else "250 ")
        other.expect("DELE large", "250")
    server.assert_nothing_leaked()


def test_a_folder_that_is_listed(start_board):
    server = start_board(program=TWO_SERVERS, data_timeout=60)
    server.files.fill({f"/sub/deep/{number}": b"" for number in range(20)})
    for command in ("LIST", "NLST", "MLSD"):
        with server.login() as control, server.login() as other:
            # The folder is open, and nobody takes its list yet.
            port = int(control.expect("EPSV", "229").split("|")[3])
            control.expect(f"{command} /sub/deep", "150")
            other.expect("DELE /sub/deep/3", "250")
            other.store("STOR /sub/deep/3", b"again")
            other.expect("RNFR /sub/deep/4", "350")
            other.expect("RNTO /sub/deep/44", "250")
            other.expect("RNFR /sub/deep/44", "350")
            other.expect("RNTO /sub/deep/4", "250")
            for command_of_other in ("RMD /sub/deep", "RNFR /sub/deep", "RNFR /sub"):
                assert other(command_of_other) == "450 File is busy.", command_of_other
            with data_connection(server.host, port) as data:
                lines = read_all(data).split(b"\r\n")
            assert control.reply().startswith("226")
            other.expect("RNFR /sub/deep", "350")
            assert len(server.files.names("/sub/deep")) == 20
            # What was there all the time is listed.
            names = {line.split(b" ")[-1] for line in lines}
            assert {b"%d" % number for number in range(10, 20)} <= names
    server.assert_nothing_leaked()


@pytest.mark.parametrize(
    "one, two",
    [("ä.txt", "ö.txt"), ("a~", "main.py"), ("backup~1", "other.txt"), ("file", "file.txt"), ("x~1.txt", "y~1.txt"), ("日本", "ファイル"), ("new", "newer"), ("a.b", "ab")],
)
def test_other_names_are_free(board, one, two):
    with board.login() as first, board.login() as second:
        data = first.data()
        first.expect(f"STOR {one}", "150")
        data.sendall(b"one")
        other = second.data()
        second.expect(f"STOR {two}", "150")
        other.sendall(b"two")
        data.close()
        other.close()
        assert first.reply().startswith("226") and second.reply().startswith("226")
        data = first.data()
        first.expect(f"APPE {one}", "150")
        data.sendall(b", one")
        second.store(f"APPE {two}", b", two")
        second.expect(f"RNFR {two}", "350")
        second.expect("RNTO third", "250")
        second.expect("DELE third", "250")
        data.close()
        assert first.reply().startswith("226")
    assert board.files.tree() == {f"/{one}": b"one, one"}


# -- what went wrong on FAT


def test_a_log_that_is_written_is_not_removed(board):
    free = board.files.free()
    with board.login() as writer, board.login() as other:
        data = writer.data()
        writer.expect("APPE log", "150")
        data.sendall(b"A" * 5000)
        wait_until(lambda: board.files.exists("/log"), board.describe)
        reply = other("DELE log")
        assert reply.startswith("450 "), reply
        other.store("STOR other", b"B" * 20_000)
        data.sendall(b"A" * 30_000)
        data.close()
        assert writer.reply().startswith("226")
        assert other.retrieve("RETR other") == b"B" * 20_000
        assert other.retrieve("RETR log") == b"A" * 35_000
        board.files.remount()
        assert board.files.tree() == {"/log": b"A" * 35_000, "/other": b"B" * 20_000}
        other.expect("DELE log", "250")
        other.expect("DELE other", "250")
    if board.files.folds_case:
        assert board.files.free() == free


def test_two_appends_do_not_lose_one(board):
    board.files.write("/log", b"first\n")
    with board.login() as one, board.login() as two:
        data = one.data()
        one.expect("APPE log", "150")
        data.sendall(b"one\n" * 3000)
        with two.data():
            reply = two("APPE log")
            assert reply.startswith("450 "), reply
        data.close()
        assert one.reply().startswith("226")
        two.store("APPE log", b"two\n" * 3000)
    board.files.remount()
    assert board.files.read("/log") == b"first\n" + b"one\n" * 3000 + b"two\n" * 3000


# -- replacing what is read


def begin_to_replace(server, control):
    """An upload over `/file` whose bytes have all come, but not its end."""
    data = control.data()
    control.expect("STOR file", "150")
    data.sendall(NEW)
    return data


def begin_to_read(control):
    """A download of `/file` that waits for its data connection; gives the port."""
    port = int(control.expect("EPSV", "229").split("|")[3])
    control.expect("RETR file", "150")
    return port


def test_who_reads_gets_the_old_file_to_its_end(start_board):
    server = start_board(data_timeout=60)
    server.files.write("/file", OLD)
    with server.login() as writer, server.login() as reader, server.login() as late:
        data = begin_to_replace(server, writer)
        port = begin_to_read(reader)
        data.close()
        writer.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            writer.socket.recv(1)
        writer.socket.settimeout(20)
        # Nobody may begin to read the old file now, or the upload might never end.
        with late.data():
            reply = late("RETR file")
            assert reply.startswith("450 "), reply
        assert server.files.read("/file") == OLD
        with data_connection(server.host, port) as connection:
            assert read_all(connection) == OLD
        assert reader.reply().startswith("226")
        assert writer.reply() == "226 Transfer complete."
        assert late.retrieve("RETR file") == NEW
    assert server.files.names() == ["file"]
    server.assert_nothing_leaked()


def test_who_reads_slowly_gets_the_old_file_to_its_end(start_server):
    server = start_server()
    old = hashlib.shake_128(b"old").digest(16 << 20)
    (server.root / "file").write_bytes(old)
    with server.login() as writer, server.login() as reader:
        data = begin_to_replace(server, writer)
        with reader.data(receive_buffer=65536) as connection:
            reader.expect("RETR file", "150")
            content = connection.recv(1000)
            data.close()
            for _ in range(10):
                time.sleep(0.05)
                content += connection.recv(100_000)
                assert (server.root / "file").read_bytes() == old
            assert not select.select([writer.socket], [], [], 0)[0]
            content += read_all(connection)
        assert content == old
        assert reader.reply().startswith("226")
        assert writer.reply() == "226 Transfer complete."
    assert (server.root / "file").read_bytes() == NEW
    server.assert_nothing_leaked()


@pytest.mark.parametrize("command", ["APPE", "STOR"])
def test_who_reads_what_is_written_in_place_is_waited_for(start_board, command):
    server = start_board(data_timeout=60)
    server.files.write("/file", OLD)
    with server.login() as writer, server.login() as reader:
        data = writer.data()
        if command == "STOR":
            writer.expect(f"REST {len(OLD)}", "350")
        writer.expect(f"{command} file", "150")
        data.sendall(NEW)
        port = begin_to_read(reader)
        data.close()
        assert not select.select([writer.socket], [], [], 1)[0]
        with data_connection(server.host, port) as connection:
            assert read_all(connection).startswith(OLD)
        assert reader.reply().startswith("226")
        assert writer.reply() == "226 Transfer complete."
        assert reader.retrieve("RETR file") == OLD + NEW
    server.assert_nothing_leaked()


def test_who_never_reads_does_not_hold_up_what_is_written_in_place(start_board):
    server = start_board(data_timeout=60, stall_timeout=2)
    server.files.write("/file", OLD)
    with server.login() as writer, server.login() as reader:
        data = writer.data()
        writer.expect("APPE file", "150")
        data.sendall(NEW)
        begin_to_read(reader)
        data.close()
        assert writer.reply() == "226 Transfer complete."
        assert server.files.read("/file") == OLD + NEW


def test_who_never_reads_keeps_the_old_file(start_board):
    server = start_board(data_timeout=60, stall_timeout=2)
    server.files.write("/file", OLD)
    with server.login() as writer, server.login() as reader:
        data = begin_to_replace(server, writer)
        port = begin_to_read(reader)
        data.close()
        assert writer.reply() == "450 File is busy, it was not replaced."
        assert server.files.names() == ["file"]
        with data_connection(server.host, port) as connection:
            assert read_all(connection) == OLD
        assert reader.reply().startswith("226")
        writer.store("STOR file", NEW)
    assert server.files.read("/file") == NEW
    server.assert_nothing_leaked()


@pytest.mark.parametrize("ending", ["ABOR", "kick", "reset"])
def test_an_upload_that_waits_for_a_reader_can_be_ended(start_board, ending):
    server = start_board(data_timeout=60)
    server.files.write("/file", OLD)
    with server.login() as writer, server.login() as reader:
        data = begin_to_replace(server, writer)
        port = begin_to_read(reader)
        data.close()
        time.sleep(0.2)
        if ending == "ABOR":
            assert writer("ABOR").startswith(("426", "450"))
            assert writer.reply().startswith("226")
        elif ending == "kick":
            with server.login() as admin:
                admin.expect("SITE KICK tester", "200")
        else:
            writer.reset()
        if ending == "reset":
            # All of it has come. It gets its name when the reader is done, or is given up.
            with data_connection(server.host, port) as connection:
                assert read_all(connection) == OLD
            wait_until(lambda: server.files.names() == ["file"], server.describe)
            assert server.files.read("/file") in (OLD, NEW)
        else:
            wait_until(lambda: server.files.names() == ["file"], server.describe)
            assert server.files.read("/file") == OLD
    server.assert_nothing_leaked()


def test_a_rename_over_what_is_read_is_refused(board):
    board.files.fill({"/file": OLD, "/other": b"other"})
    with board.login() as reader, board.login() as other:
        port = begin_to_read(reader)
        other.expect("RNFR other", "350")
        reply = other("RNTO file")
        assert reply.startswith("450 "), reply
        with data_connection(board.host, port) as connection:
            assert read_all(connection) == OLD
        assert reader.reply().startswith("226")
    assert board.files.tree() == {"/file": OLD, "/other": b"other"}


def test_a_session_does_not_meet_its_own_file(board):
    # One session does one thing after another, so it never meets its own file.
    board.files.fill({"/folder/": b""})
    with board.login() as control:
        data = control.data()
        control.expect("STOR folder/file", "150")
        data.sendall(NEW)
        control.send(b"RNFR folder\r\nRNTO moved\r\n")
        data.close()
        assert [control.reply()[:3] for _ in range(3)] == ["226", "350", "250"]
    assert board.files.tree() == {"/moved/": None, "/moved/file": NEW}


def test_unique_names_pass_over_what_is_being_written(board):
    with board.login() as one, board.login() as two:
        data = one.data()
        name = one.expect("STOU log", "150").partition(": ")[2]
        data.sendall(b"one")
        # The next name is taken by an upload that does not show in the folder.
        stem, _, number = name.rpartition(".") if "." in name else (name, "", "0")
        following = f"{stem}.{int(number) + 1}"
        third = board.login()
        more = third.data()
        third.expect(f"STOR {following}", "150")
        more.sendall(b"three")
        with two.data() as other:
            taken = two.expect("STOU log", "150").partition(": ")[2]
            other.sendall(b"two")
        assert two.reply().startswith("226")
        assert taken not in (name, following)
        data.close()
        more.close()
        assert one.reply().startswith("226") and third.reply().startswith("226")
        third.close()
    assert sorted(board.files.tree().values()) == [b"one", b"three", b"two"]
