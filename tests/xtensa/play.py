"""Plays the transcripts against the xtensawin module in loader.c under qemu-xtensa, and cases of the pump.

Usage: play.py LOADER MODULE [TRANSCRIPT...]

The loader makes and calls objects as it is told here. The host of the module is here too: the shim's part, with files in memory.
"""

import hashlib
import pathlib
import signal
import struct
import subprocess
import sys
import zlib

FOLDER = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(FOLDER / "e2e"))
from transcript import ACCOUNTS, fixture, matches, settings, transcripts, unescape  # noqa: E402

# A model with the windowed ABI and what the ESP32, S2 and S3 have in common.
QEMU = ["qemu-xtensa", "-cpu", "de233_fpu"]

CLOSE, WAIT_READ, WAIT_WRITE, YIELD, BLOCKED = range(5)
ENDED = 16
# Seconds for one transcript.
PATIENCE = 30
COMPLETE, NO_CONNECTION, BROKEN, LOCAL_ERROR, NO_SPACE, ABORTED = range(6)
NOW = 1_800_000_000
ENOENT, EACCES, EEXIST, ENOTDIR, EISDIR, ENOTEMPTY, ELOOP = 2, 13, 17, 20, 21, 39, 40


# The processes that run.
LOADERS = []


class Raised(Exception):
    """A Python exception of the module's."""


class Handle(int):
    """An object in the loader."""


