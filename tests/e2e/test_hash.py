"""HASH, XSHA256 and XCRC: right, in small steps, and without a trace."""

import hashlib
import socket
import zlib

import pytest
from control import Control
from server import ARCHITECTURE, wait_until


@pytest.mark.parametrize("size", [0, 1, 1 << 20])
def test_digests_of_files(server, contents, size):
    content = contents[size].read_bytes()
    (server.root / "file").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    with server.login() as control:
        assert control("HASH file") == f"213 SHA-256 0-{size} {digest} /file"
        assert control("XSHA256 file") == f"250 {digest}"
        assert control("XCRC file") == f"250 {zlib.crc32(content):08x}"
    server.assert_nothing_leaked()


def test_others_are_served_while_a_long_file_is_digested(server, contents):
    content = contents[64 << 20].read_bytes()[: 8 << 20]
    (server.root / "long").write_bytes(content)
    (server.root / "short").write_bytes(b"content")
    with server.login() as control, server.login() as other:
        control.send(b"HASH long\r\n")
        # These change the workspace that the sessions share: the reply must name its own file.
        for _ in range(5):
            assert other.retrieve("RETR short") == b"content"
            other.expect("SIZE short", "213 7")
        assert control.reply() == f"213 SHA-256 0-{len(content)} {hashlib.sha256(content).hexdigest()} /long"
    server.assert_nothing_leaked()


# A file whose digest takes longer than any test. It takes no room.
ENDLESS = 1 << 40


def digesting(server, command):
    """A client whose digest has begun."""
    with open(server.root / "endless", "wb") as file:
        file.truncate(ENDLESS)
    control = server.login()
    control.send(command + b"\r\n")
    wait_until(lambda: any(path.endswith("/endless") for path in server.open_files()), server.describe)
    return control


@pytest.mark.skipif(ARCHITECTURE != "x64", reason="files of 32-bit systems are smaller")
@pytest.mark.parametrize("leave", [Control.reset, Control.close, lambda control: control.socket.shutdown(socket.SHUT_WR)])
def test_a_client_that_does_not_wait_for_its_digest(start_server, leave):
    server = start_server(max_connections=1)
    with digesting(server, b"XCRC endless") as control:
        leave(control)
        # The only place is free again.
        server.assert_nothing_leaked()


@pytest.mark.skipif(ARCHITECTURE != "x64", reason="files of 32-bit systems are smaller")
def test_a_session_that_is_ended_while_it_digests(server):
    with digesting(server, b"HASH endless") as control, server.login() as other:
        # What the client says meanwhile waits, and more than the line buffer can hold changes nothing.
        control.send(b"PWD\r\n" * 1000)
        assert other("SITE KICK tester") == "200 Sessions ended: 2."
        assert control.reply().startswith("451 ")
        assert control.reply().startswith("421 ")
        assert other.reply().startswith("421 ")


def test_what_a_client_says_while_it_waits_for_its_digest(server):
    content = bytes(4 << 20)
    (server.root / "long").write_bytes(content)
    with server.login() as control:
        control.send(b"HASH long\r\n")
        control.send(b"PWD\r\n" * 200 + b"QUIT\r\n")
        assert control.reply().endswith(f" {hashlib.sha256(content).hexdigest()} /long")
        assert all(control.reply().startswith("257 ") for _ in range(200))
        assert control.reply().startswith("221 ")
    with server.login() as control:
        # After QUIT nothing more need come.
        control.send(b"XSHA256 long\r\nQUIT\r\n")
        control.socket.shutdown(socket.SHUT_WR)
        assert control.reply() == f"250 {hashlib.sha256(content).hexdigest()}"
        assert control.reply().startswith("221 ")


def test_a_file_that_cannot_be_read_has_no_digest(server):
    (server.root / "bad").symlink_to("/proc/self/mem")
    with server.login() as control:
        assert control("HASH bad").startswith("451 ")
        control.expect("NOOP", "200")
    server.assert_nothing_leaked()
