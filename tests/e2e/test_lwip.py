"""The server on a network stack with few places, as boards with lwIP have it: `lwip/socket.py` says what is different there."""

import contextlib
import re
import socket

import pytest
from clients import Curl
from control import PATIENCE, data_connection, read_all
from ports import PATIENT, move_files_in_active_mode, on, refuse_in_active_mode, retrieve_a_file
from server import wait_until


@pytest.fixture
def board(start_server):
    """Starts a server on such a stack. At the end of the test no place may be taken, and nothing have been printed that should not be."""
    servers = []

    def start(before="", **settings):
        server = start_server(**on("lwip", "rp2", before), **(PATIENT | {"max_connections": 2} | settings))
        servers.append(server)
        return server

    yield start
    for server in servers:
        wait_until(lambda: places(server) == (0, 0), server.describe)
        assert server.output().count("Warning") == 0, server.describe()
        assert server.output().count("without TCP_NODELAY") == 0, server.describe()


def places(server):
    """How many places are taken, and how many of these are lost for ever."""
    told = re.findall(r"^-- places: (\d+) taken, (\d+) lost$", server.output(), re.MULTILINE)
    return tuple(map(int, told[-1])) if told else (0, 0)


def passive_port(control):
    return int(control.expect("EPSV", "229 ").split("|")[3])


def early(server, control):
    """A data connection that comes before any command that wants it; the server's stack has it."""
    before = places(server)[0]
    data = data_connection(server.host, passive_port(control))
    wait_until(lambda: places(server)[0] > before, server.describe)
    return data


def assert_served(server, control):
    retrieve_a_file(server, control)
    assert places(server)[1] == 0, server.describe()


# -- connections that nobody wants


@pytest.mark.parametrize("count", [4, 20])
def test_curl_of_a_missing_file_again_and_again_and_then_of_one_that_exists(board, tmp_path, count):
    server = board()
    (server.root / "file").write_bytes(b"content")
    curl = Curl(server, tmp_path)
    for _ in range(count):
        # 78: the server does not have the file.
        curl.run("--silent", "--user", "tester:secret", "--max-time", PATIENCE, f"{curl.url}/missing", expect=78)
    assert curl.curl(f"{curl.url}/file") == "content"


UNWANTED = {
    "EPSV": [("EPSV", "229")],
    "PASV": [("PASV", "227")],
    "PORT": [("PORT 127,0,0,1,200,0", "200")],
    "EPRT": [("EPRT |1|127.0.0.1|51200|", "200")],
    "ABOR": [("ABOR", "22")],
    "REIN": [("REIN", "220"), ("USER tester", "331"), ("PASS secret", "230"), ("TYPE I", "200")],
    "RETR of nothing, and EPSV": [("RETR missing", "550"), ("EPSV", "229")],
}


@pytest.mark.parametrize("commands", UNWANTED.values(), ids=UNWANTED)
def test_a_connection_that_came_early_and_is_not_wanted_costs_no_place(board, commands):
    server = board()
    with server.login() as control:
        for _ in range(4):
            with early(server, control) as data:
                for command, reply in commands:
                    control.expect(command, reply)
                # It is ended, not left alone.
                with contextlib.suppress(ConnectionResetError):
                    assert data.recv(1) == b""
        assert_served(server, control)


@pytest.mark.parametrize("commands", [[], ["QUIT"], ["RETR missing"], ["RETR missing", "QUIT"]], ids=lambda commands: ", ".join(commands) or "none")
def test_a_session_that_ends_with_a_connection_that_nobody_took_costs_no_place(board, commands):
    server = board()
    for _ in range(4):
        with server.login() as control:
            data = early(server, control)
            for command in commands:
                control.expect(command, "550" if command.startswith("RETR") else "221")
        data.close()
    with server.login() as control:
        assert_served(server, control)


def test_after_a_550_the_connection_that_came_early_is_the_next_commands(board):
    server = board()
    (server.root / "file").write_bytes(b"content")
    with server.login() as control, early(server, control) as data:
        control.expect("RETR missing", "550")
        control.expect("CWD missing", "550")
        control.expect("RETR file", "150")
        assert read_all(data) == b"content"
        assert control.reply().startswith("226 ")


def test_two_sessions_that_transfer_leave_a_place_for_a_newcomer(board):
    server = board()
    (server.root / "file").write_bytes(bytes(4 << 20))
    with server.login() as first, server.login() as second:
        with first.data(receive_buffer=4096) as one, second.data(receive_buffer=4096) as other:
            for control in (first, second):
                control.expect("RETR file", "150")
            with server.connect() as newcomer:
                # The server says that there is no room, and why.
                assert newcomer.reply().startswith("421 ")
            assert len(read_all(one)) == len(read_all(other)) == 4 << 20
        assert first.reply().startswith("226 ") and second.reply().startswith("226 ")


def test_without_a_place_for_a_listener_425(board):
    # Three sessions, two of them with a data connection, use up all places.
    server = board(max_connections=3)
    (server.root / "file").write_bytes(bytes(4 << 20))
    with server.login() as first, server.login() as second, server.login() as third:
        with first.data(receive_buffer=4096) as one, second.data(receive_buffer=4096) as other:
            for control in (first, second):
                control.expect("RETR file", "150")
            for command in ("EPSV", "PASV"):
                third.expect(command, "425")
            read_all(one)
            read_all(other)
        assert first.reply().startswith("226 ") and second.reply().startswith("226 ")
        assert_served(server, third)


# -- what comes before accept


