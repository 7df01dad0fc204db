"""Draws session.svg and filezilla.svg, the pictures of the README, from a session with the real server on a pretended board.

    .xtask/venv/bin/python docs/pictures.py

A test compares what they show with a new session.
"""

import html
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests/e2e"))

from pretend import Board  # noqa: E402

BOOT = 'import network\nwlan = network.WLAN(network.STA_IF)\nwlan.connect("name", "password")\n'
MAIN = """\
from ftpdlite import FTPdLite

server = FTPdLite()
server.credentials = "username:password"
server.run(host=wlan.ifconfig()[0])
"""
ADDRESS = "192.0.2.7"
WIDTH = 660
LINE = 17
MONO = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12.5px"
SANS = "font-family:system-ui,Segoe UI,Helvetica,Arial,sans-serif;font-size:12px"


def session():
    """[(what is typed or "", what is printed)] of a session."""
    with tempfile.TemporaryDirectory() as folder:
        local = pathlib.Path(folder) / "photo.jpg"
        local.write_bytes(bytes(48 * 1024))
        with Board(f"{folder}/board", {"boot.py": BOOT, "main.py": MAIN}) as board:
            board.wait_for("Listening")
            said = board.output()
            before = board.curl("").decode()
            board.curl("photo.jpg", "--upload-file", local)
            after = board.curl("").decode()
        said = said.replace(f"127.0.0.1:{board.port}", f"{ADDRESS}:21")
    curl = "curl --user username:password"
    return [
        ("", "# The board starts main.py and prints:\n" + said + "# On your computer:"),
        (f"{curl} ftp://{ADDRESS}/", before),
        (f"{curl} --upload-file photo.jpg ftp://{ADDRESS}/", ""),
        (f"{curl} ftp://{ADDRESS}/", after),
    ]


def window(height, title, body):
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{html.escape(title)}">\n{body}</svg>\n'
    )


def text(x, y, content, color, style, anchor="start"):
    return f'<text x="{x}" y="{y}" fill="{color}" style="{style};white-space:pre" xml:space="preserve" text-anchor="{anchor}">{html.escape(content)}</text>\n'


def box(x, y, width, height, fill, stroke="none", radius=0):
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}" fill="{fill}" stroke="{stroke}"/>\n'


def terminal(steps):
    """A terminal with the session in it."""
    lines = []
    for typed, printed in steps:
        if typed:
            lines.append(("$ " + typed, "#9ece6a"))
        lines += [(line, "#7dcfff" if line[0] == "#" else "#c0caf5") for line in printed.rstrip().splitlines()]
    height = 44 + LINE * len(lines) + 8
    body = box(0, 0, WIDTH, height, "#1a1b26", radius=8)
    for index, color in enumerate(("#f7768e", "#e0af68", "#9ece6a")):
        body += f'<circle cx="{18 + 18 * index}" cy="16" r="5.5" fill="{color}"/>\n'
    for number, (line, color) in enumerate(lines):
        body += text(14, 48 + LINE * number, line, color, MONO)
    return window(height, "A session in a terminal: start, list, upload, list", body)


def filezilla(steps):
    """What FileZilla shows of the same board. Its window is drawn, and the list is that of the session."""
    files = []
    for line in sorted(steps[-1][1].splitlines(), key=lambda line: (line[0] != "d", line.split()[-1])):
        words = line.split(maxsplit=8)
        files.append((words[8], "" if line[0] == "d" else f"{int(words[4]):,}", " ".join(words[5:8])))
    log = [
        f"Status:      Connecting to {ADDRESS}:21...",
        "Status:      Logged in",
        "Status:      Retrieving directory listing...",
        'Status:      Directory listing of "/" successful',
    ]
    top, row = 164, 21
    height = top + 28 + row * (len(files) + 1) + 14
    body = box(0.5, 0.5, WIDTH - 1, height - 1, "#f6f6f6", "#9a9a9a", 6) + box(1, 1, WIDTH - 2, 27, "#dcdcdc", radius=6)
    body += text(WIDTH / 2, 19, f"username@{ADDRESS} - FileZilla", "#222", SANS, "middle")
    x = 14
    for name, value, width in (("Host:", ADDRESS, 90), ("Username:", "username", 84), ("Password:", "••••••••", 76), ("Port:", "21", 32)):
        body += text(x, 50, name, "#222", SANS)
        x += 7.7 * len(name)
        body += box(x, 37, width, 19, "#fff", "#aaa") + text(x + 6, 51, value, "#222", SANS)
        x += width + 11
    body += box(x, 36, 98, 21, "#e8eef8", "#8aa4cc", 3) + text(x + 49, 51, "Quickconnect", "#222", SANS, "middle")
    body += box(10, 66, WIDTH - 20, 78, "#fff", "#bbb")
    for number, line in enumerate(log):
        body += text(18, 83 + 17 * number, line, "#222", SANS)
    body += text(14, top - 4, "Remote site:  /", "#222", SANS) + box(10, top + 4, WIDTH - 20, height - top - 14, "#fff", "#bbb")
    for x, title in ((20, "Filename"), (360, "Filesize"), (470, "Last modified")):
        body += text(x, top + 21, title, "#555", SANS)
    for number, (name, size, time) in enumerate(files):
        y = top + 21 + row * (number + 1)
        body += box(20, y - 10, 13, 11, "#f0c36d" if not size else "#b8c8e0", "#888", 1)
        body += text(42, y, name, "#222", SANS) + text(420, y, size, "#222", SANS, "end") + text(470, y, time, "#222", SANS)
    return window(height, "FileZilla, connected to the board (a drawing)", body)


def main():
    steps = session()
    (HERE / "session.svg").write_text(terminal(steps))
    (HERE / "filezilla.svg").write_text(filezilla(steps))


if __name__ == "__main__":
    main()
