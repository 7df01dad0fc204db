# Failed logins. Loaded when one is counted.
from micropython import const

from .control import _failures_of

# Addresses and accounts whose failed logins are remembered.
_REMEMBERED = const(64)


def add(server, s):
    """Counts a failed login. When too many are remembered, one is forgotten whose time is over, else a name, because anyone can invent names, else an address; never what is counted now.

    Raises MemoryError.
    """
    keys = s.peer[0], "@%s" % s.user
    failures = server._failures
    for key in keys:
        count = _failures_of(server, key) + 1
        if key not in failures and len(failures) >= _REMEMBERED:
            least = fewest = None
            for other in failures:
                if other not in keys:
                    rank = _failures_of(server, other)
                    if rank and other[0] != "@":
                        rank += 1000
                    if least is None or rank < fewest:
                        least, fewest = other, rank
            del failures[least]
        failures[key] = count, server._uptime + server.lockout
