"""TLS (RFC 4217). In most tests a second session transfers in clear at the same time: a handshake must not stop the others.

MicroPython's ssl sends no close_notify, so the clients here take TCP's end for the end, as curl and lftp do.
"""

import contextlib
import ftplib
import hashlib
import io
import os
import socket
import ssl
import threading

import certificates
import pytest
from clients import SECONDS, Curl, Lftp
from control import PATIENCE, data_connection, read_all, read_freely, reset
from server import MAIN, run_micropython, wait_until

BIG = 64 << 20


def pattern(size):
    """Bytes that repeat nowhere."""
    return hashlib.shake_128(b"%d" % size).digest(size)


@pytest.fixture
def server(start_server):
    """A server with TLS for those who want it. At its end nothing may have leaked."""
    server = start_server(**certificates.settings())
    with open(server.root / "big", "wb") as file:
        file.truncate(BIG)
    yield server
    server.assert_nothing_leaked()


@pytest.fixture
def neighbour(server):
    """A session in clear that downloads, now and then, until the test ends; it must get all that it asks for."""
    content = pattern(200_000)
    (server.root / "neighbour").write_bytes(content)
    over = threading.Event()
    rounds = []

    def download():
        with server.login() as control:
            while not over.is_set() and len(rounds) < 2000:
                rounds.append(control.retrieve("RETR neighbour") == content)
                over.wait(0.01)

    thread = threading.Thread(target=download)
    thread.start()
    wait_until(lambda: rounds or not thread.is_alive())
    yield rounds
    over.set()
    thread.join(PATIENCE)
    assert rounds and all(rounds)


def goes_on(rounds):
    """Waits until the neighbour has made two downloads that began after now."""
    before = len(rounds)
    wait_until(lambda: len(rounds) >= before + 3)


def secure_login(server):
    return server.connect().login_securely(certificates.client())


def secured(data):
    """A data connection after its handshake."""
    return certificates.client().wrap_socket(data, server_hostname="127.0.0.1")


def secure_data(control, command):
    """The data connection of a command, secured."""
    data = control.data()
    control.expect(command, "150")
    return secured(data)


class FtpTls(ftplib.FTP_TLS):
    """ftplib's, for a server that sends no close_notify: its data connections just close."""

    def __init__(self, server, protect=True, passive=True):
        super().__init__(context=certificates.client(), timeout=PATIENCE)
        self.connect(server.host, server.port)
        self.login("tester", "secret")
        self.set_pasv(passive)
        if protect:
            self.prot_p()

    def ntransfercmd(self, command, rest=None):
        connection, size = super().ntransfercmd(command, rest)
        if isinstance(connection, ssl.SSLSocket):
            connection.unwrap = lambda: None
        return connection, size


# -- clients


@pytest.mark.parametrize("passive", [True, False], ids=["passive", "active"])
@pytest.mark.parametrize("protect", [True, False], ids=["private", "clear"])
def test_ftplib(server, neighbour, protect, passive):
    with FtpTls(server, protect, passive) as ftp:
        for size in (0, 1, 16384, 16385, 3_000_001):
            content = pattern(size)
            ftp.storbinary(f"STOR {size}", io.BytesIO(content))
            assert (server.root / str(size)).read_bytes() == content
            got = io.BytesIO()
            ftp.retrbinary(f"RETR {size}", got.write)
            assert got.getvalue() == content
        ftp.mkd("folder")
        assert ftp.nlst("folder") == []
        assert "16385" in ftp.nlst()
        assert {"folder", "1"} < {name for name, _ in ftp.mlsd()}
        got = io.BytesIO()
        ftp.retrbinary("RETR 16385", got.write, rest=16000)
        assert got.getvalue() == pattern(16385)[16000:]
    goes_on(neighbour)


