"""Servers whose allocations fail when a test wants it, clients that expect that, and the loop over all allocations.

The server runs in MicroPython with the module of `module/faults.c`, which follows a file that both processes map.
"""

import contextlib
import mmap
import os
import select
import socket
import ssl
import struct
import time

import certificates
from server import REPOSITORY, Server

RUNTIME = REPOSITORY / ".xtask/bin/micropython-faults"

# How many seconds a client waits for an answer before the test fails. The server's own limits are shorter.
PATIENCE = 20
# Seconds that a client waits before there is memory again.
SHORT = 0.1
# From the n-th allocation on.
ALL = 1 << 40

FILE = b"What was there before. " * 120
OLD = b"old " * 300
NEW = b"new one " * 400
HEAP = "300k"
# More than sockets hold, so that a transfer whose client does not read goes on.
LARGE = 64 << 20

MAIN = """\
import faults

faults.follow({plan!r})

from ftpdlite import FTPdLite

s = FTPdLite(host={host!r}, port={port}, root={root!r}, pasv_port_range=range({first}, {last} + 1){settings})
s.add_account("tester:secret")
s.run()
"""


class Plan:
    """Which allocations fail: `struct plan` of module/faults.c."""

    NUMBERS = struct.Struct("6q")

    def __init__(self, path):
        with open(path, "wb") as file:
            file.truncate(mmap.PAGESIZE)
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def arm(self, first, count):
        """Lets `first` allocations succeed, and then the next `count` fail."""
        self.memory[:] = self.NUMBERS.pack(0, first, count, 0, 0, 0).ljust(mmap.PAGESIZE, b"\0")
        self.memory[:8] = struct.pack("q", 1)

    def disarm(self):
        """Lets every allocation succeed."""
        self.memory[:8] = struct.pack("q", 0)

    def failed(self):
        """How many of them failed."""
        return self.NUMBERS.unpack_from(self.memory)[4]

    def where(self):
        """What ran when the first one failed."""
        return self.memory[self.NUMBERS.size :].split(b"\0", 1)[0].decode(errors="replace")


class Refused(Exception):
    """An answer that ends a step before its end: a 4xx, a 5xx, or a closed connection."""


class Fault(Exception):
    """Something that must not happen."""


class Client:
    """One client of a step. Every wait is bounded, and after a short one there is memory again."""

    def __init__(self, bench):
        self.bench = bench
        self.received = b""
        self.socket = bench.dial(bench.server.port)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self, connection, what):
        """What comes next; b"" when the connection is closed."""
        deadline = time.monotonic() + PATIENCE
        connection.settimeout(SHORT)
        while True:
            try:
                return connection.recv(65536)
            except TimeoutError:
                self.bench.plan.disarm()
                if time.monotonic() > deadline:
                    raise Fault(f"no answer to {what}") from None
            except (ConnectionError, ssl.SSLError):
                return b""

    def line(self, what):
        while b"\r\n" not in self.received:
            data = self.receive(self.socket, what)
            if not data:
                raise Refused("closed")
            self.received += data
        line, self.received = self.received.split(b"\r\n", 1)
        return line.decode(errors="replace")

    def reply(self, what):
        """The next reply's lines; an error ends the step."""
        lines = [self.line(what)]
        if lines[0][3:4] == "-":
            while not lines[-1].startswith(lines[0][:3] + " "):
                lines.append(self.line(what))
        if lines[-1][0] not in "123":
            raise Refused(lines[-1])
        return lines

    def send(self, command):
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            self.socket.sendall(command.encode() + b"\r\n")

    def __call__(self, command):
        self.send(command)
        return self.reply(command)

    def login(self):
        """Takes the greeting and logs in."""
        self.reply("the connection")
        for command in ("USER tester", "PASS secret", "TYPE I"):
            self(command)
        return self

    def data(self, command="EPSV"):
        """A data connection."""
        line = self(command)[0]
        if command == "EPSV":
            port = int(line.split("|")[3])
        else:
            high, low = line.split("(")[1].split(")")[0].split(",")[4:]
            port = int(high) * 256 + int(low)
        return self.bench.dial(port)

    def accept(self, listener):
        """The data connection that the server makes, unless it says that there is none."""
        listener.settimeout(SHORT)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                data = listener.accept()[0]
                self.bench.connections.append(data)
                return data
            except TimeoutError:
                self.bench.plan.disarm()
            if select.select([self.socket], [], [], 0)[0]:
                self.reply("the transfer")
            if time.monotonic() > deadline:
                raise Fault("no data connection, and no answer")

    def secured(self, connection):
        """A data connection as the transfer uses it."""
        return connection

    def retrieve(self, command):
        """A download; gives the bytes."""
        with self.data() as data:
            self(command)
            data = self.secured(data)
            content = b""
            while piece := self.receive(data, f"{command}, its data"):
                content += piece
        self.reply(f"{command}, its end")
        return content

    def store(self, command, content):
        """An upload."""
        with self.data() as data:
            self(command)
            with self.secured(data) as data, contextlib.suppress(ConnectionError, ssl.SSLError):
                data.sendall(content)
        self.reply(f"{command}, its end")

    def start(self, command):
        """A transfer that goes on until somebody ends it; gives its data connection."""
        data = self.data()
        self(command)
        if command.startswith("STOR"):
            data.sendall(NEW)
        else:
            self.receive(data, command)
        return data

    def close(self):
        self.socket.close()


