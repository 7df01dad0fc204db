"""Python code that the native module calls: a file system, files, sockets, a clock and a log function that are written in Python. Each of them does to
the sessions whatever is possible, and collects garbage. The server must serve as usual."""

import hashlib
import threading

import pytest
from server import wait_until

# The program. `meddle` tries everything on every session; where native code runs, everything must be refused.
MEDDLING = """\
import gc
import io
import os
import sys
import time

import select
import usocket
import utime
import vfs

ATTRIBUTES = (
    "data", "file", "home", "job", "listener", "new_path", "old_path", "sock", "task", "tls", "verdict",
    "dial", "glob", "idle", "logged_in", "moved", "offset", "parent", "part", "path", "peer", "private", "text", "time", "transfer", "user",
)
METHODS = (
    ("accepts", ("127.0.0.1", 1)), ("attach", None), ("claim", "/x", "/y"), ("contested",), ("dismiss", 1), ("finish", 3),
    ("list", None, None, False), ("pump",), ("release",), ("settle",), ("step", None), ("tick",),
)

server = None
# How often each place was refused, and how often it was not.
refused = {{}}
deep = False


def meddle(place):
    # From a place that native code calls.
    global deep
    gc.collect()
    if server is None or deep:
        return
    deep = True
    try:
        for s in server.sessions:
            for name in ATTRIBUTES:
                attempt(place, name, lambda: getattr(s, name))
            attempt(place, "file =", lambda: setattr(s, "file", None))
            for name, *arguments in METHODS:
                attempt(place, name, lambda: getattr(s, name)(*arguments))
    finally:
        deep = False


def attempt(place, name, what):
    try:
        what()
    except RuntimeError as error:
        assert "in use" in str(error), error
        refused[place] = refused.get(place, 0) + 1
    else:
        print("-- fault: %s was let to %s" % (place, name))


def look():
    # This place is called by the shim, where sessions can be read.
    gc.collect()
    for s in server.sessions if server else ():
        for name in ATTRIBUTES:
            getattr(s, name)
        s.accepts(("127.0.0.1", 1))


class Time:
    def __getattr__(self, name):
        return getattr(utime, name)

    def ticks_us(self):
        meddle("clock")
        return utime.ticks_us()


class File(io.IOBase):
    def __init__(self, nodes, path, mode):
        self.nodes = nodes
        self.path = path
        if "w" in mode or "a" in mode and path not in nodes:
            nodes[path] = bytearray()
        self.at = len(nodes[path]) if "a" in mode else 0

    def readinto(self, buffer):
        meddle("readinto")
        piece = self.nodes[self.path][self.at : self.at + min(len(buffer), 1000)]
        buffer[: len(piece)] = piece
        self.at += len(piece)
        return len(piece)

    def write(self, buffer):
        meddle("write")
        content = self.nodes[self.path]
        # Short writes, so that there are many.
        piece = bytes(buffer)[:1000]
        content[self.at : self.at + len(piece)] = piece
        self.at += len(piece)
        return len(piece)

    def seek(self, offset, whence=0):
        self.at = offset

    def ioctl(self, request, argument):
        return 0

    def close(self):
        look()


class Files:
    def __init__(self):
        # Folders are None.
        self.nodes = {{"/": None}}

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass

    def chdir(self, path):
        pass

    def getcwd(self):
        return "/"

    def absolute(self, path):
        path = "/" + (path.decode() if isinstance(path, bytes) else path).strip("/")
        return path

    def find(self, path):
        path = self.absolute(path)
        if path not in self.nodes:
            raise OSError(2)
        return path

    def stat(self, path):
        # Both the shim and native code ask.
        try:
            server.sessions[0].idle
        except RuntimeError:
            meddle("stat")
        except (AttributeError, IndexError):
            pass
        content = self.nodes[self.find(path)]
        return (0x4000 if content is None else 0x8000, 0, 0, 0, 0, 0, len(content or b""), 0, 1700000000, 0)

    def statvfs(self, path):
        return (512, 512, 1000, 500, 500, 0, 0, 0, 0, 255)

    def ilistdir(self, path):
        folder = self.find(path).rstrip("/") + "/"
        return self.names(folder)

    def names(self, folder):
        for path in sorted(self.nodes):
            if path != "/" and path.startswith(folder) and "/" not in path[len(folder) :]:
                meddle("names")
                yield path[len(folder) :], 0x4000 if self.nodes[path] is None else 0x8000, 0

    def open(self, path, mode):
        look()
        path = self.absolute(path)
        if "r" in mode:
            path = self.find(path)
        return File(self.nodes, path, mode)

    def mkdir(self, path):
        look()
        self.nodes[self.absolute(path)] = None

    def remove(self, path):
        look()
        del self.nodes[self.find(path)]

    rmdir = remove

    def rename(self, old, new):
        look()
        self.nodes[self.absolute(new)] = self.nodes.pop(self.find(old))


class Socket(io.IOBase):
    def __init__(self, *arguments, real=None):
        self.real = real or usocket.socket(*arguments)
        for name in ("setblocking", "setsockopt", "bind", "listen", "connect", "send"):
            setattr(self, name, getattr(self.real, name))

    def accept(self):
        real, address = self.real.accept()
        return Socket(real=real), address

    def readinto(self, buffer):
        meddle("receive")
        return self.quietly(self.real.readinto, buffer)

    def write(self, buffer):
        meddle("send")
        return self.quietly(self.real.write, buffer)

    def quietly(self, what, buffer):
        try:
            return what(buffer)
        except OSError as error:
            return -error.errno

    def ioctl(self, request, argument):
        if request == 4:
            self.real.close()
        elif request == 3:
            poll = select.poll()
            poll.register(self.real, argument)
            for _, events in poll.poll(0):
                return events
        return 0

    def close(self):
        self.real.close()


class Sockets:
    SOL_SOCKET = usocket.SOL_SOCKET
    SO_REUSEADDR = usocket.SO_REUSEADDR
    SOCK_STREAM = usocket.SOCK_STREAM
    getaddrinfo = staticmethod(usocket.getaddrinfo)
    socket = Socket


def log(line):
    # A line that is neither a command nor a reply comes from the shim.
    if line.startswith(("INFO", "WARNING", "Listening")):
        look()
    else:
        meddle("log")
    print(line)
    if line == "NOOP":
        print("-- refused:", refused)


def on_event(kind, info):
    look()
    if info.get("path") == "{root}/kick me":
        for s in server.sessions:
            s.dismiss(1)


gc.threshold(4000)
sys.modules["socket"] = Sockets
sys.modules["time"] = Time()
vfs.mount(Files(), "{root}")

from ftpdlite import FTPdLite

server = FTPdLite(
    host={host!r}, port={port}, root="{root}", pasv_port_range=range({first}, {last} + 1), debug=True, log=log, on_event=on_event{settings}
)
server.add_account("tester:secret")
server.run()
"""
MEDDLING = MEDDLING.replace("{root}", "/py")

