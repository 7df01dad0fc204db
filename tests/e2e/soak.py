"""Real clients at work for a long time, all at once: soak.py MINUTES [FIRMWARE PACKAGE].

Serves a folder from the Unix port with a heap of 100 KiB, or, when the firmware is given, from the emulated board of tests/board; then it must run in a
network namespace of its own. Beside the others, some clients flood the server: they send many commands at once, and do not read the replies. Each minute a line
tells what was done and what the server holds. At the end all must be as it was after the first round, no session may have had less than half of its share, and no
client may have stood still for a whole minute.
"""

import contextlib
import hashlib
import io
import pathlib
import random
import socket
import sys
import tempfile
import threading
import time
import traceback
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "board"))

import clients
from control import PATIENCE, Control
from server import Server

import pytest

# Bytes of heap by which two looks may differ: the collector is conservative.
TOLERANCE = 6144
# Sessions that do the same all the time, and so should be served alike.
READERS = 3
# Clients that flood the server.
FLOODERS = 2
# What they send at once. STAT writes a listing to the control connection, so its replies are much longer than the commands.
FLOOD = [b"NOOP\r\n", b"STAT /\r\n", b"PWD\r\n", b"FEAT\r\n", b"SIZE nothing\r\n", b"HELP\r\n"]
# Seconds for which nothing can be sent any more: then all buffers are full.
FULL = 0.5


class Ftplib(clients.Ftplib):
    """Python's client, with a session for each transfer; it lists with MLSD."""

    timeout = 60

    def names(self, folder):
        with self.connect() as ftp:
            return [name for name, _ in ftp.mlsd(folder)]


class FileZilla:
    """Its manner: a session for browsing, another that transfers and stays, and what it asks before."""

    def __init__(self, place, folder):
        self.place = place
        self.browsing = self.transferring = None

    def session(self):
        control = Control(self.place.host, self.place.port).login()
        for command in ("SYST", "FEAT", "OPTS UTF8 ON", "PWD", "TYPE I"):
            assert control(command)[:1] in "25", command
        return control

    @contextlib.contextmanager
    def kept(self, name):
        """A session that is used again, if the server has it still: a newcomer may have taken its place."""
        control = getattr(self, name)
        try:
            if control is None or not control("NOOP").startswith("200"):
                control = None
        except (OSError, AssertionError):
            control = None
        if control is None:
            control = self.session()
        setattr(self, name, control)
        yield control

    def upload(self, local, remote):
        with self.kept("transferring") as control:
            control("CWD /")
            control.store(f"STOR {remote}", pathlib.Path(local).read_bytes())
            control("MFMT 20240102030405 " + remote)

    def download(self, remote, local):
        with self.kept("transferring") as control:
            control.expect(f"SIZE {remote}", "213")
            control.expect("REST 0", "350")
            pathlib.Path(local).write_bytes(control.retrieve(f"RETR {remote}"))

    def names(self, folder):
        with self.kept("browsing") as control:
            control.expect(f"CWD /{folder}", "250")
            return [line.partition(b" ")[2].decode() for line in control.retrieve("MLSD").split(b"\r\n")[:-1]]

    def delete(self, name):
        with self.kept("browsing") as control:
            control.expect(f"DELE /{name}", "250")

    def close(self):
        for control in (self.browsing, self.transferring):
            if control:
                control.close()


class Rclone(clients.Rclone):
    """With the methods of the others."""

    def upload(self, local, remote):
        self.rclone("copyto", local, f":ftp:{remote}")

    def download(self, remote, local):
        self.rclone("copyto", f":ftp:{remote}", local)

    def names(self, folder):
        return self.rclone("lsf", f":ftp:{folder}").split("\n")[:-1]

    def delete(self, name):
        self.rclone("deletefile", f":ftp:{name}")


