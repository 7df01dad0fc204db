"""File systems that are full, change, or are written in Python, and what the program does to their files meanwhile."""

import pytest
from server import MAIN, wait_until

OLD, NEW = b"the old content", b"the new content, which is longer"


def rename(control, old, new):
    control.expect(f"RNFR {old}", "350")
    return control(f"RNTO {new}")


# -- names


def test_a_name_that_no_file_system_takes_is_refused_at_once(board):
    longest, longer = "x" * 255, "\u00fc" * 128
    with board.login() as control:
        assert control.try_to_store("STOR " + longest, NEW) == "226 Transfer complete."
        assert control.retrieve("RETR " + longest) == NEW
        with control.data():
            for command in ("STOR", "APPE", "RETR", "MKD", "DELE", "SIZE", "LIST"):
                assert control(f"{command} {longer}") == "550 Path too long.", command
                assert control(f"{command} {longer}/file") == "550 Path too long.", command
        assert rename(control, longest, longer) == "550 Path too long."
    assert board.files.tree() == {"/" + longest: NEW}


# -- a folder that is full


FULL = "452 No space left on device."


def fill_the_root(files):
    """Makes files in the root folder of FAT until it is full; gives their names."""
    names = []
    while True:
        try:
            files.write(f"/F{len(names)}", b"")
        except PermissionError:
            return names
        names.append(f"F{len(names)}")


@pytest.mark.discs
def test_a_root_folder_of_fat_that_is_full(start_server):
    # On small discs it has 512 entries and does not grow.
    server = start_server(file_system="VfsFat")
    files = server.files
    files.fill({"/old": OLD, "/folder/file": OLD})
    names = fill_the_root(files)
    with server.login() as control:
        for command in ("STOR new", "STOR old", "STOR a new file with a long name", "APPE new", "STOU"):
            assert control.try_to_store(command, NEW) == FULL, command
        assert control("MKD new") == FULL
        for new in ("other", "OLD", names[0], "a name that is longer"):
            assert rename(control, "old", new) == FULL, new
        assert rename(control, "folder/file", "file") == FULL
        # What needs no new name in it works.
        assert control.try_to_store("APPE old", b"!") == "226 Transfer complete."
        assert rename(control, names.pop(), "folder/moved") == "250 File renamed."
        assert control.try_to_store("STOR folder/new", NEW) == "226 Transfer complete."
        # With room for an upload, but not for its note and for a longer name.
        for _ in range(2):
            control.expect(f"DELE {names.pop()}", "250")
        assert control.try_to_store("STOR old", NEW) == FULL
        assert control.try_to_store("STOR a new file with a long name", NEW) == FULL
        # What could not be given its name goes a second later.
        wait_until(lambda: files.names() == sorted(["old", "folder", *names]), lambda: str(files.names()))
        assert files.read("/old") == OLD + b"!"
        assert files.tree("/folder") == {"/folder/new": NEW, "/folder/moved": b"", "/folder/file": OLD}
        for _ in range(5):
            control.expect(f"DELE {names.pop()}", "250")
        assert control.try_to_store("STOR old", NEW) == "226 Transfer complete."
        assert rename(control, "old", "OLD") == "250 File renamed."
    assert files.read("/OLD") == NEW and files.names() == sorted(["OLD", "folder", *names])


# A rename or an upload is done, but its note could not be removed. Then somebody has removed the file.
NOTE_ALONE = """\
with open({root!r} + "/.ftpdlite-7.to", "wb") as file:
    file.write(b"file")
try:
    for number in range(COUNT):
        open({root!r} + "/F%d" % number, "wb").close()
except OSError:
    pass

"""


@pytest.mark.discs
@pytest.mark.parametrize("count", [3, 600], ids=["room", "full"])
def test_a_note_whose_file_has_gone_fills_no_folder(start_server, count):
    server = start_server(file_system="VfsFat", program=NOTE_ALONE.replace("COUNT", str(count)) + MAIN)
    wait_until(lambda: ".ftpdlite-7.to" not in server.files.names(), server.describe)
    assert not [name for name in server.files.names() if not name.startswith("F")]


