# select, which the port lacks: a poll of streams that asks each one, and when none is ready lets host.py have its turn.
import host

POLLIN = 1
POLLOUT = 4
_MP_STREAM_POLL = 3


class poll:
    def __init__(self):
        self._streams = {}

    def register(self, stream, flags):
        self._streams[id(stream)] = (stream, flags)

    modify = register

    def unregister(self, stream):
        del self._streams[id(stream)]

    def ipoll(self, dt):
        host.poll()
        ready = self._ready()
        if not ready and dt:
            host.turn(dt)
            ready = self._ready()
        return ready

    def _ready(self):
        found = []
        for stream, flags in self._streams.values():
            # A session has no ioctl for Python. It would ask its control connection.
            flags = (stream.sock if hasattr(stream, "sock") else stream).ioctl(_MP_STREAM_POLL, flags)
            if flags:
                found.append((stream, flags))
        return found
