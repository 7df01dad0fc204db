"""A file is replaced as a whole or not at all: with calls of the file system that fail, and with power that is cut at any write.

The server and its client run in one MicroPython program (board_rig.py). How many points were tried is printed: see it with `-s`.
"""

import pathlib
import shutil

import pytest
from server import DIST, ARCHITECTURE, free_ports, run_micropython

NAME = "a long name of a file.txt"
# 96 KiB of FAT, 32 blocks of LittleFS.
SIZES = {"VfsFat": 96 * 1024, "VfsLfs2": 32 * 4096}
WORKS = ["new", "over", "broken", "broken over", "append"]
discs = pytest.mark.parametrize("file_system", [pytest.param("VfsFat", marks=pytest.mark.discs), pytest.param("VfsLfs2", marks=pytest.mark.discs)], ids=["fat", "littlefs"])
works = pytest.mark.parametrize("what", WORKS)

PROGRAM = """\
import board_rig as rig

async def main(it):
%s

rig.run(main, %d)
"""


def play(folder, *lines, seconds=300):
    """Runs a program of the rig, whose lines are those; gives what it printed."""
    shutil.copy(pathlib.Path(__file__).with_name("board_rig.py"), folder)
    program = PROGRAM % ("\n".join("    " + line for line in lines), free_ports(42))
    code, output = run_micropython(folder, program, heap="8m", seconds=seconds)
    assert code == 0 and output.endswith("Done.\n"), output[-4000:]
    print(output)
    # What the server says of faults is none of it.
    return [eval(line.partition("]")[0] + "]") for line in output.splitlines() if line.startswith("[")]


@works
def test_every_call_of_the_file_system_fails(tmp_path, file_system, what):
    folder = tmp_path / "folder"
    folder.mkdir()
    size = SIZES.get(file_system, 0)
    [[points, calls]] = play(tmp_path, f"print(list(await rig.faults(it, {file_system!r}, {str(folder)!r}, {what!r}, {NAME!r}, {size})))")
    print(f"{file_system or 'a folder'}, {what}: {points} points, {calls} calls")
    assert calls > 4 and points > 6 * calls


@discs
@works
def test_every_write_of_the_disc_fails(tmp_path, file_system, what):
    [[points, calls]] = play(tmp_path, f"print(list(await rig.faults(it, {file_system!r}, None, {what!r}, {NAME!r}, {SIZES[file_system]}, blocks=True)))")
    print(f"{file_system}, {what}: {points} points, {calls} writes")
    assert points > 2 * calls > 10


CUT = """numbers = await rig.cuts(it, {file_system!r}, {what!r}, {name!r}, {pads}, {size})
    print(numbers.told() + numbers.again.told(), *(numbers.examples + numbers.again.examples))"""
NUMBERS = "{} points; {} times a name was only a short one; {} times a folder had grown, {} times over the file; {} clusters lost at most; {} times wrong; {} times an upload or a note was left"


def tell(what, numbers):
    print(f"{what}, cut once: {NUMBERS.format(*numbers[:7])}")
    print(f"{what}, cut again: {NUMBERS.format(*numbers[7:])}")


@discs
@works
def test_the_power_is_cut_at_every_write(tmp_path, file_system, what):
    [numbers] = play(tmp_path, CUT.format(file_system=file_system, what=what, name=NAME, pads=0, size=SIZES[file_system]))
    tell(f"{file_system}, {what}", numbers)
    assert numbers[0] > 10 and (what == "append" or numbers[7] > 10)
    assert numbers[1:3] == [0, 0] and numbers[5:7] == [0, 0]
    if file_system == "VfsLfs2":
        assert numbers[8:10] == [0, 0] and numbers[12:] == [0, 0]


@pytest.mark.clients
@pytest.mark.discs
@works
@pytest.mark.parametrize("name", ["short.txt", NAME, "a name so long that it takes more than sixteen entries " + 130 * "x"], ids=["short", "long", "longest"])
def test_the_power_is_cut_wherever_the_entries_lie_on_fat(tmp_path, what, name):
    # docs/reliability.md has these numbers.
    cuts = [CUT.format(file_system="VfsFat", what=what, name=name, pads=pads, size=SIZES["VfsFat"]) for pads in range(17)]
    total = [0] * 14
    for numbers in play(tmp_path, *cuts):
        total = [max(one, other) if index % 7 == 4 else one + other for index, (one, other) in enumerate(zip(total, numbers))]
    tell(f"FAT, {what}, {name[:20]}", total)
    assert total[0] > 17 * 10
    # One cut loses no file, old or new, and leaves nothing that no client can remove.
    assert total[5:7] == [0, 0]


@pytest.mark.clients
@pytest.mark.discs
@works
def test_the_power_is_cut_wherever_the_clusters_lie_on_fat(tmp_path, what):
    # FAT12 has an entry of a cluster and a half byte in each of two sectors of its table, here that of cluster 341.
    cuts = [CUT.format(file_system="VfsFat", what=what, name="short.txt", pads=0, size=f"256 * 1024, {fill}") for fill in (*range(310, 340, 3), 335, 336)]
    total = [0] * 14
    for numbers in play(tmp_path, *cuts):
        total = [max(one, other) if index % 7 == 4 else one + other for index, (one, other) in enumerate(zip(total, numbers))]
    tell(f"FAT, {what}, over the border of its table", total)
    assert total[0] > 12 * 10
    assert total[5:7] == [0, 0]
