# The search for what uploads and renames have left, which a power cut or a failing disc may do. Loaded for that when a server starts and when a file could
# not be removed, and dropped afterwards. Functions have names that every firmware knows, because these take no memory. An unfinished upload has a note beside it when
# it is whole (files.py), and a rename on FAT has one while it goes on (renaming.py): then it is finished.
import gc
import os
from micropython import const

from .files import _look, _write
from .tasks import _is_linux, _once, core, native

# How many folders wait at most, and how many leftovers of one folder are known at a time.
_WAITING = const(100)
_KNOWN = const(50)
# Bytes of a path that no client can name any more. On a damaged FAT a folder may be in itself.
_LONGEST = const(512)
# Seconds until it tries again what it could not do.
_LATER = const(4)
_DIRECTORY = const(0x4000)
_ENOENT = const(2)
_EACCES = const(13)
_ENOSPC = const(28)
_EROFS = const(30)
_ENOTEMPTY = const(39)
_EBUSY = const(16)
# This process.
process = _once("linux").process() if _is_linux else 0


def sweep(server):
    """Finishes or removes the unfinished uploads that nobody writes to: a generator that lets other tasks run."""
    start = core.ticks()
    try:
        # Each with the number of its folders that are known already.
        folders = [(account[3].rstrip("/"), 0) for account in server._entries if account[3]]
        if not _is_linux or server.root != "/":
            # Not the whole file system of a computer.
            folders.append((server.root.rstrip("/"), 0))
        for path, _ in folders:
            try:
                # After a cut move between folders, LittleFS may hide a file until something is changed. To remove a file that is not there is enough.
                os.remove(join(path, "/.ftpdlite-0-0-"))
            except MemoryError:
                raise
            except Exception:
                # A file system in Python may raise anything.
                pass
        while folders and server._stop_event:
            path, known = folders.pop()
            try:
                for _ in append(server, path, known, folders):
                    if core.ticks_diff(core.ticks(), start) > 1:
                        yield from core.sleep_ms(0)
                        start = core.ticks()
            except MemoryError:
                raise
            except Exception:
                pass
    except MemoryError:
        server._litter = _LATER


def remove(server, path, error):
    """Removes a folder that is not empty, if there is nothing in it but leftovers. Gives the errno, or 0.

    error: the errno that rmdir gave.
    """
    names = items(path)
    if not names and names is not None:
        return error
    first = None
    while names and names[0] != first:
        first = names[0]
        for _ in close(server, path, names):
            pass
        names = items(path)
    if names or names is None:
        # A folder that was not read to its end is closed by the collector. FAT would say EACCES.
        gc.collect()
        return _ENOTEMPTY
    os.rmdir(path)
    return 0


def items(path):
    # Some of the leftovers in a folder, or None if there is anything else.
    found = []
    for entry in ilistdir(path):
        name = join(entry[0])
        if not _is_ours(path, name) or _is_foreign(name):
            return None
        if len(found) < _KNOWN:
            found.append(name)
    return found


def append(server, path, start, tasks):
    # A generator: adds the folders in a folder, from the `start`-th on, to those that wait. The first time it tidies up the folder.
    found = []
    new = []
    count = 0
    for entry in ilistdir(path):
        if entry[1] & _DIRECTORY and len(path) < _LONGEST:
            count += 1
            # At least one, so that the search comes to an end.
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


def ilistdir(path):
    # A generator.
    for entry in os.ilistdir(_look(join(path) or "/")[1]):
        if not entry[0]:
            # When others change a folder of LittleFS meanwhile, it may give nameless entries without end.
            break
        yield entry


def encode(path):
    return path if isinstance(path, bytes) else path.encode()


def join(*names):
    # A path in one piece: a str, if it is UTF-8.
    path = b"".join([encode(name) for name in names])
    try:
        return path.decode()
    except UnicodeError:
        return path


def _is_ours(path, name):
    # Whether it is an unfinished upload or a note, or the short name, ~1.FTP or FTPDLI~1.TO, that FAT leaves when a cut comes while one is removed.
    if native.is_unfinished(name):
        return True
    if isinstance(name, bytes):
        return False
    short = name.encode()
    if short[:1] == b"~" and short[-4:] == b".FTP" or short[:3] == b"FTP" and b"~" in short and short[-3:] == b".TO":
        return stat(join(path, "/", name.lower())) is not None
    return False


