# The search for what uploads have left, which a power cut or a failing disc may do. Loaded for that when a server starts and when a file could not be
# removed, and let go afterwards. An unfinished upload has a note beside it when it is whole (files.py): then it is put in its place.
import os

from .tasks import _is_linux, core, native

# So many folders wait to be looked into, and so many leftovers of one folder are known at a time.
_WAITING = 100
_KNOWN = 50
# Seconds until what could not be done is tried again.
_LATER = 8
_DIRECTORY = 0x4000
_ENOENT = 2
_ENOTEMPTY = 39
_EBUSY = 16


def sweep(server):
    """Finishes or removes the unfinished uploads that nobody writes to: a generator that lets other tasks run."""
    start = core.ticks()
    try:
        # Each with how many of its folders are known already.
        folders = [(account[3], 0) for account in server._entries if account[3]]
        if not _is_linux or server.root != "/":
            # Else that is a whole computer's.
            folders.append((server.root, 0))
        while folders and server._stop_event:
            folder, known = folders.pop()
            try:
                for _ in _look_into(server, folder.rstrip("/"), known, folders):
                    if core.ticks_diff(core.ticks(), start) > 1:
                        yield from core.sleep_ms(0)
                        start = core.ticks()
            except (OSError, ValueError):
                pass
    except MemoryError:
        server._litter = _LATER


def remove_folder(server, path, error):
    """Removes a folder that is not empty, if there is nothing in it but leftovers. Gives the errno, or 0.

    error: the errno that rmdir gave.
    """
    names = [name for name, _ in _entries(path)]
    if not names or isinstance(path, bytes):
        return error
    for name in names:
        if not native.is_unfinished(name) or _is_foreign(name):
            # FAT says EACCES of that.
            return _ENOTEMPTY
    for _ in _tidy(server, path, names):
        pass
    os.rmdir(path)
    return 0


def _entries(folder):
    # The name and the kind of each entry.
    for entry in os.ilistdir(folder or "/"):
        yield entry[0], entry[1]


def _look_into(server, folder, known, folders):
    # Adds a folder's folders to the list; the first time it tidies the folder up. A generator.
    found = []
    count = 0
    new = []
    for name, kind in _entries(folder):
        if kind & _DIRECTORY:
            count += 1
            # At least one, so that it comes to an end.
            if count > known and (not new or len(folders) + len(new) < _WAITING):
                new.append(("%s/%s" % (folder, name), 0))
        elif not known and native.is_unfinished(name):
            if len(found) < _KNOWN:
                found.append(name)
            else:
                server._litter = _LATER
        yield
    if count > known + len(new):
        folders.append((folder, known + len(new)))
    folders.extend(new)
    yield from _tidy(server, folder, found)


def _is_foreign(name):
    # Whether another process that runs owns it: .ftpdlite-PROCESS-NUMBER.
    parts = name.split("-")
    if _is_linux and len(parts) > 2 and parts[1].isdigit() and parts[2][:1].isdigit():
        with open("/proc/self/stat") as stat:
            own = stat.read(16).split()[0]
        try:
            os.stat("/proc/" + parts[1])
            return parts[1] != own
        except OSError:
            pass
    return False


def _tidy(server, folder, names):
    # Finishes or removes some unfinished uploads of a folder, those with notes first. A generator.
    for name in names:
        if name.endswith(".to"):
            yield from _attempt(server, _finish(server, folder, name[:-3]))
    for name in names:
        if not name.endswith(".to"):
            path = "%s/%s" % (folder, name)
            yield from _attempt(server, _remove(server, path, name))


def _attempt(server, work):
    try:
        yield from work
    except OSError as error:
        if error.errno != _ENOENT:
            server._litter = _LATER


def _remove(server, path, name):
    # Removes an upload without a note.
    if not (server._hub.is_open(path) or _is_foreign(name) or _exists(path + ".to")):
        os.remove(path)
    yield


def _exists(path):
    try:
        return os.stat(path)
    except OSError as error:
        if error.errno != _ENOENT:
            raise
        return None


def _finish(server, folder, name):
    # Does what the note of an upload says.
    path = "%s/%s" % (folder, name)
    note = path + ".to"
    if _is_foreign(name):
        return
    with open(note) as file:
        target = file.read()
    upload = _exists(path)
    if upload and target:
        target = "%s/%s" % (folder, target)
        if server._hub.is_open(path) or server._hub.is_open(target):
            raise OSError(_EBUSY)
        # Meanwhile nobody else may have them.
        holder = native.Session(server._hub, None, ("0.0.0.0", 0), 512)
        holder.claim(path, target)
        try:
            yield from _put(path, note, target, upload)
        finally:
            holder.release()
    else:
        # It was put in its place, or there was no room for the note.
        if upload:
            os.remove(path)
        os.remove(note)


def _put(path, note, target, upload):
    # Puts a whole upload in its place, unless the old file had not been removed.
    if _exists(path + "-copy.to"):
        # That one's turn.
        raise OSError(_EBUSY)
    old = _exists(target)
    original = path[:-5] if path.endswith("-copy") else None
    if original and _exists(original):
        # The copy is whole, and is to take the place of both others, which share their clusters.
        _remove_both(original, target)
    elif old and old[6] == upload[6] and (yield from _copy(path, target)):
        # A rename on FAT was cut in the middle: both names share their clusters, and to remove one of them would take them from the other.
        copy = path + "-copy"
        yield from _copy(path, copy, True)
        with open(note) as file:
            name = file.read()
        with open(copy + ".to", "w") as file:
            file.write(name)
        os.remove(note)
        _remove_both(path, target)
        path, note = copy, copy + ".to"
    elif old:
        os.remove(path)
        os.remove(note)
        return
    os.rename(path, target)
    os.remove(note)


def _remove_both(path, target):
    # Two names of the same clusters.
    if _exists(path + ".to"):
        os.remove(path + ".to")
    if _exists(target):
        os.remove(target)
    os.remove(path)


def _copy(path, other, writes=False):
    # Copies a file to another, or gives whether they have the same content. A generator.
    buffer = bytearray(512)
    view = memoryview(buffer)
    with open(path, "rb") as one, open(other, "wb" if writes else "rb") as two:
        while True:
            count = one.readinto(buffer)
            if not count:
                return True
            if writes:
                two.write(view[:count])
            elif two.read(count) != view[:count]:
                return False
            yield
