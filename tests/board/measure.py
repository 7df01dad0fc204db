"""What the server costs on the emulated board: measure.py FIRMWARE PACKAGE, in a network namespace of its own (`unshare --net`).

Prints instructions of the processor, for all that the board does (lwIP, file system, driver), the smallest of several tries, and the time
by the board's own clock, which counts instructions. The same work gives the same figures.
"""

import ftplib
import io
import sys
import time

import tap
from emulator import PASSWORD, USER, Emulator

INSTRUCTIONS_A_CYCLE = 40
CYCLES_A_MILLISECOND = 25_000


def cost(board, what, repeats):
    """Instructions, and milliseconds of the board's clock, that it takes at least; asking for them is taken off."""
    found = []
    for _ in range(repeats):
        empty = board.value("busy()")
        before = board.value("busy()")
        what()
        after = board.value("busy()")
        work = (after[0] - before[0]) - (before[0] - empty[0])
        whole = sum(after) - sum(before)
        found.append((work * INSTRUCTIONS_A_CYCLE, whole / CYCLES_A_MILLISECOND))
    return min(work for work, _ in found), min(whole for _, whole in found)


def measure(board):
    ftp = ftplib.FTP(timeout=60)
    ftp.connect(tap.BOARD)
    ftp.login(USER, PASSWORD)
    ftp.voidcmd("TYPE I")
    small, large = bytes(1024), bytes(1 << 20)

    def store(data):
        ftp.storbinary("STOR file.bin", io.BytesIO(data))

    def retrieve():
        ftp.retrbinary("RETR file.bin", lambda piece: None)

    def show(name, what, times, repeats=5):
        instructions, milliseconds = cost(board, lambda: [what() for _ in range(times)], repeats)
        print(f"{name:<16} {instructions // times:>12,} instructions {milliseconds / times:9.2f} ms", flush=True)

    show("NOOP", lambda: ftp.voidcmd("NOOP"), 10)
    show("STOR of 1 KiB", lambda: store(small), 5)
    show("RETR of 1 KiB", retrieve, 5)
    show("STOR of 1 MiB", lambda: store(large), 1, 2)
    show("RETR of 1 MiB", retrieve, 1, 2)
    ftp.quit()
    time.sleep(0.5)


def main():
    firmware, package, *statements = sys.argv[1:]
    with Emulator(firmware, package, counts=True) as board:
        for statement in statements:
            board.ask(statement)
        measure(board)


if __name__ == "__main__":
    main()