def _is_foreign(name):
    # Whether it belongs to another running process (.ftpdlite-PROCESS-NUMBER), or to somebody unknown.
    if isinstance(name, bytes):
        return True
    parts = name.split("-")
    if _is_linux and len(parts) > 2 and parts[1].isdigit() and parts[2][:1].isdigit() and int(parts[1]) != process:
        return stat(join(b"/proc/", parts[1])) is not None
    return False


def close(server, path, names):
    # A generator: finishes or removes some unfinished uploads of a folder, those with notes first.
    for noted in (True, False):
        for name in names:
            if not _is_foreign(name) and encode(name).endswith(b".to") == noted:
                try:
                    file = join(path, "/", name)
                    if noted:
                        yield from finish(server, path, file[:-3])
                    elif server._hub.is_open(file) or stat(join(file, b".to")):
                        pass
                    elif encode(name)[:1] == b"~":
                        yield from clear(server, path, name)
                    else:
                        os.remove(file)
                except OSError as error:
                    # From a card that cannot be written nothing will ever be removed.
                    if error.errno not in (_ENOENT, _EROFS):
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
    # Does what a note says. The note of an upload or of a copy is its new name; the note of a rename has the old path before that.
    note = join(name, b".to")
    with open(note, "rb") as file:
        source, _, text = file.read().rpartition(b"\0")
    is_copy = encode(name).endswith(b"-copy")
    # When both names are the same to FAT, a rename goes over a third name, this one.
    by_third = source.endswith(b"\0")
    places = (name, join(source)) if source and not by_third and not is_copy else (name,)
    source = join(source.rstrip(b"\0")) if source else name[:-5] if is_copy else name
    target = join(path, "/", text)
    for one in places:
        found = stat(one)
        if text and not found:
            one = partition(one, target)
            found = one and stat(one)
        if found:
            break
    if not found or not text:
        # It has its name already, or there was no room for the note.
        if text:
            yield from find(path, target)
        elif found and not found[0] & _DIRECTORY:
            os.remove(one)
        os.remove(note)
        return
    if server._hub.is_open(one) or server._hub.is_open(target) or stat(join(name, b"-copy.to")):
        raise OSError(_EBUSY)
    # Meanwhile nobody else may open them.
    holder = native.Session(server._hub, None, ("0.0.0.0", 0), 512)
    holder.claim(one, target)
    try:
        other = target
        old = stat(target)
        if by_third and not old:
            other = source if stat(source) else partition(source, one)
            old = other and found
        if is_copy and (index(source) or stat(name[:-5])):
            # The copy is complete, and takes the place of the others, which share their clusters.
            names = (target, source) if source == name[:-5] else (target, source, name[:-5])
            discard(join(name[:-5], b".to"), *[old for old in names if index(old)])
        elif old and (yield from same(one, other)):
            # A rename on FAT was cut in the middle. Both names share their clusters, and to remove one of them would free the clusters of the other.
            third = join(name, b"-copy")
            yield from extend(path, third)
            yield from copy(server, one, third)
            yield from extend(path, third)
            known = other if one == name else one
            _write(join(third, b".to"), text if known == target else encode(known) + b"\0" + text)
            discard(note, other, one)
            one = name = third
        elif old:
            # The old file had not been removed.
            if one == name:
                os.remove(one)
            os.remove(note)
            return
        yield from extend(path, text)
        os.rename(one, target)
        yield from find(path, target)
        os.remove(join(name, b".to"))
    finally:
        holder.release()


def extend(path, name):
    # A generator: makes sure that a new name of that length will be found.
    room = join(path, b"/.ftpdlite-0-0-", b"x" * min(len(name), 200))
    try:
        _write(room, b"")
    except OSError as error:
        if error.errno != _EACCES:
            raise
        # So FAT says that the folder is full. It may have room for the name itself, which is shorter.
        return
    yield from find(path, room)
    os.remove(room)


