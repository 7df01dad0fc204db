"""Calls of sockets fail, one after the other, once or from then on, in clear and in TLS. The clock jumps and wraps around. After each of these nothing may be open, the next
client must be served, and the server may print no exception.

The server and its client run in one MicroPython program (board_rig.py). The server uses the sockets of board_sockets.py. The tests try a share of the points, which another
commit has other ones of; with FTPDLITE_EVERY_POINT=1 they try all.
"""

import os
import pathlib
import shutil
import subprocess

import certificates
import pytest
from server import REPOSITORY, bring_rig, free_ports, run_micropython

EVERY = bool(os.environ.get("FTPDLITE_EVERY_POINT"))


def share():
    """Which points are tried: a number that the commit decides, so that a failure comes again and all points have their turn. FTPDLITE_SHARE sets it."""
    given = os.environ.get("FTPDLITE_SHARE")
    if given is not None:
        return int(given)
    # An archive of the sources has no commit, and a small machine no git.
    found = subprocess.run(["sh", "-c", "git rev-parse HEAD"], cwd=REPOSITORY, capture_output=True)
    return int(found.stdout[:8], 16) if found.returncode == 0 else 0



PROGRAM = """\
import sys
import board_sockets as sockets
import board_rig as rig
from board_rig import asyncio, os

OLD = b"0123456789" * 2000
NEW = b"abcdefghij" * 2000

async def login(client):
    for command in client.before + ("USER tester", "PASS secret", "TYPE I"):
        await client(command)

class Clear(rig.Client):
    before = ()

    async def arrive(self):
        # Before the login.
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        await self.reply()

class Secure(Clear):
    before = ("PBSZ 0", "PROT P")

    def wrap(self, sock):
        # TLS lets go of its socket when a handshake fails.
        self.socks.append(sock)
        stream = asyncio.StreamReader(context.wrap_socket(sock, do_handshake_on_connect=False))
        # This begins the handshake. Otherwise a read would wait for the server first.
        stream.s.read(1)
        return stream

    async def arrive(self):
        self.socks = []
        await super().arrive()
        answer = await self("AUTH TLS")
        if not answer.startswith("234"):
            raise rig.Gone
        self.reader = self.writer = self.wrap(self.writer.s)

    async def data(self):
        streams = await super().data()
        return streams and (self.wrap(streams[0].s),) * 2

    def close(self):
        super().close()
        for sock in self.socks:
            sock.close()

async def download(client):
    await client.get("RETR /file")

async def upload(client):
    await client.store("STOR /new", NEW)

async def append(client):
    await client.store("APPE /file", b"")

async def listing(client):
    await client("PASV")
    await client.get("LIST")

async def active(client):
    listener = sockets.usocket.socket()
    try:
        listener.setsockopt(1, 2, 1)
        listener.bind(sockets.usocket.getaddrinfo("127.0.0.1", client.port + 41)[0][-1])
        listener.listen(1)
        listener.setblocking(False)
        await client("EPRT |1|127.0.0.1|%d|" % (client.port + 41))
        answer = await client("NLST")
        if answer.startswith("150"):
            for _ in range(100):
                try:
                    listener.accept()[0].close()
                    break
                except OSError:
                    await asyncio.sleep_ms(5)
            await client.reply()
    finally:
        listener.close()

async def quit(client):
    await client("NOOP")
    await client("QUIT")

def descriptors():
    return len(list(os.ilistdir("/proc/self/fd")))

async def rest(it):
    # A session ends by itself when its client is gone, and so does its transfer.
    for _ in range(800):
        if not it.server.sessions and sockets.opened == 1:
            return
        await asyncio.sleep_ms(5)
    raise AssertionError("%d sessions and %d sockets are left" % (len(it.server.sessions), sockets.opened))

async def served(it):
    client = await rig.Client(it.port).connect()
    try:
        assert await client.retrieve("RETR /file") == OLD
        answer = await client.store("STOR /new", NEW)
        assert answer.startswith("226") and await client.retrieve("RETR /new") == NEW, answer
        await client("QUIT")
    finally:
        client.close()

async def relent(plan):
    # A while after the first failure the network works again, so the server must serve its client.
    while not plan.struck:
        await asyncio.sleep_ms(5)
    await asyncio.sleep_ms(150)
    plan.disarm()

async def broken(it, step, kind, stride, ways, share):
    # Each `stride`-th call, and each of `ways` ways to fail: another share has others.
    plan = sockets.plan = rig.Plan()
    points = most = 0
    # An exception cannot pass through TLS.
    for index, error in enumerate((104, 107, 5, 110, 100, MemoryError if kind is Clear else 12)):
        for lasts in (False, True):
            if (2 * index + lasts + share) % ways:
                continue
            n = 1 + (share + index + lasts) % stride
            while True:
                client = kind(it.port)
                where = "%s, %s %s, at call %d" % (step.__name__, error, "from then on" if lasts else "once", n)
                plan.arm(n, error, lasts)
                relenting = asyncio.create_task(relent(plan)) if lasts else None
                try:
                    await client.arrive()
                    if step is not login:
                        await login(client)
                    await step(client)
                    await quit(client)
                except (rig.Gone, OSError):
                    # A client that loses its connection tries again.
                    pass
                except asyncio.TimeoutError:
                    raise AssertionError("%s (%s): no answer" % (where, plan.trace))
                struck, calls = plan.struck, plan.calls
                if relenting:
                    relenting.cancel()
                plan.disarm()
                client.close()
                try:
                    await rest(it)
                    await served(it)
                    await rest(it)
                except (AssertionError, OSError, rig.Gone, asyncio.TimeoutError) as fault:
                    raise AssertionError("%s (%s): afterwards %s %s" % (where, plan.trace, type(fault).__name__, fault))
                points += 1
                n += stride
                if not struck:
                    most = max(most, calls)
                    break
    sockets.plan = None
    return points, most

async def main(it):
    sockets.let_go()
    rig.new_disc("VfsLfs2", 48 * 4096)
    rig.write("/file", OLD)
    await served(it)
    await rest(it)
    before = descriptors()
{lines}
    rig.sys.modules["gc"].collect() if "gc" in rig.sys.modules else None
    assert descriptors() <= before, (before, descriptors())

rig.run(main, {port}, data_timeout=1, stall_timeout=1{settings})
"""