def test_curl(server, neighbour, tmp_path):
    curl = Curl(server, tmp_path)
    certificate, _ = certificates.make()
    options = ["--ssl-reqd", "--cacert", certificate]
    content = pattern(5_000_000)
    (tmp_path / "content").write_bytes(content)
    curl.curl(*options, "--upload-file", tmp_path / "content", f"{curl.url}/file")
    assert (server.root / "file").read_bytes() == content
    curl.curl(*options, "--output", tmp_path / "got", f"{curl.url}/file")
    assert (tmp_path / "got").read_bytes() == content
    assert "file" in curl.curl(*options, "--list-only", f"{curl.url}/").split("\n")
    # A certificate that is not trusted.
    curl.run("--silent", "--ssl-reqd", "--user", "tester:secret", "--max-time", SECONDS, f"{curl.url}/", expect=60)
    goes_on(neighbour)


def test_lftp_mirrors_with_four_connections(server, neighbour, tmp_path):
    os.mkdir(server.root / "tree")
    for index in range(20):
        (server.root / f"tree/{index}").write_bytes(pattern(10_000 * index))
    lftp = Lftp(server, tmp_path)
    certificate, _ = certificates.make()
    lftp.script(
        "set ftp:ssl-allow yes",
        "set ftp:ssl-force yes",
        "set ftp:ssl-protect-data yes",
        "set ftp:ssl-protect-list yes",
        f"set ssl:ca-file {certificate}",
        "set ssl:check-hostname no",
        f"mirror --parallel=4 tree {tmp_path}/got",
        f"mirror --parallel=4 --reverse {tmp_path}/got back",
    )
    for index in range(20):
        assert (tmp_path / f"got/{index}").read_bytes() == (server.root / f"back/{index}").read_bytes() == pattern(10_000 * index)
    goes_on(neighbour)


def test_curl_and_ftplib_with_data_connections_in_clear(start_server, tmp_path):
    server = start_server(**certificates.settings("required"), private_data=False)
    curl = Curl(server, tmp_path)
    content = pattern(1_000_000)
    (tmp_path / "content").write_bytes(content)
    options = ["--ftp-ssl-control", "--cacert", certificates.make()[0]]
    curl.curl(*options, "--upload-file", tmp_path / "content", f"{curl.url}/file")
    curl.curl(*options, "--output", tmp_path / "got", f"{curl.url}/file")
    assert (tmp_path / "got").read_bytes() == content
    # ftplib as it comes.
    with ftplib.FTP_TLS(context=certificates.client(), timeout=PATIENCE) as ftp:
        ftp.connect(server.host, server.port)
        ftp.login("tester", "secret")
        assert ftp.nlst() == ["file"]
        with pytest.raises(ftplib.error_perm, match="^534 "):
            ftp.prot_p()
        assert ftp.nlst() == ["file"]


@pytest.mark.parametrize("kind", ["ec", "rsa"])
@pytest.mark.parametrize("form", ["PEM bytes", "DER bytes"])
def test_certificates_and_keys_of_each_form(start_server, kind, form):
    settings = certificates.settings("required", kind)
    for name in ("certificate", "key"):
        with open(settings[name], "rb") as file:
            settings[name] = file.read()
        if form == "DER bytes":
            program = ["openssl", {"certificate": "x509", "key": "pkey"}[name], "-outform", "DER"]
            settings[name] = certificates.run(program, settings[name])
    server = start_server(**settings)
    with server.connect().login_securely(certificates.client(kind)) as control:
        control.expect("PWD", "257")
    with server.connect() as control:
        assert control.reply().startswith("220 ")
        control.expect("USER tester", "530")


# -- the handshake


def test_what_comes_in_clear_behind_auth_is_thrown_away(server):
    with server.connect() as control:
        assert control.reply().startswith("220 ")
        control.send(b"AUTH TLS\r\nUSER tester\r\nPASS secret\r\nMKD stolen\r\n")
        assert control.reply().startswith("234 ")
        control.secure(certificates.client())
        control.expect("PWD", "530")
        control.expect("PBSZ 0", "200")
    assert not (server.root / "stolen").exists()


