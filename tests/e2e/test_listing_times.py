"""For which entries a listing calls os.stat on each file system, and `listing_times`, which says how long that may take.

The server is on a file system that says which paths it was asked for. Only its stat() moves the clock of the shares.
"""

import re

import pytest
from clients import Curl, Lftp, Rclone, Wget
from server import run_micropython
from trees import read_tree

# The program. It has a file system in Python around another one. {kind} is the inner one, {delay} is how many seconds each os.stat takes, and {listed} changes
# each entry that the inner one lists.
MAIN = """\
import os
import sys
import time as utime
import vfs


class Time:
    now = 0

    def __getattr__(self, name):
        return getattr(utime, name)

    def ticks_us(self):
        return self.now & 0x3FFFFFFF


class Disc:
    def __init__(self, block):
        self.block = block
        self.data = bytearray(256 << 10)

    def readblocks(self, block, buffer, offset=0):
        start = block * self.block + offset
        buffer[:] = memoryview(self.data)[start : start + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        start = block * self.block + offset
        self.data[start : start + len(buffer)] = buffer

    def ioctl(self, operation, argument):
        return len(self.data) // self.block if operation == 4 else self.block if operation == 5 else 0


class Watched:
    def __init__(self, inner):
        self.inner = inner
        for name in ("open", "mkdir", "statvfs", "remove", "rename"):
            setattr(self, name, getattr(inner, name))

    def mount(self, readonly, mkfs):
        self.inner.mount(readonly, mkfs)

    def umount(self):
        self.inner.umount()

    def ilistdir(self, path):
        for entry in self.inner.ilistdir(path):
            name, kind = entry[:2]
            yield {listed}

    def stat(self, path):
        print("-- stat", path if isinstance(path, str) else path.decode())
        clock.now += int({delay} * 1000000)
        return self.inner.stat(path)


def inner(kind):
    if kind == "VfsPosix":
        return vfs.VfsPosix({root!r})
    disc = Disc(512 if kind == "VfsFat" else 4096)
    getattr(vfs, kind).mkfs(disc)
    return getattr(vfs, kind)(disc)


clock = sys.modules["time"] = Time()
vfs.mount(Watched(inner("{kind}")), "/watched")
os.mkdir("/watched/folder")
os.mkdir("/watched/folder/sub")
for number in range(8):
    with open("/watched/folder/%d.%s" % (number, "txt" if number & 1 else "bin"), "w") as file:
        file.write("content"[:number])

from ftpdlite import FTPdLite

server = FTPdLite(host={host!r}, port={port}, root="/watched", pasv_port_range=range({first}, {last} + 1){settings})
server.add_account("tester:secret")
server.run()
"""

FILES = [f"{number}.{'txt' if number & 1 else 'bin'}" for number in range(8)]
ENTRIES = sorted([*FILES, "sub"])
SIZES = {name: min(index, len("content")) for index, name in enumerate(FILES)}
NO_DATE = "Jan  1  1970"
# LittleFS keeps no times of folders.
TIMELESS = {"VfsPosix": [], "VfsFat": [], "VfsLfs2": ["sub"]}
AS_IT_IS = "entry"


class Listings:
    """A client, and the entries for which its listings call os.stat."""

    def __init__(self, server, control):
        self.server = server
        self.control = control

    def __call__(self, command):
        """The lines of a listing, and the names for which the server called os.stat."""
        before = len(self.server.output())
        if command.startswith("STAT"):
            lines = self.control(command).split("\n")[1:-1]
        else:
            lines = self.control.retrieve(command).decode().split("\r\n")[:-1]
        looked = re.findall(r"^-- stat /folder/([^*\n]+)$", self.server.output()[before:], re.MULTILINE)
        return lines, looked


@pytest.fixture(params=["VfsPosix", *(pytest.param(kind, marks=pytest.mark.discs) for kind in ("VfsFat", "VfsLfs2"))])
def kind(request):
    return request.param


@pytest.fixture
def listings(start_server, kind):
    """Makes a client of a server on that file system."""
    controls = []

    def start(delay=0, listed=AS_IT_IS, kind=kind, **settings):
        program = MAIN.replace("{kind}", kind).replace("{delay}", str(delay)).replace("{listed}", listed)
        server = start_server(program=program, heap="2m", **settings)
        controls.append(server.login())
        return Listings(server, controls[-1])

    yield start
    for control in controls:
        control.close()


