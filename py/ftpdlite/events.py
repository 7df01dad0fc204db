# Tells the program what happens. Loaded only when the program gave on_event.
from .tasks import core


def tell(server, kind, s, path, old_path, end, start):
    """Calls on_event. For a transfer, `end` is how it ended and `start` when it began, in milliseconds."""
    info = {"user": s.user or None, "address": s.peer[0]}
    if path is not None:
        info["path"] = path
    if old_path is not None:
        info["old_path"] = old_path
    if kind.startswith("transfer_p"):
        info["bytes"] = s.moved
    elif kind.startswith("transfer_"):
        info["transfer"] = s.transfer
    if end is not None:
        info["bytes"] = s.moved
        info["seconds"] = core.ticks_diff(core.ticks(), start) / 1000
        info["complete"] = not end
    server.on_event(kind, info)
