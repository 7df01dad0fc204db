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
_PASSIVE_IPV4 = const(22)
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
_DISPLACED = const(6)

# What an account may do.
_READ = const(1)
_ALL = const(63)

_EPERM = const(1)
_ENOENT = const(2)
_EIO = const(5)
_EAGAIN = const(11)
_ENOMEM = const(12)
_EACCES = const(13)
_ENOSPC = const(28)
_ENOSYS = const(38)
_ENOTEMPTY = const(39)
_EISDIR = const(21)
_EUSERS = const(87)
_EADDRINUSE = const(98)
# What connect() says of a connection that stands, and of one that is under way: by the numbers of Linux and of newlib.
_STANDS = (106, 127)
_UNDER_WAY = (11, 114, 115, 119, 120)
_DIRECTORY = const(0x4000)
_SO_OOBINLINE = const(10)

_is_linux = sys.platform == "linux"
# Each socket module numbers its options itself, and some warn of a number that they do not know.
_IPPROTO_TCP = getattr(socket, "IPPROTO_TCP", 6)
_TCP_NODELAY = getattr(socket, "TCP_NODELAY", 1 if _is_linux else 0)
# Sessions at the same time, as the network stack allows: lwIP has five connections on most boards, ten sockets on an ESP32.
_MOST = 32 if sys.platform in ("linux", "darwin") else 4 if sys.platform == "esp32" else 2
# Failed logins that an address has left while somebody guesses at an account: one connection's.
_FEW = const(3)
# Words of memory that are kept for what must not fail.
_SPARE = const(48)
# Addresses and accounts whose failed logins are remembered.
_REMEMBERED = const(64)


def _once(name):
    # A part of the shim that is let go again after its use.
    path = "ftpdlite." + name
    module = __import__(path, None, None, (name,))
    sys.modules.pop(path, None)
    globals().pop(name, None)
    return module


native = _once("choice").load(getattr(sys.implementation, "_mpy", 0))
__version__ = native.version


# Any allocation can fail. What ends a task, a transfer or a session goes through the functions below, which need no memory of their own.


def _wake(task):
    # A task that waits for I/O goes on at once.
    queue = core._io_queue
    if task and task.data is queue:
        queue.remove(task)
        core._task_queue.push(task)


# Memory for what must not fail: the ticker keeps it, and to clear it gives it back at once.
_reserve = []
# How many streams the poller has known at once.
_peak = 0


def _fill(spare):
    # Keeps memory in a list. Raises MemoryError.
    while len(spare) < _SPARE:
        spare.append(None)


def _queued(stream, writes):
    # Has the running task wait for a stream. False without memory for that: then the task is to sleep for a while.
    global _peak
    queue = core._io_queue
    try:
        count = len(queue.map) + 1
        if count > _peak:
            # The poller's table of all streams grows. There is to be memory for that before it begins.
            bytearray(192 + 16 * count)
            _peak = count
        if writes:
            queue.queue_write(stream)
        else:
            queue.queue_read(stream)
        return True
    except MemoryError:
        for key in queue.map:
            if queue.map[key][2] is stream:
                break
        else:
            return False
    # The poller knows half of it, and would take the firmware down when it polls. What it wants now is small, and kept for it.
    while True:
        gc.collect()
        try:
            _reserve.clear()
            queue.poller.register(stream, core.select.POLLOUT if writes else core.select.POLLIN)
            core.cur_task.data = queue
            return True
        except MemoryError:
            time.sleep_ms(10)


def _firmly(first, second=None):
    # Closes a socket or a file, removes the file of a path, or renames it to the second: once more with the garbage gone when memory fails. Gives the errno, or 0.
    for _ in (0, 1):
        try:
            if second:
                os.rename(first, second)
            elif hasattr(first, "close"):
                first.close()
            else:
                os.remove(first)
            return 0
        except MemoryError:
            gc.collect()
        except OSError as error:
            return _number(error)
        except Exception as error:
            _complain(error)
            return _EIO
    return _ENOMEM


