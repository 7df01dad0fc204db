# Runs in MicroPython: the server and its client in one program, on file systems whose n-th call fails and whose power is cut at the n-th write.
#
# A program imports this, and calls cuts() or faults(). What went wrong is raised; how many points were tried is printed.
import io
import sys

try:
    import asyncio
except ImportError:
    # On the Unix port MICROPYPATH hides what is frozen into the firmware.
    sys.path.append(".frozen")
    import asyncio
import os
import vfs

import ftpdlite

from board_works import BYSTANDER, BYSTANDERS, ROOT, path_of, read, told, work, write

# The old content of the clusters.
GARBAGE = "garbageofoldfiles"
PATIENCE = 20
EIO, ENOSPC, EEXIST = 5, 28, 17


# -- file systems


class Disc:
    """A block device in RAM that can keep the list of its writes, and whose writes can fail."""

    def __init__(self, kind, data, plan=None):
        self.kind = kind
        self.plan = plan
        self.block = 512 if kind == "VfsFat" else 4096
        self.data = bytearray(data)
        self.writes = None

    def readblocks(self, block, buffer, offset=0):
        start = block * self.block + offset
        buffer[:] = memoryview(self.data)[start : start + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        start = block * self.block + offset
        # A card writes sector after sector.
        step = 512 if self.kind == "VfsFat" else len(buffer)
        for at in range(0, len(buffer), step):
            number = self.plan.number("block") if self.plan else 0
            if number and self.kind == "VfsFat":
                # As drivers written in Python do, and as FAT wants it.
                raise OSError(number)
            if number:
                return -number
            self._write(start + at, bytes(buffer[at : at + step]))
        return 0

    def _write(self, start, data):
        if self.writes is not None:
            self.writes.append((start, data))
        self.data[start : start + len(data)] = data

    def ioctl(self, operation, argument):
        if operation == 4:
            return len(self.data) // self.block
        if operation == 5:
            return self.block
        if operation == 6 and self.kind == "VfsLfs2":
            self._write(argument * self.block, b"\xff" * self.block)
        return 0

    def mount(self):
        swap(getattr(vfs, self.kind)(self))


def swap(files):
    """Mounts a file system in place of the one before it."""
    try:
        vfs.umount(ROOT)
    except OSError:
        # There was none.
        pass
    vfs.mount(files, ROOT)


def new_disc(kind, size):
    """An empty file system that is mounted."""
    # The old content of the disc must not matter to the file system.
    disc = Disc(kind, b"Garbage, of old files. " * (size // 23) + bytes(size % 23))
    getattr(vfs, kind).mkfs(disc)
    disc.mount()
    return disc


class Grown(Exception):
    """FAT took a cluster for a folder, and had not emptied it yet: what a file had there is read as names. `found`: what is there beside them."""

    def __init__(self, path, found):
        super().__init__(path)
        self.found = found


def tree(folder="", found=None):
    """{path: content} of all files, and of folders with a / at the end."""
    grown = None
    outermost = found is None
    if outermost:
        found = {}
    if folder.count("/") > 9:
        raise AssertionError("%s is in itself" % folder)
    unread = None
    for entry in list(os.ilistdir(path_of(folder or "/"))):
        try:
            name = entry[0].decode() if isinstance(entry[0], bytes) else entry[0]
        except UnicodeError:
            raise AssertionError("there is rubbish in %s" % (folder or "/"))
        path = folder + "/" + name
        letters = "".join(letter for letter in name.lower() if letter not in " .,")
        # Or it is the content of a file of the tests, which makes sizes that no disc here has.
        if len(letters) > 3 and letters[:4] in GARBAGE * 2 or len(entry) > 3 and entry[3] > 1 << 20:
            grown = path
            continue
        if path in found or path + "/" in found:
            raise AssertionError("%s is there twice" % path)
        if entry[1] & 0x4000:
            found[path + "/"] = None
            grown = tree(path, found) or grown
        else:
            try:
                found[path] = read(path)
            except OSError as error:
                unread = OSError(error.errno, path)
    if outermost and grown:
        raise Grown(grown, found)
    if unread and not grown:
        raise unread
    return found if outermost else grown


# -- calls that fail


class Plan:
    """Which call of the file system fails: the n-th, or all from the n-th on."""

    def __init__(self):
        self.disarm()

    def arm(self, first, error, lasts):
        self.calls = 0
        self.struck = 0
        self.first = first
        self.error = error
        self.lasts = lasts
        self.trace = []
        # How many files are open that were opened since.
        self.files = 0

    def disarm(self):
        self.first = None

    def number(self, what):
        """The errno that this call is to fail with, or 0. Raises MemoryError."""
        if self.first is None:
            return 0
        self.calls += 1
        if self.calls == self.first or self.lasts and self.calls > self.first:
            self.struck += 1
            if len(self.trace) < 3:
                self.trace.append(what)
            if self.error is MemoryError:
                raise MemoryError
            return self.error
        return 0

    def call(self, what):
        number = self.number(what)
        if number:
            raise OSError(number)


class FaultyFile(io.IOBase):
    """A file whose calls may fail, as those of a file system in C do: with a number when bytes move, else with an exception."""

    def __init__(self, plan, file):
        self.plan = plan
        self.file = file
        plan.files += 1

    def readinto(self, buffer):
        number = self.plan.number("read")
        return -number if number else self.file.readinto(buffer)

    def write(self, buffer):
        number = self.plan.number("write")
        return -number if number else self.file.write(buffer)

    def seek(self, offset, whence=0):
        self.plan.call("seek")
        return self.file.seek(offset, whence)

    def flush(self):
        self.plan.call("flush")
        return self.file.flush()

    def close(self):
        if self.file:
            # The file is closed even if the call reports an error.
            try:
                self.plan.call("close")
            finally:
                file = self.file
                self.file = None
                self.plan.files -= 1
                file.close()

    def read(self, count):
        self.plan.call("read")
        return self.file.read(count)

    def ioctl(self, request, argument):
        if request == 4:
            self.close()
        return 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class FaultyFiles:
    """A file system around another whose calls may fail. Without another: a folder of this machine."""

    def __init__(self, plan, inner, folder=None):
        self.plan = plan
        self.inner = inner
        self.folder = folder

    def mount(self, readonly, mkfs):
        if not self.folder:
            self.inner.mount(readonly, mkfs)

    def umount(self):
        if not self.folder:
            self.inner.umount()

    def _path(self, path):
        if not self.folder:
            return path
        return self.folder.encode() + path if isinstance(path, bytes) else self.folder + path

    def open(self, path, mode):
        self.plan.call("open")
        path = self._path(path)
        file = open(path, mode) if self.folder else self.inner.open(path, mode)
        return file if self.plan.first is None else FaultyFile(self.plan, file)

    def ilistdir(self, path):
        self.plan.call("ilistdir")
        entries = self.inner.ilistdir(self._path(path))
        for entry in entries:
            yield entry

    def rename(self, old, new):
        self.plan.call("rename")
        return self.inner.rename(self._path(old), self._path(new))

    def stat(self, path):
        self.plan.call("stat")
        return self.inner.stat(self._path(path))

    def statvfs(self, path):
        self.plan.call("statvfs")
        return self.inner.statvfs(self._path(path))

    def remove(self, path):
        self.plan.call("remove")
        return self.inner.remove(self._path(path))

    def mkdir(self, path):
        self.plan.call("mkdir")
        return self.inner.mkdir(self._path(path))

    def rmdir(self, path):
        self.plan.call("rmdir")
        return self.inner.rmdir(self._path(path))


# -- the client


class Gone(Exception):
    """The server has closed the connection."""


class Client:
    """A client that accepts any answer, and never waits for ever."""

    def __init__(self, port):
        self.port = port

    async def connect(self):
        self.reader, self.writer = await self._patiently(asyncio.open_connection("127.0.0.1", self.port))
        await self.reply()
        for command in ("USER tester", "PASS secret", "TYPE I"):
            answer = await self(command)
            assert answer[:1] in "23", answer
        return self

    async def _patiently(self, what):
        return await asyncio.wait_for(what, PATIENCE)

    async def reply(self):
        while True:
            line = (await self._patiently(self.reader.readline())).decode()
            if not line:
                raise Gone
            if line[3:4] == " ":
                return line.strip()

    async def __call__(self, command):
        self.writer.write(command.encode() + b"\r\n")
        await self._patiently(self.writer.drain())
        return await self.reply()

    async def data(self):
        answer = await self("EPSV")
        if not answer.startswith("229"):
            return None
        return await self._patiently(asyncio.open_connection("127.0.0.1", int(answer.split("|")[3])))

    async def store(self, command, content, breaks=False):
        """Uploads; gives the last reply. `breaks`: the data connection is reset at the end."""
        streams = await self.data()
        if not streams:
            return "425"
        writer = streams[1]
        try:
            answer = await self(command)
            if not answer.startswith("150"):
                return answer
            try:
                writer.write(content)
                await self._patiently(writer.drain())
            except OSError:
                pass
            if breaks:
                # What has been sent is to arrive.
                await asyncio.sleep_ms(20)
                writer.s.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
        finally:
            writer.s.close()
        return await self.reply()

    async def get(self, command):
        """Downloads, or lists; gives the last reply."""
        streams = await self.data()
        if not streams:
            return "425"
        try:
            answer = await self(command)
            if answer.startswith("150"):
                while await self._patiently(streams[0].read(4096)):
                    pass
                answer = await self.reply()
            return answer
        finally:
            streams[1].s.close()

    async def retrieve(self, command):
        streams = await self.data()
        answer = await self(command)
        assert answer.startswith("150"), answer
        content = b""
        while True:
            piece = await self._patiently(streams[0].read(4096))
            if not piece:
                break
            content += piece
        streams[1].s.close()
        answer = await self.reply()
        assert answer.startswith("226"), answer
        return content

    def close(self):
        # asyncio closes a stream only in wait_closed().
        self.writer.s.close()


# -- the server


class Rig:
    """A server on ROOT, whatever is mounted there."""

    def __init__(self, port, **settings):
        self.port = port
        self.server = ftpdlite.FTPdLite(
            host="127.0.0.1",
            port=port,
            root=ROOT,
            pasv_port_range=range(port + 1, port + 40),
            transfer_buffer_size=1024,
            login_delay=0,
            log=lambda line: None,
            **settings,
        )
        self.server.add_account("tester:secret")

    async def rest(self):
        """Waits until no transfer is going on, and what is left over has been swept."""
        for _ in range(200):
            if not any(s.job for s in self.server.sessions):
                break
            await asyncio.sleep_ms(5)
        else:
            raise AssertionError("a transfer never ends")
        for _ in range(5):
            self.server._litter = 0
            await ftpdlite._sweep(self.server)
            if not self.server._litter:
                break
        else:
            raise AssertionError("the sweep never comes to its end")


def complain(where, what):
    raise AssertionError("%s: %s" % (where, what))


def is_own(path):
    return "/.ftpdlite-" in path.lower()


def check_tree(where, job, found):
    """What must be true of the files whatever happened; gives the names that nobody knows."""
    strange = []
    for path in found:
        if is_own(path):
            complain(where, "left over: %s" % path)
        if not job.knows(path) and path != "/d/" and path not in BYSTANDERS and not path.startswith(("/pad", "/d/pad")):
            strange.append(path)
    for path in BYSTANDERS:
        if found.get(path) != BYSTANDER:
            complain(where, "%s is damaged" % path)
    return strange


# -- power cuts


class Cuts:
    """What cuts did, in numbers."""

    def __init__(self, again=None):
        # Where the power was cut.
        self.points = 0
        # FAT: a name is known by its short one only. An upload or a note never is, when the power was cut once.
        self.short = 0
        self.own = 0
        # FAT: what was in a new cluster of a folder is read as names; and the file is not found among them.
        self.grown = 0
        self.buried = 0
        # FAT: clusters that no file has, at most.
        self.lost = 0
        # What is wrong. LittleFS and FAT cut once have none.
        self.wrong = 0
        # The same for cuts during the first work after the first cut.
        self.again = again
        self.examples = []

    def example(self, what):
        if len(self.examples) < 8:
            self.examples.append(what)

    def told(self):
        return [self.points, self.short, self.grown, self.buried, self.lost, self.wrong, self.own]


def check_image(where, job, cuts, before, is_fat):
    """What must be true after a cut and the sweep: nothing is left over, the file is old or new, and the file system can be used."""
    try:
        found = tree()
    except Grown as what:
        if not is_fat:
            raise
        cuts.grown += 1
        cuts.example("%s: %s" % (where, what))
        if job.wrong(what.found):
            cuts.buried += 1
        return
    strange = check_tree(where, job, found)
    wrong = job.wrong(found)
    if strange:
        if not is_fat:
            complain(where, "strange names: %s" % strange)
        cuts.short += 1
        if any(path.endswith((".FTP", ".TO")) for path in strange):
            cuts.own += 1
        cuts.example("%s: %s" % (where, [(path, len(found[path] or b"")) for path in strange]))
        # A client may remove them, and then no file may be harmed.
        for path in sorted(strange, reverse=True):
            content = found.pop(path)
            if wrong and content is not None and job.is_right_as(content):
                wrong = None
                found[path] = content
            elif path.endswith("/"):
                os.rmdir(path_of(path[:-1]))
            else:
                os.remove(path_of(path))
    if wrong:
        complain(where, "%s, beside %s" % (wrong, strange))
    # The rest of the space is free, and in no other file.
    figures = os.statvfs(ROOT)
    free = figures[0] * figures[3]
    if is_fat:
        used = sum((len(data) + 511) // 512 for data in found.values() if data)
        lost = before - used - figures[3]
        cuts.lost = max(cuts.lost, lost)
    room = free if is_fat else free - 3 * 4096
    rest = b"rest of the space " * (room // 18)
    try:
        write("/rest", rest)
    except OSError as error:
        complain(where, "%d bytes were free, but do not fit: %s" % (len(rest), error))
    again = tree()
    if again.pop("/rest") != rest or again != found:
        complain(where, "files share their space")
    os.remove(ROOT + "/rest")


def tear(image, start, data, share, rest):
    """Does the first part of a write. rest: what the other bytes are then, or None if they are as before."""
    length = int(len(data) * share)
    image[start : start + length] = data[:length]
    if rest is not None:
        image[start + length : start + len(data)] = bytes([rest]) * (len(data) - length)


async def cuts(rig, kind, what, name, pads=0, size=96 * 1024, fill=0, torn=None, stride=1):
    """Cuts the power at every write of a work; gives the numbers.

    pads: files before it in its folder, which move its entries in their sectors. fill: clusters that are in use before it, which move its own in FAT's
    table. torn: of the write that is cut, (share, rest) are done, see tear(). Then there is no second cut on FAT. stride: how many writes lie between the second cuts.
    """
    is_fat = kind == "VfsFat"
    job = work(what, name)
    disc = new_disc(kind, size)
    os.mkdir(ROOT + "/d")
    write("/bystander", BYSTANDER)
    write("/d/bystander", BYSTANDER)
    for number in range(pads):
        write("/d/pad%d" % number, b"")
    write("/pad", b"f" * (fill * 512))
    job.prepare()
    base = bytes(disc.data)
    # Sectors that folders and files have together.
    figures = os.statvfs(ROOT)
    before = figures[3] + sum((len(data) + 511) // 512 for data in tree().values() if data)
    client = await Client(rig.port).connect()
    disc.writes = []
    await job.run(client)
    writes = disc.writes
    client.close()
    await rig.rest()
    numbers = Cuts(Cuts())
    image = bytearray(base)
    for n in range(len(writes) + 1):
        where = "%s, %s, %d files and %d clusters before it, cut at write %d of %d" % (kind, what, pads, fill, n, len(writes))
        cut = image
        if torn and n < len(writes):
            cut = bytearray(image)
            tear(cut, *writes[n], *torn)
        after = None
        try:
            after = await recover(rig, kind, cut, where, job, numbers, before)
        except AssertionError as error:
            if not is_fat or not torn:
                raise
            numbers.wrong += 1
            numbers.example("%s: %s" % (where, error))
        if after and not (torn and is_fat):
            # The power fails again while it is being put right.
            second = bytearray(cut)
            for m in range(len(after)):
                if m:
                    start, data = after[m - 1]
                    second[start : start + len(data)] = data
                if m % stride:
                    continue
                again = "%s, again at %d of %d" % (where, m, len(after))
                try:
                    await recover(rig, kind, second, again, job, numbers.again, before)
                except AssertionError as error:
                    if not is_fat:
                        raise
                    numbers.again.wrong += 1
                    numbers.again.example(str(error))
        if n < len(writes):
            start, data = writes[n]
            image[start : start + len(data)] = data
    return numbers


async def recover(rig, kind, image, where, job, numbers, before):
    """Starts from an image as a board would; gives the writes of that."""
    disc = Disc(kind, image)
    disc.writes = []
    disc.mount()
    await rig.rest()
    writes = disc.writes
    disc.writes = None
    numbers.points += 1
    try:
        check_image(where, job, numbers, before, kind == "VfsFat")
    except OSError as error:
        complain(where, "the file system cannot be used: %s" % error)
    return writes


# -- faults


def clean(folder):
    """Empties a folder of this machine."""
    for entry in list(os.ilistdir(folder)):
        path = folder + "/" + entry[0]
        if entry[1] & 0x4000:
            clean(path)
            os.rmdir(path)
        else:
            os.remove(path)


async def faults(rig, kind, folder, what, name, size=96 * 1024, blocks=False, stride=1):
    """Lets every call of the file system fail that a work makes; gives (points, calls of one run). `blocks`: lets every write of the block device
    fail instead. stride: of so many calls only one fails.
    """
    job = work(what, name)
    plan = Plan()
    base = None
    if kind:
        disc = new_disc(kind, size)
        os.mkdir(ROOT + "/d")
        write("/bystander", BYSTANDER)
        write("/d/bystander", BYSTANDER)
        job.prepare()
        base = bytes(disc.data)
    points = most = 0
    for error in (EIO,) if blocks else (EIO, ENOSPC, MemoryError):
        for lasts in (False, True):
            n = points % stride
            while True:
                n += stride if n else 1
                if kind:
                    disc = Disc(kind, base, plan if blocks else None)
                    files = getattr(vfs, kind)(disc)
                    swap(files if blocks else FaultyFiles(plan, files))
                else:
                    swap(FaultyFiles(plan, os, folder))
                if not kind:
                    clean(folder)
                    os.mkdir(folder + "/d")
                    write("/bystander", BYSTANDER)
                    write("/d/bystander", BYSTANDER)
                    job.prepare()
                where = "%s, %s, %s %s" % (kind or "a folder", what, error, "from then on" if lasts else "once")
                client = await Client(rig.port).connect()
                plan.arm(n, error, lasts)
                try:
                    answer = await job.run(client)
                except Gone:
                    answer = ""
                where = "%s, at call %d (%s), answer %s" % (where, n, plan.trace, answer)
                struck, calls = plan.struck, plan.calls
                plan.disarm()
                client.close()
                await rig.rest()
                if plan.files:
                    complain(where, "%d files are open" % plan.files)
                found = tree()
                if check_tree(where, job, found):
                    complain(where, "strange names in %s" % list(found))
                wrong = job.wrong(found)
                if wrong:
                    complain(where, wrong)
                if not answer.startswith("2") and not job.breaks and not struck and not job.may_refuse:
                    complain(where, "it failed without a fault")
                if answer.startswith("2"):
                    if not job.is_done(found):
                        complain(where, "it is not whole: there is %s" % list(found))
                elif answer and not job.may_refuse and not answer.startswith(("450", "451", "452", "550", "426", "425", "421")):
                    complain(where, "a strange answer")
                if blocks:
                    # The same is on the disc.
                    disc.mount()
                    if tree() != found:
                        complain(where, "after a restart there is %s" % list(tree()))
                await afterwards(rig, where, found)
                points += 1
                if not struck:
                    most = max(most, calls)
                    break
    return points, most


async def afterwards(rig, where, found):
    """The next client is served, and can remove all that it sees."""
    client = await Client(rig.port).connect()
    try:
        for path in sorted(found, reverse=True):
            if path.startswith("/d/"):
                answer = await client(("RMD " if path.endswith("/") else "DELE ") + path)
                if not answer.startswith("250"):
                    complain(where, "afterwards %s cannot be removed: %s" % (path, answer))
        answer = await client("RMD /d") if "/d/" not in found else "250"
        answer = await client.store("STOR /next", b"next")
        if not answer.startswith("226") or await client.retrieve("RETR /next") != b"next":
            complain(where, "afterwards no file can be stored: %s" % answer)
        await client("DELE /next")
    finally:
        client.close()


def run(main, port, **settings):
    """Starts a server and runs `main(rig)` beside it."""
    new_disc("VfsFat", 32 * 1024)

    async def both():
        rig = Rig(port, **settings)
        await rig.server.start()
        try:
            await main(rig)
        finally:
            await rig.server.stop()
        print("Done.")

    asyncio.run(both())
