"""Names, on every file system: which are refused, which belong to the server, where a folder can be moved, and what NLST gives."""

import re

import pytest
from server import MAIN, wait_until

# An account whose home is a folder. Beside that there are a file and a folder that it must not reach.
IN_A_HOME = MAIN.replace(
    "s.run()",
    """\
import os

os.mkdir({root!r} + "/home")
s.add_account("inmate:inner", permissions="rw", home={root!r} + "/home")
s.run()""",
)
SECRET = b"password = 'of the network'"
TREE = {
    "/main.py": SECRET,
    "/beside/secret.txt": SECRET,
    "/home/file": b"content",
    "/home/folder/inside.txt": b"inside",
    "/home/a": b"no folder",
}

# FAT takes a backslash for a slash, and a control byte for the end of the name.
BAD_NAMES = [
    r"..\main.py",
    r"..\beside",
    r"..\beside\secret.txt",
    r"folder\..\..\main.py",
    r"/..\main.py",
    "..\\",
    "\\",
    r"\main.py",
    "..\x01",
    "..\x01/main.py",
    "..\x01/beside/secret.txt",
    "..\x1f/main.py",
    "..\0",
    "..\0/main.py",
    ".\x02./main.py",
    "folder/..\x01/..\x01/main.py",
    r"a\b",
    "file\x01",
    "file\0",
    "file\x7f",
    "\x7f",
    "file\tx",
    "file\rx",
    "folder/\x1b[2J",
]

# `*` is the name.
COMMANDS = [
    "CWD *",
    "XCWD *",
    "DELE *",
    "MKD *",
    "XMKD *",
    "RMD *",
    "XRMD *",
    "RNFR *",
    "SIZE *",
    "MDTM *",
    "MLST *",
    "STAT *",
    "STAT -l *",
    "HASH *",
    "XSHA256 *",
    "XCRC *",
    "AVBL *",
    "SITE CHMOD 644 *",
    "RETR *",
    "STOR *",
    "APPE *",
    "STOU *",
    "LIST *",
    "LIST -la *",
    "LIST */?*",
    "NLST *",
    "NLST */?*",
    "MLSD *",
]
TIME_COMMANDS = ["MFMT 20240102030405 *", "MDTM 20240102030405 *", "SITE UTIME 20240102030405 *", "SITE UTIME * 20240102030405 20240102030405 20240102030405 UTC"]


def expect_refused(control, commands, name):
    for command in commands:
        command = command.replace("*", name)
        assert control(command) == "553 Name not allowed.", command


@pytest.mark.parametrize("account", ["inmate:inner", "tester:secret"])
def test_what_fat_takes_for_another_name_is_refused_everywhere(start_board, account):
    server = start_board(program=IN_A_HOME)
    server.files.fill(TREE)
    before = server.files.tree()
    with server.login(account) as control:
        if account == "tester:secret":
            control.expect("CWD home", "250")
        here = control("PWD")
        # A command that is refused does not use up the data connection.
        with control.data():
            for name in BAD_NAMES:
                expect_refused(control, COMMANDS, name)
                control.expect("RNFR file", "350")
                expect_refused(control, ["RNTO *"], name)
                control.expect("RNTO other", "503")
                # 504 where the file system cannot set times.
                for command in TIME_COMMANDS:
                    reply = control(command.replace("*", name))
                    assert reply.startswith(("553 ", "504 ")), f"{command}: {reply}"
        assert control("PWD") == here
        assert control.retrieve("RETR file") == b"content"
    assert server.files.tree() == before
    server.files.remount()
    assert server.files.tree() == before
    server.assert_nothing_leaked()