def find(path, name):
    # A cut may have left rubbish in a folder that FAT was just making larger. It reads a folder up to the first entry that was never used, but a name that needs more
    # entries than are free before the rubbish goes behind it, where nobody finds it. When no entry before it is free, the name is found. A generator.
    fillers = []
    try:
        while not stat(name) and len(fillers) < 1024:
            filler = join(path, b"/~F%d.FTP" % len(fillers))
            if not stat(filler):
                _write(filler, b"")
            fillers.append(filler)
            yield
    except OSError as error:
        if error.errno != _EACCES:
            raise
        # So FAT says that the folder is full. There is no such name, because somebody has removed it.
    finally:
        for filler in fillers:
            os.remove(filler)


def index(path):
    # Whether there is just that name: FAT finds a file by its short name, too.
    folder, _, name = encode(path).rpartition(b"/")
    return any([encode(entry[0]).upper() == name.upper() for entry in ilistdir(folder)])


def partition(path, target):
    # The short name that FAT leaves when a cut comes while it removes the old name of a rename. None when there is none.
    found = stat(target)
    folder, _, name = encode(path).rpartition(b"/")
    name = name.upper().replace(b" ", b"").replace(b".", b"")
    for entry in ilistdir(folder):
        short = encode(entry[0])
        if found and b"~" in short and short == short.upper() and name.startswith(short.split(b"~")[0]):
            short = join(folder, "/", short)
            if stat(short) == found:
                return short


def clear(server, path, name):
    # Removes what FAT has left of an upload. If it shares the clusters of the file that it became, it gets a note, as before the cut.
    torn = join(path, "/", name)
    found = os.stat(torn)
    for other in [join(entry[0]) for entry in ilistdir(path) if found[6] and entry[3] == found[6]]:
        if other != name and not native.is_unfinished(other) and (yield from same(torn, join(path, "/", other))):
            whole = join(path, "/.ftpdlite-0-0")
            _write(join(whole, b".to"), encode(other))
            os.rename(torn, whole)
            yield from finish(server, path, whole)
            return
    os.remove(torn)


def discard(path, *names):
    # Removes names of the same clusters, and their note. Files are emptied first, because a cut during the removal may leave the short name of
    # a file.
    if stat(path):
        os.remove(path)
    found = [(name, is_there[0] & _DIRECTORY) for name, is_there in [(name, stat(name)) for name in names] if is_there]
    for name, is_folder in found:
        if not is_folder:
            _write(name, b"")
    for name, is_folder in found:
        try:
            (os.rmdir if is_folder else os.remove)(name)
        except OSError as error:
            # To FAT both may be the same name.
            if error.errno != _ENOENT:
                raise


def same(path, target):
    # A generator: whether two files or folders have the same content.
    found, other = os.stat(path), os.stat(target)
    if found[0] != other[0] or found[6] != other[6]:
        return False
    if found[0] & _DIRECTORY:
        entries = ilistdir(target)
        for entry in ilistdir(path):
            if next(entries, None) != entry:
                return False
            yield
        return next(entries, None) is None
    buffer = bytearray(512)
    with open(path, "rb") as file, open(target, "rb") as second:
        while True:
            count = file.readinto(buffer)
            if not count:
                return True
            if second.read(count) != memoryview(buffer)[:count]:
                return False
            yield


def copy(server, path, target):
    # A generator: copies a file. All that is in a folder moves instead, because two folders of the same clusters cannot be copied.
    if not os.stat(path)[0] & _DIRECTORY:
        buffer = bytearray(512)
        with open(path, "rb") as file, open(target, "wb") as second:
            while True:
                count = file.readinto(buffer)
                if not count:
                    return
                if second.write(memoryview(buffer)[:count]) != count:
                    # A full FAT file system writes less than asked.
                    raise OSError(_ENOSPC)
                yield
    if not stat(target):
        os.mkdir(target)
    for folder in (path, target):
        # Moves that were cut in the middle are finished first.
        yield from close(server, folder, [join(entry[0]) for entry in ilistdir(folder) if native.is_unfinished(entry[0])])
    while True:
        names = [join(entry[0]) for entry, _ in zip(ilistdir(path), range(_KNOWN))]
        if not names:
            return
        for name in names:
            new = join(target, "/", name)
            if stat(new):
                raise OSError(_EBUSY)
            error = _once("renaming").replace(server, join(path, "/", name), new)
            if error:
                raise OSError(_EBUSY)
            yield
