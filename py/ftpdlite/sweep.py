# The search for what uploads have left, which a power cut or a failing disc may do. Loaded for that when a server starts and when a file could not be
# removed, and let go afterwards; names that every firmware knows take no memory, so functions have such. An unfinished upload has a note beside it when it is whole (files.py): then it is put in its place.
import os
from micropython import const

from .tasks import _is_linux, core, native

# So many folders wait to be looked into, and so many leftovers of one folder are known at a time.
_WAITING = const(100)
_KNOWN = const(50)
# Seconds until what could not be done is tried again.
_LATER = const(4)
_DIRECTORY = const(0x4000)
_ENOENT = const(2)
_ENOSPC = const(28)
_ENOTEMPTY = const(39)
_EBUSY = const(16)


def sweep(server):
    """Finishes or removes the unfinished uploads that nobody writes to: a generator that lets other tasks run."""
    start = core.ticks()
    try:
        # Each with how many of its folders are known already.
        folders = [(account[3].rstrip("/"), 0) for account in server._entries if account[3]]
        if not _is_linux or server.root != "/":
            # Else that is a whole computer's.
            folders.append((server.root.rstrip("/"), 0))
        while folders and server._stop_event:
            path, known = folders.pop()
            try:
                for _ in _open(server, path, known, folders):
                    if core.ticks_diff(core.ticks(), start) > 1:
                        yield from core.sleep_ms(0)
                        start = core.ticks()
            except (OSError, TypeError, ValueError):
                pass
    except MemoryError:
        server._litter = _LATER


def remove(server, path, error):
    """Removes a folder that is not empty, if there is nothing in it but leftovers. Gives the errno, or 0.

    error: the errno that rmdir gave.
    """
    names = [join(entry[0]) for entry in _list(path)]
    if not names:
        return error
    for name in names:
        if not _is_ours(path, name) or _is_foreign(name):
            # FAT says EACCES of that.
            return _ENOTEMPTY
    for _ in close(server, path, names):
        pass
    os.rmdir(path)
    return 0


def _open(server, path, start, tasks):
    # Adds a folder's folders from the `start`-th on to those that wait; the first time it tidies the folder up. A generator.
    found = []
    new = []
    count = 0
    for entry in _list(path):
        if entry[1] & _DIRECTORY:
            count += 1
            # At least one, so that it comes to an end.
            if count > start and (not new or len(tasks) + len(new) < _WAITING):
                new.append((join(path, "/", entry[0]), 0))
        elif not start and _is_ours(path, join(entry[0])):
            if len(found) < _KNOWN:
                found.append(join(entry[0]))
            else:
                server._litter = _LATER
        yield
    if count > start + len(new):
        tasks.append((path, start + len(new)))
    tasks.extend(new)
    yield from close(server, path, found)


def _list(path):
    # As bytes, for a name need not be UTF-8.
    try:
        return os.ilistdir(_bytes(path) or b"/")
    except TypeError:
        # A file system written in Python may want a str.
        return os.ilistdir(path or "/")


def _bytes(path):
    return path if isinstance(path, bytes) else path.encode()


def join(*names):
    # A path in one piece: a str, if it is UTF-8.
    path = b"".join([_bytes(name) for name in names])
    try:
        return path.decode()
    except UnicodeError:
        return path


def _is_ours(path, name):
    # Whether it is an unfinished upload or a note, or what FAT has left of one that was cut while it was removed: its short name, ~1.FTP or FTPDLI~1.TO.
    if native.is_unfinished(name):
        return True
    if isinstance(name, bytes) or not (
        name[:1] == "~" and name[-4:] == ".FTP" or name[:3] == "FTP" and "~" in name and name[-3:] == ".TO"
    ):
        return False
    return stat(join(path, "/", name.lower())) is not None


