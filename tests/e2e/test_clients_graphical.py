"""Clients that no test can start: what they send, byte by byte. Windows' ftp.exe, FileZilla, and file managers."""

import concurrent.futures
import os
import re
import socket
import threading

import pytest
from control import PATIENCE, Control, data_connection, read_all
from trees import content, fill, make_hard_tree, read_tree


class WindowsFtp:
    """ftp.exe: it knows only PORT. It begins with type ASCII, and its lists are always ASCII."""

    def __init__(self, server):
        self.control = Control(server.host, server.port)
        self.type = "A"
        assert self.control.reply().startswith("220 ")
        self.control.expect("OPTS UTF8 ON", "200 ")
        self.control.expect("USER tester", "331 ")
        self.control.expect("PASS secret", "230 ")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.control.close()

    def set_type(self, letter):
        self.control.expect(f"TYPE {letter}", "200 ")
        self.type = letter

    def port(self):
        """A listening socket whose address the server knows."""
        listener = socket.create_server((self.control.host, 0), backlog=1)
        listener.settimeout(PATIENCE)
        host, port = listener.getsockname()
        self.control.expect(f"PORT {host.replace('.', ',')},{port >> 8},{port & 255}", "200 ")
        return listener

    def receive(self, command):
        """Runs a command that sends data here. It accepts the data connection when it has read the first reply."""
        with self.port() as listener:
            reply = self.control(command)
            if not reply.startswith("150 "):
                return reply
            with listener.accept()[0] as data:
                received = read_all(data)
        assert self.control.reply().startswith("226 ")
        return received

    def send(self, command, content):
        with self.port() as listener:
            self.control.expect(command, "150 ")
            with listener.accept()[0] as data:
                data.sendall(content)
        assert self.control.reply().startswith("226 ")

    def list(self, command):
        """`dir` and `ls`; the names and lines that came."""
        former = self.type
        if former != "A":
            self.set_type("A")
        received = self.receive(command)
        if former != "A":
            self.set_type(former)
        assert isinstance(received, bytes), received
        assert received == b"" or received.endswith(b"\r\n")
        return received.decode().split("\r\n")[:-1]


@pytest.fixture
def windows(server, here):
    with WindowsFtp(server) as client:
        client.control.expect("CWD here", "250 ")
        yield client


class TestWindows:
    def test_an_evening_at_the_prompt(self, windows, here):
        control = windows.control
        assert windows.list("NLST") == [] and windows.list("LIST") == []
        assert control("XPWD").startswith('257 "/here"')
        control.expect("XMKD new folder", "257 ")
        control.expect("CWD new folder", "250 ")
        assert control("XPWD").startswith('257 "/here/new folder"')
        windows.set_type("I")
        files = {f"file {size}.bin": content(f"{size}", size) for size in (0, 1, 4096, 300_001)}
        for name, data in files.items():
            windows.send(f"STOR {name}", data)
        assert read_tree(here / "new folder")[0] == files
        assert sorted(windows.list("NLST")) == sorted(files)
        assert sorted(line.split(maxsplit=8)[8] for line in windows.list("LIST")) == sorted(files)
        # mget asks for the names and fetches one after the other.
        for name in windows.list("NLST *.bin"):
            assert windows.receive(f"RETR {name}") == files[name]
        windows.send("APPE file 1.bin", b"more")
        assert (here / "new folder/file 1.bin").read_bytes() == files["file 1.bin"] + b"more"
        control.expect("RNFR file 1.bin", "350 ")
        control.expect("RNTO Grüße.bin", "250 ")
        assert windows.list("NLST G*") == ["Grüße.bin"]
        for name in windows.list("NLST"):
            control.expect(f"DELE {name}", "250 ")
        control.expect("CWD ..", "250 ")
        control.expect("XRMD new folder", "250 ")
        control.expect("QUIT", "221 ")
        assert control.line() is None and os.listdir(here) == []

    def test_text_in_ascii_and_bytes_in_image(self, windows, here):
        fill(here, {"text": b"one\ntwo\n", "bytes": bytes(range(256)) * 10})
        # As it is, or, once TYPE A converts, with the line ends of the network.
        assert windows.receive("RETR text") in (b"one\ntwo\n", b"one\r\ntwo\r\n")
        windows.send("STOR sent", b"three\r\nfour\r\n")
        assert (here / "sent").read_bytes() in (b"three\r\nfour\r\n", b"three\nfour\n")
        windows.set_type("I")
        assert windows.receive("RETR bytes") == bytes(range(256)) * 10

    def test_what_it_does_after_an_error(self, windows, here):
        fill(here, {"file": b"content"})
        assert windows.receive("RETR nothing").startswith("550 ")
        assert windows.receive("LIST nothing")[:3] in ("450", "550")
        assert windows.control("RMD nothing").startswith("550 ")
        # Each of them asked for a data connection that never came. The next one belongs to the next transfer.
        assert windows.receive("RETR file") == b"content"

    def test_help_and_quote(self, windows):
        assert windows.control("HELP").startswith("214-")
        assert "RETR" in windows.control("HELP RETR")
        assert windows.control("SITE HELP").startswith("214-")
        assert windows.control("SYST").startswith("215 UNIX")


