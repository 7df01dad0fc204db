"""The documents are tried: their Python programs run on a pretended board, and the programs that they name understand their command lines.

The word behind the three backquotes of a block tells what is done with it:

python   a program. `# boot.py` in its first line: it prepares the board, and the next programs of the document run after it. Every other one runs as
         main.py. If it starts a server, a client logs in and moves a file.
sh       runs here, in a folder of its own. 192.0.2.7 stands for a server of ours.
console  is for a computer with a board at it. Its commands and their options must exist.
text     is no program.
rust     is compared with the sources (tests/commands.rs).
"""

import ast
import functools
import re
import shlex
import subprocess

import pytest
from pretend import Board, certificate_files
from server import REPOSITORY, Server

pytestmark = pytest.mark.clients
DOCUMENTS = sorted(
    path.relative_to(REPOSITORY)
    for pattern in ("*.md", "docs/*.md", ".github/**/*.md")
    for path in REPOSITORY.glob(pattern)
)
KINDS = ("python", "sh", "console", "text", "rust")


def blocks(document):
    """(line, kind, text) of each block of a document."""
    found = []
    inside = None
    for number, line in enumerate((REPOSITORY / document).read_text().splitlines(), 1):
        if not line.lstrip().startswith("```"):
            if inside:
                inside[2] += line + "\n"
        elif inside:
            found.append(tuple(inside))
            inside = None
        else:
            inside = [number, line.strip().lstrip("`"), ""]
    assert inside is None, f"{document}: a block has no end"
    return found


ALL = [(f"{document}:{line}", kind, text) for document in DOCUMENTS for line, kind, text in blocks(document)]


def of_kind(kind):
    return [pytest.param(text, id=place) for place, found, text in ALL if found == kind]


def test_each_block_has_a_kind():
    assert [place for place, kind, _ in ALL if kind not in KINDS] == []


# -- Python


def programs():
    """Each main.py with the boot.py that belongs to it."""
    found = []
    document = boot = None
    for place, kind, text in ALL:
        if place.partition(":")[0] != document:
            document = place.partition(":")[0]
            boot = ""
        if kind == "python" and text.startswith("# boot.py"):
            boot = text
            found.append(pytest.param("", text, id=place))
        elif kind == "python":
            found.append(pytest.param(boot, text, id=place))
    return found


@pytest.mark.parametrize("boot, main", programs())
def test_a_program_runs(tmp_path, boot, main):
    files = {"boot.py": boot, "main.py": main, "sub/file.txt": "content", **certificate_files()}
    with Board(tmp_path / "board", files) as board:
        if re.search(r"\.run\(|\.start\(\)", main):
            board.wait_for("Listening on 127.0.0.1")
            if board.account() == "anonymous:":
                assert board.curl("")
            else:
                board.upload("new.txt", b"moved by FTP")
        else:
            board.wait_until_it_ends()
        assert "Traceback" not in board.output(), board.output()


