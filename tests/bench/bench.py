#!/usr/bin/env python3
"""Measures FTPdLite beside pyftpdlib: both serve the same folder, in processes of their own, and are asked in turns.

The client is a few lines around sockets, so that it is not what is measured. Figures are medians over the runs, the ratio that of each
pair of runs; CPU is what the server's process used, user and system, over all runs. The heap is that of an x64 MicroPython.
"""

import argparse
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

import heap  # noqa: E402
import tls  # noqa: E402
from control import Control  # noqa: E402
from server import DIST, RUNTIME, Server, free_ports, wait_until  # noqa: E402

MIB = 1 << 20
SIZES = (1, 16, 64)
ENTRIES = 1000
PARALLEL = 8


class Pyftpdlib:
    """pyftpdlib, with the parts of `Server` that a benchmark needs."""

    name = "pyftpdlib"
    host = "127.0.0.1"

    def __init__(self, folder, root):
        self.port = free_ports(1)
        self.output = folder / "pyftpdlib.txt"
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, HERE / "pyftpdlib_server.py", self.host, str(self.port), root],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_until(lambda: "Listening" in self.output.read_text() or self.process.poll() is not None)
        if self.process.poll() is not None:
            sys.exit(f"pyftpdlib does not start:\n{self.output.read_text()}")

    def login(self):
        return Control(self.host, self.port).login()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


# -- the client

BUFFER = bytearray(4 * MIB)


def retrieve(control, command, buffer=BUFFER):
    """Downloads and throws away; gives the number of bytes."""
    with control.data() as data:
        control.send(command.encode() + b"\r\n")
        count = 0
        while got := data.recv_into(buffer):
            count += got
    for code in ("1", "226"):
        reply = control.reply()
        assert reply.startswith(code), reply
    return count


def store(control, command, content):
    """Uploads."""
    with control.data() as data:
        control.send(command.encode() + b"\r\n")
        data.sendall(content)
    for code in ("1", "226"):
        reply = control.reply()
        assert reply.startswith(code), reply
    return len(content)


# -- the workloads: each is called with a server and how often, and gives the bytes or the number of things it did


