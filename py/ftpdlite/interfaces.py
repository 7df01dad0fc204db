# The addresses of a board's network interfaces: only a server that listens on all of them asks, for PASV.
from . import native


def _interfaces():
    # What there is. To call a class gives the interface that there is, but with this one, which would set its chip up again.
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
    for name in dir(network):
        kind = getattr(network, name)
        if hasattr(kind, "ifconfig") and name != "WIZNET5K":
            # Wi-Fi as a client, and as a hotspot.
            for arguments in ((0,), (1,)) if name == "WLAN" else ((),):
                try:
                    if not any(isinstance(interface, kind) for interface in registered):
                        yield kind(*arguments)
                except (OSError, RuntimeError, TypeError, ValueError):
                    pass


def address_for(client):
    """The IPv4 address of the interface in whose network the client is, else the only one there is; "" when that cannot be told."""
    found = ""
    count = 0
    for interface in _interfaces():
        try:
            ip, mask = interface.ifconfig()[:2]
        except (AttributeError, OSError, RuntimeError, TypeError, ValueError):
            continue
        # An interface that is down has no address, and a mask of zeros fits everyone.
        if ip == "0.0.0.0" or mask == "0.0.0.0" or not native.is_ipv4(ip):
            continue
        if native.same_network(ip, client, mask):
            return ip
        if ip != found:
            found = ip
            count += 1
    return found if count == 1 else ""
