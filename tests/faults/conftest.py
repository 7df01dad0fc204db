"""The end-to-end tests' servers, clients and fixtures serve here too."""

import pathlib
import sys

E2E = pathlib.Path(__file__).resolve().parents[1] / "e2e"
sys.path.insert(0, str(E2E))

import control  # noqa: E402
from server import Server  # noqa: E402

import pytest  # noqa: E402

# A server that collects garbage at each allocation, or runs under valgrind, is slow: a hashed password alone takes seconds.
control.PATIENCE = 120


@pytest.fixture
def start_server(tmp_path):
    """Starts servers for one test. At its end each must stop cleanly."""
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
        # Shown when the test failed.
        print(server.describe())
        server.close()