class Soak:
    """The clients, and what they have done. `largest`: bytes of a file."""

    def __init__(self, place, kinds, largest, folder):
        self.place = place
        self.largest = largest
        self.folder = folder
        self.kinds = kinds
        self.done = {kind.__name__: 0 for kind in kinds}
        # Those that this machine has not.
        self.absent = set()
        self.moved = 0
        self.shares = [0] * READERS
        self.floods = 0
        self.errors = []
        self.end = 0

    def is_over(self):
        return time.monotonic() > self.end or len(self.errors) > 10

    def work(self, kind):
        """One client: files up, down, listed, removed."""
        name = kind.__name__
        home = self.folder / name
        home.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home) as folder:
            folder = pathlib.Path(folder)
            try:
                client = kind(self.place, folder)
            except pytest.skip.Exception as reason:
                print(f"without {name}: {reason}", flush=True)
                self.absent.add(name)
                return
            source = random.Random(name)
            while not self.is_over():
                try:
                    self.round(client, name, source, folder)
                except Exception as error:
                    self.errors.append(f"{name}: {error!r}\n{traceback.format_exc(limit=3)}")
            if hasattr(client, "close"):
                client.close()

    def round(self, client, name, source, folder):
        content = hashlib.shake_128(source.randbytes(8)).digest(source.randrange(1, self.largest))
        there = f"{name}.{source.randrange(3)}"
        (folder / "up").write_bytes(content)
        client.upload(folder / "up", there)
        (folder / "down").unlink(missing_ok=True)
        client.download(there, folder / "down")
        assert (folder / "down").read_bytes() == content, f"{there} came back otherwise"
        assert there in client.names(""), f"{there} is not listed"
        client.delete(there)
        self.done[name] += 3
        self.moved += 2 * len(content)

    def read(self, number):
        """One of the sessions that do the same."""
        with Control(self.place.host, self.place.port).login() as control:
            while not self.is_over():
                try:
                    self.shares[number] += len(control.retrieve("RETR shared"))
                except Exception as error:
                    self.errors.append(f"reader {number}: {error!r}")
                    return

    def flood(self, number):
        """A client that sends and does not read, until nothing more can be sent. Then it vanishes, or reads all replies after all."""
        source = random.Random(number)
        while not self.is_over():
            try:
                with Control(self.place.host, self.place.port, receive_buffer=4096).login() as control:
                    sent, rest = self.send_without_reading(control, source)
                    self.floods += len(sent)
                    if source.random() < 0.5:
                        control.reset()
                        continue
                    # With a small window two megabytes of replies would take minutes. The last commands follow when there is room for them.
                    control.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                    before = len(sent) - rest.count(b"\n")
                    for index, command in enumerate(sent):
                        if index == before:
                            control.send(rest)
                        reply = control.reply()
                        assert reply[:1] in ("2", "5"), f"{command} was answered {reply!r}"
                    control.expect("NOOP", "200")
            except Exception as error:
                self.errors.append(f"flooder {number}: {error!r}\n{traceback.format_exc(limit=3)}")

    def send_without_reading(self, control, source):
        """Gives the commands, and what was not sent of the last ones."""
        control.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        control.socket.settimeout(FULL)
        sent = []
        rest = b""
        try:
            while True:
                commands = source.choices(FLOOD, k=100)
                rest = b"".join(commands)
                while rest:
                    rest = rest[control.socket.send(rest) :]
                sent += commands
        except TimeoutError:
            control.socket.settimeout(PATIENCE)
            return sent + commands, rest

    def run(self, seconds, readers, flooders):
        """All of them for so long."""
        self.end = time.monotonic() + seconds
        threads = [threading.Thread(target=self.work, args=(kind,)) for kind in self.kinds]
        threads += [threading.Thread(target=self.read, args=(number,)) for number in range(readers)]
        threads += [threading.Thread(target=self.flood, args=(number,)) for number in range(flooders)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def soak(place, minutes, kinds, largest, readers, flooders, look):
    """`look()` waits until nobody is there any more, and gives what the server then holds: the free heap, and connections or descriptors."""
    with Control(place.host, place.port).login() as control:
        control.store("STOR shared", bytes(largest))
    with tempfile.TemporaryDirectory() as folder:
        mix = Soak(place, kinds, largest, pathlib.Path(folder))
        # What is loaded and kept at its first use is no loss.
        mix.run(10, readers, flooders)
        before = look()
        mix.shares = [0] * READERS
        mix.floods = 0
        heaps = [before[0]]
        for minute in range(1, max(1, round(minutes)) + 1):
            earlier = dict(mix.done), mix.floods
            mix.run(min(60, minutes * 60), readers, flooders)
            now = look()
            heaps.append(now[0])
            idle = [name for name, count in mix.done.items() if count == earlier[0][name] and name not in mix.absent]
            if idle or flooders and mix.floods == earlier[1]:
                mix.errors.append(f"these stood still for a minute: {idle}, floods {mix.floods - earlier[1]}")
            done = ", ".join(f"{name} {count}" for name, count in mix.done.items())
            print(f"minute {minute}: transfers {sum(mix.done.values())} ({done}), {mix.moved >> 20} MiB, errors {len(mix.errors)}, "
                  f"heap free {now[0]}, open {now[1]}, readers {[share >> 20 for share in mix.shares]} MiB, flooded with {mix.floods} commands", flush=True)  # fmt: skip
            if mix.errors:
                break
    assert not mix.errors, "\n".join(mix.errors)
    assert now[1] <= before[1], f"{now[1]} are open, {before[1]} were"
    assert max(heaps[-2:]) > heaps[0] - TOLERANCE, f"the heap shrinks: {heaps}"
    if readers:
        shares = mix.shares[:readers]
        assert min(shares) > sum(shares) / readers / 2, f"shares: {shares}"
    print("flat, and no reader below half of its share", flush=True)


def on_unix(minutes):
    with tempfile.TemporaryDirectory() as folder, Server(folder, heap="100k", max_connections=16) as server:

        def look():
            server.assert_nothing_leaked()
            with server.login() as control:
                heap = max(int(control("SITE GC").split()[1]) for _ in range(3))
            server.assert_nothing_leaked()
            return heap, len(server.open_files())

        kinds = [clients.Curl, clients.Lftp, Rclone, Ftplib, FileZilla]
        soak(server, minutes, kinds, 200_000, READERS, FLOODERS, look)


def on_board(minutes, firmware, package):
    import suite
    import tap
    from emulator import Emulator

    with Emulator(firmware, package, disc_blocks=384) as board:
        board.listeners = board.value("board.pools()['listeners'][0]")

        def look():
            # The collector is conservative: what it keeps by chance is not kept after another session.
            heaps = []
            for _ in range(6):
                with suite.session() as control:
                    control.retrieve("RETR shared")
                heaps.append(suite.settle(board))
            heap = max(heaps)
            # Those in TIME_WAIT end by themselves.
            return heap, len([pcb for pcb in board.value("board.pcbs()") if pcb[0] != "TIME_WAIT"])

        # Five connections in all: two clients, with a data connection each. There is no room for one that floods.
        soak(types.SimpleNamespace(host=tap.BOARD, port=21), minutes, [clients.Curl, Ftplib], 30_000, 0, 0, look)


if __name__ == "__main__":
    minutes, *board = sys.argv[1:]
    on_board(float(minutes), *board) if board else on_unix(float(minutes))
