"""A MicroPython process that serves a folder: started, watched for leaks, stopped.

Where the runtime and the package are is told by the environment, FTPDLITE_RUNTIME and FTPDLITE_DIST; by default they are where
`cargo xtask runtime` and `cargo xtask build` leave them.
"""

import os
import pathlib
import platform
import random
import shutil
import signal
import socket
import subprocess
import time

import pytest
from control import Control
from files import DiscFiles, FolderFiles

# Everything is on this machine, so no program that is started here may ask a proxy.
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
RUNTIME = pathlib.Path(os.environ.get("FTPDLITE_RUNTIME") or REPOSITORY / ".xtask/bin/micropython").absolute()
DIST = pathlib.Path(os.environ.get("FTPDLITE_DIST") or REPOSITORY / "dist/x64_6.3").absolute()

# What the package was built for: its folder is named ARCH_6.3.
ARCHITECTURE = DIST.name.partition("_")[0]

# After so many seconds a test takes it that something will never happen.
PATIENCE = 20

# What serves a file system of a board: the disc in RAM, and the heap that has room for it beside a server.
ON_A_DISC = """\
import board_files

board_files.open_door({file_system!r}, {disc_size}, {door})

%s
board_files.linger()
"""
DISC_SIZE = 1 << 20
DISC_HEAP = "4m"

# The usual program, in the words of the public API.
MAIN = """\
from ftpdlite import FTPdLite

s = FTPdLite(host={host!r}, port={port}, root={root!r}, pasv_port_range=range({first}, {last} + 1){settings})
s.add_account("tester:secret")
s.add_account("guest:guest")
s.run()
"""

# A module os of the board's own, which adds what sets the time of a file.
OS_WITH_UTIME = """\
from uos import *

def utime(path, times):
    stat(path)
    assert system("touch -m -d @%d '%s'" % (times[1], path)) == 0
"""

# Runs main.py as a board would. Ctrl-C ends run() with KeyboardInterrupt. That is not a failure.
START = """\
try:
    import main
except KeyboardInterrupt:
    print("Interrupted.")
"""


def environment(modules=DIST):
    """The environment of a MicroPython process that looks for modules there."""
    return {"MICROPYPATH": str(modules), "PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8"}


# The system calls of x86_64 in which a process waits: poll, ppoll, epoll_wait, and the first of them when it goes on after a stop.
WAITING = ("7", "271", "232", "219")

# Ports are given away in blocks of so many, of this range.
BLOCK = 64
PORTS = range(20032, 32000, BLOCK)
# The blocks that this process has. A passive port is free until a client asks for it, so to look whether ports are free is not enough: other tests
# run meanwhile. A process that has a block keeps a socket with its name. The socket goes when the process ends, however it ends.
_blocks = {}


