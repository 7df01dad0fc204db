# Whether the firmware ends TLS with a close_notify: a handshake with ourselves, in memory. Loaded when a server with TLS starts, and let go afterwards.
import gc
import io
import tls
from asyncio import sleep_ms

from .tasks import _say


class _End(io.IOBase):
    # An end of a connection in memory.

    def __init__(self):
        self.came = b""

    def readinto(self, buffer):
        count = min(len(buffer), len(self.came))
        if not count:
            return None
        buffer[:count] = self.came[:count]
        self.came = self.came[count:]
        return count

    def write(self, data):
        self.other.came += bytes(data)
        return len(data)

    def ioctl(self, request, argument):
        return 0


async def look(server):
    """Finds out, for `native.Server`, whether a client is told nothing when a TLS connection ends."""
    if await _is_abrupt(server._tls):
        server._tls.flag |= 128
        if server.private_data:
            _say(server, "WARNING: This firmware cannot end TLS as FileZilla wants it: its files go in clear.")


async def _is_abrupt(server):
    # Also when there is no memory to find out.
    near, far = _End(), _End()
    near.other, far.other = far, near
    opened = []
    try:
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        context.verify_mode = tls.CERT_NONE
        ours = server.wrap(near)
        opened.append(ours)
        theirs = context.wrap_socket(far, server_side=False, do_handshake_on_connect=False)
        opened.append(theirs)
        # Each takes its turn until the handshake is over, and others have theirs in between.
        for _ in range(20):
            if theirs.write(b"a") and ours.read(1):
                break
            ours.read(1)
            await sleep_ms(0)
        else:
            return True
        # What was sent after the handshake.
        while theirs.read(1):
            pass
        ours.close()
        return not far.came
    except (OSError, ValueError, MemoryError):
        return True
    finally:
        for stream in opened:
            stream.close()
        opened = near = far = None
        gc.collect()