class FileZilla:
    """A connection of FileZilla's: what it says after the greeting, and how it lists and transfers."""

    def __init__(self, server):
        self.control = control = Control(server.host, server.port)
        assert control.reply().startswith("220 ")
        # It tries TLS first. If the server has none, it asks the user whether to go on in clear.
        for mechanism in ("TLS", "SSL"):
            assert control(f"AUTH {mechanism}")[0] == "5"
        control.expect("USER tester", "331 ")
        control.expect("PASS secret", "230 ")
        assert control("SYST").startswith("215 UNIX")
        self.features = control("FEAT").split("\n")
        assert {" UTF8", " MDTM", " SIZE", " REST STREAM", " CLNT"} <= set(self.features)
        assert any(line.startswith(" MLST ") for line in self.features)
        control.expect("CLNT FileZilla", "200 ")
        control.expect("OPTS UTF8 ON", "200 ")
        assert control("PWD").startswith('257 "/"')
        control.expect("TYPE I", "200 ")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.control.close()

    def passive(self):
        numbers = re.search(r"\((\d+,\d+,\d+,\d+),(\d+),(\d+)\)", self.control.expect("PASV", "227 "))
        assert numbers[1].replace(",", ".") == self.control.host
        return data_connection(self.control.host, int(numbers[2]) * 256 + int(numbers[3]))

    def list(self, folder):
        """{name: facts} of a folder."""
        self.control.expect(f"CWD {folder}", "250 ")
        with self.passive() as data:
            self.control.expect("MLSD", "150 ")
            lines = read_all(data).decode().split("\r\n")
        assert self.control.reply().startswith("226 ") and lines.pop() == ""
        entries = {}
        for line in lines:
            facts, _, name = line.partition(" ")
            entries[name] = dict(fact.lower().split("=", 1) for fact in facts.split(";")[:-1])
        return {name: facts for name, facts in entries.items() if facts["type"] in ("file", "dir")}

    def retrieve(self, name, size, start=0):
        """RETR with a keep-alive in the middle of it."""
        with self.passive() as data:
            if start:
                self.control.expect(f"REST {start}", "350 ")
            self.control.expect(f"RETR {name}", "150 ")
            first = data.recv(1000)
            self.control.send(b"NOOP\r\n")
            received = first + read_all(data)
        # The reply of NOOP comes before or after that of RETR.
        assert sorted(self.control.reply()[:3] for _ in range(2)) == ["200", "226"]
        assert len(received) == size - start
        return received

    def store(self, name, data, start=0):
        with self.passive() as connection:
            if start:
                self.control.expect(f"REST {start}", "350 ")
            self.control.expect(f"STOR {name}", "150 ")
            connection.sendall(data[start:])
        assert self.control.reply().startswith("226 ")
        if " MFMT" in self.features:
            self.control.expect(f"MFMT 20240102030405 {name}", "213 ")


