"""Clients that want to do harm, and the server's defence against each.

Each test names its defence, and fails without it. docs/security.md lists all threats. Most of them are tested in other files, beside what they attack.
"""

import contextlib
import pathlib
import re
import socket
import threading

import pytest
from control import PATIENCE, Control, data_connection, read_all
from server import REPOSITORY, needs_ipv6, run_micropython, wait_until

# Nothing here depends on the architecture.
pytestmark = pytest.mark.clients


# -- too much of something


def test_a_thousand_connections_left_open(start_server):
    """Defence: max_connections, checked by _objection in life.py. Without it each client gets a session, until there is no memory left."""
    server = start_server(max_connections=4)
    with contextlib.ExitStack() as stack:
        for number in range(1000):
            control = stack.enter_context(server.connect())
            # An idle session may make room for a newcomer.
            assert control.reply()[:4] in ("220 ", "421 ")
            if number % 50 == 49:
                assert len(server.open_files()) <= server.idle_files + 5

        def is_let_in():
            with server.connect() as control, contextlib.suppress(AssertionError, ConnectionError):
                control.login().store("STOR file", b"content")
                return True

        wait_until(is_let_in, server.describe)
    assert "No memory" not in server.output()
    server.assert_nothing_leaked()


@pytest.mark.parametrize("piece", [b"NOOP ", b"\xff\xf1", b"\xff\xfd\x01", b"\0"], ids=["words", "Telnet commands", "Telnet options", "zeros"])
def test_ten_megabytes_without_a_line_end(server, piece):
    """Defence: Input.discarding in src/protocol/input.rs drops what is too long, and a session's share of the time lets others run. Without the first
    the line fills the buffer and the session hangs, or the rest of the line is read as commands."""
    with server.login() as control, server.login() as other:
        sender = threading.Thread(target=control.send, args=(b"MKD x" + piece * (10_000_000 // len(piece)) + b"\r\nNOOP\r\n",))
        sender.start()
        for _ in range(20):
            other.expect("NOOP", "200")
        sender.join(PATIENCE)
        # Bytes of Telnet belong to no line, even if there are many.
        assert control.reply() == ('257 "/x" created.' if b"\xff" in piece else "500 Command line too long.")
        assert control.reply() == "200 NOOP ok."
    assert server.files.names() == (["x"] if b"\xff" in piece else [])


def test_a_pipeline_past_every_buffer_during_a_transfer(server):
    """Defence: bytes that do not fit the line buffer stay in the socket (Input.space in src/protocol/input.rs). Without it commands are lost, or
    run in another order."""
    count = 3000
    commands = b"".join(b"MDTM file%d\r\n" % (number % 7) for number in range(count))
    for number in range(0, 7, 2):
        (server.root / f"file{number}").touch()
    with server.login() as control:
        data = control.data()
        control.expect("STOR upload", "150")
        sender = threading.Thread(target=control.send, args=(commands,))
        sender.start()
        # The server has read as much as it has room for.
        wait_until(server.is_asleep, server.describe)
        data.sendall(b"content")
        data.close()
        assert control.reply().startswith("226")
        got = [control.reply()[:3] for _ in range(count)]
        sender.join(PATIENCE)
        assert got == ["550" if number % 7 % 2 else "213" for number in range(count)]
    assert (server.root / "upload").read_bytes() == b"content"


def test_pasv_ten_thousand_times(server):
    """Defence: _listen in data.py closes the listener before it makes another. Without it the 40 passive ports are used up."""
    with server.login() as control, server.login() as other:
        before = len(server.open_files())
        for _ in range(100):
            control.send(b"PASV\r\nEPSV\r\n" * 50)
            assert {control.reply()[:3] for _ in range(100)} == {"227", "229"}
        assert len(server.open_files()) == before + 1
        other.store("STOR file", b"content")
        assert control.retrieve("RETR file") == b"content"


def test_strangers_at_the_passive_port(server):
    """Defence: Session::accepts_data_from compares the address (src/protocol/session/data.rs). Without it the first stranger gets the file."""
    (server.root / "file").write_bytes(b"mine")
    with server.login() as control:
        port = int(control("EPSV").split("|")[3])
        control.expect("RETR file", "150")
        for number in range(2, 32):
            with data_connection(server.host, port, source=f"127.0.0.{number}") as stranger:
                try:
                    assert read_all(stranger) == b""
                except ConnectionResetError:
                    pass
        with data_connection(server.host, port) as data:
            assert read_all(data) == b"mine"
        assert control.reply().startswith("226")


# A transfer waits for its data connection. Meanwhile strangers come faster than the server can send them away.
CROWD = """\
import sys
try:
    import asyncio
except ImportError:
    sys.path.append(".frozen")
    import asyncio
import ftpdlite
from asyncio import core

def sleep_ms(time):
    yield

core.sleep_ms = sleep_ms
came = 0

class Stranger:
    def close(self):
        pass

class Listener(Stranger):
    def accept(self):
        global came
        came += 1
        # Without a turn for other tasks it would never end.
        assert came < 100
        return Stranger(), ("192.0.2.9", 4000)

class Session:
    data = verdict = None
    listener = Listener()

    def accepts(self, address):
        return False

steps = ftpdlite._transfer(ftpdlite.FTPdLite(), Session(), 18, None, None, None, None)
for turn in range(20):
    next(steps)
print("turns", turn + 1, came)
"""


def test_a_crowd_at_the_passive_port_leaves_others_their_turns(tmp_path):
    """Defence: _transfer in data.py lets other tasks run after each stranger. Without it other sessions and data_timeout get no turn while strangers come."""
    code, output = run_micropython(tmp_path, CROWD)
    assert (code, output) == (0, "turns 20 20\n")


# -- the server as a weapon


ELSEWHERE = [
    "PORT 127,0,0,2,{high},{low}",
    "EPRT |1|127.0.0.2|{port}|",
    "EPRT |2|::ffff:127.0.0.2|{port}|",
    "EPRT |2|::ffff:7f00:2|{port}|",
    "EPRT |2|0:0:0:0:0:FFFF:7F00:0002|{port}|",
    # These are not addresses of hosts. Linux takes them for its own.
    "PORT 0,0,0,0,{high},{low}",
    "EPRT |1|0.0.0.0|{port}|",
    "EPRT |2|::|{port}|",
    "EPRT |2|::ffff:0.0.0.0|{port}|",
    # Other forms of IPv4 inside of IPv6: compatible, 6to4, NAT64.
    "EPRT |2|::127.0.0.2|{port}|",
    "EPRT |2|2002:7f00:2::|{port}|",
    "EPRT |2|64:ff9b::127.0.0.2|{port}|",
    "EPRT |2|::1|{port}|",
]


@pytest.mark.parametrize("host", ["127.0.0.1", "::"])
def test_the_server_dials_nobody_but_its_client(start_server, host):
    """Defence: Session::dial compares the address with the client's (src/protocol/session/data.rs). Without it anyone can make the server connect
    to others (RFC 2577 3)."""
    if ":" in host:
        needs_ipv6()
    server = start_server(host=host)
    (server.root / "file").write_bytes(b"content")
    with Control("127.0.0.1", server.port).login() as control, socket.create_server(("0.0.0.0", 0)) as listener:
        port = listener.getsockname()[1]
        numbers = {"port": port, "high": port >> 8, "low": port & 255}
        for command in ELSEWHERE:
            assert control(command.format(**numbers)).startswith("500 Illegal "), command
            assert control("RETR file").startswith("425 "), command
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
        listener.settimeout(PATIENCE)
        # The client's own address is allowed in each form.
        control.expect(f"EPRT |2|::ffff:127.0.0.1|{port}|", "200")
        control.expect("RETR file", "150")
        with listener.accept()[0] as data:
            assert read_all(data) == b"content"
        assert control.reply().startswith("226")
    server.assert_nothing_leaked()


# -- names

# "..", "/" and "\" in more bytes than needed; parts of characters; half of a surrogate pair; a number that is no character; Latin-1.
NO_UTF_8 = [b"\xc0\xae\xc0\xae", b"\xe0\x80\xae\xe0\x80\xae", b"..\xc0\xaf", b"..\xe0\x80\xaf", b"..\xc1\x9c", b"\xc3", b"\xe2\x82", b"a\x80b"]
NO_UTF_8 += [b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xfe\xfe", b"gr\xfc\xdfe", b"\xc1\xbf\xc0\x80"]
LONGEST = b"n" * 255


def test_names_that_are_no_utf_8_and_the_longest(board):
    """Defence: a name is bytes, and the server resolves it without decoding it (src/protocol/path.rs). If overlong forms were decoded, `..` would leave the
    folder. If a name had to be UTF-8, the shim would raise an exception."""
    files = board.files
    files.fill({"/outside": b"secret", "/inner/file": b"content"})
    with board.login() as control:
        control.expect("CWD inner", "250")
        for name in NO_UTF_8:
            for path in (name, name + b"/outside", name + b"/" + name):
                text = path.replace(b"\xff", b"\xff\xff").decode(errors="surrogateescape")
                for command in ("CWD", "SIZE", "MDTM", "MLST", "DELE", "RMD", "RNFR", "HASH", "STAT"):
                    reply = control(f"{command} {text}")
                    assert reply[:3] in ("550", "553", "501", "213") and "secret" not in reply and "outside" not in reply.split(text)[-1], (command, path, reply)
        assert control("PWD").startswith('257 "/inner"')
        for name in NO_UTF_8 + [LONGEST, LONGEST[1:], LONGEST[:-7]]:
            text = name.decode(errors="surrogateescape")
            with control.data() as data:
                reply = control(f"STOR {text}")
                if reply.startswith("150"):
                    data.sendall(b"hostile")
                    data.close()
                    reply = control.reply()
            assert reply.startswith("226") or name not in (LONGEST, LONGEST[1:]), reply
            if reply.startswith("226"):
                # A name that was accepted must work.
                assert control.retrieve(f"RETR {text}") == b"hostile"
                control.expect(f"DELE {text}", "250")
            else:
                assert reply[:3] in ("550", "553", "501", "451", "425"), (name, reply)
        assert control.retrieve("NLST") == b"file\r\n"
    assert files.tree() == {"/inner/": None, "/inner/file": b"content", "/outside": b"secret"}


# -- who is there

# Logins as the shim does them. The clock moves only while the shim waits. A hash of 1,000 rounds waits 100 times, and login_delay is 50.
LOGINS = """\
import sys
try:
    import asyncio
except ImportError:
    sys.path.append(".frozen")
    import asyncio
import ftpdlite
from asyncio import core

now = 0

def sleep_ms(time):
    global now
    now += max(1, time)
    yield

core.sleep_ms = sleep_ms
core.ticks = lambda: now

class Session:
    peer = ("192.0.2.7", 4000)
    logged_in = False
    code = None

    def __init__(self, user, text):
        self.user = user
        self.text = text

    def dismiss(self, code):
        self.code = code

HASH = "$pbkdf2-sha256$%d$AAECAwQFBgcICQoLDA0ODw$Tvsru20utY6o3q7VRBeuL9h/1QqKhWhwk2PaYNRWBgY"
ACCOUNTS = ("plain:%s" % "x$y$z", "hashed:" + HASH % 1000, "short:" + HASH % 200, "other:" + HASH % 1000)

def login(server, user, password="wrong"):
    global now
    now = 0
    s = Session(user, password)
    steps = ftpdlite._log_in(server, s)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return now, end.value, s.code

def seen(server, guesses):
    # Everything that a client who tries names can see, after that many guesses for each name.
    found = set()
    for user in "plain", "hashed", "short", "other", "nobody", "Plain", "":
        # Somebody else's password is no better than any other wrong one.
        for password in "wrong", "secret" if user == "plain" else "x$y$z":
            server._failures.clear()
            for number in range(guesses):
                Session.peer = ("192.0.2.%d" % (number // 3), 4000)
                login(server, user)
            Session.peer = ("192.0.2.0", 4000)
            found.add(login(server, user, password))
    return found

for first in range(4):
    server = ftpdlite.FTPdLite(max_login_failures=4, login_delay=50)
    server._entries = []
    for account in ACCOUNTS[first:] + ACCOUNTS[:first]:
        server._entries.append(ftpdlite._once("settings").add(account, "ro", None, None))
    server._failures = {}
    server._uptime = 0
    print("refused", seen(server, 0))
print("locked", seen(server, 4))
server._failures.clear()
print("let in", login(server, "plain", "x$y$z")[1:], login(server, "hashed", "secret")[1:])
"""


def test_the_time_of_a_failed_login_does_not_tell_who_exists(tmp_path):
    """Defence: _login in control.py compares a wrong password with a secret of each kind, for every user name. Without it
    the refusal of a user that does not exist comes sooner, or later."""
    code, output = run_micropython(tmp_path, LOGINS, heap="1m", seconds=60)
    assert code == 0, output
    *refused, locked, let_in = output.splitlines()
    # The errno is EACCES each time, and the time is the same.
    assert len(refused) == 4 and len(set(refused)) == 1 and re.fullmatch(r"refused {\(\d+, 13, None\)}", refused[0]), output
    # A name without an account is locked, too: EPERM at once.
    assert locked == "locked {(0, 1, 4)}" and let_in.count("'/'") + let_in.count("''") == 2, output


# The server remembers failed logins for 64 addresses and accounts. Somebody fills these 64 with names that nobody has, and then guesses.
FORGOTTEN = """\
import sys
try:
    import asyncio
except ImportError:
    sys.path.append(".frozen")
    import asyncio
import ftpdlite
from ftpdlite import failures

class Session:
    def __init__(self, address, user):
        self.peer = (address, 4000)
        self.user = user

def fill(waits):
    # Two failures for each name, as many as an address may have. With `waits` there is only one address. It waits until it may log in again.
    for number in range(140):
        address = "192.0.2.9" if waits else "192.0.2.%d" % (100 + number // 10)
        while ftpdlite._is_locked(server, address):
            server._uptime += 1
        failures.add(server, Session(address, "nobody%d" % (number // 2)))
    if waits:
        server._uptime += 301

for waits in (False, True):
    for guessers in (1, 2, 5):
        server = ftpdlite.FTPdLite()
        server._failures = {}
        server._uptime = 0
        fill(waits)
        guesses = 0
        while guesses < 200:
            address = "192.0.2.%d" % (1 + guesses % guessers)
            if ftpdlite._is_locked(server, address, "tester"):
                break
            failures.add(server, Session(address, "tester"))
            guesses += 1
        print(waits, guessers, guesses, len(server._failures) <= 64)
"""


def test_failures_of_names_that_nobody_has_do_not_make_the_server_forget_a_guesser(tmp_path):
    """Defence: add() in failures.py first forgets entries whose time is over, and never the one who is guessing. Without it somebody who fills the table
    with other names can guess for ever."""
    code, output = run_micropython(tmp_path, FORGOTTEN)
    assert code == 0, output
    told = [line.split() for line in output.splitlines()]
    assert len(told) == 6 and all(int(guesses) <= 15 and kept == "True" for _, _, guesses, kept in told), output


# -- docs/security.md


def missing(page):
    """The tests that the page names but that do not exist."""
    found = re.findall(r"`(test_\w+\.py)::(\w+)`", page)
    here = pathlib.Path(__file__).parent
    wrong = [f"{file}::{name}" for file, name in found if not re.search(rf"^def {name}\(", (here / file).read_text(), re.MULTILINE)]
    return wrong + [name for name in re.findall(r"`([\w-]+\.txt)`", page) if not (REPOSITORY / "tests/transcripts" / name).exists()]


def test_each_defence_names_a_test_that_exists():
    page = (REPOSITORY / "docs/security.md").read_text()
    assert missing(page) == []
    rows = [row for row in page.splitlines() if row.startswith("| ") and not row.startswith(("| threat", "| ---"))]
    assert len(rows) > 30 and all(re.search(r"`(test_\w+\.py::\w+|[\w-]+\.txt)`", row.rsplit("|", 2)[1]) for row in rows)
    # A test that does not exist would be noticed.
    assert missing("`test_wire.py::test_nothing` `nothing.txt`") == ["test_wire.py::test_nothing", "nothing.txt"]
