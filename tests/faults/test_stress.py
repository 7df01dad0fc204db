"""Garbage is collected before every allocation, and what is free is filled with 0xdb: an object that only Rust still knows of, or that is used after
nobody holds it any more, would show. The transcripts are played so, and what they leave out."""

import concurrent.futures
import contextlib
import threading

import certificates
import faults
import pytest
import transcript
import wire_fuzzer
from control import PATIENCE, read_all, reset
from server import MAIN, run_micropython
from test_fuzz import SECONDS, SEED, SETTINGS, fuzz
from test_tls import hello, secure_data, secure_login

# A hash takes 10,000 rounds, and each would collect garbage many times.
STRESSED = """\
import faults
from ftpdlite import hashpass

whole = hashpass._pbkdf2
hashpass._pbkdf2 = lambda password, salt, rounds: whole(password, salt, 10)
faults.stress(1)
""" + MAIN

# A disc takes the time of a file, a folder of this machine is asked by another program for it.
PLAYED = [path for path in transcript.transcripts() if path.stem != "set-times"]


@pytest.fixture
def stressed(start_server):
    """Starts servers whose heap is collected all the time."""
    return lambda **settings: start_server(runtime=faults.RUNTIME, program=STRESSED, **settings)


@pytest.mark.parametrize("path", PLAYED, ids=lambda path: path.stem)
def test_transcript(path, stressed):
    server = stressed(**transcript.settings(path))
    transcript.build_fixture(server.root)
    transcript.Player(path, server.host, server.port, server.files).play()


def test_what_is_free_is_filled(tmp_path):
    # A block that nobody holds any more, looked at through its address.
    program = """\
import faults, uctypes

def address():
    return uctypes.addressof(bytearray(b"here" * 100))

at = address()
held = bytearray(b"held" * 100)
faults.stress(1)
for _ in range(10):
    [None] * 3
# Bytes of the heap may have been taken again, but not all of them.
print(bytes(uctypes.bytearray_at(at + 200, 100)).count(b"\\xdb") > 50, held == b"held" * 100, faults.stress(0) > 10)
"""
    assert run_micropython(tmp_path, program, runtime=faults.RUNTIME) == (0, "True True True\n")


def test_several_sessions_at_once(stressed):
    server = stressed(data_timeout=1)
    content = bytes(range(256)) * 400
    for index in range(60):
        (server.root / f"file {index}").write_bytes(content[:index])

    def client(number):
        with server.login() as control:
            control.store(f"STOR up{number}", content)
            assert control.retrieve(f"RETR up{number}") == content
            for command in ("LIST", "MLSD", "NLST *"):
                assert control.retrieve(command).count(b"\r\n") >= 60
            assert control("STAT .").count("file ") == 60
            assert control("SITE WHO").count("tester") >= 1
            control.expect(f"HASH up{number}", "213")
            control.send(b"NOOP\r\nPWD\r\n" * 20)
            assert [control.reply()[:3] for _ in range(40)] == ["200", "257"] * 20
            with control.data() as data:
                control.expect(f"RETR up{number}", "150")
                data.recv(10)
                control.send(b"ABOR\r\nSTAT\r\n")
                data.close()
                assert len([control.reply() for _ in range(3)]) == 3
            with control.data() as data:
                control.expect(f"APPE up{number}", "150")
                reset(data)
                control.reply()
        return True

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(client, range(4)))
    server.assert_nothing_leaked()


def test_several_sessions_begin_tls_at_once(stressed):
    server = stressed(**certificates.settings())
    content = bytes(range(256)) * 100
    begin = threading.Barrier(6)

    def client(number):
        begin.wait(PATIENCE)
        for name in (f"first{number}", f"second{number}"):
            with secure_login(server) as control:
                with secure_data(control, f"STOR {name}") as data:
                    data.sendall(content)
                assert control.reply().startswith("226")
                for command, wanted in ((f"RETR {name}", content), (f"NLST {name}", name.encode() + b"\r\n")):
                    with secure_data(control, command) as data:
                        assert read_all(data) == wanted
                    assert control.reply().startswith("226")
        return True

    def leaver(ends):
        # In the handshake of the control connection, and in that of a data connection.
        begin.wait(PATIENCE)
        for part in (0, 3, 100, None):
            with server.connect() as control:
                control.reply()
                control.expect("AUTH TLS", "234")
                control.send(hello()[:part])
                ends(control.socket)
            with secure_login(server) as control:
                data = control.data()
                # Nobody else has this name.
                control.expect("STOU", "150")
                data.sendall(hello()[:part])
                ends(data)
        return True

    # One waits in TLS before the others come.
    with secure_login(server), concurrent.futures.ThreadPoolExecutor(6) as pool:
        clients = [pool.submit(client, number) for number in range(4)]
        leavers = [pool.submit(leaver, ends) for ends in (reset, lambda connection: connection.close())]
        assert all(future.result() for future in clients + leavers)
    server.assert_nothing_leaked()


def test_clients_that_go_in_the_middle(stressed):
    server = stressed()
    with open(server.root / "large", "wb") as file:
        file.truncate(faults.LARGE)
    for ends in (reset, lambda connection: connection.close()):
        for command in ("RETR large", "STOR new", "LIST", None):
            with contextlib.ExitStack() as stack:
                control = server.login()
                if command:
                    data = stack.enter_context(control.data())
                    control.expect(command, "150")
                else:
                    control.send(b"HELP\r\n" * 200 + b"HASH large\r\n")
                ends(control.socket)
    with server.login() as control, control.data() as data:
        control.expect("LIST", "150")
        assert b"large" in read_all(data)
    server.assert_nothing_leaked()


def test_random_clients(stressed, monkeypatch):
    # A password's hash takes ten seconds and more here, and a client would send it again and again. The transcripts have it once.
    monkeypatch.setattr(wire_fuzzer, "PLAIN", [command for command in wire_fuzzer.PLAIN if "HASHPASS" not in command])
    assert fuzz(stressed(**SETTINGS), SEED, SECONDS) > 0
