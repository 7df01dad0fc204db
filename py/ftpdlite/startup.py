# What a server does before it listens. Loaded when it starts, and dropped afterwards.
import os
import socket
import sys
import time
from micropython import const

from .data import _passive
from .life import _accept, _sweep, _tick
from .tasks import _firmly, _is_linux, _once, _say, acquire, core, native, release

_READ = const(1)
_ALL = const(63)


def _accounts(server):
    # All accounts, each as (name, secret, permissions, home, sessions). Without permissions the first account may do everything, and the others may read.
    found = [
        (name, secret, (_READ if i else _ALL) if allowed is None else allowed, home, sessions)
        for i, (name, secret, allowed, home, sessions) in enumerate(server._accounts)
    ]
    entry = server._credentials
    if entry is False and not found and server._default_account:
        entry = server._default_account
        _say(server, "WARNING: The account is %s, which everyone knows: set credentials.", entry)
    if entry:
        found.append(tuple(entry.split(":", 1)) + (_ALL, None, None))
    elif not found and server.anonymous is None:
        _say(server, "WARNING: There is no account: anyone can log in, ftpadmin may write.")
    return found


def seed():
    # The first number of unfinished uploads. It is another one after each start, because old uploads may still be there.
    number = time.ticks_us() ^ int(time.time())
    if hasattr(os, "urandom"):
        number ^= int.from_bytes(os.urandom(4), "little")
    return number & 0xFFFFFFFF


def guards():
    # modlwip without IPv6, as STM32 and i.MX RT have it: closing a listener clears two words of the fourth listener behind it, or of what is
    # behind the last one. lwIP has 8 and gives out the last one first. So the first 4 are taken and never closed: then what is cleared
    # belongs to one of these, to which nobody connects. See docs/ports.md.
    # Only modlwip has this function.
    if not hasattr(socket, "print_pcbs"):
        return
    if not hasattr(native, "guards"):
        native.guards = []
    sockets = native.guards
    state = acquire()
    try:
        probe = socket.socket()
        try:
            probe.bind(("::1", 0))
        except ValueError:
            # What fails half-way goes on at the next start.
            while len(sockets) < 4:
                sockets.append(socket.socket())
                try:
                    sockets[-1].bind(("127.0.0.1", 0))
                    sockets[-1].listen(0)
                except Exception:
                    _firmly(sockets.pop())
                    raise
        finally:
            probe.close()
    finally:
        release(state)


def gauge():
    # When lwIP has no memory, modlwip's write sleeps, and the whole board with it. So the pump first asks a socket of UDP, which says ENOMEM at once. Bound to this address, it has no
    # way out: lwIP takes the memory, finds no route, and gives it back. See docs/ports.md.
    if hasattr(socket, "print_pcbs") and not hasattr(native, "gauge"):
        native.gauge = probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            probe.bind(("127.0.0.1", 0))
        except BaseException:
            del native.gauge
            probe.close()
            raise
    return getattr(native, "gauge", None)


def _listen(server, host):
    # The server's listening socket. Raises OSError when it cannot listen on the address.
    server._entries = _accounts(server)
    if time.gmtime()[0] < 2023:
        _say(server, "WARNING: The clock is not set: files will have wrong times.")
    try:
        found = socket.getaddrinfo(host, server.port, 0, socket.SOCK_STREAM)[0]
    except OSError as error:
        raise OSError(error.errno, "host must be an address, or a name that is known: %s" % host)
    address = found[-1]
    open_to_all = not server._entries and server.anonymous is None
    try:
        from binascii import crc32
        from hashlib import sha256

        digests = 256
    except ImportError:
        digests = 0
    # A small heap does not hold that of the last start, too.
    server._hub = None
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
        | digests
        | (server._tls.flag if server._tls else 0),
        (lambda line: _say(server, line)) if server.debug else None,
        _once("linux").process() if _is_linux else 0,
        seed(),
        native.holders,
        -1 if server.listing_times is True else int(server.listing_times * 1000000),
        gauge(),
        _passive(server),
    )
    if address is None:
        # An ESP32 finds an IPv6 address, but it cannot use it.
        raise ValueError("host must be an IPv4 address: this firmware's sockets know no other")
    # For data connections: the family, the address, and what comes behind the port in a raw sockaddr.
    if isinstance(address, tuple):
        server._address = found[0], address[0], None
    else:
        server._address = found[0], address[:2], address[4:]
    guards()
    state = acquire()
    try:
        listener = socket.socket(*found[:3])
        try:
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.setblocking(False)
            except OSError as error:
                # These are the sockets of a W5x00's own stack: accept and read would stop the whole program.
                raise OSError(
                    error.errno, "this firmware's sockets take no options and always block: use one with lwIP"
                )
            try:
                listener.bind(address)
                listener.listen(5)
            except OSError as error:
                raise OSError(
                    error.errno, "cannot listen on host %s, port %d" % (host, server.port)
                )
        except (OSError, MemoryError):
            listener.close()
            raise
    finally:
        release(state)
    return listener


def start(server):
    """Listens, and makes the tasks that serve. Raises OSError when it cannot listen on the address, and MemoryError."""
    if server._stop_event:
        raise RuntimeError("the server runs already")
    # An earlier event loop may have had more room in its poller than this one. With TLS there is room before the first client, for streams of the program, too.
    sys.modules["ftpdlite"]._peak = _once("poller").extend(core._io_queue, True) if server._tls and _is_linux else 0
    host = server._host if server.host is None else server.host or "0.0.0.0"
    server._listener = listener = _listen(server, host)
    server._uptime = 0
    server._warned = -1
    server._failures = {}
    server._tasks = tasks = []
    try:
        from asyncio import Event

        if server.on_event:
            from . import events
        server._stop_event = Event()
        tasks.append(core.create_task(_accept(server, listener)))
        tasks.append(core.create_task(_tick(server)))
        try:
            # It ends by itself. Nobody keeps it, so that its code can go then.
            core.create_task(_sweep(server))
        except MemoryError:
            # A second later there is more memory.
            server._litter = 1
    except MemoryError:
        server._stop_event = None
        for task in tasks:
            task.cancel()
        _firmly(listener)
        raise
    _say(server, "Listening on %s:%d", (host, server.port))
