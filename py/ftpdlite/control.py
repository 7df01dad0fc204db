# One control connection: its task, its login, and the actions that the core asks for.
import os
from micropython import const

from .data import _begin, _cut, _listen, _unlisten
from .files import _close_file, _open_list, _trim_buffers
from .tasks import _complain, _errno_of, _firmly, _once, _queued, _say, _tell, _wake, core, native

# What Session.step() asks for: the same numbers as in src/native and src/protocol.
_CLOSE = const(0)
_WAIT_READ = const(1)
_WAIT_WRITE = const(2)
_YIELD = const(3)
_WAIT = const(4)
_START_TLS = const(7)
_LOGIN = const(8)
_RESET = const(9)
_MAKE_DIRECTORY = const(11)
_REMOVE_DIRECTORY = const(12)
_REMOVE_FILE = const(13)
_RENAME_FROM = const(14)
_RENAME = const(15)
_PASSIVE = const(16)
_UNLISTEN = const(17)
_OPEN_READ = const(18)
_OPEN_LIST = const(21)
_PASSIVE_IPV4 = const(22)
_ABORT = const(23)
_CLOSE_FILE = const(24)
_SPACE = const(26)
_WHO = const(30)
_HASH_PASSWORD = const(31)
_HASH = const(34)
_CHECKSUM = const(36)

_ABORTED = const(5)

# Why a session is dismissed.
_BLOCKED = const(4)

# What an account may do.
_READ = const(1)
_ALL = const(63)

_EPERM = const(1)
_EACCES = const(13)
_EUSERS = const(87)

# How many failed logins an address has while somebody guesses at an account: as many as one connection has.
_FEW = const(3)


# async
def _control(server, s, sock):
    stepping = lost = False
    try:
        action = s.step(None)
        while action != _CLOSE:
            outcome = None
            if action <= _WAIT_WRITE:
                if _queued(s, action == _WAIT_WRITE):
                    yield
                else:
                    yield from core.sleep_ms(50)
            elif action <= _WAIT:
                yield from core.sleep_ms(0 if action == _YIELD else 20)
            else:
                try:
                    if action == _PASSIVE or action == _PASSIVE_IPV4:
                        outcome = _listen(server, s, action == _PASSIVE_IPV4)
                    elif _OPEN_READ <= action <= _OPEN_LIST and (action < _OPEN_LIST or s.transfer):
                        outcome = _begin(server, s, action)
                    elif action == _LOGIN:
                        outcome = yield from _log_in(server, s)
                    elif action == _HASH or action == _CHECKSUM:
                        outcome = yield from _once("site").digest(server, s, action == _CHECKSUM)
                    elif action == _HASH_PASSWORD:
                        outcome = yield from _once("hashpass", True).make(s.text)
                    else:
                        outcome = _act(server, s, action)
                except (OSError, MemoryError) as error:
                    outcome = _errno_of(error)
                except AttributeError as error:
                    # So a file system says that it cannot do that. Of another action it is a fault of ours.
                    if not _MAKE_DIRECTORY <= action <= _RENAME and action != _SPACE:
                        raise
                    outcome = _errno_of(error)
                if outcome == _EACCES and action >= _MAKE_DIRECTORY:
                    outcome = _once("site").find(s, action)
            began = _OPEN_READ <= action <= _OPEN_LIST
            stepping = True
            action = s.step(outcome)
            stepping = False
            if began and action == _WAIT_READ and s.data and not server._tls:
                # The transfer runs its first share at once, within this task: a small one is over without a switch of tasks. With TLS it does not, because a
                # handshake needs much stack.
                job = s.job
                core._task_queue.remove(job)
                core.cur_task = job
                try:
                    job.coro.send(None)
                except StopIteration:
                    pass
                finally:
                    core.cur_task = s.task
                    # A task that has ended still knows what it had.
                    job = None
                if not s.job:
                    action = s.step(None)
    except Exception as error:
        if stepping and s.sock is not sock and isinstance(error, (OSError, ValueError)):
            # TLS has let go of the socket.
            lost = True
            _say(server, "INFO: TLS handshake failed: %s", error)
        elif not isinstance(error, OSError):
            _complain(error)
    finally:
        # Each session ends here.
        _forget(server, s)
        _unlisten(s)
        if s.job:
            _cut(s, _ABORTED)
        else:
            _close_file(server, s, _ABORTED)
        _firmly(sock if lost else s.tls or s.sock)
        _trim_buffers(server, max(1, len(server.sessions)))
        _report(server, s, True)


def _report(server, s, done):
    # Tells the log and the program that a session begins or has ended. The line is made as bytes: a str is looked for among all names.
    try:
        if done:
            _say(server, b"INFO: Session disconnected: %s@%s", (s.user or "-", s.peer[0]))
        else:
            _say(server, b"INFO: Connection from client: %s:%d", s.peer)
    except MemoryError:
        pass
    if server.on_event:
        _tell(server, "disconnect" if done else "connect", s)


