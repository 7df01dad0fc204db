"""The real FileZilla, on a display of its own that nobody sees. The test writes its queue before it starts. Then one key starts the transfers."""

import contextlib
import os
import pathlib
import shutil
import sqlite3
import subprocess
import time

import certificates
import pytest
from server import wait_until
from trees import content

PROGRAMS = ("filezilla", "Xvfb", "xdotool")
pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason=f"one of {', '.join(PROGRAMS)} is missing"),
]

# Seconds for FileZilla to start and to move its queue; other tests run beside it.
PATIENCE = 40
# FileZilla's numbers for plain FTP and for FTP that must use TLS.
PLAIN, TLS = 6, 4
DOWNLOAD = 16
OVERWRITE, RESUME = 1, 5

SETTINGS = """\
<?xml version="1.0" encoding="UTF-8"?>
<FileZilla3><Settings>
    <Setting name="Greeting version">99.0.0</Setting>
    <Setting name="Number of Transfers">{transfers}</Setting>
    <Setting name="Logging file">{log}</Setting>
    <Setting name="Update Check">0</Setting>
</Settings></FileZilla3>
"""
# What the user has accepted earlier: that nothing is encrypted, or a certificate.
AGREED = """\
<?xml version="1.0" encoding="UTF-8"?>
<FileZilla3>{agreed}</FileZilla3>
"""
IN_CLEAR = """<InsecureHosts><Host Port="{port}">127.0.0.1</Host></InsecureHosts>"""
CERTIFICATE = """<TrustedCerts><Certificate>
    <Data>{der}</Data><ActivationTime>{first}</ActivationTime><ExpirationTime>{last}</ExpirationTime>
    <Host>127.0.0.1</Host><Port>{port}</Port><TrustSANs>0</TrustSANs>
</Certificate></TrustedCerts>"""
TABLES = """\
CREATE TABLE servers (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, host TEXT NOT NULL, port INTEGER, user TEXT, password TEXT,
    account TEXT, keyfile TEXT, protocol INTEGER, type INTEGER, logontype INTEGER, timezone_offset INTEGER, transfer_mode TEXT,
    max_connections INTEGER, encoding TEXT, bypass_proxy INTEGER, post_login_commands TEXT, name TEXT, parameters TEXT,
    site_path TEXT DEFAULT NULL);
CREATE TABLE local_paths (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, path TEXT NOT NULL);
CREATE TABLE remote_paths (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, path TEXT NOT NULL);
CREATE TABLE files (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, server INTEGER NOT NULL, source_file TEXT, target_file TEXT,
    local_path INTEGER, remote_path INTEGER, size INTEGER, error_count INTEGER, priority INTEGER, flags INTEGER,
    default_exists_action INTEGER, extra_flags TEXT);
CREATE INDEX server_index ON files (server);
PRAGMA user_version = {version};
"""
VERSION = 7


