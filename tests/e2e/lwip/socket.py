# socket as modlwip has it, over the sockets of the Unix port: few places, connections and data that come before accept() treated as there, addresses
# as tuples, its own numbers. What is not in modlwip is not here. It prints how many places are taken whenever that changes.
import time

import usocket
from stand_in import AF_INET, EAGAIN, POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, SOCK_STREAM, STREAM_CLOSE, STREAM_POLL, Stream, endpoint, polled, sockaddr

SOL_SOCKET = 1
SO_REUSEADDR = 4
SO_BROADCAST = 32
IPPROTO_IP = 0
IPPROTO_TCP = 6
TCP_NODELAY = 64

# TCP connections in all. Listeners are apart, but a socket needs a place until it listens.
PLACES = 5
# The option's number, for what looks at it here.
nodelay = TCP_NODELAY
# What one read or write moves at most: the window.
WINDOW = 6400
# Data that came before accept() is offered again by a timer.
AGAIN_MS = 250
# How long a connection that goes out is on its way.
DIAL_MS = 50
# How many times accept() finds no connection although one is there: its client's last frame is still on its way.
HANDSHAKE = 0
# When the server has written this, what the client does then happens before anything else does here: a board is slower than its clients.
SLOW_AFTER = b"150 "
SLOW_MS = 60

EBADF = 9
ENOMEM = 12
EINVAL = 22
ECONNRESET = 104
# These depend on the port: those of MicroPython, or those of newlib (`newlib()`).
EISCONN = 106
EALREADY = 114
EINPROGRESS = 115

_POLLRDHUP = 0x2000
_MSG_PEEK = 2

_NEW = 0
_LISTENING = 1
_CONNECTING = 2
_CONNECTED = 3
_BROKEN = 4
_CLOSED = 5

_listeners = []
# Sockets that have a place, and connections that nobody can reach any more.
_taken = []
_lost = []
_told = None


def newlib():
    """The numbers of errors that ports have which take newlib's."""
    global EISCONN, EALREADY, EINPROGRESS
    EISCONN = 127
    EALREADY = 120
    EINPROGRESS = 119


def _count():
    return len(_taken) + len(_lost) + sum([len(listener.waiting) for listener in _listeners])


def _tell():
    global _told
    now = _count(), len(_lost)
    if now != _told:
        _told = now
        print("-- places: %d taken, %d lost" % now)


def _reset(real):
    real.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
    real.close()


def _work():
    # What goes on behind the program's back: connections come, and get a place.
    for listener in _listeners:
        for entry in list(listener.waiting):
            if polled(entry[0], 0) & POLLERR:
                # Broken off, and so its place is free.
                entry[0].close()
                listener.waiting.remove(entry)
        while _count() < PLACES:
            try:
                real, address = listener.real.accept()
            except OSError:
                break
            real.setblocking(False)
            if len(listener.waiting) < max(listener.backlog, 1):
                listener.waiting.append((real, address))
            else:
                _reset(real)
    _tell()


def getaddrinfo(host, port, *_):
    address = usocket.getaddrinfo(host, port, AF_INET, SOCK_STREAM)[0][-1]
    return [(AF_INET, SOCK_STREAM, 0, "", endpoint(address))]


