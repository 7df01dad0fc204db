# Files: what a transfer reads or writes, how an upload gets its name, and the buffers.
import gc
import os
import time
from micropython import const

from .tasks import _firmly

_OPEN_READ = const(18)
_OPEN_WRITE = const(19)
_OPEN_APPEND = const(20)
_OPEN_LIST = const(21)

_BROKEN = const(2)
_LOCAL_ERROR = const(3)
_NO_SPACE = const(4)
_ABORTED = const(5)

_ENOENT = const(2)
_EIO = const(5)
_EACCES = const(13)
_EISDIR = const(21)
_EINVAL = const(22)
_ENOMEM = const(12)
_ENOSPC = const(28)
_DIRECTORY = const(0x4000)
# Bytes of lwIP's TCP segments on boards.
_SEGMENT = const(800)


def _open_file(s, action):
    # From here on the session holds the file: others may not change it. Gives the outcome of the action: of a file that is read (size,).
    path = s.path
    if action == _OPEN_LIST:
        _open_list(s)
    elif action == _OPEN_WRITE and not s.offset:
        # With `part` it is a file beside the old one, until it is complete. Without, the target is "" for a new file, and False where there was one.
        part = s.part
        if part:
            s.claim(part, path)
        else:
            s.claim(path, "" if _firmly(os.stat, path) else False)
            # LittleFS frees what the old file had only when the empty one is closed.
            error = _firmly(open(path, "wb"))
            if error:
                raise OSError(error)
        s.file = open(part or path, "wb")
    else:
        s.claim(path, None)
        s.file = file = open(path, "rb" if action == _OPEN_READ else "ab" if action == _OPEN_APPEND else "r+b")
        size = _size_of(file, path) if action == _OPEN_READ else None
        if s.offset and action != _OPEN_APPEND:
            file.seek(s.offset)
        return size


def _size_of(file, path):
    # The size of an open file as the outcome of an action: (size,), or None if it is not known. To look at the path would often take as long as to open it.
    if hasattr(file, "fileno"):
        # Of the Unix port's own files a folder can be opened, too, and looking is cheap.
        found = os.stat(path)
        if found[0] & _DIRECTORY:
            raise OSError(_EISDIR)
        return (found[6],)
    try:
        found = file.seek(0, 2)
    except MemoryError:
        # The file may be at its end nevertheless.
        raise
    except AttributeError:
        # A file of a file system in Python may have only what a stream needs.
        return None
    except Exception:
        # Or it cannot seek from its end.
        found = None
    file.seek(0)
    return None if found is None else (found,)


def _look(path):
    # Whether there is a folder, and the path under which its file system lists it: bytes, so that names are listed that are not UTF-8. A file system in
    # Python may only know str. Under bytes it finds nothing, or it fails.
    name = path.encode() if isinstance(path, str) else path
    try:
        return os.stat(name)[0] & _DIRECTORY, name
    except MemoryError:
        raise
    except Exception:
        return os.stat(path)[0] & _DIRECTORY, path


def _open_list(s):
    # 1: there is a pattern in the name. 2: a directory is listed as a file would be.
    glob = s.glob
    globbed = False
    try:
        directory, path = _look(s.path)
    except OSError:
        # It is a pattern only if there is no file of that name.
        if not glob & 1:
            raise
        directory, path = _look(s.parent)
        globbed = True
    names = None
    if directory and (globbed or glob < 2):
        try:
            names = os.ilistdir(path)
        except TypeError:
            names = os.ilistdir(path.decode())
    try:
        s.list(names, int(time.time()), globbed)
    except MemoryError:
        names = None
        # It closes the directory.
        gc.collect()
        raise
    if names:
        s.claim(path, None)


