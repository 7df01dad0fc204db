# Checks the settings of a server. Loaded when a server is made or started, and dropped afterwards. Functions have names that every firmware knows,
# because these take no memory.
import os
from micropython import const

from .tasks import _once

# The names of permissions, each a bit, and then those of whole sets: here each costs no name, elsewhere it would.
_PERMISSIONS = const(("read", "write", "delete", "mkdir", "rename", "site", "ro", "rw"))
_BITS = const((1, 2, 4, 8, 16, 32, 1, 31))


def index(name, value, start, end):
    """Raises ValueError unless it is an integer in that range."""
    if type(value) is not int or not start <= value <= end:
        raise ValueError("%s must be an integer from %d to %d" % (name, start, end))


def find(name, path):
    """Raises ValueError unless it is a folder that exists."""
    try:
        found = isinstance(path, str) and os.stat(path)[0] & 0x4000
    except OSError:
        found = 0
    if not found:
        raise ValueError("%s must be a folder that exists: %s" % (name, path))


def permissions(value):
    """The number of a set of permissions: "ro", "rw", or names with commas between them. Raises ValueError."""
    number = 0
    for word in value.split(",") if isinstance(value, str) else (None,):
        if word in _PERMISSIONS:
            number |= _BITS[_PERMISSIONS.index(word)]
        else:
            raise ValueError(
                "permissions must be 'ro', 'rw', or some of %s with commas between" % ",".join(_PERMISSIONS[:6])
            )
    return number


def match(entry):
    """Whether it is "username:password", or "username:hash" as SITE HASHPASS gives it."""
    if not isinstance(entry, str) or "\n" in entry or "\r" in entry:
        # No client can send a line end.
        return False
    name = entry.split(":", 1)[0]
    # In bytes, because the protocol counts these.
    if ":" not in entry or not 1 <= len(name.encode()) <= 40:
        return False
    secret = entry[len(name) + 1 :]
    if secret.startswith("$5a$"):
        return len(secret) == 65 and secret[20] == secret[0]
    if secret.startswith("$pbkdf2-sha256$"):
        from . import hashpass

        return hashpass.split(secret) is not None
    return len(secret.encode()) < 256


def add(entry, mode, home, sessions):
    """The account as the server keeps it, (name, secret, permissions, home, sessions), or None when the entry is not well formed. Raises ValueError."""
    if not match(entry):
        return None
    if mode is not None:
        mode = permissions(mode)
    if home is not None:
        find("home", home)
    if sessions is not None:
        index("max_sessions", sessions, 1, 1000)
    name, secret = entry.split(":", 1)
    if secret.startswith(("$5a$", "$pbkdf2-sha256$")):
        try:
            from hashlib import sha256
        except ImportError:
            raise ValueError("add_account: hashed passwords need hashlib.sha256, which this firmware lacks")
    if secret.startswith("$5a$"):
        try:
            import cryptolib
        except ImportError:
            raise ValueError(
                "add_account: passwords hashed as $5a$ need cryptolib, which this firmware lacks"
            )
    return name, secret, mode, home, sessions


def run(server, host, port, loop, debug):
    """Takes over the arguments of run(). Gives the loop, if there is one among them."""
    if not isinstance(host, str) and (host is not None or isinstance(port, bool)):
        # run(loop, debug), as the original's second version had it.
        host, port, loop, debug = None, None, host, port
    if host is not None:
        server.host = host
    if port is not None:
        server.port = port
    if debug is not None:
        server.debug = debug
    if loop is not None and not hasattr(loop, "run_until_complete"):
        raise TypeError("host must be a str or None, and loop an asyncio loop")
    return loop


def load(server, native):
    """Raises ValueError or TypeError when a setting is wrong. The text names the setting."""
    for name in ("root", "server_name", "host", "masquerade_address", "anonymous"):
        value = getattr(server, name)
        optional = name not in ("root", "server_name")
        if not isinstance(value, str) and not (optional and value is None):
            raise TypeError("%s must be a str%s" % (name, " or None" if optional else ""))
    address = server.masquerade_address
    if address is not None and not _once("interfaces").decode(address):
        raise ValueError("masquerade_address must be an IPv4 address such as 192.0.2.1, or None")
    if "\n" in server.server_name or "\r" in server.server_name or len(server.server_name) > 100:
        raise ValueError("server_name must be one line of at most 100 characters")
    find("root", server.root)
    if server.anonymous is not None:
        find("anonymous", server.anonymous)
    ports = server.pasv_port_range
    if not (isinstance(ports, (range, list, tuple)) and len(ports)):
        raise ValueError("pasv_port_range must be a range of ports, such as range(49152, 49407)")
    for port in (ports[0], ports[-1]) if isinstance(ports, range) else ports:
        index("pasv_port_range: each port", port, 1, 65535)
    for name in ("allow_foreign_data", "atomic_uploads", "private_data", "debug"):
        if getattr(server, name) not in (False, True):
            raise TypeError("%s must be True or False" % name)
    if server.partial_uploads not in ("new", "never"):
        raise ValueError('partial_uploads must be "new" or "never"')
    try:
        fits = 0 <= server.listing_times <= 3600
    except TypeError:
        fits = False
    if not fits:
        raise ValueError("listing_times must be True, False, or a number of seconds from 0 to 3600")
    for name in ("log", "on_event"):
        value = getattr(server, name)
        if value is not None and not callable(value):
            raise TypeError("%s must be a function or None" % name)
    for name in ("certificate", "key"):
        # Without TLS, too, where nobody reads them. With it, None is told when they are read.
        value = getattr(server, name)
        if value is not None and not isinstance(value, (str, bytes, bytearray)):
            raise TypeError("%s must be the path of a file (str) or its content (bytes)" % name)
    for name, start, end in (
        ("port", 1, 65535),
        ("request_buffer_size", 1, 8192),
        ("max_connections", 1, 1000),
        ("max_per_address", 1, 1000),
        ("max_per_user", 1, 1000),
        ("login_delay", 0, 60000),
        ("max_login_failures", 0, 1000),
        ("lockout", 1, 86400),
        ("idle_timeout", 0, 65534),
        ("data_timeout", 0, 65534),
        ("stall_timeout", 0, 65534),
        ("handshake_timeout", 0, 65534),
        ("login_timeout", 0, 65534),
        ("transfer_buffer_size", 512, 1 << 20),
    ):
        value = getattr(server, name)
        if value is not None or not name.startswith(("max_per", "transfer")):
            index(name, value, start, end)
    server._tls = None
    if server.tls != "off":
        from . import tls

        server._tls = tls.Tls(server)
