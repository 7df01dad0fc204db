# What all rooms need: how tasks wait, how things end when memory is out, and the log. Tasks are generators that yield to asyncio's I/O queue, as
# asyncio's own streams do, so that waiting allocates nothing. Any allocation can fail. So the code that ends a task, a transfer or a session uses functions
# of this file, which need no new memory.
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

_EPERM = const(1)
_EIO = const(5)
_ENOMEM = const(12)
# How many words of memory are kept for what must not fail.
_SPARE = const(48)
# How many words a socket takes at most: 15 on modlwip.
_SOCKET = const(16)
# select.POLLIN and POLLOUT: the numbers of MicroPython's streams, the same on every port.
_POLL_IN = const(1)
_POLL_OUT = const(4)

_is_linux = sys.platform == "linux"
# Each socket module numbers its options itself, and some warn of a number that they do not know.
IPPROTO_TCP = getattr(socket, "IPPROTO_TCP", 6)
TCP_NODELAY = getattr(socket, "TCP_NODELAY", 1 if _is_linux else 0)

# Memory for what must not fail. The ticker fills it, and clearing the list gives the memory back at once.
_reserve = []
# The same for a socket.
_spare = []
# The same for a stream that the poller knows half. No stream is given to the poller without it.
_kept = []
# How many streams the poller has room for.
_peak = 0
# Built-in functions are found last, after a search of some 700 instructions. These two are called all the time.
_len = len
_id = id


def _once(name, keeps=False):
    # A part of the shim that is loaded when it is needed. It is dropped after its use, unless `keeps` is True.
    path = "ftpdlite." + name
    try:
        # An import is slow, even of a module that is loaded.
        module = sys.modules.get(path) or __import__(path, None, None, (name,))
    except Exception:
        # Otherwise the next import would take what is left of it for the module.
        sys.modules.pop(path, None)
        raise
    if not keeps:
        for names, name in ((sys.modules, path), (sys.modules["ftpdlite"].__dict__, name)):
            # A dict may keep the value of a deleted entry. So the value is replaced first.
            names[name] = None
            del names[name]
    return module


# While modlwip makes, binds or opens a socket, lwIP may run in an interrupt, and both may take the same connection. So interrupts wait meanwhile. See
# docs/ports.md. Elsewhere there is nothing to do, and bool() does nothing.
acquire = release = bool
# Only modlwip has this function. With MicroPython 1.23 an RP2040 that uses both cores would stand still.
if hasattr(socket, "print_pcbs") and sys.implementation[1] >= (1, 24):
    try:
        from machine import disable_irq as acquire, enable_irq as release
    except ImportError:
        pass

native = _once("choice").load(getattr(sys.implementation, "_mpy", 0))


def _wake(task):
    # A task that waits for I/O goes on at once.
    queue = core._io_queue
    if task and task.data is queue:
        queue.remove(task)
        core._task_queue.push(task)


def _fill(items):
    # Keeps memory in a list. True when there was too little. It adds many words at a time, because each append costs 900 instructions.
    try:
        while _len(items) < _SPARE:
            items.extend(_reserve or items or range(12))
    except MemoryError:
        return True


def _queued(stream, write):
    # Lets the running task wait for a stream. False when there is no memory for that; then the task must sleep for a while. It does what IOQueue's own methods
    # do, in half the time.
    global _peak
    queue = core._io_queue
    try:
        if not _kept:
            _kept.extend(range(12))
        if _len(queue.map) >= _peak:
            # The poller's tables of all streams will grow. There must be memory for that before it begins. Clearing a list gives its memory back at once.
            # From the fifth stream on, the Unix port needs more than memory.
            ([None] * (26 + 4 * _len(queue.map))).clear()
            _peak = _once("poller").extend(queue) if _is_linux and _len(queue.map) > 3 else _len(queue.map) + 1
        # An address above 1 GiB is a large integer of 32-bit ports, which takes memory. It is made before the map changes.
        queue.map[_id(stream)] = [None, core.cur_task, stream] if write else [core.cur_task, None, stream]
        queue.poller.register(stream, _POLL_OUT if write else _POLL_IN)
    except MemoryError:
        if not _rescued(stream, write):
            return False
    core.cur_task.data = queue
    return True


def _rescued(stream, write):
    # There was no memory for a stream in the poller. Returns True if the task waits for it nevertheless.
    queue = core._io_queue
    for key in queue.map:
        if queue.map[key][2] is stream:
            break
    else:
        return False
    # The stream is half registered, and the next poll would crash the firmware. What the poller needs now is small, and memory was kept for it.
    while True:
        gc.collect()
        try:
            _reserve.clear()
            _kept.clear()
            queue.poller.register(stream, _POLL_OUT if write else _POLL_IN)
            return True
        except MemoryError:
            time.sleep_ms(10)


def _firmly(function, path=None, target=None):
    # Closes a socket or a file, or calls a function with paths. When memory is out, it collects garbage and tries once more. Gives the errno, or 0.
    for _ in (0, 1):
        try:
            if path is None:
                function.close()
            elif target is None:
                function(path)
            else:
                function(path, target)
            return 0
        except MemoryError:
            gc.collect()
        # Two classes in one line would be a tuple, which takes memory.
        except OSError as error:
            return _errno_of(error)
        except AttributeError as error:
            return _errno_of(error)
        except Exception as error:
            _complain(error)
            return _EIO
    return _ENOMEM


def _errno_of(error):
    # The errno of an OSError or of a MemoryError. An OSError has no number when there was no memory for it. An AttributeError says that a file system
    # cannot do that at all: VfsRom has no mkdir.
    if isinstance(error, AttributeError):
        return _EPERM
    if isinstance(error, MemoryError) or error.errno is None:
        return _ENOMEM
    return error.errno if isinstance(error.errno, int) and error.errno else _EIO


def _complain(error):
    # Prints a fault of ours or of the program's. It ends the session in which it happened, and nothing else.
    if not isinstance(error, MemoryError):
        try:
            sys.print_exception(error)
        except Exception:
            pass


def _tune(sock):
    # Small pieces must not wait until the piece before them is acknowledged.
    sock.setblocking(False)
    if TCP_NODELAY:
        try:
            sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        except Exception:
            pass


def _make_sure():
    # Makes sure that there is memory for one socket: takes some and frees it again, or frees what was kept. Clearing a list gives its memory back at once. The
    # collector looks for memory from the last freed place on: what was kept lies far from the free memory, so freeing it makes the next allocations slow.
    # If it raises MemoryError, no socket may be made.
    try:
        # Two pieces are found much sooner than one of their length. A socket is shorter than one of them.
        first = [None] * _SOCKET
        second = [None] * _SOCKET
        first.clear()
        second.clear()
    except MemoryError:
        if _fill(_spare):
            raise
        _spare.clear()


def _next_connection(listener):
    # accept(), with memory for it: when it fails in the middle, the connection is lost for good.
    _make_sure()
    try:
        return listener.accept()
    finally:
        if not _spare:
            _fill(_spare)


def _say(server, line, value=None):
    # A line of the log, with a value in it. Texts of clients are in there too, and must not change the state of a terminal.
    try:
        if value is not None:
            line = line % value
        (server.log or print)(native.shown(line))
    except Exception as error:
        _complain(error)


def _tell(server, kind, s, path=None, old_path=None, end=None, start=0):
    # Tells the program what happened, if it wants to know (events.py).
    if server.on_event:
        try:
            _once("events", True).tell(server, kind, s, path, old_path, end, start)
        except Exception as error:
            _complain(error)
