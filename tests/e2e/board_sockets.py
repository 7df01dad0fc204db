# Runs in MicroPython: sockets around those of the system. Their calls may fail, as those of a board's network do. A program imports this before the server, so the
# server gets these sockets. The client has the system's sockets.
import io
import select
import socket as usocket
import sys

# A Plan of board_rig.py, which says which call fails, or None.
plan = None
# How many are open.
opened = 0

_POLL, _CLOSE, _FILENO = 3, 4, 10


def _number(what):
    return plan.number(what) if plan else 0


def _call(what):
    number = _number(what)
    if number:
        raise OSError(number)


class socket(io.IOBase):
    def __init__(self, *arguments, real=None):
        global opened
        if not real:
            _call("socket")
            real = usocket.socket(*arguments)
        self.real = real
        opened += 1

    def close(self):
        global opened
        if self.real:
            real = self.real
            self.real = None
            opened -= 1
            # It is closed even if the call fails.
            real.close()
            _call("close")

    def accept(self):
        _call("accept")
        real, address = self.real.accept()
        return socket(real=real), address

    def setblocking(self, flag):
        self.real.setblocking(flag)

    def setsockopt(self, *arguments):
        _call("setsockopt")
        self.real.setsockopt(*arguments)

    def bind(self, address):
        _call("bind")
        self.real.bind(address)

    def listen(self, backlog):
        _call("listen")
        self.real.listen(backlog)

    def connect(self, address):
        _call("connect")
        self.real.connect(address)

    def send(self, data):
        _call("send")
        return self.real.send(data)

    # These return a negative errno, as streams in C do.

    def readinto(self, buffer):
        number = _number("read")
        try:
            return -number if number else self.real.readinto(buffer)
        except OSError as error:
            return -error.errno

    def write(self, data):
        number = _number("write")
        try:
            return -number if number else self.real.write(data)
        except OSError as error:
            return -error.errno

    def ioctl(self, request, argument):
        if request == _CLOSE:
            self.close()
        elif request == _FILENO:
            return self.real.fileno()
        elif request == _POLL:
            poll = select.poll()
            poll.register(self.real, argument)
            for _, events in poll.poll(0):
                return events
        return 0


class _Module:
    def __getattr__(self, name):
        return getattr(usocket, name)


_module = _Module()
_module.socket = socket
sys.modules["socket"] = _module


def let_go():
    """Modules that are imported from now on get the system's sockets."""
    sys.modules["socket"] = usocket
