"""Listings of directories that are large, strange, or changing."""

import calendar
import os
import re
import threading
import time

import pytest
from server import DIST, MAIN, wait_until

ENTRIES = 10_000
LONG = re.compile(r"-rw-r--r--   1 owner group +0 \w{3} [ \d]\d \d\d:\d\d (.*)")


def fill(folder, names):
    """Makes empty files with these names."""
    folder.mkdir()
    for name in names:
        os.close(os.open(folder / name, os.O_CREAT | os.O_WRONLY))


def lines(listing):
    """The lines of a listing as it came over the data connection."""
    text = listing.decode(errors="surrogateescape")
    assert text.endswith("\r\n")
    return text[:-2].split("\r\n")


def test_a_directory_of_10000_entries_is_listed_in_a_heap_of_128_kib(start_server):
    server = start_server(heap="128k")
    names = {f"entry number {index} of a large directory.txt" for index in range(ENTRIES)}
    fill(server.root / "many", names)
    with server.login() as control:
        assert sorted(lines(control.retrieve("NLST many"))) == sorted(names)
        assert sorted(LONG.fullmatch(line)[1] for line in lines(control.retrieve("LIST many"))) == sorted(names)
        control.expect("OPTS MLST type;size;", "200")
        listed = lines(control.retrieve("MLSD many"))
        assert sorted(listed) == sorted({f"type=file;size=0; {name}" for name in names} | {"type=cdir; .", "type=pdir; .."})
        # The same on the control connection.
        status = control("STAT many").split("\n")
        assert sorted(LONG.fullmatch(line)[1] for line in status[1:-1]) == sorted(names)
        control.expect("NOOP", "200")
    server.assert_nothing_leaked()


def test_a_listing_that_is_cut_off_leaves_the_next_one_whole(server):
    names = {f"entry number {index} of a large directory.txt" for index in range(2000)}
    fill(server.root / "many", names)
    with server.login() as control:
        data = control.data(receive_buffer=4096)
        control.expect("LIST many", "150")
        data.recv(100)
        data.close()
        assert control.reply().startswith("426 ")
        assert sorted(lines(control.retrieve("NLST many"))) == sorted(names)


def test_entries_that_vanish_during_a_listing_do_no_harm(server):
    names = [f"entry number {index}" for index in range(3000)]
    fill(server.root / "many", names)
    remover = threading.Thread(target=lambda: [os.unlink(server.root / "many" / name) for name in names])
    with server.login() as control:
        remover.start()
        listing = control.retrieve("LIST many")
        remover.join()
        assert listing == b"" or len(lines(listing)) <= len(names)
        assert control.retrieve("LIST many") == b""


@pytest.mark.parametrize(
    "name, shown",
    [
        (b"blank at the end ", b"blank at the end "),
        (b" blank at the front", b" blank at the front"),
        (b"-la", b"-la"),
        (b"*.txt", b"*.txt"),
        ("Äpfel, 北京 🛩".encode(), "Äpfel, 北京 🛩".encode()),
        (b"x" * 255, b"x" * 255),
        (b"\x80\x81 is no UTF-8", b"\x80\x81 is no UTF-8"),
        # Names that no client can send are listed, too, without their control bytes.
        (b"a\\b", b"a\\b"),
        (b"..\\secret", b"..\\secret"),
        (b"two\r\nlines", b"two??lines"),
        (b"\x01\x1b[2J\x7f", b"??[2J?"),
    ],
)
def test_a_strange_name_is_listed(server, name, shown):
    (server.root / "folder").mkdir()
    with open(os.fsencode(server.root / "folder") + b"/" + name, "wb") as file:
        file.write(b"content")
    with server.login() as control:
        assert control.retrieve("NLST folder") == shown + b"\r\n"
        assert control.retrieve("LIST folder").endswith(b" " + shown + b"\r\n")
        assert b" " + shown + b"\r\n" in control.retrieve("MLSD folder")
        assert control("STAT folder").encode(errors="surrogateescape").split(b"\n")[1].endswith(b" " + shown)


