# A file system in memory that vfs.mount takes: path → [content or None for a directory, time].
import io
import socket
from hashlib import sha256

_ENOENT = 2
_EEXIST = 17
_ENOTDIR = 20
_EISDIR = 21
_ENOSPC = 28
_ENOTEMPTY = 39
_MP_STREAM_CLOSE = 4


def _parent(path):
    return path[: path.rfind(b"/")] or b"/"


def _key(path):
    path = path if isinstance(path, bytes) else path.encode()
    return path.rstrip(b"/") or b"/"


class File(io.IOBase):
    def __init__(self, files, node, at):
        self.files = files
        self.node = node
        self.at = at
        files.open_files += 1

    def readinto(self, buffer):
        content = self.node[0]
        size = min(len(buffer), len(content) - self.at)
        # A file gives less than asked, but does not block.
        if socket.chunk:
            size = min(size, socket.chunk)
        if size > 0:
            buffer[:size] = memoryview(content)[self.at : self.at + size]
            self.at += size
        return max(size, 0)

    def write(self, data):
        size = min(len(data), self.files.room - self.at)
        if size <= 0:
            return -_ENOSPC
        if socket.chunk:
            size = min(size, socket.chunk)
        content = self.node[0]
        data = memoryview(data)[:size]
        if self.at == len(content):
            content.extend(data)
        else:
            if self.at > len(content):
                content.extend(bytes(self.at - len(content)))
            content[self.at : self.at + size] = data
        self.at += size
        return size

    def seek(self, offset, whence=0):
        # From the start, from here, or from the end.
        self.at = offset + (0, self.at, len(self.node[0]))[whence]
        return self.at

    def ioctl(self, request, argument):
        if request != _MP_STREAM_CLOSE:
            return -22
        if self.node:
            self.files.open_files -= 1
            self.node = None
        return 0

    def close(self):
        self.ioctl(_MP_STREAM_CLOSE, 0)


class Files:
    def __init__(self):
        self.clear()

    def clear(self):
        self.nodes = {b"/": [None, 0]}
        # How many bytes a file takes.
        self.room = 1 << 30
        self.open_files = 0

    # -- the testing program's

    def put(self, path, content, time):
        self.nodes[path] = [content if content is None else bytearray(content), time]

    def content(self, path):
        return bytes(self._find(path)[0])

    def digest(self, path):
        return sha256(self._find(path)[0]).digest()

    def touch(self, path, time):
        self._find(path)[1] = time

    # -- what vfs.mount wants

    def mount(self, *_):
        pass

    def umount(self):
        pass

    def _find(self, path):
        node = self.nodes.get(_key(path))
        if node is None:
            raise OSError(self._missing(path))
        return node

    def _missing(self, path):
        above = self.nodes.get(_parent(_key(path)))
        return _ENOTDIR if above and above[0] is not None else _ENOENT

    def _add(self, path, content):
        above = self._find(_parent(_key(path)))
        if above[0] is not None:
            raise OSError(_ENOTDIR)
        node = self.nodes[_key(path)] = [content, 0]
        return node

    def open(self, path, mode):
        node = self.nodes.get(_key(path))
        if mode[0] == "r" and node is None:
            raise OSError(self._missing(path))
        if node is None:
            node = self._add(path, bytearray())
        if node[0] is None:
            raise OSError(_EISDIR)
        if mode[0] == "w":
            node[0] = bytearray()
        return File(self, node, len(node[0]) if mode[0] == "a" else 0)

    def stat(self, path):
        content, time = self._find(path)
        if content is None:
            return (0x4000, 0, 0, 0, 0, 0, 0, time, time, time)
        return (0x8000, 0, 0, 0, 0, 0, len(content), time, time, time)

    def statvfs(self, _):
        return (512, 512, 4096, 2048, 2048, 0, 0, 0, 0, 255)

    def _children(self, path):
        path = _key(path)
        return [child for child in self.nodes if child != b"/" and child != path and _parent(child) == path]

    def ilistdir(self, path):
        if self._find(path)[0] is not None:
            raise OSError(_ENOTDIR)
        as_text = isinstance(path, str)
        for child in self._children(path):
            name = child[child.rfind(b"/") + 1 :]
            kind = 0x4000 if self.nodes[child][0] is None else 0x8000
            yield name.decode() if as_text else name, kind, 0

    def mkdir(self, path):
        if _key(path) in self.nodes:
            raise OSError(_EEXIST)
        self._add(path, None)

    def rmdir(self, path):
        if self._find(path)[0] is not None:
            raise OSError(_ENOTDIR)
        if self._children(path):
            raise OSError(_ENOTEMPTY)
        del self.nodes[_key(path)]

    def remove(self, path):
        if self._find(path)[0] is None:
            raise OSError(_EISDIR)
        del self.nodes[_key(path)]

    def rename(self, old, new):
        self._find(old)
        self._find(_parent(_key(new)))
        old, new = _key(old), _key(new)
        for path in list(self.nodes):
            if path == old or path.startswith(old + b"/"):
                self.nodes[new + path[len(old) :]] = self.nodes.pop(path)
