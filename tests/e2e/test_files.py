"""Files that are too large for 32 bits, disks that are full, and the file systems of boards."""

import hashlib
import os
import socket
import subprocess
import sys

import pytest
from control import reset
from server import MAIN, run_micropython

GIB = 1 << 30


def test_a_file_of_5_gib_is_sized_listed_and_read_and_written_beyond_4_gib(server, tmp_path):
    path = server.root / "huge"
    with open(path, "wb") as file:
        file.seek(4 * GIB + 5)
        file.write(b"beyond")
        file.truncate(5 * GIB)
        file.seek(5 * GIB - 9)
        file.write(b"the tail.")
    _, size = run_micropython(tmp_path, f"import os\nprint(os.stat({str(path)!r})[6])")
    if size != f"{5 * GIB}\n":
        pytest.skip(f"this MicroPython has no large files: it takes one of 5 GiB for one of {size.strip()} bytes")
    with server.login() as control:
        assert control("SIZE huge") == f"213 {5 * GIB}"
        assert f" {5 * GIB} " in control.retrieve("LIST huge").decode()
        control.expect("OPTS MLST size;", "200")
        assert f" size={5 * GIB}; /huge" in control("MLST huge")

        control.expect("REST 4294967301", "350 Restarting at 4294967301.")
        data = control.data()
        assert control("RETR huge") == f"150 Opening data connection for huge ({5 * GIB} bytes)."
        assert data.recv(6) == b"beyond"
        reset(data)
        control.reply()
        control.expect(f"REST {5 * GIB - 9}", "350")
        assert control.retrieve("RETR huge") == b"the tail."

        control.expect("REST 4294967301", "350")
        control.store("STOR huge", b"BEYOND")
        control.store("APPE huge", b" And more.")
        assert control("SIZE huge") == f"213 {5 * GIB + 10}"
        control.expect(f"REST {5 * GIB + 11}", "350")
        control.data().close()
        control.expect("RETR huge", "554")
    with open(path, "rb") as file:
        file.seek(4 * GIB + 5)
        assert file.read(6) == b"BEYOND"
        file.seek(5 * GIB - 9)
        assert file.read() == b"the tail. And more."


# A file system whose only file has 5 GiB; each byte says in which of its GiB it is.
ON_A_HUGE_FILE = (
    """\
import io, os, vfs

SIZE = 5 << 30

class File(io.IOBase):
    def __init__(self, path, mode):
        print("opened", path, mode)
        self.at = SIZE if "a" in mode else 0

    def seek(self, offset, whence=0):
        assert whence in (0, 2)
        self.at = offset + (SIZE if whence == 2 else 0)
        print("at", self.at)
        return self.at

    def readinto(self, buffer):
        count = max(0, min(len(buffer), SIZE - self.at))
        for index in range(count):
            buffer[index] = 65 + ((self.at + index) >> 30)
        self.at += count
        return count

    def write(self, data):
        print("written", bytes(data), "at", self.at)
        self.at += len(data)
        return len(data)

    def ioctl(self, operation, argument):
        return 0

    def close(self):
        print("closed")

class FileSystem:
    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass

    def stat(self, path):
        if path in ("", "/"):
            return (0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        if path != "/huge":
            raise OSError(2)
        return (0x8000, 0, 0, 0, 0, 0, SIZE, 0, 0, 0)

    def ilistdir(self, path):
        return iter([("huge", 0x8000, 0, SIZE)])

    def statvfs(self, path):
        return (4096, 4096, SIZE >> 9, SIZE >> 10, SIZE >> 10, 0, 0, 0, 0, 255)

    def open(self, path, mode):
        return File(path, mode)

vfs.mount(FileSystem(), "/huge")
"""
    + MAIN.replace("root={root!r}", "root='/huge'")
)


