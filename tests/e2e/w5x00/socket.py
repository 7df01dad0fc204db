# socket as a firmware without lwIP has it on a W5x00: what the chip's own TCP offers, over the sockets of the Unix port. Eight sockets, listeners included, none
# of which takes an option or can be told not to block; a listener is one connection, which becomes what accept() gives. What is not there is not here. It
# prints how many of the chip's sockets are taken whenever that changes.
import io

import usocket
from stand_in import AF_INET, POLLHUP, POLLIN, POLLNVAL, POLLOUT, SOCK_STREAM, STREAM_CLOSE, STREAM_POLL, endpoint, polled, sockaddr

AF_INET6 = 10
SOL_SOCKET = 0xFFF
SO_REUSEADDR = 4
SO_BROADCAST = 32
SO_KEEPALIVE = 8

SOCKETS = 8

EINVAL = 22
EMFILE = 24
EAFNOSUPPORT = 97
ENOTCONN = 107
# The driver's own numbers, which nobody translates: of a socket that is in the wrong state.
WRONG_STATE = 7


_taken = 0


def getaddrinfo(host, port, *_):
    usocket.getaddrinfo(host, port, AF_INET, SOCK_STREAM)
    return [(AF_INET, SOCK_STREAM, 0, "", (host, port))]


class socket(io.IOBase):
    def __init__(self, family=AF_INET, kind=SOCK_STREAM, protocol=0):
        self.family = family
        # The socket of the system that stands for one of the chip's; the chip's is taken when there is something to do with it.
        self.real = None
        self.closed = False
        self.listens = False

    def _take(self):
        global _taken
        if self.real:
            return
        if self.family != AF_INET:
            raise OSError(EAFNOSUPPORT)
        if _taken >= SOCKETS:
            raise OSError(EMFILE)
        self.real = usocket.socket()
        self.real.setsockopt(1, 2, 1)
        _taken += 1
        print("-- sockets: %d" % _taken)

    def setsockopt(self, level, option, value):
        self._take()
        raise OSError(EINVAL)

    def settimeout(self, seconds):
        raise OSError(EINVAL if self.real else ENOTCONN)

    def setblocking(self, flag):
        self.settimeout(None)

    def bind(self, address):
        self._take()
        self.address = address
        self.real.bind(sockaddr(address))

    def listen(self, backlog=2):
        if not self.real:
            raise OSError(ENOTCONN)
        # Whatever the backlog is.
        self.real.listen(1)
        self.listens = True

    def accept(self):
        if not self.real:
            raise OSError(EINVAL)
        accepted = socket()
        accepted.real, peer = self.real.accept()
        # The chip's socket goes to the connection, and the listener gets another, if there is one.
        self.real.close()
        self.real = None
        try:
            self.bind(self.address)
            self.listen()
        except OSError:
            pass
        return accepted, (endpoint(peer)[0], self.address[1])

    def connect(self, address):
        self._take()
        self.real.connect(sockaddr(address))

    def readinto(self, buffer):
        if not self.real or self.listens:
            return -WRONG_STATE
        return self.real.readinto(buffer)

    def write(self, data):
        if not self.real or self.listens:
            return -WRONG_STATE
        return self.real.write(data)

    def ioctl(self, request, argument):
        if request == STREAM_CLOSE:
            self.close()
            return 0
        if request != STREAM_POLL:
            return -EINVAL
        if not self.real:
            return POLLNVAL if self.closed else POLLHUP | POLLOUT
        # What tells of a connection is what it has received: of a listener nothing is ever told.
        if self.listens:
            return 0
        return polled(self.real, argument) & argument & (POLLIN | POLLOUT)

    def close(self):
        global _taken
        if self.real:
            self.real.close()
            self.real = None
            _taken -= 1
            print("-- sockets: %d" % _taken)
        self.closed = True