def by_name(lines):
    """{name: facts} of MLSD."""
    return {line.partition(" ")[2]: line for line in lines}


def without_own(lines):
    return {name: line for name, line in by_name(lines).items() if name not in (".", "..")}


def sizes_need_a_look(kind):
    """The list of a folder has no sizes on a computer. On boards it has them."""
    return FILES if kind == "VfsPosix" else []


def test_only_what_shows_a_time_looks_at_all_entries(listings, kind):
    ask = listings()
    lines, looked = ask("NLST folder")
    assert sorted(lines) == ENTRIES and looked == []
    for command in ("LIST folder", "STAT folder"):
        lines, looked = ask(command)
        assert sorted(looked) == ENTRIES
        assert sorted(line.split()[-1] for line in lines) == ENTRIES
        assert [line.split()[-1] for line in lines if NO_DATE in line] == TIMELESS[kind]
    lines, looked = ask("LIST folder/*.txt")
    assert sorted(looked) == [name for name in FILES if name.endswith("txt")] and len(lines) == 4
    assert ask("NLST folder/*.txt")[1] == []
    lines, looked = ask("LIST folder/3.txt")
    assert looked.count("3.txt") == len(looked) and " 3 " in lines[0] and NO_DATE not in lines[0]
    lines, looked = ask("MLSD folder")
    assert sorted(looked) == ENTRIES
    assert sorted(name for name, line in by_name(lines).items() if "modify=" not in line) == [".", "..", *TIMELESS[kind]]


def test_mlsd_without_times_looks_at_nothing_that_the_folder_tells(listings, kind):
    ask = listings()
    for facts in ("type;size;perm;unique;", "size;", "type;perm;unique;", "type;", "perm;", "unique;", ""):
        ask.control.expect(f"OPTS MLST {facts}", "200")
        lines, looked = ask("MLSD folder")
        assert sorted(looked) == (sizes_need_a_look(kind) if "size" in facts else [])
        told = without_own(lines)
        assert sorted(told) == ENTRIES
        assert {name: f"size={size};" for name, size in SIZES.items() if "size" in facts} == {
            name: re.search("size=.*?;", line)[0] for name, line in told.items() if "size=" in line
        }
        for fact, of_folders in (("type", "type=dir;"), ("perm", "perm=cdeflmp;")):
            assert {name for name, line in told.items() if of_folders in line} == ({"sub"} if fact in facts else set())


def test_without_listing_times_nothing_is_looked_at_for_them(listings, kind):
    ask = listings(listing_times=False)
    for command in ("LIST folder", "STAT folder", "MLSD folder"):
        lines, looked = ask(command)
        assert sorted(looked) == sizes_need_a_look(kind)
        # If os.stat was called for another reason, the entry shows its time, too.
        timed = {line.split()[-1] for line in lines if "modify=" in line or command != "MLSD folder" and NO_DATE not in line}
        assert timed == set(sizes_need_a_look(kind))
    lines, _ = ask("LIST folder")
    assert {line.split()[-1]: int(line.split()[4]) for line in lines} == SIZES | {"sub": 0}
    assert {line.split()[-1] for line in lines if line.startswith("d")} == {"sub"}
    # A client that asks for a single file wants to know its time.
    ask.control.expect("MDTM folder/3.txt", "213 2")
    assert "modify=2" in ask.control("MLST folder/3.txt")
    assert NO_DATE not in ask("LIST folder/3.txt")[0][0]


@pytest.mark.parametrize("listing_times, looks", [(2.5, 3), (3, 3), (0, 0), (True, 9)])
def test_times_end_when_their_time_is_over(listings, kind, listing_times, looks):
    # Each look takes a second.
    ask = listings(delay=1, listing_times=listing_times)
    for _ in range(2):
        # Each listing has its own time.
        lines, looked = ask("LIST folder")
        if kind == "VfsPosix":
            # Sizes are needed in any case. They cost time, too, and the entries with an os.stat show their time.
            assert set(FILES) <= set(looked)
            assert [line.split()[-1] for line in lines if NO_DATE not in line] == looked
            continue
        names = [line.split()[-1] for line in lines]
        assert looked == names[:looks]
        assert [line.split()[-1] for line in lines if NO_DATE not in line] == [name for name in looked if name not in TIMELESS[kind]]
    lines, looked = ask("MLSD folder")
    assert sorted(by_name(lines)) == [".", "..", *ENTRIES]
    if kind != "VfsPosix":
        assert looked == list(without_own(lines))[:looks]
        assert [name for name, line in by_name(lines).items() if "modify=" in line] == [name for name in looked if name not in TIMELESS[kind]]