# -- command lines


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server for the command lines, with the account username:password."""
    folder = tmp_path_factory.mktemp("served")
    program = (
        "from ftpdlite import FTPdLite\n"
        "s = FTPdLite(host={host!r}, port={port}, root={root!r}, pasv_port_range=range({first}, {last} + 1))\n"
        's.credentials = "username:password"\n'
        "s.run()\n"
    )
    with Server(folder, program=program) as server:
        (server.root / "main.py").write_text("print('main')\n")
        yield server


@pytest.mark.parametrize("script", of_kind("sh"))
def test_a_script_runs(tmp_path, served, script):
    (tmp_path / "main.py").write_text("print('mine')\n")
    script = script.replace("//192.0.2.7", f"//127.0.0.1:{served.port}")
    done = subprocess.run(["bash", "-eu", "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    assert done.returncode == 0, done.stdout.decode()


# What a document may tell its reader to type, beside cargo, curl and mpremote (test_install.py has those).
KNOWN = {"git", "pip", "python3", "mpremote", "apt-get", "micropython", ".xtask/bin/micropython", "cd", "cp", "mkdir", ".xtask/venv/bin/python"}
XTASK = (REPOSITORY / "xtask/src/main.rs").read_text()


@functools.cache
def xtask_help(name):
    """What `cargo xtask help NAME` prints; None when there is no such command."""
    found = re.search(rf'name: "{re.escape(name)}",\s.*?help: (?:(\w+)::(\w+)|"(.*?[^\\])"),\s', XTASK, re.DOTALL)
    if found and found[1]:
        # The text stands beside its code.
        source = REPOSITORY / f"xtask/src/{found[1]}"
        source = (source / "mod.rs" if source.is_dir() else source.with_suffix(".rs")).read_text()
        return re.search(rf'const {found[2]}: &str = "(.*?[^\\])";\n', source, re.DOTALL)[1]
    return found and found[3]


@functools.cache
def curl_help():
    return subprocess.run(["curl", "--help", "all"], stdout=subprocess.PIPE, check=True).stdout.decode()


def check_cargo(words):
    if words[1] == "xtask":
        if len(words) > 2 and words[2] != "help":
            help_text = xtask_help(words[2])
            assert help_text, f"there is no {words[2]}"
            for word in words[3:]:
                assert not word.startswith("--") or word.partition("=")[0] in help_text, f"{word} is no option of {words[2]}"
    elif words[1] == "run":
        assert words[2] == "--example" and (REPOSITORY / "examples" / f"{words[3]}.rs").is_file(), words
    else:
        assert words[1] in ("test", "fmt", "doc", "build"), words


def check_command(line):
    """Whether a command of this kind can be given."""
    words = [word for word in shlex.split(line, comments=True)]
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    if not words:
        return
    if words[0] == "cargo":
        check_cargo(words)
    elif words[0] == "curl":
        for word in words[1:]:
            assert not word.startswith("--") or word in curl_help().split(), f"curl has no {word}"
    else:
        assert words[0] in KNOWN, words[0]
        if words[0] == "python3" and not words[1].startswith("-"):
            assert (REPOSITORY / words[1]).is_file(), words[1]


@pytest.mark.parametrize("script", of_kind("console"))
def test_a_command_line_can_be_given(script):
    subprocess.run(["bash", "-n", "-c", script], check=True, timeout=10)
    for line in script.replace("\\\n", " ").splitlines():
        check_command(line)


@pytest.mark.parametrize("line", ["cargo xtask nonsense", "cargo xtask serve --nonsense", "curl --nonsense ftp://x/", "nonsense"])
def test_a_wrong_command_line_would_be_noticed(line):
    with pytest.raises(AssertionError):
        check_command(line)


# -- links


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_its_links_lead_somewhere(document):
    text = re.sub(r"```.*?```", "", (REPOSITORY / document).read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (REPOSITORY / document).parent / path if path else REPOSITORY / document
        assert file.exists(), f"{target} is not there"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            anchors = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in anchors, f"{target}: no such heading in {anchors}"


# -- troubleshooting

TROUBLES = (REPOSITORY / "docs/troubleshooting.md").read_text()
# In backquotes, because these are the exact words of the server.
TOLD = re.findall(r"`([^`]+)`", TROUBLES)


def is_told(text):
    """Whether the page has this text, with anything in place of its %s and %d, and at its end if it goes on there."""
    pattern = re.sub("%[sd]", ".+?", re.escape(text))
    if text.endswith((" ", ": ")):
        pattern += ".+"
    return any(re.fullmatch(r"(\w+: )?" + pattern, told) for told in TOLD)


def failures():
    """The replies that tell of a failure, and in the shim, too."""
    sources = [*(REPOSITORY / "src/protocol").rglob("*.rs"), *(REPOSITORY / "py/ftpdlite").glob("*.py")]
    found = set()
    for source in sources:
        text = re.sub(r"#\[cfg\(test\)\]\nmod tests.*", "", source.read_text(), flags=re.DOTALL)
        found |= set(re.findall(r'(?:b|text!\()"([45]\d\d [^"\\]+)(?:\\r\\n)?"', text))
    assert len(found) > 60
    return sorted(found)


@pytest.mark.parametrize("reply", failures())
def test_troubleshooting_has_each_reply(reply):
    if reply == "451 Operation failed, error ":
        reply += "NUMBER."
    assert is_told(reply), reply


def test_troubleshooting_has_each_code():
    codes = set()
    for source in (REPOSITORY / "src/protocol").rglob("*.rs"):
        codes |= set(re.findall(r'(?:b|text!\()"([1-5]\d\d)[ -]', source.read_text()))
    assert len(codes) > 30
    assert [code for code in sorted(codes) if not re.search(rf"\b{code}\b", TROUBLES)] == []


def strings(node):
    """The texts of an expression of the shim: a str, one that is formatted, the sum of some."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return strings(node.left)
    return []


def told_by_the_shim():
    """What the log and the exceptions of the shim say."""
    found = set()
    for source in (REPOSITORY / "py").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id == "_say" or node.func.id.endswith("Error") or node.func.id == "print":
                found |= {text for argument in node.args for text in strings(argument) if len(text) > 8}
    assert len(found) > 25
    return sorted(found)


@pytest.mark.parametrize("text", told_by_the_shim())
def test_troubleshooting_has_each_line_of_the_log_and_each_error(text):
    assert is_told(text) or is_told(text + " %s"), text


def test_a_text_that_is_missing_would_be_noticed():
    assert not is_told("WARNING: Something else.") and not is_told("550 Nothing.")


# -- the pictures of the README


def test_the_pictures_show_a_session_as_it_is(monkeypatch):
    monkeypatch.syspath_prepend(REPOSITORY / "docs")
    import pictures

    steps = pictures.session()
    for name, drawing in (("session.svg", pictures.terminal(steps)), ("filezilla.svg", pictures.filezilla(steps))):
        shown = (REPOSITORY / "docs" / name).read_text()
        shown, drawing = (re.sub(r"[A-Z][a-z]{2} +\d+ \d\d:\d\d", "DATE", text) for text in (shown, drawing))
        assert shown == drawing, f"docs/{name}: run .xtask/venv/bin/python docs/pictures.py"
