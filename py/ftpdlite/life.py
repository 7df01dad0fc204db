# The server's life: new clients, the work of each second, and the end.
import gc
import socket
from micropython import const

from .control import _control, _dismiss, _forget, _is_locked, _report
from .data import _cut
from .files import _trim_buffers
from .tasks import _complain, _fill, _firmly, _is_linux, _next_connection, _once, _queued, _reserve, _say, _tell, _tune, _wake, core, native

_EAGAIN = const(11)
_SO_OOBINLINE = const(10)

# Why a session is dismissed.
_STOPPED = const(2)
_TOO_MANY = const(3)
_BLOCKED = const(4)
_DISPLACED = const(6)


# async
def _accept(server, listener):
    # Whatever happens to one connection, the server waits for the next one.
    while True:
        sock = None
        nap = 0
        try:
            sock, peer = _next_connection(listener)
            _welcome(server, sock, peer)
        except OSError as error:
            # Perhaps there is no socket left: give the sessions time to close some.
            nap = 0 if error.errno == _EAGAIN else 100
            if sock:
                _firmly(sock)
        except Exception as error:
            nap = 100
            _refuse(server, sock, error)
        # Other tasks run first, so that they go on even when many connections come. If the next connection is there already, the poller says so at once.
        if not nap:
            if _queued(listener, False):
                yield
                continue
            nap = 50
        yield from core.sleep_ms(nap)


def _welcome(server, sock, peer):
    # Makes a session of a connection. Raises MemoryError, and then there is none.
    _tune(sock)
    if _is_linux:
        try:
            # ABOR may come as urgent data. On other ports that is in line anyway.
            sock.setsockopt(socket.SOL_SOCKET, _SO_OOBINLINE, 1)
        except OSError:
            pass
    s = native.Session(server._hub, sock, peer, server.request_buffer_size)
    why = _objection(server, s)
    if why:
        s.dismiss(why)
        s.step(None)
        _firmly(sock)
        return
    server.sessions.append(s)
    try:
        s.task = core.create_task(_control(server, s, sock))
    except MemoryError:
        _forget(server, s)
        raise
    _report(server, s, False)


def _objection(server, s):
    # Why a newcomer cannot be served, or None. An idle session may lose its place to it. To ask for the peer takes long.
    if server._failures and _is_locked(server, s.peer[0]):
        return _BLOCKED
    if server.max_per_address:
        peer = s.peer[0]
        room = server.max_per_address
        for s in server.sessions:
            if s.peer[0] == peer:
                room -= 1
        if room <= 0:
            return _TOO_MANY
    if len(server.sessions) >= server.max_connections and not _displace(server):
        return _TOO_MANY


def _displace(server):
    # Ends the session that is idle longest, if it is idle for more than 2 s. Sessions without a login go first. Gives None when there was none.
    longest = None
    most = 2
    for s in server.sessions:
        idle = s.idle
        if idle > 2 and not s.job:
            idle += 0 if s.logged_in else 65536
            if idle > most:
                longest = s
                most = idle
    if longest:
        _dismiss(longest, _DISPLACED)
    return longest


def _refuse(server, sock, error):
    # There is no session, most likely because memory is out. So memory that can be spared is given back.
    if sock:
        try:
            sock.write(b"421 Not enough memory.\r\n")
        except Exception:
            pass
        _firmly(sock)
    _trim_buffers(server, 0)
    gc.collect()
    _displace(server)
    if not isinstance(error, MemoryError):
        _complain(error)
    elif server._warned != server._uptime:
        # Once a second is enough.
        server._warned = server._uptime
        _say(server, "WARNING: No memory for a session.")


# async
def _tick(server):
    last = core.ticks()
    past = 0
    while True:
        yield from core.sleep_ms(1000)
        now = core.ticks()
        past += core.ticks_diff(now, last)
        last = now
        server._uptime += past // 1000
        past %= 1000
        _fill(_reserve)
        for s in server.sessions:
            if s.job and s.data:
                _tell(server, "transfer_progress", s)
            what = s.tick()
            if what == 1:
                _wake(s.task)
            elif what:
                _cut(s, what - 1)
        if server._litter:
            # The number of seconds until the next search.
            server._litter -= 1
            if not server._litter:
                try:
                    core.create_task(_sweep(server))
                except MemoryError:
                    server._litter = 1


def _sweep(server):
    # A generator: finishes or removes the files of uploads that a power cut or a failing disc has left.
    return _once("sweep").sweep(server)


async def _stop(server, wait):
    # Ends every session, and after `wait` seconds the transfers that still run.
    stopped = server._stop_event
    if not stopped:
        return
    # Before anything is closed, because it may be no number.
    wait = max(0, int(wait * 20))
    tasks = server._tasks
    _cancel(server, tasks[:1])
    server._listener.close()
    for turn in range(wait + 20):
        for s in server.sessions:
            if turn >= wait or not s.job:
                _dismiss(s, _STOPPED)
        if not server.sessions:
            break
        await core.sleep_ms(50)
        if server._stop_event is not stopped:
            # Somebody else has stopped it meanwhile.
            return
    _cancel(server, tasks[1:])
    for s in server.sessions:
        s.task.cancel()
        if s.job:
            s.job.cancel()
    await core.sleep_ms(0)
    if server._stop_event is stopped:
        server._buffers.clear()
        server._stop_event = None
        stopped.set()


def _cancel(server, tasks):
    for task in tasks:
        # Ctrl-C has ended one of the tasks, and asyncio does not know that.
        if task is not core.cur_task and task is not server._interrupted:
            task.cancel()
