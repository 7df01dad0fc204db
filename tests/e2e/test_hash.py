"""HASH, XSHA256 and XCRC: right, in small steps, and without a trace."""

import hashlib
import zlib

import pytest


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


def test_a_client_that_does_not_wait_for_its_digest(server, contents):
    (server.root / "long").write_bytes(contents[64 << 20].read_bytes()[: 4 << 20])
    with server.login() as control:
        control.send(b"HASH long\r\n")
        control.reset()
    with server.login() as control:
        control.expect("NOOP", "200")
    server.assert_nothing_leaked()


def test_a_file_that_cannot_be_read_has_no_digest(server):
    (server.root / "bad").symlink_to("/proc/self/mem")
    with server.login() as control:
        assert control("HASH bad").startswith("451 ")
        control.expect("NOOP", "200")
    server.assert_nothing_leaked()