GARBAGE = {
    "a command": b"USER tester\r\nPASS secret\r\nMKD stolen\r\n",
    "zeros": bytes(2000),
    "a record too long": b"\x16\x03\x01\xff\xff" + b"x" * 66000,
    "a hello of nonsense": b"\x16\x03\x01\x00\x40\x01\x00\x00\x3c" + b"\xaa" * 60,
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_in_the_handshake_ends_this_session_alone(server, neighbour, garbage):
    with server.connect() as control:
        assert control.reply().startswith("220 ")
        control.expect("AUTH TLS", "234")
        try:
            control.send(garbage)
            # It may send an alert; nothing of it is in clear.
            rest = read_all(control.socket)
        except ConnectionError:
            rest = b""
        assert rest[:1] in (b"", b"\x15")
        goes_on(neighbour)
    assert not (server.root / "stolen").exists()


def hello():
    """The first bytes of a client's handshake."""
    outgoing = ssl.MemoryBIO()
    session = certificates.client().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("part", [0, 3, 100, None], ids=["nothing", "half a header", "half a hello", "a hello"])
def test_a_handshake_that_stands_still_is_cut(start_server, part):
    server = start_server(**certificates.settings(), handshake_timeout=1)
    with server.connect() as control, server.login() as other:
        assert control.reply().startswith("220 ")
        control.expect("AUTH TLS", "234")
        control.send(hello()[:part])
        other.store("STOR meanwhile", b"content")
        # To its end, whatever the server has said in the handshake.
        read_all(control.socket)
        other.expect("NOOP", "200")
    server.assert_nothing_leaked()


def test_a_session_that_is_secured_has_the_usual_time(start_server):
    server = start_server(**certificates.settings(), handshake_timeout=3, idle_timeout=5)
    with secure_login(server) as control:
        for _ in range(3):
            threading.Event().wait(2)
            control.expect("NOOP", "200")
        assert control.reply().startswith("421 ")
    server.assert_nothing_leaked()


def test_a_key_of_another_certificate_costs_only_those_who_use_it(start_server):
    server = start_server(**certificates.settings() | {"key": str(certificates.make("rsa")[1])})
    for _ in range(3):
        with server.connect() as control, server.login() as other:
            assert control.reply().startswith("220 ")
            control.expect("AUTH TLS", "234")
            with pytest.raises(OSError):
                control.secure(certificates.client())
            other.store("STOR file", b"content")
    assert "INFO: TLS handshake failed: " in server.output()
    server.assert_nothing_leaked()


def test_auth_twice(server):
    with secure_login(server) as control:
        control.expect("AUTH TLS", "503")
        control.expect("PWD", "257")


def test_auth_closes_the_passive_port(server):
    with server.login() as control:
        port = int(control.expect("EPSV", "229").split("|")[3])
        control.expect("AUTH TLS", "234")
        control.secure(certificates.client())
        control.expect("PWD", "530")
        with pytest.raises(ConnectionRefusedError):
            data_connection(server.host, port)


def test_the_server_stops_in_the_middle_of_a_handshake(start_server):
    server = start_server(**certificates.settings())
    with server.connect() as control:
        assert control.reply().startswith("220 ")
        control.expect("AUTH TLS", "234")
        control.send(hello())
        wait_until(server.is_asleep)
        server.stop()
        try:
            read_all(control.socket)
        except ConnectionResetError:
            # It had not read the hello yet.
            pass


# Streams without a descriptor wait already when the server starts: one of the program, as each ThreadSafeFlag is.
BESIDE_A_FLAG = MAIN.replace("s.run()", """\
import asyncio


async def main():
    flags = [asyncio.create_task(asyncio.ThreadSafeFlag().wait()) for _ in range(3)]
    await asyncio.sleep_ms(0)
    await s.start()
    await asyncio.gather(*flags)


asyncio.run(main())""")

# The program waits for sockets of its own when somebody has logged in. There is no free memory behind the array of descriptors, so it cannot grow in its place.
BESIDE_LISTENERS = MAIN.replace("s.run()", """\
import asyncio
import gc
import socket

listeners = [socket.socket() for _ in range(12)]
taken = []


async def wait(listener):
    listener.listen(1)
    queue = asyncio.core._io_queue
    # Until a stream of TLS waits.
    while all([hasattr(stream, "fileno") for _, _, stream in queue.map.values()]):
        await asyncio.sleep_ms(1)
    if listener is listeners[-1]:
        print("All wait.")
    yield queue.queue_read(listener)


def login(kind, _):
    if kind == "login" and not taken:
        gc.collect()
        taken.extend([bytearray(16) for _ in range(3000)])
        for listener in listeners:
            asyncio.create_task(wait(listener))


s.on_event = login
s.run()""")


@pytest.mark.parametrize(
    "program, says", [(MAIN, "Listening"), (BESIDE_A_FLAG, "Listening"), (BESIDE_LISTENERS, "All wait.")], ids=["alone", "beside a flag", "beside listeners"]
)
def test_many_in_clear_come_while_one_waits_in_tls(start_server, program, says):
    # The array of descriptors of the Unix port's poller grows some times, at first with the fifth descriptor. The next poll crashed then.
    server = start_server(program=program, heap="1m", max_connections=100, **certificates.settings())
    with contextlib.ExitStack() as stack:
        control = stack.enter_context(secure_login(server))
        server.wait_for_output(says)
        control.expect("NOOP", "200")
        others = []
        for _ in range(90):
            others.append(stack.enter_context(server.connect()))
            assert others[-1].reply().startswith("220 ")
        for other in (control, *others):
            other.expect("NOOP", "200")
    server.assert_nothing_leaked()


# Tells when poller.py is loaded.
COUNTED = MAIN.replace("s.run()", """\
import ftpdlite

once = ftpdlite._once


def counted(name, keeps=False):
    if name == "poller":
        print("The poller is looked at.")
    return once(name, keeps)


ftpdlite._once = counted
s.run()""")


def test_the_poller_is_looked_at_only_when_more_streams_wait_than_before(start_server):
    server = start_server(program=COUNTED)
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(server.login()) for _ in range(8)]
        for _ in range(20):
            for other in others:
                other.expect("NOOP", "200")
    assert 0 < server.output().count("The poller is looked at.") <= 8


