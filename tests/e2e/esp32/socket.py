# socket as the ESP32 port has it, over the sockets of the Unix port: lwIP's BSD sockets, in another thread. Ten of them, listeners included; newlib's numbers
# of errors; addresses as tuples, of IPv4 alone; its own numbers of options. docs/ports.md says where it differs. What is not there is not here. It prints how
# many sockets are open whenever that changes.
import gc
import time

import usocket
from stand_in import AF_INET, EAGAIN, POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, SOCK_STREAM, STREAM_CLOSE, STREAM_POLL, Stream, endpoint, polled, sockaddr

AF_INET6 = 10
SOL_SOCKET = 0xFFF
SO_REUSEADDR = 4
SO_BROADCAST = 32
SO_BINDTODEVICE = 0x100B
IPPROTO_IP = 0
IPPROTO_TCP = 6
TCP_NODELAY = 1
MSG_PEEK = 1

SOCKETS = 10
# What one write takes at most, and one read gives: the send buffer and the window.
BUFFER = 5760
# How long a connection that goes out is on its way.
DIAL_MS = 50

EBADF = 9
EINVAL = 22
ENFILE = 23
ECONNRESET = 104
EINPROGRESS = 119
EALREADY = 120
EISCONN = 127
ENOTCONN = 128


_NEW = 0
# Bound, or more than that.
_USED = 1
_LISTENING = 2
_CONNECTING = 3
_CONNECTED = 4
_BROKEN = 5
_CLOSED = 6

_open = 0


def _count(change):
    global _open
    _open += change
    print("-- sockets: %d" % _open)


def getaddrinfo(host, port, family=0, kind=0, protocol=0, flags=0):
    if ":" in host:
        # The port finds the address, and does not tell it.
        return [(AF_INET6, kind or SOCK_STREAM, protocol, host, None)]
    usocket.getaddrinfo(host, port, AF_INET, SOCK_STREAM)
    return [(AF_INET, kind or SOCK_STREAM, protocol, host, (host, port))]


class socket(Stream):
    def __init__(self, family=AF_INET, kind=SOCK_STREAM, protocol=0, real=None):
        assert (family, kind) == (AF_INET, SOCK_STREAM)
        self.state = _CONNECTED if real else _NEW
        if not real:
            if _open >= SOCKETS:
                gc.collect()
            if _open >= SOCKETS:
                raise OSError(ENFILE)
            real = usocket.socket()
        real.setblocking(False)
        self.real = real
        # None blocks, also what accept() gives.
        self.timeout = None
        self.ended = False
        self.pending = 0
        self.moved = 0
        self.nodelay = False
        _count(1)

    def setsockopt(self, level, option, value):
        # The option alone counts.
        if option == TCP_NODELAY:
            self.nodelay = bool(value)
        elif option == SO_REUSEADDR:
            self.real.setsockopt(1, 2, value)
        elif option not in (SO_BROADCAST, SO_BINDTODEVICE, 20):
            print("Warning: lwip.setsockopt() option not implemented")

    def bind(self, address):
        self.state = _USED
        self.real.bind(sockaddr(address))

    def listen(self, backlog=2):
        self.real.listen(max(backlog, 1))
        self.state = _LISTENING

    def accept(self):
        if self.state == _CLOSED:
            raise OSError(EBADF)
        if self.state != _LISTENING:
            raise OSError(EINVAL)
        self._wait(POLLIN)
        # EAGAIN when there is none.
        real, address = self.real.accept()
        if _open >= SOCKETS:
            # Only the client hears of it.
            real.close()
            raise OSError(ENFILE)
        if polled(real, 0) & POLLERR:
            # Broken off while it waited: its address is gone.
            real.close()
            raise OSError(ENOTCONN)
        return socket(real=real), endpoint(address)

    def connect(self, address):
        address = sockaddr(address)
        self._look()
        if self.state == _CLOSED:
            raise OSError(EBADF)
        if self.state == _CONNECTING:
            raise OSError(EALREADY)
        if self.state == _BROKEN:
            raise OSError(ENOTCONN)
        if self.state not in (_NEW, _USED):
            raise OSError(EISCONN)
        self.state = _CONNECTING
        self.arrives = time.ticks_add(time.ticks_ms(), DIAL_MS)
        try:
            self.real.connect(address)
        except OSError:
            pass
        if self.timeout == 0:
            raise OSError(EINPROGRESS)
        self._wait(POLLOUT)
        if self.state == _BROKEN:
            raise OSError(ECONNRESET)

    def _look(self):
        # Whether a connection that goes out has come to something.
        if self.state == _CONNECTING and time.ticks_diff(self.arrives, time.ticks_ms()) <= 0:
            events = polled(self.real, POLLOUT)
            if events & (POLLERR | POLLHUP):
                self._break()
            elif events:
                self.state = _CONNECTED

    def _break(self):
        # The stack forgets the connection, and reports its error once.
        self.state = _BROKEN
        self.pending = ECONNRESET

    def _failure(self):
        # The error that is reported once, or the reason why the call cannot work.
        self._look()
        number, self.pending = self.pending, 0
        return number or {_CLOSED: EBADF, _NEW: ENOTCONN}.get(self.state, 0)

    def _wait(self, flags):
        while self.timeout != 0 and not self.ioctl(STREAM_POLL, flags) & flags:
            time.sleep_ms(5)

    def readinto(self, buffer):
        self._wait(POLLIN)
        number = self._failure()
        if number:
            return -number
        if self.state == _BROKEN:
            return -ENOTCONN
        if self.ended:
            return 0
        if self.state != _CONNECTED:
            return None
        try:
            count = self.real.readinto(memoryview(buffer)[:BUFFER])
        except OSError:
            self._break()
            self.pending = 0
            return -ECONNRESET
        self.ended = count == 0
        self.moved += count or 0
        return count

    def write(self, data):
        self._wait(POLLOUT)
        number = self._failure()
        if number or self.state == _BROKEN:
            return -(number or ENOTCONN)
        if self.state != _CONNECTED:
            return None
        try:
            count = self.real.send(memoryview(data)[:BUFFER])
        except OSError as failure:
            if failure.errno == EAGAIN:
                return None
            self._break()
            self.pending = 0
            return -ECONNRESET
        self.moved += count
        return count

    def send(self, data):
        count = super().send(data)
        # Also where there was nothing to send.
        if not count:
            raise OSError(EAGAIN)
        return count

    def ioctl(self, request, argument):
        if request == STREAM_CLOSE:
            self.close()
            return 0
        if request != STREAM_POLL:
            return -EINVAL
        self._look()
        if self.state == _CLOSED:
            return POLLNVAL
        if self.state == _NEW:
            return argument & POLLOUT | POLLHUP
        if self.state in (_USED, _CONNECTING):
            return 0
        ready = argument & (POLLIN | POLLOUT)
        if self.state == _BROKEN:
            # No POLLERR, and POLLHUP only for those who ask.
            return ready | argument & POLLHUP
        events = polled(self.real, argument)
        if events & POLLERR:
            self._break()
            return ready | argument & POLLHUP
        return events & ready

    def close(self):
        if self.state == _CLOSED:
            return
        if self.moved and not self.nodelay:
            print("-- a connection without TCP_NODELAY")
        self.state = _CLOSED
        # With bytes that nobody has read it is broken off, as by Linux; what waits at a listener too.
        self.real.close()
        _count(-1)
