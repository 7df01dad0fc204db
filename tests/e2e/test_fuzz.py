"""Several random clients at once (wire_fuzzer.py), on the file systems of boards. Afterwards everything must be as before.

FTPDLITE_FUZZ_SECONDS says how long each server is fuzzed. FTPDLITE_FUZZ_SEED is the seed. `cargo xtask fuzz --wire` sets both.
"""

import concurrent.futures
import os
import random
import time

import pytest
from server import wait_until
from wire_fuzzer import FOLDERS, PARTS, WHOLE, Client, is_whole, whole

SECONDS = float(os.environ.get("FTPDLITE_FUZZ_SECONDS") or 4)
SEED = int(os.environ.get("FTPDLITE_FUZZ_SEED") or random.randrange(1 << 32))
CLIENTS = 5


def free_heap(server):
    with server.login() as control:
        return max(int(control("SITE GC").split()[1]) for _ in range(3))


def names(server, folder=""):
    """Every file below a folder."""
    with server.login() as control:
        lines = control.retrieve(f"MLSD /{folder}").decode(errors="surrogateescape").split("\r\n")
    found = []
    for line in lines:
        facts, _, name = line.partition(" ")
        path = f"{folder}/{name}".lstrip("/")
        if "type=dir;" in facts:
            found += names(server, path)
        elif "type=file;" in facts:
            found.append(path)
    return found


def fuzz(server, seed, seconds):
    """Runs random clients for that long. Returns how many commands were answered."""
    print(f"FTPDLITE_FUZZ_SEED={seed} FTPDLITE_FUZZ_SECONDS={seconds:g}")
    source = random.Random(seed)
    with server.login() as control:
        for folder in FOLDERS:
            control(f"MKD {folder}")
        for name in WHOLE + PARTS:
            control.store(f"STOR {name}", whole(source))
    clients = [Client(server, source.random()) for _ in range(CLIENTS)]
    # The first half makes what stays for good: names, addresses, room for the tasks. A buffer that is kept for the next transfer may come later. A leak would
    # take more memory in each round.
    free = []
    while len(free) < 2 or len(free) < 6 and free[-1] < free[-2] - 4096:
        end = time.monotonic() + seconds / 2
        # On a slow machine this takes longer.
        enough = sum(client.commands for client in clients) + 10 * seconds

        def is_over():
            return time.monotonic() > end and sum(client.commands for client in clients) >= enough

        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            for future in [pool.submit(client.run, is_over) for client in clients]:
                future.result()
        server.assert_nothing_leaked()
        free.append(free_heap(server))
    assert "Traceback" not in server.output(), server.output()[server.output().index("Traceback") :][:3000]
    # The collector is conservative: a few blocks may seem to be in use.
    assert free[-1] >= free[-2] - 4096, f"{free} bytes of heap are free\n{server.describe()}"
    with server.login() as control:
        control.store("STOR last", b"")
    found = names(server)
    assert "last" in found, "the files are not looked at"
    for name in found:
        assert not name.rpartition("/")[2].lower().startswith(".ftpdlite"), name
        if name in WHOLE:
            with server.login() as control:
                content = control.retrieve(f"RETR {name}")
            assert is_whole(content), f"{name} holds {len(content)} bytes that nobody has sent"
    return sum(client.commands for client in clients)


SETTINGS = {
    "data_timeout": 1,
    "stall_timeout": 5,
    "max_connections": 12,
    "max_login_failures": 0,
    # Otherwise a new file keeps the part that arrived when its upload breaks off.
    "partial_uploads": "never",
}


def test_random_clients_leave_everything_as_it_was(start_board):
    server = start_board(**SETTINGS)
    commands = fuzz(server, SEED, SECONDS)
    print(f"{commands} commands were answered")
    assert commands >= 20 * SECONDS


def test_random_clients_in_a_heap_of_64_kib(start_server):
    server = start_server(heap="64k", **SETTINGS | {"max_connections": 6})
    commands = fuzz(server, SEED, SECONDS)
    print(f"{commands} commands were answered")
    assert commands >= 20 * SECONDS