def _close_file(server, s, end):
    # Closes what is open. An upload gets its name, or it is removed. Gives how the transfer ended: `end`, or something worse.
    file = s.file
    path = s.old_path
    target = s.new_path
    s.file = s.new_path = None
    try:
        if s.list(None, None, False):
            # A directory that was not read to its end is closed by the GC.
            gc.collect()
        error = file and _firmly(file)
        if error:
            end = _end_of(error)
        keeps = not end
        if target:
            if end == _BROKEN or end == _ABORTED:
                # What has arrived of a new file stays for REST.
                keeps = server.partial_uploads == "new" and s.moved and _firmly(os.stat, target) == _ENOENT
            if keeps:
                error = _put(server, path, target)
                if error:
                    end = _end_of(abs(error))
                    keeps = error < 0
        elif end and end != _NO_SPACE:
            # It was written to the file itself.
            keeps = target != "" or server.partial_uploads == "new"
        if not keeps and (target or file and target is not None) and _firmly(os.remove, path):
            # If it is not there, the program may have moved its folder.
            server._litter = 1
    finally:
        s.release()
    return end


def _end_of(error):
    return _NO_SPACE if error == _ENOSPC else _LOCAL_ERROR


def _put(server, path, target):
    # A complete upload takes the place of the old file. Gives 0, or the errno of what went wrong. It is negative when the upload must stay, because the old file may be gone.
    error = _firmly(_folds, path)
    if error == _EINVAL:
        # FAT's rename removes the old file first. The note tells the sweep that the upload is whole.
        error = _firmly(_note, path, target)
        if error == _EACCES:
            # So FAT says that the folder is full. The root folder of FAT12 and FAT16 does not grow.
            error = _ENOSPC
    elif error != _ENOMEM:
        return _firmly(os.rename, path, target)
    return _replace(server, path, path, target, error)


def _replace(server, name, path, target, error=0):
    # As above, with the note of `name` written.
    if _firmly(os.stat, path) == _ENOENT:
        # The program has removed it, or mounted another card. The old file stays.
        error = _ENOENT
    else:
        error = error or _firmly(os.remove, target)
        there = _firmly(os.stat, target)
        if there == _ENOENT:
            # If FAT has rubbish in a folder, entries behind that are not found. The sweep repairs that.
            error = -(_firmly(os.rename, path, target) or _firmly(os.stat, target))
            if error == -_EACCES:
                error = -_ENOSPC
        elif there or not error:
            error = -(error or _EIO)
    if error < 0 or _firmly(_note, name) not in (0, _ENOENT):
        server._litter = 1
    return error


def _like(path, text):
    # As a str, if the path is. The bytes themselves are no name that MicroPython keeps.
    return text.decode() if isinstance(path, str) else text


def _folds(path):
    # Raises OSError(EINVAL) if the file system is FAT, which refuses the name, though all of it only means the folder. LittleFS need not look for the name.
    # As bytes: MicroPython looks for each new str among all names.
    name = (path.encode() if isinstance(path, str) else path) + b"*/.."
    try:
        os.stat(name)
    except TypeError:
        # A file system in Python may only know str.
        os.stat(name.decode())


def _note(path, target=None):
    # Writes what an upload is to be called, or removes that.
    path += _like(path, b".to")
    if not target:
        os.remove(path)
        return
    if isinstance(target, str):
        target = target.encode()
    _write(path, target[target.rfind(b"/") + 1 :])


def _write(path, data):
    # No `with`, because a file of a file system in Python may have only what a stream needs.
    file = open(path, "wb")
    try:
        # A full FAT file system writes less than asked.
        if file.write(data) != len(data):
            raise OSError(_ENOSPC)
    finally:
        file.close()


def _take_buffer(server):
    if server._buffers:
        return server._buffers.pop()
    size = server.transfer_buffer_size
    if not size:
        # An eighth of the free memory, in whole segments of lwIP. With pieces of segments lwIP's memory is full sooner.
        gc.collect()
        size = _SEGMENT
        free = gc.mem_free() // 8
        while size < 262144 and size * 2 <= free:
            size *= 2
    while True:
        try:
            return bytearray(size)
        except MemoryError:
            if size <= _SEGMENT:
                raise
            size //= 2


def _give_buffer(server, buffer):
    # There are never more buffers than sessions, and one is kept for the next.
    if buffer and len(server._buffers) < max(1, len(server.sessions)):
        try:
            server._buffers.append(buffer)
        except MemoryError:
            pass


def _trim_buffers(server, count):
    while len(server._buffers) > count:
        try:
            server._buffers.pop()
        except MemoryError:
            # It is removed, but the list could not be made smaller.
            pass
