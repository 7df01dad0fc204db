"""The list of the files that sessions have open, asked directly."""

from server import run_micropython

HOLDERS = """\
from ftpdlite import native

def server():
    return native.Server("x", 0, 300, 10, 60, 60, 30, 4, None, 0, 0, native.holders, -1, None, None)

def session(server):
    return native.Session(server, None, ("127.0.0.1", 4000), 512)

one, two = server(), server()
writer, reader = session(one), session(two)
writer.claim("/x/.ftpdlite-1", "/x/f")
for s in one, two:
    for path in "/x/f", "/x/F", "/x/f. ", "/x", "/x/.ftpdlite-1":
        assert s.is_open(path), path
    for path in "/y", "/x/f/g", "/x/ff", "/", "":
        assert not s.is_open(path), path
assert not writer.contested()
reader.claim("/x/F", None)
assert writer.contested()
reader.release()
reader.release()
assert not writer.contested()
writer.claim("/x/g", "")
assert one.is_open("/x/g") and not one.is_open("/x/f")
assert writer.settle() == 0
writer.release()
assert not one.is_open("/x")
# The list keeps its sessions.
import gc
for number in range(20):
    session(one).claim("/x/%d" % number, None)
    gc.collect()
assert all(two.is_open("/x/%d" % number) for number in range(20))
for wrong in None, b"12345678", bytearray(1):
    try:
        native.Server("x", 0, 300, 10, 60, 60, 30, 4, None, 0, 0, wrong, -1, None, None).is_open("/x")
    except TypeError as error:
        print(error)
print("done")
"""


def test_who_has_which_file_open(tmp_path):
    code, output = run_micropython(tmp_path, HOLDERS)
    assert (code, output.splitlines()) == (0, ["ftpdlite: holders are not the module's"] * 3 + ["done"])