class Loader:
    """The process, and its objects."""

    def __init__(self, program, module, stat):
        self.process = subprocess.Popen([*QEMU, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.stat = stat
        self.value = None
        LOADERS.append(self.process)
        self.ask(b"I" + self.packed(pathlib.Path(module).read_bytes()))

    def close(self):
        self.process.stdin.close()
        if self.process.wait(10) != 0:
            raise RuntimeError(f"the loader ended with {self.process.returncode}")

    def read(self, count):
        data = self.process.stdout.read(count)
        if len(data) != count:
            raise RuntimeError(f"the loader ended with {self.process.wait(10)}")
        return data

    def word(self):
        return struct.unpack("<I", self.read(4))[0]

    @staticmethod
    def packed(data):
        return struct.pack("<I", len(data)) + data

    def ask(self, command):
        """Gives the answer's handle; its value is in `value`."""
        self.process.stdin.write(command)
        self.process.stdin.flush()
        while True:
            kind = self.read(1)
            if kind == b"K":
                error, mode, size, modified = self.stat(self.read(self.word()))
                self.process.stdin.write(struct.pack("<IIQI", error, mode, size, modified))
                self.process.stdin.flush()
            elif kind == b"X":
                name = self.read(self.word()).decode()
                raise Raised(name, self.described())
            else:
                handle = Handle(self.word())
                self.value = self.described()
                return handle

    def described(self):
        kind = self.read(1)
        if kind in b"ntf":
            return {b"n": None, b"t": True, b"f": False}[kind]
        if kind == b"i":
            return struct.unpack("<q", self.read(8))[0]
        if kind == b"s":
            return self.read(self.word()).decode()
        if kind == b"b":
            return self.read(self.word())
        if kind == b"(":
            return tuple(self.described() for _ in range(self.word()))
        return Handle(self.word())

    def make(self, value):
        """The loader's object for a value."""
        if isinstance(value, Handle):
            return value
        if value is None or value is False:
            return self.ask(b"N")
        if value is True:
            return self.ask(b"Y")
        if isinstance(value, int):
            return self.ask(b"i" + struct.pack("<q", value))
        if isinstance(value, str):
            return self.ask(b"S" + self.packed(value.encode()))
        if isinstance(value, bytearray):
            return self.ask(b"A" + self.packed(bytes(value)))
        if isinstance(value, bytes):
            return self.ask(b"B" + self.packed(value))
        items = [self.make(item) for item in value]
        return self.ask(b"T" + struct.pack(f"<I{len(items)}I", len(items), *items))

    def name(self, name):
        return self.ask(b"g" + self.packed(name.encode()))

    def call(self, function, *arguments):
        items = [self.make(argument) for argument in arguments]
        self.ask(b"c" + struct.pack(f"<II{len(items)}I", function, len(items), *items))
        return self.value

    def make_with(self, function, *arguments):
        items = [self.make(argument) for argument in arguments]
        return self.ask(b"c" + struct.pack(f"<II{len(items)}I", function, len(items), *items))

    def get(self, obj, name):
        self.ask(b"a" + struct.pack("<I", obj) + self.packed(name.encode()))
        return self.value

    def set(self, obj, name, value):
        value = self.make(value)
        self.ask(b"w" + struct.pack("<I", obj) + self.packed(name.encode()) + struct.pack("<I", value))

    def method(self, obj, name, *arguments):
        function = self.ask(b"a" + struct.pack("<I", obj) + self.packed(name.encode()))
        return self.call(function, *arguments)


class Stream:
    """A stream in the loader."""

    def __init__(self, loader, chunk=0, block=0, room=0xFFFFFFFF):
        self.loader = loader
        self.handle = loader.ask(b"F")
        self.limits = [0, chunk, block, 0, room]
        self.limit()

    def limit(self):
        self.loader.ask(b"l" + struct.pack("<I5I", self.handle, *self.limits))

    def put(self, data):
        self.loader.ask(b"p" + struct.pack("<I", self.handle) + Loader.packed(data))

    def end(self):
        self.limits[0] = 1
        self.limit()

    def fail(self, errno):
        self.limits[3] = errno
        self.limit()

    def is_read(self):
        """Whether the module has read everything so far, and cannot know that nothing more will come."""
        self.loader.ask(b"u" + struct.pack("<I", self.handle))
        return self.loader.value == 0 and not self.limits[0]

    def taken(self):
        self.loader.ask(b"o" + struct.pack("<I", self.handle))
        return self.loader.value


class Files:
    """The files, in memory: path → (content or None for a directory, time)."""

    def __init__(self):
        self.nodes = {b"/": (None, NOW)}
        for path, content, modified in fixture():
            self.nodes[path] = (content, NOW if content is None else modified)

    def find(self, path):
        if path in self.nodes:
            return self.nodes[path]
        above = self.nodes.get(parent(path))
        raise OSError(ENOTDIR if above and above[0] is not None else ENOENT, "")

    def add(self, path, node):
        if self.find(parent(path))[0] is not None:
            raise OSError(ENOTDIR, "")
        self.nodes[path] = node

    def children(self, path):
        return [child for child in sorted(self.nodes) if child not in (path, b"/") and parent(child) == path]


def parent(path):
    return path.rpartition(b"/")[0] or b"/"


# The flags of Server for tls=.
TLS = {None: 0, "off": 0, "optional": 16, "required": 32}


class Host:
    """One session, and the shim's part around it."""

    def __init__(self, program, module, config, chunk=0, block=0, buffer=512):
        self.files = Files()
        self.buffer = buffer
        self.rough = chunk, block
        # How many bytes a file takes.
        self.room = 0xFFFFFFFF
        self.config = config
        self.loader = loader = Loader(program, module, self.stat)
        self.server = loader.make_with(
            loader.name("Server"), "FTPdLite (MicroPython)", 0, 300, 10, 60, 60, 30,
            4 * config.get("atomic_uploads", True) | 8 * config.get("sets_times", False) | TLS[config.get("tls")] | 64 * (config.get("private_data") is False) | 128 | 256 | (2 if config.get("allow_foreign_data") else 0), None,
            0, 0, loader.name("holders"), -1, None, None,
        )  # fmt: skip
        # The control connection, and what it was before TLS.
        self.sock = Stream(loader, chunk, block)
        self.clear = None
        self.session = loader.make_with(
            loader.name("Session"), self.server, self.sock.handle, ("127.0.0.1", 40000), 512
        )
        self.outcome = None
        self.replies = b""
        self.downloaded = b""
        self.connects = True
        self.closed = False
        self.data = self.file = self.write_to = self.becomes = None
        self.run()

    # -- what the module asks for

    def stat(self, path):
        try:
            content, modified = self.files.find(path.rstrip(b"/") or b"/")
        except OSError as error:
            return error.errno, 0, 0, 0
        if content is None:
            return 0, 0x4000, 0, modified
        return 0, 0x8000, len(content), modified

    def path(self, name="path"):
        value = self.loader.get(self.session, name)
        return value if isinstance(value, bytes) else value.encode()

    def step(self, outcome):
        return self.loader.method(self.session, "step", outcome)

    def run(self):
        """Lets the session go on until it waits."""
        outcome = None
        while not self.closed:
            action = self.step(outcome)
            if self.clear:
                self.replies += self.clear.taken()
            self.replies += self.sock.taken()
            outcome = None
            if action == CLOSE:
                self.closed = True
            elif action == BLOCKED or (action == WAIT_READ and self.sock.is_read()):
                return
            elif action not in (WAIT_READ, WAIT_WRITE, YIELD):
                try:
                    outcome = self.act(action)
                except OSError as error:
                    outcome = error.errno

    def act(self, action):
        handler = ACTIONS.get(action)
        if not handler:
            raise RuntimeError(f"action {action} is not known")
        return handler(self)

    def start_tls(self):
        # Bytes that came in clear and were not read are not a part of the TLS stream.
        self.clear, self.sock = self.sock, Stream(self.loader, *self.rough)
        self.loader.set(self.session, "tls", self.sock.handle)

    def login(self):
        user, password = self.loader.get(self.session, "user"), self.loader.get(self.session, "text")
        known = {"tester": ("secret", 63), "guest": ("guest", 1)}
        if known.get(user, ("", 0))[0] != password:
            return EACCES
        return known[user][1], ""

    def open_read(self):
        content = self.files.find(self.path())[0]
        if content is None:
            # A folder. Like FAT, it does not say so.
            raise OSError(ENOENT, "")
        self.open(content[self.loader.get(self.session, "offset") :])
        return (len(content),)

    def open(self, content):
        # A file gives less than asked, but does not block.
        self.file = Stream(self.loader, self.rough[0], room=self.room)
        self.file.put(content)
        self.file.end()
        self.loader.set(self.session, "file", self.file.handle)

    def open_write(self, append=False):
        path = self.path()
        old = b""
        offset = self.loader.get(self.session, "offset")
        if append or offset:
            old = self.files.nodes.get(path, (b"",))[0]
        elif self.loader.get(self.session, "part") is not None:
            # Beside the old file until it is whole.
            self.becomes, path = path, self.path("part")
        self.files.add(path, (old, NOW))
        self.write_to = path, old if append else old[:offset], b"" if append else old[offset:]
        self.open(b"")

    def open_list(self):
        path = self.path()
        globbed = False
        glob = self.loader.get(self.session, "glob")
        try:
            content = self.files.find(path)[0]
            if glob & 2:
                content = b""
        except OSError:
            if not glob & 1:
                raise
            path, globbed = self.path("parent"), True
            content = self.files.find(path)[0]
        names = None
        if content is None:
            names = tuple(
                (child.rpartition(b"/")[2], 0x4000 if self.files.nodes[child][0] is None else 0x8000, 0)
                for child in self.files.children(path)
            )
        try:
            self.loader.method(self.session, "list", names, NOW, globbed)
        except Raised as error:
            raise OSError(error.args[1], "") from error

    def hash(self):
        return hashlib.sha256(self.files.find(self.path())[0]).digest()

    def checksum(self):
        return zlib.crc32(self.files.find(self.path())[0]).to_bytes(4, "big")

    def set_time(self):
        self.files.nodes[self.path()] = self.files.find(self.path())[0], self.loader.get(self.session, "time")

    def begin(self, opens):
        """Opens what the transfer is about and begins it; STAT only lists."""
        outcome = opens(self)
        if self.loader.get(self.session, "transfer") is not None:
            self.transfer()
        return outcome

    def transfer(self):
        self.downloaded = b""
        self.data = None
        self.uploading = self.write_to is not None
        self.uploaded = False
        connects, self.connects = self.connects, True
        if not connects:
            self.waiting = NO_CONNECTION
            return
        self.waiting = None
        self.data = Stream(self.loader, *self.rough)
        self.loader.set(self.session, "data", self.data.handle)
        self.loader.method(self.session, "attach", bytearray(self.buffer))
        if not self.uploading:
            self.waiting = self.pump()
        return

    def pump(self):
        """Pumps to the transfer's end, or until nothing comes any more; gives the end or None."""
        while True:
            got = self.loader.method(self.session, "pump")
            self.downloaded += self.data.taken()
            if got >= ENDED:
                return got - ENDED
            if got == WAIT_READ and self.data.is_read():
                return None

    def finish(self, end):
        if end in (BROKEN, ABORTED):
            end = self.loader.method(self.session, "settle") or end
        self.loader.method(self.session, "attach", None)
        self.loader.set(self.session, "data", None)
        self.close_file(end)
        self.data = None
        self.uploading = False
        self.waiting = None
        self.loader.method(self.session, "finish", end)

    def close_file(self, end=ABORTED):
        if self.write_to:
            path, before, after = self.write_to
            written = self.file.taken()
            self.files.nodes[path] = before + written + after[len(written) :], NOW
            if self.becomes:
                whole = self.files.nodes.pop(path)
                # What has arrived of a new file stays.
                stays = end in (BROKEN, ABORTED) and written and self.becomes not in self.files.nodes
                if end == COMPLETE or stays:
                    self.files.nodes[self.becomes] = whole
        self.write_to = self.file = self.becomes = None
        self.loader.set(self.session, "file", None)
        self.loader.method(self.session, "list", None, None, False)

    def make_directory(self):
        if self.path() in self.files.nodes:
            return EEXIST
        self.files.add(self.path(), (None, NOW))

    def remove(self):
        if self.files.children(self.path()):
            return ENOTEMPTY
        del self.files.nodes[self.path()]

    def rename_from(self):
        self.old = self.path()

    def rename(self):
        to = self.path()
        self.files.find(parent(to))
        if to != self.old and self.files.nodes.get(to, (b"",))[0] is None:
            return EISDIR
        if self.files.nodes[self.old][0] is None and to.startswith(self.old + b"/"):
            return ELOOP
        for path in [path for path in self.files.nodes if path == self.old or path.startswith(self.old + b"/")]:
            self.files.nodes[to + path[len(self.old) :]] = self.files.nodes.pop(path)

    # -- the client's part

    def settle(self):
        """Does everything that can happen without the client."""
        while True:
            self.run()
            if getattr(self, "waiting", None) is None:
                return
            self.finish(self.waiting)

    def send(self, data):
        self.sock.put(data)
        self.settle()

    def line(self):
        line, end, rest = self.replies.partition(b"\n")
        if not end:
            return None
        self.replies = rest
        if not line.endswith(b"\r"):
            raise RuntimeError(f"a reply without CR: {line!r}")
        return line[:-1]

    def upload(self, data):
        if not getattr(self, "uploading", False):
            return False
        self.uploaded = True
        self.data.put(data)
        self.waiting = self.pump()
        return self.waiting is None

    def end_upload(self):
        if getattr(self, "uploading", False) and self.uploaded:
            self.data.end()
            self.waiting = self.pump()
            self.settle()

    def drop_data(self):
        if getattr(self, "uploading", False):
            self.data.fail(104)
            self.waiting = self.pump()
            self.settle()

    def abort(self):
        self.waiting = ABORTED

    def passive(self):
        return 50001, self.config.get("masquerade_address") or "127.0.0.1"


ACTIONS = {}


def play(path, program, module, **how):
    """Plays a transcript; gives what is wrong, or None."""
    host = Host(program, module, settings(path), **how)
    number = 0
    line = ""

    def wrong(what):
        return f"{path.name}:{number}: {line}\n    {what}"

    lines = [(n, text) for n, text in enumerate(path.read_text().splitlines(), 1) if text and not text.startswith("#")]
    pending = []
    for index, (number, line) in enumerate(lines):
        kind, _, rest = line.partition(" ")
        following = lines[index + 1][1].split(" ")[0] if index + 1 < len(lines) else ""
        if kind not in ("D>", "@drop-data"):
            host.end_upload()
        if kind == "@login":
            user, password = ACCOUNTS[rest]
            host.send(f"USER {user}\r\nPASS {password}\r\n".encode())
            if any(host.line() is None for _ in range(3)):
                return wrong("no login")
        elif kind == "@greeting":
            got = host.line()
            if not got or not got.startswith(b"220 "):
                return wrong(f"got {got}")
        elif kind == "@noconnect":
            host.connects = False
        elif kind == "@drop-data":
            host.drop_data()
        elif kind in ("@exists", "@missing"):
            if (unescape(rest) in host.files.nodes) != (kind == "@exists"):
                return wrong("it is not so")
        elif kind == "@content":
            name, _, content = rest.partition(" ")
            got = host.files.nodes[unescape(name)][0]
            if got != unescape(content):
                return wrong(f"it holds {got!r}")
        elif kind == "C:":
            own = "|1|127.0.0.1|50000|" if rest.startswith("EPRT") else "127,0,0,1,195,80"
            host.send(unescape(rest.replace("<me>", own)) + b"\r\n")
        elif kind == "C~":
            host.send(unescape(rest))
        elif kind == "S:":
            got = host.line()
            if rest == "<eof>":
                if got is not None or not host.closed:
                    return wrong(f"got {got!r}")
            elif got is None or not matches(unescape(rest), got):
                return wrong(f"got {got!r}")
        elif kind == "D>":
            if not host.upload(unescape(rest)):
                return wrong("no upload is under way")
        elif kind == "D<~":
            wanted = unescape(rest)
            if not host.downloaded.startswith(wanted):
                return wrong(f"got {host.downloaded!r}")
            host.downloaded = host.downloaded[len(wanted) :]
        elif kind in ("D<", "D*"):
            pending.append(unescape(rest))
            if kind == "D<" or following != "D*":
                while pending:
                    got, end, host.downloaded = host.downloaded.partition(b"\r\n")
                    fitting = [pattern for pattern in pending if end and matches(pattern, got)]
                    if not fitting:
                        return wrong(f"got {got!r}")
                    pending.remove(fitting[0])
        elif kind != "@config":
            return wrong("is no line of a transcript")
        if kind[:2] in ("D<", "D*") and following[:2] not in ("D<", "D*") and host.downloaded:
            return wrong(f"more came: {host.downloaded!r}")
    host.end_upload()
    if host.line() is not None:
        return wrong("more replies came at the end")
    host.loader.close()
    return None


def fill_actions():
    """The numbers of the actions, as the shim has them."""
    import re

    text = "".join(path.read_text() for path in (FOLDER.parent / "py/ftpdlite").glob("*.py"))
    numbers = {name: int(number) for name, number in re.findall(r"^_([A-Z0-9_]+) = const\((\d+)\)$", text, re.M)}
    nothing = ("CLOSE_FILE", "UNLISTEN", "RESET", "SHUTDOWN", "LIST_HERE")
    done = {
        "START_TLS": Host.start_tls, "LOGIN": Host.login, "OPEN_READ": lambda host: host.begin(Host.open_read),
        "OPEN_WRITE": lambda host: host.begin(Host.open_write), "OPEN_LIST": lambda host: host.begin(Host.open_list),
        "OPEN_APPEND": lambda host: host.begin(lambda host: host.open_write(True)),
        "ABORT": Host.abort, "PASSIVE": Host.passive, "PASSIVE_IPV4": Host.passive, "MAKE_DIRECTORY": Host.make_directory,
        "REMOVE_DIRECTORY": Host.remove, "REMOVE_FILE": Host.remove, "RENAME_FROM": Host.rename_from, "RENAME": Host.rename,
        "SPACE": lambda host: (1 << 20, 1 << 21), "MEMORY": lambda host: (1000, 2000), "COLLECT": lambda host: (1000, 2000),
        "UPTIME": lambda host: (93784,), "WHO": lambda host: (host.session,), "KICK": lambda host: (0,),
        "HASH_PASSWORD": lambda host: "$pbkdf2-sha256$10000$" + "A" * 22 + "$" + "A" * 43,
        "HASH": Host.hash, "CHECKSUM": Host.checksum, "SET_TIME": Host.set_time,
        **{name: lambda host: None for name in nothing},
    }  # fmt: skip
    for name, handler in done.items():
        if name in numbers:
            ACTIONS[numbers[name]] = handler
    ends = {"NO_CONNECTION": NO_CONNECTION, "BROKEN": BROKEN, "NO_SPACE": NO_SPACE, "ABORTED": ABORTED}
    for name, number in ends.items():
        if numbers.get(name, number) != number:
            raise RuntimeError(f"_{name} of the shim is {numbers[name]}, not {number}")


def pump(program, module, chunk, block, buffer):
    """Transfers with streams that read and write at most `chunk` bytes, and of which every `block`th call would block."""
    host = Host(program, module, {}, chunk, block, buffer)

    def command(text, *wanted):
        if text:
            host.send(text.encode() + b"\r\n")
        got = [(host.line() or b"")[:3].decode() for _ in wanted]
        if got != list(wanted) or host.line() is not None:
            raise AssertionError(f"{text or 'the end'}: got {got}, not {wanted}")

    command(None, "220")
    for text, wanted in (("USER tester", "331"), ("PASS secret", "230"), ("TYPE I", "200")):
        command(text, wanted)
    data = host.files.nodes[b"/pub/big.bin"][0]
    for offset in (0, 1, len(data) - 1, len(data)):
        command("PASV", "227")
        command(f"REST {offset}", "350")
        command("RETR /pub/big.bin", "150", "226")
        if host.downloaded != data[offset:]:
            raise AssertionError(f"RETR from {offset} gave {len(host.downloaded)} bytes, which are not those of the file")

    def store(verb, pieces, *wanted):
        command("PASV", "227")
        command(f"{verb} /upload/new", "150")
        for piece in pieces:
            if not host.upload(piece) and wanted[0] == "226":
                raise AssertionError("the upload ended early")
        host.end_upload()
        host.settle()
        command(None, *wanted)
        return host.files.nodes[b"/upload/new"][0]

    for pieces in ([data], [data[:1], data[1:700], data[700:1212], data[1212:]], [b""]):
        if store("STOR", pieces, "226") != b"".join(pieces):
            raise AssertionError("STOR wrote something else")
    store("STOR", [data[:1000]], "226")
    if store("APPE", [data[1000:3000]], "226") != data[:3000]:
        raise AssertionError("APPE wrote something else")
    host.room = 2000
    if store("STOR", [data[:5000]], "452") != data[:3000]:
        raise AssertionError("an upload that found no room did not leave the old file")
    host.room = 0xFFFFFFFF
    command("PASV", "227")
    command("STOR /upload/new", "150")
    host.upload(data[:3333])
    host.drop_data()
    command(None, "426")
    if host.files.nodes[b"/upload/new"][0] != data[:3000]:
        raise AssertionError("a broken upload did not leave the old file")
    command("QUIT", "221")
    host.loader.close()


def functions(program, module):
    """What the module has beside sessions, and exceptions that cross its frames."""
    loader = Loader(program, module, lambda path: (ENOENT, 0, 0, 0))

    def raises(name, message, *call):
        try:
            loader.call(*call)
        except Raised as error:
            if error.args[0] != name or message not in error.args[1]:
                raise AssertionError(f"{error.args}, not {name} with {message}") from error
            return
        raise AssertionError(f"{call} did not raise {name}")

    def check(wanted, name, *arguments):
        got = loader.call(loader.name(name), *arguments)
        if got is not wanted:
            raise AssertionError(f"{name}{arguments} gave {got}")

    check(True, "same", "secret", b"secret")
    check(False, "same", "secret", "secre")
    check(True, "is_unfinished", ".ftpdlite-12")
    check(False, "is_unfinished", "ftpdlite-12")
    for _ in range(3):
        raises("RuntimeError", "internal error", loader.name("_panic"), 1)
        raises("TypeError", "arguments", loader.name("Server"), "name")
        server = loader.make_with(loader.name("Server"), "name", 0, 300, 10, 60, 60, 30, 0, None, 0, 0, loader.name("holders"), -1, None, None)
        raises("ValueError", "address", loader.name("Session"), server, None, b"\xff\xff", 512)
    loader.close()


# Bytes at most at a time, every which call would block, the transfer's buffer.
PUMP_CASES = [(0, 0, 512), (1, 0, 512), (7, 3, 512), (511, 2, 512), (512, 2, 512), (513, 5, 1024), (0, 2, 65536)]


def give_up(*_):
    raise TimeoutError("it goes on and on")


def main():
    signal.signal(signal.SIGALRM, give_up)
    program, module, *names = sys.argv[1:]
    fill_actions()
    failures = []
    count = 0
    for path in transcripts():
        if names and path.stem not in names:
            continue
        for how in ({}, {"chunk": 7, "block": 3, "buffer": 128}):
            count += 1
            signal.alarm(PATIENCE)
            try:
                wrong = play(path, program, module, **how)
            except Exception as error:  # the loader's end, too
                wrong = f"{path.name}: {type(error).__name__}: {error}"
            finally:
                signal.alarm(0)
                while LOADERS:
                    LOADERS.pop().kill()
            if wrong:
                failures.append(f"{wrong}\n    {how}")
    cases = [] if names else [(functions,), *((pump, *case) for case in PUMP_CASES)]
    wrong_pumps = 0
    for run, *case in cases:
        signal.alarm(PATIENCE)
        try:
            run(program, module, *case)
        except Exception as error:
            wrong_pumps += 1
            print(f"FAILED {run.__name__} {case}: {type(error).__name__}: {error}", file=sys.stderr)
        finally:
            signal.alarm(0)
            while LOADERS:
                LOADERS.pop().kill()
    print(f"xtensawin: {len(cases) - wrong_pumps} of {len(cases)} cases of the pump and the functions are right")
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    print(f"xtensawin: {count - len(failures)} of {count} plays of the transcripts are right")
    return 1 if failures or wrong_pumps else 0


if __name__ == "__main__":
    sys.exit(main())
