"""The servers and the files that the tests share."""

import hashlib

import pytest
from server import DIST, RUNTIME, Server


def pytest_sessionstart(session):
    for path, what in ((RUNTIME, "the MicroPython runtime (cargo xtask runtime)"), (DIST, "the package (cargo xtask build)")):
        if not path.exists():
            pytest.exit(f"{path} is missing: {what}", returncode=2)


@pytest.fixture
def start_server(tmp_path):
    """Starts servers for one test. At its end each must have lost nothing and must stop cleanly."""
    started = []

    def start(**options):
        folder = tmp_path / f"server{len(started)}"
        folder.mkdir()
        server = Server(folder, **options)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def server(start_server):
    """A server with the usual settings and an empty root, for one test; it must have lost nothing at the end."""
    server = start_server()
    yield server
    server.assert_nothing_leaked()


SIZES = {"0 B": 0, "1 B": 1, "1 MiB": 1 << 20, "64 MiB": 64 << 20}


@pytest.fixture(scope="session")
def contents(tmp_path_factory):
    """Files of each of SIZES, of bytes that repeat nowhere near a buffer's length: {size: path}."""
    folder = tmp_path_factory.mktemp("contents")
    files = {}
    for name, size in SIZES.items():
        files[size] = folder / f"{size}.bin"
        files[size].write_bytes(hashlib.shake_128(name.encode()).digest(size))
    return files


def digest(path):
    """A file's SHA-256."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