# A cut came when the old file was removed. There is room for its name again, but for no longer one.
WHOLE = """\
for name, content in ((".ftpdlite-7", b"the new content"), (".ftpdlite-7.to", b"file")):
    with open({root!r} + "/" + name, "wb") as file:
        file.write(content)
import os
try:
    for number in range(600):
        open({root!r} + "/F%d" % number, "wb").close()
except OSError:
    os.remove({root!r} + "/F0")

"""


@pytest.mark.discs
def test_a_whole_upload_gets_its_name_in_a_full_root_folder(start_server):
    server = start_server(file_system="VfsFat", program=WHOLE + MAIN)
    wait_until(lambda: not [name for name in server.files.names() if name.startswith(".")], server.describe)
    assert server.files.read("/file") == b"the new content"
    assert not [name for name in server.files.names() if name[0] not in "fF"]


# -- what the program does meanwhile


@pytest.mark.parametrize("there", [True, False], ids=["over an old file", "new"])
def test_an_upload_whose_file_the_program_removes(board, there):
    files = board.files
    expected = {"/file": OLD} if there else {}
    files.fill(expected)
    with board.login() as control:
        data = control.data()
        control.expect("STOR file", "150")
        data.sendall(NEW)
        wait_until(lambda: any(name.startswith(".") for name in files.names()), board.describe)
        for name in files.names():
            if name.startswith("."):
                files.remove("/" + name)
        data.close()
        assert control.reply() == "451 Local error in processing."
        assert files.tree() == expected
        assert control.try_to_store("STOR file", NEW) == "226 Transfer complete."
    assert files.tree() == {"/file": NEW}


def test_an_upload_whose_folder_the_program_moves(server):
    (server.root / "folder").mkdir()
    with server.login() as control:
        data = control.data()
        control.expect("STOR folder/file", "150")
        data.sendall(NEW)
        wait_until(lambda: server.files.names("/folder"), server.describe)
        (server.root / "folder").rename(server.root / "moved")
        data.close()
        assert control.reply() == "451 Local error in processing."
    # It is found a second later.
    wait_until(lambda: not server.files.names("/moved"), server.describe)
    assert server.files.tree() == {"/moved/": None}


@pytest.mark.discs
@pytest.mark.parametrize("file_system", ["VfsFat", "VfsLfs2"])
def test_a_card_that_is_changed_meanwhile_keeps_its_file(start_server, file_system):
    server = start_server(file_system=file_system)
    files = server.files
    files.fill({"/file": OLD, "/other": NEW})
    with server.login() as control:
        data = control.data()
        control.expect("STOR file", "150")
        data.sendall(NEW)
        wait_until(lambda: any(name.startswith(".") for name in files.names()), server.describe)
        control.send(b"RNFR other\r\nRNTO file\r\n")
        files.change()
        files.write("/file", b"of the other card")
        data.close()
        assert control.reply() == "451 Local error in processing."
        assert control.reply() == "550 No such file or directory."
        assert control.reply() == "503 Send RNFR first."
        assert files.tree() == {"/file": b"of the other card"}
        assert control.try_to_store("STOR file", NEW) == "226 Transfer complete."
    assert files.tree() == {"/file": NEW}


# -- in Python


