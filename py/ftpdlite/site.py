# What is rare: the commands SITE, AVBL, MFMT and HASH, and why a file system denies something. Loaded for one command, and dropped afterwards.
import gc
import os
from micropython import const

from .control import _dismiss
from .files import _close_file, _folds, _give_buffer, _take_buffer
from .tasks import _firmly, _say, core

# How long a file is digested before other tasks run, in milliseconds, and how many bytes of it at once.
_SHARE = const(2)
_PIECE = const(2048)

_MAKE_DIRECTORY = const(11)
_OPEN_WRITE = const(19)
_OPEN_APPEND = const(20)
_SPACE = const(26)
_MEMORY = const(27)
_COLLECT = const(28)
_UPTIME = const(29)
_KICK = const(32)
_SHUTDOWN = const(33)
_SET_TIME = const(35)

# Why a session is dismissed.
_KICKED = const(1)

_ENOENT = const(2)
_EACCES = const(13)
_EINVAL = const(22)
_ENOSPC = const(28)
_ENOSYS = const(38)
_ECANCELED = const(125)


def act(server, s, action):
    """Does the one thing that the core asks for; returns the outcome."""
    if action == _SPACE:
        v = os.statvfs(s.path)
        return v[1] * v[4], v[1] * v[2]
    elif action == _MEMORY or action == _COLLECT:
        if action == _COLLECT:
            gc.collect()
        free = gc.mem_free()
        return free, free + gc.mem_alloc()
    elif action == _UPTIME:
        return (server._uptime,)
    elif action == _KICK:
        return (_kick(server, s.text),)
    elif action == _SHUTDOWN:
        core.create_task(_shutdown(server, s.text == "-r"))
    elif action == _SET_TIME:
        os.utime(s.path, (s.time, s.time))
    else:
        return _ENOSYS


def find(s, action):
    """The errno for what a file system has denied: FAT denies a new name when it has no room for it."""
    if action == _MAKE_DIRECTORY or _OPEN_WRITE <= action <= _OPEN_APPEND:
        path = action == _OPEN_WRITE and s.part or s.path
        if _firmly(os.stat, path) == _ENOENT and _firmly(_folds, path) == _EINVAL:
            return _ENOSPC
    return _EACCES


def digest(server, s, is_checksum):
    """The digest of a file, or the errno of what went wrong: a generator that lets other tasks run."""
    buffer = None
    try:
        # Machine code of the firmware, as the other one is.
        import binascii
        import hashlib

        buffer = _take_buffer(server)
        path = s.path
        s.claim(path, None)
        s.file = file = open(path, "rb")
        # Pieces no longer than a share of the time, on slow boards too.
        piece = memoryview(buffer)[:_PIECE]
        hasher = None if is_checksum else hashlib.sha256()
        found = 0
        start = core.ticks()
        while True:
            count = file.readinto(piece)
            if not count:
                return found.to_bytes(4, "big") if is_checksum else hasher.digest()
            if count < 0:
                # A file that is written in Python may say so what went wrong.
                return -count
            read = piece if count == len(piece) else piece[:count]
            if is_checksum:
                found = binascii.crc32(read, found)
            else:
                hasher.update(read)
            if core.ticks_diff(core.ticks(), start) >= _SHARE:
                yield from core.sleep_ms(0)
                # It reads what the client says, and tells whether that still waits.
                if not s.step(0):
                    return _ECANCELED
                start = core.ticks()
    finally:
        _give_buffer(server, buffer)
        _close_file(server, s, 0)


def _kick(server, user):
    count = 0
    for s in server.sessions:
        if s.logged_in and s.user == user or s.peer[0] == user:
            _dismiss(s, _KICKED)
            count += 1
    return count


async def _shutdown(server, reset):
    # The reply goes out first.
    await core.sleep_ms(50)
    await server.stop()
    try:
        import machine

        machine.reset() if reset else machine.deepsleep()
    except (ImportError, AttributeError):
        _say(server, "INFO: Server stopped.")
