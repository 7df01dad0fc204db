# The address that PASV tells. Sockets do not know it, so the network interfaces are asked. Loaded at the first PASV.
from .tasks import _is_linux, _once

# The classes of interfaces. They are looked for once, because dir() tries every name that the firmware knows.
_names = []


def own_address(server, s):
    """The address that the client reached, or ""."""
    host = server._host if server.host is None else server.host
    if host != "0.0.0.0" and decode(host):
        return host
    address = _address_for(s.peer[0])
    if not address and _is_linux:
        address = _once("linux").local_address(server.port, *s.peer)
    return address


def decode(address):
    """The four numbers of an IPv4 address, or None when it is none."""
    parts = address.split(".")
    if len(parts) == 4 and all(0 < len(part) < 4 and part.isdigit() and int(part) < 256 for part in parts):
        return [int(part) for part in parts]


def _is_near(ip, client, mask):
    # Whether two addresses are in one network.
    client = decode(client)
    return client and not any((a ^ b) & m for a, b, m in zip(decode(ip), client, decode(mask)))


def _interfaces():
    # All interfaces. A call of a class gives the interface that is there. WIZNET5K is left out: its call would set up the chip again.
    try:
        import network
    except ImportError:
        return
    registered = []
    try:
        # Some firmwares list their interfaces.
        registered = network.route()
        yield from registered
    except (AttributeError, TypeError):
        pass
    if not _names:
        for name in dir(network):
            if hasattr(getattr(network, name), "ifconfig") and name != "WIZNET5K":
                _names.append(name)
    for name in _names:
        kind = getattr(network, name)
        # Wi-Fi as a client, and as a hotspot.
        for arguments in ((0,), (1,)) if name == "WLAN" else ((),):
            try:
                if not any(isinstance(interface, kind) for interface in registered):
                    yield kind(*arguments)
            except (OSError, RuntimeError, TypeError, ValueError):
                pass


def _address_for(client):
    # The IPv4 address of the interface in whose network the client is, or else the only address that there is. "" when there are several.
    found = ""
    count = 0
    for interface in _interfaces():
        try:
            ip, mask = interface.ifconfig()[:2]
        except (AttributeError, OSError, RuntimeError, TypeError, ValueError):
            continue
        # An interface that is down has no address, and a mask of zeros fits everyone.
        if ip == "0.0.0.0" or mask == "0.0.0.0" or not decode(ip):
            continue
        if _is_near(ip, client, mask):
            return ip
        if ip != found:
            found = ip
            count += 1
    return found if count == 1 else ""