SHORT_OF_MEMORY = MAIN.replace("s.run()", """\
from ftpdlite import tls

wrap = tls.Tls.wrap
# For the server's own look at its firmware, and for one client.
room = [1, 1]


def short(self, sock):
    if not room:
        raise MemoryError
    room.pop()
    return wrap(self, sock)


tls.Tls.wrap = short
s.run()""")


def test_without_memory_for_tls_the_session_goes_on(start_server):
    server = start_server(program=SHORT_OF_MEMORY, **certificates.settings())
    with secure_login(server) as control, server.connect() as other:
        assert other.reply().startswith("220 ")
        other.expect("AUTH TLS", "431")
        other.authenticate()
        other.store("STOR file", b"content")
        with control.data() as data:
            control.expect("RETR file", "150")
            assert read_all(data) == b""
        assert control.reply() == "451 Local error in processing."
        control.expect("PROT C", "200")
        assert control.retrieve("RETR file") == b"content"
    # It says that there was no memory.
    assert "No memory for a transfer" in server.output()
    server.stop(complain=False)


# -- the end of TLS

# A firmware that says a word before it closes TCP. All else is as it is.
WITH_A_WORD = MAIN.replace("from ftpdlite", """\
import io
import sys
import tls


class Stream(io.IOBase):
    def __init__(self, stream, sock):
        self.stream, self.sock = stream, sock
        self.read, self.readinto, self.write = stream.read, stream.readinto, stream.write

    def ioctl(self, request, argument):
        if request == 4:
            self.close()
            return 0
        return argument

    def close(self):
        self.sock.write(b"close_notify")
        self.stream.close()


class Context:
    def __init__(self, protocol):
        self.context = tls.SSLContext(protocol)
        self.load_cert_chain = self.context.load_cert_chain

    def wrap_socket(self, sock, **options):
        return Stream(self.context.wrap_socket(sock, **options), sock)

    @property
    def verify_mode(self):
        return self.context.verify_mode

    @verify_mode.setter
    def verify_mode(self, mode):
        self.context.verify_mode = mode


class Module:
    SSLContext = Context
    PROTOCOL_TLS_SERVER = tls.PROTOCOL_TLS_SERVER
    PROTOCOL_TLS_CLIENT = tls.PROTOCOL_TLS_CLIENT
    CERT_NONE = tls.CERT_NONE


sys.modules["tls"] = Module

from ftpdlite""", 1)