# async
def _log_in(server, s):
    start = core.ticks()
    outcome = yield from _login(server, s)
    if outcome == _EACCES:
        try:
            _once("failures").add(server, s)
        except Exception:
            # Without memory the session ends, so that every guess is counted.
            s.dismiss(_BLOCKED)
        _tell(server, "login_failed", s)
        yield from core.sleep_ms(server.login_delay - core.ticks_diff(core.ticks(), start))
    elif server.on_event and not isinstance(outcome, int):
        _tell(server, "login", s)
    return outcome


def _act(server, s, action):
    # Does the one thing; returns the outcome.
    if action == _START_TLS:
        s.tls = server._tls.wrap(s.sock)
        _unlisten(s)
    elif action == _OPEN_LIST:
        _open_list(s)
    elif action == _ABORT:
        _cut(s, _ABORTED)
    elif action == _CLOSE_FILE:
        _close_file(server, s, _ABORTED)
    elif action == _UNLISTEN or action == _RESET:
        _unlisten(s)
    elif action == _MAKE_DIRECTORY:
        path = s.path
        error = _firmly(os.mkdir, path)
        if error:
            return error
        _tell(server, "mkdir", s, path)
    elif action == _REMOVE_DIRECTORY:
        path = s.path
        try:
            os.rmdir(path)
        except OSError as error:
            # There may be unfinished uploads in it, which no client sees.
            error = _once("sweep").remove(server, path, _errno_of(error))
            if error:
                return error
        _tell(server, "rmdir", s, path)
    elif action == _REMOVE_FILE:
        path = s.path
        os.remove(path)
        _tell(server, "delete", s, path)
    elif action == _RENAME_FROM:
        s.old_path = s.path
    elif action == _RENAME:
        return _once("renaming").rename(server, s, s.old_path, s.path)
    elif action == _WHO:
        return server.sessions
    else:
        return _once("site").act(server, s, action)


def _dismiss(s, code):
    s.dismiss(code)
    _wake(s.task)


def _forget(server, s):
    server._told = None
    try:
        server.sessions.remove(s)
    except MemoryError:
        # It is removed, but the list could not be made smaller.
        pass


# async
def _login(server, s):
    # Gives (permissions, home), or the errno of a refusal. A wrong password is compared with a secret of each kind, whether there is such a user or not, so
    # that the time tells nothing.
    user = s.user
    password = s.text
    home = server.root
    if server._failures and _is_locked(server, s.peer[0], user):
        s.dismiss(_BLOCKED)
        return _EPERM
    if _is_anonymous(server, user):
        return _admit(server, s, user, _READ, server.anonymous, None)
    if not server._entries and server.anonymous is None:
        return _admit(server, s, user, _ALL if user == "ftpadmin" else _READ, home, None)
    entries = server._entries
    kinds = []
    for i in range(2 * len(entries)):
        # First those of that name, then the others for their time.
        own = i < len(entries)
        name, secret, permissions, home, sessions = entries[i % len(entries)]
        if own and not native.same(user, name):
            continue
        # The algorithm and its rounds, which are what takes time.
        kind = secret.split("$")[1:3] if secret.startswith("$") else None
        if not own and kind in kinds:
            continue
        kinds.append(kind)
        if kind and secret.startswith(("$5a$", "$pbkdf2-sha256$")):
            right = yield from _once("hashpass", True).matches(native, password, secret)
        else:
            right = native.same(password, secret)
        if right and own:
            return _admit(server, s, user, permissions, home or server.root, sessions)
    return _EACCES


def _is_anonymous(server, user):
    # All such names are one account.
    return server.anonymous is not None and user.lower() in ("anonymous", "ftp", b"anonymous", b"ftp")


def _admit(server, s, user, permissions, home, sessions):
    most = min(sessions or 1000, server.max_per_user or 1000)
    anonymous = _is_anonymous(server, user)
    for other in server.sessions:
        if other is not s and other.logged_in:
            name = other.user
            if name == user or anonymous and _is_anonymous(server, name):
                most -= 1
    return (permissions, home.rstrip("/")) if most > 0 else _EUSERS


def _failures_of(server, key):
    count, until = server._failures.get(key, (0, 0))
    return count if server._uptime < until else 0


def _is_locked(server, peer, user=None):
    # Whether there were too many failed logins from the address; or at the account, if some of them came from the address.
    most = server.max_login_failures
    own = _failures_of(server, peer)
    return most and (
        own >= most or user is not None and own >= _FEW and _failures_of(server, "@%s" % user) >= most
    )
