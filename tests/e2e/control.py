"""A client's side of a control connection, byte by byte: for what no client library would send."""

import socket

# Seconds that any single read or write may take.
PATIENCE = 20


class Control:
    """A control connection to `host`. As a context manager it closes at the end, without QUIT."""

    def __init__(self, host, port, source=None, receive_buffer=None):
        self.host = host
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Hangs up."""
        self.socket.close()

    def reset(self):
        """Breaks the connection, as a client whose machine lost its network."""
        reset(self.socket)

    def send(self, data):
        """Sends bytes as they are."""
        self.socket.sendall(data)

    def line(self):
        """The next line, without its CRLF, as bytes; None when the server has closed the connection."""
        while b"\n" not in self.received:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                assert not self.received, f"the connection closed in the middle of a line: {self.received}"
                return None
            self.received += data
        line, self.received = self.received.split(b"\n", 1)
        assert line.endswith(b"\r"), f"a line does not end in CRLF: {line}"
        return line[:-1]

    def reply(self):
        """The next reply (RFC 959 4.2), its lines with newlines between; "" when the server has closed the connection."""
        first = self.line()
        if first is None:
            return ""
        lines = [first]
        if first[3:4] == b"-":
            while not lines[-1].startswith(first[:3] + b" "):
                line = self.line()
                assert line is not None, f"the connection closed in the middle of a reply: {lines}"
                lines.append(line)
        return b"\n".join(lines).decode(errors="surrogateescape")

    def __call__(self, command):
        """Sends a command and gives the reply."""
        self.send(command.encode(errors="surrogateescape") + b"\r\n")
        return self.reply()

    def expect(self, command, reply):
        """Sends a command whose reply must begin so."""
        got = self(command)
        assert got.startswith(reply), f"{command}: {got}"
        return got

    def login(self, user="tester", password="secret"):
        """Takes the greeting and logs in."""
        greeting = self.reply()
        assert greeting.startswith("220 "), greeting
        return self.authenticate(user, password)

    def authenticate(self, user="tester", password="secret"):
        """Logs in."""
        self.expect(f"USER {user}", "331")
        self.expect(f"PASS {password}", "230")
        self.expect("TYPE I", "200")
        return self

    def secure(self, context):
        """Goes on through TLS."""
        assert not self.received, f"more came in clear: {self.received}"
        self.socket = context.wrap_socket(self.socket, server_hostname=self.host)

    def login_securely(self, context, account="tester:secret"):
        """AUTH TLS, PROT P and the login, with the greeting before."""
        assert self.reply().startswith("220 ")
        self.expect("AUTH TLS", "234")
        self.secure(context)
        self.expect("PBSZ 0", "200")
        self.expect("PROT P", "200")
        return self.authenticate(*account.split(":", 1))

    def data(self, source=None, receive_buffer=None):
        """A data connection, made with EPSV."""
        port = int(self.expect("EPSV", "229").split("|")[3])
        return data_connection(self.host, port, source, receive_buffer)

    def retrieve(self, command):
        """Runs a command that downloads; gives the bytes."""
        with self.data() as data:
            self.expect(command, "150")
            content = read_all(data)
        assert self.reply().startswith("226")
        return content

    def try_to_store(self, command, content=b"content"):
        """Runs a command that uploads, which may be refused. Gives the reply that ends it."""
        with self.data() as data:
            reply = self(command)
            if reply.startswith("150 "):
                data.sendall(content)
                data.close()
                reply = self.reply()
        return reply

    def store(self, command, content):
        """Runs a command that uploads."""
        with self.data() as data:
            self.expect(command, "150")
            data.sendall(content)
        reply = self.reply()
        assert reply.startswith("226"), reply


def data_connection(host, port, source=None, receive_buffer=None):
    """A connection to a passive port."""
    data = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    data.settimeout(PATIENCE)
    if receive_buffer:
        data.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if source:
        data.bind((source, 0))
    data.connect((host, port))
    return data


def read_freely(connection):
    """Lets as much come at once as the system likes. Through a small buffer it may let through a piece only every 0.2 s."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)


def read_all(data):
    """Reads a socket to its end."""
    read_freely(data)
    pieces = []
    while piece := data.recv(1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


def reset(connection):
    """Closes a socket with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
