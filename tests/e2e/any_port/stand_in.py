# What the stand-ins for the sockets of other ports share: poll of the Unix port's sockets beneath them, addresses, and what follows from readinto and write.
import io
import select

import usocket

AF_INET = 2
SOCK_STREAM = 1

EAGAIN = 11

POLLIN = 1
POLLOUT = 4
POLLERR = 8
POLLHUP = 16
POLLNVAL = 32
STREAM_POLL = 3
STREAM_CLOSE = 4


def polled(real, flags):
    """What poll says of a socket of the system."""
    poll = select.poll()
    poll.register(real, flags)
    for _, events in poll.poll(0):
        return events
    return 0


def sockaddr(address):
    """The system's form of an address, a tuple of a text and a port."""
    host, port = address
    assert isinstance(host, str) and isinstance(port, int), address
    return usocket.getaddrinfo(host or "0.0.0.0", port, AF_INET, SOCK_STREAM)[0][-1]


def endpoint(address):
    """The tuple for an address in the system's form."""
    address = usocket.sockaddr(address)
    return usocket.inet_ntop(address[0], address[1]), address[2]


class Stream(io.IOBase):
    """A socket with time-outs. Its readinto and write give a count, None where there is nothing to be done now, or the number of an error below zero."""

    def setblocking(self, flag):
        self.timeout = None if flag else 0

    def settimeout(self, seconds):
        self.timeout = seconds

    def send(self, data):
        return _count(self.write(data))

    def recv(self, size):
        buffer = bytearray(size)
        return bytes(buffer[: _count(self.readinto(buffer))])


def _count(count):
    if count is None or count < 0:
        raise OSError(EAGAIN if count is None else -count)
    return count
