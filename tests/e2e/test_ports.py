"""The server on the sockets of other ports than those of Unix and of modlwip: docs/ports.md says what is different there, `esp32/socket.py` and
`w5x00/socket.py` play it."""

import contextlib
import re
import socket
import struct

import pytest
import transcript
from clients import Curl
from control import PATIENCE, data_connection, read_all
from ports import PATIENT, move_files_in_active_mode, on, refuse_in_active_mode, retrieve_a_file
from server import Server, needs_ipv6, run_micropython, wait_until


def sockets(server):
    """How many sockets are open."""
    return int(re.findall(r"^-- sockets: (\d+)$", server.output(), re.MULTILINE)[-1])


@pytest.fixture
def esp32(start_server):
    """Starts a server on an ESP32's sockets. At the end of the test only the listener may be open, and nothing have been printed that should not be."""
    started = []

    def start(before="", **settings):
        server = start_server(**on("esp32", "esp32", before), **(PATIENT | settings))
        started.append(server)
        return server

    yield start
    for server in started:
        wait_until(lambda: sockets(server) == 1, server.describe)
        assert server.output().count("Warning") == 0, server.describe()
        assert server.output().count("without TCP_NODELAY") == 0, server.describe()


def passive_port(control):
    return int(control.expect("EPSV", "229 ").split("|")[3])


# -- what every transfer meets


# A reset drops bytes that were not read there. So what stays of an upload depends on who is faster.
PLAYED = [path for path in transcript.transcripts() if path.stem != "unfinished-uploads"]


@pytest.mark.clients
@pytest.mark.parametrize("path", PLAYED, ids=lambda path: path.stem)
def test_transcript(path, esp32):
    server = esp32(**transcript.settings(path))
    transcript.build_fixture(server.root)
    transcript.Player(path, server.host, server.port, server.files).play()


@pytest.mark.parametrize("size", [0, 1, 5760, 300_000])
def test_files_of_every_size_both_ways(esp32, size):
    server = esp32()
    content = (bytes(range(251)) * 1200)[:size]
    with server.login() as control:
        for _ in range(3):
            control.store("STOR file", content)
            assert (server.root / "file").read_bytes() == content
            assert control.retrieve("RETR file") == content


def test_listings(esp32):
    server = esp32()
    for number in range(200):
        (server.root / f"file {number}").touch()
    with server.login() as control:
        for command in ("LIST", "NLST", "MLSD"):
            assert len(re.findall(rb"\bfile \d+\r\n", control.retrieve(command))) == 200


@pytest.mark.parametrize("content", [b"", b"1", b"content" * 100], ids=["empty", "one byte", "some"])
def test_data_and_end_that_come_before_accept_are_kept(esp32, content):
    server = esp32()
    with server.login() as control:
        with data_connection(server.host, passive_port(control)) as data:
            data.sendall(content)
            data.shutdown(socket.SHUT_WR)
            control.expect("STOR file", "150")
            assert control.reply().startswith("226 ")
    assert (server.root / "file").read_bytes() == content


def test_curl_of_a_missing_file_again_and_again_and_then_of_one_that_exists(esp32, tmp_path):
    server = esp32()
    (server.root / "file").write_bytes(b"content")
    curl = Curl(server, tmp_path)
    for _ in range(20):
        # 78: the server does not have the file.
        curl.run("--silent", "--user", "tester:secret", "--max-time", PATIENCE, f"{curl.url}/missing", expect=78)
    assert curl.curl(f"{curl.url}/file") == "content"


def test_a_control_connection_that_breaks_ends_its_session(esp32):
    server = esp32()
    for _ in range(5):
        server.login().reset()
    wait_until(lambda: sockets(server) == 1, server.describe)
    with server.login() as control:
        retrieve_a_file(server, control)


def test_an_upload_that_breaks(esp32):
    server = esp32()
    with server.login() as control:
        with data_connection(server.host, passive_port(control)) as data:
            control.expect("STOR file", "150")
            data.sendall(b"content")
            # Closed by a reset.
            data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert control.reply().startswith("426 ")
        retrieve_a_file(server, control)


def test_a_download_that_the_client_breaks_off(esp32):
    server = esp32()
    (server.root / "file").write_bytes(bytes(4 << 20))
    with server.login() as control:
        with data_connection(server.host, passive_port(control), receive_buffer=4096) as data:
            control.expect("RETR file", "150")
            data.recv(1)
            data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert control.reply().startswith("426 ")
        retrieve_a_file(server, control)


