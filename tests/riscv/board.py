"""MicroPython's QEMU port with the package in a ROMFS, and the program's line to it."""

import ast
import os
import pathlib
import select
import shutil
import subprocess
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
QEMU = ["qemu-system-riscv32", "-machine", "virt", "-bios", "none", "-display", "none", "-monitor", "none"]
# Where the ROMFS lies in memory: above what the firmware uses.
ROMFS = 0x8100_0000
# Seconds of this machine that an answer may take.
PATIENCE = 60
# After so many milliseconds of the board's clock a test takes it that something will never happen.
BOARD_PATIENCE = 100_000
# Bytes in a line to the board.
PIECE = 4096

START = """\
import sys, uctypes, vfs
vfs.mount(vfs.VfsRom(uctypes.bytearray_at(%d, %d)), "/rom")
sys.path[:] = ["/rom"]
import main
"""


class Raised(Exception):
    """An exception on the board: the name of its type, and its text."""


class Dead(Exception):
    """The board does not answer any more. The text is what it has printed."""


def romfs(python, parts, image):
    """Makes a ROMFS of files and folders, by their names in it."""
    with tempfile.TemporaryDirectory() as folder:
        for name, part in parts.items():
            target = pathlib.Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(part, bytes):
                target.write_bytes(part)
            elif part.is_dir():
                shutil.copytree(part, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(part, target)
        command = [python, "-m", "mpremote", "romfs", "--no-mpy", "--output", image, "build", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


class Board:
    """A board that has started."""

    def __init__(self, firmware, image):
        loader = f"loader,file={image},addr={ROMFS:#x},force-raw=on"
        self.process = subprocess.Popen(
            [*QEMU, "-semihosting", "-serial", "stdio", "-device", loader, "-kernel", firmware],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.buffer = b""
        self.log = []
        try:
            self.until(b">>> ")
            self.write(b"\x01")
            self.until(b"raw REPL; CTRL-B to exit\r\n>")
            self.write((START % (ROMFS, os.path.getsize(image))).encode() + b"\x04")
            self.until(b"OK")
        except BaseException:
            self.close()
            raise

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    # -- the line

    def write(self, data):
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except OSError:
            raise Dead(self.told()) from None

    def until(self, end):
        """What comes before those bytes."""
        while end not in self.buffer:
            ready = select.select([self.process.stdout], [], [], PATIENCE)[0]
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                raise Dead(self.told())
            self.buffer += data
            # The end of the raw REPL's program.
            if b"\x04" in self.buffer and b"\x04" not in end:
                raise Dead(self.told())
        before, _, self.buffer = self.buffer.partition(end)
        return before

    def told(self):
        """What the board has printed since this was asked last."""
        lines = [*self.log, *self.buffer.decode(errors="replace").splitlines()]
        self.log.clear()
        return "\n".join(lines)

    def answer(self):
        while True:
            line = self.until(b"\n").rstrip(b"\r")
            if line.startswith(b"@ "):
                return line[2:].decode()
            self.log.append(line.decode(errors="replace"))

    def ask(self, expression):
        """The value of an expression there."""
        self.write(expression.encode() + b"\n")
        answer = self.answer()
        if answer.startswith("raised("):
            raise Raised(*ast.literal_eval(answer[6:]))
        return None if answer.startswith("waits(") else ast.literal_eval(answer)

    def go(self, milliseconds):
        """Lets the server do all that it can do now; its clock goes on to the next task's time, but not further than so many."""
        self.write(b"go %d\n" % milliseconds)
        answer = self.answer()
        if not answer.startswith("waits("):
            raise Dead(f"the server ended: {answer}\n{self.told()}")
        return int(answer[6:-1])

    # -- the server

    def serve(self, settings, *accounts):
        self.ask(f"serve{(settings, *accounts)!r}")

    def stop(self):
        """Ends the server; gives how many of its sockets and files are open still."""
        self.ask("stop()")
        while True:
            self.write(b"go 1000\n")
            answer = self.answer()
            if not answer.startswith("waits("):
                return ast.literal_eval(answer)


class Connection:
    """The client's end of a connection, with a socket's methods."""

    def __init__(self, board, number):
        self.board = board
        self.number = number
        self.received = b""
        self.over = False
        self.linger = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def settimeout(self, _):
        pass

    def setsockopt(self, *_):
        # Only SO_LINGER is set, by who wants to break the connection.
        self.linger = True

    def sendall(self, data):
        for at in range(0, len(data), PIECE):
            self.board.ask(f"socket.put({self.number}, {data[at : at + PIECE]!r})")

    def recv(self, size):
        waited = 0
        while not self.received and not self.over:
            self.received, self.over = self.board.ask(f"socket.take({self.number})")
            if not self.received and not self.over:
                if waited > BOARD_PATIENCE:
                    raise TimeoutError("nothing comes")
                # First what can be done at once.
                waited += self.board.go(waited and 1000) or 1
        data, self.received = self.received[:size], self.received[size:]
        return data

    def close(self):
        self.board.ask(f"socket.{'reset' if self.linger else 'end'}({self.number})")


class Listener:
    """The client listens, with a socket's methods."""

    def __init__(self, board, port):
        self.board = board
        self.port = port
        board.ask(f"socket.expect({port})")

    def settimeout(self, _):
        pass

    def getsockname(self):
        return "127.0.0.1", self.port

    def accept(self):
        waited = 0
        while not (arrived := self.board.ask(f"socket.arrived({self.port})")):
            if waited > BOARD_PATIENCE:
                raise TimeoutError("nobody comes")
            waited += self.board.go(waited and 1000) or 1
        return Connection(self.board, arrived[0]), None

    def close(self):
        self.board.ask(f"socket.forget({self.port})")


def dial(board, port):
    """A connection to a port of the board's."""
    number = board.ask(f"socket.dial({port})")
    if number is None:
        raise ConnectionRefusedError(f"nobody listens at {port}")
    return Connection(board, number)