class Retr:
    unit = "MiB/s"

    def __init__(self, size):
        self.name = f"RETR {size} MiB"
        self.size = size
        self.times = max(2, 64 // size)

    def __call__(self, server, control):
        return sum(retrieve(control, f"RETR {self.size}.bin") for _ in range(self.times)) / MIB


class Stor(Retr):
    def __init__(self, size):
        super().__init__(size)
        self.name = f"STOR {size} MiB"
        self.content = os.urandom(size * MIB)

    def __call__(self, server, control):
        return sum(store(control, "STOR upload.bin", self.content) for _ in range(self.times)) / MIB


class Noop:
    name = "NOOP round trips"
    unit = "per s"
    times = 2000

    def __call__(self, server, control):
        for _ in range(self.times):
            control.send(b"NOOP\r\n")
            control.line()
        return self.times


class List:
    name = f"LIST of {ENTRIES} entries"
    unit = "per s"
    times = 10

    def __call__(self, server, control):
        for _ in range(self.times):
            retrieve(control, "LIST entries")
        return self.times


class Parallel:
    name = f"{PARALLEL} parallel RETR 16 MiB"
    unit = "MiB/s"
    times = 1

    def __call__(self, server, control):
        counts = []

        def download():
            with server.login() as own:
                counts.append(sum(retrieve(own, "RETR 16.bin", bytearray(MIB)) for _ in range(self.times)))

        threads = [threading.Thread(target=download) for _ in range(PARALLEL)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert counts == [self.times * 16 * MIB] * PARALLEL, counts
        return sum(counts) / MIB


def cpu_seconds(process):
    """User and system time of a process."""
    # In nanoseconds, where the kernel keeps that; else in clock ticks.
    try:
        if nanoseconds := int(pathlib.Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]):
            return nanoseconds / 1e9
    except FileNotFoundError:
        pass
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Figures:
    """What a server did of a workload in all runs."""

    def __init__(self):
        self.rates = []
        self.done = 0
        self.cpu = 0

    def measure(self, workload, server):
        with server.login() as control:
            cpu = cpu_seconds(server.process)
            start = time.perf_counter()
            done = workload(server, control)
            self.rates.append(done / (time.perf_counter() - start))
            self.cpu += cpu_seconds(server.process) - cpu
        self.done += done

    def rate(self):
        return statistics.median(self.rates)


def make_files(root):
    """What both servers serve."""
    for size in SIZES:
        (root / f"{size}.bin").write_bytes(os.urandom(size * MIB))
    (root / "entries").mkdir()
    for index in range(ENTRIES):
        (root / "entries" / f"entry number {index}.txt").write_bytes(b"x" * index)


def machine():
    """One line about where this was measured."""
    model = "unknown CPU"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
    return f"{os.cpu_count()} × {model}, Linux {platform.release()}, Python {platform.python_version()}"


def row(*cells):
    print(f"| {cells[0]:24} | " + " | ".join(f"{cell:>16}" for cell in cells[1:]) + " |", flush=True)


def compare(ours, other, runs, workloads):
    row("workload", "FTPdLite", "pyftpdlib", "ratio", "CPU FTPdLite", "CPU pyftpdlib")
    row("---", "---:", "---:", "---:", "---:", "---:")
    for workload in workloads:
        figures = {ours: Figures(), other: Figures()}
        for server in figures:
            # Once without counting: caches, buffers and code are warm from then on.
            Figures().measure(workload, server)
        for run in range(runs):
            for server in (ours, other) if run % 2 == 0 else (other, ours):
                figures[server].measure(workload, server)
        a, b = figures[ours], figures[other]
        per = "ms/MiB" if workload.unit == "MiB/s" else "ms"
        row(
            workload.name,
            f"{a.rate():.0f} {workload.unit}",
            f"{b.rate():.0f} {workload.unit}",
            # Each run beside its neighbour in time, so that what else the machine does counts for both.
            f"{statistics.median(x / y for x, y in zip(a.rates, b.rates)):.2f}",
            *(f"{1000 * found.cpu / found.done:.3f} {per}" for found in (a, b)),
        )


def main():
    parser = argparse.ArgumentParser(prog="cargo xtask bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("--runs", type=int, default=7, metavar="N", help="measurements of each workload and server; the median counts (7)")
    parser.add_argument("--quick", action="store_true", help="three runs and less work in each: a look, not a figure to quote")
    parser.add_argument("--heap", default="2m", metavar="SIZE", help="heap of FTPdLite's MicroPython, as for -X heapsize= (2m, its own default)")
    parser.add_argument("--tls", action="store_true", help="measure what TLS costs, instead")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be 1 or more")
    for path, what in ((RUNTIME, "cargo xtask runtime"), (DIST, "cargo xtask build")):
        if not path.exists():
            parser.exit(2, f"{path} is missing: {what}\n")
    workloads = [*map(Retr, SIZES), *map(Stor, SIZES), Noop(), List(), Parallel()]
    runs = options.runs
    if options.quick:
        runs = min(runs, 3)
        for workload in workloads:
            workload.times = max(1, workload.times // 8)

    # In memory where there is such a place: no disk is measured.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 1 << 29 else None
    with tempfile.TemporaryDirectory(dir=memory, prefix="ftpdlite-bench-") as folder:
        folder = pathlib.Path(folder)
        root = folder / "root"
        root.mkdir()
        if options.tls:
            print(f"{machine()}; {runs} runs; MicroPython heap {options.heap}\n")
            return tls.measure(folder, root, options.heap, runs)
        make_files(root)
        print(f"{machine()}; files in {'memory' if memory else 'the temporary folder'}; {runs} runs; MicroPython heap {options.heap}\n")
        ours = Server(folder, root, heap=options.heap, max_connections=PARALLEL + 2)
        ours.start()
        try:
            other = Pyftpdlib(folder, root)
            try:
                compare(ours, other, runs, workloads)
            finally:
                other.stop()
        finally:
            ours.stop()

        found = heap.measure(root)
        print("\nGC heap of FTPdLite, in bytes:")
        print(f"  import ftpdlite   {found['import']:7}")
        print(f"  ready             {found['ready']:7}  (the import included)")
        print(f"  each idle session {found['session']:7}")


if __name__ == "__main__":
    main()
