"""What one session does leaves time for the other sessions, and for the other tasks of the program: there is a task that ticks beside the server.

The tests check that the others get their turn. They measure the delay in processor time, and only roughly, because a test machine may stand still.
"""

import contextlib
import re
import signal
import threading

import pytest
from control import PATIENCE
from server import DIST, wait_until

# The program: {before} is what goes before the server.
MAIN = """\
import asyncio
import time
from ftpdlite import FTPdLite
{before}
async def ticker():
    count = 0
    while True:
        await asyncio.sleep_ms(10)
        count += 1
        if count % 10 == 0:
            print("-- ticks: %d, ms: %d" % (count, time.clock() * 1000))

s = FTPdLite(host={host!r}, port={port}, root={root!r}, pasv_port_range=range({first}, {last} + 1){settings})
s.add_account("tester:secret")
s.add_account("guest:guest")
ticking = asyncio.create_task(ticker())
s.run()
"""

# A file system of one folder, which takes its time: stat() of an entry computes for {delay} ms. What is written is gone, and what can be read has no end.
# The folder is empty until somebody has asked for a file "begin": the server looks through its folders when it starts.
MADE_UP = """
import io
import os

class Stream(io.IOBase):
    def readinto(self, buffer):
        return len(buffer)

    def write(self, data):
        return len(data)

    def ioctl(self, request, argument):
        return 0

    def close(self):
        pass

class MadeUp:
    entries = 0

    def mount(self, *_):
        pass

    def umount(self):
        pass

    def chdir(self, path):
        pass

    def statvfs(self, path):
        return (4096, 4096, 1000, 500, 500, 0, 0, 0, 0, 255)

    def ilistdir(self, path):
        for index in range(self.entries):
            name = "entry number %d of many in the folder, whose names are as long as names %s.txt" % (index, "x" * 150)
            yield name.encode() if isinstance(path, bytes) else name, 0x8000, 0

    def stat(self, path):
        if len(path) < 2:
            return (0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        if isinstance(path, str) and path.endswith("begin"):
            self.entries = {entries}
        start = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), start) < {delay}:
            pass
        return (0x8000, 0, 0, 0, 0, 0, 1000, 0, 0, 0)

    def open(self, path, mode):
        return Stream()

    def remove(self, path):
        pass

    def rename(self, old, new):
        pass

os.mount(MadeUp(), "/made_up")
"""

# What is there once more in another manner is tried on one architecture.
once = pytest.mark.clients

# More than can be listed while a test waits.
ENDLESS = 1_000_000

# At least one tick in so many ms of the server's computing, on average. It should be 10 and the shares of those who have something to do.
AT_WORST = 100
TICKS = 40


@pytest.fixture
def start(start_server):
    """Starts a server with a task beside it. Whatever happened, it must come to rest."""
    servers = []

    def begin(entries=None, delay=0, **settings):
        before = ""
        if entries is not None:
            before = MADE_UP.replace("{entries}", str(entries)).replace("{delay}", str(delay))
        program = MAIN.replace("{before}", before)
        if entries is not None:
            program = program.replace("root={root!r}", "root='/made_up'")
        server = start_server(program=program, modules=f"{DIST}:.frozen", **settings)
        if entries is None:
            (server.root / "file").write_bytes(b"content")
        else:
            with server.login() as control:
                control.expect("SIZE begin", "213")
        servers.append(server)
        return server

    yield begin
    for server in servers:
        # The Unix port raises KeyboardInterrupt wherever it is, also in the middle of a garbage collection, which it does not survive. So it is not stopped at work.
        wait_until(lambda: server.process.poll() is not None or len(server.open_files()) <= server.idle_files and server.is_asleep(), server.describe)


def ticks(server):
    """How often the task ran, and the ms that the server had computed by then."""
    told = re.findall(r"^-- ticks: (\d+), ms: (\d+)$", server.output(), re.MULTILINE)
    return tuple(map(int, told[-1])) if told else (0, 0)


def assert_others_have_their_turn(server, other, flood):
    """The other session is answered, and the task runs, while the flood goes on."""
    wait_until(lambda: flood.received > 1000, server.describe)
    first, computed = ticks(server)
    before = flood.received
    for _ in range(20):
        other.expect("CWD /", "250")
        other.expect("NOOP", "200")
    wait_until(lambda: ticks(server)[0] >= first + TICKS, server.describe)
    last, computed_then = ticks(server)
    assert computed_then - computed < (last - first) * AT_WORST, server.describe()
    # And it does go on.
    wait_until(lambda: flood.received > before, server.describe)


class Flood:
    """Sends something again and again as fast as the server takes it, and reads whatever comes, as a context manager."""

    def __init__(self, connection, data=b"", unanswered=False):
        # What gets no answer counts as received when it is sent.
        self.unanswered = unanswered
        self.connection = connection
        self.data = data
        self.received = 0
        self.over = False
        self.threads = [threading.Thread(target=self.read)]
        if data:
            self.threads.append(threading.Thread(target=self.write))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)
        for thread in self.threads:
            thread.join()

    def write(self):
        with contextlib.suppress(OSError):
            while not self.over:
                self.connection.sendall(self.data)
                self.received += self.unanswered * len(self.data)

    def read(self):
        if self.unanswered:
            return
        with contextlib.suppress(OSError):
            while not self.over and (count := len(self.connection.recv(1 << 16))):
                self.received += count


@pytest.mark.parametrize(
    "command", ["CWD /", "SITE GC", *(pytest.param(command, marks=once) for command in ("SIZE file", "NOOP", "STAT", "MLST file", "XYZZY", "EPSV", "RNFR file"))]
)
def test_a_flood_of_commands(start, command):
    server = start()
    with server.login() as flooder, server.login() as other:
        with Flood(flooder.socket, f"{command}\r\n".encode() * 2000) as flood:
            assert_others_have_their_turn(server, other, flood)


