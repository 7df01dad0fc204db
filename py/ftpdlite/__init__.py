# FTPdLite: the shim around the native module. It owns the sockets, the files and the tasks;
# what FTP says is decided in Rust (docs/architecture.md). Tasks are generators that yield to asyncio's
# I/O queue, as asyncio's own streams do, so that waiting allocates nothing.
import gc
import os
import socket
import sys
import time
from micropython import const

try:
    from asyncio import core
except ImportError:
    # On the Unix port MICROPYPATH hides what is frozen into the firmware.
    sys.path.append(".frozen")
    from asyncio import core

# What Session.step() and Session.pump() ask for: the same numbers as in src/native and src/protocol.
_CLOSE = const(0)
_WAIT_READ = const(1)
_WAIT_WRITE = const(2)
_YIELD = const(3)
_WAIT = const(4)
_START_TLS = const(7)
_LOGIN = const(8)
_RESET = const(9)
_STAT = const(10)
_MAKE_DIRECTORY = const(11)
_REMOVE_DIRECTORY = const(12)
_REMOVE_FILE = const(13)
_RENAME_FROM = const(14)
_RENAME = const(15)
_PASSIVE = const(16)
_UNLISTEN = const(17)
_OPEN_READ = const(18)
_OPEN_WRITE = const(19)
_OPEN_APPEND = const(20)
_OPEN_LIST = const(21)
_TRANSFER = const(22)
_ABORT = const(23)
_CLOSE_FILE = const(24)
_SPACE = const(26)
_MEMORY = const(27)
_COLLECT = const(28)
_UPTIME = const(29)
_WHO = const(30)
_HASH_PASSWORD = const(31)
_KICK = const(32)
_SHUTDOWN = const(33)
_HASH = const(34)
_SET_TIME = const(35)

# How a transfer ended: pump() adds _ENDED.
_ENDED = const(16)
_NO_CONNECTION = const(1)
_BROKEN = const(2)
_LOCAL_ERROR = const(3)
_NO_SPACE = const(4)
_ABORTED = const(5)
_NEGOTIATION = const(6)

# Why a session is dismissed.
_KICKED = const(1)
_STOPPED = const(2)
_TOO_MANY = const(3)
_BLOCKED = const(4)

# What an account may do.
_READ = const(1)
_ALL = const(63)
# A folder more than these is not looked into for what former uploads left.
_SWEEP_MAX = const(2000)

_ENOENT = const(2)
_EIO = const(5)
_EAGAIN = const(11)
_ENOMEM = const(12)
_EACCES = const(13)
_ENOSPC = const(28)
_ENOSYS = const(38)
_ENOTEMPTY = const(39)
_EUSERS = const(87)
_EADDRINUSE = const(98)
_EISCONN = (106, 127)
_DIRECTORY = const(0x4000)
_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)
_SO_OOBINLINE = const(10)


def _once(name):
    # A part of the shim that is let go again after its use.
    path = "ftpdlite." + name
    module = __import__(path, None, None, (name,))
    sys.modules.pop(path, None)
    globals().pop(name, None)
    return module


native = _once("choice").load(getattr(sys.implementation, "_mpy", 0))
__version__ = native.version


def _wake(task):
    # A task that waits for I/O goes on at once.
    queue = core._io_queue
    if task and task.data is queue:
        queue.remove(task)
        core._task_queue.push(task)


