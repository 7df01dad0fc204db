"""A client that does at random what clients do, and what they should not do, and knows what it is owed: one final reply for each command.

All of it is chosen by a seed. What several clients do at the same time also depends on who comes first, so a seed repeats a run only nearly.
"""

import hashlib
import random
import socket

from control import PATIENCE, Control, reset

# Files that are only uploaded whole, each by one STOR, and moved: whatever happens, they hold what one STOR has sent.
WHOLE = ["w0", "w1", "W1", "sub/w2", "sub/w3"]
# Files that are appended to and continued.
PARTS = ["p0", "p1", "sub/p2"]
FOLDERS = ["sub", "d0", "d1", "d0/d2"]
LARGEST = 60_000

PLAIN = """NOOP SYST PWD FEAT HELP STAT|STAT .|CWD sub|CDUP|CWD /|CWD ..|TYPE A|TYPE I|TYPE E|MODE S|STRU F|ALLO 10|AVBL|SIZE w0|SIZE sub/w2|MDTM w0|MLST w0
MLST|STAT w0|HASH w0|XCRC sub/w2|RNTO d9|RNFR w0|OPTS UTF8 ON|OPTS MLST type;size;|PASV|EPSV|EPSV ALL|EPSV 2|PORT 1,2,3,4,5,6|EPRT |1|9.9.9.9|5000|
ABOR|SITE WHO|SITE DF|SITE FREE|SITE GC|SITE UPTIME|SITE HELP|SITE KICK guest|SITE CHMOD 644 w0|SITE|ACCT x|USER guest|USER nobody|USER tester|PASS secret
PASS wrong|REIN|CLNT x|FOO|MFMT 20240101000000 w0|XMKD d1|RMD d1|MKD d0|RMD d0|MKD d0/d2|RMD d0/d2|DELE p0|DELE p1|DELE w1|LIST|RETR w0|NLST|REST x|AUTH TLS|PBSZ 0
PROT P|STOU|QUIT x y|SITE HASHPASS x|CWD d0|DELE nothing|RMD sub|MKD sub|LIST -la|XPWD|XCUP|SITE UTIME 20240101000000 w0""".replace("\n", "|").split("|")
# EPRT has its own bars.
PLAIN = [command for command in PLAIN if command and not command.isdigit() and "." not in command[:3]]
PLAIN += ["EPRT |1|9.9.9.9|5000|", "NOOP", "SYST", "PWD", "FEAT", "HELP"]