class socket(Stream):
    def __init__(self, family=AF_INET, kind=SOCK_STREAM, protocol=0, real=None):
        if family != AF_INET or kind != SOCK_STREAM:
            raise OSError(EINVAL)
        self.timeout = None
        self.nodelay = False
        # Whether the end of the stream came too early, and when data that came too early comes again.
        self.deaf = False
        self.late = None
        self.moved = 0
        self.waiting = []
        if real:
            self.state = _CONNECTED
        else:
            _work()
            if _count() >= PLACES:
                raise OSError(ENOMEM)
            self.state = _NEW
            real = usocket.socket()
            real.setblocking(False)
        self.real = real
        _taken.append(self)
        _tell()

    def setsockopt(self, level, option, value):
        # modlwip looks at the option alone.
        if option == nodelay:
            self.nodelay = bool(value)
        elif option == SO_REUSEADDR:
            self.real.setsockopt(1, 2, value)
        elif option not in (SO_BROADCAST, 20):
            print("Warning: lwip.setsockopt() not implemented")

    def bind(self, address):
        self.real.bind(sockaddr(address))

    def listen(self, backlog=2):
        self.real.listen(8)
        self.backlog = backlog
        self.state = _LISTENING
        self.handshake = HANDSHAKE
        _taken.remove(self)
        _listeners.append(self)
        _work()

    def accept(self):
        if self.state == _CLOSED:
            raise OSError(EBADF)
        if self.state != _LISTENING:
            raise OSError(EINVAL)
        _work()
        while not self.waiting:
            if self.timeout == 0:
                raise OSError(EAGAIN)
            time.sleep_ms(5)
            _work()
        if self.handshake:
            self.handshake -= 1
            raise OSError(EAGAIN)
        real, address = self.waiting.pop(0)
        accepted = socket(real=real)
        accepted.timeout = self.timeout
        try:
            if real.recv(1, _MSG_PEEK):
                accepted.late = time.ticks_add(time.ticks_ms(), AGAIN_MS)
            else:
                accepted.deaf = True
        except OSError:
            pass
        return accepted, endpoint(address)

    def connect(self, address):
        self._look()
        # The stack has nothing any more of one that could not be made.
        if self.state in (_CLOSED, _BROKEN):
            raise OSError(EBADF)
        if self.state == _CONNECTED and not polled(self.real, _POLLRDHUP):
            raise OSError(EISCONN)
        # Also of one whose other end has closed its half.
        if self.state != _NEW:
            raise OSError(EALREADY)
        self.address = sockaddr(address)
        self.state = _CONNECTING
        self.arrives = time.ticks_add(time.ticks_ms(), DIAL_MS)
        try:
            self.real.connect(self.address)
        except OSError:
            pass
        while self.timeout != 0 and self.state == _CONNECTING:
            time.sleep_ms(5)
            self._look()
        if self.state == _CONNECTING:
            raise OSError(EINPROGRESS)
        if self.state == _BROKEN:
            raise OSError(ECONNRESET)

    def _look(self):
        # Whether a connection that goes out has come to something.
        if self.state != _CONNECTING or time.ticks_diff(self.arrives, time.ticks_ms()) > 0:
            return
        events = polled(self.real, POLLOUT)
        if events & (POLLERR | POLLHUP):
            self._break()
        elif events:
            self.state = _CONNECTED

    def _break(self):
        # The stack forgets a connection that the other side broke.
        self.state = _BROKEN
        if self in _taken:
            _taken.remove(self)
            _tell()

    def _is_late(self):
        if self.late is not None and time.ticks_diff(self.late, time.ticks_ms()) <= 0:
            self.late = None
        return self.late is not None

    def _error(self):
        # The number of what is wrong; 0 for nothing.
        self._look()
        if self.state == _CLOSED:
            return EBADF
        if self.state == _BROKEN:
            return ECONNRESET
        return 0

    def _wait(self, flags):
        while not self.ioctl(STREAM_POLL, flags):
            time.sleep_ms(5)

    def readinto(self, buffer):
        if self.timeout != 0:
            self._wait(POLLIN)
        error = self._error()
        if error:
            return -error
        if self.state != _CONNECTED or self._is_late():
            return None
        try:
            count = self.real.readinto(memoryview(buffer)[:WINDOW])
        except OSError:
            self._break()
            return -ECONNRESET
        if count == 0 and self.deaf:
            return None
        self.moved += count or 0
        return count

    def write(self, data):
        if self.timeout != 0:
            self._wait(POLLOUT)
        error = self._error()
        if error:
            return -error
        if self.state != _CONNECTED:
            return None
        data = memoryview(data)[:WINDOW]
        try:
            count = self.real.send(data)
        except OSError as failure:
            if failure.errno == EAGAIN:
                return None
            self._break()
            return -ECONNRESET
        self.moved += count
        if bytes(data[: len(SLOW_AFTER)]) == SLOW_AFTER:
            time.sleep_ms(SLOW_MS)
        return count

    def ioctl(self, request, argument):
        if request == STREAM_CLOSE:
            self.close()
            return 0
        if request != STREAM_POLL:
            return -EINVAL
        _work()
        self._look()
        if self.state == _LISTENING:
            return argument & POLLIN if self.waiting else 0
        if self.state == _NEW:
            return argument & POLLOUT | POLLHUP
        if self.state == _CONNECTING:
            return 0
        if self.state == _CLOSED:
            return POLLNVAL
        if self.state == _BROKEN:
            return argument & (POLLIN | POLLOUT) | POLLERR | POLLHUP
        events = polled(self.real, argument)
        if events & POLLERR:
            self._break()
            return argument & (POLLIN | POLLOUT) | POLLERR | POLLHUP
        events &= argument
        if self.deaf or self._is_late():
            # What can be read is what the program is not told of, or not yet.
            events &= ~POLLIN
        return events

    def close(self):
        if self.state == _CLOSED:
            return
        if self.state == _LISTENING:
            _work()
            _listeners.remove(self)
            for real, _ in self.waiting:
                if self.backlog < 2:
                    _lost.append(real)
                else:
                    _reset(real)
            self.waiting = []
        elif self in _taken:
            _taken.remove(self)
        if self.moved and not self.nodelay:
            print("-- a connection without TCP_NODELAY")
        self.state = _CLOSED
        self.real.close()
        _tell()
