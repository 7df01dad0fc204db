"""Valgrind looks at each access to memory, those of the native module too. The MicroPython of these tests tells it of each block of the heap: what is free
may not be touched, and of a block in use only the bytes that were asked for (module/faults.c). Garbage is collected so often that what nobody holds is soon free.

So this shows what Rust still uses after nobody holds it, and reads and writes past an end. An access that went astray fails the test, with the place in valgrind's report.
"""

import itertools
import shutil

import faults
import pytest
import transcript
import test_stress
from server import MAIN, run_micropython

# Garbage is collected before each so many allocations. With 1 it takes five times as long, and test_stress.py does that without valgrind.
EVERY = 10
PROGRAM = f"import faults\n\nfaults.stress({EVERY})\n{MAIN}"

# Whether a value was set is not asked: optimized code may look at one that it then does not use.
WATCHED = """\
#!/bin/sh
exec valgrind --trace-children=yes --leak-check=no --undef-value-errors=no --error-exitcode={code} --log-file='{log}' '{runtime}' "$@"
"""
FOUND = 99

pytestmark = pytest.mark.skipif(not shutil.which("valgrind"), reason="there is no valgrind")


class Watched:
    """A MicroPython under valgrind: `runtime` is its program, `report()` what valgrind says."""

    def __init__(self, folder):
        self.log = folder / "valgrind.txt"
        self.runtime = folder / "micropython"
        self.runtime.write_text(WATCHED.format(code=FOUND, log=self.log, runtime=faults.RUNTIME))
        self.runtime.chmod(0o755)

    def report(self):
        return self.log.read_text(errors="replace")


@pytest.fixture
def watched(tmp_path):
    return Watched(tmp_path)


@pytest.fixture
def silent(watched):
    """The same, but at the end, when all servers have stopped, it must have found nothing."""
    yield watched
    assert "ERROR SUMMARY: 0 errors" in watched.report(), watched.report()


@pytest.fixture
def start_watched(silent, start_server):
    """Starts a server under valgrind, one in a test."""
    return lambda **settings: start_server(runtime=silent.runtime, program=PROGRAM, **settings)


def by_settings():
    """The transcripts that can be played one after the other against the same server."""
    key = lambda path: repr(sorted(transcript.settings(path).items()))
    # Ten thousand rounds of SITE HASHPASS take too long.
    played = [path for path in test_stress.PLAYED if path.stem != "site"]
    return [list(group) for _, group in itertools.groupby(sorted(played, key=key), key)]


GROUPS = by_settings()


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group[0].stem)
def test_transcripts(group, start_watched):
    settings = transcript.settings(group[0])
    server = start_watched(**settings)
    for path in group:
        shutil.rmtree(server.root)
        server.root.mkdir()
        transcript.build_fixture(server.root)
        transcript.Player(path, server.host, server.port, server.files).play()
        # It asks in clear.
        if "tls" not in settings:
            server.assert_nothing_leaked()


def test_several_sessions_at_once(start_watched):
    test_stress.test_several_sessions_at_once(start_watched)


def test_clients_that_go_in_the_middle(start_watched):
    test_stress.test_clients_that_go_in_the_middle(start_watched)


@pytest.mark.parametrize("kind", ["VfsFat", "VfsLfs2"], ids=["fat", "littlefs"])
def test_files_of_a_board(kind, start_watched):
    server = start_watched(file_system=kind)
    content = bytes(range(256)) * 20
    with server.login() as control:
        control.expect("MKD folder", "257")
        for _ in range(2):
            control.store("STOR folder/file", content)
        control.store("APPE folder/file", content)
        assert control.retrieve("RETR folder/file") == content * 2
        control.expect("RNFR folder/file", "350")
        control.expect("RNTO other", "250")
        assert b" other\r\n" in control.retrieve("MLSD")
        control.expect("XSHA256 other", "250")
        control.expect("DELE other", "250")
        control.expect("RMD folder", "250")
    server.assert_nothing_leaked()


USE_AFTER_FREE = """\
import faults, uctypes
from ftpdlite.native_x64 import is_unfinished

def address():
    return uctypes.addressof(bytearray(b".ftpdlite-1" * 100))

faults.stress(1)
at = address()
for _ in range(10):
    [None] * 3
# In the middle of it: its first blocks may have been taken again.
print(is_unfinished(uctypes.bytearray_at(at + 550, {length})))
"""
PAST_THE_END = """\
import faults, uctypes
from ftpdlite.native_x64 import is_unfinished

faults.stress(1)
held = bytearray(b".ftpdlite-1")
print(is_unfinished(uctypes.bytearray_at(uctypes.addressof(held) + {start}, 11)))
"""


@pytest.mark.parametrize(
    "program, is_found",
    [(USE_AFTER_FREE.format(length=11), True), (USE_AFTER_FREE.format(length=0), False), (PAST_THE_END.format(start=11), True), (PAST_THE_END.format(start=0), False)],
    ids=["a block that is free", "nothing of it", "past the end", "to the end"],
)
def test_what_native_code_must_not_touch_is_found(program, is_found, watched, tmp_path):
    code, output = run_micropython(tmp_path, program, runtime=watched.runtime)
    report = watched.report()
    assert (code, "Invalid read" in report) == ((FOUND, True) if is_found else (0, False)), (output, report)
    if is_found:
        # The module's own code, of which valgrind knows no names, and not what called it.
        assert "at 0x" in report and report.split("at 0x", 1)[1].split("\n")[0].endswith(": ???"), report