CONTEXT = """\
import tls

context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
context.verify_mode = tls.CERT_NONE
"""


def play(folder, lines, before="", **settings):
    """Runs a program and returns its output as lists."""
    bring_rig(folder)
    shutil.copy(pathlib.Path(__file__).with_name("board_sockets.py"), folder)
    program = before + PROGRAM.replace("{lines}", "\n".join("    " + line for line in lines)).replace("{port}", str(free_ports(43)))
    program = program.replace("{settings}", "".join(f", {name}={value!r}" for name, value in settings.items()))
    code, output = run_micropython(folder, program, heap="16m", seconds=3600 if EVERY else 600)
    assert code == 0 and output.endswith("Done.\n"), output[-4000:]
    assert "Traceback" not in output and "Warning" not in output, output[-4000:]
    print(output)
    return [eval(line) for line in output.splitlines() if line.startswith("[")]


def fails(folder, step, kind, stride, ways, *more, **settings):
    """Plays a step with a failure at each call whose turn it is."""
    if EVERY:
        stride = ways = 1
    part = share() % (stride * ways)
    print(f"{step} {kind}: share {part} of {stride * ways}; again with FTPDLITE_SHARE={part}")
    [[points, calls]] = play(folder, [f"print(list(await broken(it, {step}, {kind}, {stride}, {ways}, {part})))"], *more, **settings)
    print(f"{step} {kind}: {points} points, {calls} calls")
    assert calls > 10 and points >= 12 // ways * (calls // stride)


@pytest.mark.clients
@pytest.mark.parametrize("step", ["login", "download", "upload", "append", "listing", "active"])
def test_every_call_of_a_socket_fails(tmp_path, step):
    fails(tmp_path, step, "Clear", 7, 1)