# It keeps its files in a dict, whose keys are str: under bytes it finds nothing. Its folders are lists or generators.
IN_PYTHON = """\
import io, vfs

class File(io.IOBase):
    def __init__(self, files, path, mode):
        self.files = files
        self.path = path
        self.writes = mode != "rb"
        self.buffer = io.BytesIO(b"" if mode == "wb" else files[path])
        if mode == "ab":
            self.buffer.seek(0, 2)

    def readinto(self, buffer):
        return self.buffer.readinto(buffer)

    def write(self, data):
        return self.buffer.write(data)

    def close(self):
        if self.writes:
            self.writes = False
            self.files[self.path] = self.buffer.getvalue()

class FileSystem:
    def __init__(self):
        self.files = dict((("/", None), ("/folder", None), ("/folder/file", b"content"), ("/.ftpdlite-7", b"left")))

    def mount(self, readonly, mkfs):
        pass

    def find(self, path):
        if path not in self.files:
            raise OSError(2)
        return self.files[path]

    def stat(self, path):
        content = self.find(path)
        return (0x4000 if content is None else 0x8000, 0, 0, 0, 0, 0, len(content or b""), 0, 0, 0)

    def ilistdir(self, path):
        self.find(path)
        start = path.rstrip("/") + "/"
        for name, content in list(self.files.items()):
            if name.startswith(start) and name != path and "/" not in name[len(start):]:
                yield name[len(start):], 0x4000 if content is None else 0x8000, 0

    def open(self, path, mode):
        if mode == "rb":
            self.find(path)
        return File(self.files, path, mode)

    def mkdir(self, path):
        self.files[path] = None

    def remove(self, path):
        self.find(path)
        del self.files[path]
        print("removed", path)

    def rmdir(self, path):
        if list(self.ilistdir(path)):
            raise OSError(39)
        self.remove(path)

    def rename(self, old, new):
        self.files[new] = self.find(old)
        del self.files[old]

vfs.mount(FileSystem(), "/python")
"""


def test_a_file_system_in_python_that_fails_does_not_end_the_search(start_server):
    # What is raised is no OSError. Leftovers elsewhere are found nevertheless.
    broken = """
class Broken:
    def mount(self, readonly, mkfs):
        pass

    def stat(self, path):
        return (0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0)

    def remove(self, path):
        raise KeyError(path)

    ilistdir = remove

vfs.mount(Broken(), "/broken")
"""
    main = MAIN.replace("root={root!r}", "root='/broken'").replace("s.run()", 's.add_account("other:other", home="/python")\ns.run()')
    server = start_server(program=IN_PYTHON + broken + main)
    server.wait_for_output("removed /.ftpdlite-7")


@pytest.mark.parametrize("root", ["/python", "/"])
def test_a_file_system_in_python_that_takes_str_alone(start_server, root):
    server = start_server(program=IN_PYTHON + MAIN.replace("root={root!r}", f"root={root!r}"))
    with server.login() as control:
        if root == "/":
            control.expect("CWD python", "250")
        for command, listed in (
            ("NLST", ["folder"]),
            ("NLST folder", ["file"]),
            ("NLST *er", ["folder"]),
            ("NLST folder/f*", ["folder/file"]),
        ):
            assert control.retrieve(command).decode().split() == listed, command
        assert [line.split()[-1] for line in control.retrieve("LIST folder").decode().splitlines()] == ["file"]
        assert control.retrieve("MLSD folder").decode().splitlines()[2:] == ["type=file;size=7;perm=adfrw; file"]
        assert " file\n" in control("STAT folder")
        assert control.try_to_store("STOR new", NEW) == control.try_to_store("STOR new", OLD) == "226 Transfer complete."
        assert control.try_to_store("APPE new", b"!") == "226 Transfer complete."
        assert rename(control, "new", "NEW") == "250 File renamed."
        assert rename(control, "folder", "folder/inside") == "553 Cannot move a folder into itself."
        assert control.retrieve("RETR NEW") == OLD + b"!"
        assert control("RMD folder") == "550 Directory not empty."
        control.expect("DELE folder/file", "250")
        assert control.try_to_store("STOR folder/.ftpdlite", NEW) == "226 Transfer complete."
        control.expect("DELE folder/.ftpdlite", "250")
        control.expect("RMD folder", "250")
        assert control.retrieve("NLST").decode().split() == ["NEW"]