@pytest.mark.parametrize("program, answer", [(MAIN, "534"), (WITH_A_WORD, "200")], ids=["as it is", "with a word"])
def test_filezilla_has_its_data_in_tls_where_the_firmware_ends_it(start_server, program, answer):
    server = start_server(program=program, **certificates.settings())
    with secure_login(server) as control:
        control.expect("CLNT FileZilla", "200")
        control.expect("PROT P", answer)
        # Other clients accept the end of TCP.
        control.expect("CLNT NcFTP", "200")
        control.expect("PROT P", "200")
    assert ("WARNING: This firmware cannot end TLS" in server.output()) == (answer == "534")


def test_where_the_firmware_ends_tls_both_connections_end_so(start_server):
    def rest(connection):
        with socket.socket(fileno=connection.detach()) as bare:
            bare.settimeout(PATIENCE)
            return read_all(bare)

    server = start_server(program=WITH_A_WORD, **certificates.settings())
    (server.root / "file").write_bytes(b"content")
    with secure_login(server) as control:
        data = secure_data(control, "RETR file")
        assert data.recv(7) == b"content"
        assert rest(data) == b"close_notify"
        assert control.reply().startswith("226")
        control.expect("QUIT", "221")
        assert rest(control.socket) == b"close_notify"


# -- the control connection


def test_replies_that_nobody_reads_yet_arrive_whole_and_in_order(server, neighbour):
    with server.connect(receive_buffer=4096) as control:
        control.login_securely(certificates.client())
        # SIZE makes the server look at a file while what it has said before is still on its way. All is more than the system buffers.
        help_text = control("HELP")
        control.send(b"".join(b"REST %d\r\n" % index + b"HELP\r\n" * 7 + b"SIZE big\r\n" for index in range(1800)))
        wait_until(server.is_asleep)
        goes_on(neighbour)
        read_freely(control.socket)
        for index in range(1800):
            assert control.reply() == f"350 Restarting at {index}."
            assert [control.reply() for _ in range(7)] == [help_text] * 7
            assert control.reply() == f"213 {BIG}"


def test_commands_in_pieces_and_in_heaps(server):
    with secure_login(server) as control:
        for byte in b"NOOP\r\n":
            control.send(bytes([byte]))
        assert control.reply() == "200 NOOP ok."
        control.send(b"NOOP\r\n" * 3000)
        assert {control.reply() for _ in range(3000)} == {"200 NOOP ok."}
        control.send(b"x" * 20_000 + b"\r\nNOOP\r\n")
        assert control.reply() == "500 Command line too long."
        assert control.reply() == "200 NOOP ok."


def test_stat_of_a_large_directory(server, neighbour):
    os.mkdir(server.root / "many")
    for index in range(2000):
        (server.root / f"many/a file with a rather long name, number {index}").touch()
    with secure_login(server) as control:
        lines = control("STAT many").split("\n")
        assert len(lines) == 2002
        control.expect("NOOP", "200")
    goes_on(neighbour)


# -- data connections


def test_an_upload_ends_with_the_clients_close_notify(server):
    with secure_login(server) as control, secure_data(control, "STOR file") as data:
        data.sendall(b"content")
        # Its alert goes out. The answer is the end of TCP, and Python may complain of that.
        with contextlib.suppress(OSError):
            data.unwrap()
        assert control.reply() == "226 Transfer complete."
    assert (server.root / "file").read_bytes() == b"content"


