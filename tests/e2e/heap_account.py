# Where the GC heap goes. `cargo xtask sizes` runs this on MicroPython with the folder of the package and its architecture: the package is loaded, and a server and a
# session are made, in steps. Each prints a line: how many bytes it takes, how many of these are for names, and what it is. Names stay for ever.
import gc
import sys

sys.path.append(".frozen")
import asyncio
import micropython
import socket
from asyncio import core

FOLDER, ARCHITECTURE = sys.argv[1:]
kept = []
former = 0


def overwrite(depth):
    # The collector takes what lies about on the stack for pointers: what earlier calls left there goes.
    a = b = c = d = e = f = g = h = None
    if depth:
        overwrite(depth - 1)
    return (a, b, c, d, e, f, g, h)


def told(what=None):
    global former
    overwrite(20)
    gc.collect()
    now = gc.mem_alloc()
    if what:
        # Its line tells of all names.
        micropython.qstr_info()
        print("%d\t%s" % (now - former, what))
    former = gc.mem_alloc()


async def account():
    sys.path.insert(0, FOLDER + "/ftpdlite")
    told("nothing")
    kept.append(__import__("native_" + ARCHITECTURE))
    told("the native module's types, functions, names and tables, without its text")
    sys.path[0] = FOLDER
    # Loads the native module again, under its own name. The first one is not needed any more.
    import ftpdlite

    del sys.modules["native_" + ARCHITECTURE]
    kept.clear()
    told("the shim's bytecode, constants, functions and names")
    server = ftpdlite.FTPdLite(host="127.0.0.1", port=2121, log=lambda line: None)
    told("a server with its settings, and the names of settings.py")
    await server.start()
    # The search for unfinished uploads ends, and its code goes.
    await asyncio.sleep_ms(1500)
    kept.append(socket.socket())
    told("to listen: the module's Server, a socket, three tasks, and the names of startup.py and sweep.py")
    native = ftpdlite.native
    session = native.Session(server._hub, kept[0], ("127.0.0.1", 4000), 512)
    told("a session: its object, with 512 bytes for lines")
    server.sessions.append(session)
    session.task = core.create_task(ftpdlite._control(server, session, kept[0]))
    told("a session: its task")
    kept.append(native.Server("", 0, 0, 0, 0, 0, 0, 0, None, 0, 0, native.holders, -1, None, None))
    told("the module's Server alone: settings, workspace, replies on their way")


asyncio.run(account())
