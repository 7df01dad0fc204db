"""What else is done with lftp and the ncftp tools, beside a second session that transfers all the time."""

import os
import re

import pytest
from clients import Lftp, Ncftp
from trees import content, fill, make_hard_tree, read_tree

pytestmark = pytest.mark.clients

# 2 January 2024, 03:04:05 UTC
THEN = 1704164645


@pytest.fixture
def lftp(server, here, tmp_path):
    return Lftp(server, tmp_path)


@pytest.fixture
def ncftp(server, here, tmp_path):
    return Ncftp(server, tmp_path)


MODES = {
    "one command at a time": ("set ftp:sync-mode on",),
    "pipelined": ("set ftp:sync-mode off",),
    "active": ("set ftp:passive-mode off",),
    "active, pipelined": ("set ftp:passive-mode off", "set ftp:sync-mode off"),
    "PASV": ("set ftp:prefer-epsv off",),
    "by LIST": ("set ftp:use-mlsd no", "set ftp:use-feat no"),
    "without OPTS UTF8": ("set ftp:use-utf8 no", "set ftp:charset UTF-8"),
    "each file in pieces": ("set mirror:use-pget-n 3", "set mirror:parallel-directories yes", "set pget:min-chunk-size 50000"),
}


class TestLftp:
    @pytest.mark.parametrize("settings", MODES.values(), ids=MODES)
    def test_mirrors_there_and_back(self, lftp, here, tmp_path, settings):
        files = make_hard_tree(tmp_path / "tree")
        lftp.script(*settings, f"mirror -R -P 4 {tmp_path / 'tree'} /here/copy")
        assert read_tree(here / "copy") == read_tree(tmp_path / "tree")
        lftp.script(*settings, f"mirror -P 4 /here/copy {tmp_path / 'back'}")
        assert read_tree(tmp_path / "back") == read_tree(tmp_path / "tree")
        assert read_tree(tmp_path / "back")[0] == files

    def test_a_mirror_again_deletes_and_transfers_what_changed(self, lftp, here, tmp_path):
        tree = tmp_path / "tree"
        make_hard_tree(tree)
        lftp.script(f"mirror -R -P 4 {tree} /here/copy")
        (tree / "sizes/513.bin").unlink()
        (tree / "1/2/3/4/5/6/7/8/deep.bin").write_bytes(b"changed")
        (tree / "new, and empty").mkdir()
        output = lftp.script(f"mirror -R -e -v -P 4 {tree} /here/copy")
        assert "CHMOD" not in output and "chmod" not in output
        assert read_tree(here / "copy") == read_tree(tree)
        assert "deep.bin" in output and "300001.bin" not in output

    def test_a_mirror_keeps_the_times_of_files(self, lftp, here, tmp_path):
        fill(here, {"old": b"old", "deep/older": b"older"})
        os.utime(here / "old", (THEN, THEN))
        os.utime(here / "deep/older", (THEN - 1, THEN - 1))
        lftp.script(f"mirror /here {tmp_path / 'copy'}")
        times = [(tmp_path / "copy" / name).stat().st_mtime for name in ("old", "deep/older")]
        assert times == [THEN, THEN - 1]

    @pytest.mark.parametrize("settings", [MODES["pipelined"], MODES["active"]], ids=["passive", "active"])
    def test_several_files_by_wildcard(self, lftp, here, tmp_path, settings):
        files = {f"file {index}.txt": content(f"{index}", 1000 * index) for index in range(5)}
        fill(here, files | {"other.bin": b""})
        fill(tmp_path / "local", files | {"other.bin": b""})
        (tmp_path / "got").mkdir()
        lftp.script(*settings, f"mget -O {tmp_path / 'got'} /here/*.txt")
        assert read_tree(tmp_path / "got")[0] == files
        lftp.script(*settings, "mkdir -p /here/a/b", f"mput -O /here/a/b {tmp_path / 'local'}/*.txt")
        assert read_tree(here / "a/b")[0] == files
        lftp.script(*settings, "mrm /here/*.txt")
        assert sorted(os.listdir(here)) == ["a", "other.bin"]

    def test_find_and_du(self, lftp, here):
        files = make_hard_tree(here)
        found = {line.removeprefix("/here/") for line in lftp.script("find /here").splitlines()}
        folders = read_tree(here)[1]
        assert found == {"", *files, *(f"{folder}/" for folder in folders)}
        sizes = dict(reversed(line.split("\t", 1)) for line in lftp.script("du --bytes --all /here/sizes").splitlines())
        assert sizes["/here/sizes/300001.bin"] == "300001" and sizes["/here/sizes/0.bin"] == "0"

    def test_lists(self, lftp, here):
        make_hard_tree(here)
        for folder in ("quotes", "brackets [1]", "percent %20", "leading", "-dash"):
            listing = lftp.script(f"cd {lftp.word('/here/' + folder)}", "cls -1 --quiet", "nlist", "rels")
            for name in os.listdir(here / folder):
                assert listing.count(name) == 3, f"{name} is not thrice in\n{listing}"
        assert lftp.script("cls -1 '/here/nothing in it'") == ""

    def test_a_download_in_pieces_that_broke_off(self, lftp, here, contents, tmp_path):
        os.link(contents[1 << 20], here / "file.bin")
        lftp.script(f"pget -n 4 /here/file.bin -o {tmp_path / 'got'}")
        assert (tmp_path / "got").read_bytes() == contents[1 << 20].read_bytes()
        # In the form that lftp reads. No piece is finished: with a finished one, 4.9.2 sometimes never asks for the one after it.
        data = contents[1 << 20].read_bytes()
        quarter = len(data) // 4
        begun = bytearray(len(data))
        state = f"size={len(data)}\n"
        for index, done in enumerate((1000, 0, quarter - 5, 77)):
            start = index * quarter
            begun[start : start + done] = data[start : start + done]
            state += f"{index}.pos={start + done}\n{index}.limit={start + quarter}\n"
        (tmp_path / "again").write_bytes(begun)
        (tmp_path / "again.lftp-pget-status").write_text(state)
        lftp.script(f"pget -c -n 4 /here/file.bin -o {tmp_path / 'again'}")
        assert (tmp_path / "again").read_bytes() == data

    @pytest.mark.parametrize("settings", MODES.values(), ids=MODES)
    def test_reget_and_reput(self, lftp, here, tmp_path, settings):
        whole = content("whole", 300_001)
        fill(here, {"down one.bin": whole, "up one.bin": whole[:100_000]})
        fill(tmp_path, {"got.bin": whole[:65_536], "whole.bin": whole})
        lftp.script(
            *settings,
            f"reget '/here/down one.bin' -o {tmp_path / 'got.bin'}",
            f"put -c {tmp_path / 'whole.bin'} -o '/here/up one.bin'",
        )
        assert (tmp_path / "got.bin").read_bytes() == whole
        assert (here / "up one.bin").read_bytes() == whole

    def test_what_it_asks_for_besides(self, lftp, here):
        fill(here, {"old name": b"content", "a/b/c": b"", "d/": None})
        output = lftp.script(
            "cd here",
            "cat 'old name'",
            "mv 'old name' 'new \"name\"'",
            "mv 'new \"name\"' d/",
            "mkdir 'e f'",
            "rmdir 'e f'",
            "rm -r a",
            "quote SITE UPTIME",
            "quote STAT",
            "site HELP",
            "pwd",
        )
        assert "content" in output and "CHMOD" in output and "/here" in output
        assert read_tree(here) == ({'d/new "name"': b"content"}, {"d"})

    def test_chmod_is_taken_and_changes_nothing(self, lftp, here):
        fill(here, {"file": b""})
        mode = (here / "file").stat().st_mode
        output = lftp.script("chmod 600 /here/file", "put /dev/null -o /here/other", "quote SITE CHMOD 640 /here/file")
        assert "200 CHMOD has no effect here." in output
        assert (here / "file").stat().st_mode == mode
        assert (here / "other").exists()

    def test_copies_from_server_to_the_same_server(self, lftp, here):
        data = content("file", 100_000)
        fill(here, {"file": data})
        url = lftp.url.replace("ftp://", "ftp://tester:secret@")
        lftp.script(f"get {url}/here/file -o {url}/here/copy")
        assert (here / "copy").read_bytes() == data

    def test_two_connections_are_enough(self, start_server, tmp_path):
        """As docs/clients.md says for boards."""
        server = start_server(max_connections=2)
        lftp = Lftp(server, tmp_path)
        make_hard_tree(tmp_path / "tree")
        # The next one may be quicker than the server is in noticing that the former has gone.
        patient = ("set net:max-retries 10", "set net:reconnect-interval-base 1")
        lftp.script(*patient, f"mirror -R -P 2 {tmp_path / 'tree'} /copy")
        lftp.script(*patient, f"mirror -P 2 /copy {tmp_path / 'back'}")
        lftp.script(*patient, f"pget -n 2 /copy/sizes/300001.bin -o {tmp_path / 'got'}")
        assert read_tree(tmp_path / "back") == read_tree(server.root / "copy") == read_tree(tmp_path / "tree")
        assert (tmp_path / "got").read_bytes() == content("sizes/300001.bin", 300_001)

    def test_a_wrong_password_and_a_missing_file_end_it(self, lftp):
        lftp.run("--norc", "-c", f"set ftp:ssl-allow no; set net:max-retries 1; open -u tester,wrong {lftp.url}; ls", expect=1)
        output = lftp.run("--norc", "-c", f"set ftp:ssl-allow no; open -u tester,secret {lftp.url}; get /here/nothing", expect=1)
        assert re.search("550|No such file", output)