def test_numbers_beyond_32_bits_pass_through_every_runtime(start_server):
    server = start_server(program=ON_A_HUGE_FILE)
    with server.login() as control:
        assert control("SIZE huge") == f"213 {5 * GIB}"
        assert f" {5 * GIB} " in control.retrieve("LIST").decode()
        control.expect("OPTS MLST size;", "200")
        assert f" size={5 * GIB}; /huge" in control("MLST huge")
        assert f"size={5 * GIB}; huge\r\n".encode() in control.retrieve("MLSD")
        assert control("AVBL") == f"213 {20 * GIB}"

        for offset, content in (
            (5 * GIB - 3, b"EEE"),
            (5 * GIB, b""),
            (4 * GIB - 1, b"DEEEE"),
            (2 * GIB - 1, b"BCCCC"),
            (GIB - 1, b"ABBBB"),
        ):
            control.expect(f"REST {offset}", "350")
            data = control.data()
            assert control("RETR huge") == f"150 Opening data connection for huge ({5 * GIB} bytes)."
            assert data.recv(5, socket.MSG_WAITALL) == content
            reset(data)
            control.reply()
            server.wait_for_output(f"at {offset}\n")
        control.expect(f"REST {4 * GIB + 5}", "350")
        control.store("STOR huge", b"BEYOND")
        server.wait_for_output(f"written b'BEYOND' at {4 * GIB + 5}")
        control.expect(f"REST {5 * GIB + 1}", "350")
        control.data().close()
        control.expect("RETR huge", "554")
    server.assert_nothing_leaked()


def test_a_full_disk_gets_452_and_the_server_goes_on(start_server):
    server = start_server(atomic_uploads=False)
    (server.root / "full").symlink_to("/dev/full")
    with server.login() as control:
        with control.data() as data:
            control.expect("STOR full", "150")
            try:
                data.sendall(b"x" * 1_000_000)
            except (BrokenPipeError, ConnectionResetError):
                pass
        assert control.reply() == "452 No space left on device."
        control.store("STOR other", b"content")
        assert control.retrieve("RETR other") == b"content"


def test_a_file_that_cannot_be_read_to_its_end_gets_451(server):
    # Reading a process's memory at address 0 is an I/O error.
    (server.root / "bad").symlink_to("/proc/self/mem")
    with server.login() as control:
        with control.data() as data:
            control.expect("RETR bad", "150")
            assert data.recv(10) == b""
        assert control.reply() == "451 Local error in processing."
        control.expect("NOOP", "200")


def test_a_file_that_grows_or_shrinks_while_it_is_sent(server):
    path = server.root / "file"
    path.write_bytes(b"x" * (32 << 20))
    with server.login() as control:
        with control.data(receive_buffer=4096) as data:
            control.expect("RETR file", "150")
            data.recv(10)
            os.truncate(path, 1 << 20)
            while data.recv(1 << 20):
                pass
        assert control.reply()[:3] in ("226", "451")
        assert len(control.retrieve("RETR file")) == 1 << 20


@pytest.mark.parametrize("kind", ["VfsFat", "VfsLfs2"])
def test_a_boards_file_system_is_served_until_it_is_full(start_server, kind):
    server = start_server(file_system=kind, disc_size=160 << 10, heap="1m")
    content = hashlib.shake_128(b"").digest(20_000)
    with server.login() as control:
        control.expect("MKD folder", "257")
        control.expect("CWD folder", "250")
        control.store("STOR a file.bin", content)
        control.store("APPE a file.bin", b"tail")
        assert control("SIZE a file.bin") == "213 20004"
        assert control.retrieve("RETR a file.bin") == content + b"tail"
        control.expect("REST 20000", "350")
        assert control.retrieve("RETR a file.bin") == b"tail"
        control.expect("REST 20000", "350")
        control.store("STOR a file.bin", b"TAIL")
        assert control.retrieve("RETR a file.bin") == content + b"TAIL"
        assert control.retrieve("NLST") == b"a file.bin\r\n"
        listed = control.retrieve("LIST").decode()
        assert listed.startswith("-rw-r--r--   1 owner group      20004 ") and listed.endswith(" a file.bin\r\n")
        control.expect("OPTS MLST type;size;", "200")
        assert b"type=file;size=20004; a file.bin\r\n" in control.retrieve("MLSD")
        assert control("MDTM a file.bin").startswith("213 ")
        assert "free of" in control("SITE DF")
        assert 0 < int(control("AVBL").split()[1]) < 160 << 10

        # RNTO over a file replaces it, on FAT, too.
        control.store("STOR other", b"other")
        control.expect("RNFR other", "350")
        control.expect("RNTO a file.bin", "250")
        assert control.retrieve("RETR a file.bin") == b"other"
        # A folder does not.
        control.expect("MKD /empty", "257")
        control.expect("RNFR /empty", "350")
        control.expect("RNTO a file.bin", "550 Not a directory.")
        assert control.retrieve("RETR a file.bin") == b"other"
        control.expect("RMD /empty", "250")
        control.expect("RMD /folder", "550 Directory not empty.")

        # More than fits.
        with control.data() as data:
            control.expect("STOR big", "150")
            try:
                data.sendall(b"x" * 300_000)
            except (BrokenPipeError, ConnectionResetError):
                pass
        assert control.reply() == "452 No space left on device."
        assert sorted(control.retrieve("NLST").split(b"\r\n")[:-1]) == [b"a file.bin"]
        # The same in place of a file: the old one is as it was.
        control.store("STOR small", b"fits")
        with control.data() as data:
            control.expect("STOR small", "150")
            try:
                data.sendall(b"x" * 300_000)
            except (BrokenPipeError, ConnectionResetError):
                pass
        assert control.reply() == "452 No space left on device."
        assert control.retrieve("RETR small") == b"fits"
        control.expect("DELE small", "250")
        control.expect("DELE a file.bin", "250")
        control.expect("CDUP", "250")
        control.expect("RMD folder", "250")
        assert control.retrieve("NLST") == b""
    server.assert_nothing_leaked()