@pytest.mark.parametrize(
    "listed, looked",
    [
        # Without the kind; without a size; without both; kind and permissions as os.stat gives them; a list instead of a tuple.
        ("(name, 0, 0)", ENTRIES),
        ("(name, kind, 0, -1)", FILES),
        ("(name, 10, 0, 7)", ENTRIES),
        ("(name, kind | 0o644, 0, entry[-1])", []),
        ("[name, kind, 0, entry[-1]]", []),
    ],
)
@pytest.mark.parametrize("kind", ["VfsLfs2"])
def test_what_a_file_system_does_not_tell_is_looked_at(listings, kind, listed, looked):
    ask = listings(listed=listed, listing_times=False)
    lines, found = ask("LIST folder")
    assert sorted(found) == sorted(looked)
    assert {line.split()[-1]: int(line.split()[4]) for line in lines} == SIZES | {"sub": 0}
    ask.control.expect("OPTS MLST type;size;", "200")
    lines, found = ask("MLSD folder")
    assert sorted(found) == sorted(looked)
    assert without_own(lines) == {name: f"type=file;size={size}; {name}" for name, size in SIZES.items()} | {"sub": "type=dir; sub"}


@pytest.mark.parametrize("kind", ["VfsPosix"])
def test_a_link_is_looked_at_for_its_kind(listings, kind):
    ask = listings()
    folder = ask.server.root / "folder"
    (folder / "to a folder").symlink_to("sub")
    (folder / "to a file").symlink_to("3.txt")
    (folder / "to nothing").symlink_to("nothing")
    ask.control.expect("OPTS MLST type;", "200")
    lines, looked = ask("MLSD folder")
    assert sorted(looked) == ["to a file", "to a folder", "to nothing"]
    kinds = {name: line.split(";")[0] for name, line in by_name(lines).items()}
    assert (kinds["to a folder"], kinds["to a file"], kinds["to nothing"]) == ("type=dir", "type=file", "type=file")


@pytest.mark.clients
@pytest.mark.parametrize("kind", ["VfsLfs2"])
@pytest.mark.parametrize("client", [Curl, Lftp, Rclone, Wget], ids=lambda client: client.program)
def test_clients_take_what_is_listed_without_times(listings, kind, client, tmp_path):
    ask = listings(listing_times=False)
    client = client(ask.server, tmp_path)
    copy = tmp_path / "copy"
    wanted = {name: b"content"[: SIZES[name]] for name in FILES}
    if client.program == "curl":
        listed = client.listing("folder").splitlines()
        assert sorted(line.split()[-1] for line in listed) == ENTRIES and all(NO_DATE in line for line in listed)
        client.curl("--output", f"{copy}#1", f"{client.url}/folder/{{{','.join(FILES)}}}")
        assert {name: (tmp_path / f"copy{name}").read_bytes() for name in FILES} == wanted
        return
    for _ in range(2):
        # Once more, when the files are there already.
        if client.program == "lftp":
            client.script(f"mirror --verbose /folder {copy}", f"mirror --verbose -R {copy} /folder")
        elif client.program == "rclone":
            client.rclone("sync", "--create-empty-src-dirs", ":ftp:folder", copy)
        else:
            client.wget("--recursive", "--timestamping", "--no-host-directories", "--cut-dirs=1", f"--directory-prefix={copy}", f"{client.url}/folder/")
        files, folders = read_tree(copy)
        assert {name: content for name, content in files.items() if ".listing" not in name} == wanted and folders == {"sub"}


@pytest.mark.parametrize("value", ["None", "-1", "-0.5", "3601", "'yes'", "float('nan')", "[]"])
def test_listing_times_that_cannot_be(tmp_path, value):
    code, output = run_micropython(tmp_path, f"from ftpdlite import FTPdLite\nFTPdLite(root={str(tmp_path)!r}, listing_times={value})\n")
    wanted = "ValueError: listing_times must be True, False, or a number of seconds from 0 to 3600"
    assert code == 1 and output.strip().endswith(wanted), output
