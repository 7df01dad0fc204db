# time, which the port lacks: a clock that stands still until host.py moves it, but for the microseconds, of which some go by
# whenever they are asked for. Its epoch is 2000, as on most boards.

# Milliseconds since the start.
now = 0
_micros = 0
_START = 846_400_000


def time():
    return _START + now // 1000


def gmtime(seconds=None):
    # Enough for what only looks at the year.
    seconds = time() if seconds is None else seconds
    return (2000 + seconds // 31_556_952, 1, 1, 0, 0, 0, 0, 1)


def ticks_ms():
    return now & 0x3FFFFFFF


def ticks_us():
    global _micros
    _micros += 300
    return now * 1000 + _micros & 0x3FFFFFFF


def ticks_add(ticks, delta):
    return (ticks + delta) & 0x3FFFFFFF


def ticks_diff(left, right):
    return ((left - right + 0x20000000) & 0x3FFFFFFF) - 0x20000000
