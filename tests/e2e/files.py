"""The files of a server as its tests see them, behind the server's back: the same in a folder of this machine and on a RAM disc in the
server's process.

Paths begin at the root that is served and are str; bytes that are no UTF-8 are surrogates, as os.fsdecode() makes them.
"""

import os
import pathlib
import shutil
import socket

PATIENCE = 20


def split(path):
    """The folder and the name in it."""
    folder, _, name = path.rstrip("/").rpartition("/")
    return folder or "/", name


class Files:
    """What both kinds have."""

    # Whether names that differ in case name the same file.
    folds_case = False

    def exists(self, path):
        """Whether there is something of exactly this name."""
        folder, name = split(path)
        try:
            return not name or name in self.names(folder)
        except OSError:
            return False

    def fill(self, files):
        """Makes files and their folders: {path: content}, where a path that ends in / is an empty folder."""
        for path, content in files.items():
            self.make_folders(path if path.endswith("/") else split(path)[0])
            if not path.endswith("/"):
                self.write(path, content)

    def make_folders(self, path):
        """Makes a folder, and those above it that are missing."""
        path = path.rstrip("/")
        if path and not self.exists(path):
            self.make_folders(split(path)[0])
            self.mkdir(path)

    def tree(self, folder="/"):
        """{path: content} of all that is in a folder; a folder's path ends in / and has no content."""
        found = {}
        for name, is_folder in self.entries(folder):
            path = folder.rstrip("/") + "/" + name
            if is_folder:
                found |= {path + "/": None} | self.tree(path)
            else:
                found[path] = self.read(path)
        return found

    def names(self, folder="/"):
        """The names in a folder, in their order."""
        return sorted(name for name, _ in self.entries(folder))


class FolderFiles(Files):
    """Files in a folder of this machine."""

    def __init__(self, root):
        self.root = pathlib.Path(root)

    def path(self, path):
        """Where it is on this machine."""
        return self.root / path.lstrip("/")

    def read(self, path):
        return self.path(path).read_bytes()

    def write(self, path, content):
        self.path(path).write_bytes(content)

    def entries(self, folder):
        """Each name, and whether it is a folder's."""
        with os.scandir(self.path(folder)) as entries:
            return [(entry.name, entry.is_dir()) for entry in entries]

    def mkdir(self, path):
        self.path(path).mkdir()

    def remove(self, path):
        self.path(path).unlink()

    def rmdir(self, path):
        self.path(path).rmdir()

    def free(self):
        """Bytes that are free."""
        return shutil.disk_usage(self.root).free

    def remount(self):
        """Unmounts the file system and mounts it again."""

    def connect(self):
        pass

    def disconnect(self):
        pass


class DiscFiles(Files):
    """Files on a RAM disc in the server's process, by the door of board_files.py."""

    def __init__(self, kind, port):
        self.folds_case = kind == "VfsFat"
        self.port = port
        self.socket = self.stream = None

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        self.stream = self.socket.makefile("rb")
        # When it is answered, the server has its end of the connection open.
        self.free()

    def disconnect(self):
        if self.socket:
            self.stream.close()
            self.socket.close()
            self.socket = None

    def ask(self, what, path="/", data=b""):
        name = os.fsencode(path)
        self.socket.sendall(b"%s %d %d\n" % (what.encode(), len(name), len(data)) + name + data)
        error, length = map(int, self.stream.readline().split())
        answer = self.stream.read(length)
        if error:
            raise OSError(error, os.strerror(error), path)
        return answer

    def read(self, path):
        return self.ask("read", path)

    def write(self, path, content):
        self.ask("write", path, content)

    def entries(self, folder):
        return [(os.fsdecode(entry[1:]), entry.startswith(b"d")) for entry in self.ask("names", folder).split(b"\0")[:-1]]

    def mkdir(self, path):
        self.ask("mkdir", path)

    def remove(self, path):
        self.ask("remove", path)

    def rmdir(self, path):
        self.ask("rmdir", path)

    def free(self):
        return int(self.ask("free"))

    def remount(self):
        self.ask("remount")

    def change(self):
        """Puts another card in, which is empty."""
        self.ask("change")