def _is_foreign(name):
    # Whether another process that runs owns it, .ftpdlite-PROCESS-NUMBER, or whoever made it.
    if isinstance(name, bytes):
        return True
    parts = name.split("-")
    if _is_linux and len(parts) > 2 and parts[1].isdigit() and parts[2][:1].isdigit():
        with open("/proc/self/stat") as file:
            own = file.read(16).split()[0]
        try:
            os.stat("/proc/" + parts[1])
            return parts[1] != own
        except OSError:
            pass
    return False


def close(server, path, names):
    # Finishes or removes some unfinished uploads of a folder, those with notes first. A generator.
    for noted in (True, False):
        for name in names:
            if not _is_foreign(name) and name.endswith(".to") == noted:
                try:
                    file = join(path, "/", name)
                    if noted:
                        yield from finish(server, path, file[:-3])
                    elif server._hub.is_open(file) or stat(join(file, ".to")):
                        pass
                    elif name[0] == "~":
                        yield from _mend(server, path, name)
                    else:
                        os.remove(file)
                except OSError as error:
                    if error.errno != _ENOENT:
                        server._litter = _LATER
                yield


def stat(path):
    # What is there, or None.
    try:
        return os.stat(path)
    except OSError as error:
        if error.errno != _ENOENT:
            raise


def finish(server, path, name):
    # Does what the note of an upload says.
    note = join(name, ".to")
    upload = stat(name)
    target = read(note)
    if not upload or not target:
        # It was put in its place, or there was no room for the note.
        if upload:
            os.remove(name)
        os.remove(note)
        return
    target = join(path, "/", target)
    if server._hub.is_open(name) or server._hub.is_open(target) or stat(join(name, "-copy.to")):
        raise OSError(_EBUSY)
    # Meanwhile nobody else may have them.
    holder = native.Session(server._hub, None, ("0.0.0.0", 0), 512)
    holder.claim(name, target)
    try:
        old = stat(target)
        original = name[:-5] if _bytes(name).endswith(b"-copy") else None
        if original and stat(original):
            # The copy is whole, and is to take the place of both others, which share their clusters.
            _remove(original, target)
        elif old and old[6] == upload[6] and (yield from copy(name, target)):
            # A rename on FAT was cut in the middle: both names share their clusters, and to remove one of them would take them from the other.
            third = join(name, "-copy")
            yield from copy(name, third, True)
            write(join(third, ".to"), read(note))
            _remove(name, target)
            name = third
        elif old:
            # It had not been removed.
            os.remove(name)
            os.remove(note)
            return
        os.rename(name, target)
        os.remove(join(name, ".to"))
    finally:
        holder.release()


def _mend(server, path, name):
    # Removes what FAT has left of an upload. It may have the clusters of the file that took its place: then it gets a note, as before the cut.
    torn = join(path, "/", name)
    size = os.stat(torn)[6]
    for other in [join(entry[0]) for entry in _list(path) if size and entry[3] == size]:
        if other != name and not native.is_unfinished(other) and (yield from copy(torn, join(path, "/", other))):
            whole = join(path, "/.ftpdlite-0-0")
            write(join(whole, ".to"), _bytes(other))
            os.rename(torn, whole)
            yield from finish(server, path, whole)
            return
    os.remove(torn)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, value):
    with open(path, "wb") as file:
        _put(file, value)


def _put(file, value):
    # A full FAT file system writes less than asked.
    if file.write(value) != len(value):
        raise OSError(_ENOSPC)


def _remove(path, target):
    # Removes two names of the same clusters. They are emptied first, for a name that is cut while it is removed may come back as a short one.
    note = join(path, ".to")
    if stat(note):
        os.remove(note)
    names = [name for name in (target, path) if stat(name)]
    for name in names:
        write(name, b"")
    for name in names:
        os.remove(name)


def copy(path, target, writes=False):
    # Copies a file to another, or gives whether they have the same content. A generator.
    buffer = bytearray(512)
    view = memoryview(buffer)
    with open(path, "rb") as one, open(target, "wb" if writes else "rb") as two:
        while True:
            count = one.readinto(buffer)
            if not count:
                return True
            if writes:
                _put(two, view[:count])
            elif two.read(count) != view[:count]:
                return False
            yield