# -- active mode


def test_active_mode_where_connect_is_under_way_and_then_stands(esp32):
    move_files_in_active_mode(esp32())


def test_active_mode_in_which_the_client_sends_all_and_closes_before_the_server_looks(esp32):
    server = esp32()
    with server.login() as control, socket.create_server((server.host, 0)) as listener:
        listener.settimeout(PATIENCE)
        host, port = listener.getsockname()
        control.expect(f"EPRT |1|{host}|{port}|", "200")
        control.send(b"STOR file\r\n")
        with listener.accept()[0] as data:
            data.sendall(b"sent")
        assert control.reply().startswith("150 ")
        assert control.reply().startswith("226 ")
    assert (server.root / "file").read_bytes() == b"sent"


def test_active_mode_that_the_client_refuses_is_425(esp32):
    # At once, not when a time-out passes.
    refuse_in_active_mode(esp32())


# -- ten sockets


def test_four_sessions_that_all_transfer_are_what_ten_sockets_are_for(esp32):
    server = esp32()
    (server.root / "file").write_bytes(bytes(1 << 20))
    with contextlib.ExitStack() as stack:
        controls = [stack.enter_context(server.login()) for _ in range(4)]
        # All listeners are open before the first of them is closed.
        ports = [passive_port(control) for control in controls]
        assert sockets(server) == 9
        connections = [stack.enter_context(data_connection(server.host, port, receive_buffer=4096)) for port in ports]
        for control in controls:
            control.expect("RETR file", "150")
        with server.connect() as newcomer:
            assert newcomer.reply().startswith("421 ")
        for data in connections:
            assert len(read_all(data)) == 1 << 20
        for control in controls:
            assert control.reply().startswith("226 ")


def test_without_a_socket_425_and_the_server_goes_on(esp32):
    server = esp32(max_connections=8)
    with contextlib.ExitStack() as stack:
        # One is the server's own, and eight are these: one is left, for a listener, and then there is none for its connection.
        controls = [stack.enter_context(server.login()) for _ in range(8)]
        port = passive_port(controls[0])
        assert sockets(server) == 10
        for command in ("EPSV", "PASV"):
            controls[1].expect(command, "425")
        with data_connection(server.host, port) as data:
            reply = controls[0]("STOR file")
            if reply.startswith("150 "):
                reply = controls[0].reply()
            assert reply.startswith("425 "), reply
            # The client sees the end of its data connection.
            assert data.recv(1) == b""
        for control in controls[1:]:
            control.expect("QUIT", "221")
        wait_until(lambda: sockets(server) <= 3, server.describe)
        retrieve_a_file(server, controls[0])


def test_a_newcomer_for_whom_there_is_no_socket_does_not_stop_the_listener(esp32):
    server = esp32(max_connections=20)
    with contextlib.ExitStack() as stack:
        controls = [stack.enter_context(server.login()) for _ in range(9)]
        with server.connect() as newcomer:
            assert newcomer.reply() == ""
        controls.pop().expect("QUIT", "221")
        wait_until(lambda: sockets(server) == 9, server.describe)
        with server.login() as control:
            control.expect("NOOP", "200")


# -- what a port cannot do


def run_to_its_end(folder, port, platform, **settings):
    """The exit code of a server that cannot start, and what it prints."""
    server = Server(folder, **on(port, platform), **settings)
    return run_micropython(folder, server.program, modules=server.modules)


def test_a_w5x00_with_its_own_sockets_is_refused_with_words(tmp_path):
    code, told = run_to_its_end(tmp_path, "w5x00", "pyboard")
    assert code == 1
    error = told.strip().split("\n")[-1]
    assert error.startswith("OSError: ") and "block" in error and "lwIP" in error, told
    # The chip's socket is free again.
    assert re.findall(r"-- sockets: (\d+)", told) == ["1", "0"]
    assert "Listening" not in told


def test_an_address_that_the_sockets_do_not_know_is_refused_with_words(tmp_path):
    needs_ipv6()
    code, told = run_to_its_end(tmp_path, "esp32", "esp32", host="::1")
    assert code == 1
    error = told.strip().split("\n")[-1]
    assert error.startswith("ValueError: host ") and "IPv4" in error, told
    assert "Listening" not in told
