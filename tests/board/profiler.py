"""Where the instructions of one operation go, in a network namespace of its own (`unshare --net`).

    profiler.py FIRMWARE PACKAGE WORK [DEPTH]

WORK is the name of a figure of bench.py, such as size, or several names with commas between them. QEMU runs one instruction at a time and writes down
each address. The symbols of the firmware say which function that is. The program prints the functions by their own instructions, and the tree of calls.
The whole native module counts as one function.
"""

import bisect
import collections
import os
import re
import subprocess
import sys
import tempfile
import time

import bench
from emulator import Emulator

# Code from this address on is not in the firmware's flash. It is native code in the heap.
RAM = 0x20000000
NATIVE = "(native module)"
# Handlers of interrupts. Nothing calls them.
HANDLERS = {"on_tick", "on_lwip", "on_ethernet", "on_typed"}
ADDRESS = re.compile(rb"\[[0-9a-f]+/([0-9a-f]+)/")


class Symbols:
    """The functions of the firmware."""

    def __init__(self, firmware):
        listing = subprocess.run(["arm-none-eabi-nm", "-n", firmware], check=True, capture_output=True, text=True).stdout
        found = (line.split() for line in listing.splitlines())
        found = [(int(address, 16) & ~1, name) for address, kind, name in found if kind in "tTwW" and not name.startswith("$")]
        self.starts = [start for start, _ in found]
        self.names = [name for _, name in found]

    def name(self, address):
        if address >= RAM:
            return NATIVE
        return self.names[max(0, bisect.bisect_right(self.starts, address) - 1)]

    def is_start(self, address):
        at = bisect.bisect_left(self.starts, address)
        return at < len(self.starts) and self.starts[at] == address


def addresses(path):
    """The addresses of all instructions, in the order in which they ran."""
    with open(path, "rb") as file:
        for line in file:
            if match := ADDRESS.search(line):
                yield int(match[1], 16)


class Node:
    """A function at one place in the tree of calls, with the functions that it called."""

    def __init__(self, name):
        self.name = name
        self.own = 0
        self.calls = 0
        self.inside = {}

    def enter(self, name):
        node = self.inside.setdefault(name, Node(name))
        node.calls += 1
        return node

    def total(self):
        return self.own + sum(node.total() for node in self.inside.values())

    def show(self, depth, least, indent=""):
        for node in sorted(self.inside.values(), key=Node.total, reverse=True):
            total = node.total()
            if total >= least:
                print(f"{total:>9,} {node.own:>9,} {node.calls:>5} {indent}{node.name}")
                if depth > 1:
                    node.show(depth - 1, least, indent + "  ")


def account(symbols, path):
    """({function: own instructions}, the tree of calls). After a return the next address is the one behind the call. After an exception's long jump it is
    in some function that is on the stack."""
    own = collections.Counter()
    root = Node("all")
    # For each call: the node, and the address of the call.
    stack = [(root, None)]
    last = None
    for address in addresses(path):
        name = symbols.name(address)
        node = stack[-1][0]
        if last is not None and not 0 <= address - last <= 4:
            back = next((at for at in range(len(stack) - 1, 0, -1) if stack[at][1] is not None and 0 <= address - stack[at][1] <= 4), None)
            enters = symbols.is_start(address) or (address >= RAM) != (last >= RAM)
            if back is None and name == NATIVE and len(stack) > 1 and stack[-2][0].name == NATIVE:
                # Native code called it at its own end (a tail call).
                back = len(stack) - 1
            if back is not None and (not symbols.is_start(address)):
                del stack[back:]
                node = stack[-1][0]
            elif enters:
                # No function called an interrupt's handler.
                node = (root if name in HANDLERS else node).enter(name)
                stack.append((node, last))
            elif name != node.name and name != NATIVE:
                at = next((at for at in range(len(stack) - 1, 0, -1) if stack[at][0].name == name), None)
                if at is not None:
                    del stack[at + 1 :]
                    node = stack[-1][0]
        elif name != node.name and symbols.is_start(address):
            # One function runs on into the next.
            node = node.enter(name)
            stack.append((node, last))
        node.own += 1
        own[name] += 1
        last = address
    return own, root


def profile(board, path, what):
    """The instructions of an operation, which has run four times before."""
    for _ in range(4):
        what()
        time.sleep(0.1)
    board.ask("gc.collect()")
    time.sleep(0.1)
    open(path, "w").close()
    board.monitor.sendall(b"singlestep on\nlog exec,nochain\n")
    time.sleep(0.05)
    what()
    time.sleep(0.1)
    board.monitor.sendall(b"log none\nsinglestep off\n")
    time.sleep(0.2)


def main():
    firmware, package, names, *depth = sys.argv[1:]
    depth = int(depth[0]) if depth else 8
    symbols = Symbols(firmware)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "trace")
        with Emulator(firmware, package, settings=bench.HOST, shift=0, trace=path) as board:
            board.ask(bench.SMALL_FILE)
            ftp = bench.connect()
            for name in names.split(","):
                what, _ = bench.work(ftp, "")[name]
                profile(board, path, what)
                own, root = account(symbols, path)
                everything = own.total()
                print(f"== {name}: {everything:,} instructions, waiting included")
                for function, count in own.most_common(40):
                    print(f"{count:>9,} {function}")
                print("    total       own calls")
                root.show(depth, everything // 200)


if __name__ == "__main__":
    main()
