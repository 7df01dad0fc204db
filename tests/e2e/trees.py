"""Folders full of files for clients that copy trees, and functions to compare them."""

import hashlib


def content(name, size):
    """Bytes that repeat nowhere and differ from name to name."""
    return hashlib.shake_128(name.encode()).digest(size)


def fill(folder, files):
    """Makes files and their folders: {path: content}, where a path that ends in / is an empty folder."""
    for path, data in files.items():
        if path.endswith("/"):
            (folder / path).mkdir(parents=True, exist_ok=True)
        else:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)


def make_tree(folder):
    """A tree with blanks and umlauts in its names, an empty directory, an empty file; {path: content}."""
    files = {
        "readme.txt": b"read me\n",
        "two words/a file.txt": b"blanks\n",
        "Grüße/Äpfel & Birnen.txt": "Süß\n".encode(),
        "Grüße/deep/er/empty": b"",
        "big.bin": content("tree", 3_000_000),
        **{f"many/file{index}.txt": b"%d\n" % index for index in range(60)},
    }
    fill(folder, files)
    (folder / "an empty one").mkdir()
    return files


# Around the sizes of buffers.
SIZES = (0, 1, 511, 512, 513, 4095, 4096, 4097, 65_537, 300_001)


def make_hard_tree(folder, leading_blanks=True):
    """A tree of binary files whose names have a meaning for somebody on the way: to a shell, an URL, a wildcard, a reply; {path: content}.

    leading_blanks: whether there is a name that begins with blanks, which wget takes for a part of the columns of LIST.
    """
    names = (
        *(f"sizes/{size}.bin" for size in SIZES),
        "quotes/it's \"so\" 'called'.bin",
        "brackets [1]/list [a-c].bin",
        "brackets [1]/what?.bin",
        "brackets [1]/all*.bin",
        "percent %20/hash #1.bin",
        "percent %20/and & more; or (less).bin",
        "日本語/Ωμέγα/🙂.bin",
        "three   blanks in a row/a   b.bin",
        *(["leading/  two blanks.bin"] if leading_blanks else []),
        "-dash/-la.bin",
        "equal=;semicolon;/Type=file;.bin",
        "1/2/3/4/5/6/7/8/deep.bin",
    )
    sizes = dict.fromkeys(names, 1000) | {f"sizes/{size}.bin": size for size in SIZES}
    files = {name: content(name, size) for name, size in sizes.items()}
    fill(folder, files | {"nothing in it/": None, "nothing/in/here/": None})
    return files


def read_tree(folder):
    """{path: content} of the files, and the set of directories."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    directories = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir()}
    return files, directories
