"""What a session does within asyncio's poller: where sockets are asked by `ioctl`, as on boards, most commands are answered there, and no task wakes."""

import time

import pytest
from ports import PATIENT, on
from server import wait_until

# Tells each time when the poller has woken the task of a session.
WAKING = """
from asyncio import core

dequeue = core.IOQueue._dequeue

def told(self, stream):
    dequeue(self, stream)
    if hasattr(stream, "logged_in"):
        print("-- woken")

core.IOQueue._dequeue = told
"""

# The server's clock goes on by so many microseconds each time when it is read. A real one would make a share of the time end by chance, on a machine that is busy.
CLOCK = """
import time as utime

class Time:
    now = 0

    def __getattr__(self, name):
        return getattr(utime, name)

    def ticks_us(self):
        Time.now += {}
        return Time.now & 0x3FFFFFFF

sys.modules["time"] = Time()
"""

# A task that often keeps the whole program waiting, so that several commands are there at the next poll.
BUSY = """
import asyncio
import time

async def busy():
    while True:
        await asyncio.sleep_ms(20)
        time.sleep_ms(60)

working = asyncio.create_task(busy())
"""


@pytest.fixture
def start(start_server):
    def start(before, **settings):
        return start_server(**on("lwip", "rp2", before), **(PATIENT | {"max_connections": 2} | settings))

    return start


def wakes(server):
    """How often the task of the only session has woken until the session ended."""
    wait_until(lambda: "disconnected" in server.output(), server.describe)
    return server.output().partition("disconnected")[0].count("-- woken")


SILENT = ["NOOP", "SIZE file", "MDTM file", "MLST file", "CWD folder", "CDUP", "TYPE A", "TYPE I", "SYST", "FEAT", "OPTS UTF8 ON", "REST 3", "REST 0", "SIZE missing", "nonsense", "EPSV", "PASV", "EPSV ALL"]


def test_what_needs_no_action_wakes_no_task(start):
    server = start(CLOCK.format(0) + WAKING)
    (server.root / "file").write_bytes(b"content")
    (server.root / "folder").mkdir()
    with server.login() as control:
        for command in SILENT:
            assert control(command)[0] in "2345"
        # Several at once, and one in pieces.
        control.send(b"NOOP\r\nSIZE file\r\nNO")
        control.send(b"OP\r\n")
        assert [control.reply()[:3] for _ in range(3)] == ["200", "213", "200"]
        control.expect("QUIT", "221")
    # For PASS and for QUIT.
    assert wakes(server) <= 2


def test_listeners_and_actions_come_in_their_order(start):
    server = start(WAKING)
    with server.login() as control:
        for number in range(5):
            control.send(b"EPSV\r\nMKD folder%d\r\nPASV\r\nNOOP\r\nRMD folder%d\r\nEPSV\r\nSIZE none\r\n" % (number, number))
            assert [control.reply()[:3] for _ in range(7)] == ["229", "257", "227", "200", "250", "229", "550"]
        # The last listener is the one that stands.
        assert control.retrieve("NLST") == b""


def test_a_share_that_is_used_up_wakes_the_task(start):
    # So others have their turn before the next command.
    server = start(CLOCK.format(3000) + WAKING)
    with server.login() as control:
        for _ in range(5):
            control.send(b"NOOP\r\nNOOP\r\n")
            assert [control.reply()[:3] for _ in range(2)] == ["200", "200"]
        control.expect("QUIT", "221")
    assert wakes(server) >= 5


def test_a_clock_that_goes_back_ends_no_transfer(start):
    server = start(CLOCK.format(-1))
    content = bytes(range(256)) * 1000
    (server.root / "file").write_bytes(content)
    with server.login() as control:
        assert control.retrieve("RETR file") == content


def test_what_needs_an_action_wakes_the_task(start):
    server = start(WAKING)
    (server.root / "file").write_bytes(b"content")
    with server.login() as control:
        control.expect("MKD made", "257")
        assert (server.root / "made").is_dir()
        assert control.retrieve("RETR file") == b"content"


def test_when_commands_are_shown_the_task_wakes(start):
    # The program's log may wake tasks of its own, of which the poller would not know.
    server = start(WAKING, debug=True)
    with server.login() as control:
        for _ in range(20):
            # A command that comes while the task still reads wakes nobody.
            time.sleep(0.01)
            control.expect("NOOP", "200")
    assert wakes(server) > 3


def test_an_action_keeps_its_path_when_another_session_is_polled_before_it_is_done(start):
    server = start(WAKING + BUSY)
    with server.login() as one, server.login() as other:
        for number in range(20):
            one.send(b"MKD folder%d\r\n" % number)
            other.send(b"SIZE nothing%d\r\nMKD other%d\r\n" % (number, number))
            assert one.reply().startswith("257 ")
            assert other.reply().startswith("550 ")
            assert other.reply().startswith("257 ")
    names = {path.name for path in server.root.iterdir()}
    assert names == {f"{name}{number}" for name in ("folder", "other") for number in range(20)}


def test_a_client_that_leaves_while_it_is_polled_ends_its_session(start):
    server = start(WAKING)
    with server.login() as control:
        for number in range(3):
            with server.login() as guest:
                guest.send(b"NOOP\r\nNOOP\r\nMKD")
            wait_until(lambda: server.output().count("disconnected") > number, server.describe)
        control.expect("NOOP", "200")