@once
def test_a_flood_of_half_a_line(start):
    server = start()
    with server.login() as flooder, server.login() as other, Flood(flooder.socket, b"x" * 65536 + b"\n") as flood:
        assert_others_have_their_turn(server, other, flood)


@once
@pytest.mark.parametrize("piece", [b"x", b"\xff\xf1", b"\xff\xfd\x01"], ids=["a line", "Telnet commands", "Telnet options"])
def test_a_flood_in_which_no_line_ends(start, piece):
    server = start()
    with server.login() as flooder, server.login() as other, Flood(flooder.socket, piece * 65536, unanswered=True) as flood:
        assert_others_have_their_turn(server, other, flood)


@once
def test_a_flood_before_login(start):
    server = start()
    with server.connect() as flooder, server.login() as other, Flood(flooder.socket, b"USER nobody\r\nSYST\r\n" * 2000) as flood:
        assert_others_have_their_turn(server, other, flood)


def test_a_flood_of_listings_on_the_control_connection(start):
    server = start()
    for index in range(500):
        (server.root / f"entry number {index}").write_bytes(b"")
    with server.login() as flooder, server.login() as other, Flood(flooder.socket, b"STAT /\r\n" * 2000) as flood:
        assert_others_have_their_turn(server, other, flood)


def test_a_listing_on_the_control_connection_where_each_entry_takes_long(start):
    server = start(entries=ENDLESS, delay=5)
    with server.login() as flooder, server.login() as other, Flood(flooder.socket, b"STAT /\r\n") as flood:
        assert_others_have_their_turn(server, other, flood)


@pytest.mark.parametrize(
    "command, delay", [("LIST", 5), *(pytest.param(*kind, marks=once) for kind in (("LIST", 0), ("MLSD", 5), ("MLSD", 0), ("NLST", 0)))]
)
def test_a_listing(start, command, delay):
    server = start(entries=ENDLESS, delay=delay)
    with server.login() as lister, server.login() as other, lister.data() as data:
        lister.expect(command, "150")
        with Flood(data) as flood:
            assert_others_have_their_turn(server, other, flood)


@once
def test_a_pattern_that_fits_no_entry(start):
    # No entry fits, and the listing never ends.
    server = start(entries=ENDLESS)
    with server.login() as lister, server.login() as other, lister.data():
        lister.expect("LIST *.nothing", "150")
        first, _ = ticks(server)
        for _ in range(20):
            other.expect("CWD /", "250")
        wait_until(lambda: ticks(server)[0] >= first + TICKS, server.describe)


@once
def test_a_download(start):
    server = start(entries=0)
    with server.login() as loader, server.login() as other, loader.data() as data:
        loader.expect("RETR file", "150")
        with Flood(data) as flood:
            assert_others_have_their_turn(server, other, flood)


@once
def test_an_upload(start):
    server = start(entries=0)
    with server.login() as loader, server.login() as other, loader.data() as data:
        loader.expect("STOR file", "150")
        with Flood(data, bytes(1 << 20)) as flood:
            # What comes in return is nothing.
            flood.received = 1001
            first, computed = ticks(server)
            for _ in range(20):
                other.expect("CWD /", "250")
            wait_until(lambda: ticks(server)[0] >= first + TICKS, server.describe)
            last, computed_then = ticks(server)
            assert computed_then - computed < (last - first) * AT_WORST, server.describe()


# -- a listing on the control connection ends when it must


def read_to_the_end(control):
    """What comes until the server hangs up."""
    with contextlib.suppress(ConnectionResetError):
        while data := control.socket.recv(1 << 16):
            control.received += data
    return control.received


def guests(server):
    """The sessions of the account guest."""
    with server.login() as control:
        return [line for line in control("SITE WHO").split("\n") if line.startswith(" guest ")]


def long_listing(server, account="guest:guest"):
    """A session in the middle of a STAT that has no end."""
    control = server.login(account)
    control.send(b"STAT /\r\n")
    assert control.line().startswith(b"213-")
    assert control.line().endswith(b".txt")
    return control


def test_stat_ends_for_kick(start):
    server = start(entries=ENDLESS, delay=1)
    with long_listing(server) as guest, server.login() as admin:
        assert admin("SITE KICK guest") == "200 Sessions ended: 1."
        read_to_the_end(guest)
        admin.expect("NOOP", "200")
    wait_until(lambda: not guests(server), server.describe)


def test_stat_ends_for_stop(start):
    server = start(entries=ENDLESS, delay=1)
    with long_listing(server) as guest, server.login() as admin:
        admin.expect("SITE SHUTDOWN -h", "200")
        read_to_the_end(guest)
    server.process.wait(PATIENCE)


def test_stat_ends_when_the_client_leaves(start):
    server = start(entries=ENDLESS, delay=1)
    long_listing(server).close()
    wait_until(lambda: not guests(server), server.describe)


@once
def test_stat_ends_for_a_client_that_does_not_read(start):
    server = start(entries=ENDLESS, stall_timeout=1)
    with server.login("guest:guest", receive_buffer=4096) as silent, server.login() as other:
        assert guests(server)
        silent.send(b"STAT /\r\n")
        wait_until(lambda: not guests(server), server.describe)
        other.expect("NOOP", "200")


@once
def test_ctrl_c_in_the_middle_of_a_listing_ends_the_server(start):
    # Most of the time is spent in the file system's stat, which the native code calls.
    server = start(entries=ENDLESS, delay=5)
    with server.login() as lister, lister.data() as data:
        lister.expect("LIST", "150")
        assert data.recv(1000)
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE) in (0, 130), server.describe()