def whole(source):
    """What one STOR sends: anyone can tell whether it is whole. It has no line end, so that TYPE A changes nothing."""
    body = hashlib.shake_128(source.randbytes(8)).hexdigest(source.randrange(LARGEST // 2)).encode()
    return hashlib.sha256(body).hexdigest().encode() + body


def is_whole(content):
    """Whether this is what one STOR has sent, from its first byte to its last."""
    return hashlib.sha256(content[64:]).hexdigest().encode() == content[:64]


class Closed(Exception):
    """The server has closed the control connection."""


class Client:
    """A client that makes one connection after the other."""

    def __init__(self, server, seed):
        self.server = server
        self.random = random.Random(seed)
        self.is_over = None
        self.control = None
        # Commands that were answered, and connections that were broken off.
        self.commands = self.broken = 0
        # The last commands and replies, for the message of a failure.
        self.story = []

    def run(self, is_over):
        """Connects and disconnects until `is_over()`."""
        self.is_over = is_over
        while not self.is_over():
            self.story.clear()
            try:
                with self.server.connect() as self.control:
                    self.live()
            except Closed:
                pass
            except AssertionError as error:
                raise AssertionError(f"{error}\n" + "\n".join(map(repr, self.story[-30:]))) from error
            except ConnectionError:
                # Something was sent when the server had closed the connection, as it does when another kicks it: what it said is lost.
                pass

    def live(self):
        """One connection."""
        chosen = self.random
        self.reply("220")
        if chosen.random() < 0.9:
            name, password = chosen.choice([("tester", "secret")] * 4 + [("guest", "guest")])
            self.command(f"USER {name}")
            self.command(f"PASS {password}")
            self.command("TYPE I")
        steps = [self.pipeline, self.transfer, self.upload, self.rename, self.nonsense, self.part, self.aborted]
        for _ in range(chosen.randrange(12)):
            if self.is_over():
                break
            chosen.choices(steps, [6, 6, 6, 3, 2, 3, 2])[0]()
            if chosen.random() < 0.06:
                self.broken += 1
                self.leave(self.control.socket)
                raise Closed
        if chosen.random() < 0.5:
            self.command("QUIT")

    def leave(self, connection):
        """Ends a connection, one way or the other."""
        if self.random.random() < 0.5:
            reset(connection)
        else:
            connection.close()

    def send(self, data):
        """Sends bytes in pieces of any size."""
        while data:
            count = len(data) if self.random.random() < 0.7 else self.random.randrange(1, len(data) + 1)
            self.control.send(data[:count])
            data = data[count:]

    def reply(self, expected=""):
        """The next reply. What the server says when it ends the session raises Closed."""
        got = self.control.reply()
        self.story.append(got)
        if not got or got.startswith(("421", "221")):
            raise Closed
        assert got[:3].isdigit() and all(ord(letter) >= 32 or letter in "\n\t" for letter in got), got
        assert got.startswith(expected), (expected, got)
        return got

    def final(self):
        """The next reply that ends a command."""
        while (got := self.reply()).startswith("1"):
            pass
        self.commands += 1
        return got

    def command(self, command):
        """Sends one command; its final reply."""
        self.story.append("> " + command)
        self.send(command.encode() + b"\r\n")
        return self.final()

    def in_step(self):
        """Whether there was exactly one reply for each command: the next one is the answer to the next command."""
        got = self.command("SYST")
        assert got.startswith(("215", "530")), f"out of step: {got}"

    def pipeline(self):
        """Commands at once, whose replies are counted."""
        chosen = self.random
        commands = [chosen.choice(PLAIN) for _ in range(chosen.randrange(1, 12))]
        # What comes behind AUTH would be thrown away where there is TLS; here there is none.
        end = chosen.choice([b"\r\n", b"\n"])
        lines = [command.encode() + end for command in commands]
        if chosen.random() < 0.2:
            # Telnet: NOP, and DO NAOCRD, which change nothing.
            lines = [chosen.choice([b"", b"\xff\xf1", b"\xff\xfd\x0a"]) + line for line in lines]
        self.story.append("> " + " | ".join(commands))
        self.send(b"".join(lines))
        for _ in commands:
            self.final()
        self.in_step()

    def nonsense(self):
        """A line that is none."""
        chosen = self.random
        bytes_ = bytes(byte for byte in chosen.randbytes(chosen.choice([3, 40, 500, 700, 3000])) if byte not in b"\n\xff")
        if chosen.random() < 0.5:
            bytes_ = chosen.choice(PLAIN).encode() + b" " + bytes_
        self.story.append(f"> {len(bytes_)} bytes")
        self.send(bytes_ + b"\r\n")
        self.final()
        self.in_step()

    def rename(self):
        """A file gets another's name, and perhaps somebody has it open."""
        chosen = self.random
        names = chosen.choice([WHOLE, WHOLE, PARTS])
        self.command(f"RNFR {chosen.choice(names)}")
        self.command(f"RNTO {chosen.choice(names)}")
        if chosen.random() < 0.2:
            self.command(f"DELE {chosen.choice(names)}")

    def data(self):
        """Asks for a data connection: a function that makes it, or None if the server refuses."""
        how = self.random.random()
        if how < 0.8:
            got = self.command("EPSV" if how < 0.5 else "PASV")
            if got.startswith("229"):
                port = int(got.split("|")[3])
            elif got.startswith("227"):
                numbers = got[got.index("(") + 1 : got.index(")")].split(",")
                port = int(numbers[4]) * 256 + int(numbers[5])
            else:
                return None
            return lambda: socket.create_connection((self.server.host, port), PATIENCE)
        listener = socket.create_server((self.server.host, 0))
        listener.settimeout(PATIENCE)
        port = listener.getsockname()[1]
        got = self.command(f"EPRT |1|127.0.0.1|{port}|" if how < 0.9 else f"PORT 127,0,0,1,{port >> 8},{port & 255}")
        if not got.startswith("200"):
            listener.close()
            return None

        def accept():
            with listener:
                return listener.accept()[0]

        return accept

    def exchange(self, command, send=b""):
        """A transfer: with a data connection that is made before, after or not at all, and that may break. Gives the final reply, and what came."""
        chosen = self.random
        make = self.data()
        if make is None:
            self.in_step()
            return "", b""
        is_early = "listener" not in make.__code__.co_freevars and chosen.random() < 0.3
        connection = make() if is_early else None
        self.story.append("> " + command)
        self.send(command.encode() + b"\r\n")
        first = self.reply()
        received = b""
        if not first.startswith("1"):
            self.commands += 1
            if connection:
                connection.close()
            self.in_step()
            return first, b""
        if connection is None and chosen.random() < 0.93:
            try:
                connection = make()
            except OSError:
                connection = None
        if connection:
            connection.settimeout(PATIENCE)
            received = self.move(connection, send)
        # Otherwise the server waits for data_timeout.
        got = self.final()
        self.in_step()
        return got, received

    def move(self, connection, send):
        """What goes over a data connection, until its end or a break."""
        chosen = self.random
        received = b""
        breaks = chosen.random() < 0.2
        try:
            if send:
                most = chosen.randrange(len(send)) if breaks else len(send)
                connection.sendall(send[:most])
            else:
                while piece := connection.recv(chosen.choice([1000, 100_000])):
                    received += piece
                    if breaks:
                        break
        except ConnectionError:
            breaks = True
        if breaks:
            reset(connection)
            return b""
        connection.close()
        return received

    def transfer(self):
        """A download or a listing. A whole file that comes whole is one."""
        name = self.random.choice(WHOLE + PARTS)
        command = self.random.choice([f"RETR {name}"] * 3 + ["LIST", "NLST", "MLSD", "LIST sub", "NLST *w*", "MLSD sub", "LIST nothing", "RETR sub"])
        got, received = self.exchange(command)
        if got.startswith("226") and received and command.startswith("RETR") and name in WHOLE:
            assert is_whole(received), f"{name} came as {len(received)} bytes that nobody has sent"

    def upload(self):
        """One STOR of one whole file."""
        self.exchange(f"STOR {self.random.choice(WHOLE)}", whole(self.random))

    def part(self):
        """An upload to the end of a file, or into it."""
        name = self.random.choice(PARTS)
        how = self.random.choice(["APPE", "REST", "STOU"])
        data = self.random.randbytes(self.random.randrange(1, 5000))
        if how == "REST":
            make_room = self.command(f"REST {self.random.randrange(100)}")
            assert make_room.startswith(("350", "530")), make_room
        self.exchange({"APPE": f"APPE {name}", "REST": f"STOR {name}", "STOU": "STOU"}[how], data)
        if how == "STOU" and self.random.random() < 0.7:
            # Otherwise there would be more and more of them.
            for number in range(1, 4):
                self.command(f"DELE upload.{number}")

    def aborted(self):
        """ABOR in the middle of something, with what clients send around it."""
        chosen = self.random
        make = self.data()
        if make is None:
            return
        is_upload = chosen.random() < 0.5
        command = f"STOR {chosen.choice(WHOLE)}" if is_upload else f"RETR {chosen.choice(WHOLE)}"
        self.story.append("> " + command)
        self.send(command.encode() + b"\r\n")
        if not self.reply().startswith("1"):
            self.commands += 1
            self.in_step()
            return
        with make() as connection:
            connection.settimeout(PATIENCE)
            try:
                connection.sendall(b"x" * chosen.randrange(1000)) if is_upload else connection.recv(chosen.randrange(1, 1000))
            except ConnectionError:
                pass
            many = chosen.choice([1, 1, 2])
            self.story.append(f"> ABOR, {many}")
            self.send(chosen.choice([b"", b"\xff\xf4\xff\xf2"]) + b"ABOR\r\n" * many + b"NOOP\r\n")
            for _ in range(many + 2):
                self.final()
        self.in_step()
