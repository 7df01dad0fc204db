"""KIO's program for the command line. Dolphin, Konqueror and the other programs of KDE move files in the same way."""

import filecmp

import pytest
from clients import Kio
from trees import content

pytestmark = pytest.mark.clients

TREE = {
    "file name.bin": content("kio", 100_000),
    "Grüße Köln.txt": "Süß\n".encode(),
    "empty": b"",
    "sub ö/inner.txt": b"inner",
}


def test_kio_copies_a_folder_both_ways_moves_replaces_and_removes(board, tmp_path):
    kio = Kio(board, tmp_path)
    for name, data in TREE.items():
        path = tmp_path / "a folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    kio.kio("copy", f"file://{tmp_path}/a folder", f"{kio.url}/")
    assert board.files.tree() == {"/a folder/": None, "/a folder/sub ö/": None} | {f"/a folder/{name}": data for name, data in TREE.items()}
    listed = kio.kio("ls", f"{kio.url}/a folder/")
    assert set(listed.splitlines()) >= {"file name.bin", "Grüße Köln.txt", "empty", "sub ö"}, listed
    kio.kio("copy", f"{kio.url}/a folder", f"file://{tmp_path}/back")
    compared = filecmp.dircmp(tmp_path / "a folder", tmp_path / "back")
    assert filecmp.cmpfiles(compared.left, compared.right, TREE, shallow=False)[0] == list(TREE)
    kio.kio("move", f"{kio.url}/a folder/file name.bin", f"{kio.url}/a folder/ümbe nannt")
    (tmp_path / "new").write_bytes(b"new")
    kio.kio("--overwrite", "copy", f"file://{tmp_path}/new", f"{kio.url}/a folder/Grüße Köln.txt")
    assert board.files.read("/a folder/ümbe nannt") == TREE["file name.bin"]
    assert board.files.read("/a folder/Grüße Köln.txt") == b"new"
    kio.kio("remove", f"{kio.url}/a folder")
    assert board.files.tree() == {}