@pytest.mark.parametrize(
    "name",
    ["blank at the end ", " blank at the front", "Äpfel, 北京 🛩", "two. dots.", "[a-z] & 'so' (1) #%;=@", "x" * 240, "\udc80\udc81 is no UTF-8"],
)
def test_a_strange_name_is_served(board, name):
    # FAT drops blanks and dots at the end, and still finds the file by the name with them.
    kept = name.rstrip(" .") if board.files.folds_case else name
    with board.login() as control:
        control.store(f"STOR {name}", b"content")
        assert board.files.tree() == {f"/{kept}": b"content"}
        assert control.retrieve("NLST") == kept.encode(errors="surrogateescape") + b"\r\n"
        assert control("SIZE " + name) == "213 7"
        assert control.retrieve(f"RETR {name}") == b"content"
        control.expect(f"RNFR {name}", "350")
        control.expect(f"RNTO {name}2", "250")
        assert board.files.names() == [f"{name}2"]
        control.expect(f"DELE {name}2", "250")
        assert not board.files.names()


def test_a_link_is_listed_as_what_it_leads_to_and_a_broken_one_does_no_harm(server):
    (server.root / "folder").mkdir()
    (server.root / "folder" / "file").write_bytes(b"content")
    (server.root / "folder" / "link").symlink_to("file")
    (server.root / "folder" / "broken").symlink_to("nowhere")
    with server.login() as control:
        assert sorted(lines(control.retrieve("NLST folder"))) == ["broken", "file", "link"]
        listed = {line.rsplit(" ", 1)[1]: line for line in lines(control.retrieve("LIST folder"))}
        assert sorted(listed) == ["broken", "file", "link"]
        assert listed["link"].startswith("-rw-r--r--   1 owner group          7 ")


def test_every_kind_of_listing(board):
    files = board.files
    files.fill({"/folder/a.txt": b"content", "/folder/Größe.bin": b"x" * 12345, "/folder/inner/file": b"", "/empty/": None})
    names = ["Größe.bin", "a.txt", "inner"]
    with board.login() as control:
        for argument in (" folder", " /folder/", " -la folder"):
            assert sorted(lines(control.retrieve("NLST" + argument))) == sorted(names)
            listed = {line.split(None, 8)[8]: line.split()[:5] for line in lines(control.retrieve("LIST" + argument))}
            assert sorted(listed) == names and listed["Größe.bin"] == ["-rw-r--r--", "1", "owner", "group", "12345"]
            assert listed["inner"][0] == "drwxr-xr-x"
        control.expect("OPTS MLST type;size;", "200")
        assert sorted(lines(control.retrieve("MLSD folder"))) == sorted(
            ["type=cdir; .", "type=pdir; ..", "type=file;size=7; a.txt", "type=file;size=12345; Größe.bin", "type=dir; inner"]
        )
        assert control("MLST folder/a.txt").split("\n")[1] == " type=file;size=7; /folder/a.txt"
        assert len(control("STAT folder").split("\n")) == 5
        assert control.retrieve("NLST empty") == control.retrieve("LIST empty") == b""
        assert lines(control.retrieve("LIST folder/*.txt")) == [line for line in lines(control.retrieve("LIST folder")) if line.endswith(" a.txt")]
        for missing in ("nothing", "folder/nothing", "nothing/*"):
            control.data().close()
            for command in ("LIST", "NLST", "STAT"):
                control.expect(f"{command} {missing}", "550 No such file or directory.")


def test_the_unique_fact_tells_files_apart(server):
    for name in ("a", "b"):
        (server.root / name).touch()
    with server.login() as control:
        control.expect("OPTS MLST unique;", "200")
        found = dict(line.rsplit(" ", 1)[::-1] for line in lines(control.retrieve("MLSD")))
    assert found["a"].startswith("unique=") and found["a"] != found["b"]


@pytest.mark.parametrize(
    "days, shown",
    [
        (1, "%b %e %H:%M"),
        (170, "%b %e %H:%M"),
        (190, "%b %e  %Y"),
        (3000, "%b %e  %Y"),
        # The future, as a board with its clock behind sees it.
        (-2, "%b %e  %Y"),
    ],
)
def test_list_shows_the_time_of_young_files_and_the_year_of_old_ones(server, days, shown):
    seconds = int(time.time()) - days * 86400
    (server.root / "file").write_bytes(b"")
    os.utime(server.root / "file", (seconds, seconds))
    with server.login() as control:
        listed = control.retrieve("LIST").decode()
    assert listed == f"-rw-r--r--   1 owner group          0 {time.strftime(shown, time.gmtime(seconds))} file\r\n"


