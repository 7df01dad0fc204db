"""The tap that the board's Ethernet ends in. It is made in a network namespace of one's own, as `unshare --net` gives it.

As a program it only tries whether that can be done here.
"""

import fcntl
import os
import socket
import struct

NAME = "board0"
# The board, and this side of the tap.
BOARD = "192.168.77.2"
HOST = "192.168.77.1"

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 2, 0x1000
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891C
IFF_UP = 1


def make():
    """Makes the tap and gives its file descriptor, which the emulator takes over. The tap goes when that is closed."""
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


if __name__ == "__main__":
    make()
