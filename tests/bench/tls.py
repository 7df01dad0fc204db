"""What TLS costs FTPdLite: transfers and logins beside the same in clear, and the memory of a connection."""

import pathlib
import statistics
import time

import certificates
from control import read_all
from server import Server

MIB = 1 << 20
SIZE = 32 * MIB
LOGINS = 50
SESSIONS = 40


def login(server, secure):
    control = server.connect()
    return control.login_securely(certificates.client()) if secure else control.login()


def cpu(server):
    """The seconds of processor time that the server has used."""
    words = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(words[11]) + int(words[12])) / 100


def resident(server):
    """The bytes of memory of its own that it holds."""
    for line in pathlib.Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024


def transfer(control, command, secure, content):
    """MiB a second."""
    start = time.perf_counter()
    with control.data() as data:
        control.expect(command, "150")
        if secure:
            data = certificates.client().wrap_socket(data, server_hostname=control.host)
        with data:
            if command.startswith("STOR"):
                data.sendall(content)
            else:
                assert len(read_all(data)) == SIZE
    assert control.reply().startswith("226")
    return SIZE / MIB / (time.perf_counter() - start)


def compare(server, runs, content):
    """Prints what transfers and logins take."""
    for secure, name in ((True, "TLS"), (False, "clear")):
        with login(server, secure) as control:
            if secure:
                print(", ".join(map(str, control.socket.cipher()[:2])))
            for command in ("RETR content", "STOR new"):
                before = cpu(server)
                rate = statistics.median(transfer(control, command, secure, content) for _ in range(runs))
                each = 1000 * (cpu(server) - before) / runs / (SIZE / MIB)
                print(f"{name:6} {command[:4]} {rate:6.0f} MiB/s, CPU {each:.2f} ms/MiB")
        before = cpu(server)
        for _ in range(LOGINS):
            with login(server, secure) as control:
                control("QUIT")
        print(f"{name:6} login {1000 * (cpu(server) - before) / LOGINS:.1f} ms of CPU")


def weigh(server, secure, name):
    """Prints what an idle session takes. The server has just started, so that it has no memory left over from others."""
    controls = [login(server, secure) for _ in range(4)]
    free, before = int(controls[0]("SITE GC").split()[1]), resident(server)
    controls += [login(server, secure) for _ in range(SESSIONS)]
    taken = (free - int(controls[0]("SITE GC").split()[1])) / SESSIONS
    each = (resident(server) - before) / SESSIONS
    print(f"{name:6} session {taken:.0f} bytes of the GC heap, {each:.0f} bytes of memory, those included")
    for control in controls:
        control.close()


def measure(folder, root, heap, runs):
    """Prints the figures."""
    content = bytes(range(256)) * (SIZE // 256)
    (root / "content").write_bytes(content)
    settings = {"heap": heap, "max_connections": 2 * SESSIONS, **certificates.settings()}
    with Server(folder, root, **settings) as server:
        compare(server, runs, content)
    for secure, name in ((True, "TLS"), (False, "clear")):
        with Server(folder, root, **settings) as server:
            weigh(server, secure, name)