class FTPdLite:
    """An FTP server (RFC 959, 2389, 2428, 3659, 4217).

    host: address to listen on; default "0.0.0.0", all of them.
    port: TCP port of the control connection, 1 to 65535; default 21.
    server_name: what the greeting says.
    pasv_port_range: a range of TCP ports for passive data connections.
    request_buffer_size: bytes of each session's line buffer, 512 (the longest line) to 8192; smaller values mean 512.
    max_connections: sessions at the same time; default 10.
    root: the folder that clients see as "/".
    masquerade_address: IPv4 address that PASV announces, for servers behind NAT; default is the address the client reached.
    allow_foreign_data: True lets PORT and EPRT name other hosts than the client, and others connect to passive ports.
    idle_timeout, data_timeout, stall_timeout: seconds until a session without commands, a data connection that is not made,
    one that stands still is ended; 0 is never. Defaults 300, 10, 60.
    login_delay: milliseconds that a failed login waits for its answer.
    max_login_failures: failed logins from one address until it is refused for `lockout` seconds; 0 is never. Defaults 10, 300.
    max_per_address, max_per_user: sessions of one address, of one account; default is only max_connections.
    anonymous: the folder of "anonymous" and "ftp", who log in with any password and only read; default None, nobody.
    atomic_uploads: False writes uploads in place of the old file at once, where there is no room for both. Default True.
    log: called with each line of the log; default is print.
    on_event: called with the name of what happened and a dict about it; see README.
    transfer_buffer_size: bytes of each transfer's buffer; default as the heap allows.
    tls: "off" (default), "optional" or "required": whether clients may or must use TLS, which AUTH TLS begins.
    certificate, key: for TLS, paths of files (str) or their content (bytes), PEM or DER.
    private_data: False keeps data connections in clear, for clients that cannot do with this firmware's TLS there (README).
    handshake_timeout: seconds from AUTH until the first command must come; 0 is never. Default 60.
    debug: print commands and replies.

    Raises ValueError or TypeError, naming the argument, when one cannot be.
    """

    _host = "0.0.0.0"
    _default_account = "Felicia:Friday"

    def __init__(
        self,
        host=None,
        port=21,
        server_name="FTPdLite (MicroPython)",
        pasv_port_range=range(49152, 49407),
        request_buffer_size=512,
        max_connections=10,
        root="/",
        masquerade_address=None,
        allow_foreign_data=False,
        idle_timeout=300,
        data_timeout=10,
        stall_timeout=60,
        login_delay=1000,
        transfer_buffer_size=None,
        debug=False,
        max_login_failures=10,
        lockout=300,
        max_per_address=None,
        max_per_user=None,
        anonymous=None,
        atomic_uploads=True,
        log=None,
        on_event=None,
        tls="off",
        certificate=None,
        key=None,
        private_data=True,
        handshake_timeout=60,
    ):
        self.host = host
        self.port = port
        self.server_name = server_name
        self.pasv_port_range = pasv_port_range
        self.request_buffer_size = request_buffer_size
        self.max_connections = max_connections
        self.root = root
        self.masquerade_address = masquerade_address
        self.allow_foreign_data = allow_foreign_data
        self.idle_timeout = idle_timeout
        self.data_timeout = data_timeout
        self.stall_timeout = stall_timeout
        self.login_delay = login_delay
        self.transfer_buffer_size = transfer_buffer_size
        self.debug = debug
        self.max_login_failures = max_login_failures
        self.lockout = lockout
        self.max_per_address = max_per_address
        self.max_per_user = max_per_user
        self.anonymous = anonymous
        self.atomic_uploads = atomic_uploads
        self.log = log
        self.on_event = on_event
        self.tls = tls
        self.certificate = certificate
        self.key = key
        self.private_data = private_data
        self.handshake_timeout = handshake_timeout
        self.sessions = []
        self._accounts = []
        self._credentials = False
        self._stop_event = None
        self._buffers = []
        self._port_at = 0
        self._interrupted = None
        self._check()

    def _check(self):
        _once("settings").check(self, native)

    # -- accounts

    @property
    def credentials(self):
        """One account with full access, "username:password"; None for none."""
        if self._credentials is False:
            return self._default_account
        return self._credentials

    @credentials.setter
    def credentials(self, value):
        if value is not None and not _once("settings").well_formed(value):
            raise ValueError('credentials must be a str "username:password"')
        self._credentials = value

    def add_account(self, entry, permissions=None, home=None, max_sessions=None):
        """Adds the account "username:password"; the password may be a hash that SITE HASHPASS gave.

        permissions: "rw", "ro", or some of read,write,delete,mkdir,rename,site with commas between; default is all for the first
        account, and "ro" for the others. home: the folder that the account sees as "/"; default is the server's root.
        max_sessions: of this account at the same time.
        Returns whether the entry is well formed. Raises ValueError, naming the argument, when another one cannot be.
        """
        account = _once("settings").account(entry, permissions, home, max_sessions)
        if account:
            self._accounts.append(account)
        return bool(account)

    # async
    def _login(self, s):
        # Gives (permissions, home), or the errno of a refusal. A password is compared whether there is such a user or not, so that time tells nothing.
        user = s.user
        password = s.text
        home = self.root
        if self.anonymous and user.lower() in ("anonymous", "ftp"):
            return self._admit(s, user, _READ, self.anonymous, None)
        if not self._entries and self.anonymous is None:
            return self._admit(s, user, _ALL if user == "ftpadmin" else _READ, home, None)
        same = [a for a in self._entries if native.same(user, a[0])]
        for name, secret, permissions, home, sessions in same or self._entries[:1]:
            if secret.startswith(("$5a$", "$pbkdf2-sha256$")):
                from . import hashpass

                right = yield from hashpass.matches(native, password, secret)
            else:
                right = native.same(password, secret)
            if right and same:
                return self._admit(s, user, permissions, home or self.root, sessions)
        return _EACCES

    def _admit(self, s, user, permissions, home, sessions):
        most = min(sessions or 1000, self.max_per_user or 1000)
        for other in self.sessions:
            if other is not s and other.user == user and other.home is not None:
                most -= 1
        return (permissions, home.rstrip("/")) if most > 0 else _EUSERS

    def _failed(self, address):
        # A failed login from there.
        failures = self._failures
        if address not in failures and len(failures) >= 32:
            failures.pop(next(iter(failures)))
        count = failures.get(address, (0, 0))[0] + 1
        failures[address] = count, self._uptime // 1000 + self.lockout

    def _is_blocked(self, address):
        count, until = self._failures.get(address, (0, 0))
        if count and self._uptime // 1000 >= until:
            del self._failures[address]
            count = 0
        return self.max_login_failures and count >= self.max_login_failures

    # -- life

    def _print(self, line):
        try:
            (self.log or print)(line)
        except Exception as error:
            # A fault of the program's is not to end a session or the server.
            sys.print_exception(error)

    def _event(self, kind, s, path=None, **info):
        if self.on_event:
            info["user"] = s.user or None
            info["address"] = s.peer[0]
            if path is not None:
                info["path"] = path
            try:
                self.on_event(kind, info)
            except Exception as error:
                sys.print_exception(error)

    async def start(self):
        """Listens and serves in tasks of the running event loop. Raises OSError when the address cannot be had."""
        if self._stop_event:
            raise RuntimeError("the server runs already")
        self._check()
        entries = [
            (name, secret, (_READ if i else _ALL) if allowed is None else allowed, home, sessions)
            for i, (name, secret, allowed, home, sessions) in enumerate(self._accounts)
        ]
        if self._credentials:
            entries.append(tuple(self._credentials.split(":", 1)) + (_ALL, None, None))
        elif self._credentials is False and not entries and self._default_account:
            entries.append(tuple(self._default_account.split(":", 1)) + (_ALL, None, None))
            self._print(
                "WARNING: The account is %s, which everyone knows: set credentials."
                % self._default_account
            )
        elif not entries and self.anonymous is None:
            self._print("WARNING: There is no account: anyone can log in, ftpadmin may write.")
        self._entries = entries
        if time.gmtime()[0] < 2023:
            self._print("WARNING: The clock is not set: files will have wrong times.")
        host = self.host or self._host
        self._family, kind, protocol, _, address = socket.getaddrinfo(
            host, self.port, 0, socket.SOCK_STREAM
        )[0]
        self._address = host
        open_to_all = not entries and self.anonymous is None
        self._hub = native.Server(
            self.server_name,
            946684800 if time.gmtime(0)[0] == 2000 else 0,
            self.idle_timeout,
            self.data_timeout,
            self.stall_timeout,
            self.handshake_timeout,
            open_to_all
            | self.allow_foreign_data << 1
            | self.atomic_uploads << 2
            | hasattr(os, "utime") << 3
            | (self._tls.flag if self._tls else 0),
            self._print if self.debug else None,
        )
        listener = socket.socket(self._family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(5)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self._uptime = 0
        self._failures = {}
        from asyncio import Event

        self._stop_event = Event()
        self._tasks = (
            core.create_task(self._accept(listener)),
            core.create_task(self._tick()),
            core.create_task(self._sweep()),
        )
        self._print("Listening on %s:%d" % (host, self.port))

    async def stop(self, wait=0):
        """Ends every session with a 421, closes every socket and file, and returns when that is done.

        wait: seconds that transfers have to come to their end; those that have not are cut.
        """
        if not self._stop_event:
            return
        self._cancel(self._tasks[:1])
        self._listener.close()
        for _ in range(wait * 20):
            for s in self.sessions:
                if not s.job:
                    self._dismiss(s, _STOPPED)
            if not self.sessions:
                break
            await core.sleep_ms(50)
        self._cancel(self._tasks[1:])
        for s in self.sessions:
            self._dismiss(s, _STOPPED)
        for _ in range(40):
            if not self.sessions:
                break
            await core.sleep_ms(25)
        for s in list(self.sessions):
            s.task.cancel()
            if s.job:
                s.job.cancel()
        await core.sleep_ms(0)
        self._buffers.clear()
        stopped = self._stop_event
        self._stop_event = None
        stopped.set()

    def _cancel(self, tasks):
        for task in tasks:
            # A task that Ctrl-C came to is over, which asyncio does not know.
            if task is not core.cur_task and task is not self._interrupted:
                task.cancel()

    async def _serve(self):
        await self.start()
        await self._stop_event.wait()

    def run(self, host=None, port=None, loop=None, debug=None):
        """Serves until the server is stopped: by SITE SHUTDOWN, by stop(), or by Ctrl-C, which raises KeyboardInterrupt when all is closed.

        host, port, debug: in place of what the constructor got. loop: the event loop; default is asyncio's.
        """
        if not isinstance(host, str) and (host is not None or isinstance(port, bool)):
            # The second era's run(loop, debug).
            host, port, loop, debug = None, None, host, port
        if host is not None:
            self.host = host
        if port is not None:
            self.port = port
        if debug is not None:
            self.debug = debug
        loop = loop or core.get_event_loop()
        try:
            loop.run_until_complete(self._serve())
        except KeyboardInterrupt:
            self._interrupted = core.cur_task
            loop.run_until_complete(self.stop())
            raise

    # async
    def _accept(self, listener):
        while True:
            try:
                sock, address = listener.accept()
            except OSError as error:
                if error.errno == _EAGAIN:
                    yield core._io_queue.queue_read(listener)
                else:
                    # Out of sockets or memory: let the sessions end some.
                    yield from core.sleep_ms(100)
                continue
            try:
                sock.setblocking(False)
                try:
                    # A reply is not to wait for the acknowledgement of the one before it.
                    sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
                    if sys.platform == "linux":
                        # ABOR may come as urgent data, which elsewhere is in line anyway.
                        sock.setsockopt(socket.SOL_SOCKET, _SO_OOBINLINE, 1)
                except (OSError, ValueError):
                    pass
                s = native.Session(self._hub, sock, address, self.request_buffer_size)
            except MemoryError:
                sock.close()
                continue
            address = s.peer[0]
            if self._is_blocked(address):
                s.dismiss(_BLOCKED)
            elif len(self.sessions) >= self.max_connections or (
                self.max_per_address
                and sum(other.peer[0] == address for other in self.sessions) >= self.max_per_address
            ):
                s.dismiss(_TOO_MANY)
            else:
                self._print("INFO: Connection from client: %s:%d" % s.peer)
                self._event("connect", s)
                self.sessions.append(s)
                s.task = core.create_task(self._control(s, sock))
                continue
            s.step(None)
            sock.close()

    # async
    def _sweep(self):
        # Removes what uploads left that the board's power was cut from.
        folders = [self.root] + [a[3] for a in self._entries if a[3]]
        if sys.platform == "linux" and self.root == "/":
            # That is a whole computer's.
            folders.pop(0)
        for _ in range(_SWEEP_MAX):
            if not folders:
                break
            folder = folders.pop().rstrip("/")
            try:
                for entry in os.ilistdir(folder or "/"):
                    path = "%s/%s" % (folder, entry[0])
                    if entry[1] & _DIRECTORY and len(folders) < 100:
                        folders.append(path)
                    elif native.is_unfinished(entry[0]):
                        if not any(native.same(path, s.old_path or "") for s in self.sessions):
                            os.remove(path)
            except (OSError, ValueError):
                pass
            yield from core.sleep_ms(0)

    # async
    def _tick(self):
        last = core.ticks()
        while True:
            yield from core.sleep_ms(1000)
            now = core.ticks()
            self._uptime += core.ticks_diff(now, last)
            last = now
            for s in self.sessions:
                if s.job and s.data:
                    self._event("transfer_progress", s, bytes=s.moved)
                what = s.tick()
                if what == 1:
                    _wake(s.task)
                elif what == 2:
                    self._cut(s, _BROKEN if s.data else _NO_CONNECTION)

    def _dismiss(self, s, why):
        s.dismiss(why)
        _wake(s.task)

    def _cut(self, s, end):
        s.verdict = end
        _wake(s.job)

    # -- one control connection

    # async
    def _control(self, s, sock):
        stepping = lost = False
        try:
            action = s.step(None)
            while action != _CLOSE:
                outcome = None
                if action == _WAIT_READ:
                    yield core._io_queue.queue_read(s.sock)
                elif action == _WAIT_WRITE:
                    yield core._io_queue.queue_write(s.sock)
                elif action == _YIELD:
                    yield from core.sleep_ms(0)
                elif action == _WAIT:
                    yield from core.sleep_ms(20)
                elif action == _LOGIN:
                    start = core.ticks()
                    outcome = yield from self._login(s)
                    if outcome == _EACCES:
                        self._failed(s.peer[0])
                        self._event("login_failed", s)
                        took = core.ticks_diff(core.ticks(), start)
                        yield from core.sleep_ms(self.login_delay - took)
                    elif outcome != _EUSERS:
                        self._failures.pop(s.peer[0], None)
                        self._event("login", s)
                elif action == _HASH:
                    outcome = yield from self._digest(s)
                elif action == _HASH_PASSWORD:
                    from . import hashpass

                    outcome = yield from hashpass.make(native, s.text)
                else:
                    try:
                        outcome = self._act(s, action)
                    except OSError as error:
                        outcome = error.errno if isinstance(error.errno, int) else _EIO
                        outcome = outcome or _EIO
                    except MemoryError:
                        outcome = _ENOMEM
                stepping = True
                action = s.step(outcome)
                stepping = False
        except Exception as error:
            if stepping and s.sock is not sock and isinstance(error, (OSError, ValueError)):
                # TLS has let go of the socket.
                lost = True
                self._print("INFO: TLS handshake failed: %s" % error)
            elif not isinstance(error, OSError):
                # A fault of ours costs this session, and nothing else.
                sys.print_exception(error)
        finally:
            self._unlisten(s)
            if s.job:
                self._cut(s, _ABORTED)
            else:
                self._close_file(s, _ABORTED)
            (sock if lost else s.tls or s.sock).close()
            self.sessions.remove(s)
            self._print("INFO: Session disconnected: %s@%s" % (s.user or "-", s.peer[0]))
            self._event("disconnect", s)

    def _act(self, s, action):
        # Does the one thing; returns the outcome.
        if action == _STAT:
            return os.stat(s.path)
        elif action == _START_TLS:
            s.tls = self._tls.wrap(s.sock)
            self._unlisten(s)
        elif action == _OPEN_READ:
            s.file = open(s.path, "rb")
            if s.offset:
                s.file.seek(s.offset)
        elif action == _OPEN_WRITE:
            if s.offset:
                s.file = open(s.path, "r+b")
                s.file.seek(s.offset)
            else:
                # Beside the old file until it is whole, if that is wanted.
                part = s.part
                s.old_path = part or s.path
                s.file = open(s.old_path, "wb")
                s.new_path = s.path if part else ""
        elif action == _OPEN_APPEND:
            s.file = open(s.path, "ab")
        elif action == _OPEN_LIST:
            self._open_list(s)
        elif action == _TRANSFER:
            s.verdict = None
            s.job = core.create_task(self._transfer(s, self.on_event and s.path))
        elif action == _ABORT:
            self._cut(s, _ABORTED)
        elif action == _CLOSE_FILE:
            self._close_file(s, _ABORTED)
        elif action == _PASSIVE:
            return self._listen(s)
        elif action == _UNLISTEN or action == _RESET:
            self._unlisten(s)
        elif action == _MAKE_DIRECTORY:
            os.mkdir(s.path)
            self._event("mkdir", s, s.path)
        elif action == _REMOVE_DIRECTORY:
            try:
                os.rmdir(s.path)
                self._event("rmdir", s, s.path)
            except OSError as error:
                # FAT says EACCES of a directory that is not empty.
                if error.errno == _EACCES:
                    for _ in os.ilistdir(s.path):
                        return _ENOTEMPTY
                raise
        elif action == _REMOVE_FILE:
            os.remove(s.path)
            self._event("delete", s, s.path)
        elif action == _RENAME_FROM:
            s.old_path = s.path
        elif action == _RENAME:
            os.rename(s.old_path, s.path)
            self._event("rename", s, s.path, old_path=s.old_path)
        elif action == _SET_TIME:
            os.utime(s.path, (s.time, s.time))
        elif action == _SPACE:
            v = os.statvfs(s.path)
            return v[1] * v[4], v[1] * v[2]
        elif action == _MEMORY or action == _COLLECT:
            if action == _COLLECT:
                gc.collect()
            free = gc.mem_free()
            return free, free + gc.mem_alloc()
        elif action == _UPTIME:
            return (self._uptime // 1000,)
        elif action == _WHO:
            return self.sessions
        elif action == _KICK:
            return (self._kick(s.text),)
        elif action == _SHUTDOWN:
            core.create_task(self._shutdown(s.text == "-r"))
        else:
            return _ENOSYS

    def _open_list(self, s):
        path = s.path
        globbed = False
        try:
            directory = os.stat(path)[0] & _DIRECTORY
        except OSError:
            # A pattern is only what does not exist as a name.
            if not s.text:
                raise
            path = s.parent
            directory = os.stat(path)[0] & _DIRECTORY
            globbed = True
        names = None
        if directory:
            try:
                # As bytes: a name that is not UTF-8 is listed too.
                names = os.ilistdir(path.encode() if isinstance(path, str) else path)
            except TypeError:
                names = os.ilistdir(path)
        s.list(names, int(time.time()), globbed)

    def _kick(self, who):
        count = 0
        for s in self.sessions:
            if s.user == who or s.peer[0] == who:
                self._dismiss(s, _KICKED)
                count += 1
        return count

    async def _shutdown(self, reset):
        # The reply goes out first.
        await core.sleep_ms(50)
        await self.stop()
        try:
            import machine

            machine.reset() if reset else machine.deepsleep()
        except (ImportError, AttributeError):
            self._print("INFO: Server stopped.")

    # -- data connections

    def _listen(self, s):
        # A listener for the next data connection: (port, address), or the errno that no port could be had.
        self._unlisten(s)
        ports = self.pasv_port_range
        for i in range(len(ports)):
            port = ports[(self._port_at + i) % len(ports)]
            listener = socket.socket(self._family, socket.SOCK_STREAM)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(socket.getaddrinfo(self._address, port)[0][-1])
                listener.listen(1)
                listener.setblocking(False)
            except OSError:
                listener.close()
                continue
            self._port_at = (self._port_at + i + 1) % len(ports)
            s.listener = listener
            return port, self.masquerade_address or self._own_address(s)
        return _EADDRINUSE

    def _own_address(self, s):
        # The address that the client reached: sockets cannot tell it, so ask who can.
        if self._address != "0.0.0.0":
            return self._address
        try:
            import network

            for interface in (0, 1):
                ip, mask = network.WLAN(interface).ifconfig()[:2]
                if native.same_network(ip, s.peer[0], mask):
                    return ip
        except (ImportError, AttributeError, OSError, ValueError):
            pass
        if sys.platform == "linux":
            from . import linux

            return linux.local_address(*s.peer)
        return ""

    def _unlisten(self, s):
        if s.listener:
            s.listener.close()
            s.listener = None

    def _close_file(self, s, end):
        # Closes what is open, and puts an upload into its place or removes it. Gives the transfer's end: that one, or a worse.
        file = s.file
        new_path = s.new_path
        s.file = s.new_path = None
        if s.list(None, None, False):
            # A directory that was not read to its end is closed by the GC.
            gc.collect()
        try:
            if file:
                file.close()
            if new_path and not end:
                os.rename(s.old_path, new_path)
                new_path = None
        except OSError as error:
            end = _NO_SPACE if error.errno == _ENOSPC else _LOCAL_ERROR
        # What was written in place stays for REST, unless it fills the file system.
        if new_path or new_path == "" and end == _NO_SPACE:
            try:
                os.remove(s.old_path)
            except OSError:
                pass
        return end

    # async
    def _digest(self, s):
        # The digest of a file, or the errno of what went wrong.
        buffer = None
        try:
            s.file = open(s.path, "rb")
            buffer = self._take_buffer()
            s.attach(buffer)
            while True:
                outcome = s.hash()
                if outcome != _YIELD:
                    return outcome
                yield from core.sleep_ms(0)
        except OSError as error:
            return error.errno
        except MemoryError:
            return _ENOMEM
        finally:
            s.attach(None)
            if buffer:
                self._buffers.append(buffer)
            self._close_file(s, 0)

    # async
    def _connect(self, s):
        # Gives the data socket, or None.
        listener = s.listener
        if s.verdict is not None:
            return None
        if listener:
            while s.verdict is None:
                try:
                    data, address = listener.accept()
                except OSError as error:
                    if error.errno != _EAGAIN:
                        return None
                    yield core._io_queue.queue_read(listener)
                    continue
                if s.accepts(address):
                    return data
                data.close()
            return None
        address = socket.getaddrinfo(*s.dial, 0, socket.SOCK_STREAM)[0]
        data = socket.socket(*address[:3])
        try:
            data.setblocking(False)
            try:
                data.connect(address[-1])
            except OSError:
                # Under way. Asked again when the socket is ready, connect says "already connected", or why not.
                yield core._io_queue.queue_write(data)
                if s.verdict is None:
                    try:
                        data.connect(address[-1])
                    except OSError as error:
                        if error.errno not in _EISCONN:
                            raise
            return data
        except OSError:
            data.close()

    # async
    def _transfer(self, s, path):
        end = _NO_CONNECTION
        buffer = sock = None
        try:
            s.data = sock = yield from self._connect(s)
            self._unlisten(s)
            if sock and s.verdict is None:
                sock.setblocking(False)
                if s.private:
                    s.data = self._tls.wrap(sock)
                buffer = self._take_buffer()
                s.attach(buffer)
                start = core.ticks()
                self._event("transfer_start", s, path, transfer=s.transfer)
                while s.verdict is None:
                    end = s.pump()
                    if end == _WAIT_READ:
                        yield core._io_queue.queue_read(s.data)
                    elif end == _WAIT_WRITE:
                        yield core._io_queue.queue_write(s.data)
                    elif end == _YIELD:
                        yield from core.sleep_ms(0)
                    else:
                        break
                end = end - _ENDED if s.verdict is None else s.verdict
            elif s.verdict is not None:
                end = s.verdict
        except Exception as error:
            end = _LOCAL_ERROR
            if s.data is not sock and isinstance(error, (OSError, ValueError)):
                # The TLS handshake failed, and TLS has let go of the socket.
                end = _NEGOTIATION
                s.data = sock
            else:
                sys.print_exception(error)
        finally:
            s.attach(None)
            if buffer:
                self._buffers.append(buffer)
            if s.data:
                s.data.close()
                s.data = None
            self._unlisten(s)
            end = self._close_file(s, end)
            if self.on_event and buffer:
                seconds = core.ticks_diff(core.ticks(), start) / 1000
                self._event(
                    "transfer_end", s, path, transfer=s.transfer, bytes=s.moved, seconds=seconds, complete=not end
                )
            s.job = None
            s.finish(end)
            _wake(s.task)

    def _take_buffer(self):
        if self._buffers:
            return self._buffers.pop()
        size = self.transfer_buffer_size
        if not size:
            # An eighth of what is free, as a power of two.
            size = 512
            free = gc.mem_free() // 8
            while size < 262144 and size * 2 <= free:
                size *= 2
        while True:
            try:
                return bytearray(size)
            except MemoryError:
                if size <= 512:
                    raise
                size //= 2


class FTPd(FTPdLite):
    """The original's second class: as FTPdLite, but on 127.0.0.1 by default, and without an account that nobody added."""

    _host = "127.0.0.1"
    _default_account = None
