"""Uploads that break off: what has arrived of a new file stays, so that the client can go on. An upload that has arrived as a whole is complete."""

import hashlib
import io
import signal
import subprocess
import time

import pytest
from clients import Curl, Ftplib, Lftp, Rclone
from control import reset
from server import wait_until, run_micropython

# Many of these wait for seconds.
pytestmark = pytest.mark.clients

NEW = hashlib.shake_128(b"new").digest(300_000)
ARRIVED = 100_000
OLD = b"the old file"


def moved(control):
    """The bytes that the transfer of a session has moved so far."""
    return int(control("STAT").split(" in progress, ")[1].split(" ")[0])


def begin(server, control, command="STOR file", content=NEW[:ARRIVED]):
    """An upload that has not come to its end, when all that was sent has arrived."""
    data = control.data()
    control.expect(command, "150")
    data.sendall(content)
    wait_until(lambda: moved(control) == len(content), server.describe)
    return data


def end_early(server, control, data, ending):
    """Ends an upload before its time."""
    if ending == "ABOR":
        control.expect("ABOR", "426")
        assert control.reply().startswith("226")
    elif ending == "break":
        reset(data)
        assert control.reply().startswith("426")
    elif ending == "stall":
        assert control.reply().startswith("426")
    elif ending == "kick":
        with server.login() as admin:
            admin.expect("SITE KICK 127.0.0.1", "200")
    elif ending == "vanish":
        # From now on both connections are silent.
        control.reset()
    elif ending == "break both":
        control.reset()
        reset(data)
    elif ending == "stop":
        with server.login() as admin:
            admin.expect("SITE SHUTDOWN -h", "200")


ENDINGS = ["ABOR", "break", "stall", "kick", "vanish", "break both", "stop"]


def settings_of(ending):
    return {"stall_timeout": 2} if ending in ("stall", "vanish") else {}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_has_arrived_of_a_new_file_stays(start_board, ending):
    server = start_board(**settings_of(ending))
    with server.login() as control:
        data = begin(server, control)
        end_early(server, control, data, ending)
        wait_until(lambda: server.files.names() == ["file"], server.describe)
        data.close()
    wait_until(lambda: server.files.read("/file") == NEW[:ARRIVED], lambda: f"{len(server.files.read('/file'))} bytes\n{server.describe()}")
    if ending == "stop":
        server.wait()
        return
    with server.login() as control:
        control.expect("SIZE file", f"213 {ARRIVED}")
        control.expect(f"REST {ARRIVED}", "350")
        control.store("STOR file", NEW[ARRIVED:])
        assert control.retrieve("RETR file") == NEW
    assert server.files.names() == ["file"]
    server.assert_nothing_leaked()


@pytest.mark.parametrize("ending", ENDINGS[:-1])
def test_over_an_old_file_the_old_one_stays(start_board, ending):
    server = start_board(**settings_of(ending))
    server.files.write("/file", OLD)
    with server.login() as control:
        data = begin(server, control)
        end_early(server, control, data, ending)
        wait_until(lambda: server.files.names() == ["file"], server.describe)
        data.close()
    wait_until(lambda: not server.sessions())
    assert server.files.read("/file") == OLD
    server.assert_nothing_leaked()


@pytest.mark.parametrize("ending", ENDINGS[:-1])
@pytest.mark.parametrize("in_place", [False, True], ids=["atomic", "in place"])
def test_nothing_stays_where_that_is_not_wanted(start_board, ending, in_place):
    server = start_board(partial_uploads="never", atomic_uploads=not in_place, **settings_of(ending))
    with server.login() as control:
        data = begin(server, control)
        end_early(server, control, data, ending)
        wait_until(lambda: server.files.names() == [], server.describe)
        data.close()
    server.assert_nothing_leaked()


