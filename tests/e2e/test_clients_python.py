"""More uses of Python's ftplib and of aioftp, while a second session transfers all the time."""

import asyncio
import ftplib
import io
import os
import pathlib

import pytest
from clients import Ftplib
from trees import content, fill, make_hard_tree, read_tree

# 2 January 2024, 03:04:05 UTC
THEN = 1704164645


@pytest.fixture
def ftp(server, here, tmp_path):
    """A session of ftplib in `/here`, with the usual encoding of newer Pythons: UTF-8."""
    with Ftplib(server, tmp_path).connect() as ftp:
        ftp.cwd("here")
        yield ftp


def retrieve(ftp, name, rest=None):
    pieces = []
    ftp.retrbinary(f"RETR {name}", pieces.append, rest=rest)
    return b"".join(pieces)


def abort(ftp):
    """ABOR as urgent data. ftplib reads the first reply; that of ABOR itself comes after it (RFC 959 4.1.3)."""
    assert ftp.abort()[:3] == "426"
    assert ftp.getmultiline()[:3] == "226"


class TestFtplib:
    @pytest.mark.parametrize("mode", ["passive", "active"])
    def test_a_tree_in_one_session(self, ftp, here, tmp_path, mode):
        ftp.set_pasv(mode == "passive")
        files = make_hard_tree(tmp_path / "tree")
        for folder in sorted(read_tree(tmp_path / "tree")[1]):
            assert ftp.mkd(folder) == f"/here/{folder}"
        for name, data in files.items():
            assert ftp.storbinary(f"STOR {name}", io.BytesIO(data)) == "226 Transfer complete."
        assert read_tree(here) == read_tree(tmp_path / "tree")
        ftp.voidcmd("TYPE I")
        for name, data in files.items():
            assert ftp.size(name) == len(data)
            assert retrieve(ftp, name) == data

    def test_it_walks_and_removes_a_tree(self, ftp, here):
        files = make_hard_tree(here)
        folders = read_tree(here)[1]
        found = {}

        def remove(folder):
            for name, facts in list(ftp.mlsd(folder)):
                path = f"{folder}/{name}"
                if facts["type"] == "dir":
                    found[path.removeprefix("./")] = None
                    remove(path)
                    ftp.rmd(path)
                elif facts["type"] == "file":
                    found[path.removeprefix("./")] = int(facts["size"])
                    ftp.delete(path)

        remove(".")
        assert found == {name: len(data) for name, data in files.items()} | dict.fromkeys(folders)
        assert os.listdir(here) == []

    def test_names_in_every_form(self, ftp, here):
        make_hard_tree(here)
        for folder in read_tree(here)[1]:
            names = sorted(os.listdir(here / folder))
            ftp.cwd(f"/here/{folder}")
            assert ftp.pwd() == f"/here/{folder}"
            assert sorted(ftp.nlst()) == names
            assert sorted(name for name, facts in ftp.mlsd() if facts["type"] in ("file", "dir")) == names
            lines = []
            ftp.dir(lines.append)
            assert sorted(line[line.index(":") + 4 :] for line in lines) == names

    def test_nlst_with_an_argument(self, ftp, here):
        fill(here, {"a.txt": b"", "b.txt": b"", "two words.bin": b"", "folder/inside.txt": b"", "empty/": None})
        assert sorted(ftp.nlst("*.txt")) == ["a.txt", "b.txt"]
        assert ftp.nlst("two words.bin") == ["two words.bin"]
        assert [name.rpartition("/")[2] for name in ftp.nlst("folder")] == ["inside.txt"]
        assert [name.rpartition("/")[2] for name in ftp.nlst("folder/*.txt")] == ["inside.txt"]
        assert ftp.nlst("empty") == []
        assert sorted(ftp.nlst("-a", "*.txt")) == ["a.txt", "b.txt"]
        with pytest.raises(ftplib.Error, match="550"):
            ftp.nlst("nothing")

    def test_lines(self, ftp, here):
        lines = ["first", "", "Grüße", "x" * 5000, "last"]
        text = "".join(f"{line}\r\n" for line in lines).encode()
        ftp.storlines("STOR text", io.BytesIO("\n".join(lines).encode() + b"\n"))
        # As they came, or, once TYPE A converts, with the line ends of the server.
        assert (here / "text").read_bytes() in (text, text.replace(b"\r\n", b"\n"))
        got = []
        ftp.retrlines("RETR text", got.append)
        assert got == lines

    @pytest.mark.parametrize("size", [0, 1, 4096, 300_000, 300_001])
    def test_rest_both_ways(self, ftp, here, size):
        whole = content("whole", 300_001)
        fill(here, {"down": whole, "up": whole[:size]})
        assert retrieve(ftp, "down", rest=size) == whole[size:]
        # It was for one transfer only.
        assert retrieve(ftp, "down") == whole
        ftp.storbinary("STOR up", io.BytesIO(whole[size:]), rest=size)
        assert (here / "up").read_bytes() == whole

    def test_a_download_that_is_aborted_and_one_after_it(self, ftp, server, here, contents):
        os.link(contents[64 << 20], here / "big")
        ftp.voidcmd("TYPE I")
        for _ in range(3):
            connection = ftp.transfercmd("RETR big")
            assert len(connection.recv(1000)) > 0
            abort(ftp)
            connection.close()
            assert ftp.voidcmd("NOOP")[:3] == "200"
        assert retrieve(ftp, "big") == contents[64 << 20].read_bytes()

    def test_an_upload_that_is_aborted(self, ftp, here):
        ftp.voidcmd("TYPE I")
        connection = ftp.transfercmd("STOR new")
        connection.sendall(content("new", 100_000))
        abort(ftp)
        connection.close()
        ftp.storbinary("STOR new", io.BytesIO(b"whole"))
        assert (here / "new").read_bytes() == b"whole"

    def test_ntransfercmd_tells_the_size(self, ftp, here):
        fill(here, {"file": content("file", 12345)})
        ftp.voidcmd("TYPE I")
        connection, size = ftp.ntransfercmd("RETR file")
        with connection:
            assert size == 12345
            assert b"".join(iter(lambda: connection.recv(65536), b"")) == content("file", 12345)
        assert ftp.voidresp() == "226 Transfer complete."

    def test_what_it_says_when_something_is_wrong(self, ftp, server, here):
        fill(here, {"file": b"", "folder/inside": b""})
        for act in (
            lambda: ftp.cwd("nothing"),
            lambda: ftp.cwd("file"),
            lambda: ftp.delete("nothing"),
            lambda: ftp.delete("folder"),
            lambda: ftp.rmd("folder"),
            lambda: ftp.rmd("file"),
            lambda: ftp.mkd("folder"),
            lambda: ftp.rename("nothing", "something"),
            lambda: ftp.size("nothing"),
            lambda: retrieve(ftp, "nothing"),
            lambda: retrieve(ftp, "folder"),
            lambda: ftp.storbinary("STOR folder", io.BytesIO(b"x")),
            lambda: ftp.storbinary("STOR nothing/file", io.BytesIO(b"x")),
            lambda: list(ftp.mlsd("nothing")),
        ):
            with pytest.raises(ftplib.error_perm, match="^550 "):
                act()
        assert read_tree(here) == ({"file": b"", "folder/inside": b""}, {"folder"})
        with ftplib.FTP(timeout=30) as other:
            other.connect(server.host, server.port)
            with pytest.raises(ftplib.error_perm, match="^530 "):
                other.login("tester", "wrong")


