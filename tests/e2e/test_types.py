"""The type stub that editors read: it says what the source says, and the examples and the documents' programs fit it."""

import ast
import re
import subprocess
import sys

import pytest
from server import REPOSITORY
from test_configuration import SERVER, arguments, class_named, methods
from test_documents import ALL

pytestmark = pytest.mark.clients
TYPINGS = REPOSITORY / "typings"
STUB = ast.parse((TYPINGS / "ftpdlite/__init__.pyi").read_text())
TYPES = class_named(STUB, "FTPdLite")

# What programs for boards import, and computers do not have, is left unknown. The programs themselves have no annotations.
MYPY = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports"]
UNTYPED = ["--allow-untyped-defs", "--allow-untyped-calls", "--disable-error-code", "var-annotated"]


@pytest.fixture(scope="module")
def mypy(tmp_path_factory):
    """Checks programs; gives what it says of them. What it has read of Python's own library is kept for the next time."""
    folder = tmp_path_factory.mktemp("mypy")

    def check(*words):
        command = [*MYPY, *UNTYPED, "--cache-dir", folder, *words]
        environment = {"MYPYPATH": str(TYPINGS), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        return done.returncode, done.stdout.decode()

    return check


def test_it_has_the_public_methods_with_their_arguments_and_defaults():
    real, told = methods(SERVER), methods(TYPES)
    # The property and its setter have one name.
    assert sorted(real) == sorted(told)
    for name in real:
        assert type(real[name]) is type(told[name]), name
        assert arguments(real[name]) == arguments(told[name]), name


def test_it_has_the_public_attributes():
    constructor = ast.unparse(methods(SERVER)["__init__"])
    real = set(re.findall(r"self\.([a-z]\w*) =", constructor))
    told = {node.target.id for node in TYPES.body if isinstance(node, ast.AnnAssign)}
    assert told == real


def test_it_has_the_kinds_of_events():
    kinds = set()
    for source in (REPOSITORY / "py/ftpdlite").glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_tell":
                kinds |= {part.value for part in ast.walk(node.args[1]) if isinstance(part, ast.Constant) and isinstance(part.value, str)}
    text = ast.unparse(STUB)
    told = set(re.findall(r"'(\w+)'", re.search(r"_Kind = Literal\[(.*?)\]", text, re.DOTALL)[1]))
    assert told == kinds


def test_the_examples_and_the_programs_of_the_documents_fit_it(tmp_path, mypy):
    programs = sorted((REPOSITORY / "examples").glob("*.py"))
    for number, (place, kind, text) in enumerate(ALL):
        if kind == "python" and "ftpdlite" in text and "wlan.ifconfig()" not in text:
            # Each is a module of its own.
            program = tmp_path / f"program{number}.py"
            program.write_text(f"# {place}\n{text.replace('sleep_ms(', 'sleep(0.001 * ')}")
            programs.append(program)
    assert len(programs) > 20
    code, output = mypy(TYPINGS / "ftpdlite/__init__.pyi", *programs)
    assert code == 0, output


def test_wrong_programs_would_be_noticed(tmp_path, mypy):
    wrong = ["FTPdLite(prot=21)", "FTPdLite(port='21')", "FTPdLite(tls='on')", "FTPdLite().credentials = 5", "FTPdLite().stop().x"]
    program = tmp_path / "program.py"
    program.write_text("\n".join(["from ftpdlite import FTPdLite", *wrong]))
    code, output = mypy(program)
    lines = {int(number) for number in re.findall(r"program\.py:(\d+): error", output)}
    assert code == 1 and lines == set(range(2, 2 + len(wrong))), output


def test_boards_do_not_get_it():
    for file in ("package.json", "mip/package.json"):
        assert ".pyi" not in (REPOSITORY / file).read_text()
