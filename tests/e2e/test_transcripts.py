"""Every golden transcript, played over a socket against the real server."""

import pytest
import transcript


@pytest.mark.parametrize("path", transcript.transcripts(), ids=lambda path: path.stem)
def test_transcript(path, start_server):
    server = start_server(**transcript.settings(path))
    transcript.build_fixture(server.root)
    transcript.Player(path, server.host, server.port, server.files).play()


# Boards cannot set the time of a file, and TLS is the same whatever is served.
ON_DISCS = [path for path in transcript.transcripts() if path.stem != "set-times" and "tls" not in path.stem]


@pytest.mark.discs
@pytest.mark.parametrize("kind", ["VfsFat", "VfsLfs2"], ids=["fat", "littlefs"])
@pytest.mark.parametrize("path", ON_DISCS, ids=lambda path: path.stem)
def test_transcript_on_a_disc(path, kind, start_server):
    if kind == "VfsFat" and path.stem in transcript.NOT_ON_FAT:
        pytest.skip("FAT has no such names")
    server = start_server(file_system=kind, **transcript.settings(path))
    absent = transcript.fill_disc(server.files)
    transcript.DiscPlayer(path, server.host, server.port, server.files, absent).play()


@pytest.mark.parametrize(
    "pattern, line, expected",
    [
        ("229 (|||<port>|)", "229 (|||49152|)", True),
        ("229 (|||<port>|)", "229 (||||)", False),
        ("227 (127,0,0,1,<p1,p2>).", "227 (127,0,0,1,192,7).", True),
        ("213 <stamp>", "213 20240102030405", True),
        ("213 <stamp>", "213 2024010203040", False),
        ("211 <any>", "211 x", True),
        ("211 <any>", "211 ", False),
        ("214 Syntax: RETR <SP> pathname", "214 Syntax: RETR <SP> pathname", True),
        ("<date> x", "Jan  1  2001 x", True),
        ("a.c", "abc", False),
    ],
)
def test_placeholders_match_what_they_say_and_no_more(pattern, line, expected):
    assert transcript.matches(pattern.encode(), line.encode()) is expected
