"""A pretended board: programs for hardware run on the Unix port, with stand-ins for `network`, `machine` and their like, and a flash in RAM."""

import contextlib
import pathlib
import re
import shutil
import signal
import subprocess

import certificates
from server import DIST, PATIENCE, RUNTIME, environment, free_ports, wait_until

HERE = pathlib.Path(__file__).parent


class Board:
    """A board with these files in its flash: {name: text or bytes}. Its output is `output()`."""

    def __init__(self, folder, files):
        self.folder = pathlib.Path(folder)
        flash = self.folder / "flash"
        flash.mkdir(parents=True)
        for name, content in files.items():
            (flash / name).parent.mkdir(parents=True, exist_ok=True)
            (flash / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        for name in ("pretend_board.py", "board_files.py"):
            shutil.copy(HERE / name, self.folder)
        self.port = free_ports(22)
        self.text = "".join(content for content in files.values() if isinstance(content, str))

    def __enter__(self):
        words = [DIST, self.folder / "flash", str(self.port), str(self.port + 1)]
        with open(self.folder / "output.txt", "wb") as output:
            self.process = subprocess.Popen(
                [RUNTIME, "-X", "heapsize=8m", self.folder / "pretend_board.py", *words],
                env=environment(f"{self.folder}:.frozen"),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def output(self):
        return (self.folder / "output.txt").read_text(errors="replace")

    def wait_for(self, text):
        """Waits until the program has printed this."""
        wait_until(lambda: text in self.output() or self.process.poll() is not None, self.output)
        assert text in self.output(), f"{text!r} is not in\n{self.output()}"

    def wait_until_it_ends(self):
        assert self.process.wait(PATIENCE) == 0, self.output()

    def account(self):
        """NAME:PASSWORD of the program, as it says it."""
        found = re.search(r'(?:credentials = |add_account\()"([^":]+:)([^"]*)"', self.text)
        if not found:
            return "anonymous:"
        # The hashes of the documents are those of this password.
        return found[1] + ("secret" if found[2].startswith("$") else found[2])

    def curl(self, path, *options, account=None, fails=False):
        """Runs curl on a path of the server; gives what it prints."""
        command = ["curl", "--silent", "--show-error", "--max-time", "20", "--user", account or self.account(), *options]
        if "tls=" in self.text:
            protected = "--ftp-ssl-control" if "private_data=False" in self.text else "--ssl-reqd"
            command += [protected, "--cacert", certificates.make()[0]]
        done = subprocess.run([*command, f"ftp://127.0.0.1:{self.port}/{path}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert (done.returncode != 0) == fails, f"{command}: {done.stderr.decode()}\n{self.output()}"
        return done.stdout

    def upload(self, path, content):
        """Stores a file by FTP and takes it again."""
        file = self.folder / "upload"
        file.write_bytes(content)
        self.curl(path, "--upload-file", file)
        assert self.curl(path) == content


def certificate_files():
    """What a board with TLS has in its flash."""
    certificate, key = certificates.make()
    return {"certificate.pem": certificate.read_bytes(), "key.pem": key.read_bytes()}