@pytest.mark.parametrize("name", ["...", "....", ".. ", "..  ", ". .", ".. .", " ..", "~", "MAIN~1.PY", "0:", "0:/main.py"])
def test_dots_and_blanks_lead_nowhere(start_board, name):
    server = start_board(program=IN_A_HOME)
    server.files.fill(TREE)
    before = {path: content for path, content in server.files.tree().items() if not path.startswith("/home/")}
    with server.login("inmate:inner") as control:
        assert "main.py" not in control("STAT " + name) and "secret" not in control("STAT " + name)
        for path in (name, f"{name}/main.py", f"folder/{name}/{name}/main.py", f"{name}/../main.py"):
            for command in (f"SIZE {path}", f"DELE {path}", f"RMD {path}", f"MKD {path}/evil", f"HASH {path}"):
                control(command)
            with control.data() as data:
                for command in (f"RETR {path}", f"STOR {path}"):
                    if control(command).startswith("150"):
                        data.close()
                        assert control.reply()[0] in "24"
                        control.data().close()
            rename(control, path, "stolen")
        # If the file system allows this name, the folder is inside of the home.
        if control(f"CWD {name}").startswith("250"):
            assert b"main.py" not in control.retrieve("NLST") and b"secret" not in control.retrieve("NLST beside")
    assert {path: content for path, content in server.files.tree().items() if not path.startswith("/home/")} == before


@pytest.mark.parametrize("name", BAD_NAMES)
def test_no_time_is_set_by_a_name_that_is_not_allowed(start_server, name):
    server = start_server(program=IN_A_HOME, sets_times=True)
    server.files.fill(TREE)
    with server.login("inmate:inner") as control:
        expect_refused(control, TIME_COMMANDS, name)


# -- the server's own

OWN_NAMES = [".ftpdlite-1", ".FTPDLITE-1", ".FtpdLite-1", ".ftpdlite-1.", ".ftpdlite-1...", ".ftpdlite-1 ", ".FTPDLITE-1 . ."]


def test_the_servers_own_names_are_refused_however_they_are_written(board):
    files = board.files
    files.fill({"/.ftpdlite-1": b"half of", "/folder/.FTPDLITE-1": b"half of another", "/file": b"content"})
    before = files.tree()
    with board.login() as control:
        with control.data():
            for own in OWN_NAMES:
                for name in (own, f"/folder/{own}", f"folder/../{own}"):
                    for command in (
                        "CWD *|DELE *|MKD *|RMD *|RNFR *|SIZE *|MDTM *|MLST *|STAT *|HASH *|RETR *|STOR *|APPE *|LIST *|NLST *|MLSD *".split("|")
                    ):
                        assert control(command.replace("*", name)) == "550 No such file or directory.", (command, name)
                    control.expect("RNFR file", "350")
                    assert control(f"RNTO {name}") == "550 No such file or directory."
        assert files.tree() == before
        for folder in ("/", "/folder"):
            for command in (f"LIST -a {folder}", f"NLST {folder}", f"MLSD {folder}", f"NLST {folder.rstrip('/')}/.*", f"LIST {folder.rstrip('/')}/.[Ff]*"):
                assert b"ftpdlite" not in control.retrieve(command).lower(), command
            assert "ftpdlite-" not in control(f"STAT {folder}").lower()


def test_an_upload_that_runs_has_no_other_name_either(board):
    with board.login() as control, board.login() as other:
        board.files.write("/folder.ftp", b"mine")
        with control.data() as data:
            control.expect("STOR file", "150")
            data.sendall(b"half of")
            # Its short name on FAT, whatever that is.
            for number in range(1, 4):
                for short in (f"FTPDLI~{number}", f"ftpdli~{number}", f"FTPDLI~{number}.", f"~{number}.FTP", f"~{number}.ftp", f".FTPDL~{number}", f"_FTPDL~{number}"):
                    for command in (f"SIZE {short}", f"DELE {short}", f"RNFR {short}", f"RETR {short}", f"MLST {short}"):
                        with other.data():
                            assert other(command) == "550 No such file or directory.", command
            data.sendall(b" it")
        assert control.reply() == "226 Transfer complete."
    assert board.files.tree() == {"/file": b"half of it", "/folder.ftp": b"mine"}


# -- where a folder may go


def rename(control, old, new):
    """RNFR and RNTO; gives the reply of the last that was sent."""
    reply = control(f"RNFR {old}")
    return control(f"RNTO {new}") if reply.startswith("350 ") else reply


FOLDERS = {"/Ärger/ñ/f.txt": b"fold", "/ńow/Ŏx/f.txt": b"fold", "/\udc84/f.txt": b"fold", "/Папка/x.txt": b"fold", "/d/e/f.txt": b"deep", "/d/g.txt": b"in d", "/longfoldername/in/side.txt": b"long", "/other/h.txt": b"other", "/top.txt": b"top"}


