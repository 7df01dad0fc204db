"""How many sessions there may be, who makes room for a newcomer, and who has taken too long to log in."""

import concurrent.futures
import contextlib
import itertools
import queue
import re
import socket
import ssl
import threading
import time

import certificates
import pytest
from control import Control, read_all
from server import DIST, PATIENCE, run_micropython, wait_until
from test_network import MAIN

# Most of these wait for seconds, and are the same on every architecture.
once = pytest.mark.clients

# After so many seconds without a command a session may lose its place. The server counts whole seconds.
IDLE = 2


def ended(control):
    """Reads what has come. Whether the server has ended the session with a 421."""
    control.socket.setblocking(False)
    try:
        control.received += control.socket.recv(4096, 0)
    except BlockingIOError:
        pass
    except ConnectionResetError:
        return True
    finally:
        control.socket.settimeout(PATIENCE)
    return control.received.startswith(b"421 ")


def newcomer(server):
    """A session, or None when the server refused it with a 421."""
    control = server.connect()
    greeting = control.reply()
    if greeting.startswith("220 "):
        return control
    assert greeting == "421 Too many connections.", greeting
    assert control.line() is None
    control.close()


def keep_trying(server):
    """A session that is let in sooner or later."""
    found = []
    wait_until(lambda: found.append(newcomer(server)) or found[-1], server.describe)
    return found[-1]


def assert_all_over(server):
    """No session is left, and nothing has leaked."""
    # It takes a moment until the server knows that a client has hung up, and before that there may be no place for the one who asks.
    wait_until(lambda: len(server.open_files()) <= server.idle_files, server.describe)
    server.assert_nothing_leaked()


def assert_thrown_out(control):
    assert control.reply().startswith("421 ")
    assert control.line() is None


# -- how many


@pytest.mark.parametrize("platform, most", [(None, 32), ("esp32", 4), ("rp2", 2), ("mimxrt", 2)])
def test_how_many_sessions_there_may_be_where_the_program_does_not_say(start_server, platform, most):
    program = MAIN.format(platform=repr(platform), run="host={host!r}")
    server = start_server(program=program, modules=f"{DIST}:.frozen")
    with contextlib.ExitStack() as stack:
        admin = stack.enter_context(server.login())
        for _ in range(most - 1):
            assert stack.enter_context(server.connect()).reply().startswith("220 ")
        assert admin("SITE WHO").count("\n") == most + 1
        # Whichever sessions stay, there are not more of them.
        for _ in range(3):
            admin.expect("NOOP", "200")
            assert stack.enter_context(server.connect()).reply()[:4] in ("220 ", "421 ")
        assert admin("SITE WHO").count("\n") == most + 1


# -- who makes room


@once
def test_the_one_that_is_idle_longest_makes_room(start_server):
    server = start_server(max_connections=3)
    with server.login() as first, server.login() as second, server.login() as third:
        time.sleep(IDLE)
        for control in (first, third):
            control.expect("NOOP", "200")
        with keep_trying(server) as one:
            assert_thrown_out(second)
            one.authenticate().expect("NOOP", "200")
            time.sleep(IDLE)
            for control in (third, one):
                control.expect("NOOP", "200")
            with keep_trying(server):
                assert_thrown_out(first)
                assert not ended(third) and not ended(one)
    assert_all_over(server)


@once
def test_those_who_are_not_logged_in_make_room_first(start_server):
    server = start_server(max_connections=3)
    with server.login() as first, server.login() as second:
        time.sleep(IDLE)
        with server.connect() as silent:
            assert silent.reply().startswith("220 ")
            silent.expect("USER tester", "331")
            # All have been idle for long enough, and this one for the shortest time.
            time.sleep(IDLE + 2)
            with keep_trying(server):
                assert_thrown_out(silent)
                assert not ended(first) and not ended(second)
    assert_all_over(server)


@once
def test_nobody_who_transfers_makes_room(start_server):
    server = start_server(max_connections=2)
    (server.root / "file").write_bytes(bytes(16 << 20))
    with server.login() as first, server.login() as second:
        with first.data(receive_buffer=4096) as down, second.data() as up:
            first.expect("RETR file", "150")
            second.expect("STOR new", "150")
            down.recv(1, socket.MSG_PEEK)
            time.sleep(IDLE + 2)
            for _ in range(3):
                assert newcomer(server) is None
            assert len(read_all(down)) == 16 << 20
            up.sendall(b"content")
        assert first.reply().startswith("226 ") and second.reply().startswith("226 ")
    assert (server.root / "new").read_bytes() == b"content"
    assert_all_over(server)


@once
def test_nobody_who_was_used_just_now_makes_room(start_server):
    server = start_server(max_connections=2)
    with server.login() as first, server.login() as second:
        time.sleep(IDLE + 1)

        def refused():
            # If the machine stood still in between, the answer means nothing.
            start = time.monotonic()
            for control in (first, second):
                control.expect("NOOP", "200")
            control = newcomer(server)
            if time.monotonic() - start > 1:
                return False
            assert control is None
            return True

        for _ in range(5):
            wait_until(refused)
        for control in (first, second):
            control.expect("NOOP", "200")
    assert_all_over(server)


@once
def test_ten_silent_connections_block_nobody(start_server):
    # Neither of these time-outs has a part in it.
    server = start_server(max_connections=4, idle_timeout=0, login_timeout=0)
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            assert stack.enter_context(server.connect()).reply()[:4] in ("220 ", "421 ")
        with keep_trying(server) as control:
            control.authenticate()
            control.store("STOR file", b"content")
            assert control.retrieve("RETR file") == b"content"
    assert_all_over(server)


