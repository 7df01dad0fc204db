"""Real clients do what people do with them."""

import hashlib
import os

import pytest
from clients import Curl, Ftplib, Lftp, Ncftp, Tnftp, Wget, with_method
from trees import make_tree, read_tree

SIZES = {"0B": 0, "1B": 1, "1MiB": 1 << 20, "64MiB": 64 << 20}


def name_of(value):
    return value.__name__.lower() if isinstance(value, type) else None


def digest(path):
    """A file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def client(request, server, tmp_path):
    """The client of the test's parameter, for the server of the test."""
    return request.param(server, tmp_path)


def clients(*methods):
    return pytest.mark.parametrize("client", with_method(*methods), ids=name_of, indirect=True)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@clients("download")
def test_download(client, server, contents, tmp_path, size):
    os.link(contents[size], server.root / "file.bin")
    client.download("file.bin", tmp_path / "got")
    assert digest(tmp_path / "got") == digest(contents[size])


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@clients("upload")
def test_upload(client, server, contents, size):
    client.upload(contents[size], "file.bin")
    assert digest(server.root / "file.bin") == digest(contents[size])


@clients("upload")
def test_upload_over_a_longer_file(client, server, contents):
    (server.root / "file.bin").write_bytes(b"x" * (2 << 20))
    client.upload(contents[1 << 20], "file.bin")
    assert digest(server.root / "file.bin") == digest(contents[1 << 20])