def test_what_was_appended_stays_in_any_case(start_board):
    # It is not the old file any more, but the client can go on with SIZE and APPE or REST.
    server = start_board(partial_uploads="never")
    with server.login() as control:
        for command in ("APPE file", "REST 5|STOR file"):
            server.files.write("/file", OLD)
            if command.startswith("REST"):
                control.expect("REST 5", "350")
            data = begin(server, control, command.rpartition("|")[2])
            reset(data)
            assert control.reply().startswith("426")
            before = OLD if command == "APPE file" else OLD[:5]
            assert server.files.read("/file") == before + NEW[:ARRIVED]
    server.assert_nothing_leaked()


@pytest.mark.parametrize("value", ["always", "", None, True, 1])
def test_the_setting_names_what_it_may_be(tmp_path, value):
    code, output = run_micropython(tmp_path, f"from ftpdlite import FTPdLite\nFTPdLite(root={str(tmp_path)!r}, partial_uploads={value!r})\n")
    last = output.strip().splitlines()[-1]
    assert code == 1 and last.startswith(("ValueError: partial_uploads", "TypeError: partial_uploads")), output
    assert '"new"' in last.replace("'", '"') and '"never"' in last.replace("'", '"')


def test_nothing_stays_of_which_nothing_arrived(board):
    with board.login() as control:
        for ending in ("ABOR", "break", "nothing"):
            data = control.data()
            control.expect("STOR file", "150")
            if ending == "ABOR":
                control.expect("ABOR", "426")
                assert control.reply().startswith("226")
            elif ending == "break":
                reset(data)
                assert control.reply().startswith("426")
            data.close()
            if ending == "nothing":
                # An empty file is a file.
                assert control.reply().startswith("226")
                assert board.files.tree() == {"/file": b""}
            else:
                assert board.files.names() == []


def test_an_upload_whose_connection_never_comes_leaves_nothing(start_board):
    server = start_board(data_timeout=1)
    with server.login() as control:
        control.expect("EPSV", "229")
        control.expect("STOR file", "150")
        assert control.reply().startswith("425")
    assert server.files.names() == []
    server.assert_nothing_leaked()


def test_a_disc_that_is_full_leaves_nothing(start_server):
    server = start_server(file_system="VfsFat", disc_size=128 << 10)
    with server.login() as control:
        with control.data() as data:
            control.expect("STOR file", "150")
            try:
                data.sendall(NEW)
            except OSError:
                pass
        assert control.reply().startswith("452")
    assert server.files.names() == []
    server.assert_nothing_leaked()


@pytest.mark.parametrize("command", ["STOU log", "STOR folder/file", "STOR Grüße, Ä ö.txt"])
def test_it_stays_wherever_it_was_to_go(board, command):
    board.files.make_folders("/folder")
    with board.login() as control:
        data = control.data()
        reply = control.expect(command, "150")
        data.sendall(NEW[:ARRIVED])
        wait_until(lambda: moved(control) == ARRIVED, board.describe)
        reset(data)
        assert control.reply().startswith("426")
        name = reply.partition("150 FILE: ")[2] or command[5:]
        control.expect(f"SIZE {name}", f"213 {ARRIVED}")
        control.store(f"APPE {name}", NEW[ARRIVED:])
    assert board.files.read("/" + name) == NEW
    assert {path for path in board.files.tree() if not path.endswith("/")} == {"/" + name}


def test_a_name_that_was_taken_meanwhile_is_left_alone(board):
    # Changed by a program on the board, which does not ask the server.
    with board.login() as control:
        data = begin(board, control)
        board.files.write("/file", OLD)
        reset(data)
        assert control.reply().startswith("426")
    assert board.files.tree() == {"/file": OLD}


def test_lines_that_were_converted_stay_too(board):
    lines = b"".join(b"line %d\r\n" % number for number in range(5000))
    with board.login() as control:
        control.expect("TYPE A", "200")
        data = control.data()
        control.expect("STOR file", "150")
        data.sendall(lines[:40_001])
        wait_until(lambda: moved(control) == 40_001, board.describe)
        reset(data)
        assert control.reply().startswith("426")
    content = board.files.read("/file")
    # A CR at the end of what came waits for what follows it, and may be kept or not.
    whole = lines[:40_001].replace(b"\r\n", b"\n")
    assert whole.startswith(content) and len(content) >= len(whole) - 2