@pytest.mark.parametrize("content", [b"", b"1"], ids=["empty", "one byte"])
@pytest.mark.parametrize("command", ["STOR file", "APPE file", "STOU"])
def test_a_small_upload_ends_at_once(board, command, content):
    server = board()
    with server.login() as control:
        for _ in range(3):
            with early(server, control) as data:
                reply = control.expect(command, "150")
                data.sendall(content)
            control.socket.settimeout(10)
            assert control.reply().startswith("226 ")
            name = reply.split()[-1] if command == "STOU" else "file"
            assert (server.root / name).read_bytes() == content
            (server.root / name).unlink()


@pytest.mark.parametrize("command", ["STOR file", "APPE file", "STOU"])
def test_an_empty_upload_whose_connection_is_under_way_ends_at_once(board, command):
    # Over Wi-Fi FileZilla's command comes before its connection stands. It closes the connection when it has read the 150.
    server = board("socket.HANDSHAKE = 3")
    with server.login() as control:
        for _ in range(3):
            with early(server, control):
                control.expect(command, "150")
            control.socket.settimeout(10)
            assert control.reply().startswith("226 ")


def test_a_byte_that_came_before_the_command_is_not_lost(board):
    server = board()
    with server.login() as control:
        with early(server, control) as data:
            data.sendall(b"1")
            data.shutdown(socket.SHUT_WR)
            control.expect("STOR file", "150")
        control.socket.settimeout(10)
        assert control.reply().startswith("226 ")
    assert (server.root / "file").read_bytes() == b"1"


def test_curl_uploads_small_files(board, tmp_path):
    server = board()
    curl = Curl(server, tmp_path)
    for content in (b"", b"1"):
        (tmp_path / "small").write_bytes(content)
        curl.curl("--max-time", 10, "--upload-file", tmp_path / "small", f"{curl.url}/small")
        assert (server.root / "small").read_bytes() == content


def test_files_larger_than_the_window_both_ways(board):
    server = board()
    content = bytes(range(256)) * 1000
    with server.login() as control:
        control.store("STOR file", content)
        assert control.retrieve("RETR file") == content


# -- TCP_NODELAY


def test_without_the_name_there_is_no_guess(start_server):
    # Another number would be another option, or a warning at each connection.
    server = start_server(**on("lwip", "rp2", "del socket.TCP_NODELAY"))
    with server.login() as control:
        assert_served(server, control)
    assert server.output().count("Warning") == 0, server.describe()


def test_on_linux_the_number_is_known(start_server):
    server = start_server(**on("lwip", "linux", "del socket.TCP_NODELAY\nsocket.nodelay = 1"))
    with server.login() as control:
        assert_served(server, control)
    wait_until(lambda: places(server) == (0, 0), server.describe)
    assert server.output().count("without TCP_NODELAY") == 0, server.describe()


# -- a fault of the server's own

FAULT = """
def getaddrinfo(host, port, *more):
    if port == 1025:
        raise AttributeError("a fault")
    return found(host, port, *more)

def faulty(self, backlog):
    listens.append(self)
    if len(listens) == 2:
        raise AttributeError("a fault")
    listen(self, backlog)

listens = []
found, socket.getaddrinfo = socket.getaddrinfo, getaddrinfo
listen, socket.socket.listen = socket.socket.listen, faulty
"""


def test_a_fault_of_the_server_ends_the_session_and_is_shown(start_server):
    # Of DELE and the like an AttributeError is an answer: VfsRom has no remove(). Of an active data connection it is not.
    server = start_server(**on("lwip", "rp2", FAULT))
    with server.login() as control:
        control.expect("EPRT |1|127.0.0.1|1025|", "200")
        assert control("NLST") == ""
    assert server.output().count("AttributeError: a fault") == 1
    # Within asyncio's poller there is a reply. When the share is used up, the task makes the listener.
    with server.login() as control:
        assert control("EPSV")[:1] in ("4", "")
    assert server.output().count("AttributeError: a fault") == 2
    with server.login() as control:
        retrieve_a_file(server, control)
    server.stop(complain=False)


# -- active mode


@pytest.mark.parametrize("numbers", ["", "socket.newlib()"], ids=["MicroPython's errors", "newlib's errors"])
def test_active_mode_where_connect_is_under_way_and_then_stands(board, numbers):
    move_files_in_active_mode(board(before=numbers))


@pytest.mark.parametrize("numbers", ["", "socket.newlib()"], ids=["MicroPython's errors", "newlib's errors"])
def test_active_mode_that_the_client_refuses_is_425(board, numbers):
    server = board(before=numbers, data_timeout=2)
    refuse_in_active_mode(server)
    assert places(server)[1] == 0, server.describe()


def test_active_mode_without_a_place_is_425(board):
    server = board(max_connections=3)
    (server.root / "file").write_bytes(bytes(4 << 20))
    with server.login() as first, server.login() as second, server.login() as third:
        with first.data(receive_buffer=4096) as one, second.data(receive_buffer=4096) as other:
            for control in (first, second):
                control.expect("RETR file", "150")
            with socket.create_server((server.host, 0)) as listener:
                third.expect(f"EPRT |1|{server.host}|{listener.getsockname()[1]}|", "200")
                reply = third("RETR file")
                if reply.startswith("150 "):
                    reply = third.reply()
                assert reply.startswith("425 "), reply
            read_all(one)
            read_all(other)
        assert first.reply().startswith("226 ") and second.reply().startswith("226 ")
        assert_served(server, third)
