# The floor: what modlwip and the file system cost without a server. All calls block, and each transfer has one buffer.
import board
import os
import socket

LISTENERS = {}


def busy():
    all, idle = board.times()
    return all - idle


def accept(port):
    # Listeners stay open, so that closing them does not count in the figures.
    if port not in LISTENERS:
        listener = socket.socket()
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
