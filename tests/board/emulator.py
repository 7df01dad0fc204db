"""The emulated board: QEMU's mps2-an385 with the firmware of tests/board/port. It needs a network namespace of its own."""

import contextlib
import ctypes
import os
import pathlib
import queue
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import tap

# The board is on this machine, so no program that is started here may ask a proxy.
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[1] / "micropython"))
import romfs  # noqa: E402: it is found now

# Where the port looks for the ROMFS and for the size of the heap. port/board.h has the same numbers.
ROMFS_ADDRESS = 0x21C00000
ROMFS_SIZE = 3 << 20
HEAP_KIB_ADDRESS = 0x21FFF000
PROMPT = b"(qemu) "
USER, PASSWORD = "tester", "secret"
# Seconds that the board may take to start, and to answer.
PATIENCE = 60


class BoardFailed(Exception):
    """The board did not start, did not answer, or ended."""


def make_romfs(package, original, config, image):
    """Makes the ROMFS: the package (or the original server and what it imports), main.py, and config.py with these values. If the package's code runs in place,
    there is a second one in the folder askew, where it cannot run."""
    with tempfile.TemporaryDirectory() as folder:
        for path in (HERE / "rom").glob("*.py"):
            shutil.copy(path, folder)
        lines = (f"{name} = {value!r}\n" for name, value in config.items())
        pathlib.Path(folder, "config.py").write_text("".join(lines))
        library = pathlib.Path(folder, "lib")
        if original:
            shutil.copytree(HERE / "rom/beside_original", library)
            shutil.copy(original, library / "original.mpy")
        else:
            shutil.copytree(pathlib.Path(package, "ftpdlite"), library / "ftpdlite")
            if str(package).rstrip("/").endswith("_rom_6.3"):
                shutil.copytree(pathlib.Path(package, "ftpdlite"), pathlib.Path(folder, "askew/ftpdlite"))
        made = romfs.image(pathlib.Path(folder), lambda at, path: (at % romfs.ALIGNMENT == 0) == ("askew" not in path.parts))
        pathlib.Path(image).write_bytes(made)
    if os.path.getsize(image) > ROMFS_SIZE:
        raise BoardFailed("the ROMFS is too large for the board")


