"""What a program is told: on_event, log, sessions, and stop() that waits."""

import json

import pytest
from server import DIST, run_micropython, wait_until

PROGRAM = """\
import json
from ftpdlite import FTPdLite
import asyncio

faulty = []

def on_event(kind, info):
    print("EVENT", json.dumps([kind, info]))
    if kind == "mkdir":
        faulty.append(kind)
        raise ValueError("a fault of the program's")

def log(line):
    print("LOG", line)
    if faulty:
        raise ValueError("a fault of the log's")

s = FTPdLite(host={host!r}, port={port}, root={root!r}, pasv_port_range=range({first}, {last} + 1), on_event=on_event,
             log=log{settings})
s.add_account("tester:secret")
s.add_account("guest:guest")

async def main():
    await s.start()
    while True:
        await asyncio.sleep_ms(50)
        for name in ("wait", "cut"):
            try:
                open({root!r} + "/" + name).close()
            except OSError:
                continue
            print("SESSIONS", [(x.user, x.transfer, x.moved > 0) for x in s.sessions])
            await s.stop(wait=15 if name == "wait" else 0)
            print("STOPPED", s.sessions)
            return

asyncio.run(main())
"""


def events(server):
    return [json.loads(line[6:]) for line in server.output().splitlines() if line.startswith("EVENT ")]


def kinds(server):
    return [kind for kind, _ in events(server)]


def test_what_happens_is_told(start_server):
    server = start_server(program=PROGRAM)
    root = str(server.root)
    with server.connect() as control:
        control.reply()
        control.expect("USER tester", "331")
        control.expect("PASS wrong", "530")
        control.expect("USER tester", "331")
        control.expect("PASS secret", "230")
        control.expect("TYPE I", "200")
        control.store("STOR file", b"content")
        assert control.retrieve("RETR file") == b"content"
        control.expect("RNFR file", "350")
        control.expect("RNTO other", "250")
        control.expect("DELE other", "250")
        # A fault in the program does no harm to the client.
        control.expect("MKD folder", "257")
        control.expect("RMD folder", "250")
        control.expect("QUIT", "221")
    wait_until(lambda: "disconnect" in kinds(server), server.describe)
    told = [(kind, info) for kind, info in events(server) if kind != "transfer_progress"]
    assert all(info.pop("address") == "127.0.0.1" for _, info in told)
    for kind, info in told:
        if kind == "transfer_end":
            assert info.pop("seconds") >= 0
    user = {"user": "tester"}
    file = {**user, "path": f"{root}/file"}
    assert told == [
        ("connect", {"user": None}),
        ("login_failed", user),
        ("login", user),
        ("transfer_start", {**file, "transfer": "STOR"}),
        ("transfer_end", {**file, "transfer": "STOR", "bytes": 7, "complete": True}),
        ("transfer_start", {**file, "transfer": "RETR"}),
        ("transfer_end", {**file, "transfer": "RETR", "bytes": 7, "complete": True}),
        ("rename", {**user, "path": f"{root}/other", "old_path": f"{root}/file"}),
        ("delete", {**user, "path": f"{root}/other"}),
        ("mkdir", {**user, "path": f"{root}/folder"}),
        ("rmdir", {**user, "path": f"{root}/folder"}),
        ("disconnect", user),
    ]
    assert "a fault of the program's" in server.output() and "a fault of the log's" in server.output()
    assert "LOG Listening on" in server.output() and "LOG INFO: Connection from client: " in server.output()
    (server.root / "cut").touch()
    server.wait_for_output("STOPPED []")
    # It has printed a traceback, as it should.
    server.stop(complain=False)


@pytest.mark.parametrize("how", ["wait", "cut"])
def test_stop_waits_for_transfers_or_cuts_them(start_server, how):
    server = start_server(program=PROGRAM)
    with server.login() as control, server.login("guest:guest") as idle:
        data = control.data()
        control.expect("STOR file", "150")
        data.sendall(b"x" * 100_000)
        wait_until(lambda: any(kind == "transfer_progress" and info["bytes"] == 100_000 for kind, info in events(server)), server.describe)
        (server.root / how).touch()
        assert idle.reply().startswith("421")
        assert "('tester', 'STOR', True)" in server.output() and "('guest', None, False)" in server.output()
        if how == "wait":
            data.sendall(b"y" * 100_000)
            data.close()
            assert control.reply().startswith("226")
        else:
            assert control.reply().startswith("426")
            data.close()
        assert control.reply().startswith("421")
    server.wait_for_output("STOPPED []")
    whole = how == "wait"
    # What has arrived stays.
    assert (server.root / "file").read_bytes() == b"x" * 100_000 + b"y" * (100_000 if whole else 0)
    assert [info["complete"] for kind, info in events(server) if kind == "transfer_end"] == [whole]


@pytest.mark.parametrize("name", ["on_event", "log"])
def test_a_hook_is_a_function(tmp_path, name):
    code, output = run_micropython(tmp_path, f"from ftpdlite import FTPdLite\nFTPdLite({name}='print')")
    assert code == 1 and f"TypeError: {name} must be a function or None" in output


def test_two_tasks_may_stop_it_at_once(start_server):
    program = """\
import asyncio
from ftpdlite import FTPdLite

async def main():
    server = FTPdLite(host={host!r}, port={port}, root={root!r})
    server.add_account("tester:secret")
    await server.start()
    while not server.sessions:
        await asyncio.sleep_ms(5)
    print("Both:", await asyncio.gather(server.stop(), server.stop(wait=1), return_exceptions=True))
    await server.start()
    await server.stop()
    print("And once more.")

asyncio.run(main())
"""
    server = start_server(program=program, modules=f"{DIST}:.frozen")
    with server.connect() as control:
        # It stops as soon as there is a session, perhaps before that has its greeting.
        while control.line() is not None:
            pass
        server.wait_for_output("And once more.")
    assert "Both: [None, None]\n" in server.output()
    assert server.process.wait(20) == 0
