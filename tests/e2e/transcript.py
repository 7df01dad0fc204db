"""Plays the golden transcripts over a socket. Their format is described in tests/transcripts/README.md."""

import ast
import calendar
import os
import pathlib
import re
import socket
import ssl
import time

import certificates
from control import PATIENCE, Control, data_connection, read_all, reset

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "transcripts"
ACCOUNTS = {"": ("tester", "secret"), "guest": ("guest", "guest")}
TRANSFERS = re.compile(rb"(RETR|STOR|STOU|APPE|LIST|NLST|MLSD)\b", re.IGNORECASE)
PROT = re.compile(rb"PROT (\w)\r\n", re.IGNORECASE)
# Those in which a client says a name that cannot be on FAT, or which list one.
NOT_ON_FAT = "mlst", "names-not-allowed", "paths", "paths-with-line-ends", "retrieve"
PLACEHOLDERS = {
    b"n": rb"\d+",
    b"port": rb"\d+",
    b"p1,p2": rb"\d+,\d+",
    b"stamp": rb"\d{14}",
    b"date": rb".{12}",
    b"hex": rb"[0-9A-Fa-f]+",
    b"any": rb".+",
}


class Mismatch(AssertionError):
    """The server did not say what the transcript says."""


def transcripts():
    """The files, in the order of their names."""
    return sorted(path for path in FOLDER.glob("*.txt") if path.name != "fixture.txt")


def unescape(text):
    """The bytes that a line's text stands for."""
    escapes = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}

    def expand(match):
        sign = match[1].decode()
        return bytes.fromhex(sign[1:]) if sign[0] == "x" else escapes[sign]

    return re.sub(rb"\\(x[0-9A-Fa-f]{2}|.)", expand, text.encode())


def matches(pattern, line):
    """Whether a line is what the pattern, with its placeholders, says. Both are bytes."""
    parts = re.split(rb"<(%s)>" % b"|".join(PLACEHOLDERS), pattern)
    expression = b"".join(
        PLACEHOLDERS[part] if index % 2 else re.escape(part) for index, part in enumerate(parts)
    )
    return re.fullmatch(expression, line, re.DOTALL) is not None