def needs_ipv6():
    """Skips a test where there is no IPv6, as in many containers."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")


def free_ports(count, host="127.0.0.1"):
    """The first of `count` ports in a row that nobody uses, below those that the system gives to clients. They are kept for this process."""
    assert count <= BLOCK
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for first in random.sample(PORTS, len(PORTS)):
        block = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            block.bind(f"\0ftpdlite-ports-{first}")
            for port in range(first, first + count):
                with socket.socket(family, socket.SOCK_STREAM) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((host, port))
        except OSError:
            block.close()
            continue
        _blocks[first] = block
        return first
    raise OSError("no free ports")


def give_back_ports(first):
    """Gives back the ports of free_ports()."""
    if first in _blocks:
        _blocks.pop(first).close()


def run_micropython(folder, program, heap="256k", seconds=PATIENCE, modules=DIST, runtime=RUNTIME):
    """Runs a program that ends by itself; gives its exit code and what it printed, stderr included."""
    script = pathlib.Path(folder) / "program.py"
    script.write_text(program)
    done = subprocess.run(
        [runtime, "-X", f"heapsize={heap}", script],
        env=environment(modules),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        timeout=seconds,
    )
    return done.returncode, done.stdout.decode(errors="replace")


def bring_rig(folder):
    """Puts board_rig.py where a program of run_micropython() finds it."""
    for module in ("board_rig.py", "board_works.py"):
        shutil.copy(pathlib.Path(__file__).with_name(module), folder)


class Server:
    """One server process.

    folder: where its program and its output go. root: the folder that it serves. program: main.py, in which {host!r}, {port}, {root!r},
    {first}, {last} (the passive ports) and {settings} are filled in; the keyword arguments left over are {settings}. modules: MICROPYPATH.
    sets_times: whether the runtime gets an os.utime. file_system: "VfsFat" or "VfsLfs2", on a RAM disc of `disc_size` bytes, is served
    instead of a folder. `files` is what it serves, whatever the file system. runtime: the MicroPython.
    """

    def __init__(
        self,
        folder,
        root=None,
        program=MAIN,
        heap=None,
        host="127.0.0.1",
        passive_ports=40,
        modules=DIST,
        sets_times=False,
        file_system=None,
        disc_size=DISC_SIZE,
        runtime=RUNTIME,
        **settings,
    ):
        self.folder = pathlib.Path(folder)
        self.host = host
        self.port = free_ports(passive_ports + 2, host)
        door = self.port + passive_ports + 1
        if file_system:
            # The files are only in the process, not on this machine's disk.
            self.root = pathlib.PurePosixPath("/flash")
            self.files = DiscFiles(file_system, door)
            self.heap = heap or DISC_HEAP
            shutil.copy(pathlib.Path(__file__).with_name("board_files.py"), self.folder)
            program = ON_A_DISC % program
            # The same as in the usual heap.
            settings.setdefault("transfer_buffer_size", 16384)
        else:
            self.root = pathlib.Path(root or self.folder / "root")
            self.root.mkdir(parents=True, exist_ok=True)
            self.files = FolderFiles(self.root)
            self.heap = heap or "256k"
        self.modules = modules
        self.runtime = runtime
        if sets_times:
            (self.folder / "os.py").write_text(OS_WITH_UTIME)
        settings.setdefault("login_delay", 0)
        self.program = program.format(
            host=host,
            port=self.port,
            root=str(self.root),
            first=self.port + 1,
            last=self.port + passive_ports,
            file_system=file_system,
            disc_size=disc_size,
            door=door,
            settings="".join(f", {key}={value!r}" for key, value in settings.items()),
        )
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        # If the test has failed already, a second error would only confuse.
        self.close(complain=kind is None)

    def start(self):
        """Starts the process and waits until it listens."""
        (self.folder / "main.py").write_text(self.program)
        (self.folder / "start.py").write_text(START)
        with open(self.folder / "output.txt", "wb") as output:
            self.process = subprocess.Popen(
                [self.runtime, "-X", f"heapsize={self.heap}", self.folder / "start.py"],
                env=environment(self.modules),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.wait_for_output(f"Listening on {self.host}:{self.port}")
        self.files.connect()
        self.idle_files = len(self.open_files())

    def output(self):
        """What it printed so far, on stdout and stderr."""
        return (self.folder / "output.txt").read_text(errors="replace")

    def wait_for_output(self, text):
        """Waits until it has printed `text`."""
        wait_until(lambda: text in self.output() or self.process.poll() is not None, self.describe)
        assert text in self.output(), f"the server did not print {text!r}\n{self.describe()}"

    def describe(self):
        """What it printed, for the message of a failure."""
        return f"-- the server printed:\n{self.output()[-4000:]}\n-- its main.py:\n{self.program}"

    def connect(self, **options):
        """A control connection, before the greeting."""
        return Control(self.host, self.port, **options)

    def login(self, account="tester:secret", **options):
        """A control connection that is logged in."""
        return self.connect(**options).login(*account.split(":", 1))

    def open_files(self):
        """What the process holds open, by number."""
        folder = f"/proc/{self.process.pid}/fd"
        found = []
        for number in os.listdir(folder):
            try:
                found.append(os.readlink(f"{folder}/{number}"))
            except OSError:
                pass
        return found

    def is_asleep(self):
        """Whether it waits for something to do."""
        return self.state() == "S"

    def state(self):
        """The letter that Linux has for what the process does: R, S, T, Z and so on."""
        return pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1][0]

    def computed(self):
        """The seconds that the process has computed so far, whatever else the machine did."""
        return int(pathlib.Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0]) / 1e9

    def interrupt(self):
        """Does what Ctrl-C does, while the process waits for something to do, if it ever does.

        The Unix port raises KeyboardInterrupt wherever it is, also in the middle of asyncio's own work or of a garbage collection. So the process is stopped, and gets the
        signal if it was stopped while it waited; else it runs on for a moment.
        """
        # Not by Popen.send_signal, which forgets a process that has just ended.
        number = self.process.pid
        for _ in range(100):
            was_asleep = self.is_asleep()
            os.kill(number, signal.SIGSTOP)
            wait_until(lambda: self.state() in "TtZX", self.describe)
            try:
                call = pathlib.Path(f"/proc/{number}/syscall").read_text().split()[0]
                is_at_rest = was_asleep if platform.machine() != "x86_64" else call in WAITING
            except OSError:
                # Not every machine tells.
                is_at_rest = was_asleep
            if is_at_rest:
                os.kill(number, signal.SIGINT)
            os.kill(number, signal.SIGCONT)
            if is_at_rest or self.state() in "ZX":
                return
            time.sleep(0.02)
        os.kill(number, signal.SIGINT)

    def sessions(self, account="tester:secret"):
        """The lines of SITE WHO, without the session that asks; the refusal, where others have all places still."""
        with self.connect() as control:
            greeting = control.reply()
            if greeting.startswith("421 "):
                return [greeting]
            assert greeting.startswith("220 "), greeting
            lines = control.authenticate(*account.split(":", 1))("SITE WHO").split("\n")
            control("QUIT")
        assert lines[0] == "211-Sessions:" and lines[-1] == "211 End of sessions.", lines
        return lines[2:-1]

    def assert_nothing_leaked(self, account="tester:secret"):
        """No session is left, and no file or socket more is open than before the first client came; the next client is served."""
        wait_until(lambda: not self.sessions(account), lambda: f"sessions left: {self.sessions(account)}\n{self.describe()}")

        def describe():
            return f"open are {self.open_files()}, {self.idle_files} were open when idle\n{self.describe()}"

        def is_clean():
            found = self.open_files()
            folders = [path for path in found if os.path.isdir(path)]
            if folders:
                # Only the garbage collector closes a folder that was not read to its end, and not always the first time.
                with self.login(account) as control:
                    control("SITE GC")
            return len(found) <= self.idle_files

        wait_until(is_clean, describe)

    def wait(self):
        """Waits until the process has ended by itself."""
        self.files.disconnect()
        self.process.wait(PATIENCE)

    def close(self, complain=True):
        """Stops the process for good: others may have its ports."""
        try:
            self.stop(complain)
        finally:
            give_back_ports(self.port)

    def stop(self, complain=True):
        """Stops the process as Ctrl-C does. It must end cleanly, and must not have reported an exception in all its life."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.interrupt()
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = f"none: it had to be killed ({self.process.wait(PATIENCE)})"
        self.process = None
        # Not before: Ctrl-C is to find nothing at work.
        self.files.disconnect()
        if complain:
            assert code in (0, 130), f"exit code {code}\n{self.describe()}"
            assert "Traceback" not in self.output(), self.describe()


def wait_until(condition, describe=lambda: "", seconds=PATIENCE):
    """Waits until `condition()` is true; fails when it never is."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain\n{describe()}")
        time.sleep(0.02)
