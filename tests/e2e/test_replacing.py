"""A file is replaced as a whole or not at all, and a name is changed or not: with calls of the file system that fail, and with power that is cut at any write.

The server and its client run in one MicroPython program (board_rig.py). How many points were tried is printed: see it with `-s`. FTPDLITE_EVERY_POINT=1 tries
all of them; else there are samples of what takes long.
"""

import os

import pytest
from server import bring_rig, free_ports, run_micropython

NAME = "a long name of a file.txt"
LONGEST = "a name so long that it takes more than sixteen entries " + 130 * "x"
# 96 KiB of FAT, 32 blocks of LittleFS.
SIZES = {"VfsFat": 96 * 1024, "VfsLfs2": 32 * 4096}
UPLOADS = ["new", "over", "broken", "broken over", "append"]
CHANGES = [
    "unique",
    "rename",
    "rename over",
    "rename empty",
    "rename case",
    "move",
    "move over",
    "rename folder",
    "rename empty folder",
    "rename case of folder",
    "move folder",
    "delete",
    "make folder",
    "remove folder",
]
OTHERS = ["resume", "look at a name", "digest", "ask the site", "set a time", "list", "list names", "list facts", "download", "download a rest"]
EVERY = bool(os.environ.get("FTPDLITE_EVERY_POINT"))
# How many files lie before it in the folder, so that the entries of a name lie over the border of two sectors in every way.
PADS = range(17) if EVERY else (2, 5, 10)

discs = pytest.mark.parametrize(
    "file_system", [pytest.param("VfsFat", marks=pytest.mark.discs), pytest.param("VfsLfs2", marks=pytest.mark.discs)], ids=["fat", "littlefs"]
)
uploads = pytest.mark.parametrize("what", UPLOADS)
names = pytest.mark.parametrize("name", ["short.txt", NAME, LONGEST], ids=["short", "long", "longest"])

PROGRAM = """\
import board_rig as rig

async def main(it):
%s

rig.run(main, %d)
"""


def play(folder, *lines, seconds=7200 if EVERY else 600):
    """Runs a program of the rig, whose lines are those; gives what it printed."""
    bring_rig(folder)
    program = PROGRAM % ("\n".join("    " + line for line in lines), free_ports(42))
    code, output = run_micropython(folder, program, heap="32m", seconds=seconds)
    assert code == 0 and output.endswith("Done.\n"), output[-4000:]
    assert "Warning" not in output, output[-4000:]
    print(output)
    # What the server says of faults is none of it.
    return [eval(line.partition("]")[0] + "]") for line in output.splitlines() if line.startswith("[")]


@uploads
def test_every_call_of_the_file_system_fails(tmp_path, file_system, what):
    folder = tmp_path / "folder"
    folder.mkdir()
    size = SIZES.get(file_system, 0)
    [[points, calls]] = play(tmp_path, f"print(list(await rig.faults(it, {file_system!r}, {str(folder)!r}, {what!r}, {NAME!r}, {size})))")
    print(f"{file_system or 'a folder'}, {what}: {points} points, {calls} calls")
    assert calls > 4 and points > 6 * calls


@pytest.mark.clients
def test_every_call_of_the_file_system_fails_when_names_change(tmp_path, file_system):
    folder = tmp_path / "folder"
    folder.mkdir()
    size = SIZES.get(file_system, 0)
    done = play(tmp_path, *(f"print(list(await rig.faults(it, {file_system!r}, {str(folder)!r}, {what!r}, {NAME!r}, {size})))" for what in CHANGES))
    print(f"{file_system or 'a folder'}: {sum(points for points, _ in done)} points")
    assert len(done) == len(CHANGES) and all(points > 6 * calls > 0 for points, calls in done)


