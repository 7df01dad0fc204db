# On the board: brings up the network and the file system that config.py names, starts the server, and answers the console.
# Each line there is an expression or a statement. The answer is a line that begins with "=> ".
import asyncio
import board
import config
import gc
import network
import os
import sys
import time
import vfs


class Ramdisc:
    # A small block device in the heap, as boards without flash have.
    def __init__(self, blocks):
        self.bytes = bytearray(blocks * 512)

    def readblocks(self, block, into, offset=0):
        at = block * 512 + offset
        into[:] = memoryview(self.bytes)[at : at + len(into)]

    def writeblocks(self, block, data, offset=0):
        at = block * 512 + offset
        self.bytes[at : at + len(data)] = data

    def ioctl(self, operation, argument):
        return {4: len(self.bytes) // 512, 5: 512}.get(operation, 0)


def mount():
    # The file system that is served, on /files.
    global disc, kind
    if config.files == "ramdisc":
        disc, kind = Ramdisc(64), vfs.VfsLfs2
    else:
        disc, kind = board.Disc(config.disc_blocks), vfs.VfsFat if config.files == "fat" else vfs.VfsLfs2
    vfs.umount("/")
    format()


def format():
    kind.mkfs(disc)
    vfs.mount(kind(disc), "/files")


def empty():
    # The file system is as new.
    vfs.umount("/files")
    format()


BLOCK = bytes(i * 7 & 255 for i in range(256))


def fill(path, size):
    # Makes a file of that many bytes.
    with open(path, "wb") as file:
        for at in range(0, size, 256):
            file.write(memoryview(BLOCK)[: min(256, size - at)])


def busy():
    # Cycles at work and cycles idle so far.
    all, idle = board.times()
    return all - idle, idle


def state():
    # The figures that a test compares: sessions, what waits for sockets and the console, free heap.
    gc.collect()
    return len(server.sessions), len(asyncio.core._io_queue.map), gc.mem_free()


def clear(folder="/files"):
    # Removes all files and folders.
    for name, kind, *_ in os.ilistdir(folder):
        path = folder + "/" + name
        if kind == 0x4000:
            clear(path)
            os.rmdir(path)
        else:
            os.remove(path)


def write(path, content):
    # Makes a file; a number as content is the length of the pattern that fixture.txt means by "fill".
    with open(path, "wb") as file:
        if isinstance(content, int):
            block = bytes(range(251))
            for _ in range(content // 251):
                file.write(block)
            content = block[: content % 251]
        file.write(content)


def read(path):
    with open(path, "rb") as file:
        return file.read()


async def tick(period, count):
    # A task of the program's own, beside the server: gives how late each tick was, in ms.
    late = bytearray(count)
    due = time.ticks_ms()
    for number in range(count):
        due = time.ticks_add(due, period)
        await asyncio.sleep_ms(max(0, time.ticks_diff(due, time.ticks_ms())))
        late[number] = min(255, max(0, time.ticks_diff(time.ticks_ms(), due)))
        if late[number] > period:
            due = time.ticks_ms()
    return late


async def start_original():
    # The original server, as its run() starts it; that does not come back. Its root is "/".
    global server
    from original import FTPd

    server = FTPd(host=config.address, port=21)
    server.add_account(config.accounts[0][0])
    server.sessions = server._session_list
    await asyncio.start_server(server.on_ctrl_connect, config.address, 21, 5)


async def restart(settings, accounts):
    # Another server, in the place of the one that is there: a small heap does not hold both.
    global server
    if server:
        await server.stop()
        server.__init__(root="/files", **settings)
    else:
        server = FTPdLite(root="/files", **settings)
    for account in accounts:
        server.add_account(*account)
    gc.collect()
    await server.start()


async def console():
    reader = asyncio.StreamReader(sys.stdin)
    while True:
        line = (await reader.readline()).strip()
        if not line:
            continue
        try:
            try:
                answer = eval(line, globals())
                if hasattr(answer, "send"):
                    answer = await answer
            except SyntaxError:
                answer = exec(line, globals())
            print("=>", repr(answer))
        except Exception as error:
            print("=> raised", repr(error))


async def main():
    global server, FTPdLite
    server = None
    asyncio.create_task(console())
    gc.collect()
    before = gc.mem_free()
    if config.server == "original":
        await start_original()
    else:
        from ftpdlite import FTPdLite

        await restart(config.settings, config.accounts)
    gc.collect()
    print("READY: %d bytes of heap are free, %d less than without the server" % (gc.mem_free(), before - gc.mem_free()))
    await asyncio.Event().wait()


mount()
lan = network.LAN()
lan.active(True)
lan.ifconfig((config.address, "255.255.255.0", config.gateway, config.gateway))
asyncio.run(main())
