"""What `cargo xtask board` runs: serve.py FIRMWARE PACKAGE HEAP_KIB FILES [ORIGINAL]. It serves from the board until Ctrl-C."""

import os
import signal
import sys

import tap
from emulator import PASSWORD, USER, BoardFailed, Emulator


def enter():
    """The command by which another program gets into this network namespace."""
    with open("/proc/self/uid_map") as file:
        is_own = file.read().split() != ["0", "0", "4294967295"]
    return f"nsenter --target {os.getpid()}" + (" --user --preserve-credentials" if is_own else "") + " --net --"


def main():
    firmware, package, heap, files, *original = sys.argv[1:]
    for number in signal.SIGINT, signal.SIGTERM:
        signal.signal(number, signal.default_int_handler)
    try:
        # The address is given, as with host= in a program, because looking for it takes memory.
        settings = {"host": tap.BOARD}
        original = original[0] if original else None
        with Emulator(firmware, package, int(heap), files, settings=settings, original=original, show=print) as board:
            if files == "ramdisc":
                board.ask("fill('/files/numbers.bin', 1000)")
            else:
                board.ask("[fill('/files/numbers.bin', 100000), os.mkdir('/files/pub'), fill('/files/pub/small.bin', 1000)]")
            print(f"The board is {tap.BOARD}, with {heap} KiB of heap and {files}. Account {USER}:{PASSWORD}, which may write.")
            print(f"Try: {enter()} curl --user {USER}:{PASSWORD} ftp://{tap.BOARD}/{'files/' if original else ''}")
            print("Ctrl-C stops.", flush=True)
            while True:
                board.line(float(1 << 20))
    except BoardFailed as error:
        if "MemoryError" in str(error):
            sys.exit(f"error: {heap} KiB of heap are not enough for this server with --files {files}: see --memory in cargo xtask help board")
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("\nStopped.")


main()
