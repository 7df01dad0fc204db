"""rclone, and a server that is mounted by curlftpfs or gvfs, while a second session transfers all the time."""

import json
import os
import urllib.parse

import pytest
from clients import Curlftpfs, Gvfs, Rclone
from trees import content, fill, make_hard_tree, read_tree

pytestmark = pytest.mark.clients

# 2 January 2024, 03:04:05 UTC
THEN = 1704164645


@pytest.fixture
def rclone(server, here, tmp_path):
    return Rclone(server, tmp_path).rclone


@pytest.fixture
def sets_times(server):
    """Whether the server says that it sets the times of files."""
    with server.login() as control:
        return " MFMT" in control("FEAT").split("\n")


class TestRclone:
    @pytest.mark.parametrize("options", [(), ("--ftp-disable-mlsd", "--ftp-disable-epsv")], ids=["MLSD, EPSV", "LIST, PASV"])
    def test_copies_there_and_back_and_checks(self, rclone, here, tmp_path, options):
        files = make_hard_tree(tmp_path / "tree")
        common = (*options, "--create-empty-src-dirs")
        rclone("copy", *common, tmp_path / "tree", ":ftp:here/copy")
        assert read_tree(here / "copy") == read_tree(tmp_path / "tree")
        check = ("check", *options, "--download", tmp_path / "tree", ":ftp:here/copy")
        output = rclone(*check)
        assert "0 differences found" in output and f"{len(files)} matching files" in output
        rclone("copy", *common, ":ftp:here/copy", tmp_path / "back")
        assert read_tree(tmp_path / "back") == read_tree(tmp_path / "tree")
        (here / "copy/1/2/3/4/5/6/7/8/deep.bin").write_bytes(b"other")
        assert "1 differences found" in rclone(*check, expect=1)

    def test_sync_again_transfers_only_what_changed(self, rclone, here, tmp_path):
        tree = tmp_path / "tree"
        make_hard_tree(tree)
        rclone("sync", tree, ":ftp:here/copy")
        assert "There was nothing to transfer" in rclone("sync", "--verbose", tree, ":ftp:here/copy")
        (tree / "sizes/513.bin").unlink()
        (tree / "quotes/new.bin").write_bytes(b"new")
        (tree / "1/2/3/4/5/6/7/8/deep.bin").write_bytes(b"of another size")
        output = rclone("sync", "--verbose", tree, ":ftp:here/copy")
        assert read_tree(here / "copy")[0] == read_tree(tree)[0]
        assert "Copied (new)" in output and "Copied (replaced existing)" in output and "300001.bin" not in output
        # And the other way.
        rclone("sync", ":ftp:here/copy/quotes", tree / "1")
        assert read_tree(tree / "1")[0] == read_tree(here / "copy/quotes")[0]

    def test_times_are_shown_kept_and_set_where_that_is_possible(self, rclone, sets_times, here, tmp_path):
        fill(here, {"down": b"down"})
        os.utime(here / "down", (THEN, THEN))
        assert rclone("lsl", ":ftp:here").split()[:3] == ["4", "2024-01-02", "03:04:05.000000000"]
        rclone("copy", ":ftp:here", tmp_path / "got")
        assert (tmp_path / "got/down").stat().st_mtime == THEN
        fill(tmp_path, {"up/up": b"up"})
        os.utime(tmp_path / "up/up", (THEN, THEN))
        rclone("copy", tmp_path / "up", ":ftp:here")
        assert (here / "up").read_bytes() == b"up"
        assert ((here / "up").stat().st_mtime == THEN) == sets_times

    def test_what_it_does_besides(self, rclone, here):
        fill(here, {"a b/old \"name\"": b"content", "a b/empty": b"", "tree/x/y/z": b"", "tree/w": b""})
        assert rclone("cat", ":ftp:here/a b/old \"name\"") == "content"
        assert rclone("cat", "--offset", 3, "--count", 2, ":ftp:here/a b/old \"name\"") == "te"
        rclone("moveto", ":ftp:here/a b/old \"name\"", ":ftp:here/moved/Größe")
        assert (here / "moved/Größe").read_bytes() == b"content"
        rclone("move", ":ftp:here/moved", ":ftp:here/further/away")
        assert (here / "further/away/Größe").read_bytes() == b"content"
        rclone("mkdir", ":ftp:here/made/deep")
        rclone("mkdir", ":ftp:here/made/deep")
        assert (here / "made/deep").is_dir()
        rclone("rmdir", ":ftp:here/made/deep")
        rclone("rmdirs", ":ftp:here/made")
        rclone("deletefile", ":ftp:here/a b/empty")
        rclone("purge", ":ftp:here/tree")
        rclone("copyto", ":ftp:here/further/away/Größe", ":ftp:here/copied")
        files, folders = read_tree(here)
        assert files == {"further/away/Größe": b"content", "copied": b"content"} and not {"tree", "made"} & folders
        assert "away" in rclone("lsd", ":ftp:here/further")
        # 3: "directory not found", because it takes any 550 for that.
        rclone("rmdir", ":ftp:here/further", expect=3)
        rclone("cat", ":ftp:here/nothing/at/all", expect=3)

    def test_lists(self, rclone, here):
        make_hard_tree(here)
        files, folders = read_tree(here)
        assert set(rclone("lsf", "--recursive", ":ftp:here").splitlines()) == {*files, *(f"{folder}/" for folder in folders)}
        listed = {entry["Path"]: entry["Size"] for entry in json.loads(rclone("lsjson", "--recursive", "--files-only", ":ftp:here"))}
        assert listed == {name: len(data) for name, data in files.items()}
        total = json.loads(rclone("size", "--json", ":ftp:here"))
        assert (total["count"], total["bytes"]) == (len(files), sum(map(len, files.values())))

    def test_two_connections_are_enough(self, start_server, tmp_path):
        """As docs/clients.md says for boards."""
        server = start_server(max_connections=2)
        rclone = Rclone(server, tmp_path).rclone
        # The next one may be quicker than the server is in noticing that the former has gone.
        few = ("--ftp-concurrency", 2, "--transfers", 1, "--checkers", 1, "--check-first", "--low-level-retries", 10)
        make_hard_tree(tmp_path / "tree")
        rclone("sync", *few, tmp_path / "tree", ":ftp:copy")
        rclone("sync", *few, tmp_path / "tree", ":ftp:copy")
        rclone("sync", *few, ":ftp:copy", tmp_path / "back")
        assert read_tree(tmp_path / "back")[0] == read_tree(server.root / "copy")[0] == read_tree(tmp_path / "tree")[0]