# -- FileZilla, which opens as many sessions for transfers as it is set to, and one to browse


class FileZilla:
    """What it does after a 421: it waits, and connects again. After a few tries it gives up the file."""

    # Five seconds there, and more than the two after which a session may make room.
    PAUSE = 2.5
    TRIES = 4

    def __init__(self, server):
        self.server = server
        self.control = None

    def close(self):
        if self.control:
            self.control.close()

    def connect(self):
        self.close()
        for _ in range(self.TRIES):
            self.control = Control(self.server.host, self.server.port)
            reply = self.control.reply()
            if reply.startswith("220 "):
                self.control.authenticate()
                return
            assert reply.startswith("421 "), reply
            self.close()
            time.sleep(self.PAUSE)
        raise AssertionError(f"no session in {self.TRIES} tries")

    def retrieve(self, command):
        """Runs a command that downloads, again in a new session where the old one was ended."""
        for _ in range(self.TRIES):
            if self.control is None:
                self.connect()
            try:
                return self.control.retrieve(command)
            except (OSError, AssertionError) as failure:
                # "EPSV: 421 Too many connections.", or no reply at all.
                if isinstance(failure, AssertionError) and not re.search(": (421 .*)?$", str(failure)):
                    raise
                self.control.close()
                self.control = None
        raise AssertionError(f"{command}: in vain")


@once
def test_filezilla_at_its_defaults_with_two_places(start_server):
    server = start_server(max_connections=2)
    files = queue.Queue()
    for index in range(30):
        (server.root / f"file{index}").write_bytes(b"%d" % index * 5000)
        files.put(index)
    browser = FileZilla(server)
    assert browser.retrieve("MLSD").count(b"\r\n") == 32
    # Both transfers are begun at the same time, and each keeps its file until it has it.
    wrong = []
    transfers = [FileZilla(server), FileZilla(server)]
    begun = threading.Barrier(2)

    def work(transfer):
        try:
            first = files.get()
            begun.wait(PATIENCE)
            while first is not None:
                got = transfer.retrieve(f"RETR file{first}")
                assert got == b"%d" % first * 5000
                try:
                    first = files.get_nowait()
                except queue.Empty:
                    first = None
        except BaseException as failure:
            wrong.append(failure)

    threads = [threading.Thread(target=work, args=(transfer,)) for transfer in transfers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not wrong, wrong
    # It keeps its idle sessions, and the user goes on to another folder.
    assert browser.retrieve("MLSD").count(b"\r\n") == 32
    for client in (browser, *transfers):
        client.close()
    assert_all_over(server)


# -- a login takes at most so long

LATE = "421 Login took too long."


def dribble(control, pieces):
    """Sends a piece each tenth of a second; gives the last line that came before the server hung up."""
    last = None
    control.socket.settimeout(0.1)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            line = control.line()
            if line is None:
                return last
            last = line.decode()
        except TimeoutError:
            with contextlib.suppress(ConnectionError):
                control.send(next(pieces, b""))
    return f"{last} (never sent away)"


ENDLESS = {
    "nothing": lambda: iter([]),
    "NOOP": lambda: itertools.repeat(b"NOOP\r\n"),
    "bytes of a line": lambda: itertools.repeat(b"x"),
    "USER once": lambda: iter([b"USER tester\r\n"]),
    "USER again and again": lambda: itertools.repeat(b"USER tester\r\n"),
    "FEAT and OPTS": lambda: itertools.repeat(b"FEAT\r\nOPTS UTF8 ON\r\n"),
    "Telnet commands": lambda: itertools.repeat(b"\xff\xf1"),
}


@once
def test_a_login_that_takes_too_long_is_421_whatever_dribbles_in(start_server):
    server = start_server(login_timeout=5)
    with server.login() as logged_in, contextlib.ExitStack() as stack:
        controls = [stack.enter_context(server.connect()) for _ in ENDLESS]
        with concurrent.futures.ThreadPoolExecutor(len(ENDLESS)) as pool:
            said = pool.map(dribble, controls, [pieces() for pieces in ENDLESS.values()])
        assert dict(zip(ENDLESS, said)) == dict.fromkeys(ENDLESS, LATE)
        # The time of the others is over, so it would be over for this one.
        logged_in.expect("NOOP", "200")
        logged_in.store("STOR file", b"content")
    assert_all_over(server)


@once
def test_login_timeout_0_is_never(start_server):
    server = start_server(login_timeout=0)
    with server.connect() as control:
        control.reply()
        time.sleep(2)
        control.authenticate()


@pytest.mark.parametrize("value", [-1, 65_535, "30", None])
def test_a_login_timeout_that_cannot_be_names_itself(tmp_path, value):
    code, output = run_micropython(tmp_path, f"from ftpdlite import FTPdLite\nFTPdLite(login_timeout={value!r})")
    assert code and re.search(r"^(Value|Type)Error: login_timeout ", output, re.MULTILINE), output


@once
def test_a_login_through_tls_that_takes_too_long(start_server):
    server = start_server(login_timeout=5, **certificates.settings())
    with contextlib.ExitStack() as stack:
        controls = [stack.enter_context(server.connect()) for _ in range(4)]
        for control in controls:
            control.reply()
            control.expect("AUTH TLS", "234")
        silent, half, whole, named = controls
        half.send(b"\x16\x03\x01")
        for control in (whole, named):
            control.secure(certificates.client())
        named.expect("USER tester", "331")
        # Before the first command in TLS the client might not understand a reply.
        assert named.reply() == LATE
        for control in controls:
            # MicroPython says no goodbye in TLS.
            with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
                while control.socket.recv(100):
                    pass
    assert_all_over(server)