def test_a_file_whose_time_is_not_known_has_none(server):
    (server.root / "file").write_bytes(b"content")
    os.utime(server.root / "file", (0, 0))
    with server.login() as control:
        assert control("MDTM file") == "550 The file system does not know its time."
        lines = control.retrieve("MLSD").decode().splitlines()
        assert [line for line in lines if line.endswith(" file") and "Modify" not in line]


@pytest.mark.discs
@pytest.mark.parametrize("file_system", ["VfsFat", "VfsLfs2"])
def test_a_rename_from_one_file_system_to_another_does_no_harm(start_server, tmp_path, file_system):
    server = start_server(file_system=file_system, program=MAIN.replace("root={root!r}", 'root="/"'))
    inside, outside = "/flash/file", f"{tmp_path}/file"
    contents = {inside: b"on the disc", outside: b"in a folder"}
    with server.login() as control:
        for path, content in contents.items():
            control.store(f"STOR {path}", content)
        for old, new in ((inside, outside), (outside, inside), (inside, outside + "2"), (outside, inside + "2")):
            control.expect(f"RNFR {old}", "350")
            control.expect(f"RNTO {new}", "550")
        assert {path: control.retrieve(f"RETR {path}") for path in contents} == contents
    assert server.files.names() == ["file"] and not [name for name in os.listdir(tmp_path) if name.startswith(".")]


# A file system each of whose calls fails, and gives the number that is the name.
BROKEN = """\
import os, vfs

class Broken:
    def mount(self, readonly, mkfs):
        pass

    def chdir(self, path):
        pass

    def stat(self, path):
        # It does not take a name with a dot for the one without.
        number = 2 if path.endswith(".") else int(path[1:] or "0")
        if number != 18:
            raise OSError(number)
        return (0x8000, 0, 0, 0, 0, 0, 0, 0, 0, 0)

    def open(self, path, mode):
        raise OSError(int(path[1:]))

    def mkdir(self, path):
        raise OSError(int(path[1:]))

    def rename(self, old, new):
        raise OSError(18)

vfs.mount(Broken(), "/broken")
"""


def test_a_fault_of_the_disc_is_local_and_no_answer_about_the_file(start_server):
    server = start_server(program=BROKEN + MAIN.replace("root={root!r}", 'root="/"'))
    with server.login() as control:
        for number in (5, 6):
            for command in ("SIZE", "RETR", "STOR", "CWD", "DELE"):
                with control.data():
                    assert control(f"{command} /broken/{number}") == f"451 Operation failed, error {number}."
        # So says MicroPython where nothing is mounted. On a board that has /flash and nothing at / that is any other name there.
        for command in ("SIZE", "RETR", "STOR", "APPE", "CWD", "DELE", "MKD", "RNFR", "LIST", "MLSD"):
            with control.data():
                assert control(f"{command} /broken/19") == "550 No such file or directory.", command
        # From one file system of Linux to another.
        control.expect("RNFR /broken/18", "350")
        control.expect("RNTO /broken/2", "550 Permission denied.")