@pytest.mark.clients
@pytest.mark.parametrize("step", ["login", "download", "upload", "append", "listing"])
def test_every_call_of_a_socket_fails_in_tls(tmp_path, step):
    # A point takes ten times as long as in clear. The two numbers have no common factor, so the shares have all points between them.
    fails(tmp_path, step, "Secure", 13, 4, CONTEXT, **certificates.settings())


CLOCK = """\
import ftpdlite, time
from asyncio import core

class Clock:
    # The server takes this for the module: the system's clock, moved.
    def __init__(self, real):
        self.real = real

    def __getattr__(self, name):
        return getattr(self.real, name)

    # The server sets it when it runs a transfer within another task.
    @property
    def cur_task(self):
        return self.real.cur_task

    @cur_task.setter
    def cur_task(self, task):
        self.real.cur_task = task

"""


@pytest.mark.clients
def test_the_time_jumps(tmp_path):
    moments = [0, 1, -1, 946684800, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, -(2**31), 1.7e9]
    [done] = play(
        tmp_path,
        [
            "clock = ftpdlite.time = Clock(time)",
            "done = []",
            f"for moment in {moments}:",
            "    clock.time = lambda: moment",
            "    await served(it)",
            "    client = await rig.Client(it.port).connect()",
            "    for command in ('LIST', 'NLST', 'MLSD'):",
            "        done.append((await client.get(command))[:3])",
            "    client.close()",
            "await rest(it)",
            "print(done)",
        ],
        CLOCK,
    )
    assert done == ["226"] * 3 * len(moments)


@pytest.mark.clients
def test_the_ticks_wrap_around_and_jump(tmp_path):
    [told] = play(
        tmp_path,
        [
            "clock = ftpdlite.core = Clock(core)",
            # The counter of ticks wraps around in 1.5 s.
            "most = time.ticks_add(0, -1)",
            "start = most - 1500 - core.ticks()",
            "clock.ticks = lambda: (core.ticks() + start) & most",
            "before = clock.ticks()",
            "it.server._uptime = 0",
            "await asyncio.sleep_ms(1100)",
            "for _ in range(4):",
            "    await served(it)",
            "    await asyncio.sleep_ms(500)",
            "wrapped = clock.ticks() < before",
            "told = [wrapped, it.server._uptime]",
            # The board slept for three days.
            "start += 3 * 86400 * 1000",
            "await asyncio.sleep_ms(1100)",
            "await served(it)",
            "await rest(it)",
            "print(told + [it.server._uptime])",
        ],
        CLOCK,
    )
    wrapped, before, after = told
    # The ticker's count from before the jump may be far away.
    assert wrapped and after - before >= 3 * 86400


GUARDS = """\
import sys
import socket as real

class Module:
    print_pcbs = None
    made = []
    fails = None

    def __getattr__(self, name):
        return getattr(real, name)

module = Module()

class socket:
    # As modlwip without IPv6. Nobody may close a listener that is a guard.
    def __init__(self, *_):
        self.state = "new"
        module.made.append(self)

    def bind(self, address):
        if ":" in address[0]:
            raise ValueError
        if module.fails == len(module.made):
            raise OSError(12)
        self.state = "bound"

    def listen(self, _):
        self.state = "listens"

    def close(self):
        assert self.state != "listens"
        self.state = "closed"

module.socket = socket
sys.modules["socket"] = module
from ftpdlite import native, startup
# The probe is the first socket.
for fails in (4, None):
    module.fails = fails
    module.made.clear()
    try:
        startup.guards()
    except OSError:
        print("failed")
    print([guard.state for guard in native.guards], [sock.state for sock in module.made])
startup.guards()
print(len(native.guards))
"""


def test_guards_of_listeners_that_could_not_be_had_are_had_at_the_next_start(tmp_path):
    code, output = run_micropython(tmp_path, GUARDS)
    assert code == 0, output
    assert output.splitlines() == [
        "failed",
        "['listens', 'listens'] ['closed', 'listens', 'listens', 'closed']",
        "['listens', 'listens', 'listens', 'listens'] ['closed', 'listens', 'listens']",
        "4",
    ]