# -- everything has arrived


@pytest.mark.parametrize("how", ["replies read", "replies unread", "reset", "QUIT"])
def test_what_arrived_as_a_whole_is_kept_when_the_client_hangs_up_at_once(start_board, file_system, how):
    size = 1_000_000 if file_system else 3_000_000
    server = start_board(**({"disc_size": 4 << 20, "heap": "16m"} if file_system else {}))
    content = hashlib.shake_128(b"picture").digest(size)
    for number in range(20):
        control = server.login()
        data = control.data()
        control.send(b"STOR picture%d\r\n" % (number % 2))
        if how != "replies unread":
            assert control.reply().startswith("150")
        data.sendall(content)
        data.close()
        if how == "reset":
            control.reset()
        else:
            if how == "QUIT":
                control.send(b"QUIT\r\n")
            control.close()
        wait_until(lambda: not server.sessions(), server.describe)
        assert server.files.read(f"/picture{number % 2}") == content, f"number {number}"
        if number % 2:
            server.files.remove("/picture0")
            server.files.remove("/picture1")
    assert server.files.names() == []
    server.assert_nothing_leaked()


def test_an_upload_goes_on_while_bytes_come(start_board):
    server = start_board(stall_timeout=2)
    with server.login() as control:
        data = begin(server, control)
        control.reset()
        for start in range(ARRIVED, len(NEW), 25_000):
            time.sleep(0.4)
            data.sendall(NEW[start : start + 25_000])
        assert server.files.names() != ["file"]
        data.close()
    wait_until(lambda: server.files.names() == ["file"] and server.files.read("/file") == NEW, server.describe)
    server.assert_nothing_leaked()


@pytest.mark.parametrize("stall_timeout", [60, 0])
def test_a_client_that_vanishes_is_gone_in_seconds(start_server, stall_timeout):
    server = start_server(stall_timeout=stall_timeout)
    with server.login() as control:
        data = begin(server, control)
        control.reset()
        # This waits for less than `stall_timeout`.
        wait_until(lambda: not server.sessions(), server.describe)
        data.close()
    assert server.files.read("/file") == NEW[:ARRIVED]
    server.assert_nothing_leaked()


def test_a_download_is_cut_when_the_client_is_gone(start_server):
    # Nothing else would end it.
    server = start_server(stall_timeout=0, idle_timeout=0)
    with open(server.root / "big", "wb") as file:
        file.truncate(64 << 20)
    with server.login() as control, control.data(receive_buffer=4096):
        control.expect("RETR big", "150")
        control.reset()
        wait_until(lambda: not server.sessions(), server.describe)
    server.assert_nothing_leaked()


# -- what real clients do