@pytest.mark.parametrize(
    "old, new",
    [
        ("d", "d/x"),
        ("d", "d/e/x"),
        ("/d/", "/d/e/x/"),
        ("d", "other/../d/./e//x"),
        ("d/e", "d/e/x"),
        ("longfoldername", "longfoldername/in/x"),
        # Other names of the same folder, on FAT; elsewhere there is no such folder.
        ("d", "D/x"),
        ("d", "D/E/x"),
        ("d", "d/E/x"),
        ("d/e", "D/e/x"),
        ("D", "d/e/x"),
        ("D", "D/x"),
        ("d", "d./x"),
        ("d", "d /x"),
        ("d", "D. ./E./x"),
        ("d.", "d/x"),
        ("d", "d/e./x"),
        ("longfoldername", "LONGFO~1/x"),
        ("longfoldername", "longfo~1/IN/x"),
        ("LONGFO~1", "longfoldername/x"),
        ("LONGFO~1", "LONGFO~1/in/x"),
        ("longfoldername", "LongFolderName/in/x"),
        ("Ärger", "ärger/x"),
        ("Ärger", "äRGER/Ñ/x"),
        ("ärger", "Ärger/x"),
        ("Ärger", "Ärger/ñ/x"),
        ("Папка", "пАПКА/x"),
        ("Папка", "7D3E~1/x"),
        # These are two letters, but one to FAT, which reads bytes as letters of code page 437.
        ("ńow", "Ŏow/x"),
        ("ńow", "ŎOW/ńx/x"),
        ("\udc84", "\udc8e/x"),
        ("\udc8e", "\udc84/x"),
    ],
)
def test_a_folder_does_not_go_into_itself(board, old, new):
    files = board.files
    files.fill(FOLDERS)
    before = files.tree()
    with board.login() as control:
        reply = rename(control, old, new)
        assert reply.startswith(("550 ", "553 ")), reply
        if new.startswith(old + "/") and files.exists(old):
            assert reply == "553 Cannot move a folder into itself."
        control.expect("RNTO elsewhere", "503")
        assert files.tree() == before
        # The same from inside.
        control.expect("CWD d", "250")
        for old, new in (("../d", "x"), (".", "x"), (".", "e/x")):
            assert rename(control, old, new) == "553 Cannot move a folder into itself."
        # The root stays where it is.
        for root in ("..", "/", "../d/../.."):
            assert control(f"RNFR {root}") == "550 Permission denied."
    assert files.tree() == before
    # The disc itself is read, not only what the file system has in memory.
    files.remount()
    assert files.tree() == before


def test_the_same_name_in_another_case(board):
    files = board.files
    files.fill({"/Foo": b"a file", "/Dir/inside.txt": b"inside", "/Dir/Sub/deep": b"deep", "/a name that is longer": b"longer"})
    with board.login() as control:
        for old, new in (
            ("Foo", "foo"),
            ("foo", "FOO"),
            ("FOO", "FOO"),
            ("Dir", "dir"),
            ("dir", "DIR"),
            ("DIR/Sub", "DIR/sub"),
            ("/DIR/sub/deep", "/DIR/sub/DEEP"),
            ("a name that is longer", "A Name that is longer"),
        ):
            assert rename(control, old, new) == "250 File renamed.", (old, new)
    after = {"/FOO": b"a file", "/DIR/": None, "/DIR/inside.txt": b"inside", "/DIR/sub/": None, "/DIR/sub/DEEP": b"deep", "/A Name that is longer": b"longer"}
    assert files.tree() == after
    files.remount()
    assert files.tree() == after


def test_a_name_becomes_what_means_the_same(board):
    # On FAT the new name is the old file's short name, or means the same without the dots and blanks.
    files = board.files
    files.fill({"/longfoldername/in/side.txt": b"long", "/a long name.txt": b"a file", "/umlaut Ä/in.txt": b"in"})
    with board.login() as control:
        for old, new in (
            ("longfoldername", "LONGFO~1"),
            ("a long name.txt", "ALONGN~1.TXT"),
            ("LONGFO~1", "folder."),
            ("umlaut Ä", "UMLAUT ä"),
            ("ALONGN~1.TXT", "file "),
            ("file ", "file"),
        ):
            assert rename(control, old, new) == "250 File renamed.", (old, new)
        assert control.retrieve("RETR file") == b"a file"
        assert control.retrieve("RETR folder./in/side.txt") == b"long"
        assert control.retrieve("RETR UMLAUT ä/in.txt") == b"in"
    files.remount()
    assert sorted(content for content in files.tree().values() if content) == [b"a file", b"in", b"long"]
    assert len(files.names()) == 3


