# Runs in the process of a server: a file system of boards on a RAM disc, and a door through which the tests reach its files.
#
# A request is a line, "what bytes-of-path bytes-of-data", then the path and the data. An answer is a line, "error bytes", then the bytes.
import sys

try:
    import asyncio
except ImportError:
    # On the Unix port MICROPYPATH hides what is frozen into the firmware.
    sys.path.append(".frozen")
    import asyncio
import os
import vfs

ROOT = "/flash"


class RAMDisc:
    """A block device in RAM. The MicroPython of tests/faults brings another, in C."""

    def __init__(self, size, block):
        self.data = bytearray(size)
        self.block = block

    def readblocks(self, block, buffer, offset=0):
        start = block * self.block + offset
        buffer[:] = memoryview(self.data)[start : start + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        start = block * self.block + offset
        self.data[start : start + len(buffer)] = buffer

    def ioctl(self, operation, argument):
        if operation == 4:
            return len(self.data) // self.block
        if operation == 5:
            return self.block
        return 0


try:
    from faults import RAMDisc
except ImportError:
    pass


class Door:
    """Answers the requests of the tests, for one file system."""

    def __init__(self, kind, size):
        self.is_left = asyncio.Event()
        self.kind = getattr(vfs, kind)
        # As an SD card has them, and as a board's flash.
        self.shape = size, 512 if kind == "VfsFat" else 4096
        self.insert()

    def insert(self):
        self.disc = RAMDisc(*self.shape)
        self.kind.mkfs(self.disc)
        vfs.mount(self.kind(self.disc), ROOT)

    async def serve(self, reader, writer):
        while True:
            line = await reader.readline()
            if not line:
                break
            what, of_path, of_data = line.split()
            path = await reader.readexactly(int(of_path))
            data = await reader.readexactly(int(of_data))
            try:
                error = 0
                # As bytes: a name need not be UTF-8.
                answer = getattr(self, what.decode())(ROOT.encode() + path, data) or b""
            except OSError as failure:
                error = failure.errno
                answer = b""
            # This is one piece, because a second small one would wait for the acknowledgement of the first.
            writer.write(b"%d %d\n" % (error, len(answer)) + answer)
            await writer.drain()
        writer.close()
        self.is_left.set()

    def read(self, path, _):
        with open(path, "rb") as file:
            return file.read()

    def write(self, path, data):
        with open(path, "wb") as file:
            file.write(data)

    def names(self, path, _):
        return b"".join((b"d" if entry[1] & 0x4000 else b"f") + entry[0] + b"\0" for entry in os.ilistdir(path))

    def mkdir(self, path, _):
        os.mkdir(path)

    def remove(self, path, _):
        os.remove(path)

    def rmdir(self, path, _):
        os.rmdir(path)

    def free(self, path, _):
        figures = os.statvfs(path)
        return b"%d" % (figures[0] * figures[3])

    def change(self, *_):
        # Somebody takes the card out and puts an empty one in.
        vfs.umount(ROOT)
        self.insert()

    def remount(self, *_):
        # The file system loses what it had only in memory, as when the board starts again.
        vfs.umount(ROOT)
        vfs.mount(self.kind(self.disc), ROOT)


def open_door(kind, size, port):
    """Makes the file system, and serves its files as soon as the event loop runs."""
    global door
    door = Door(kind, size)
    asyncio.create_task(asyncio.start_server(door.serve, "127.0.0.1", port))


def linger():
    """Waits until the tests have looked at what the server left, when the server has ended by itself."""
    asyncio.get_event_loop().run_until_complete(door.is_left.wait())
