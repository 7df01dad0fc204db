# The floor: what modlwip and the file system cost without a server. All calls block, but for those of answer_in_asyncio(), and each transfer has one buffer.
import board
import os
import socket
from asyncio import core

LISTENERS = {}


def busy():
    all, idle = board.times()
    return all - idle


def accept(port):
    # Listeners stay open, so that closing them does not count in the figures.
    if port not in LISTENERS:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("0.0.0.0", port))
        listener.listen(2)
        LISTENERS[port] = listener
    return LISTENERS[port].accept()[0]


def close():
    # Ends all listeners.
    while LISTENERS:
        LISTENERS.popitem()[1].close()


def send(path, buffer_size, port):
    # Sends a file to the client that connects to the port. Gives the cycles that it took.
    buffer = memoryview(bytearray(buffer_size))
    connection = accept(port)
    before = busy()
    with open(path, "rb") as file:
        while size := file.readinto(buffer):
            connection.write(buffer[:size])
    connection.close()
    return busy() - before


def take(path, buffer_size, port):
    # Takes a file from the client that connects to the port.
    buffer = memoryview(bytearray(buffer_size))
    connection = accept(port)
    before = busy()
    with open(path, "wb") as file:
        while size := connection.readinto(buffer):
            file.write(buffer[:size])
    connection.close()
    return busy() - before


def answer(port):
    # Answers each NOOP with a line, until the client goes. The program that asks measures. A read that blocks fills its buffer.
    buffer = bytearray(6)
    connection = accept(port)
    while connection.readinto(buffer):
        connection.write(b"200 OK.\r\n")
    connection.close()


# async
def answer_in_asyncio(port):
    # The same, but other tasks run while nothing comes.
    buffer = bytearray(6)
    core._io_queue.queue_read(LISTENERS[port])
    yield
    connection = accept(port)
    connection.setblocking(False)
    while True:
        core._io_queue.queue_read(connection)
        yield
        if not connection.readinto(buffer):
            break
        connection.write(b"200 OK.\r\n")
    connection.close()


def meet(port, count):
    # So many times what a passive data connection needs: a listener, its connection, and the end of both.
    for _ in range(count):
        accept(port).close()
        close()


def names(path):
    # All entries of a folder, without their times.
    before = busy()
    for entry in os.ilistdir(path):
        pass
    return busy() - before


def entries(path):
    # All entries of a folder, with their times.
    before = busy()
    for entry in os.ilistdir(path):
        os.stat(path + "/" + entry[0])
    return busy() - before


def look(path):
    before = busy()
    os.stat(path)
    return busy() - before