def test_a_folder_goes_wherever_else(board):
    files = board.files
    files.fill(FOLDERS)
    with board.login() as control:
        # Names that begin alike, and moves up and down.
        control.expect("MKD dd", "257")
        assert rename(control, "d", "dd/d") == "250 File renamed."
        assert rename(control, "dd/d/e", "e") == "250 File renamed."
        assert rename(control, "dd/d", "d") == "250 File renamed."
        assert rename(control, "longfoldername", "d/longfoldername") == "250 File renamed."
        assert rename(control, "d/longfoldername/in", "d/in") == "250 File renamed."
        # A file cannot be in its own way.
        assert rename(control, "top.txt", "d/top.txt") == "250 File renamed."
        assert rename(control, "d/top.txt", "d/in/top.txt") == "250 File renamed."
        # A folder that is there is not replaced.
        assert rename(control, "other", "dd") == "550 Is a directory."
        assert rename(control, "other", "e") == "550 Is a directory."
        assert rename(control, "d/g.txt", "other") == "550 Is a directory."
        # Nothing above, nothing to move.
        assert rename(control, "other", "nowhere/other") == "550 No such file or directory."
        assert rename(control, "nowhere", "d/nowhere") == "550 No such file or directory."
    after = {
        "/d/": None,
        "/d/g.txt": b"in d",
        "/d/in/": None,
        "/d/in/side.txt": b"long",
        "/d/in/top.txt": b"top",
        "/d/longfoldername/": None,
        "/dd/": None,
        "/Ärger/": None,
        "/ńow/": None,
        "/ńow/Ŏx/": None,
        "/ńow/Ŏx/f.txt": b"fold",
        "/\udc84/": None,
        "/\udc84/f.txt": b"fold",
        "/Ärger/ñ/": None,
        "/Ärger/ñ/f.txt": b"fold",
        "/Папка/": None,
        "/Папка/x.txt": b"fold",
        "/e/": None,
        "/e/f.txt": b"deep",
        "/other/": None,
        "/other/h.txt": b"other",
    }
    assert files.tree() == after
    files.remount()
    assert files.tree() == after


def test_a_folder_goes_into_another_whose_name_differs_in_case(board):
    if board.files.folds_case:
        pytest.skip("there is only one of them on FAT")
    files = board.files
    files.fill({"/d/file": b"small", "/D/FILE": b"large", "/d /file": b"blank", "/d./file": b"dot"})
    with board.login() as control:
        assert rename(control, "d", "D/x") == "250 File renamed."
        assert rename(control, "d ", "d./x") == "250 File renamed."
        assert rename(control, "D/x", "D/D") == "250 File renamed."
    assert files.tree() == {
        "/D/": None,
        "/D/FILE": b"large",
        "/D/D/": None,
        "/D/D/file": b"small",
        "/d./": None,
        "/d./file": b"dot",
        "/d./x/": None,
        "/d./x/file": b"blank",
    }


def test_a_file_is_replaced_by_another_in_any_case(board):
    files = board.files
    files.fill({"/old": b"old", "/New.txt": b"new", "/f/deep": b"deep"})
    with board.login() as control:
        assert rename(control, "New.txt", "OLD") == "250 File renamed."
        assert control.retrieve("RETR OLD") == b"new"
        # A file cannot hold a file.
        for target in ("OLD/x", "f/deep/x"):
            reply = rename(control, "OLD", target)
            assert reply.startswith(("550 ", "553 ")), reply
        assert control.retrieve("RETR OLD") == b"new"
        assert control.retrieve("RETR f/deep") == b"deep"
    assert files.names() == (["OLD", "f"] if files.folds_case else ["OLD", "f", "old"])


# -- STOU

# A file system on which every name is taken.
ALL_TAKEN = (
    """\
import vfs

class FileSystem:
    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass

    def stat(self, path):
        kind = 0x4000 if path in ("", "/") else 0x8000
        return (kind, 0, 0, 0, 0, 0, 7, 0, 0, 0)

    def ilistdir(self, path):
        return iter(())

    def open(self, path, mode):
        raise OSError(5)

vfs.mount(FileSystem(), "/taken")
"""
    + MAIN.replace("root={root!r}", "root='/taken'")
)


