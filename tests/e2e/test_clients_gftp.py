"""gftp's program for the command line. It looks into a folder before each transfer, and sets the mode of what it has uploaded."""

import os
import shutil
import subprocess

import pytest
from server import PATIENCE
from trees import content

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(not shutil.which("gftp-text"), reason="there is no gftp-text"),
]


def test_gftp_lists_and_moves_files_both_ways(server, here, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (here / "down.bin").write_bytes(content("down", 100_000))
    (here / "Grüße.txt").write_bytes(b"listed")
    (home / "up.bin").write_bytes(content("up", 100_000))
    lines = [f"open ftp://tester:secret@{server.host}:{server.port}/here", "ls", "get down.bin", "put up.bin", "mkdir new", "quit", ""]
    done = subprocess.run(
        ["gftp-text"],
        input="\n".join(lines).encode(),
        cwd=home,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "dumb"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=6 * PATIENCE,
    )
    said = done.stdout.decode(errors="replace")
    assert "Grüße.txt" in said, said
    assert (home / "down.bin").read_bytes() == content("down", 100_000), said
    assert (here / "up.bin").read_bytes() == content("up", 100_000), said
    assert (here / "new").is_dir(), said
    assert "SITE CHMOD" in said and "200 CHMOD" in said, said
