"""The tap at the other end of the board's Ethernet. It needs a network namespace of its own, such as `unshare --net` makes.

As a program without arguments it only tries whether a tap can be made here. With arguments it is the slow link between the tap and the board.
"""

import contextlib
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time

NAME = "board0"
# The board, and this side of the tap.
BOARD = "192.168.77.2"
HOST = "192.168.77.1"

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 2, 0x1000
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891C
IFF_UP = 1


def make():
    """Makes the tap and returns its file descriptor for the emulator. The tap is gone when this is closed."""
    outside = [name for _, name in socket.if_nameindex() if name not in ("lo", "tunl0", "sit0", "ip6tnl0")]
    if any(name.startswith(("eth", "en", "wl")) for name in outside):
        raise OSError("this is no network namespace of one's own: it has " + " ".join(outside))
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", NAME.encode(), IFF_TAP | IFF_NO_PI))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        for request, address in (SIOCSIFADDR, HOST), (SIOCSIFNETMASK, "255.255.255.0"):
            packed = struct.pack("16sHH4s8x", NAME.encode(), socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(asker, request, packed + bytes(8))
        for name in "lo", NAME:
            request = struct.pack("16sH22x", name.encode(), 0)
            (flags,) = struct.unpack_from("H", fcntl.ioctl(asker, SIOCGIFFLAGS, request), 16)
            fcntl.ioctl(asker, SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), flags | IFF_UP))
    return tap


# A link like Wi-Fi: milliseconds of delay each way, bits a second that both ways share, and the part of the frames that is lost.
WIFI = 5, 8_000_000, 0.01
# The same, but of each connection the segment with each 80,000th byte is lost, once. So two transfers of the same bytes lose the same.
EVEN = 5, 8_000_000, 80_000
# How many frames may wait, each way. Others are lost.
QUEUE = 100


def slow_down(tap, link):
    """Starts a process that carries frames between the tap and the board. Returns the board's end and the process. At the
    board's end each frame follows its length, as QEMU's "socket" network wants it."""
    near, far = socket.socketpair()
    words = [sys.executable, os.path.abspath(__file__), tap, far.fileno(), *link]
    process = subprocess.Popen([str(word) for word in words], pass_fds=[tap, far.fileno()])
    far.close()
    os.close(tap)
    return near.detach(), process


class Marks:
    """Says which frames are lost: the segment with each `distance`-th byte of a connection, the first time that it comes."""

    def __init__(self, distance):
        self.distance = distance
        # For each connection, one way: the number of its first byte, and the bytes that were lost.
        self.firsts = {}
        self.lost = set()

    def takes(self, frame):
        """Whether this frame is lost."""
        if frame[12:14] != b"\x08\x00" or frame[23] != 6:
            return False
        tcp = 14 + (frame[14] & 15) * 4
        connection = frame[26:34] + frame[tcp : tcp + 4]
        (number,) = struct.unpack_from(">I", frame, tcp + 4)
        if frame[tcp + 13] & 2:
            self.firsts[connection] = number + 1
            return False
        start = number - self.firsts.get(connection, number) & 0xFFFFFFFF
        end = start + int.from_bytes(frame[16:18], "big") + 14 - tcp - (frame[tcp + 12] >> 4) * 4
        mark = end // self.distance * self.distance
        if not start < mark < end or (connection, mark) in self.lost:
            return False
        self.lost.add((connection, mark))
        return True


def carry(tap, far, delay, rate, loss):
    """Carries frames until the board is switched off."""
    board = socket.socket(fileno=far)
    # When the same frames are sent, the same frames are lost in each run.
    chance = random.Random(1)
    marks = Marks(int(loss)) if loss > 1 else None
    waiting = []
    queued = {"to board": 0, "to host": 0}
    free_at = 0.0
    received = b""
    while True:
        pause = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select([tap, board], [], [], pause)
        arrived = []
        if tap in ready:
            arrived.append(("to board", os.read(tap, 65536)))
        if board in ready:
            data = board.recv(65536)
            if not data:
                return
            received += data
            while len(received) >= 4 and len(received) >= 4 + (size := int.from_bytes(received[:4], "big")):
                arrived.append(("to host", received[4 : 4 + size]))
                received = received[4 + size :]
        now = time.monotonic()
        for way, frame in arrived:
            if queued[way] < QUEUE:
                free_at = max(free_at, now) + len(frame) * 8 / rate
                if not marks.takes(frame) if marks else chance.random() >= loss:
                    queued[way] += 1
                    heapq.heappush(waiting, (free_at + delay / 1000, way, frame))
        while waiting and waiting[0][0] <= now:
            _, way, frame = heapq.heappop(waiting)
            queued[way] -= 1
            if way == "to host":
                os.write(tap, frame)
            else:
                board.sendall(len(frame).to_bytes(4, "big") + frame)


if __name__ == "__main__":
    if sys.argv[1:]:
        tap, far, *link = sys.argv[1:]
        # The board may be switched off at any time.
        with contextlib.suppress(ConnectionError):
            carry(int(tap), int(far), *map(float, link))
    else:
        make()