class TestFileZilla:
    def test_ten_connections(self, start_server):
        """One browses while nine empty the queue, each file by way of: up, listed, down, resumed down."""
        server = start_server(max_connections=10)
        make_hard_tree(server.root / "tree")
        queue = [(f"folder {number % 3}", f"Größe {number}.bin", content(f"{number}", 50_000 * (number % 4) + 1)) for number in range(27)]
        for folder in {folder for folder, _, _ in queue}:
            (server.root / folder).mkdir()
        everybody_is_there, one_more_was_refused = threading.Barrier(10), threading.Barrier(10)

        def work(number):
            with FileZilla(server) as client:
                everybody_is_there.wait(PATIENCE)
                one_more_was_refused.wait(PATIENCE)
                for folder, name, data in queue[number::9]:
                    client.control.expect(f"CWD /{folder}", "250 ")
                    client.store(name, data)
                    assert client.list(f"/{folder}")[name]["size"] == str(len(data))
                    assert client.control.expect(f"MDTM {name}", "213 ")
                    assert client.retrieve(name, len(data)) == data
                    half = len(data) // 2
                    if half:
                        assert client.retrieve(name, len(data), start=half) == data[half:]
                client.control.expect("QUIT", "221 ")

        def browse():
            with FileZilla(server) as client:
                everybody_is_there.wait(PATIENCE)
                # One more is refused; FileZilla waits and tries again.
                with Control(server.host, server.port) as other:
                    assert other.reply().startswith("421 ")
                one_more_was_refused.wait(PATIENCE)
                files, folders = read_tree(server.root / "tree")
                found, waiting = {}, [""]
                while waiting:
                    folder = waiting.pop()
                    for name, facts in client.list(f"/tree/{folder}").items():
                        if facts["type"] == "dir":
                            waiting.append(f"{folder}{name}/")
                            folders.remove(folder + name)
                        else:
                            found[folder + name] = int(facts["size"])
                assert folders == set() and found == {name: len(data) for name, data in files.items()}
                client.control.expect("CWD /", "250 ")
                client.control.expect("MKD New directory", "257 ")
                client.control.expect("RNFR New directory", "350 ")
                client.control.expect("RNTO Ordner", "250 ")
                client.control.expect("RMD Ordner", "250 ")

        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            for future in [pool.submit(browse), *(pool.submit(work, number) for number in range(9))]:
                future.result()
        for folder, name, data in queue:
            assert (server.root / folder / name).read_bytes() == data
        server.assert_nothing_leaked()

    def test_an_upload_that_broke_off_is_resumed(self, server):
        data = content("file", 300_001)
        fill(server.root, {"file": data[:123_456]})
        with FileZilla(server) as client:
            size = int(client.list("/")["file"]["size"])
            client.store("file", data, start=size)
        assert (server.root / "file").read_bytes() == data

    def test_a_transfer_that_the_user_stops(self, server):
        fill(server.root, {"big": content("big", 20 << 20), "small": b"small"})
        with FileZilla(server) as client:
            data = client.passive()
            client.control.expect("RETR big", "150 ")
            data.recv(1000)
            # It hangs up at once and waits for the reply.
            data.close()
            assert client.control.reply().startswith("426 ")
            assert client.retrieve("small", 5) == b"small"


class TestFileManagers:
    """Explorer, gvfs, KIO, mc, and those of phones: into the folder, then names without a path, LIST, SIZE before RETR."""

    @pytest.mark.parametrize("listing", ["LIST", "LIST -a", "LIST -al", "NLST"])
    def test_they_go_into_each_folder(self, server, here, listing):
        files = make_hard_tree(here)
        with server.login() as control:
            for folder in sorted(read_tree(here)[1]):
                control.expect(f"CWD /here/{folder}", "250 ")
                lines = control.retrieve(listing).decode().split("\r\n")[:-1]
                names = [line if listing == "NLST" else line[line.index(":") + 4 :] for line in lines]
                assert sorted(name for name in names if name not in (".", "..")) == sorted(os.listdir(here / folder))
                control.expect("NOOP", "200 ")
                for name in names:
                    path = f"{folder}/{name}"
                    if path in files:
                        assert control(f"SIZE {name}") == f"213 {len(files[path])}"
                        assert control.retrieve(f"RETR {name}") == files[path]

    def test_whether_it_is_a_folder_is_asked_with_cwd(self, server, here):
        fill(here, {"file": b"", "folder/": None})
        with server.login() as control:
            control.expect("CWD /here", "250 ")
            control.expect("CWD file", "550 ")
            assert control("PWD").startswith('257 "/here"')
            control.expect("CWD folder", "250 ")
            control.expect("CDUP", "250 ")
            assert control("PWD").startswith('257 "/here"')