@pytest.fixture(scope="module")
def display():
    """The name of a display."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1024x768x24", "-nolisten", "tcp", "-noreset"]
    with open(os.devnull, "wb") as nowhere:
        process = subprocess.Popen(command, pass_fds=[writing], stdout=nowhere, stderr=nowhere)
    os.close(writing)
    with open(reading) as told:
        number = told.readline().strip()
    assert number, "Xvfb does not start"
    yield f":{number}"
    process.terminate()
    process.wait(PATIENCE)


class FileZilla:
    """One start of the program, in a home of its own."""

    def __init__(self, folder, display, server, protocol, transfers):
        self.home = folder / "home"
        self.log = folder / "session.log"
        self.local = folder / "local"
        self.local.mkdir()
        settings = self.home / ".config/filezilla"
        settings.mkdir(parents=True)
        (settings / "filezilla.xml").write_text(SETTINGS.format(transfers=transfers, log=self.log))
        agreed = IN_CLEAR.format(port=server.port)
        if protocol == TLS:
            der = certificates.run(["openssl", "x509", "-in", certificates.make()[0], "-outform", "DER"]).hex()
            now = int(time.time())
            agreed = CERTIFICATE.format(port=server.port, der=der, first=now - 86400, last=now + 86400 * 3000)
        (settings / "trustedcerts.xml").write_text(AGREED.format(agreed=agreed))
        with contextlib.closing(sqlite3.connect(settings / "queue.sqlite3")) as queue:
            queue.executescript(TABLES.format(version=VERSION))
            queue.execute(
                "INSERT INTO servers (id, host, port, user, password, protocol, type, logontype, timezone_offset, transfer_mode,"
                " max_connections, encoding, bypass_proxy, name) VALUES (1, ?, ?, ?, ?, ?, 0, 1, 0, 'default', 0, 'Auto', 0, '')",
                (server.host, server.port, "tester", "secret", protocol),
            )
            queue.execute("INSERT INTO local_paths VALUES (1, ?)", (f"{self.local}/",))
            # The type of the path, then the length and the name of each folder.
            queue.execute("INSERT INTO remote_paths VALUES (1, '1 0 6 folder')")
            queue.commit()
        self.queue = settings / "queue.sqlite3"
        environment = {"HOME": str(self.home), "DISPLAY": display, "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}
        self.environment = environment
        self.process = None

    def add(self, name, size, flags, exists=OVERWRITE):
        with contextlib.closing(sqlite3.connect(self.queue)) as queue:
            queue.execute(
                "INSERT INTO files (server, source_file, local_path, remote_path, size, error_count, priority, flags,"
                " default_exists_action) VALUES (1, ?, 1, 1, ?, 0, 2, ?, ?)",
                (name, size, flags, exists),
            )
            queue.commit()

    def xdotool(self, *words):
        done = subprocess.run(["xdotool", *map(str, words)], env=self.environment, capture_output=True, text=True, timeout=PATIENCE)
        return done.stdout.split()

    def windows(self, name):
        return self.xdotool("search", "--onlyvisible", "--name", name)

    def start(self):
        """Starts it and lets it move its queue."""
        with open(self.home / "output.txt", "wb") as output:
            self.process = subprocess.Popen(
                ["filezilla"], cwd=self.home, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

        def is_working():
            assert self.process.poll() is None, (self.home / "output.txt").read_text()
            for window in self.windows("Character encoding issue"):
                # Some folder of this machine has a name that is not UTF-8. There is one button, in the last line.
                place = dict(line.split("=") for line in self.xdotool("getwindowgeometry", "--shell", window))
                x, y = int(place["X"]) + int(place["WIDTH"]) // 2, int(place["Y"]) + int(place["HEIGHT"]) - 18
                self.xdotool("mousemove", x, y, "click", 1)
                return False
            if not self.windows("^FileZilla$"):
                return False
            time.sleep(1)
            self.xdotool("mousemove", 700, 500, "key", "ctrl+p")
            time.sleep(1)
            return self.log.exists() and "220 " in self.log.read_text()

        wait_until(is_working, self.describe, PATIENCE)

    def describe(self):
        return f"-- FileZilla's log:\n{self.log.read_text()[-4000:] if self.log.exists() else ''}"

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(PATIENCE)


@pytest.fixture
def start_filezilla(tmp_path, display):
    started = []

    def start(server, protocol, transfers):
        folder = tmp_path / f"filezilla{len(started)}"
        folder.mkdir()
        started.append(FileZilla(folder, display, server, protocol, transfers))
        return started[-1]

    yield start
    for client in started:
        client.stop()


@pytest.mark.parametrize(
    "protocol, places, transfers", [(PLAIN, 2, 2), (PLAIN, 12, 10), (TLS, 12, 10)], ids=["2 places", "12 places", "TLS"]
)
def test_filezilla_moves_files_both_ways_and_resumes(start_server, start_filezilla, protocol, places, transfers):
    options = certificates.settings() if protocol == TLS else {}
    server = start_server(max_connections=places, debug=True, **options)
    remote = server.root / "folder"
    remote.mkdir()
    filezilla = start_filezilla(server, protocol, transfers)
    wanted = {}
    for number in range(30):
        up, down = f"Grüße aus Köln {number}.bin", f"à la carte {number}.bin"
        wanted[filezilla.local / up] = wanted[remote / up] = content(up, 1000 * number)
        wanted[filezilla.local / down] = wanted[remote / down] = content(down, 1000 * number)
        (filezilla.local / up).write_bytes(wanted[remote / up])
        (remote / down).write_bytes(wanted[remote / down])
        filezilla.add(up, 1000 * number, 0)
        filezilla.add(down, 1000 * number, DOWNLOAD)
    # Transfers that broke off before.
    for name, whole, part, flags in (
        ("begun up.bin", filezilla.local, remote, 0),
        ("begun down.bin", remote, filezilla.local, DOWNLOAD),
    ):
        data = content(name, 50_000)
        (whole / name).write_bytes(data)
        (part / name).write_bytes(data[:20_000])
        wanted[part / name] = data
        filezilla.add(name, 50_000, flags, RESUME)
    filezilla.start()

    def is_there():
        return all(path.exists() and path.read_bytes() == data for path, data in wanted.items())

    wait_until(is_there, lambda: f"{filezilla.describe()}\n{server.describe()}", PATIENCE)
    filezilla.stop()
    said = filezilla.log.read_text()
    assert "Command: CLNT FileZilla" in said
    assert said.count("Command: REST 20000") + said.count("Command: APPE begun up.bin") == 2, said
    assert " Error:" not in said, said
    if protocol == TLS:
        # This firmware ends TLS without close_notify.
        assert "Response: 534 " in said
    server.assert_nothing_leaked()