def _error_of(sock):
    # The errno of a connection that is said to be under way though its socket was ready, or 0 when it stands. modlwip says so when the other end has closed its
    # half already, and of one that was refused.
    try:
        sock.send(b"")
        return 0
    except OSError as error:
        return _number(error)


def _number(error):
    # The errno of an OSError, which has none when there was no memory for it, or that of a MemoryError.
    if isinstance(error, MemoryError) or error.errno is None:
        return _ENOMEM
    return error.errno if isinstance(error.errno, int) and error.errno else _EIO


def _complain(error):
    # Of a fault of ours or of the program's, which costs the session that met it, and nothing else.
    if not isinstance(error, MemoryError):
        try:
            sys.print_exception(error)
        except Exception:
            pass


def _tune(sock):
    # What is small is not to wait for the acknowledgement of what went before.
    sock.setblocking(False)
    if _TCP_NODELAY:
        try:
            sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        except (OSError, ValueError):
            pass


class FTPdLite:
    """An FTP server (RFC 959, 2389, 2428, 3659, 4217).

    host: address to listen on; default "0.0.0.0", all of them.
    port: TCP port of the control connection, 1 to 65535; default 21.
    server_name: what the greeting says.
    pasv_port_range: a range of TCP ports for passive data connections.
    request_buffer_size: bytes of each session's line buffer, 512 (the longest line) to 8192; smaller values mean 512.
    max_connections: sessions at the same time; default is as the network stack allows: 32 on the Unix port, 4 on ESP32, 2 elsewhere. One more takes the
    place of the session that is idle longest, if one is for more than 2 s, and is refused else.
    root: the folder that clients see as "/".
    masquerade_address: IPv4 address that PASV announces, for servers behind NAT; default is the address the client reached.
    allow_foreign_data: True lets PORT and EPRT name other hosts than the client, and others connect to passive ports.
    idle_timeout, data_timeout, stall_timeout: seconds until a session without commands, a data connection that is not made,
    one that stands still is ended; 0 is never. Defaults 300, 10, 60.
    login_timeout: seconds from the connection until the login must be complete; 0 is never. Default 30.
    login_delay: milliseconds that a failed login waits for its answer.
    max_login_failures: failed logins from one address until it is refused for `lockout` seconds after the last; 0 is never. So many of one
    account, from wherever, and each address that has 3 of its own is refused that account. Defaults 10, 300.
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
        max_connections=None,
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
        login_timeout=30,
    ):
        self.host = host
        self.port = port
        self.server_name = server_name
        self.pasv_port_range = pasv_port_range
        self.request_buffer_size = request_buffer_size
        self.max_connections = _MOST if max_connections is None else max_connections
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
        self.login_timeout = login_timeout
        self.sessions = []
        self._accounts = []
        self._credentials = False
        self._stop_event = None
        self._buffers = []
        self._spare = []
        self._litter = False
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
        if self._is_locked(s.peer[0], user):
            s.dismiss(_BLOCKED)
            return _EPERM
        if self._is_anonymous(user):
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

    def _is_anonymous(self, user):
        # All such names are one account.
        return self.anonymous is not None and user.lower() in ("anonymous", "ftp", b"anonymous", b"ftp")

    def _admit(self, s, user, permissions, home, sessions):
        most = min(sessions or 1000, self.max_per_user or 1000)
        anonymous = self._is_anonymous(user)
        for other in self.sessions:
            if other is not s and other.logged_in:
                name = other.user
                if name == user or anonymous and self._is_anonymous(name):
                    most -= 1
        return (permissions, home.rstrip("/")) if most > 0 else _EUSERS

    # Failed logins are counted by address, and by account under "@" and its name. Only time makes them forgotten: who has an account is not to
    # guess at another's.

    def _failed(self, s):
        # Counts a failed login. Without memory for that the session ends, so that nobody guesses uncounted.
        try:
            for key in s.peer[0], "@%s" % s.user:
                failures = self._failures
                count = self._failures_of(key) + 1
                if key not in failures and len(failures) >= _REMEMBERED:
                    least = None
                    for other in failures:
                        if least is None or failures[other] < failures[least]:
                            least = other
                    del failures[least]
                failures[key] = count, self._uptime + self.lockout
        except MemoryError:
            s.dismiss(_BLOCKED)

    def _failures_of(self, key):
        count, until = self._failures.get(key, (0, 0))
        return count if self._uptime < until else 0

    def _is_locked(self, address, user=None):
        # Whether there were too many failed logins: from the address, or, if it has some of its own, at the account.
        most = self.max_login_failures
        own = self._failures_of(address)
        return most and (
            own >= most or user is not None and own >= _FEW and self._failures_of("@%s" % user) >= most
        )

    # -- life

    def _print(self, line, value=None):
        # A line of the log, with a value in it. What clients send is in there too, and is not to do anything to a terminal.
        try:
            if value is not None:
                line = line % value
            (self.log or print)(native.shown(line))
        except Exception as error:
            _complain(error)

    def _report(self, s, has_left):
        # Tells the log and the program that a session begins or has ended.
        try:
            if has_left:
                self._print("INFO: Session disconnected: %s@%s", (s.user or "-", s.peer[0]))
            else:
                self._print("INFO: Connection from client: %s:%d", s.peer)
        except MemoryError:
            pass
        self._event("disconnect" if has_left else "connect", s)

    def _event(self, kind, s, path=None, old_path=None, end=None, start=0):
        # Tells the program. `end` and `start` are a transfer's: its end, and when it began in milliseconds.
        if self.on_event:
            try:
                info = {"user": s.user or None, "address": s.peer[0]}
                if path is not None:
                    info["path"] = path
                if old_path is not None:
                    info["old_path"] = old_path
                if kind.startswith("transfer_p"):
                    info["bytes"] = s.moved
                elif kind.startswith("transfer_"):
                    info["transfer"] = s.transfer
                if end is not None:
                    info["bytes"] = s.moved
                    info["seconds"] = core.ticks_diff(core.ticks(), start) / 1000
                    info["complete"] = not end
                self.on_event(kind, info)
            except Exception as error:
                _complain(error)

    async def start(self):
        """Listens and serves in tasks of the running event loop. Raises OSError when the address cannot be had."""
        if self._stop_event:
            raise RuntimeError("the server runs already")
        self._check()
        self._listener = listener = _once("startup").listen(self, native)
        self._uptime = 0
        self._warned = -1
        self._failures = {}
        from asyncio import Event

        self._tasks = tasks = []
        try:
            self._stop_event = Event()
            tasks.append(core.create_task(self._accept(listener)))
            tasks.append(core.create_task(self._tick()))
            # It ends by itself, and nobody is to hold its code then.
            core.create_task(self._sweep())
        except MemoryError:
            self._stop_event = None
            for task in tasks:
                task.cancel()
            _firmly(listener)
            raise
        self._print("Listening on %s:%d", (self._address, self.port))

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
        for s in self.sessions:
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
        # Whatever happens to one connection, the next one is waited for.
        while True:
            sock = None
            nap = 0
            try:
                sock, address = self._next_connection(listener)
                self._welcome(sock, address)
            except OSError as error:
                # Out of sockets, perhaps: let the sessions end some.
                nap = -1 if error.errno == _EAGAIN else 100
                if sock:
                    _firmly(sock)
            except Exception as error:
                nap = 100
                self._refuse(sock, error)
            if nap < 0:
                if _queued(listener, False):
                    yield
                    continue
                nap = 50
            # The others come first, so that a flood of connections starves nobody.
            yield from core.sleep_ms(nap)

    def _next_connection(self, listener):
        # accept(), with memory that is kept for it: where it fails in the middle, the connection is lost for good. To clear a list gives its memory back at once.
        self._make_sure()
        try:
            return listener.accept()
        finally:
            try:
                _fill(self._spare)
            except MemoryError:
                pass

    def _make_sure(self):
        # Frees what was kept, for one socket. Raises MemoryError, and then a socket must not be asked for.
        _fill(self._spare)
        self._spare.clear()

    def _welcome(self, sock, address):
        # Makes a session of a connection. Raises MemoryError, and then there is none.
        _tune(sock)
        if _is_linux:
            try:
                # ABOR may come as urgent data, which elsewhere is in line anyway.
                sock.setsockopt(socket.SOL_SOCKET, _SO_OOBINLINE, 1)
            except OSError:
                pass
        s = native.Session(self._hub, sock, address, self.request_buffer_size)
        why = self._objection(s.peer[0])
        if why:
            s.dismiss(why)
            s.step(None)
            _firmly(sock)
            return
        self.sessions.append(s)
        try:
            s.task = core.create_task(self._control(s, sock))
        except MemoryError:
            self._forget(s)
            raise
        self._report(s, False)

    def _objection(self, address):
        # Why a newcomer from there cannot be served, or None. A session that is idle may have to go for it.
        if self._is_locked(address):
            return _BLOCKED
        if self.max_per_address:
            room = self.max_per_address
            for s in self.sessions:
                if s.peer[0] == address:
                    room -= 1
            if room <= 0:
                return _TOO_MANY
        if len(self.sessions) >= self.max_connections and not self._displace():
            return _TOO_MANY

    def _displace(self):
        # Ends the session that is idle longest, and is so for more than 2 s: who is not logged in goes first. Whether there was one.
        longest = None
        most = 2
        for s in self.sessions:
            idle = s.idle
            if idle > 2 and not s.job:
                idle += 0 if s.logged_in else 65536
                if idle > most:
                    longest = s
                    most = idle
        if longest:
            self._dismiss(longest, _DISPLACED)
        return longest

    def _refuse(self, sock, error):
        # There is no session, most likely for want of memory: that which can be done without is given back.
        if sock:
            try:
                sock.write(b"421 Not enough memory.\r\n")
            except Exception:
                pass
            _firmly(sock)
        self._trim_buffers(0)
        gc.collect()
        self._displace()
        if not isinstance(error, MemoryError):
            _complain(error)
        elif self._warned != self._uptime:
            # Once a second is enough.
            self._warned = self._uptime
            self._print("WARNING: No memory for a session.")

    def _sweep(self):
        # Removes what uploads left that the board's power was cut from, or that could not be removed at their end: a generator.
        return _once("sweep").sweep(self, native)

    # async
    def _tick(self):
        last = core.ticks()
        past = 0
        while True:
            yield from core.sleep_ms(1000)
            now = core.ticks()
            past += core.ticks_diff(now, last)
            last = now
            self._uptime += past // 1000
            past %= 1000
            try:
                _fill(_reserve)
            except MemoryError:
                pass
            for s in self.sessions:
                if s.job and s.data:
                    self._event("transfer_progress", s)
                what = s.tick()
                if what == 1:
                    _wake(s.task)
                elif what:
                    self._cut(s, what - 1)
            if self._litter:
                self._litter = False
                try:
                    core.create_task(self._sweep())
                except MemoryError:
                    self._litter = True

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
                if action <= _WAIT_WRITE:
                    if _queued(s.sock, action == _WAIT_WRITE):
                        yield
                    else:
                        yield from core.sleep_ms(50)
                elif action <= _WAIT:
                    yield from core.sleep_ms(0 if action == _YIELD else 20)
                else:
                    try:
                        if action == _LOGIN:
                            outcome = yield from self._log_in(s)
                        elif action == _HASH:
                            outcome = yield from self._digest(s)
                        elif action == _HASH_PASSWORD:
                            from . import hashpass

                            outcome = yield from hashpass.make(native, s.text)
                        else:
                            outcome = self._act(s, action)
                    except (OSError, MemoryError) as error:
                        outcome = _number(error)
                stepping = True
                action = s.step(outcome)
                stepping = False
        except Exception as error:
            if stepping and s.sock is not sock and isinstance(error, (OSError, ValueError)):
                # TLS has let go of the socket.
                lost = True
                self._print("INFO: TLS handshake failed: %s", error)
            elif not isinstance(error, OSError):
                _complain(error)
        finally:
            # The place where each session ends.
            self._forget(s)
            self._unlisten(s)
            if s.job:
                self._cut(s, _ABORTED)
            else:
                self._close_file(s, _ABORTED)
            _firmly(sock if lost else s.tls or s.sock)
            self._trim_buffers(max(1, len(self.sessions)))
            self._report(s, True)

    def _forget(self, s):
        try:
            self.sessions.remove(s)
        except MemoryError:
            # It is removed, but the list could not be made smaller.
            pass

    # async
    def _log_in(self, s):
        start = core.ticks()
        outcome = yield from self._login(s)
        if outcome == _EACCES:
            self._failed(s)
            self._event("login_failed", s)
            yield from core.sleep_ms(self.login_delay - core.ticks_diff(core.ticks(), start))
        elif not isinstance(outcome, int):
            self._event("login", s)
        return outcome

    def _act(self, s, action):
        # Does the one thing; returns the outcome.
        if action == _STAT:
            return os.stat(s.path)
        elif action == _START_TLS:
            s.tls = self._tls.wrap(s.sock)
            self._unlisten(s)
        elif _OPEN_READ <= action <= _OPEN_LIST:
            if s.transfer:
                self._begin(s, action)
            else:
                self._open_list(s)
        elif action == _ABORT:
            self._cut(s, _ABORTED)
        elif action == _CLOSE_FILE:
            self._close_file(s, _ABORTED)
        elif action == _PASSIVE or action == _PASSIVE_IPV4:
            return self._listen(s, action == _PASSIVE_IPV4)
        elif action == _UNLISTEN or action == _RESET:
            self._unlisten(s)
        elif action == _MAKE_DIRECTORY:
            path = s.path
            os.mkdir(path)
            self._event("mkdir", s, path)
        elif action == _REMOVE_DIRECTORY:
            path = s.path
            try:
                os.rmdir(path)
            except OSError as error:
                # FAT says EACCES of a directory that is not empty.
                if error.errno == _EACCES and sum(1 for _ in os.ilistdir(path)):
                    return _ENOTEMPTY
                raise
            self._event("rmdir", s, path)
        elif action == _REMOVE_FILE:
            path = s.path
            os.remove(path)
            self._event("delete", s, path)
        elif action == _RENAME_FROM:
            s.old_path = s.path
        elif action == _RENAME:
            return self._rename(s, s.old_path, s.path)
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
            return (self._uptime,)
        elif action == _WHO:
            return self.sessions
        elif action == _KICK:
            return (self._kick(s.text),)
        elif action == _SHUTDOWN:
            core.create_task(self._shutdown(s.text == "-r"))
        else:
            return _ENOSYS

    def _rename(self, s, old, new):
        # File systems do not refuse to move a folder into itself, and some put a file in a folder's place.
        may_be_same = native.overlap(old, new)
        if may_be_same:
            error = _once("aliases").objection(native, old, new)
            if error:
                return error
        try:
            if old != new and os.stat(new)[0] & _DIRECTORY and not may_be_same:
                return _EISDIR
        except OSError as error:
            if error.errno != _ENOENT:
                raise
        if old != new:
            os.rename(old, new)
        self._event("rename", s, new, old)

    def _begin(self, s, action):
        # Begins a transfer, with all that it needs at hand before anything is opened or said: a buffer, a task, a socket.
        s.verdict = None
        buffer = self._take_buffer()
        sock = address = None
        try:
            if s.dial:
                try:
                    address = socket.getaddrinfo(*s.dial, 0, socket.SOCK_STREAM)[0]
                    self._make_sure()
                    sock = socket.socket(*address[:3])
                except OSError:
                    raise OSError(_EADDRINUSE)
                address = address[-1]
            path = self.on_event and s.path
            job = core.create_task(self._transfer(s, path, buffer, sock, address))
        except Exception:
            self._give_buffer(buffer)
            if sock:
                _firmly(sock)
            raise
        try:
            self._open(s, action)
        except Exception:
            core._task_queue.remove(job)
            self._give_buffer(buffer)
            if sock:
                _firmly(sock)
            self._close_file(s, _ABORTED)
            raise
        s.job = job
        if not sock and s.listener:
            try:
                # What comes before a connection is accepted may be late, or lost with it.
                self._accept_data(s)
            except MemoryError:
                pass
            except OSError as error:
                # An ESP32 without a socket for it has closed it: no other will come.
                if error.errno != _EAGAIN:
                    self._unlisten(s)

    def _open(self, s, action):
        if action == _OPEN_LIST:
            self._open_list(s)
        elif action == _OPEN_READ:
            s.file = open(s.path, "rb")
            if s.offset:
                s.file.seek(s.offset)
        elif action == _OPEN_APPEND:
            s.file = open(s.path, "ab")
        elif s.offset:
            s.file = open(s.path, "r+b")
            s.file.seek(s.offset)
        else:
            # Beside the old file until it is whole, if that is wanted.
            part = s.part
            path = s.path
            s.old_path = part or path
            s.file = open(s.old_path, "wb")
            s.new_path = path if part else ""

    def _open_list(self, s):
        path = s.path
        globbed = False
        try:
            directory = os.stat(path)[0] & _DIRECTORY
        except OSError:
            # A pattern is only what does not exist as a name.
            if not s.glob:
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
        try:
            s.list(names, int(time.time()), globbed)
        except MemoryError:
            names = None
            # It closes the directory.
            gc.collect()
            raise

    def _kick(self, who):
        count = 0
        for s in self.sessions:
            if s.logged_in and s.user == who or s.peer[0] == who:
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

    def _listen(self, s, ipv4):
        # A listener for the next data connection: (port, address), or the errno that no port could be had. The address is told for PASV alone.
        self._unlisten(s)
        ports = self.pasv_port_range
        for i in range(len(ports)):
            port = ports[(self._port_at + i) % len(ports)]
            self._make_sure()
            listener = socket.socket(self._family, socket.SOCK_STREAM)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(socket.getaddrinfo(self._address, port)[0][-1])
                # With less, modlwip forgets a connection that nobody has accepted when the listener closes, and its place is gone.
                listener.listen(2)
                listener.setblocking(False)
            except OSError:
                _firmly(listener)
                continue
            except MemoryError:
                _firmly(listener)
                raise
            s.listener = listener
            self._port_at = (self._port_at + i + 1) % len(ports)
            return port, ipv4 and (self.masquerade_address or self._own_address(s))
        return _EADDRINUSE

    def _own_address(self, s):
        # The address that the client reached, or "": sockets cannot tell it, so ask who can.
        address = self._address
        if native.is_ipv4(address) and address != "0.0.0.0":
            return address
        from . import interfaces

        address = interfaces.address_for(s.peer[0])
        if not address and _is_linux:
            from . import linux

            address = linux.local_address(self.port, *s.peer)
        return address

    def _unlisten(self, s):
        listener = s.listener
        s.listener = None
        if listener:
            _firmly(listener)

    def _close_file(self, s, end):
        # Closes what is open, and puts an upload into its place or removes it. Gives the transfer's end: that one, or a worse.
        file = s.file
        new_path = s.new_path
        s.file = s.new_path = None
        if s.list(None, None, False):
            # A directory that was not read to its end is closed by the GC.
            gc.collect()
        error = file and _firmly(file)
        if not error and new_path and not end:
            error = _firmly(s.old_path, new_path)
            if not error:
                new_path = None
        if error:
            end = _NO_SPACE if error == _ENOSPC else _LOCAL_ERROR
        # What was written in place stays for REST, unless it fills the file system.
        if new_path or new_path == "" and end == _NO_SPACE:
            if _firmly(s.old_path) not in (0, _ENOENT):
                self._litter = True
        if new_path is not None:
            s.old_path = None
        return end

    # async
    def _digest(self, s):
        # The digest of a file, or the errno of what went wrong.
        buffer = None
        try:
            buffer = self._take_buffer()
            s.file = open(s.path, "rb")
            s.attach(buffer)
            while True:
                outcome = s.hash()
                if outcome != _YIELD:
                    return outcome
                yield from core.sleep_ms(0)
        finally:
            s.attach(None)
            self._give_buffer(buffer)
            self._close_file(s, 0)

    def _accept_data(self, s):
        # Takes the data connection if it is there; others are closed. Raises OSError.
        sock, address = self._next_connection(s.listener)
        if s.accepts(address):
            _tune(sock)
            s.data = sock
        else:
            _firmly(sock)

    # async
    def _transfer(self, s, path, buffer, sock, address):
        # A transfer, with what _begin has made for it. `sock` and `address` are for an active data connection.
        end = _NO_CONNECTION
        start = -1
        ready = False
        try:
            if sock:
                _tune(sock)
            while not s.data and s.verdict is None and (sock or s.listener):
                try:
                    if sock:
                        # Asked again when the socket is ready, connect says that it stands, or why not.
                        sock.connect(address)
                        s.data = sock
                    else:
                        self._accept_data(s)
                    continue
                except (OSError, MemoryError) as error:
                    number = _number(error)
                    if sock and ready and number in _UNDER_WAY:
                        number = _error_of(sock)
                    if sock and (not number or number in _STANDS):
                        s.data = sock
                        break
                    # The first answer of connect may be nonsense: modlwip's is when the other end has closed its half already.
                    if number != _ENOMEM and number not in _UNDER_WAY and (ready or not sock):
                        break
                # Without memory, or ready for nothing and so again at once: after a while.
                if number == _ENOMEM or ready and sock:
                    yield from core.sleep_ms(20)
                    ready = False
                    continue
                ready = _queued(sock or s.listener, sock)
                if ready:
                    yield
                else:
                    yield from core.sleep_ms(50)
            if s.data and s.verdict is None:
                end = _LOCAL_ERROR
                self._unlisten(s)
                sock = s.data
                if s.private:
                    s.data = self._tls.wrap(sock)
                s.attach(buffer)
                start = core.ticks()
                self._event("transfer_start", s, path)
                while s.verdict is None:
                    what = s.pump()
                    if what <= _WAIT_WRITE:
                        if _queued(s.data, what == _WAIT_WRITE):
                            yield
                        else:
                            yield from core.sleep_ms(50)
                    elif what == _YIELD:
                        yield from core.sleep_ms(0)
                    else:
                        end = what - _ENDED
                        break
            if s.verdict is not None:
                end = s.verdict
        except Exception as error:
            if s.data and s.data is not sock and isinstance(error, (OSError, ValueError)):
                # The TLS handshake failed, and TLS has let go of the socket.
                end = _NEGOTIATION
                s.data = sock
            else:
                end = _LOCAL_ERROR
                if isinstance(error, MemoryError):
                    self._print("WARNING: No memory for a transfer.")
                _complain(error)
        finally:
            # The place where each transfer ends.
            try:
                s.attach(None)
                self._give_buffer(buffer)
                sock = s.data or sock
                s.data = None
                if sock:
                    _firmly(sock)
                self._unlisten(s)
                end = self._close_file(s, end)
                if start >= 0:
                    self._event("transfer_end", s, path, None, end, start)
            finally:
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

    def _give_buffer(self, buffer):
        if buffer:
            try:
                self._buffers.append(buffer)
            except MemoryError:
                pass
            self._trim_buffers(max(1, len(self.sessions)))

    def _trim_buffers(self, most):
        # There are no more buffers than sessions, but one for the next.
        while len(self._buffers) > most:
            try:
                self._buffers.pop()
            except MemoryError:
                # It is removed, but the list could not be made smaller.
                pass


class FTPd(FTPdLite):
    """The original's second class: as FTPdLite, but on 127.0.0.1 by default, and without an account that nobody added."""

    _host = "127.0.0.1"
    _default_account = None
