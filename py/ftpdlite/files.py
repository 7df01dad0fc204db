# Files: what a transfer reads or writes, and the buffers for that.
import gc
import os
import time
from micropython import const

from .tasks import _complain, _errno_of, _firmly, _once, _tell, core, native

_YIELD = const(3)
_OPEN_READ = const(18)
_OPEN_WRITE = const(19)
_OPEN_APPEND = const(20)
_OPEN_LIST = const(21)

_BROKEN = const(2)
_LOCAL_ERROR = const(3)
_NO_SPACE = const(4)

_ENOENT = const(2)
_EISDIR = const(21)
_ENOSPC = const(28)
_DIRECTORY = const(0x4000)


def _open_file(s, action):
    if action == _OPEN_LIST:
        _open_list(s)
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


def _open_list(s):
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


def _close_file(server, s, end):
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
            server._litter = True
    if new_path is not None:
        s.old_path = None
    return end


# async
def _digest(server, s):
    # The digest of a file, or the errno of what went wrong.
    buffer = None
    try:
        buffer = _take_buffer(server)
        s.file = open(s.path, "rb")
        s.attach(buffer)
        while True:
            outcome = s.hash()
            if outcome != _YIELD:
                return outcome
            yield from core.sleep_ms(0)
    finally:
        s.attach(None)
        _give_buffer(server, buffer)
        _close_file(server, s, 0)


def _rename(server, s, old, new):
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
    _tell(server, "rename", s, new, old)


def _take_buffer(server):
    if server._buffers:
        return server._buffers.pop()
    size = server.transfer_buffer_size
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


def _give_buffer(server, buffer):
    if buffer:
        try:
            server._buffers.append(buffer)
        except MemoryError:
            pass
        _trim_buffers(server, max(1, len(server.sessions)))


def _trim_buffers(server, most):
    # There are no more buffers than sessions, but one for the next.
    while len(server._buffers) > most:
        try:
            server._buffers.pop()
        except MemoryError:
            # It is removed, but the list could not be made smaller.
            pass
