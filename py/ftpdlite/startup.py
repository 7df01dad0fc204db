# What a server does before it listens. Loaded when it starts, and let go afterwards.
import os
import socket
import time

_READ = 1
_ALL = 63


def _accounts(server):
    # All accounts, (name, secret, permissions, home, sessions) each: the first one may do everything, unless it is said what each may.
    found = [
        (name, secret, (_READ if i else _ALL) if allowed is None else allowed, home, sessions)
        for i, (name, secret, allowed, home, sessions) in enumerate(server._accounts)
    ]
    entry = server._credentials
    if entry is False and not found and server._default_account:
        entry = server._default_account
        server._print("WARNING: The account is %s, which everyone knows: set credentials.", entry)
    if entry:
        found.append(tuple(entry.split(":", 1)) + (_ALL, None, None))
    elif not found and server.anonymous is None:
        server._print("WARNING: There is no account: anyone can log in, ftpadmin may write.")
    return found


def _guard(native):
    # modlwip without IPv6, as STM32 and i.MX RT have it: closing a listener clears two words of the fourth listener behind it, or of what is
    # behind the last one. lwIP has 8 and gives out the last one first. So the first 4 are taken and never closed: then what is cleared
    # belongs to one of these, to which nobody connects. See docs/ports.md.
    # Only modlwip has this function.
    if not hasattr(socket, "print_pcbs") or hasattr(native, "guards"):
        return
    native.guards = guards = []
    probe = socket.socket()
    try:
        probe.bind(("::1", 0))
    except ValueError:
        for _ in range(4):
            guard = socket.socket()
            guards.append(guard)
            guard.bind(("127.0.0.1", 0))
            guard.listen(0)
    finally:
        probe.close()


def listen(server, native):
    """The server's listening socket. Raises OSError when the address cannot be had."""
    server._entries = _accounts(server)
    if time.gmtime()[0] < 2023:
        server._print("WARNING: The clock is not set: files will have wrong times.")
    host = server._host if server.host is None else server.host or "0.0.0.0"
    server._address = host
    server._family, kind, protocol, _, address = socket.getaddrinfo(
        host, server.port, 0, socket.SOCK_STREAM
    )[0]
    open_to_all = not server._entries and server.anonymous is None
    server._hub = native.Server(
        server.server_name,
        946684800 if time.gmtime(0)[0] == 2000 else 0,
        server.idle_timeout,
        server.data_timeout,
        server.stall_timeout,
        server.handshake_timeout,
        server.login_timeout,
        open_to_all
        | server.allow_foreign_data << 1
        | server.atomic_uploads << 2
        | hasattr(os, "utime") << 3
        | (server._tls.flag if server._tls else 0),
        server._print if server.debug else None,
    )
    if address is None:
        # An ESP32 finds an address of IPv6, and cannot use it.
        raise ValueError("host must be an IPv4 address: this firmware's sockets know no other")
    _guard(native)
    listener = socket.socket(server._family, kind, protocol)
    try:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setblocking(False)
        except OSError as error:
            # Those of a W5x00's own stack: accept and read would stop the whole program.
            raise OSError(
                error.errno, "this firmware's sockets take no options and always block: use one with lwIP"
            )
        listener.bind(address)
        listener.listen(5)
    except OSError:
        listener.close()
        raise
    return listener
