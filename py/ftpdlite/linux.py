# What Linux knows: the address that a client reached, and which processes run. Only the Unix port loads this; boards do not need it.
import sys

# The files in which Linux lists its connections, and how an IPv4 address begins there.
_TABLES = (("/proc/net/tcp", b""), ("/proc/net/tcp6", b"0000000000000000FFFF0000"))


def process():
    """The number of this process; 0 when it is not known."""
    try:
        with open("/proc/self/stat") as stat:
            return int(stat.read(16).split()[0])
    except (OSError, ValueError):
        return 0


def local_address(own_port, peer, port):
    """The local IPv4 address of the connection of a client to own_port; "" when there is none, or when it is IPv6.

    peer, port: the client's.
    """
    try:
        # Linux prints an address as a number of the machine, in hexadecimal.
        number = int.from_bytes(bytes([int(part) for part in peer.split(".")]), sys.byteorder)
        for name, before in _TABLES:
            remote = b"%s%08X:%04X" % (before, number, port)
            own = b":%04X" % own_port
            with open(name, "rb") as connections:
                for line in connections:
                    fields = line.split()
                    if fields[2] == remote and fields[1].endswith(own):
                        local = int(fields[1].split(b":")[0][len(before) :], 16)
                        return ".".join([str(part) for part in local.to_bytes(4, sys.byteorder)])
    except (OSError, ValueError):
        pass
    return ""
