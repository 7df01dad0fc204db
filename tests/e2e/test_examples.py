"""The examples run on a pretended board: each one starts, and a client logs in and moves a file."""

import re

import pytest
from pretend import Board, certificate_files
from server import REPOSITORY, wait_until

pytestmark = pytest.mark.clients
EXAMPLES = sorted(path.stem for path in (REPOSITORY / "examples").glob("*.py"))


@pytest.fixture
def board(request, tmp_path):
    """The pretended board with an example as its main.py, when it listens."""
    name = getattr(request, "param", None) or request.node.name.removeprefix("test_")
    # A minute is too long for a test.
    program = (REPOSITORY / "examples" / f"{name}.py").read_text().replace("SECONDS = 60", "SECONDS = 0.1")
    files = {"main.py": program, **certificate_files()}
    with Board(tmp_path / "board", files) as board:
        board.wait_for("Listening on 127.0.0.1")
        yield board
        assert "Traceback" not in board.output(), board.output()


@pytest.mark.parametrize("board", EXAMPLES, indirect=True)
def test_each_serves(board):
    content = bytes(range(256)) * 100
    board.upload("new.bin", content)
    assert b" 25600 " in board.curl("")
    board.curl("", "--quote", "DELE new.bin")
    board.curl("new.bin", fails=True)
    # A warning may only be about what the firmware cannot do.
    warnings = [line for line in board.output().splitlines() if "WARNING" in line and "cannot end TLS" not in line]
    assert not warnings, board.output()


def test_esp32_hotspot(board):
    assert "network: ssid = Files" in board.output()


def test_sd_card(board):
    board.upload("on the card.txt".replace(" ", "%20"), b"content")
    # Clients see nothing of the flash, so they do not see main.py.
    assert board.curl("", "--list-only") == b"on the card.txt\n"


def test_ftps(board):
    # Without TLS nobody can log in.
    board.text = board.text.replace("tls=", "")
    board.curl("", fails=True)


def test_data_logger(board):
    (name,) = board.curl("logs/", "--list-only").decode().split()

    def lines():
        return board.curl(name, account="anonymous:me@example.com").decode().splitlines()

    # It goes on while clients come and go.
    wait_until(lambda: len(lines()) > 3, board.output)
    for line in lines():
        seconds, value = line.split(",")
        assert int(seconds) > 1_700_000_000 and value == "12345"
    board.curl("", "--quote", f"DELE {name}", account="anonymous:me@example.com", fails=True)
    assert board.curl(name, account="anonymous:me@example.com")


def test_led_progress(board):
    board.upload("file", bytes(5000))
    # The log has a line before the program is told.
    wait_until(lambda: re.search("(?s)(Session disconnected.*){2}pin LED: 0", board.output()), board.output)
    assert "STOR /file: 5000 bytes" in board.output() and "RETR /file: 5000 bytes" in board.output()
    pins = [line for line in board.output().splitlines() if line.startswith("pin LED")]
    assert pins[:4] == ["pin LED: 1", "pin LED: 0", "pin LED: 1", "pin LED: 0"] and pins[-1] == "pin LED: 0", pins