def fixture():
    """The tree of fixture.txt: for each node its path as bytes, its content (None for a directory) and its time."""
    for line in (FOLDER / "fixture.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        kind, path, stamp, content = (line.split(" ", 3) + ["", ""])[:4]
        if kind == "dir":
            yield unescape(path), None, 0
            continue
        data = bytes(index % 251 for index in range(int(content))) if kind == "fill" else unescape(content)
        yield unescape(path), data, calendar.timegm(time.strptime(stamp, "%Y%m%d%H%M%S"))


def build_fixture(root):
    """Makes the tree of fixture.txt below `root`."""
    for path, content, seconds in fixture():
        path = os.fsencode(root) + path
        if content is None:
            os.mkdir(path)
            continue
        with open(path, "xb") as file:
            file.write(content)
        os.utime(path, (seconds, seconds))


def fill_disc(files):
    """Makes the tree of fixture.txt on a disc; gives the names that cannot be there."""
    absent = []
    for path, content, _ in fixture():
        try:
            if content is None:
                files.mkdir(path.decode())
            else:
                files.write(path.decode(), content)
        except OSError:
            absent.append(path.rsplit(b"/", 1)[1])
    return absent


def settings(path):
    """The settings in a transcript's @config lines."""
    found = {}
    for line in path.read_text().splitlines():
        if line.startswith("@config "):
            key, value = line[8:].split("=", 1)
            try:
                found[key] = ast.literal_eval(value)
            except (SyntaxError, ValueError):
                found[key] = value
    if "tls" in found:
        found |= certificates.settings(found["tls"])
    return found


class Player:
    """One transcript against one server that serves a fresh fixture, which it sees by `files`."""

    def __init__(self, path, host, port, files):
        self.path = path
        self.lines = [
            (number, *line.partition(" ")[::2])
            for number, line in enumerate(path.read_text().splitlines(), 1)
            if line and not line.startswith("#")
        ]
        self.files = files
        self.control = self.connect_control(host, port)
        # The data connection, or how it will be made: the port to dial, the socket that listens.
        self.data = None
        self.dial = None
        self.listener = None
        self.connects = True
        self.closed = False
        # PROT P is in force; PROT was sent with this level.
        self.private = False
        self.level = None

    # A player without sockets does these in another way.

    matches = staticmethod(matches)
    connect_control = Control
    connect_data = staticmethod(data_connection)

    def create_listener(self):
        return socket.create_server(("127.0.0.1", 0))

    def exists(self, path):
        return self.files.exists(os.fsdecode(path))

    def content(self, path):
        return self.files.read(os.fsdecode(path))

    def play(self):
        """Plays it to the end. Raises Mismatch where the server says something else."""
        try:
            at = 0
            while at < len(self.lines):
                number, kind, text = self.lines[at]
                try:
                    at += self.play_block(at, kind, text)
                except (Mismatch, OSError) as error:
                    raise Mismatch(f"{self.path.name}:{number}: {kind} {text}\n    {error}") from error
            self.finish()
        finally:
            self.hang_up()
            self.control.close()

    def play_block(self, at, kind, text):
        """Plays the line at that index, or the block that begins with it; gives how many lines that was."""
        if kind == "C:":
            self.send(unescape(text.replace("<me>", self.listen(text)) if "<me>" in text else text) + b"\r\n")
        elif kind == "C~":
            self.send(unescape(text))
        elif kind == "S:":
            self.hear(text)
        elif kind in ("D<", "D<~", "D*"):
            return self.download(at)
        elif kind == "D>":
            return self.upload(at)
        elif kind == "@greeting":
            self.hear("220 <any>")
        elif kind == "@login":
            self.log_in(*ACCOUNTS[text])
        elif kind == "@noconnect":
            self.connects = False
        elif kind in ("@exists", "@missing"):
            self.check((kind == "@exists") == self.exists(unescape(text)), "it is not so")
        elif kind == "@content":
            path, _, content = text.partition(" ")
            got = self.content(unescape(path))
            self.check(got == unescape(content), f"it holds {got!r}")
        elif kind != "@config":
            raise ValueError(f"{self.path.name}: {kind} is no line of a transcript")
        return 1

    def check(self, condition, message):
        if not condition:
            raise Mismatch(message)

    def log_in(self, user, password):
        self.hear("220 <any>")
        self.send(f"USER {user}\r\n".encode())
        self.hear("331 <any>")
        self.send(f"PASS {password}\r\n".encode())
        self.hear("230 <any>")

    # -- the control connection

    def send(self, data):
        if TRANSFERS.match(data):
            self.make_data_connection()
        self.level = PROT.match(data)
        self.control.send(data)

    def hear(self, pattern):
        line = self.control.line()
        if pattern == "<eof>":
            self.closed = True
            return self.check(line is None, f"got {line!r}")
        self.check(line is not None, "the connection closed")
        self.check(self.matches(unescape(pattern), line), f"got {line.decode(errors='backslashreplace')}")
        if line.startswith(b"234 "):
            self.control.secure(certificates.client())
        elif line.startswith(b"200 ") and self.level:
            self.private = self.level[1] in b"Pp"
        elif line.startswith(b"227 "):
            numbers = re.findall(rb"\d+", line)
            self.hang_up()
            self.dial = int(numbers[-2]) * 256 + int(numbers[-1])
        elif line.startswith(b"229 "):
            self.hang_up()
            self.dial = int(line.split(b"|")[3])

    def finish(self):
        """Nothing may be left unread: the next thing the server says is the answer to QUIT."""
        if not self.closed:
            self.control.send(b"QUIT\r\n")
            line = self.control.line()
            if line is None or not line.startswith(b"221 "):
                raise Mismatch(f"{self.path.name}: at the end came {line!r}")

    # -- the data connection

    def listen(self, command):
        """Listens for the server; gives the address as PORT or EPRT wants it."""
        self.hang_up()
        self.listener = self.create_listener()
        self.listener.settimeout(PATIENCE)
        port = self.listener.getsockname()[1]
        if command.upper().startswith("EPRT"):
            return f"|1|127.0.0.1|{port}|"
        return f"127,0,0,1,{port // 256},{port % 256}"

    def make_data_connection(self):
        """What a client does when it sends a command that transfers."""
        if not self.connects:
            self.hang_up()
            self.connects = True
        elif self.dial:
            try:
                self.data = self.connect_data(self.control.host, self.dial)
            except ConnectionRefusedError:
                # The server has given the port up meanwhile; what it says about that is in the transcript.
                pass
            self.dial = None

    def accepted(self):
        """The data connection of the transfer that has begun."""
        if self.listener:
            self.data, _ = self.listener.accept()
            self.data.settimeout(PATIENCE)
        self.check(self.data, "there is no data connection")
        if self.private and not isinstance(self.data, ssl.SSLSocket):
            self.data = certificates.client().wrap_socket(self.data, server_hostname=self.control.host)
        return self.data

    def hang_up(self):
        """Gives up the data connection that was agreed on."""
        for connection in (self.data, self.listener):
            if connection:
                connection.close()
        self.data = self.listener = self.dial = None

    def block(self, at, *kinds):
        """The lines from that index on that are of these kinds."""
        end = at
        while end < len(self.lines) and self.lines[end][1] in kinds:
            end += 1
        return self.lines[at:end]

    def upload(self, at):
        lines = self.block(at, "D>")
        data = self.accepted()
        for _, _, text in lines:
            data.sendall(unescape(text))
        after = self.lines[at + len(lines)][1] if at + len(lines) < len(self.lines) else ""
        if after == "@drop-data":
            reset(data)
            lines.append(after)
        self.hang_up()
        return len(lines)

    def download(self, at):
        lines = self.block(at, "D<", "D<~", "D*")
        rest = read_all(self.accepted())
        self.hang_up()
        pending = []
        for index, (_, kind, text) in enumerate(lines):
            wanted = unescape(text)
            if kind == "D<~":
                self.check(rest.startswith(wanted), f"got {rest!r}")
                rest = rest[len(wanted) :]
                continue
            pending.append(wanted)
            if kind == "D*" and index + 1 < len(lines) and lines[index + 1][1] == "D*":
                continue
            while pending:
                line, end, rest = rest.partition(b"\r\n")
                fitting = [pattern for pattern in pending if end and self.matches(pattern, line)]
                self.check(fitting, f"got {line!r}, wanted one of {pending}")
                pending.remove(fitting[0])
        self.check(not rest, f"more came: {rest!r}")
        return len(lines)


# A time in a transcript, in the form of MDTM and of `ls -l`.
TIME = re.compile(rb"\b(?:19|20)\d{12}\b|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d  \d{4} ")


# Other replies that are right on file systems of boards. FAT does not say that the parent of a missing name is a file, and it has no names with a
# star. Where folders have no time, none is shown.
OTHERWISE = [
    (b"550 Not a directory.", b"550 No such file or directory."),
    (b"550 No such file or directory.", b"553 Name not allowed."),
    (b"213 <stamp>", b"550 The file system does not know its time."),
    (b"dir;modify=<stamp>;", b"dir;"),
]


class DiscPlayer(Player):
    """One transcript against a file system of a board: its files are of now, and some names cannot be on it."""

    def __init__(self, path, host, port, files, absent):
        super().__init__(path, host, port, files)
        names = [re.escape(re.sub(rb"[\0-\x1f]", b"?", name)) for name in absent]
        self.lines = [
            line for line in self.lines if line[1] != "D*" or not any(re.search(name + rb"$", unescape(line[2])) for name in names)
        ]

    @staticmethod
    def matches(pattern, line):
        """As matches(), but any time will do where the transcript tells one, and so will what the file system says otherwise."""
        pattern = TIME.sub(lambda time: b"<stamp>" if time[0].isdigit() else b"<date> ", pattern)
        return matches(pattern, line) or any(this in pattern and matches(pattern.replace(this, that), line) for this, that in OTHERWISE)
