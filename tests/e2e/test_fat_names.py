"""Names that are the same to FAT must be the same to the server: the real file system is asked for every byte, every letter and its other case, and
for the short names that it makes.
"""

import pytest
from server import bring_rig, run_micropython

pytestmark = pytest.mark.discs

ASK = """\
import os
import vfs

import board_rig as rig
from ftpdlite import native

disc = rig.new_disc("VfsFat", 128 * 1024)


def is_same(name, other):
    # Whether FAT finds a file by another name.
    rig.write(b"/" + name, b"")
    try:
        os.stat(rig.path_of(b"/" + other))
        return True
    except OSError:
        return False
    finally:
        os.remove(rig.path_of(b"/" + name))


same = coarse = missed = 0
for line in open(%r):
    name, other = [bytes.fromhex(word) for word in line.split()]
    known = native.overlap(b"/x/" + name, b"/x/" + other) > 0
    if is_same(name, other):
        same += 1
        if not known:
            missed += 1
            print("missed:", name, other)
    elif known:
        coarse += 1
print([same, coarse, missed])
"""


def ask(folder, pairs):
    """Asks for pairs of names, as bytes: gives how many are one file, how many the server only takes for one, and how many it does not know of."""
    bring_rig(folder)
    program = ASK % str(folder / "pairs")
    (folder / "pairs").write_text("".join(f"{name.hex()} {other.hex()}\n" for name, other in pairs))
    code, output = run_micropython(folder, program, heap="4m", seconds=120)
    assert code == 0, output
    print(output)
    return eval(output.splitlines()[-1]), output


# FAT takes these for something else, or not at all.
FORBIDDEN = set(b'"*/:<>?\\|\x7f') | set(range(32))


def test_every_byte_and_every_other(tmp_path):
    allowed = [byte for byte in range(256) if byte not in FORBIDDEN]
    # In the middle of a name, because what is at its end may be dropped; and in a long name, whose short one is another.
    pairs = [(b"a%cb" % one, b"a%cb" % two) for one in allowed for two in allowed if one != two]
    pairs += [(b"a long %c name" % one, b"a long %c name" % two) for one in allowed for two in allowed if one >= 128 and two >= 128 and one != two]
    (same, coarse, missed), output = ask(tmp_path, pairs)
    print(f"{len(pairs)} pairs, {same} of them one file, {coarse} taken for one, {missed} missed")
    assert missed == 0, output
    # FAT's short names have fewer letters than its long ones, so that of three names two pairs may be one file, and the third not.
    assert same > 100 and coarse < 1000


def test_every_letter_in_its_other_case(tmp_path):
    letters = [chr(code) for code in range(128, 0x10000) if not 0xD800 <= code < 0xE000]
    pairs = {(letter, other) for letter in letters for other in (letter.lower(), letter.upper(), letter.title(), letter.casefold()) if other != letter}
    pairs |= {(other, letter) for letter, other in pairs}
    encoded = [(f"x{one}.txt".encode(), f"x{two}.txt".encode()) for one, two in sorted(pairs)]
    (same, coarse, missed), output = ask(tmp_path, encoded)
    print(f"{len(encoded)} pairs, {same} of them one file, {coarse} taken for one, {missed} missed")
    assert missed == 0, output
    assert len(encoded) > 2000


SHORT = """\
import os

import board_rig as rig
from ftpdlite import native

disc = rig.new_disc("VfsFat", 128 * 1024)
STEMS = (
    "a name that is long", "Grüße", "Längste", "Папка", ".profile", "...x", "a.b.c.d", "a+b", "[x],;=", "name with ~1", "x~y~z", "FOO.bar.tar.gz", "lower", "MiXeD.TxT",
    "  blanks before", "日本語の名前", "1", "UPPER", "a" * 60, ".ftpdlite-17", ".ftpdlite-17.to", ".ftpdlite-4021-17.to", "x.longer", "archive.html", "é", "é è", "ñandú", "Àß"
)


def new_short_name(seen):
    # The one in the folder that is not among those seen: the sector is read as FAT keeps it.
    for at in range(0, len(disc.data), 32):
        entry = disc.data[at : at + 32]
        if entry[11] == 0x20 and entry[0] not in (0, 0xE5) and entry[26:32] == bytes(6):
            extension = bytes(entry[8:11]).rstrip(b" ")
            short = bytes(entry[:8]).rstrip(b" ") + (b"." + extension if extension else b"")
            if short not in seen:
                seen.add(short)
                return short
    return None


count = missed = 0
for stem in STEMS:
    seen = set()
    # The sixth and those after it get a number made of their name.
    for number in range(9):
        name = (stem if not number else "%s %d" % (stem, number)).encode()
        rig.write(b"/" + name, b"")
        short = new_short_name(seen)
        assert short, name
        for spelling in (short, short.lower(), short + b".", short + b" "):
            count += 1
            if not native.overlap(b"/x/" + name, b"/x/" + spelling) or not native.overlap(b"/x/" + spelling, b"/x/" + name):
                missed += 1
                print("missed:", name, spelling)
    for entry in list(os.ilistdir(rig.path_of(b"/"))):
        os.remove(rig.path_of(b"/" + entry[0]))
print([count, missed])
"""


def test_every_short_name_that_fat_makes(tmp_path):
    bring_rig(tmp_path)
    code, output = run_micropython(tmp_path, SHORT, heap="4m", seconds=120)
    assert code == 0, output
    print(output)
    count, missed = eval(output.splitlines()[-1])
    assert missed == 0 and count > 500, output
