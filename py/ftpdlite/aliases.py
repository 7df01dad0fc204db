# Whether two paths mean the same folder. Loaded for a rename, and dropped afterwards.
import os

_EISDIR = 21
_ELOOP = 40


def _bytes(path):
    return path if isinstance(path, bytes) else path.encode()


def _is_listed(native, folder, name):
    # Whether a folder lists just that name. If a file system finds a file by a name that it does not list, the file has another name.
    folder = folder or b"/"
    try:
        entries = os.ilistdir(folder)
    except TypeError:
        # A file system written in Python may want a str.
        entries = os.ilistdir(folder.decode())
    found = False
    # To the end, because only that closes a folder on the Unix port.
    for entry in entries:
        found |= native.same(entry[0], name)
    return found


def _is_same(native, old, new):
    # Whether the two folders are the same. If two different names are both in the list, they mean two things.
    old_folder = new_folder = b""
    for index, (a, b) in enumerate(zip(old.split(b"/"), new.split(b"/"))):
        if a != b and _is_listed(native, old_folder, a) and _is_listed(native, new_folder, b):
            return False
        old_folder = old_folder + b"/" + a if index else a
        new_folder = new_folder + b"/" + b if index else b
    return True


def objection(native, old, new):
    """The errno that a folder cannot be moved into itself, or that another folder is in the way; None when `old` may become `new`."""
    if not os.stat(old)[0] & 0x4000:
        return None
    old, new = _bytes(old), _bytes(new)
    length = native.overlap(old, new)
    if not _is_same(native, old, new[:length]):
        length = 0
    if 0 < length < len(new):
        return _ELOOP
    if not length:
        try:
            if os.stat(new)[0] & 0x4000:
                return _EISDIR
        except OSError:
            pass
    return None