class TestClients:
    """Each client's upload is killed on its way. The same client then goes on, or begins again, as it knows how to."""

    # Long enough to be killed at the rates below, which begin with a burst.
    CONTENT = hashlib.shake_128(b"clients").digest(4_000_000)

    def kill(self, client, server, arguments):
        """Starts a program, and breaks its connections when its upload has begun, before it knows."""
        environment = {"HOME": str(client.home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TERM": "dumb"} | client.environment
        process = subprocess.Popen([str(word) for word in arguments], env=environment, cwd=client.home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: any((server.root / name).stat().st_size > 50_000 for name in server.files.names()), server.describe)
            # The program must not close its data connection properly, because that would say that the upload is complete.
            process.send_signal(signal.SIGSTOP)
            with server.login() as admin:
                admin.expect("SITE KICK 127.0.0.1", "200")
            wait_until(lambda: not any(name.startswith(".ftpdlite-") for name in server.files.names()), server.describe)
        finally:
            process.kill()
            process.wait()
        wait_until(lambda: not server.sessions(), server.describe)

    @pytest.fixture
    def local(self, tmp_path):
        file = tmp_path / "up.bin"
        file.write_bytes(self.CONTENT)
        return file

    def part(self, server):
        """The size of what stayed, which is a part of the file."""
        assert server.files.names() == ["up.bin"]
        content = server.files.read("/up.bin")
        assert 0 < len(content) < len(self.CONTENT) and self.CONTENT.startswith(content)
        return len(content)

    def commands_of(self, server):
        """What the clients have sent, with their arguments."""
        return server.output()

    def whole(self, server):
        assert server.files.tree() == {"/up.bin": self.CONTENT}

    def test_curl(self, start_server, tmp_path, local):
        server = start_server(transfer_buffer_size=4096, debug=True)
        client = Curl(server, tmp_path)
        self.kill(client, server, ["curl", "--silent", "--user", "tester:secret", "--limit-rate", "300k", "--upload-file", local, f"{client.url}/up.bin"])
        size = self.part(server)
        client.resume_upload(local, "up.bin")
        self.whole(server)
        # It went on, and did not begin again.
        assert "APPE up.bin" in self.commands_of(server)
        assert size

    def test_lftp(self, start_server, tmp_path, local):
        server = start_server(transfer_buffer_size=4096, debug=True)
        client = Lftp(server, tmp_path)
        script = f"set net:limit-total-rate 300000; set ftp:ssl-allow no; open -u tester,secret {client.url}; put {local} -o up.bin"
        self.kill(client, server, ["lftp", "--norc", "-c", script])
        size = self.part(server)
        client.resume_upload(local, "up.bin")
        self.whole(server)
        assert f"REST {size}" in self.commands_of(server) or "APPE up.bin" in self.commands_of(server)

    def test_rclone(self, start_server, tmp_path, local):
        server = start_server(transfer_buffer_size=4096)
        client = Rclone(server, tmp_path)
        client.rclone("lsf", ":ftp:")
        self.kill(client, server, ["rclone", "--bwlimit", "300k", "--retries", 1, "copyto", local, ":ftp:up.bin"])
        # It begins again from the start. Nothing else may be left, except files of the client's own.
        client.rclone("copyto", local, ":ftp:up.bin")
        assert server.files.read("/up.bin") == self.CONTENT
        assert all(name == "up.bin" or name.endswith(".partial") for name in server.files.names())

    @pytest.mark.parametrize("command", ["APPE", "REST"])
    def test_as_filezilla_and_winscp_do(self, start_server, tmp_path, local, command):
        # SIZE, and then APPE, or REST and STOR.
        server = start_server(transfer_buffer_size=4096)
        client = Ftplib(server, tmp_path)
        with client.connect() as ftp:
            ftp.voidcmd("TYPE I")
            data = ftp.transfercmd("STOR up.bin")
            data.sendall(self.CONTENT[:2_000_000])
            # The network is gone: neither side closes the connection.
            wait_until(lambda: any((server.root / name).stat().st_size == 2_000_000 // 4096 * 4096 for name in server.files.names()), server.describe)
            ftp.file.close()
            reset(ftp.sock)
            ftp.sock = None
            reset(data)
        wait_until(lambda: not server.sessions(), server.describe)
        size = self.part(server)
        assert size == 2_000_000
        with client.connect() as ftp:
            ftp.voidcmd("TYPE I")
            assert ftp.size("up.bin") == size
            rest = io.BytesIO(self.CONTENT[size:])
            if command == "APPE":
                ftp.storbinary("APPE up.bin", rest)
            else:
                ftp.storbinary("STOR up.bin", rest, rest=size)
        self.whole(server)

    def test_with_never_every_client_begins_again(self, start_server, tmp_path, local):
        server = start_server(transfer_buffer_size=4096, partial_uploads="never")
        client = Curl(server, tmp_path)
        self.kill(client, server, ["curl", "--silent", "--user", "tester:secret", "--limit-rate", "300k", "--upload-file", local, f"{client.url}/up.bin"])
        assert server.files.names() == []
        client.resume_upload(local, "up.bin")
        self.whole(server)