def end_with_parent():
    """Runs in the emulator's process before it starts. It makes the process end with this program, however this program ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    os.setpgrp()


class Emulator:
    """A board with a server. As a context manager it is switched off at the end.

    `files` is littlefs, fat or ramdisc. `settings` are arguments of FTPdLite. `original` is the compiled original server, if it shall
    run instead of this one. With `shift` the board's clock counts instructions: each takes 2**shift ns. Then the same work gives the
    same figures. `link` is a link's delay, rate and loss, such as tap.WIFI. The output of the monitor's command `log` goes to the
    file `trace`.
    """

    def __init__(
        self,
        firmware,
        package,
        heap=190,
        files="littlefs",
        disc_blocks=3072,
        settings=None,
        accounts=None,
        original=None,
        shift=None,
        link=None,
        show=None,
        trace=None,
    ):
        self.show = show
        self.firmware = firmware
        # The board's clock has 25 MHz: a cycle is 40 ns.
        self.instructions_a_cycle = 40 >> (shift or 0)
        self.printed = []
        # Lines that nobody has read yet. None means that the board has ended.
        self.lines = queue.SimpleQueue()
        config = {
            "server": "original" if original else "ftpdlite",
            "address": tap.BOARD,
            "gateway": tap.HOST,
            "files": files,
            "disc_blocks": disc_blocks,
            "settings": settings or {},
            "accounts": accounts or [(f"{USER}:{PASSWORD}", "rw,site")],
        }
        self.folder = tempfile.TemporaryDirectory()
        image = os.path.join(self.folder.name, "rom.img")
        make_romfs(package, original, config, image)
        network = tap.make()
        self.link_process = None
        if link:
            network, self.link_process = tap.slow_down(network, link)
        monitor, self.monitor = socket.socketpair()
        command = ["qemu-system-arm", "-machine", "mps2-an385", "-display", "none", "-kernel", str(firmware)]
        kind = "socket" if link else "tap"
        command += ["-nic", f"{kind},id=lan,fd={network},mac=02:00:00:00:77:02"]
        command += ["-serial", "stdio", "-semihosting-config", "enable=on,target=native"]
        command += ["-chardev", f"socket,id=monitor,fd={monitor.fileno()}", "-mon", "chardev=monitor"]
        command += ["-device", f"loader,file={image},addr={ROMFS_ADDRESS:#x},force-raw=on"]
        command += ["-device", f"loader,addr={HEAP_KIB_ADDRESS:#x},data={heap},data-len=4"]
        if shift is not None:
            command += ["-icount", f"shift={shift}"]
        if trace:
            command += ["-D", trace]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[network, monitor.fileno()],
            preexec_fn=end_with_parent,
        )
        os.close(network)
        monitor.close()
        # The console is read all the time. When its pipe is full, the board waits in its next print and serves nobody.
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        try:
            while not (line := self.line(PATIENCE)).startswith("READY"):
                if line.startswith("Traceback"):
                    # The rest up to the prompt, which is not a whole line.
                    with contextlib.suppress(BoardFailed):
                        while True:
                            self.line(1)
                    raise BoardFailed("the board did not start:\n" + "\n".join(self.printed))
        except BaseException:
            self.close()
            raise

        self.said_by_monitor()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Switches the board off."""
        self.process.kill()
        self.process.wait()
        if self.link_process:
            self.link_process.kill()
            self.link_process.wait()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.reader.join()
        self.process.stdout.close()
        self.monitor.close()
        self.folder.cleanup()

    def read(self):
        """Collects what the board prints until it ends. Runs in a thread of its own."""
        for line in self.process.stdout:
            text = line.decode(errors="replace").rstrip("\r\n")
            if not text.startswith("=> "):
                self.printed.append(text)
                if self.show:
                    self.show(text)
            self.lines.put(text)
        self.lines.put(None)

    def line(self, patience):
        """The next line that the board prints."""
        try:
            text = self.lines.get(timeout=patience)
        except queue.Empty:
            raise BoardFailed("the board says nothing; it printed\n" + "\n".join(self.printed[-20:])) from None
        if text is None:
            # The next one who asks gets the same.
            self.lines.put(None)
            status = self.process.wait()
            raise BoardFailed(f"the board ended with status {status}; it printed\n" + "\n".join(self.printed[-20:]))
        return text

    def say(self, expression):
        """Sends the board an expression or a statement, and does not wait for it."""
        # If the board has ended, the next read of a line says so.
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(expression.encode() + b"\n")
            self.process.stdin.flush()

    def ask(self, expression, patience=PATIENCE):
        """Does the same, waits for the answer, and returns it as text."""
        self.say(expression)
        return self.answer(expression, patience)

    def answer(self, expression, patience=PATIENCE):
        """The answer to what was sent last."""
        while not (line := self.line(patience)).startswith("=> "):
            pass
        answer = line[3:]
        if answer.startswith("raised "):
            raise BoardFailed(f"{expression}: {answer}")
        return answer

    def value(self, expression, patience=PATIENCE):
        """Does the same, and returns the answer as a value of Python."""
        return eval(self.ask(expression, patience))  # noqa: S307: it is our own board's

    def command(self, line):
        """Gives the monitor a command and returns its answer."""
        self.monitor.sendall(line.encode() + b"\n")
        # Before the answer it repeats the command, with escape sequences for a terminal.
        return self.said_by_monitor().partition("\n")[2]

    def said_by_monitor(self):
        """What the monitor says before its next prompt."""
        answer = b""
        while not (answer.endswith(PROMPT) and b"\n" in answer):
            ready, _, _ = select.select([self.monitor], [], [], PATIENCE)
            data = self.monitor.recv(65536) if ready else b""
            if not data:
                raise BoardFailed("the emulator's monitor does not answer")
            answer += data
        return answer.removesuffix(PROMPT).decode(errors="replace")

    def word(self, address):
        """The word at that address. The board itself does nothing for this."""
        return int(self.command(f"xp /1wx {address:#x}").split(":")[1], 16)

    def link(self, up):
        """Plugs the cable in or out. Neither side is told."""
        self.command(f"set_link lan {'on' if up else 'off'}")
