"""Makes the image of a ROMFS in which FTPdLite's code runs in place: romfs.py FOLDER IMAGE

FOLDER is what the ROMFS shall hold: for instance lib/ftpdlite, which is mip/armv6m_rom_6.3/ftpdlite, and main.py. `mpremote romfs deploy IMAGE` puts it on
the board. `mpremote romfs build` makes such an image, too, but it does not align files, and code at an address that 4 does not divide cannot run.

It needs mpremote (pip install mpremote).
"""

import itertools
import pathlib
import sys

from mpremote.romfs import VfsRomWriter

# To what the position of such a file in the image must be a multiple of.
ALIGNMENT = 4


def is_code(path):
    """Whether it is a file whose code runs in place."""
    return path.name.startswith("native_") and path.name.endswith("_rom.mpy")


def build(folder, padding, tail=None):
    """The image; before each file whose code runs in place, and at the end, are so many bytes of padding, or none at all."""
    writer = VfsRomWriter()

    def pad(size):
        if size is not None:
            writer._extend(writer._pack(writer.ROMFS_RECORD_KIND_PADDING, bytes(size)))

    def add(folder):
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                writer.opendir(path.name)
                add(path)
                writer.closedir()
                continue
            pad(padding.get(path))
            writer.mkfile(path.name, path.read_bytes())

    add(folder)
    pad(tail)
    return bytes(writer.finalise())


def image(folder, fits=lambda position, path: position % ALIGNMENT == 0):
    """The image of a folder. fits: whether a file whose code runs in place may lie there."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and is_code(path)]
    # What is put before one file moves those behind it, and may make the length of a folder a byte longer. The head of an image of odd length is a byte longer, too: so
    # there may be padding at the end.
    for tail, *choice in itertools.product([None, 0, 1], *[[None, *range(ALIGNMENT + 2)]] * len(files)):
        made, found = build(folder, dict(zip(files, choice)), tail), 0
        for path in files:
            found = made.find(path.read_bytes(), found + 1)
            if not fits(found, path):
                break
        else:
            return made
    raise RuntimeError("no padding aligns the files")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    folder, path = map(pathlib.Path, sys.argv[1:])
    if not folder.is_dir():
        sys.exit(f"romfs.py: {folder} is no folder")
    path.write_bytes(image(folder))
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