CONTENT = hashlib.shake_128(b"content").digest(20_000)


@pytest.fixture
def server(start_server):
    server = start_server(program=MEDDLING, heap="1m", transfer_buffer_size=4096)
    yield server
    server.assert_nothing_leaked()
    # Ctrl-C in the middle of a garbage collection leaves this firmware's heap locked, and there is hardly a time without one.
    with server.login() as control:
        control.expect("SITE SHUTDOWN -h", "200")
        server.wait()
    assert "-- fault" not in server.output()


def use(server):
    """One client, which does everything that makes native code call Python."""
    with server.login() as control:
        control.expect("MKD folder", "257")
        control.expect("CWD folder", "250")
        control.store("STOR one", CONTENT)
        control.store("APPE one", b"end")
        control.expect("SIZE one", f"213 {len(CONTENT) + 3}")
        assert control.retrieve("RETR one") == CONTENT + b"end"
        control.expect("REST 100", "350")
        assert control.retrieve("RETR one") == CONTENT[100:] + b"end"
        control.store("STOR two", b"content")
        for command in ("LIST", "NLST", "MLSD"):
            assert b"one" in control.retrieve(command) and b"two" in control.retrieve(command)
        assert "one" in control("STAT .") and "two" in control("MLST two")
        control.expect("RNFR two", "350")
        control.expect("RNTO three", "250")
        control.expect("TYPE A", "200")
        control.store("STOR lines", b"1\r\n2\r\n")
        assert control.retrieve("RETR lines") == b"1\r\n2\r\n"
        control.expect("SITE WHO", "211")
        for name in ("one", "three", "lines"):
            control.expect(f"DELE {name}", "250")
        control.expect("CWD ..", "250")
        control.expect("RMD folder", "250")
        control.expect("NOOP", "200")
        control.expect("QUIT", "221")


def refused(server):
    """How often each place was refused, as the server told it last."""
    lines = [line for line in server.output().splitlines() if line.startswith("-- refused: ")]
    return eval(lines[-1].partition(": ")[2])


def test_python_that_native_code_calls_is_kept_out_of_the_sessions(server):
    use(server)
    counts = refused(server)
    # Each place was reached, and each call was refused. The fixture looks for faults.
    assert set(counts) == {"clock", "log", "names", "readinto", "receive", "send", "stat", "write"}
    assert min(counts.values()) > 39, counts


@pytest.mark.clients
def test_two_clients_at_once(server):
    failures = []

    def visit():
        try:
            with server.login() as control:
                for number in range(5):
                    name = f"{threading.get_ident()}-{number}"
                    control.store(f"STOR {name}", CONTENT)
                    assert control.retrieve(f"RETR {name}") == CONTENT
                    control.expect("SITE WHO", "211")
        except Exception as failure:
            failures.append(failure)

    clients = [threading.Thread(target=visit) for _ in range(2)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert not failures


def test_sessions_that_an_event_ends(server):
    with server.login() as control, server.login() as other:
        control.expect("MKD kick me", "257")
        assert control.reply().startswith("421 Session ended")
        assert control.reply() == ""
        assert other.reply().startswith("421 Session ended")
    use(server)
    wait_until(lambda: not server.sessions())
