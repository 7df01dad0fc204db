"""`cargo xtask serve`, as a newcomer types it."""

import shutil
import signal
import subprocess

import pytest
from control import Control
from server import DIST, PATIENCE, REPOSITORY, free_ports, wait_until

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(DIST != REPOSITORY / "dist/x64_6.3", reason="cargo xtask serve runs what is in dist/x64_6.3"),
    pytest.mark.skipif(not shutil.which("cargo"), reason="there is no cargo"),
]


@pytest.fixture
def port():
    """A port, whose sample folder is gone afterwards."""
    port = free_ports(1)
    yield port
    shutil.rmtree(REPOSITORY / f".xtask/sample-{port}", ignore_errors=True)


@pytest.fixture
def serve(port, tmp_path):
    """Starts `cargo xtask serve`; gives a function that ends it as Ctrl-C does and tells what it printed."""
    running = []

    def start(*options):
        output = tmp_path / f"output{len(running)}.txt"
        with open(output, "wb") as file:
            process = subprocess.Popen(
                ["cargo", "xtask", "serve", "--port", str(port), *options],
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        running.append(process)
        # It builds what is stale, if only to see that nothing is.
        wait_until(lambda: b"Ctrl-C stops." in output.read_bytes() or process.poll() is not None, output.read_text, 10 * PATIENCE)

        def stop():
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)
            return output.read_text()

        return stop

    yield start
    for process in running:
        process.kill()
        process.wait()


def names(port):
    with Control("127.0.0.1", port).login("user", "password") as control:
        found = control.retrieve("NLST").decode().split("\r\n")[:-1]
        control("QUIT")
    return sorted(found)


def store(port, name):
    with Control("127.0.0.1", port).login("user", "password") as control:
        control.store(f"STOR {name}", b"mine")
        control("QUIT")


SAMPLE = ["pub", "welcome.txt"]


def test_files_stay_from_one_start_to_the_next_until_they_are_to_be_fresh(serve, port):
    stop = serve()
    assert names(port) == SAMPLE
    store(port, "mine.txt")
    told = stop()
    assert f"curl --user user:password ftp://127.0.0.1:{port}/" in told and told.endswith("Stopped.\n"), told
    stop = serve()
    assert names(port) == ["mine.txt", *SAMPLE]
    stop()
    stop = serve("--fresh")
    assert names(port) == SAMPLE
    stop()


@pytest.mark.parametrize("options", [(), ("--fresh",)])
def test_a_second_one_leaves_the_first_ones_files(serve, port, options):
    serve()
    store(port, "mine.txt")
    told = serve(*options)()
    assert f"port {port} of 127.0.0.1 is taken" in told and "Serving" not in told, told
    assert "x64: text" not in told, "it was built before the port was looked at"
    assert names(port) == ["mine.txt", *SAMPLE]
