"""What is typed at the prompt of `ftp`, NetBSD's (tnftp) and GNU's (inetutils), and what Perl's Net::FTP does, beside a second session that
transfers all the time."""

import os

import pytest
from clients import Inetutils, NetFtp, Tnftp
from trees import content, fill, make_hard_tree, read_tree

pytestmark = pytest.mark.clients

# 2 January 2024, 03:04:05 UTC
THEN = 1704164645


@pytest.fixture(params=[Tnftp, Inetutils], ids=["tnftp", "inetutils"])
def ftp(request, server, here, tmp_path):
    return request.param(server, tmp_path)


def active(ftp):
    """The commands for PORT."""
    return ("passive off", "epsv4 off") if type(ftp) is Tnftp else ("passive",)


def local_files(ftp):
    """The files in the working directory, without those of the client itself."""
    return {name: data for name, data in read_tree(ftp.home)[0].items() if not name.startswith(".")}


class TestFtp:
    @pytest.mark.parametrize("mode", ["passive", "active"])
    def test_several_files_by_wildcard(self, ftp, server, here, mode):
        settings = active(ftp) if mode == "active" else ()
        files = {f"file {index} of \"5\".txt": content(f"{index}", 5000 * index) for index in range(5)}
        fill(ftp.home, files | {"other.bin": b""})
        ftp.script(*settings, "prompt", "cd here", "mkdir up", "cd up", "mput *.txt")
        assert read_tree(here / "up")[0] == files
        for name in files:
            (ftp.home / name).unlink()
        ftp.script(*settings, "prompt", "cd here/up", "mget file*")
        assert local_files(ftp) == files | {"other.bin": b""}
        ftp.script(*settings, "prompt", "cd here/up", "mdelete *[0-3]*.txt")
        assert sorted(os.listdir(here / "up")) == ['file 4 of "5".txt']

    @pytest.mark.parametrize("mode", ["passive", "active"])
    @pytest.mark.parametrize("folder", ["sub", "/here/sub", "../here/sub"])
    def test_a_wildcard_in_another_folder_leaves_the_current_one_alone(self, ftp, here, mode, folder):
        settings = active(ftp) if mode == "active" else ()
        decoys = {"a.txt": b"decoy", "b.txt": b"decoy", "d.txt": b"decoy"}
        wanted = {f"{name}.txt": content(name, 5000) for name in "abc"}
        fill(here, decoys | {f"sub/{name}": data for name, data in wanted.items()} | {"sub/e.bin": b"other"})
        # A file goes to the same name, in a folder that must be there; tnftp takes no names that begin at the root or lead upwards.
        (ftp.home / "sub").mkdir()
        ftp.script(*settings, "prompt", "cd here", "mget sub/*.txt")
        assert local_files(ftp) == {f"sub/{name}": data for name, data in wanted.items()}
        ftp.script(*settings, "prompt", "cd here", f"mdelete {folder}/*.txt")
        assert read_tree(here)[0] == decoys | {"sub/e.bin": b"other"}

    @pytest.mark.parametrize("mode", ["passive", "active"])
    def test_every_file_of_a_tree_in_one_session(self, ftp, here, tmp_path, mode):
        settings = active(ftp) if mode == "active" else ()
        files = make_hard_tree(tmp_path / "tree")
        commands = []
        for number, name in enumerate(files):
            (here / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(tmp_path / "tree" / name, ftp.home / f"{number}.bin")
            remote = ftp.word(f"/here/{name}")
            commands += [f"put {number}.bin {remote}", f"get {remote} {number}.back"]
        ftp.script(*settings, *commands)
        assert read_tree(here)[0] == files
        assert [(ftp.home / f"{number}.back").read_bytes() for number in range(len(files))] == list(files.values())

    @pytest.mark.parametrize("mode", ["passive", "active"])
    def test_reget_append_and_restart(self, ftp, here, mode):
        settings = active(ftp) if mode == "active" else ()
        whole = content("whole", 300_001)
        fill(here, {"two words": whole, "log": b"first, "})
        fill(ftp.home, {"got": whole[:65_536], "more": b"second, "})
        output = ftp.script(*settings, "cd here", r"reget two\ words got", "append more log", "append more log", "append more new")
        assert ("PORT command" in output) == (mode == "active")
        assert (ftp.home / "got").read_bytes() == whole
        assert (here / "log").read_bytes() == b"first, second, second, "
        assert (here / "new").read_bytes() == b"second, "
        fill(ftp.home, {"begun": whole[:300_000]})
        ftp.script(*settings, "cd here", "restart 300000", r"get two\ words begun", r"get two\ words again")
        assert (ftp.home / "begun").read_bytes() == (ftp.home / "again").read_bytes() == whole

    def test_newer_transfers_only_what_is(self, ftp, here):
        fill(here, {"old": b"old", "new": b"new"})
        fill(ftp.home, {"old": b"local", "new": b"local"})
        os.utime(here / "old", (THEN, THEN))
        os.utime(ftp.home / "new", (THEN, THEN))
        ftp.script("cd here", "newer old", "newer new")
        assert local_files(ftp) == {"old": b"local", "new": b"new"}

    def test_folders_and_names(self, ftp, here):
        fill(here, {"old name": b"content", "full/file": b""})
        output = ftp.script(
            "cd here",
            r"rename old\ name it's\ \"new\"".replace("'", r"\'"),
            r"mkdir Gr\ üße",
            r"cd Gr\ üße",
            "pwd",
            "cdup",
            "pwd",
            r"rmdir Gr\ üße",
            "rmdir full",
            "delete full/file",
            "cd full/file",
            "delete nothing",
        )
        assert "/here/Gr üße" in output and output.count("550 ") == 3
        assert read_tree(here) == ({"it's \"new\"": b"content"}, {"full"})

    def test_what_it_asks_for_besides(self, ftp, here):
        fill(here, {"file": content("file", 12345)})
        os.utime(here / "file", (THEN, THEN))
        output = ftp.script(
            "cd here", "size file", "modtime file", "status", "system", "site HELP", "quote SITE UPTIME", "rstatus", "rhelp", "rhelp RETR"
        )
        for text in ("12345", "2024", "Connected", "UNIX Type: L8", "CHMOD", "211 Up ", "211 End of status", "RETR", "pathname"):
            assert text in output, f"{text} is not in\n{output}"

    def test_lists_to_the_screen_and_to_files(self, ftp, here):
        fill(here, {"a.txt": b"x" * 12345, "b.txt": b"", "two words.bin": b"", "folder/inside": b"", "empty/": None})
        output = ftp.script("cd here", "ls", "dir folder", "dir *.bin", "ls empty", "nlist *.txt names")
        assert "12345" in output and "inside" in output and output.count("two words.bin") == 2
        assert sorted((ftp.home / "names").read_text().split()) == ["a.txt", "b.txt"]

    def test_ascii_and_binary_in_turns(self, ftp, here):
        data = content("file", 10_000)
        fill(here, {"file": data, "text": b"no line end"})
        ftp.script("cd here", "ascii", "get text text", "ls", "binary", "get file file", "ascii", "put text again", "binary", "put file again.bin")
        assert local_files(ftp) == {"file": data, "text": b"no line end"}
        assert (here / "again").read_bytes() == b"no line end" and (here / "again.bin").read_bytes() == data

    def test_a_wrong_password_and_the_right_one_in_the_same_session(self, ftp, here):
        fill(here, {"file": b"content"})
        output = ftp.script("user tester wrong", "user guest guest", "get here/file file", "put file here/refused", "user tester secret", "put file here/taken")
        assert output.count("530 ") >= 1 and "550 " in output
        assert read_tree(here)[0] == {"file": b"content", "taken": b"content"}


class TestNetFtp:
    @pytest.mark.parametrize("mode", ["passive", "active"])
    def test_one_session_does_everything(self, server, here, tmp_path, mode):
        client = NetFtp(server, tmp_path)
        whole = content("whole", 300_001)
        fill(here, {"down": whole, "full/deep/file": b"", "full/other": b""})
        fill(client.home, {"up": whole, "got": whole[:1000], "more": b" and more"})
        os.utime(here / "down", (THEN, THEN))
        output = client.perl(
            f"$ftp->passive({int(mode == 'passive')});",
            "must($ftp->cwd('here'), 'cwd'); print 'pwd ', $ftp->pwd, qq(\\n);",
            "print 'size ', $ftp->size('down'), ' time ', $ftp->mdtm('down'), qq(\\n);",
            "must($ftp->get('down', 'got', 1000), 'get');",
            "must($ftp->mkdir('new/two words', 1), 'mkdir');",
            "must($ftp->put('up', 'new/two words/up'), 'put'); must($ftp->append('more', 'new/two words/up'), 'append');",
            "print 'names ', join(',', sort $ftp->ls('new/two words/*')), qq(\\n);",
            "print 'lines ', scalar(@{[$ftp->dir('full')]}), qq(\\n);",
            "must($ftp->rename('new/two words/up', 'Größe'), 'rename');",
            "must($ftp->rmdir('full', 1), 'rmdir'); must($ftp->delete('down'), 'delete');",
            "die 'deleted twice' if $ftp->delete('down'); print 'code ', $ftp->code, qq(\\n);",
            "print 'feature ', $ftp->feature('REST'), qq(\\n);",
        )
        for text in ("pwd /here\n", f"size 300001 time {THEN}\n", "up\n", "lines 2\n", "code 550\n", "feature REST"):
            assert text in output, f"{text} is not in\n{output}"
        assert (client.home / "got").read_bytes() == whole
        assert read_tree(here) == ({"Größe": whole + b" and more"}, {"new", "new/two words"})