@pytest.fixture
def aioftp():
    return pytest.importorskip("aioftp", reason="aioftp is not installed (pip install aioftp)")


@pytest.mark.clients
class TestAioftp:
    def run(self, aioftp, server, work, sessions=1):
        """Runs `work(client)` in so many sessions at a time."""

        async def session(number):
            async with aioftp.Client.context(server.host, server.port, "tester", "secret", socket_timeout=30) as client:
                return await work(client) if sessions == 1 else await work(client, number)

        async def all_sessions():
            return await asyncio.gather(*map(session, range(sessions)))

        return asyncio.run(all_sessions())

    def test_a_tree_there_and_back(self, aioftp, server, here, tmp_path):
        make_hard_tree(tmp_path / "tree")

        async def work(client):
            await client.change_directory("here")
            await client.upload(tmp_path / "tree", "copy", write_into=True)
            await client.download("copy", tmp_path / "back", write_into=True)

        self.run(aioftp, server, work)
        assert read_tree(here / "copy") == read_tree(tmp_path / "tree")
        assert read_tree(tmp_path / "back") == read_tree(tmp_path / "tree")

    def test_four_sessions_at_a_time(self, aioftp, server, here):
        data = {number: content(f"session {number}", 200_000) for number in range(4)}

        async def work(client, number):
            await client.make_directory(f"/here/{number}/deep")
            await client.change_directory(f"/here/{number}")
            async with client.upload_stream("deep/file") as stream:
                await stream.write(data[number])
            async with client.download_stream("deep/file") as stream:
                assert await stream.read() == data[number]

        self.run(aioftp, server, work, sessions=4)
        assert read_tree(here)[0] == {f"{number}/deep/file": data[number] for number in data}

    def test_pieces_of_files(self, aioftp, server, here):
        whole = content("whole", 300_001)
        fill(here, {"down": whole, "up": whole[:100_000], "log": b"first, "})

        async def work(client):
            await client.change_directory("here")
            async with client.download_stream("down", offset=250_000) as stream:
                assert await stream.read() == whole[250_000:]
            async with client.upload_stream("up", offset=100_000) as stream:
                await stream.write(whole[100_000:])
            for _ in range(2):
                async with client.append_stream("log") as stream:
                    await stream.write(b"second, ")

        self.run(aioftp, server, work)
        assert (here / "up").read_bytes() == whole and (here / "log").read_bytes() == b"first, second, second, "

    def test_what_it_does_besides(self, aioftp, server, here):
        files = make_hard_tree(here)
        folders = read_tree(here)[1]
        os.utime(here / "sizes/513.bin", (THEN, THEN))

        async def work(client):
            await client.change_directory("here")
            assert await client.get_current_directory() == pathlib.PurePosixPath("/here")
            listed = {str(path): facts async for path, facts in client.list(recursive=True)}
            assert set(listed) == {*files, *folders}
            assert {name: int(listed[name]["size"]) for name in files} == {name: len(data) for name, data in files.items()}
            facts = await client.stat("sizes/513.bin")
            assert (facts["type"], facts["size"], facts["modify"]) == ("file", "513", "20240102030405")
            assert await client.exists("quotes") and not await client.exists("not there")
            assert await client.is_dir("quotes") and await client.is_file("sizes/0.bin")
            await client.rename("quotes", "quoted 'names'")
            await client.remove("1")
            await client.remove_file("sizes/0.bin")
            await client.remove_directory("nothing in it")
            with pytest.raises(aioftp.StatusCodeError):
                await client.remove_directory("sizes")

        self.run(aioftp, server, work)
        left, left_folders = read_tree(here)
        assert left == {
            name.replace("quotes/", "quoted 'names'/"): data
            for name, data in files.items()
            if not name.startswith("1/") and name != "sizes/0.bin"
        }
        assert "nothing in it" not in left_folders and "1" not in left_folders
