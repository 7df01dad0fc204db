"""Memory that runs out at any allocation: each step of a client is run with the first allocation failing, then the second, and so on until
none is left, and the same with all that follow it. The client is answered or hung up on, and the next one finds all in order."""

import concurrent.futures
import contextlib
import time

import certificates
import faults
import pytest
from control import reset
from faults import NEW, OLD, Client, SecureClient

# Each step is a generator: at its yield memory begins to fail.


def accept(bench):
    yield
    Client(bench).reply("the connection")


def login(bench):
    client = Client(bench)
    client.reply("the connection")
    yield
    for command in ("USER tester", "PASS secret", "TYPE I"):
        client(command)


def secure_login(bench):
    client = SecureClient(bench)
    client.reply("the connection")
    yield
    client.authenticate()


def crowd(bench):
    # The fifth stream waits, and one of those before is in TLS: poller.py makes another poller.
    SecureClient(bench).login()
    for _ in range(3):
        Client(bench).reply("the connection")
    yield
    Client(bench).reply("the connection")


# When a client comes, the server takes its poller for too small again.
FORGETS_ITS_POLLER = """\
import ftpdlite

def forget(kind, _):
    if kind == "connect":
        ftpdlite._peak = 0

s.on_event = forget
"""


def download(*commands, kind=Client, **files):
    def step(bench):
        client = kind(bench).login()
        yield
        for command in commands:
            content = client.retrieve(command)
            wanted = files.get(command.split()[0])
            if wanted is not None and content != wanted:
                raise faults.Fault(f"{command} gave {len(content)} bytes and a 226")

    return step


def upload(command, name, wanted, kind=Client):
    def step(bench):
        client = kind(bench).login()
        if command == "APPE":
            bench.files.write("/" + name, OLD)
        yield
        client.store(f"{command} {name}", NEW)
        bench.plan.disarm()
        if bench.files.read("/" + name) != wanted:
            raise faults.Fault(f"{command} was answered 226, and the file is not there")

    return step


def store_unique(bench):
    client = Client(bench).login()
    yield
    client.store("STOU", NEW)


def say(*commands):
    def step(bench):
        client = Client(bench).login()
        yield
        for command in commands:
            client(command)

    return step


def rename(bench):
    # Other names each time: a rename that memory did not suffice for is finished within a second, when the next one may have begun. What is left of earlier
    # ones is removed, for hundreds of them would keep the search for leftovers busy.
    for name in bench.files.names():
        if name.startswith(".ftpdlite-"):
            with contextlib.suppress(OSError):
                bench.files.remove("/" + name)
    old, new = f"old {time.monotonic_ns()}", f"new {time.monotonic_ns()}"
    bench.files.write("/" + old, NEW)
    client = Client(bench).login()
    yield
    try:
        client(f"RNFR {old}")
        client(f"RNTO {new}")
    finally:
        bench.plan.disarm()
        names = set(bench.files.names()) & {old, new}
        if len(names) != 1:
            raise faults.Fault(f"of the file that is renamed there is {names}")


def active(bench):
    client = Client(bench).login()
    with bench.listen() as listener:
        yield
        client(f"EPRT |1|127.0.0.1|{listener.getsockname()[1]}|")
        client("RETR file")
        data = client.accept(listener)
        content = b""
        while piece := client.receive(data, "RETR file, its data"):
            content += piece
        client.reply("RETR file, its end")
        if content != faults.FILE:
            raise faults.Fault(f"RETR gave {len(content)} bytes and a 226")


def abort(command):
    def step(bench):
        client = Client(bench).login()
        client.start(command)
        yield
        client.send("ABOR")
        try:
            client.reply("ABOR")
        except faults.Refused as refusal:
            if not str(refusal).startswith("426"):
                raise
        client.reply("ABOR, its second answer")

    return step


def quit(bench):
    client = Client(bench).login()
    yield
    client("QUIT")
    if client.receive(client.socket, "QUIT, its end"):
        raise faults.Fault("more came after QUIT")


def vanish(command):
    def step(bench):
        client = Client(bench).login()
        data = client.start(command)
        yield
        reset(data)
        reset(client.socket)
        # Until the server has let go of it, or memory is there again.
        bench.wait_for_closed()

    return step


def vanish_idle(bench):
    client = Client(bench).login()
    client("EPSV")
    yield
    reset(client.socket)
    bench.wait_for_closed()


def tick(bench):
    client = Client(bench).login()
    client.start("RETR large")
    yield
    # The task that looks for time-outs runs once a second.
    time.sleep(1.1)
    bench.plan.disarm()
    bench.ticks()


STEPS = {
    # The slowest comes first, because the others run beside it.
    "tick": tick,
    "accept": accept,
    "login": login,
    "list": download("LIST"),
    "mlsd": download("MLSD"),
    "nlst": download("NLST"),
    "nlst-glob": download("NLST *l*"),
    "retr": download("RETR file", RETR=faults.FILE),
    "stor-new": upload("STOR", "another", NEW),
    "stor-old": upload("STOR", "old", NEW),
    "appe": upload("APPE", "appended", OLD + NEW),
    "stou": store_unique,
    "rename": rename,
    "dele": say("DELE old"),
    "mkd": say("MKD folder"),
    "rmd": say("RMD sub"),
    "cwd": say("CWD sub", "PWD", "CDUP"),
    "facts": say("SIZE file", "MDTM file", "MLST file"),
    "site-who": say("SITE WHO"),
    "site-df": say("SITE DF"),
    "site-gc": say("SITE GC"),
    "hash": say("HASH file"),
    "pasv": say("PASV", "PASV"),
    "epsv": say("EPSV", "EPSV"),
    "stat": say("STAT"),
    "stat-path": say("STAT /"),
    "active": active,
    "abor-retr": abort("RETR large"),
    "abor-stor": abort("STOR old"),
    "quit": quit,
    "vanish-retr": vanish("RETR large"),
    "vanish-stor": vanish("STOR old"),
    "vanish-idle": vanish_idle,
    "tls-login": secure_login,
    "tls-retr": download("RETR file", kind=SecureClient, RETR=faults.FILE),
    "tls-stor": upload("STOR", "old", NEW, SecureClient),
    "tls-crowd": crowd,
}


# On the file systems of boards: what opens, closes and moves files. What vanishes there must leave room.
ON_DISCS = ("list", "retr", "stor-old", "rename", "vanish-stor")
CASES = [(name, None) for name in STEPS] + [(name, kind) for kind in ("VfsFat", "VfsLfs2") for name in ON_DISCS]


@pytest.fixture(scope="module")
def sweeps(request, tmp_path_factory):
    """All that were asked for, two at a time."""
    # Made once, before two need it at the same time.
    certificates.client()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        cases = [item.callspec.params["case"] for item in request.session.items if "sweeps" in item.fixturenames]
        def sweep(case):
            name, kind = case
            settings = certificates.settings() if name.startswith("tls") else {}
            if name == "tls-crowd":
                settings["more"] = FORGETS_ITS_POLLER
            return faults.sweep(tmp_path_factory.mktemp(name), name, STEPS[name], kind, **settings)

        yield {case: pool.submit(sweep, case) for case in cases}
        pool.shutdown(cancel_futures=True)


@pytest.mark.skipif(not faults.RUNTIME.exists(), reason="there is no micropython-faults: cargo xtask test-memory")
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(filter(None, case)))
def test_any_allocation_may_fail(sweeps, case):
    allocations, found = sweeps[case].result()
    print(f"{allocations} allocations")
    assert not found, "\n".join(found)
