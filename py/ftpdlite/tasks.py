# What all rooms need: how tasks wait, what ends things when memory is out, and the log. Tasks are generators that yield to asyncio's I/O queue, as
# asyncio's own streams do, so that waiting allocates nothing. Any allocation can fail: what ends a task, a transfer or a session goes through functions
# here that need no memory of their own.
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

_EIO = const(5)
_ENOMEM = const(12)
# Words of memory that are kept for what must not fail.
_SPARE = const(48)

_is_linux = sys.platform == "linux"
# Each socket module numbers its options itself, and some warn of a number that they do not know.
_IPPROTO_TCP = getattr(socket, "IPPROTO_TCP", 6)
_TCP_NODELAY = getattr(socket, "TCP_NODELAY", 1 if _is_linux else 0)

# Memory for what must not fail: the ticker keeps it, and to clear it gives it back at once.
_reserve = []
# The same for a socket.
_spare = []
# How many streams the poller has known at once.
_peak = 0


def _once(name, keeps=False):
    # A part of the shim that is loaded when it is needed, and let go again after its use, if nobody keeps it.
    path = "ftpdlite." + name
    try:
        module = __import__(path, None, None, (name,))
    except Exception:
        # Else what is left of it would be taken for the module.
        sys.modules.pop(path, None)
        raise
    if not keeps:
        for names, name in ((sys.modules, path), (sys.modules["ftpdlite"].__dict__, name)):
            # What is only taken out of a dict may still be held by it.
            names[name] = None
            del names[name]
    return module


native = _once("choice").load(getattr(sys.implementation, "_mpy", 0))


def _wake(task):
    # A task that waits for I/O goes on at once.
    queue = core._io_queue
    if task and task.data is queue:
        queue.remove(task)
        core._task_queue.push(task)


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


def _firmly(what, first=None, second=None):
    # Closes a socket or a file, or calls a function with paths: once more with the garbage gone when memory fails. Gives the errno, or 0.
    for _ in (0, 1):
        try:
            if first is None:
                what.close()
            elif second is None:
                what(first)
            else:
                what(first, second)
            return 0
        except MemoryError:
            gc.collect()
        except OSError as error:
            return _errno_of(error)
        except Exception as error:
            _complain(error)
            return _EIO
    return _ENOMEM


def _errno_of(error):
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


def _make_sure():
    # Frees what was kept, for one socket. Raises MemoryError, and then a socket must not be asked for.
    _fill(_spare)
    _spare.clear()


def _next_connection(listener):
    # accept(), with memory that is kept for it: where it fails in the middle, the connection is lost for good. To clear a list gives its memory back at once.
    _make_sure()
    try:
        return listener.accept()
    finally:
        try:
            _fill(_spare)
        except MemoryError:
            pass


def _say(server, line, value=None):
    # A line of the log, with a value in it. What clients send is in there too, and is not to do anything to a terminal.
    try:
        if value is not None:
            line = line % value
        (server.log or print)(native.shown(line))
    except Exception as error:
        _complain(error)


def _tell(server, kind, s, path=None, old_path=None, end=None, start=0):
    # Tells the program, if it wants that (events.py).
    if server.on_event:
        try:
            _once("events", True).tell(server, kind, s, path, old_path, end, start)
        except Exception as error:
            _complain(error)