def test_a_download_that_is_read_slowly(server, neighbour):
    content = pattern(3_000_000)
    (server.root / "file").write_bytes(content)
    with secure_login(server) as control:
        data = control.data(receive_buffer=4096)
        control.expect("RETR file", "150")
        with secured(data) as data:
            got = data.recv(1000)
            goes_on(neighbour)
            got += read_all(data)
        assert got == content
        assert control.reply() == "226 Transfer complete."


def test_eight_sessions_at_the_same_time(server):
    wrong = []

    def work(number):
        content = pattern(400_000 + number)
        try:
            with secure_login(server) as control:
                for _ in range(3):
                    with secure_data(control, f"STOR {number}") as data:
                        data.sendall(content)
                    assert control.reply().startswith("226")
                    with secure_data(control, f"RETR {number}") as data:
                        assert read_all(data) == content
                    assert control.reply().startswith("226")
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert not wrong and not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("command", ["RETR big", "STOR new", "LIST"])
def test_a_data_connection_in_clear_gets_522_where_tls_is_due(server, neighbour, command):
    with secure_login(server) as control:
        with control.data() as data:
            control.expect(command, "150")
            data.sendall(b"Not a word of TLS.\r\n" * 10)
            assert control.reply() == "522 Data connection TLS negotiation failed."
        goes_on(neighbour)
        with secure_data(control, "NLST") as data:
            assert b"big\r\n" in read_all(data)
        assert control.reply().startswith("226")


@pytest.mark.parametrize("command", ["RETR big", "STOR new"])
def test_a_data_connection_that_never_shakes_hands_gets_426(start_server, command):
    server = start_server(**certificates.settings(), stall_timeout=3)
    (server.root / "big").write_bytes(b"content")
    with secure_login(server) as control:
        with control.data():
            control.expect(command, "150")
            assert control.reply() == "426 Data connection broken, transfer aborted."
        with secure_data(control, "RETR big") as data:
            assert read_all(data) == b"content"
        assert control.reply().startswith("226")
    server.assert_nothing_leaked()


@pytest.mark.parametrize("command", ["RETR big", "STOR new"])
def test_a_data_connection_that_goes_in_its_handshake(server, command):
    with secure_login(server) as control:
        with control.data() as data:
            control.expect(command, "150")
            data.sendall(hello())
        assert control.reply()[:3] in ("426", "522")
        control.expect("NOOP", "200")


@pytest.mark.parametrize("command", ["RETR big", "STOR new"])
def test_abor(server, neighbour, command):
    with secure_login(server) as control:
        for _ in range(3):
            with secure_data(control, command) as data:
                if command == "RETR big":
                    data.recv(1000)
                else:
                    data.sendall(b"content")
                assert control("ABOR") == "426 Transfer aborted."
                assert control.reply() == "226 Abort successful."
        control.expect("NOOP", "200")
    goes_on(neighbour)


# -- clients that go away


def after_auth(server):
    control = server.connect()
    control.reply()
    control.expect("AUTH TLS", "234")
    return control, None


def in_the_handshake(server):
    control, _ = after_auth(server)
    control.send(hello())
    return control, None


def after_the_handshake(server):
    control, _ = after_auth(server)
    control.secure(certificates.client())
    return control, None


def after_login(server):
    return secure_login(server), None


def before_the_data_handshake(server):
    control = secure_login(server)
    data = control.data()
    control.expect("RETR big", "150")
    return control, data


def in_the_middle_of_retr(server):
    control = secure_login(server)
    data = secure_data(control, "RETR big")
    data.recv(1000)
    return control, data


def in_the_middle_of_stor(server):
    control = secure_login(server)
    data = secure_data(control, "STOR new")
    data.sendall(b"x" * 100_000)
    return control, data


MOMENTS = [
    after_auth,
    in_the_handshake,
    after_the_handshake,
    after_login,
    before_the_data_handshake,
    in_the_middle_of_retr,
    in_the_middle_of_stor,
]


