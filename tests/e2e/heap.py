"""What the server takes from MicroPython's GC heap: measured by heap_probe.py, with real sessions."""

import pathlib
import subprocess
import tempfile

from control import Control
from server import DIST, PATIENCE, RUNTIME, environment, free_ports

PROBE = pathlib.Path(__file__).with_name("heap_probe.py")
SESSIONS = 5


def measure(root, heap="256k"):
    """Bytes that `import ftpdlite` takes, that a server takes that listens (the import included), and that each idle session takes beside
    that, as {"import": …, "ready": …, "session": …}; and under "sessions" what is taken with 1 to 5 sessions."""
    host = "127.0.0.1"
    port = free_ports(1)
    process = subprocess.Popen(
        [RUNTIME, "-X", f"heapsize={heap}", PROBE, host, str(port), str(root)],
        env=environment(f"{DIST}:.frozen"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    controls = []
    try:

        def allocated(what):
            for line in process.stdout:
                if line.startswith(f"{what} "):
                    return int(line.split()[1])
            raise AssertionError(f"the heap probe ended before it told {what!r}: {process.wait(PATIENCE)}")

        before = allocated("before")
        found = {"import": allocated("import") - before, "ready": allocated("ready") - before, "sessions": []}
        for _ in range(SESSIONS):
            controls.append(Control(host, port).login())
            process.stdin.write("\n")
            process.stdin.flush()
            found["sessions"].append(allocated("sessions") - before)
        found["session"] = (found["sessions"][-1] - found["ready"]) // SESSIONS
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
    print(*(measured[what] for what in ("import", "ready", "session")))