class SecureClient(Client):
    """One whose connections go through TLS. A handshake that breaks off ends the step."""

    def login(self):
        self.reply("the connection")
        return self.authenticate()

    def authenticate(self):
        """AUTH TLS, and the login."""
        self("AUTH TLS")
        self.socket = self.secured(self.socket)
        for command in ("PBSZ 0", "PROT P", "USER tester", "PASS secret", "TYPE I"):
            self(command)
        return self

    def secured(self, connection):
        deadline = time.monotonic() + PATIENCE
        try:
            connection = certificates.client().wrap_socket(connection, server_hostname="127.0.0.1", do_handshake_on_connect=False)
            self.bench.connections.append(connection)
            connection.settimeout(SHORT)
            while True:
                try:
                    connection.do_handshake()
                    connection.settimeout(PATIENCE)
                    break
                except TimeoutError:
                    self.bench.plan.disarm()
                    if time.monotonic() > deadline:
                        raise Fault("a handshake stands still") from None
        except (ConnectionError, ssl.SSLError):
            # The next reply says why, or there is none. A socket that was reset before TLS took it is no socket any more: the end of a pair whose other end is
            # closed does what it would do.
            if connection.fileno() < 0:
                connection, other = socket.socketpair()
                self.bench.connections.append(connection)
                other.close()
        return connection


