"""A heap in which no allocation succeeds, not even one that makes something smaller, for a while and again and again
(`micropython.heap_lock`). Clients may be told so; afterwards the server is as before."""

import contextlib
import time

import pytest
from control import read_all
from server import DIST, wait_until

# The program: beside the server a task locks the heap for some milliseconds, then lets it be for some others, each time for longer.
LOCKED = """\
import asyncio
import micropython
from ftpdlite import FTPdLite

async def lock():
    # The server starts first.
    await asyncio.sleep_ms(500)
    for turn in range({turns}):
        micropython.heap_lock()
        await asyncio.sleep_ms(1 + turn * 7 % 40)
        micropython.heap_unlock()
        await asyncio.sleep_ms(1 + turn * 5 % {free})
    print("-- the heap is free")

s = FTPdLite(host={host!r}, port={port}, root={root!r}, pasv_port_range=range({first}, {last} + 1){settings})
s.add_account("tester:secret")
locking = asyncio.create_task(lock())
s.run()
"""

CONTENT = bytes(range(256)) * 400
PIECE = 1 << 16


class Refused(Exception):
    """An error, or a connection that was closed."""


def ask(control, command, first):
    control.send(command.encode() + b"\r\n")
    reply = control.reply()
    if not reply.startswith(first):
        raise Refused(reply)
    return reply


@contextlib.contextmanager
def data(control):
    try:
        with control.data() as connection:
            yield connection
    except AssertionError as refusal:
        raise Refused(refusal) from None


def visit(server):
    """One client: lists, retrieves, stores, renames and removes. Raises Refused when it could not do all that, and fails when it was left waiting."""
    try:
        with server.connect() as control:
            if not control.reply().startswith("220"):
                raise Refused
            for command, first in (("USER tester", "331"), ("PASS secret", "230"), ("TYPE I", "200"), ("SIZE file", "213"), ("STAT /", "213")):
                ask(control, command, first)
            for command in ("LIST", "MLSD", "RETR file"):
                with data(control) as connection:
                    ask(control, command, "150")
                    read_all(connection)
                ask(control, "NOOP", "226")
                control.reply()
            with data(control) as connection:
                ask(control, "STOR new", "150")
                connection.sendall(CONTENT)
            ask(control, "RNFR new", "226")
            for command, first in (("RNTO newer", "350"), ("DELE newer", "250"), ("QUIT", "250")):
                ask(control, command, first)
    except (ConnectionError, Refused) as error:
        print(repr(error))
        return False
    return True


@pytest.mark.parametrize("free", [10, 60])
def test_a_heap_that_is_locked_again_and_again(start_server, free):
    program = LOCKED.replace("{turns}", "150").replace("{free}", str(free))
    server = start_server(program=program, modules=f"{DIST}:.frozen", data_timeout=2, stall_timeout=2)
    (server.root / "file").write_bytes(CONTENT)
    visits = 0
    deadline = time.monotonic() + 180
    while "-- the heap is free" not in server.output():
        assert time.monotonic() < deadline, server.describe()
        visit(server)
        visits += 1
    assert visits > 1
    wait_until(lambda: visit(server), server.describe)
    assert (server.root / "file").read_bytes() == CONTENT
    server.assert_nothing_leaked()
    wait_until(lambda: sorted(path.name for path in server.root.iterdir()) in (["file"], ["file", "new"], ["file", "newer"]), server.describe)
