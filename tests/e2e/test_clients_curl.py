"""More uses of curl and wget, while a second session transfers all the time."""

import itertools
import os
import urllib.parse

import pytest
from clients import Curl, Wget
from trees import content, fill, make_hard_tree, read_tree

pytestmark = pytest.mark.clients

# 2 January 2024, 03:04:05 UTC
THEN = 1704164645


@pytest.fixture
def curl(server, here, tmp_path):
    return Curl(server, tmp_path)


@pytest.fixture
def wget(server, here, tmp_path):
    return Wget(server, tmp_path)


def quoted(name):
    return urllib.parse.quote(name)


class TestCurl:
    @pytest.mark.parametrize("method", ["multicwd", "nocwd", "singlecwd"])
    def test_a_tree_over_one_connection_in_each_way_to_name_a_file(self, curl, server, here, tmp_path, method):
        make_hard_tree(tmp_path / "tree")
        files, folders = read_tree(tmp_path / "tree")
        if method == "multicwd":
            options = ["--ftp-method", method, "--ftp-create-dirs"]
        else:
            # It does not make a folder inside of one that it would have to make first.
            options = ["--ftp-method", method]
            for folder in folders:
                (here / folder).mkdir(parents=True, exist_ok=True)
        # Without a command before EPSV curl 7.88 sometimes waits a second when the reply comes at once, with pyftpdlib as well.
        options += ["--globoff", "--quote", "NOOP"]
        up = [("--upload-file", tmp_path / "tree" / name, f"{curl.url}/here/{quoted(name)}") for name in files]
        curl.curl(*options, *itertools.chain(*up))
        assert read_tree(here)[0] == files
        down = [("--output", tmp_path / "back" / name, f"{curl.url}/here/{quoted(name)}") for name in files]
        curl.curl(*options, "--create-dirs", *itertools.chain(*down))
        assert read_tree(tmp_path / "back")[0] == files
        # Each call is one session, beside the neighbour's.
        assert server.output().count("Connection from client") == 3

    @pytest.mark.parametrize("options", [("--ftp-port", "-"), ("--ftp-port", "-", "--disable-eprt")], ids=["EPRT", "PORT"])
    def test_active_mode_with_resume_both_ways(self, curl, here, tmp_path, options):
        whole = content("whole", 300_001)
        fill(here, {"down.bin": whole, "up.bin": whole[:100_000]})
        fill(tmp_path, {"got.bin": whole[:65_536], "whole.bin": whole})
        curl.curl(*options, "--continue-at", "-", "--output", tmp_path / "got.bin", f"{curl.url}/here/down.bin")
        assert (tmp_path / "got.bin").read_bytes() == whole
        curl.curl(*options, "--continue-at", "-", "--upload-file", tmp_path / "whole.bin", f"{curl.url}/here/up.bin")
        assert (here / "up.bin").read_bytes() == whole
        assert sorted(curl.curl(*options, "--list-only", f"{curl.url}/here/").split()) == ["down.bin", "up.bin"]

    def test_what_is_there_already_is_not_transferred_again(self, curl, here, tmp_path):
        fill(here, {"file": b"content"})
        fill(tmp_path, {"got": b"content"})
        curl.curl("--continue-at", "-", "--output", tmp_path / "got", f"{curl.url}/here/file")
        assert (tmp_path / "got").read_bytes() == b"content"

    def test_commands_before_and_after_a_transfer(self, curl, here):
        fill(here, {"old name": b"content", "rubbish": b"", "empty/": None})
        before = ["RNFR here/old name", "RNTO here/new name", "MKD here/a \"b\"", "RMD here/empty", "SITE HELP", "NOOP"]
        commands = [("--quote", command) for command in before] + [("--quote", "-DELE /here/rubbish"), ("--quote", "*DELE /here/nothing")]
        assert curl.curl(*itertools.chain(*commands), f"{curl.url}/here/new%20name") == "content"
        assert sorted(os.listdir(here)) == ['a "b"', "new name"]

    def test_a_command_that_fails_ends_it(self, curl):
        # 21: a command was answered with an error.
        curl.run("--silent", "--user", "tester:secret", "--quote", "DELE /here/nothing", f"{curl.url}/here/", expect=21)

    def test_mfmt_sets_the_time_or_is_not_offered(self, curl, server, here):
        fill(here, {"file": b"content"})
        with server.login() as control:
            offered = " MFMT" in control("FEAT").split("\n")
        if offered:
            curl.quote("MFMT 20240102030405 here/file")
            head = curl.curl("--head", f"{curl.url}/here/file")
            assert "Last-Modified: Tue, 02 Jan 2024 03:04:05 GMT" in head
        else:
            arguments = ("--silent", "--user", "tester:secret", "--quote", "MFMT 20240102030405 here/file", f"{curl.url}/")
            curl.run(*arguments, expect=21)
            assert (here / "file").stat().st_mtime != THEN

    def test_sizes_and_times_of_several_files(self, curl, here):
        files = {name: content(name, size) for name, size in (("empty", 0), ("one", 1), ("two words", 4097))}
        fill(here, files)
        for name, data in files.items():
            os.utime(here / name, (THEN, THEN + len(data)))
        head = curl.curl("--head", *(f"{curl.url}/here/{quoted(name)}" for name in files))
        assert [line for line in head.splitlines() if line.startswith(("Content-Length", "Last-Modified"))] == [
            "Last-Modified: Tue, 02 Jan 2024 03:04:05 GMT",
            "Content-Length: 0",
            "Last-Modified: Tue, 02 Jan 2024 03:04:06 GMT",
            "Content-Length: 1",
            "Last-Modified: Tue, 02 Jan 2024 04:12:22 GMT",
            "Content-Length: 4097",
        ]

    def test_the_time_is_kept_and_decides_what_is_new(self, curl, here, tmp_path):
        fill(here, {"file": b"content"})
        os.utime(here / "file", (THEN, THEN))
        got, url = tmp_path / "got", f"{curl.url}/here/file"
        curl.curl("--remote-time", "--output", got, url)
        assert got.read_bytes() == b"content" and got.stat().st_mtime == THEN
        curl.curl("--time-cond", "Tue, 02 Jan 2024 03:04:06 GMT", "--output", tmp_path / "not newer", url)
        assert not (tmp_path / "not newer").exists()
        curl.curl("--time-cond", "Tue, 02 Jan 2024 03:04:04 GMT", "--output", tmp_path / "newer", url)
        assert (tmp_path / "newer").read_bytes() == b"content"

    def test_wildcards_in_nlst_and_list(self, curl, here):
        fill(here, {"a1.txt": b"", "a2.txt": b"", "b1.txt": b"", "two words.bin": b"", "folder/inside.txt": b""})
        names = lambda pattern: sorted(curl.curl("--request", f"NLST {pattern}", f"{curl.url}/here/").splitlines())
        assert names("*.txt") == ["a1.txt", "a2.txt", "b1.txt"]
        assert names("a?.txt") == ["a1.txt", "a2.txt"]
        assert names("[!a]1.txt") == ["b1.txt"]
        assert names("two *") == ["two words.bin"]
        listing = curl.curl("--request", "LIST a*", f"{curl.url}/here/").splitlines()
        assert sorted(line.split()[-1] for line in listing) == ["a1.txt", "a2.txt"]

    def test_lists_of_empty_folders_and_of_names_hard_to_say(self, curl, here):
        make_hard_tree(here)
        assert curl.curl("--list-only", f"{curl.url}/here/nothing%20in%20it/") == ""
        assert curl.curl(f"{curl.url}/here/nothing/in/here/") == ""
        for folder in ("quotes", "brackets [1]", "percent %20", "three   blanks in a row", "-dash"):
            for method in ("multicwd", "nocwd", "singlecwd"):
                names = curl.curl("--globoff", "--ftp-method", method, "--list-only", f"{curl.url}/here/{quoted(folder)}/")
                assert sorted(names.splitlines()) == sorted(os.listdir(here / folder))

    def test_parts_of_a_file(self, curl, here):
        data = content("file", 300_001)
        fill(here, {"file": data})
        url = f"{curl.url}/here/file"
        # curl hangs up in the middle of the first; the next transfer of the same session must not suffer.
        arguments = ("--output", curl.home / "1", "--range", "1000-1999", url, "--next", "--silent", "--user", "tester:secret")
        curl.curl(*arguments, "--output", curl.home / "2", "--range", "-500", url)
        assert (curl.home / "1").read_bytes() == data[1000:2000]
        assert (curl.home / "2").read_bytes() == data[-500:]

    def test_parallel_transfers(self, curl, server, here, tmp_path):
        files = {f"file{index}": content(f"file{index}", 100_000) for index in range(12)}
        fill(here, files)
        (tmp_path / "got").mkdir()
        parallel = ("--parallel", "--parallel-immediate", "--parallel-max", "4")
        curl.curl(*parallel, "--output", tmp_path / "got/#1", f"{curl.url}/here/{{{','.join(files)}}}")
        assert read_tree(tmp_path / "got")[0] == files