class Bench:
    """A server for one step, started anew after each fault."""

    def __init__(self, folder, file_system=None, more="", **settings):
        self.folder = folder
        self.more = more
        self.settings = settings
        self.file_system = file_system
        self.started = 0
        self.server = None
        self.connections = []

    def start(self):
        """A new server with the files of the tests."""
        folder = self.folder / str(self.started)
        self.started += 1
        folder.mkdir()
        self.plan = Plan(folder / "plan")
        self.server = Server(
            folder,
            program=MAIN.replace("{plan!r}", repr(str(folder / "plan"))).replace("s.run()", self.more + "s.run()"),
            runtime=RUNTIME,
            heap=HEAP,
            file_system=self.file_system,
            data_timeout=2,
            stall_timeout=2,
            **self.settings,
        )
        self.files = self.server.files
        self.server.start()
        self.files.write("/file", FILE)
        if not self.file_system:
            with open(self.server.root / "large", "wb") as file:
                file.truncate(LARGE)
        self.told = 0
        # Objects that the first client makes and all others use must be there before anything is counted.
        self.serves()

    def kill(self):
        """Ends the server, whatever state it is in."""
        if self.server and self.server.process:
            self.server.process.kill()
            self.server.process.wait()
            self.server.process = None
            self.server.close()

    def dial(self, port):
        """A connection that is closed at the end of the run."""
        connection = socket.socket()
        self.connections.append(connection)
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            connection.connect(("127.0.0.1", port))
        except ConnectionError:
            raise Refused("no connection") from None
        except TimeoutError:
            raise Fault("a connection is not made") from None
        return connection

    def listen(self):
        """A listener of the client's."""
        return socket.create_server(("127.0.0.1", 0))

    def wait_for_closed(self):
        """Waits until the server has let go of what a client that vanished left; after a short time there is memory again."""
        deadline = time.monotonic() + SHORT
        while time.monotonic() < deadline and len(self.server.open_files()) > self.server.idle_files:
            time.sleep(0.005)

    def reset_files(self):
        """The files that a step may change, as they were."""
        for name, is_folder in self.files.entries("/"):
            # The server removes what an upload left.
            if name not in ("file", "large", "old", "sub") and not name.startswith(".ftpdlite-"):
                (self.files.rmdir if is_folder else self.files.remove)("/" + name)
        self.files.write("/old", OLD)
        if not self.files.exists("/sub"):
            self.files.mkdir("/sub")

    def run(self, step, first, count):
        """One run of a step; gives whether an allocation failed. Raises Fault."""
        self.reset_files()
        steps = step(self)
        try:
            next(steps)
            self.plan.arm(first, count)
            answer = "done"
            try:
                next(steps)
            except StopIteration:
                pass
            except Refused as refusal:
                answer = str(refusal)
        finally:
            failed = self.plan.failed()
            self.plan.disarm()
            for connection in self.connections:
                connection.close()
            self.connections.clear()
        try:
            if not failed and answer != "done":
                raise Fault(f"{answer}, and nothing failed")
            if "Operation failed" in answer:
                raise Fault("that does not say what was missing")
            self.is_whole()
            self.serves()
            self.has_let_go()
        except Fault as fault:
            raise Fault(f"after {answer!r}: {fault}") from None
        return failed > 0

    def is_whole(self):
        """No file is half one thing and half another."""
        for name, is_folder in self.files.entries("/"):
            if is_folder or name in ("file", "large") or name.startswith(".ftpdlite-"):
                continue
            content = self.files.read("/" + name)
            if name == "appended":
                right = content.startswith(OLD) and (OLD + NEW).startswith(content)
            else:
                right = content in ((OLD, NEW) if name == "old" else (NEW,))
            if not right:
                raise Fault(f"{name} holds {content[:20]} and so on, {len(content)} bytes")

    def serves(self):
        """The next client is served, and sees nobody else."""
        try:
            client = Client(self).login()
            listing = client.retrieve("LIST").decode()
            if not listing.endswith("\r\n") or " file\r\n" not in listing:
                raise Fault(f"a listing is {listing}")
            if client.retrieve("RETR file") != FILE:
                raise Fault("a download is not the file")
            client.store("STOR new", NEW)
            if self.files.read("/new") != NEW:
                raise Fault("an upload is not the file")
            deadline = time.monotonic() + PATIENCE
            while len(who := client("SITE WHO")) != 3:
                if time.monotonic() > deadline:
                    raise Fault(f"sessions are left: {who}")
                time.sleep(0.02)
            client("SITE GC")
            client("QUIT")
            client.close()
        except Refused as refusal:
            raise Fault(f"the next client was refused: {refusal}") from None
        except Fault as fault:
            raise Fault(f"the next client: {fault}") from None

    def has_let_go(self):
        """Nothing is left open, no exception was printed."""
        start = time.monotonic()
        collected = 0
        while (held := len(self.server.open_files())) > self.server.idle_files:
            waited = time.monotonic() - start
            if waited > PATIENCE:
                raise Fault(f"{held} files are open, not {self.server.idle_files}: {self.server.open_files()}")
            if waited > collected + 0.5:
                # The collector closes what nobody has any more; it is conservative, so it may be late.
                collected = waited
                self.serves()
            time.sleep(0.005)
        if "Traceback" in self.news():
            raise Fault("all is well, but it printed an exception")
        self.told = len(self.server.output())

    def has_tidied_up(self):
        """What uploads could not remove at their end is gone a little later."""
        deadline = time.monotonic() + PATIENCE
        while left := [name for name in self.files.names() if name.startswith(".ftpdlite-")]:
            if time.monotonic() > deadline:
                raise Fault(f"{left} is left over")
            time.sleep(0.05)

    def news(self):
        return self.server.output()[self.told :]

    def ticks(self):
        """The task that looks for time-outs is alive."""

        def uptime():
            client = Client(self).login()
            told = client("SITE UPTIME")
            client.close()
            return told

        try:
            before = uptime()
            deadline = time.monotonic() + PATIENCE
            while uptime() == before:
                if time.monotonic() > deadline:
                    raise Fault("the task that looks for time-outs is dead")
                time.sleep(0.2)
        except Refused as refusal:
            raise Fault(f"the next client was refused: {refusal}") from None


def sweep(folder, name, step, file_system=None, most=4, **settings):
    """Every allocation of a step fails, once alone and once with all that follow, until there were `most` faults each. Gives how many
    allocations there were, and the faults. settings: of the server, and `more`, what its program does besides."""
    bench = Bench(folder, file_system, **settings)
    faults = []
    start = time.monotonic()
    allocations = 0
    try:
        bench.start()
        for count in (1, ALL):
            first = found = 0
            while found < most:
                try:
                    if not bench.run(step, first, count):
                        break
                # An OSError or a ValueError comes where the server that holds the disc has died.
                except (Fault, OSError, ValueError) as fault:
                    found += 1
                    mode = "fails" if count == 1 else "and all after it fail"
                    tail = bench.news()[-1500:] if "Traceback" in bench.news() else ""
                    faults.append(f"{name}: allocation {first} {mode}, in {bench.plan.where()}\n    {fault}\n{tail}")
                    bench.kill()
                    bench.start()
                first += 1
            allocations = max(allocations, first)
        try:
            bench.has_tidied_up()
            bench.ticks()
        except (Fault, OSError, ValueError) as fault:
            faults.append(f"{name}: at the end: {fault}")
        bench.server.close(complain=not faults)
    finally:
        bench.kill()
    print(f"{name} {file_system or ''}: {allocations} allocations in {time.monotonic() - start:.1f} s")
    return allocations, faults
