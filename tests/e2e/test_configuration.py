"""docs/configuration.md and the docstring agree with the source about the arguments."""

import ast
import re
import subprocess
import sys

import pytest
from server import REPOSITORY, run_micropython

pytestmark = pytest.mark.clients
DOCUMENT = (REPOSITORY / "docs/configuration.md").read_text()
SOURCE = ast.parse((REPOSITORY / "py/ftpdlite/__init__.py").read_text())
SETTINGS = ast.parse((REPOSITORY / "py/ftpdlite/settings.py").read_text())


def class_named(tree, name):
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)


def methods(node):
    """The public methods of a class, and its constructor: {name: the function}."""
    return {
        item.name: item
        for item in node.body
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)) and (item.name == "__init__" or item.name[0] != "_")
    }


def arguments(function):
    """[(name, default as source)] without self."""
    names = [argument.arg for argument in function.args.args]
    defaults = [ast.unparse(default) for default in function.args.defaults]
    return list(zip(names, [None] * (len(names) - len(defaults)) + defaults))[1:]


SERVER = class_named(SOURCE, "FTPdLite")
REAL = arguments(methods(SERVER)["__init__"])

# name: (type, default, what it does, example)
ROWS = {row[0]: row[1:] for row in re.findall(r"^\| `(\w+)` \| (.*?) \| `(.*?)` \| (.*?) \| `(.*?)` \|$", DOCUMENT, re.MULTILINE)}


def bounds():
    """{name: (low, high)} of the settings that are integers."""
    found = {}
    for node in ast.walk(SETTINGS):
        if isinstance(node, ast.Tuple) and len(node.elts) == 3 and isinstance(node.elts[0], ast.Constant):
            name, low, high = (eval(ast.unparse(element)) for element in node.elts)
            if isinstance(low, int):
                found[name] = low, high
    assert len(found) > 10
    return found


def test_it_has_each_argument_with_its_default():
    told = {name: ast.unparse(ast.parse(row[1], mode="eval")) for name, row in ROWS.items()}
    assert told == dict(REAL)


def test_it_has_the_bounds():
    for name, (low, high) in bounds().items():
        assert f"int, {low} to {high}" in ROWS[name][0], name


def test_the_docstring_has_each_argument():
    text = ast.get_docstring(SERVER)
    described = [name for line in re.findall(r"^([\w, ]+): ", text, re.MULTILINE) for name in line.split(", ")]
    assert sorted(described) == sorted(name for name, _ in REAL)


def test_the_docstring_has_the_kind_the_bounds_and_the_default_of_each_argument():
    text = ast.get_docstring(SERVER)
    rooms = dict(re.findall(r"^(\w+): (.*?)(?=^\w+: |^$)", text + "\n\n", re.MULTILINE | re.DOTALL))
    for name, default in REAL:
        told = rooms[name].replace("\n", " ")
        assert re.match(r"(int|str|bool|range|a function)\b", told), told
        shown = default.replace("'", '"')
        assert re.search(rf"[Dd]efault {re.escape(shown)}(?!\w)", told), (name, default, told)
    for name, (low, high) in bounds().items():
        assert f"int, {low} to {high}" in rooms[name], name


def test_the_examples_are_taken_and_what_is_beyond_them_is_not(tmp_path):
    """Each example makes a server. One less than the least and one more than the most raise an error that names the setting."""
    values = {"log": "print", "on_event": "print", "root": "'.'", "anonymous": "'.'", "certificate": "b''", "key": "b''"}
    examples = [f"{name}={values[name]}" if name in values else row[3] for name, row in ROWS.items() if name != "tls"]
    wrong = [f"{name}={value}" for name, (low, high) in bounds().items() for value in (low - 1, high + 1)]
    wrong += [f"{name}=0.5" for name, row in ROWS.items() if name not in ("certificate", "key", "debug", "listing_times")]
    wrong += ["listing_times=-1", "listing_times=3601", "listing_times='no'"]
    program = "from ftpdlite import FTPdLite\n"
    program += "".join(f"FTPdLite({example})\n" for example in examples)
    for case in wrong:
        program += f"try:\n    FTPdLite({case})\n    print({case!r})\nexcept (TypeError, ValueError) as error:\n"
        program += f"    assert {case.partition('=')[0]!r} in str(error), error\n"
    assert run_micropython(tmp_path, program, heap="1m") == (0, "")
