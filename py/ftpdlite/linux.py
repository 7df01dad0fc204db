# The address that a client reached, where the system is Linux: only the Unix port loads this, and boards need not have it.
import sys


def local_address(peer, port):
    # The local IPv4 address of the connection with peer; "" when there is none. Linux prints an address as a number of the machine, in hexadecimal.
    number = int.from_bytes(bytes([int(part) for part in peer.split(".")]), sys.byteorder)
    remote = b"%08X:%04X" % (number, port)
    try:
        with open("/proc/net/tcp", "rb") as connections:
            for line in connections:
                fields = line.split()
                if fields[2] == remote:
                    return ".".join([str(part) for part in int(fields[1][:8], 16).to_bytes(4, sys.byteorder)])
    except OSError:
        pass
    return ""
