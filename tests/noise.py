"""Runs a command on a machine that stands still now and then: noise.py [--busy N] [--longest MS] [--every MS] [--seed N] COMMAND...

About each `--every` milliseconds one process that the command has started, or sometimes all of them, is stopped for up to `--longest` milliseconds. `--busy` more processes
compute all the time. The last line has the seed, which gives the same pauses for the same processes. A test that fails here and passes without depends on time.
"""

import argparse
import contextlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time


def below(number):
    """The process of this number and all that it has started, by their numbers."""
    children = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = (folder / "stat").read_text().rsplit(") ", 1)[1].split()[1]
            children.setdefault(int(parent), []).append(int(folder.name))
    found = []
    waiting = [number]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def stop(numbers, seconds):
    """Stops processes for so long. They may have ended."""
    for letter in (signal.SIGSTOP, signal.SIGCONT):
        for number in numbers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, letter)
        if letter == signal.SIGSTOP:
            time.sleep(seconds)


def disturb(process, chance, longest, every):
    """Stops processes until the command has ended."""
    while process.poll() is None:
        time.sleep(chance.expovariate(1 / every))
        numbers = below(process.pid)
        stop(numbers if chance.random() < 0.2 else [chance.choice(numbers)], chance.uniform(0.02, longest))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=0)
    parser.add_argument("--longest", type=float, default=300)
    parser.add_argument("--every", type=float, default=300)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    process = subprocess.Popen(options.command)
    beside = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.busy)]
    noise = threading.Thread(target=disturb, args=(process, random.Random(options.seed), options.longest / 1000, options.every / 1000))
    noise.start()
    try:
        code = process.wait()
    finally:
        noise.join()
        for other in beside:
            other.kill()
            other.wait()
    print(f"with noise, seed {options.seed}: {code}")
    sys.exit(code)


if __name__ == "__main__":
    main()