@pytest.mark.parametrize("how", ["closes", "breaks"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_client_that_goes(server, moment, how):
    control, data = moment(server)
    for connection in (control.socket, data):
        if connection and how == "breaks":
            reset(connection)
        elif connection:
            connection.close()


@pytest.mark.parametrize("moment", MOMENTS[-3:])
def test_a_client_whose_control_connection_breaks_while_its_data_connection_lives(server, moment):
    control, data = moment(server)
    control.reset()
    wait_until(lambda: not server.sessions(), server.describe)
    data.close()


def test_a_session_is_kicked_in_its_handshake(server):
    control, _ = in_the_handshake(server)
    with control, server.login() as other:
        # It has no name yet, and this is everybody's address.
        other.send(b"SITE KICK 127.0.0.1\r\n")
        read_all(control.socket)


def test_60_clients_come_and_go(start_server):
    server = start_server(**certificates.settings(), max_connections=100)
    with open(server.root / "big", "wb") as file:
        file.truncate(BIG)
    for index in range(60):
        control, data = MOMENTS[index % len(MOMENTS)](server)
        control.close()
        if data:
            data.close()
        wait_until(lambda: len(server.open_files()) < 30)
    server.assert_nothing_leaked()


# -- the constructor

CONSTRUCT = """\
from ftpdlite import FTPdLite
import sys

for arguments in {all}:
    try:
        FTPdLite(**arguments)
        print("made", "ftpdlite.tls" in sys.modules)
    except (TypeError, ValueError) as error:
        print(type(error).__name__, error)
"""


def construct(folder, *arguments, before=""):
    """Makes a server with each of these; gives the results."""
    code, output = run_micropython(folder, before + CONSTRUCT.replace("{all}", repr(arguments)))
    assert code == 0, output
    return output.splitlines()


def test_arguments_that_cannot_be_are_named(tmp_path):
    certificate, key = map(str, certificates.make())
    (tmp_path / "text").write_text("-----BEGIN NOTHING-----\n-----END NOTHING-----\n")
    text = str(tmp_path / "text")
    found = construct(
        tmp_path,
        {},
        {"tls": "required", "certificate": certificate, "key": key},
        {"tls": "on"},
        {"tls": None},
        {"tls": True},
        {"tls": "optional"},
        {"tls": "optional", "certificate": certificate},
        {"tls": "optional", "certificate": "/nowhere/at/all", "key": key},
        {"tls": "optional", "certificate": certificate, "key": 5},
        {"tls": "optional", "certificate": text, "key": key},
        {"tls": "optional", "certificate": certificate, "key": text},
        {"tls": "optional", "certificate": b"nonsense", "key": key},
        {"tls": "optional", "certificate": certificate, "key": b"nonsense"},
        {"tls": "optional", "certificate": certificate, "key": certificate},
        {"tls": "optional", "certificate": certificate, "key": key, "private_data": "no"},
        {"handshake_timeout": -1},
    )
    assert found[:2] == ["made False", "made True"]
    assert found[2:5] == ['ValueError tls must be "off", "optional" or "required"'] * 3
    wanted = ["TypeError certificate", "TypeError key", "ValueError certificate", "TypeError key", "ValueError certificate", "ValueError key"]
    wanted += ["ValueError certificate", "ValueError key", "ValueError key", "TypeError private_data", "ValueError handshake_timeout"]
    assert len(found) == 5 + len(wanted)
    for line, start in zip(found[5:], wanted):
        assert line.startswith(start + " "), found


WITHOUT_TLS = """\
import builtins
import ftpdlite

find = __import__


def without(name, globals=None, locals=None, names=None, level=0):
    if level:
        # Of this function's module, not of the one that imports: only the package does.
        name = "ftpdlite." + name if name else "ftpdlite"
    if name in ("tls", "ssl"):
        raise ImportError("no module named '%s'" % name)
    return find(name, None, None, names)


builtins.__import__ = without
"""


def test_a_firmware_without_ssl(tmp_path):
    certificate, key = map(str, certificates.make())
    found = construct(tmp_path, {}, {"tls": "optional", "certificate": certificate, "key": key}, before=WITHOUT_TLS)
    assert found == ["made False", "ValueError tls must be \"off\": this firmware has no ssl module"]