def test_stou_gives_up_when_every_name_is_taken(start_server):
    server = start_server(program=ALL_TAKEN)
    with server.login() as control, server.login() as other:
        for command in ("STOU", "STOU name", "STOU name.12"):
            with control.data():
                control.send(command.encode() + b"\r\n")
                # Others are served meanwhile.
                for _ in range(3):
                    other.expect("NOOP", "200")
                assert control.reply() == "450 No free name found."
        control.expect("NOOP", "200")
    server.assert_nothing_leaked()


def test_stou_passes_names_over_that_are_taken(board):
    files = board.files
    files.fill({f"/log.{number}": b"taken" for number in range(1, 30)})
    with board.login() as control:
        with control.data() as data:
            told = control("STOU log")
            data.sendall(b"new")
        assert control.reply() == "226 Transfer complete."
    name = re.fullmatch(r"150 FILE: (log\.\d+)", told)[1]
    assert files.read("/" + name) == b"new" and len(files.names()) == 30
    assert all(files.read(f"/log.{number}") == b"taken" for number in range(1, 30))


# -- what NLST gives back


@pytest.mark.parametrize(
    "argument, names",
    [
        # A folder: bare names.
        ("", ["a.txt", "sub", "x"]),
        (".", ["a.txt", "sub", "x"]),
        ("/", ["a.txt", "sub", "x"]),
        ("sub", ["a.txt", "b.txt", "c.bin", "deep"]),
        ("sub/", ["a.txt", "b.txt", "c.bin", "deep"]),
        ("/sub", ["a.txt", "b.txt", "c.bin", "deep"]),
        ("-la sub", ["a.txt", "b.txt", "c.bin", "deep"]),
        ("x/../sub/.", ["a.txt", "b.txt", "c.bin", "deep"]),
        # A file, and what fits a pattern: as the client wrote the folder.
        ("a.txt", ["a.txt"]),
        ("./a.txt", ["./a.txt"]),
        ("/a.txt", ["/a.txt"]),
        ("sub/a.txt", ["sub/a.txt"]),
        ("/sub/a.txt", ["/sub/a.txt"]),
        ("-1 sub//a.txt", ["sub//a.txt"]),
        ("*", ["a.txt", "sub", "x"]),
        ("./*.txt", ["./a.txt"]),
        ("sub/*.txt", ["sub/a.txt", "sub/b.txt"]),
        ("/sub/*.txt", ["/sub/a.txt", "/sub/b.txt"]),
        ("/../sub/[ab].*", ["/../sub/a.txt", "/../sub/b.txt"]),
        ("../x/*.txt", ["../x/a.txt"]),
        ("sub/./../sub/b*", ["sub/./../sub/b.txt"]),
        ("sub/d*", ["sub/deep"]),
        ("sub/deep/*", ["sub/deep/z.txt"]),
        ("sub/*.none", []),
    ],
)
def test_nlst_gives_names_that_can_be_sent_back(board, argument, names):
    board.files.fill(
        {"/a.txt": b"decoy", "/sub/a.txt": b"sub a", "/sub/b.txt": b"sub b", "/sub/c.bin": b"sub c", "/sub/deep/z.txt": b"z", "/x/a.txt": b"x a"}
    )
    with board.login() as control:
        told = control.retrieve(f"NLST {argument}".rstrip(" ")).decode().split("\r\n")
        assert told.pop() == "" and sorted(told) == names
        if "/" in "".join(names):
            for name in names:
                if not name.endswith("deep"):
                    plain = "/" + name.replace("..", "").replace("//", "/").strip("./") if "sub/./../" not in name else "/sub/b.txt"
                    assert control.retrieve(f"RETR {name}") == board.files.read(plain.replace("//", "/"))


