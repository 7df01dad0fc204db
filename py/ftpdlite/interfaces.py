# The addresses of a board's network interfaces: only a server that listens on all of them asks, for PASV.
from . import native


def _interfaces():
    # What there is. A class is only called where that makes nothing anew: some set their chip up again.
    try:
        import network
    except ImportError:
        return
    try:
        # Where interfaces are registered with the firmware it lists them.
        yield from network.route()
    except (AttributeError, TypeError):
        pass
    for name, arguments in (("WLAN", (0,)), ("WLAN", (1,)), ("LAN", ()), ("PPP", ())):
        try:
            yield getattr(network, name)(*arguments)
        except (AttributeError, OSError, RuntimeError, TypeError, ValueError):
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