@clients("resume_download")
def test_resume_a_download(client, server, contents, tmp_path):
    content = contents[1 << 20].read_bytes()
    (server.root / "file.bin").write_bytes(content)
    (tmp_path / "got").write_bytes(content[:300_001])
    client.resume_download("file.bin", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == content


@clients("resume_upload")
def test_resume_an_upload(client, server, contents):
    content = contents[1 << 20].read_bytes()
    (server.root / "file.bin").write_bytes(content[:300_001])
    client.resume_upload(contents[1 << 20], "file.bin")
    assert (server.root / "file.bin").read_bytes() == content


@clients("names")
def test_list_names(client, server):
    names = {"one.txt", "two words.txt", "Grüße.txt", "sub"}
    (server.root / "folder").mkdir()
    for name in names - {"sub"}:
        (server.root / "folder" / name).write_bytes(b"x")
    (server.root / "folder" / "sub").mkdir()
    assert {name.rstrip("/\r") for name in client.names("folder")} == names


@clients("listing")
def test_list(client, server):
    (server.root / "folder").mkdir()
    (server.root / "folder" / "one.txt").write_bytes(b"x" * 12345)
    (server.root / "folder" / "two words.txt").write_bytes(b"")
    listing = client.listing("folder")
    assert "one.txt" in listing and "two words.txt" in listing.replace("%20", " ")
    assert "12345" in listing.replace(",", "")


@clients("rename", "delete")
def test_rename_and_delete(client, server):
    (server.root / "old.txt").write_bytes(b"content")
    client.rename("old.txt", "new.txt")
    assert os.listdir(server.root) == ["new.txt"]
    client.delete("new.txt")
    assert os.listdir(server.root) == []


@clients("make_directory", "remove_directory")
def test_make_and_remove_a_directory(client, server):
    client.make_directory("folder")
    assert (server.root / "folder").is_dir()
    client.remove_directory("folder")
    assert os.listdir(server.root) == []


# -- what only one of them does


@pytest.mark.parametrize("client", [Curl], ids=name_of, indirect=True)
class TestCurl:
    def test_active_mode(self, client, server):
        (server.root / "file").write_bytes(b"content")
        assert client.curl("--ftp-port", "127.0.0.1", f"{client.url}/file") == "content"
        assert client.curl("--ftp-port", "127.0.0.1", "--disable-eprt", f"{client.url}/file") == "content"

    def test_pasv(self, client, server):
        (server.root / "file").write_bytes(b"content")
        assert client.curl("--disable-epsv", f"{client.url}/file") == "content"

    def test_directories_are_made_for_an_upload(self, client, server, contents):
        client.curl("--ftp-create-dirs", "--upload-file", contents[1], f"{client.url}/a/b/c%20d/file")
        assert (server.root / "a/b/c d/file").read_bytes() == contents[1].read_bytes()

    def test_size_and_time(self, client, server):
        (server.root / "file").write_bytes(b"content")
        os.utime(server.root / "file", (1704164645, 1704164645))
        head = client.curl("--head", f"{client.url}/file")
        assert "Content-Length: 7" in head and "Last-Modified: Tue, 02 Jan 2024 03:04:05 GMT" in head

    def test_a_range(self, client, server):
        (server.root / "file").write_bytes(b"0123456789" * 1000)
        assert client.curl("--range", "5-14", f"{client.url}/file") == "5678901234"

    def test_several_files_over_one_connection(self, client, server):
        for name in "abc":
            (server.root / name).write_bytes(name.encode())
        assert client.curl(f"{client.url}/[a-c]") == "abc"
        assert server.output().count("Connection from client") == 1

    def test_append(self, client, server, contents):
        (server.root / "file").write_bytes(b"content")
        client.curl("--append", "--upload-file", contents[1], f"{client.url}/file")
        assert (server.root / "file").read_bytes() == b"content" + contents[1].read_bytes()

    def test_a_wrong_password_and_a_missing_file_are_told_apart(self, client):
        # curl's exit codes: 67 the login failed, 78 there is no such file.
        client.run("--silent", "--user", "tester:wrong", f"{client.url}/", expect=67)
        client.run("--silent", "--user", "tester:secret", f"{client.url}/nothing", expect=78)

    def test_a_guest_may_not_upload(self, client, contents):
        # 25: the upload was refused.
        client.run("--silent", "--user", "guest:guest", "--upload-file", contents[1], f"{client.url}/new", expect=25)


@pytest.mark.parametrize("client", [Lftp], ids=name_of, indirect=True)
class TestLftp:
    def test_mirror_to_the_client_four_files_at_a_time(self, client, server, tmp_path):
        (server.root / "tree").mkdir()
        make_tree(server.root / "tree")
        client.script(f"mirror -P 4 /tree {tmp_path / 'copy'}")
        assert read_tree(tmp_path / "copy") == read_tree(server.root / "tree")

    def test_mirror_to_the_server_four_files_at_a_time(self, client, server, tmp_path):
        (tmp_path / "tree").mkdir()
        make_tree(tmp_path / "tree")
        client.script(f"mirror -R -P 4 {tmp_path / 'tree'} /copy")
        assert read_tree(server.root / "copy") == read_tree(tmp_path / "tree")

    def test_mirror_again_transfers_only_what_is_new(self, client, server, tmp_path):
        (server.root / "tree").mkdir()
        make_tree(server.root / "tree")
        client.script(f"mirror /tree {tmp_path / 'copy'}")
        (server.root / "tree" / "new.txt").write_bytes(b"new\n")
        # -v names each file that it transfers.
        output = client.script(f"mirror -v /tree {tmp_path / 'copy'}")
        assert "new.txt" in output and "big.bin" not in output
        assert read_tree(tmp_path / "copy") == read_tree(server.root / "tree")

    def test_mirror_by_list_where_mlsd_is_switched_off(self, client, server, tmp_path):
        (server.root / "tree").mkdir()
        make_tree(server.root / "tree")
        client.script("set ftp:use-mlsd no", "set ftp:use-feat no", f"mirror -P 4 /tree {tmp_path / 'copy'}")
        assert read_tree(tmp_path / "copy") == read_tree(server.root / "tree")

    def test_pipelining(self, client, server, tmp_path):
        (server.root / "tree").mkdir()
        make_tree(server.root / "tree")
        client.script("set ftp:sync-mode off", f"mirror -P 4 /tree {tmp_path / 'copy'}")
        assert read_tree(tmp_path / "copy") == read_tree(server.root / "tree")

    def test_one_file_in_four_pieces(self, client, server, contents, tmp_path):
        os.link(contents[64 << 20], server.root / "big.bin")
        client.script(f"pget -n 4 big.bin -o {tmp_path / 'got'}")
        assert digest(tmp_path / "got") == digest(contents[64 << 20])

    def test_remove_a_tree(self, client, server):
        (server.root / "tree").mkdir()
        make_tree(server.root / "tree")
        client.script("rm -r tree")
        assert os.listdir(server.root) == []


@pytest.mark.clients
@pytest.mark.parametrize("client", [Wget], ids=name_of, indirect=True)
class TestWget:
    def test_recursive(self, client, server):
        (server.root / "tree").mkdir()
        files = make_tree(server.root / "tree")
        client.wget("--recursive", "--no-host-directories", "--no-parent", f"{client.url}/tree/")
        assert read_tree(client.home / "tree")[0] == files

    def test_wildcards(self, client, server):
        for name in ("a.txt", "b.txt", "c.bin"):
            (server.root / name).write_bytes(name.encode())
        client.wget(f"{client.url}/*.txt")
        assert sorted(os.listdir(client.home)) == ["a.txt", "b.txt"]

    def test_only_when_newer(self, client, server):
        (server.root / "file").write_bytes(b"content")
        os.utime(server.root / "file", (1704164645, 1704164645))
        client.wget("--timestamping", f"{client.url}/file")
        assert (client.home / "file").read_bytes() == b"content"
        (server.root / "file").write_bytes(b"changed, and newer")
        client.wget("--timestamping", f"{client.url}/file")
        assert (client.home / "file").read_bytes() == b"changed, and newer"

    def test_active_mode(self, client, server, tmp_path):
        (server.root / "file").write_bytes(b"content")
        client.wget("--no-passive-ftp", "--output-document", tmp_path / "got", f"{client.url}/file")
        assert (tmp_path / "got").read_bytes() == b"content"


@pytest.mark.clients
@pytest.mark.parametrize("client", [Tnftp], ids=name_of, indirect=True)
class TestTnftp:
    def test_several_files_by_wildcard(self, client, server):
        for name in ("a.txt", "b.txt", "c.bin"):
            (server.root / name).write_bytes(name.encode())
        client.script("prompt", "mget *.txt")
        assert {name for name in os.listdir(client.home) if not name.startswith(".")} == {"a.txt", "b.txt"}

    def test_what_it_asks_for_besides(self, client, server):
        (server.root / "file").write_bytes(b"content")
        os.utime(server.root / "file", (1704164645, 1704164645))
        output = client.script("pwd", "system", "size file", "modtime file", "features", "rstatus", "rhelp", "mlst file", "site help")
        for text in (
            "Remote directory: /",
            "215 UNIX Type: L8",
            "file\t7",
            "Tue, 02 Jan 2024 03:04:05",
            "REST STREAM",
            "211 End of status",
            "size=7;",
            "CHMOD",
        ):
            assert text in output, f"{text} is not in\n{output}"

    def test_active_mode(self, client, server, tmp_path):
        (server.root / "file").write_bytes(b"content")
        client.script("passive off", f"get file {tmp_path / 'got'}")
        assert (tmp_path / "got").read_bytes() == b"content"


@pytest.mark.clients
@pytest.mark.parametrize("client", [Ncftp], ids=name_of, indirect=True)
class TestNcftp:
    def test_a_tree_both_ways(self, client, server):
        (client.home / "tree").mkdir()
        make_tree(client.home / "tree")
        client.ncftp("ncftpput", "-V", "-R", client.server.host, "/", client.home / "tree")
        assert read_tree(server.root / "tree")[0] == read_tree(client.home / "tree")[0]
        (client.home / "back").mkdir()
        client.ncftp("ncftpget", "-V", "-R", client.server.host, client.home / "back", "/tree")
        assert read_tree(client.home / "back" / "tree")[0] == read_tree(client.home / "tree")[0]


@pytest.mark.parametrize("client", [Ftplib], ids=name_of, indirect=True)
class TestFtplib:
    def test_one_session_does_everything(self, client, server):
        with client.connect() as ftp:
            assert ftp.getwelcome() == "220 FTPdLite (MicroPython)"
            assert ftp.mkd("folder") == "/folder"
            ftp.cwd("folder")
            assert ftp.pwd() == "/folder"
            assert ftp.nlst() == []
            ftp.cwd("..")
            assert ftp.pwd() == "/"
            ftp.rename("folder", "renamed")
            assert dict(ftp.mlsd(facts=["type"]))["renamed"]["type"] == "dir"
            ftp.rmd("renamed")
            with pytest.raises(Exception, match="550"):
                ftp.delete("nothing")

    def test_names_with_blanks_umlauts_and_quotes(self, client, server, contents):
        with client.connect() as ftp:
            for name in ("two words", "Grüße", 'say "hi"'):
                assert ftp.mkd(name) == f"/{name}"
                ftp.cwd(name)
                assert ftp.pwd() == f"/{name}"
                ftp.storbinary("STOR file", open(contents[1], "rb"))
                assert ftp.nlst() == ["file"]
                ftp.cwd("/")
        assert sorted(os.listdir(server.root)) == sorted(["two words", "Grüße", 'say "hi"'])

    def test_the_facts_of_mlsd(self, client, server):
        (server.root / "file").write_bytes(b"content")
        os.utime(server.root / "file", (1704164645, 1704164645))
        with client.connect() as ftp:
            facts = dict(ftp.mlsd(facts=["type", "size", "modify"]))["file"]
        assert facts == {"type": "file", "size": "7", "modify": "20240102030405"}

    def test_active_mode(self, client, server, tmp_path, contents):
        with client.connect() as ftp:
            ftp.set_pasv(False)
            ftp.storbinary("STOR file", open(contents[1 << 20], "rb"))
            assert ftp.nlst() == ["file"]
        assert digest(server.root / "file") == digest(contents[1 << 20])

    def test_100_transfers_in_one_session(self, client, server):
        (server.root / "file").write_bytes(b"content")
        with client.connect() as ftp:
            for _ in range(100):
                pieces = []
                ftp.retrbinary("RETR file", pieces.append)
                assert b"".join(pieces) == b"content"