class TestCurlftpfs:
    @pytest.fixture
    def server(self, start_server):
        # It looks at a new file while it uploads it, and does without the file when there is none yet.
        server = start_server(atomic_uploads=False)
        yield server
        server.assert_nothing_leaked()

    def test_programs_work_in_the_mounted_folder(self, server, here, tmp_path):
        # It gives libcurl names without quoting them as in an URL, which refuses blanks.
        files = {f"Grüße/{size}.bin": content(f"{size}", size) for size in (0, 1, 4096, 300_001)}
        fill(here, files | {"empty/": None})
        with Curlftpfs(server, tmp_path) as mounted:
            mine = mounted / "here"
            assert read_tree(mine) == read_tree(here)
            assert [entry.stat().st_size for entry in mine.glob("Grüße/300001.bin")] == [300_001]
            (mine / "new").mkdir()
            for size in (1, 4096, 70_000):
                (mine / f"new/{size}.bin").write_bytes(content(f"new {size}", size))
            (mine / "Grüße/1.bin").rename(mine / "new/renamed.bin")
            (mine / "Grüße/0.bin").unlink()
            (mine / "empty").rmdir()
            with open(mine / "Grüße/300001.bin", "rb") as file:
                file.seek(250_000)
                assert file.read(1000) == files["Grüße/300001.bin"][250_000:251_000]
            with pytest.raises(OSError):
                (mine / "nothing").read_bytes()
            with pytest.raises(OSError):
                (mine / "new").rmdir()
        assert read_tree(here)[0] == {
            "Grüße/4096.bin": files["Grüße/4096.bin"],
            "Grüße/300001.bin": files["Grüße/300001.bin"],
            "new/renamed.bin": files["Grüße/1.bin"],
            **{f"new/{size}.bin": content(f"new {size}", size) for size in (1, 4096, 70_000)},
        }


class TestGvfs:
    def test_what_a_file_manager_does(self, server, here, tmp_path):
        gvfs = Gvfs(server, tmp_path)
        files = make_hard_tree(tmp_path / "tree")
        folders = sorted(read_tree(tmp_path / "tree")[1])
        uri = lambda path: f"{gvfs.url}/here/{urllib.parse.quote(path)}"
        gvfs.gio(
            *(["mkdir", uri(folder)] for folder in folders),
            *(["copy", tmp_path / "tree" / name, uri(name)] for name in files),
        )
        assert read_tree(here) == read_tree(tmp_path / "tree")
        (tmp_path / "back").mkdir()
        listed = gvfs.gio(
            *(["copy", uri(name), tmp_path / "back" / str(number)] for number, name in enumerate(files)),
            *(["list", "--attributes=standard::size", uri(folder)] for folder in folders),
        )
        assert [(tmp_path / "back" / str(number)).read_bytes() for number in range(len(files))] == list(files.values())
        for name in files:
            assert f"{os.path.basename(name)}\t{len(files[name])}\t" in listed
        gvfs.gio(
            ["rename", uri("quotes/it's \"so\" 'called'.bin"), "Größe [2].bin"],
            ["move", uri("sizes/513.bin"), uri("quotes/moved.bin")],
            ["remove", uri("sizes/0.bin"), uri("nothing in it")],
        )
        assert sorted(os.listdir(here / "quotes")) == ["Größe [2].bin", "moved.bin"]
        assert not (here / "sizes/513.bin").exists() and not (here / "sizes/0.bin").exists() and not (here / "nothing in it").exists()
