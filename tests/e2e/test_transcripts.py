"""Every golden transcript, played over a socket against the real server."""

import pytest
import transcript


@pytest.mark.parametrize("path", transcript.transcripts(), ids=lambda path: path.stem)
def test_transcript(path, start_server):
    server = start_server(**transcript.settings(path))
    transcript.build_fixture(server.root)
    transcript.Player(path, server.host, server.port, server.root).play()


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
