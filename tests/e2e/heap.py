"""What the server takes from MicroPython's GC heap: measured by heap_probe.py, with real sessions."""

import contextlib
import pathlib
import re
import subprocess
import tempfile

from control import Control
from server import DIST, PATIENCE, RUNTIME, environment, free_ports

PROBE = pathlib.Path(__file__).with_name("heap_probe.py")
SESSIONS = 5
# More than sockets hold, so that a transfer whose client does not read goes on.
FILE = 64 << 20


@contextlib.contextmanager
def transfers(controls):
    """One running transfer for each of the sessions; they are broken off at the end."""
    with contextlib.ExitStack() as stack:
        for control in controls:
            data = stack.enter_context(control.data(receive_buffer=4096))
            control.expect("RETR file", "150")
            assert data.recv(1)
        yield
    for control in controls:
        assert control.reply().startswith("426")


def measure(root, heap="256k"):
    """Bytes that `import ftpdlite` takes, that a server takes that listens (the import included), and that each idle session takes beside
    that, and a running transfer beside its session and the buffers that transfers share, as {"import": …, "ready": …, "session": …,
    "transfer": …}; under "names" how many names a server that listens adds to those of the firmware; and under "sessions" what is taken with
    1 to 5 sessions."""
    with open(pathlib.Path(root) / "file", "wb") as file:
        file.truncate(FILE)
    host = "127.0.0.1"
    port = free_ports(1)
    process = subprocess.Popen(
        [RUNTIME, "-X", f"heapsize={heap}", PROBE, host, str(port), str(root)],
        # By a name without folders, because the length of a path counts: each module keeps its own.
        env=environment(f"{DIST.name}:.frozen"),
        cwd=DIST.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    controls = []
    names = 0
    try:

        def allocated(what):
            nonlocal names
            for line in process.stdout:
                if line.startswith(f"{what} "):
                    names = int(re.search("n_qstr=([0-9]+)", process.stdout.readline())[1])
                    return int(line.split()[1])
            raise AssertionError(f"the heap probe ended before it told {what!r}: {process.wait(PATIENCE)}")

        def now():
            process.stdin.write("\n")
            process.stdin.flush()
            return allocated("sessions") - before

        before = allocated("before")
        known = names
        found = {"import": allocated("import") - before, "ready": allocated("ready") - before, "sessions": []}
        found["names"] = names - known
        for _ in range(SESSIONS):
            controls.append(Control(host, port).login())
            found["sessions"].append(now())
        found["session"] = (found["sessions"][-1] - found["ready"]) // SESSIONS
        # The first time all transfer at once makes the buffers.
        with transfers(controls):
            pass
        idle = now()
        with transfers(controls):
            found["transfer"] = (now() - idle) // SESSIONS
        process.stdin.close()
        process.stdout.read()
        assert process.wait(PATIENCE) == 0
        return found
    finally:
        for control in controls:
            control.close()
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(folder)
    print(*(measured[what] for what in ("import", "ready", "session", "transfer", "names")))
