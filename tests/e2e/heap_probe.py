# Run by MicroPython, argv HOST PORT ROOT: prints what is allocated on the GC heap, in bytes, when nothing is imported yet, after
# `import ftpdlite`, when the server is ready, and then for each line on stdin. After each
# number comes what micropython.qstr_info() prints.
import asyncio
import gc
import micropython
import sys


def overwrite(depth):
    # The collector takes what lies about on the stack for pointers: what earlier calls left there goes.
    a = b = c = d = e = f = g = h = None
    if depth:
        overwrite(depth - 1)
    return (a, b, c, d, e, f, g, h)


def measure(what):
    overwrite(20)
    gc.collect()
    print(what, gc.mem_alloc())
    # Its line tells how many names the firmware did not have.
    micropython.qstr_info()


async def main(host, port, root):
    requests = asyncio.StreamReader(sys.stdin)
    measure("before")
    from ftpdlite import FTPdLite

    measure("import")
    server = FTPdLite(host=host, port=int(port), root=root)
    server.add_account("tester:secret")
    await server.start()
    # The search for unfinished uploads ends, and its code goes.
    await asyncio.sleep_ms(1500)
    measure("ready")
    while await requests.readline():
        measure("sessions")
    await server.stop()


asyncio.run(main(*sys.argv[1:4]))