class TestNcftp:
    def test_a_tree_of_hard_names_both_ways(self, ncftp, server, here):
        # ncftp reads a name with a wildcard in it as one.
        files = {name: data for name, data in make_hard_tree(ncftp.home / "all").items() if not set(name) & set("*?[")}
        fill(ncftp.home / "tree", files | {"nothing in it/": None})
        ncftp.ncftp("ncftpput", "-V", "-R", "-m", server.host, "/here/new folder/and deeper", ncftp.home / "tree")
        assert read_tree(here / "new folder/and deeper/tree") == read_tree(ncftp.home / "tree")
        (ncftp.home / "back").mkdir()
        ncftp.ncftp("ncftpget", "-V", "-R", server.host, ncftp.home / "back", "/here/new folder/and deeper/tree")
        assert read_tree(ncftp.home / "back/tree")[0] == files

    @pytest.mark.parametrize("mode", ["-E", "-F"], ids=["active", "passive"])
    def test_several_files_by_wildcard(self, ncftp, server, here, mode):
        files = {f"file {index}.txt": content(f"{index}", 1000 * index) for index in range(5)}
        fill(here, files | {"other.bin": b""})
        (ncftp.home / "got").mkdir()
        ncftp.ncftp("ncftpget", "-V", mode, server.host, ncftp.home / "got", "/here/*.txt")
        assert read_tree(ncftp.home / "got")[0] == files
        ncftp.ncftp("ncftpput", "-V", mode, "-m", server.host, "/here/up", *(ncftp.home / "got" / name for name in files))
        assert read_tree(here / "up")[0] == files

    def test_upload_options(self, ncftp, server, here):
        fill(ncftp.home, {"file": content("file", 10_000), "more": b" and more"})
        # -T, -S: under a temporary name, then renamed. -A: appends.
        ncftp.ncftp("ncftpput", "-V", "-T", "tmp.", server.host, "/here", ncftp.home / "file")
        ncftp.ncftp("ncftpput", "-V", "-A", server.host, "/here", ncftp.home / "more")
        ncftp.ncftp("ncftpput", "-V", "-A", server.host, "/here", ncftp.home / "more")
        assert read_tree(here)[0] == {"file": content("file", 10_000), "more": b" and more" * 2}
        # -DD: deletes the local file when it is there. ncftpget -DD: the remote one.
        ncftp.ncftp("ncftpput", "-V", "-DD", server.host, "/here", ncftp.home / "file")
        assert not (ncftp.home / "file").exists()
        ncftp.ncftp("ncftpget", "-V", "-DD", server.host, ncftp.home, "/here/file")
        assert os.listdir(here) == ["more"]
        assert (ncftp.home / "file").read_bytes() == content("file", 10_000)

    def test_lists_in_each_form(self, ncftp, here):
        fill(here, {"two words": b"x" * 12345, "Grüße/inside": b""})
        os.utime(here / "two words", (THEN, THEN))
        lists = {option: ncftp.ncftp("ncftpls", option, f"{ncftp.url}/here/") for option in ("-1", "-l", "-C", "-F", "-m", "-R")}
        for option, text in lists.items():
            assert "two words" in text and "Grüße" in text, f"ncftpls {option}:\n{text}"
        assert "12345" in lists["-l"] and "2024" in lists["-l"]
        assert "modify=20240102030405" in lists["-m"]

    def test_an_interactive_session(self, ncftp, here):
        fill(here, {"old name": b"content", "folder/a 1": b"", "folder/a 2": b"", "folder/b": b""})
        output = ncftp.script(
            "cd here", "rename 'old name' 'new name'", "mkdir 'x y'", "rmdir 'x y'", "rm folder/a*", "pwd", "quote NOOP", "ls"
        )
        assert read_tree(here) == ({"new name": b"content", "folder/b": b""}, {"folder"})
        assert "/here" in output and "new name" in output
