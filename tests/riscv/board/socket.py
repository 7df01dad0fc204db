# socket, which the port lacks: a network in memory whose other end is the testing program's, told through host.py. Streams may be
# rough: they move few bytes at a time and say that they would block while poll says that they are ready.
import io

AF_INET = 2
SOCK_STREAM = 1
SOL_SOCKET = 1
SO_REUSEADDR = 2

_EAGAIN = 11
_EBADF = 9
_EADDRINUSE = 98
_ECONNRESET = 104
_EISCONN = 106
_ECONNREFUSED = 111
_EINPROGRESS = 115
_POLLIN = 1
_POLLOUT = 4
_POLLERR = 8
_MP_STREAM_POLL = 3
_MP_STREAM_CLOSE = 4

# How many bytes may wait for the program.
_WINDOW = 8192

# What moves at a time at most, and every which call would block; 0 is without limit and never.
chunk = 0
block = 0
calls = 0
blocked = 0

# Those that listen, and the ports where the program does, with what connected there.
_listeners = {}
_expected = {}
# The program's connections, by number.
_connections = {}


def limit(size):
    """How many of so many bytes move now; None when it would block."""
    global calls, blocked
    calls += 1
    if block and calls % block == 0:
        blocked += 1
        return None
    return min(size, chunk) if chunk else size


def getaddrinfo(host, port, *_):
    return [(AF_INET, SOCK_STREAM, 0, "", (host, port))]


class socket(io.IOBase):
    def __init__(self, *_):
        self.waiting = None
        self.address = self.peer = None
        self.closed = False
        self.error = 0

    def _join(self):
        # What has come for the server and is not read, and whether that is all; what the server wrote.
        self.incoming = bytearray()
        self.at = 0
        self.ended = False
        self.outgoing = bytearray()
        number = len(_connections) + 1
        _connections[number] = self
        self.peer = number
        return number

    def setsockopt(self, *_):
        pass

    def setblocking(self, _):
        pass

    def bind(self, address):
        if address[1] in _listeners:
            raise OSError(_EADDRINUSE)
        self.address = address

    def listen(self, _):
        self.waiting = []
        _listeners[self.address[1]] = self

    def accept(self):
        if self.closed:
            raise OSError(_EBADF)
        if not self.waiting:
            raise OSError(_EAGAIN)
        return self.waiting.pop(0), ("127.0.0.1", 50000)

    def connect(self, address):
        if self.error:
            raise OSError(self.error)
        if self.peer:
            raise OSError(_EISCONN)
        arrived = _expected.get(address[1])
        if arrived is None:
            self.error = _ECONNREFUSED
        else:
            arrived.append(self._join())
        raise OSError(_EINPROGRESS)

    def readinto(self, buffer):
        if self.closed:
            return -_EBADF
        if self.error:
            return -self.error
        size = min(len(buffer), len(self.incoming) - self.at)
        if not size:
            return 0 if self.ended else None
        size = limit(size)
        if size:
            buffer[:size] = memoryview(self.incoming)[self.at : self.at + size]
            self.at += size
        return size

    def write(self, data):
        if self.closed:
            return -_EBADF
        if self.error:
            return -self.error
        size = min(len(data), _WINDOW - len(self.outgoing))
        if not size:
            return None
        size = limit(size)
        if size:
            self.outgoing.extend(memoryview(data)[:size])
        return size

    def ioctl(self, request, argument):
        if request == _MP_STREAM_CLOSE:
            self.close()
            return 0
        if request != _MP_STREAM_POLL:
            return -22
        if self.waiting is not None:
            return argument & _POLLIN if self.waiting else 0
        if self.error:
            return argument | _POLLERR
        flags = 0
        if self.peer:
            if self.ended or self.at < len(self.incoming):
                flags = _POLLIN
            if len(self.outgoing) < _WINDOW:
                flags |= _POLLOUT
        return flags & argument

    def close(self):
        if self.waiting is not None and not self.closed:
            del _listeners[self.address[1]]
            # Connections that were not accepted are cut off.
            for end in self.waiting:
                end.error = _ECONNRESET
                end.closed = True
        self.closed = True


# -- the program's end


def dial(port):
    """Connects; the number of the connection, None when that is refused."""
    listener = _listeners.get(port)
    if listener:
        end = socket()
        listener.waiting.append(end)
        return end._join()


def expect(port):
    """Listens."""
    _expected[port] = []


def arrived(port):
    """The numbers of the connections that were made there."""
    return _expected[port]


def forget(port):
    """Listens no longer."""
    del _expected[port]


def put(number, data):
    """Sends."""
    end = _connections[number]
    if end.at == len(end.incoming):
        end.incoming = bytearray()
        end.at = 0
    end.incoming.extend(data)


def take(number):
    """What came, and whether that is all."""
    end = _connections[number]
    data = bytes(end.outgoing)
    end.outgoing = bytearray()
    return data, end.closed or bool(end.error)


def end(number):
    """Sends no more."""
    _connections[number].ended = True


def reset(number):
    """Breaks the connection."""
    _connections[number].error = _ECONNRESET


def lost():
    """How many of the server's sockets are open; the network is empty after that."""
    count = sum(not end.closed for end in _connections.values()) + len(_listeners)
    _connections.clear()
    _listeners.clear()
    _expected.clear()
    return count