@pytest.mark.discs
@pytest.mark.parametrize("file_system", ["VfsFat", "VfsLfs2"])
def test_what_cannot_be_removed_from_a_read_only_card_is_not_looked_for_again_and_again(start_server, file_system):
    program = """\
import vfs
from ftpdlite import FTPdLite

with open({root!r} + "/.ftpdlite-7", "wb") as file:
    file.write(b"unfinished")
vfs.umount({root!r})
vfs.mount(board_files.door.kind(board_files.door.disc), {root!r}, readonly=True)
s = FTPdLite(host={host!r}, port={port}, root={root!r}, on_event=lambda kind, info: print(kind, "searches again:", s._litter))
s.add_account("tester:secret")
s.run()
"""
    server = start_server(program=program, file_system=file_system)
    for _ in range(4):
        with server.login() as control:
            control.expect("DELE nothing", "550")
            control.expect("QUIT", "221")
    server.wait_for_output("disconnect")
    assert "searches again: 0" in server.output() and "again: 1" not in server.output() and "again: 4" not in server.output()


# A ROMFS, as boards have it at /rom, and a file system that has only what it needs to be read.
READ_ONLY = """\
import io, vfs

class Poor:
    def mount(self, readonly, mkfs):
        pass

    def stat(self, path):
        if path not in ("/", "", "/folder", "/file"):
            raise OSError(2)
        return (0x8000 if path == "/file" else 0x4000, 0, 0, 0, 0, 0, 7, 0, 0, 0)

    def ilistdir(self, path):
        return iter([(b"file", 0x8000, 0, 7), (b"folder", 0x4000, 0)])

    def open(self, path, mode):
        if mode != "rb":
            raise OSError(30)
        return io.BytesIO(b"content")

vfs.mount(Poor(), "/poor")
with open("ROM", "rb") as file:
    vfs.mount(vfs.VfsRom(file.read()), "/rom")
"""


def test_a_file_system_that_cannot_be_written_says_so(start_server, tmp_path):
    (tmp_path / "rom/folder").mkdir(parents=True)
    (tmp_path / "rom/file").write_bytes(b"content")
    image = tmp_path / "image"
    subprocess.run([sys.executable, "-m", "mpremote", "romfs", "--no-mpy", "--output", image, "build", tmp_path / "rom"], check=True)
    server = start_server(program=READ_ONLY.replace('"ROM"', f'"{image}"') + MAIN.replace("root={root!r}", 'root="/"'))
    with server.login() as control:
        for root in ("/poor", "/rom"):
            control.expect(f"CWD {root}", "250")
            for command in ("MKD new", "DELE file", "RMD folder"):
                assert control(command) == "550 Permission denied.", (root, command)
            control.expect("RNFR file", "350")
            assert control("RNTO other") == "550 Permission denied.", root
            control.expect("ALLO 5", "202" if root == "/poor" else "452")
            control.expect("AVBL", "550" if root == "/poor" else "213 0")
            for command in ("STOR new", "STOR file", "APPE file"):
                with control.data():
                    assert control(command) == "550 Permission denied.", (root, command)
            assert control.retrieve("NLST").split() == [b"file", b"folder"]
            assert control.retrieve("RETR file") == b"content"


@pytest.mark.discs
@pytest.mark.parametrize("file_system", ["VfsFat", "VfsLfs2"])
def test_nothing_new_fits_on_a_full_disc(start_server, file_system):
    server = start_server(file_system=file_system, disc_size=96 << 10)
    with server.login() as control:
        control.store("STOR old", b"content")
        for size in (4096, 1):
            fillers = [f"STOR filler{size}-{number}" for number in range(500)]
            assert any(control.try_to_store(filler, b"x" * size) == "452 No space left on device." for filler in fillers)
        for command in ("STOR new", "STOR old", "APPE new", "STOU"):
            assert control.try_to_store(command, b"x" * 5000) == "452 No space left on device.", command
        control.expect("MKD folder", "452")
        control.expect("ALLO 1", "452")
        assert control.retrieve("RETR old") == b"content"
        control.expect("DELE old", "250")
