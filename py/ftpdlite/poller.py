# Room in asyncio's poller. Only the Unix port loads this: when a server with TLS starts, and when more streams wait than ever before. Boards do not need it.
import select
from micropython import const

# For how many streams more there is room then, and how many of these the program may take without the server.
_ROOM = const(32)
_OTHERS = const(16)


def extend(queue, anyway=False):
    """Makes sure that the poller of asyncio's queue can take one more stream. Gives the number of streams at which to call it again. Raises MemoryError.

    anyway: also if all of them have a descriptor.

    The Unix port keeps all file descriptors of a poller in one array. When the array grows while a stream without a descriptor waits, such as one of TLS, the
    next poll crashes (docs/ports.md). So then the array grows in a new poller, before that has such a stream.
    """
    streams = queue.map.values()
    count = len(queue.map)
    for _, _, stream in streams:
        # A session asks its control connection.
        if not hasattr(getattr(stream, "sock", stream), "fileno"):
            anyway = True
    if not anyway:
        # It grows by itself.
        return count + 1
    poller = select.poll()
    # The first call takes memory, and in asyncio's loop it must not fail.
    poller.ipoll(0)
    count += _ROOM
    # A number stands for a descriptor. All are out again before anything polls.
    try:
        for number in range(count):
            poller.register(number)
    except OSError:
        # This poller has no array: it asks each stream.
        return count
    for number in range(count):
        poller.unregister(number)
    for reader, writer, stream in streams:
        poller.register(stream, (select.POLLIN if reader else 0) | (select.POLLOUT if writer else 0))
    queue.poller = poller
    return count - _OTHERS
