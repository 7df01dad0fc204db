"""A board's program: the server on the sockets of another port, which a module `socket` plays."""

import pathlib
import socket

from control import PATIENCE, read_all
from server import DIST

# The server asks sys.platform which board it is on. That cannot be set, so there is another sys.
MAIN = """\
import sys

class Board:
    platform = "PLATFORM"

    def __init__(self, real):
        self._real = real

    def __getattr__(self, name):
        return getattr(self._real, name)

sys.modules["sys"] = Board(sys)

import socket
BEFORE
from ftpdlite import FTPdLite

s = FTPdLite(host={host!r}, port={port}, root={root!r}, pasv_port_range=range({first}, {last} + 1){settings})
s.add_account("tester:secret")
s.add_account("guest:guest")
s.run()
"""

# These are longer than any test waits. So a transfer that only a time-out ends makes the test fail.
PATIENT = {"idle_timeout": 60, "data_timeout": 60, "stall_timeout": 60}


def on(port, platform, before=""):
    """The program and the modules for a Server whose sockets are those of a port; `before` runs ahead of the import."""
    here = pathlib.Path(__file__).resolve().parent
    return {"program": MAIN.replace("PLATFORM", platform).replace("BEFORE", before), "modules": f"{here / port}:{here / 'any_port'}:{DIST}:.frozen"}


def retrieve_a_file(server, control):
    (server.root / "served").write_bytes(b"content")
    assert control.retrieve("RETR served") == b"content"


def move_files_in_active_mode(server):
    """Downloads and uploads by EPRT and PORT, three times."""
    (server.root / "file").write_bytes(b"content")
    with server.login() as control, socket.create_server((server.host, 0)) as listener:
        listener.settimeout(PATIENCE)
        host, port = listener.getsockname()
        for _ in range(3):
            control.expect(f"EPRT |1|{host}|{port}|", "200")
            control.expect("RETR file", "150")
            with listener.accept()[0] as data:
                assert read_all(data) == b"content"
            assert control.reply().startswith("226 ")
            control.expect(f"PORT {host.replace('.', ',')},{port >> 8},{port & 255}", "200")
            control.expect("STOR new", "150")
            with listener.accept()[0] as data:
                data.sendall(b"sent")
            assert control.reply().startswith("226 ")
            assert (server.root / "new").read_bytes() == b"sent"


def refuse_in_active_mode(server):
    """Asks three times for a file at a port where nobody listens."""
    (server.root / "file").write_bytes(b"content")
    with server.login() as control:
        with socket.create_server((server.host, 0)) as listener:
            port = listener.getsockname()[1]
        for _ in range(3):
            control.expect(f"EPRT |1|{server.host}|{port}|", "200")
            control.expect("RETR file", "150")
            assert control.reply().startswith("425 ")
        retrieve_a_file(server, control)
