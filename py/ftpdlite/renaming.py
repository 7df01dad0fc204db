# What RNTO does. Loaded for one rename, and dropped afterwards.
import os
from micropython import const

from .files import _firmly, _folds, _like, _look, _note, _replace, _write
from .tasks import _tell, core, native

_EPERM = const(1)
_ENOENT = const(2)
_EIO = const(5)
_ENOMEM = const(12)
_EACCES = const(13)
_ENOTDIR = const(20)
_EISDIR = const(21)
_EINVAL = const(22)
_ENOSPC = const(28)
_ELOOP = const(40)
_DIRECTORY = const(0x4000)


def rename(server, s, old, new):
    """Gives a file or a folder the name that a client wants. Gives the errno of what went wrong, or None. Raises OSError."""
    # File systems do not refuse to move a folder into itself, and some put a file in a folder's place.
    length = native.overlap(old, new)
    if length:
        whole = _bytes(new)
        is_inside = length < len(whole)
        if is_inside and not os.stat(old)[0] & _DIRECTORY or not _is_same(_bytes(old), whole[:length]):
            length = 0
        elif is_inside:
            return _ELOOP
    there = None
    if old != new:
        try:
            there = os.stat(new)
        except OSError as error:
            if error.errno != _ENOENT:
                raise
        if there and not length:
            if there[0] & _DIRECTORY:
                return _EISDIR
            # FAT would remove the file, and put the folder in its place.
            if os.stat(old)[0] & _DIRECTORY:
                return _ENOTDIR
        error = replace(server, old, new, there, length)
        if error:
            return error
    _tell(server, "rename", s, new, old)


def replace(server, old, new, replaces=None, is_same=0):
    """Renames so that a power cut does no harm. Gives the errno, or 0.

    replaces: whether there is a file of the new name. is_same: whether the file system may not tell the two names apart.
    """
    error = _firmly(_folds, old)
    if error != _EINVAL:
        if error != _ENOMEM:
            error = _firmly(os.rename, old, new)
            if error == _EIO:
                # LittleFS may have done half of it; the sweep mends that.
                server._litter = 1
        return error
    # The two may be in file systems of their own, between which nothing can be renamed. That must be known before the old file is removed. There is no
    # such folder, so nothing is renamed here.
    if replaces and not is_same and _firmly(os.rename, old, new + _like(new, b"/.")) == _EPERM:
        return _EPERM
    # FAT first removes the file that is replaced, and writes the new name before it removes the old one. A note tells the sweep what to do after a cut.
    start = new.rfind(_like(new, b"/")) + 1
    number = core.ticks()
    note = None
    while not note or not _firmly(os.stat, note):
        name = new[:start] + _like(new, b".ftpdlite-0-%d" % number)
        note = name + _like(new, b".to")
        number += 1
    error = _firmly(_write, note, _bytes(old) + (b"\0\0" if is_same else b"\0") + _bytes(new[start:]))
    if error == _EACCES:
        # So FAT says that the folder is full.
        error = _ENOSPC
    if error and (replaces or error != _ENOSPC):
        _firmly(_note, name)
        return error
    if is_same:
        # Over a third name, because both names are the same file.
        error = _firmly(os.rename, old, name) or _firmly(os.stat, name)
        if error:
            server._litter = 1
            return error
        old = name
    error = _replace(server, name, old, new)
    if error < 0 and not replaces and _firmly(os.stat, new) == _ENOENT and not _firmly(os.stat, old):
        # Nothing was done, so nothing must be done later.
        _firmly(_note, name)
    return abs(error)


def _bytes(path):
    return path if isinstance(path, bytes) else path.encode()


def _is_listed(folder, name):
    # Whether a folder lists just that name. If a file system finds a file by a name that it does not list, the file has another name.
    try:
        folder = folder.decode()
    except UnicodeError:
        # No str can be made of it.
        pass
    found = False
    # To the end, because only that closes a folder on the Unix port.
    for entry in os.ilistdir(_look(folder or "/")[1]):
        found |= native.same(entry[0], name)
    return found


def _is_same(old, new):
    # Whether the two paths are the same. If two different names are both in the list, they mean two things.
    old_folder = new_folder = b""
    for index, (a, b) in enumerate(zip(old.split(b"/"), new.split(b"/"))):
        if a != b and _is_listed(old_folder, a) and _is_listed(new_folder, b):
            return False
        old_folder = old_folder + b"/" + a if index else a
        new_folder = new_folder + b"/" + b if index else b
    return True