def test_times_are_utc_wherever_the_server_stands(start_server):
    server = start_server(program='import os\nos.putenv("TZ", "Asia/Tokyo")\n' + MAIN)
    seconds = int(time.time()) - 86400
    (server.root / "file").write_bytes(b"")
    os.utime(server.root / "file", (seconds, seconds))
    there = time.gmtime(seconds)
    with server.login() as control:
        assert control("MDTM file") == time.strftime("213 %Y%m%d%H%M%S", there)
        assert time.strftime(" %b %e %H:%M file", there) in control.retrieve("LIST").decode()
        assert time.strftime("modify=%Y%m%d%H%M%S;", there) in control.retrieve("MLSD").decode()


@pytest.mark.parametrize(
    "seconds, stamp",
    [
        (1, "19700101000001"),
        (951782400, "20000229000000"),
        (2147483648, "20380119031408"),
        (4107542400, "21000301000000"),
        (4294967295, "21060207062815"),
    ],
)
def test_mdtm_near_the_ends_of_time(server, seconds, stamp):
    (server.root / "file").write_bytes(b"")
    os.utime(server.root / "file", (seconds, seconds))
    with server.login() as control:
        assert control("MDTM file") == f"213 {stamp}"


# Modules of a port that counts its seconds from 2000, in 32 bits without a sign, as VfsFat does there.
COUNTS_FROM_2000 = {
    "time.py": """\
from utime import *
from utime import gmtime as _gmtime, time as _time

def gmtime(seconds=None):
    return _gmtime() if seconds is None else _gmtime(seconds + 946684800)

def time():
    return _time() - 946684800
""",
    "os.py": """\
from uos import *
from uos import stat as _stat

def stat(path):
    found = _stat(path)
    return found[:7] + tuple([seconds - 946684800 & 0xffffffff for seconds in found[7:]])
""",
}


@pytest.mark.parametrize("stamp", ["19800101000000", "19991231235959", "20000101000001", "20261128120000", "20991231235958"])
def test_times_of_a_port_that_counts_from_2000(start_server, tmp_path, stamp):
    for name, text in COUNTS_FROM_2000.items():
        (tmp_path / name).write_text(text)
    server = start_server(modules=f"{tmp_path}:{DIST}:.frozen")
    seconds = calendar.timegm(time.strptime(stamp, "%Y%m%d%H%M%S"))
    (server.root / "file").write_bytes(b"")
    os.utime(server.root / "file", (seconds, seconds))
    with server.login() as control:
        assert control("MDTM file") == f"213 {stamp}"
        assert f"modify={stamp};" in control.retrieve("MLSD").decode()
        shown = time.strftime(" %b %e  %Y file", time.gmtime(seconds))
        assert shown in control.retrieve("LIST").decode() or stamp.startswith("2026")


# LittleFS gives nameless entries without end, now and then, when others change the folder that is listed.
NAMELESS = """\
import vfs

class Nameless:
    def mount(self, readonly, mkfs):
        pass

    def stat(self, path):
        path = path.decode() if isinstance(path, bytes) else path
        if path not in ("/", "", "/file"):
            raise OSError(2)
        return (0x8000 if path == "/file" else 0x4000, 0, 0, 0, 0, 0, 7, 0, 0, 0)

    def ilistdir(self, path):
        yield b"file", 0x8000, 0, 7
        while True:
            yield b"", 0x4000, 0

vfs.mount(Nameless(), "/nameless")
"""


def test_a_listing_ends_where_entries_have_no_name(start_server):
    # The search for leftovers ends there, too.
    server = start_server(program=NAMELESS + MAIN.replace("root={root!r}", 'root="/nameless"'))
    with server.login() as control:
        for command in ("LIST", "NLST", "MLSD", "LIST *"):
            assert control.retrieve(command).count(b"file\r\n") == 1, command
        assert control("STAT /").count("file") == 1
    wait_until(server.is_asleep)
