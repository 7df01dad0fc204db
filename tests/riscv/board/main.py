# What the testing program calls: the package as on any board, on what the other files here make up for what the port lacks.
import asyncio
import files
import ftpdlite
import gc
import host
import os
import socket
import sys
import vfs
from ftpdlite import choice, hashpass, native

memory = files.Files()
vfs.mount(memory, "/srv")
server = None


def serve(settings, *accounts):
    """Serves until stop(); gives how many sockets and files are open then."""
    global server
    if settings.pop("sets_times", False):
        os.utime = lambda path, times: memory.touch(path[len("/srv") :], times[1])
    elif hasattr(os, "utime"):
        del os.utime
    server = ftpdlite.FTPdLite(host="127.0.0.1", port=2121, root="/srv", **settings)
    for account in ("tester:secret", "guest:guest") + accounts:
        server.add_account(account)
    server.run()
    return socket.lost(), memory.open_files


def stop():
    asyncio.create_task(server.stop())


def pbkdf2(password, salt, rounds):
    """The key, from a task of its own."""
    return asyncio.run(hashpass._pbkdf2(password, salt, rounds))


def load(name):
    """Imports a module and forgets it."""
    __import__(name)
    del sys.modules[name]


def pattern(start, end):
    """Bytes of fixture.txt's kind `fill`."""
    return bytes(index % 251 for index in range(start, end))


def rough(chunk, block):
    """Sets how streams are; gives how often one said since the last time that it would block."""
    blocked = socket.blocked
    socket.chunk = chunk
    socket.block = block
    socket.calls = socket.blocked = 0
    return blocked


def harass(collects, threshold):
    """Sets whether garbage is collected at every poll, and after how many bytes; gives at how many polls it was since the last time."""
    collections = host.collections
    host.collects = collects
    host.collections = 0
    gc.threshold(threshold)
    return collections


host.names = globals()
host.serve()