@pytest.mark.clients
def test_every_call_of_the_file_system_fails_of_other_commands(tmp_path, file_system):
    folder = tmp_path / "folder"
    folder.mkdir()
    size = SIZES.get(file_system, 0)
    stride = 1 if EVERY else 3
    done = play(tmp_path, *(f"print(list(await rig.faults(it, {file_system!r}, {str(folder)!r}, {what!r}, {NAME!r}, {size}, stride={stride})))" for what in OTHERS))
    print(f"{file_system or 'a folder'}: {sum(points for points, _ in done)} points")
    assert len(done) == len(OTHERS) and all(points >= 6 * max(1, calls // stride) for points, calls in done)


@discs
@uploads
def test_every_write_of_the_disc_fails(tmp_path, file_system, what):
    [[points, calls]] = play(tmp_path, f"print(list(await rig.faults(it, {file_system!r}, None, {what!r}, {NAME!r}, {SIZES[file_system]}, blocks=True)))")
    print(f"{file_system}, {what}: {points} points, {calls} writes")
    assert points > 2 * calls > 10


@pytest.mark.clients
@discs
def test_every_write_of_the_disc_fails_when_names_change(tmp_path, file_system):
    done = play(tmp_path, *(f"print(list(await rig.faults(it, {file_system!r}, None, {what!r}, {NAME!r}, {SIZES[file_system]}, blocks=True)))" for what in CHANGES))
    print(f"{file_system}: {sum(points for points, _ in done)} points")
    assert len(done) == len(CHANGES) and all(points > 2 * calls > 0 for points, calls in done)


CUT = """numbers = await rig.cuts(it, {file_system!r}, {what!r}, {name!r}, {pads}, {size}, {fill}, {torn}, {stride})
    print(numbers.told() + numbers.again.told(), *(numbers.examples + numbers.again.examples))"""
NUMBERS = "{} points; {} times a name was only a short one; {} times a folder had grown, {} times over the file; {} clusters lost at most; {} times wrong; {} times an upload or a note was left"


def cut(folder, title, file_system, whats, name=NAME, pads=(0,), size=None, fills=(0,), torn=None):
    """Cuts the power at every write of works; gives the numbers of all together, and prints them."""
    stride = 1 if EVERY else 3 if len(pads) == 1 else 7
    size = size or SIZES[file_system]
    lines = [CUT.format(file_system=file_system, what=what, name=name, pads=pad, size=size, fill=fill, torn=torn, stride=stride) for what in whats for pad in pads for fill in fills]
    total = [0] * 14
    done = play(folder, *lines)
    assert len(done) == len(lines)
    for numbers in done:
        total = [max(one, other) if index % 7 == 4 else one + other for index, (one, other) in enumerate(zip(total, numbers))]
    print(f"{title}, cut once: {NUMBERS.format(*total[:7])}")
    print(f"{title}, cut again: {NUMBERS.format(*total[7:])}")
    return total


@discs
@uploads
def test_the_power_is_cut_at_every_write(tmp_path, file_system, what):
    numbers = cut(tmp_path, f"{file_system}, {what}", file_system, [what])
    assert numbers[0] > 10 and (what == "append" or numbers[7] > 10)
    assert numbers[1:3] == [0, 0] and numbers[5:7] == [0, 0]
    if file_system == "VfsLfs2":
        assert numbers[8:10] == [0, 0] and numbers[12:] == [0, 0]


@discs
def test_the_power_is_cut_at_every_write_when_names_change(tmp_path, file_system):
    numbers = cut(tmp_path, f"{file_system}, names that change", file_system, CHANGES)
    assert numbers[0] > 5 * len(CHANGES)
    assert numbers[5:7] == [0, 0]
    if file_system == "VfsLfs2":
        assert numbers[1:3] == [0, 0] and numbers[8:10] == [0, 0] and numbers[12:] == [0, 0]


@pytest.mark.clients
@pytest.mark.discs
@pytest.mark.parametrize("share, rest", [(0.5, None), *([(0.1, None), (0.9, None), (0.5, 0x55)] if EVERY else [])])
def test_the_power_is_cut_in_the_middle_of_every_write_of_littlefs(tmp_path, share, rest):
    numbers = cut(tmp_path, f"VfsLfs2, {share} of a write, then {rest}", "VfsLfs2", UPLOADS + CHANGES, torn=(share, rest))
    assert numbers[0] > 5 * len(CHANGES)
    assert numbers[1:4] == [0, 0, 0] and numbers[5:7] == [0, 0] and numbers[8:10] == [0, 0] and numbers[12:] == [0, 0]


@pytest.mark.clients
@pytest.mark.discs
@uploads
@names
def test_the_power_is_cut_wherever_the_entries_lie_on_fat(tmp_path, what, name):
    # docs/reliability.md has these numbers.
    total = cut(tmp_path, f"FAT, {what}, {name[:20]}", "VfsFat", [what], name, PADS)
    assert total[0] > 10 * len(PADS)
    # One cut loses no file, old or new, and leaves nothing that no client can remove.
    assert total[5:7] == [0, 0]


@pytest.mark.clients
@pytest.mark.discs
@names
def test_the_power_is_cut_wherever_the_entries_lie_on_fat_when_names_change(tmp_path, name):
    # The longest name is one of two, so that a path of both is not too long.
    changes = [what for what in CHANGES if name != LONGEST or "case of" not in what]
    total = cut(tmp_path, f"FAT, names that change, {name[:20]}", "VfsFat", changes, name, PADS)
    assert total[0] > 5 * len(changes) * len(PADS)
    assert total[5:7] == [0, 0]


# RNTO within one folder. FAT may write the new entry and remove the old one by the same write.
RENAMES = [what for what in CHANGES if what.startswith("rename")]
# How much of a sector is written, and what the rest is then: as before, or erased. An entry takes a sixteenth.
AT_ENTRIES = [(0.25, None), (0.5, None), (0.75, None)]
WITHIN_ENTRIES = [(0.3, None)]
ERASED = [(0.5, 0xFF)]
# docs/reliability.md says what these do to FAT. So many of a hundred points may be wrong; the server and the file system must live on in each case.
WRONG = {"uploads and others": 0, "renames": 5, "within an entry": 5, "erased": 40}


@pytest.mark.clients
@pytest.mark.discs
@pytest.mark.parametrize(
    "what, works, tears",
    [
        ("uploads and others", [what for what in UPLOADS + CHANGES if what not in RENAMES], AT_ENTRIES),
        ("renames", RENAMES, AT_ENTRIES),
        ("within an entry", UPLOADS + CHANGES, WITHIN_ENTRIES),
        ("erased", UPLOADS + CHANGES, ERASED),
    ],
    ids=WRONG.keys(),
)
def test_a_sector_is_half_written_on_fat(tmp_path, what, works, tears):
    # With 7 a folder comes to be in itself.
    pads = range(17) if EVERY else (7,)
    for torn in tears:
        numbers = cut(tmp_path, f"FAT, {what}, {torn}", "VfsFat", works, pads=pads, torn=torn)
        assert numbers[0] > 5 * len(works) * len(pads)
        assert numbers[5] <= numbers[0] * WRONG[what] / 100
        if not WRONG[what]:
            assert numbers[6] == 0


@pytest.mark.clients
@pytest.mark.discs
@uploads
def test_the_power_is_cut_wherever_the_clusters_lie_on_fat(tmp_path, what):
    # FAT12 has an entry of a cluster and a half byte in each of two sectors of its table, here that of cluster 341.
    fills = (*range(310, 340, 3), 335, 336) if EVERY else (325, 331, 335)
    total = cut(tmp_path, f"FAT, {what}, over the border of its table", "VfsFat", [what], "short.txt", size=256 * 1024, fills=fills)
    assert total[0] > 10 * len(fills)
    assert total[5:7] == [0, 0]
