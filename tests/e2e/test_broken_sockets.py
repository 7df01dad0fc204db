"""Calls of sockets fail, one after the other, once or from then on. The clock jumps and wraps around. After each of these nothing may be open, the next client must be
served, and the server may print no exception.

The server and its client run in one MicroPython program (board_rig.py). The server uses the sockets of board_sockets.py. The tests try a sample of the points;
with FTPDLITE_EVERY_POINT=1 they try all.
"""

import os
import pathlib
import shutil

import pytest
from server import bring_rig, free_ports, run_micropython

EVERY = bool(os.environ.get("FTPDLITE_EVERY_POINT"))

PROGRAM = """\
import sys
import board_sockets as sockets
import board_rig as rig
from board_rig import asyncio, os

OLD = b"0123456789" * 2000
NEW = b"abcdefghij" * 2000

async def login(client):
    for command in ("USER tester", "PASS secret", "TYPE I"):
        await client(command)

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
    # Now the network works again, so the server must serve its client.
    await asyncio.sleep_ms(150)
    plan.disarm()

async def broken(it, step, stride):
    plan = sockets.plan = rig.Plan()
    points = most = 0
    for index, error in enumerate((104, 107, 5, 110, 100, MemoryError)):
        for lasts in (False, True):
            n = (index + lasts) % stride
            while True:
                n += stride if n else 1
                client = rig.Client(it.port)
                where = "%s, %s %s, at call %d" % (step.__name__, error, "from then on" if lasts else "once", n)
                plan.arm(n, error, lasts)
                relenting = asyncio.create_task(relent(plan)) if lasts else None
                try:
                    client.reader, client.writer = await asyncio.open_connection("127.0.0.1", it.port)
                    await client.reply()
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

rig.run(main, {port}, data_timeout=1, stall_timeout=1)
"""


def play(folder, lines, before=""):
    """Runs a program and returns its output as lists."""
    bring_rig(folder)
    shutil.copy(pathlib.Path(__file__).with_name("board_sockets.py"), folder)
    program = before + PROGRAM.replace("{lines}", "\n".join("    " + line for line in lines)).replace("{port}", str(free_ports(43)))
    code, output = run_micropython(folder, program, heap="16m", seconds=600)
    assert code == 0 and output.endswith("Done.\n"), output[-4000:]
    assert "Traceback" not in output and "Warning" not in output, output[-4000:]
    print(output)
    return [eval(line) for line in output.splitlines() if line.startswith("[")]


@pytest.mark.clients
@pytest.mark.parametrize("step", ["login", "download", "upload", "append", "listing", "active"])
def test_every_call_of_a_socket_fails(tmp_path, step):
    stride = 1 if EVERY else 7
    [[points, calls]] = play(tmp_path, [f"print(list(await broken(it, {step}, {stride})))"])
    print(f"{step}: {points} points, {calls} calls")
    assert calls > 10 and points >= 12 * (calls // stride)


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
