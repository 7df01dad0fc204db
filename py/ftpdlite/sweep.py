# The search for what uploads have left. Loaded for that when a server starts, and when a file could not be removed.
import os
import sys

from asyncio import core

# No more folders than these are looked into, and no more wait for that at a time.
_MOST = 2000
_WAITING = 100
_DIRECTORY = 0x4000


def sweep(server, native):
    """Removes unfinished uploads that no session of the server writes to: a generator that lets other tasks run."""
    try:
        folders = [server.root] + [account[3] for account in server._entries if account[3]]
    except MemoryError:
        server._litter = True
        return
    if sys.platform == "linux" and server.root == "/":
        # That is a whole computer's.
        folders.pop(0)
    start = core.ticks()
    for _ in range(_MOST):
        if not folders or not server._stop_event:
            break
        try:
            folder = folders.pop().rstrip("/")
            for entry in os.ilistdir(folder or "/"):
                if entry[1] & _DIRECTORY:
                    if len(folders) < _WAITING:
                        folders.append("%s/%s" % (folder, entry[0]))
                elif native.is_unfinished(entry[0]):
                    path = "%s/%s" % (folder, entry[0])
                    if not any(native.same(path, s.old_path or "") for s in server.sessions):
                        os.remove(path)
                if core.ticks_diff(core.ticks(), start) > 1:
                    yield from core.sleep_ms(0)
                    start = core.ticks()
        except (OSError, ValueError):
            pass
        except MemoryError:
            server._litter = True