class TestWget:
    def test_a_recursive_copy_again_fetches_nothing_but_what_is_new(self, wget, server, here):
        make_hard_tree(here, leading_blanks=False)
        arguments = ("--recursive", "--level=inf", "--timestamping", "--no-host-directories", "--no-parent", f"{wget.url}/here/")
        wget.wget(*arguments)
        copy = wget.home / "here"
        files = read_tree(here)[0]
        assert read_tree(copy)[0] == files
        # Marks what is there: same sizes and times, other bytes. Whatever it fetches loses its mark.
        for name, data in files.items():
            status = (copy / name).stat()
            (copy / name).write_bytes(b"m" * len(data))
            os.utime(copy / name, ns=(status.st_atime_ns, status.st_mtime_ns))
        (here / "sizes/513.bin").write_bytes(b"changed, and of another size")
        (here / "sizes/new.bin").write_bytes(b"new")
        wget.wget(*arguments)
        expected = {name: b"m" * len(data) for name, data in files.items()}
        expected |= {"sizes/513.bin": b"changed, and of another size", "sizes/new.bin": b"new"}
        assert read_tree(copy)[0] == expected

    @pytest.mark.parametrize("mode", ["--no-passive-ftp", "--verbose"], ids=["active", "passive"])
    def test_a_copy_that_broke_off_is_continued(self, wget, here, mode):
        files = make_hard_tree(here, leading_blanks=False)
        begun = {"here/sizes/300001.bin": files["sizes/300001.bin"][:123_456], "here/sizes/513.bin": files["sizes/513.bin"]}
        fill(wget.home, begun)
        wget.wget(mode, "--recursive", "--level=inf", "--continue", "--no-host-directories", "--no-parent", f"{wget.url}/here/")
        assert read_tree(wget.home / "here")[0] == files

    def test_only_some_names(self, wget, here):
        fill(here, {"a.txt": b"a", "b.bin": b"b", "deep/c.txt": b"c", "deep/d.bin": b"d"})
        wget.wget("--recursive", "--no-host-directories", "--no-parent", "--accept", "*.txt", f"{wget.url}/here/")
        assert read_tree(wget.home / "here")[0] == {"a.txt": b"a", "deep/c.txt": b"c"}

    def test_whether_a_file_is_there(self, wget, here):
        fill(here, {"two words": b"content"})
        wget.wget("--spider", f"{wget.url}/here/two%20words")
        assert os.listdir(wget.home) == []
        # 8: the server answered that there is none.
        common = ("--no-verbose", "--tries=1", "--user=tester", "--password=secret")
        wget.run(*common, f"{wget.url}/here/nothing", expect=8)
        # 6: the login failed.
        wget.run("--no-verbose", "--tries=1", "--user=tester", "--password=wrong", f"{wget.url}/here/", expect=6)