@pytest.mark.parametrize("size", [512, 513, 4096])
def test_nlst_of_long_names_in_a_long_folder(start_board, size):
    server = start_board(transfer_buffer_size=size)
    folder = "/" + "f" * 100 + "/" + "g" * 100
    names = [letter * 50 for letter in "abcdefghij"] + ["k"]
    server.files.fill({f"{folder}/{name}": name.encode() for name in names} | {"/" + "n" * 240: b"long"})
    with server.login() as control:
        written = folder + "/" + "./" * 20
        for pattern in ("*", "?*"):
            told = control.retrieve(f"NLST {written}{pattern}").decode().split("\r\n")
            assert sorted(told) == ["", *(written + name for name in names)]
        assert control.retrieve(f"NLST {'./' * 100}n*").decode() == "./" * 100 + "n" * 240 + "\r\n"
        assert control.retrieve(f"NLST {'./' * 120}{'n' * 240}").decode() == "./" * 120 + "n" * 240 + "\r\n"
    server.assert_nothing_leaked()


# -- the log

LOGGED = MAIN.replace("s.run()", 's.add_account("\\x1b[31mred:secret")\ns.run()')
NASTY = [b"\x1b[2J", b"\x07bell", b"\x9b31m", b"\xc2\x9b31m", b"\x7f", b"\x1b]0;title\x07", b"a\rb", b"a\tb", b"nul\0", b"\x80\x9f\xc2\x80\xc2\x85", "Größe 北京 🛩".encode()]


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("log", ["print", "lambda line: print('LOG', line)"])
def test_no_control_character_of_a_client_reaches_the_log(start_server, debug, log):
    server = start_server(program=LOGGED.replace("{settings}", "{settings}, debug=%s, log=%s" % (debug, log)), max_login_failures=0)
    for nasty in NASTY:
        with server.connect() as control:
            control.reply()
            for line in (b"USER ", b"PASS ", b"CLNT ", b"", b"OPTS ", b"HELP ", b"SITE ", b"AUTH "):
                control.send(line + nasty + b"\r\n")
                control.reply()
        with server.login() as control:
            control.send(b"MKD " + nasty + b"\r\nCWD " + nasty + b"\r\nSITE KICK " + nasty + b"\r\nSITE HASHPASS\r\n" + b"x" * 600 + nasty + b"\r\nPWD\r\n")
            for _ in range(6):
                control.reply()
            with control.data() as data:
                control.send(b"STOR " + nasty + b"\r\n")
                if control.reply().startswith("150"):
                    data.close()
                    control.reply()
            control.send(b"USER " + nasty + b"\r\n")
            control.reply()
    with server.connect() as control:
        control.reply()
        control.send(b"USER \x1b[31mred\r\nPASS secret\r\n")
        control.reply(), control.reply()
    wait_until(lambda: server.output().count("Session disconnected") == 2 * len(NASTY) + 1, server.describe)
    printed = (server.folder / "output.txt").read_bytes().decode(errors="surrogateescape")
    assert "Listening on" in printed and (not debug or "USER" in printed)
    # C0 but for the line end, DEL, C1, and C1 as bytes that are no UTF-8.
    found = re.findall("[^\n]*[\0-\x09\x0b-\x1f\x7f-\x9f\udc80-\udc9f][^\n]*", printed)
    assert not found, found[:5]


# -- files that fail

# A file that can be opened, and no more.
UNSEEKABLE = (
    ALL_TAKEN.split("vfs.mount")[0].replace("        raise OSError(5)\n", "        return File(path, mode)\n").replace("import vfs\n", """\
import io, vfs

class File(io.IOBase):
    def __init__(self, path, mode):
        print("opened", path, mode)

    def seek(self, offset, whence=0):
        raise FAILURE

    def readinto(self, buffer):
        return 0

    def write(self, data):
        return len(data)

    def ioctl(self, operation, argument):
        raise FAILURE

    def close(self):
        print("closed")
""")
    + 'vfs.mount(FileSystem(), "/taken")\n'
    + MAIN.replace("root={root!r}", "root='/taken'")
)


@pytest.mark.parametrize("failure", ["OSError(5)", "MemoryError()"])
def test_a_failing_seek_leaves_no_file_open(start_server, failure):
    server = start_server(program=UNSEEKABLE.replace("FAILURE", failure))
    with server.login() as control:
        for count, command in enumerate(("RETR file", "STOR file"), 1):
            for _ in range(2):
                control.expect("REST 3", "350")
                with control.data():
                    reply = control(command)
                    assert reply[0] in "45", reply
                control.expect("NOOP", "200")
        wait_until(lambda: server.output().count("closed") == server.output().count("opened") == 4, server.describe)
    server.assert_nothing_leaked()
