"""The release that `cargo xtask dist` makes: it is installed as on a board, and on a wrong board it says what to do."""

import contextlib
import functools
import hashlib
import http.server
import io
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import threading

import mpremote_board
import pytest
from server import DIST, PATIENCE, REPOSITORY, RUNTIME, environment

RELEASE = DIST.parent
TREE = DIST.name
ARCH = TREE.removesuffix("_6.3")
# The release in the repository.
MIP = REPOSITORY / "mip"
NO_MIP = "there is no mip/ in this checkout: cargo xtask release makes it"
VERSION = re.search(r'^version = "(.*)"', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)[1]


@pytest.fixture(scope="module", autouse=True)
def release():
    assert (RELEASE / "package.json").exists(), "there is no release: cargo xtask dist"


def micropython(folder, lib, program):
    """Runs a program with the modules in `lib`; gives its exit code and what it printed."""
    script = folder / "program.py"
    script.write_text(program)
    done = subprocess.run(
        [RUNTIME, script],
        env=environment(f"{lib}:.frozen"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        timeout=3 * PATIENCE,
    )
    return done.returncode, done.stdout.decode(errors="replace")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the release; with whole URLs in its package files, as `cargo xtask dist --base` makes them, where the server has `whole`."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = pathlib.Path(self.translate_path(self.path))
        if not (self.server.whole and path.name == "package.json" and path.exists()):
            return super().do_GET()
        base = f"http://127.0.0.1:{self.server.server_port}{self.path.removesuffix('package.json')}"
        package = json.loads(path.read_text())
        package["urls"] = [[to, base + source] for to, source in package["urls"]]
        content = json.dumps(package).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def address():
    """The release on an HTTP server."""
    handler = functools.partial(Handler, directory=str(RELEASE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.whole = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def read_package(folder):
    return json.loads((folder / "package.json").read_text())


def files_below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -- installed with mip


@pytest.mark.parametrize("package", ["/", f"/{TREE}/", f"/{TREE}/package.json"])
def test_mip_installs_it_and_it_serves(tmp_path, address, start_server, package):
    code, output = micropython(tmp_path, "", "import mip\nprint(mip.__version__)")
    if code:
        pytest.skip(f"this MicroPython has no mip: {output}")
    address.whole = tuple(map(int, output.split("."))) < (0, 4)
    # As on a board: the first folder named lib on sys.path is where packages go.
    lib = tmp_path / "flash" / "lib"
    lib.mkdir(parents=True)
    code, output = micropython(tmp_path, lib, f"import mip\nmip.install('http://127.0.0.1:{address.server_port}{package}')")
    assert code == 0 and output.endswith("Done\n"), output
    folder = RELEASE / package.lstrip("/").removesuffix("package.json")
    assert files_below(lib) == {to: (folder / source).read_bytes() for to, source in read_package(folder)["urls"]}
    server = start_server(modules=lib)
    with server.login() as control:
        control.store("STOR hello.txt", b"hello")
        assert control.retrieve("RETR hello.txt") == b"hello"
        control("QUIT")
    server.assert_nothing_leaked()
    # The first import has removed what is for other architectures, and what removed it.
    left = set(files_below(lib))
    natives = {name for name in left if "native_" in name}
    assert len(natives) == 1 and natives <= files_below(RELEASE / natives.pop().split("native_")[1].replace(".mpy", "_6.3")).keys()
    assert "ftpdlite/whole.mpy" not in left
    assert "removed the code for other" in server.output() or package != "/"


# -- what is in the release


def test_the_whole_package_has_the_code_for_every_architecture():
    package = read_package(RELEASE)
    assert package["version"] == VERSION
    trees = [path.name for path in RELEASE.iterdir() if path.is_dir()]
    native = {to for to, _ in package["urls"] if to.startswith("ftpdlite/native_")}
    # mip puts nothing into a ROMFS.
    assert native == {f"ftpdlite/native_{tree.removesuffix('_6.3')}.mpy" for tree in trees if not tree.endswith("_rom_6.3")}
    assert {"ftpdlite/__init__.mpy", "ftpdlite/choice.mpy"} <= {to for to, _ in package["urls"]}


def test_the_checkouts_package_file_names_the_files_in_mip():
    if not MIP.exists():
        pytest.skip(NO_MIP)
    ours, released = read_package(REPOSITORY), read_package(MIP)
    assert ours["version"] == released["version"]
    assert ours["urls"] == [[to, f"mip/{source}"] for to, source in released["urls"]]
    assert all((REPOSITORY / source).is_file() for _, source in ours["urls"])


def test_mip_has_a_folder_for_every_name_of_an_architecture_that_can_be_served():
    if not MIP.exists():
        pytest.skip(NO_MIP)
    trees = {path.name for path in MIP.iterdir() if path.is_dir()}
    natives = {to for to, _ in read_package(MIP)["urls"] if "native_" in to}
    own = {tree.removesuffix("_6.3") for tree in trees - {"armv7em_6.3", "armv7emdp_6.3"}}
    assert {f"ftpdlite/native_{name}.mpy" for name in own if not name.endswith("_rom")} == natives
    # For a ROMFS that is made on a computer.
    assert {name for name in own if name.endswith("_rom")} == {"armv6m_rom", "armv7m_rom"}
    # Firmwares for these load the code of another architecture.
    assert files_below(MIP / "armv7em_6.3") == files_below(MIP / "armv7m_6.3")
    assert files_below(MIP / "armv7emdp_6.3") == files_below(MIP / "armv7emsp_6.3")


@pytest.mark.parametrize("folder", [RELEASE, DIST], ids=["all", "one"])
def test_the_licences_are_beside_the_files(folder):
    assert (folder / "LICENSE").read_bytes() == (REPOSITORY / "LICENSE").read_bytes()
    notices = (folder / "NOTICES").read_text()
    lock = (REPOSITORY / "Cargo.lock").read_text()
    for crate in ("nom", "heapless", "memchr"):
        assert re.search(rf"^== {crate} [0-9.]+$", notices, re.MULTILINE), crate
    sections = re.split(r"^== (.+)$", notices, flags=re.MULTILINE)[1:]
    for name, text in zip(sections[::2], sections[1::2]):
        assert "Permission is hereby granted, free of charge" in text, name
        if name != "The Rust core library and compiler_builtins":
            crate, version = name.split(" ")
            assert f'name = "{crate}"\nversion = "{version}"' in lock, name


def test_a_single_package_has_one_architecture():
    package = read_package(DIST)
    assert package["version"] == VERSION
    assert [to for to, _ in package["urls"] if "native_" in to] == [f"ftpdlite/native_{ARCH}.mpy"]


def test_the_checksums_are_of_all_files():
    sums = dict(reversed(line.split("  ", 1)) for line in (RELEASE / "SHA256SUMS").read_text().splitlines())
    files = files_below(RELEASE)
    del files["SHA256SUMS"]
    assert sums == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


# -- the choice of the native module

# sys.implementation._mpy: the architecture's number, and the format's version.
FORMAT_6_3 = 6 | 3 << 8
SUPPORTED = "x64 armv6m armv7m armv7emsp rv32imc xtensawin"


def choose(tmp_path, call, lib=DIST):
    """What a call of the shim's module that chooses gives, or the text of its ImportError."""
    program = f"import ftpdlite\nfrom ftpdlite import choice\ntry:\n    print(choice.{call})\nexcept ImportError as error:\n    print(error)\n"
    code, output = micropython(tmp_path, lib, program)
    assert code == 0, output
    return output.strip()


@pytest.mark.parametrize(
    "number, expected",
    [
        (2, ["x64"]),
        (4, ["armv6m"]),
        (5, ["armv7m", "armv6m"]),
        (6, ["armv7m", "armv6m"]),
        (7, ["armv7emsp", "armv7m", "armv6m"]),
        (8, ["armv7emsp", "armv7m", "armv6m"]),
        (10, ["xtensawin"]),
        (11, ["rv32imc"]),
    ],
)
def test_a_firmware_gets_the_best_code_that_it_loads(tmp_path, number, expected):
    # Newer firmwares put flags above the architecture.
    for flags in (0, 1 << 14, 1 << 16):
        mpy = FORMAT_6_3 | number << 10 | flags
        assert choose(tmp_path, f"names({mpy}, {SUPPORTED!r})") == repr(expected)


def test_code_in_place_is_tried_behind_the_code_for_every_file_system(tmp_path):
    supported = f"{SUPPORTED} armv6m_rom armv7m_rom"
    expected = ["armv7emsp", "armv7m", "armv7m_rom", "armv6m", "armv6m_rom"]
    assert choose(tmp_path, f"names({FORMAT_6_3 | 8 << 10}, {supported!r})") == repr(expected)


def test_code_in_place_does_not_run_from_a_file_that_is_no_memory(tmp_path, lib):
    # On a board it would run at an address where there is no code.
    shutil.copy(lib / f"ftpdlite/native_{ARCH}.mpy", lib / f"ftpdlite/native_{ARCH}_rom.mpy")
    told = choose(tmp_path, f"load(__import__('sys').implementation._mpy, '{ARCH}_rom')", lib)
    assert told == (
        f"the code of native_{ARCH}_rom runs in a ROMFS alone, aligned as micropython/romfs.py does it: elsewhere install mip/{ARCH}_6.3"
    )


def test_code_in_place_that_is_not_installed_is_told(tmp_path):
    told = choose(tmp_path, f"load(__import__('sys').implementation._mpy, '{ARCH}_rom')")
    assert told == f"ftpdlite for {ARCH}_rom is not installed here: install the whole package, or mip/{ARCH}_rom_6.3"


@pytest.mark.parametrize("length", range(8))
@pytest.mark.parametrize("folders", [[""], ["lib"], ["lib", "other"], ["a" * 100, "a" * 100 + "/b", ""]], ids=len)
def test_an_image_of_a_romfs_is_aligned_where_code_runs_in_place(tmp_path, folders, length):
    files = {"a.py": b"#" * (length % 4), "main.py": b"import ftpdlite\n", "zebra.txt": bytes(range(200 + length // 4))}
    for number, folder in enumerate(folders):
        # They differ, so that each is found.
        files[f"{folder}/ftpdlite/native_armv6m_rom.mpy".lstrip("/")] = (b"code %d" % number) * 1000
        files[f"{folder}/ftpdlite/__init__.mpy".lstrip("/")] = b"shim" * (number + 30)
    source, image = tmp_path / "source", tmp_path / "image"
    for name, content in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    subprocess.run([sys.executable, REPOSITORY / "micropython/romfs.py", source, image], check=True)
    content = image.read_bytes()
    for name, data in files.items():
        assert "_rom" not in name or content.index(data) % 4 == 0, name
    # MicroPython finds every file in it.
    program = f"""
import os, vfs
vfs.mount(vfs.VfsRom(open({str(image)!r}, "rb").read()), "/image")
for name in {list(files)!r}:
    print(len(open("/image/" + name, "rb").read()))
"""
    code, output = micropython(tmp_path, DIST, program)
    if "VfsRom" in output:
        pytest.skip("this MicroPython has no ROMFS")
    assert code == 0 and [int(line) for line in output.split()] == [len(data) for data in files.values()], output


@pytest.mark.parametrize("number, name", [(1, "x86"), (3, "armv6"), (9, "xtensa"), (12, "rv64imc"), (13, "architecture 13")])
def test_another_architecture_is_named_with_the_supported_ones(tmp_path, number, name):
    told = choose(tmp_path, f"names({FORMAT_6_3 | number << 10}, {SUPPORTED!r})")
    assert told == f"ftpdlite has no code for {name}, only for {SUPPORTED}"


@pytest.mark.parametrize(
    "mpy, told",
    [
        (6 | 2 << 8 | 7 << 10, "loads 6.2: update MicroPython to 1.23 or later"),
        (5 | 7 << 10, "loads 5.0: update MicroPython to 1.23 or later"),
        (7 | 7 << 10, "loads 7.0: install a newer ftpdlite"),
        (FORMAT_6_3, "cannot load"),
        (0, "cannot load"),
    ],
)
def test_another_format_is_told_and_what_to_do(tmp_path, mpy, told):
    assert told in choose(tmp_path, f"names({mpy}, {SUPPORTED!r})")


def test_the_release_supports_what_was_built(tmp_path):
    trees = sorted(path.name.removesuffix("_6.3") for path in RELEASE.iterdir() if path.is_dir())
    assert sorted(choose(tmp_path, "_SUPPORTED").split()) == trees


# -- what is installed


@pytest.fixture
def lib(tmp_path):
    """The package of this architecture, to be changed."""
    shutil.copytree(DIST, tmp_path / "lib")
    return tmp_path / "lib"


def import_error(tmp_path, lib):
    code, output = micropython(tmp_path, lib, "import ftpdlite")
    assert code == 1, output
    return output.splitlines()[-1]


def test_without_its_native_module_it_says_which_package_to_install(tmp_path, lib):
    (lib / f"ftpdlite/native_{ARCH}.mpy").unlink()
    told = import_error(tmp_path, lib)
    assert re.fullmatch(r"ImportError: ftpdlite for \w+ is not installed here: install the whole package, or mip/\w+_6\.3", told)


def test_a_lower_thumb_architecture_serves_when_the_best_is_not_installed(tmp_path, lib):
    (lib / "ftpdlite/native_armv6m.py").write_text(f"version = {VERSION!r}\nSession = None\n")
    told = choose(tmp_path, f"load({FORMAT_6_3 | 7 << 10}, {SUPPORTED!r})", lib)
    # On 32-bit ARM the architecture's own module may be there.
    assert re.match(r"<module 'ftpdlite\.native_armv", told), told


@pytest.mark.parametrize("failure", ["ValueError('incompatible .mpy arch')", "ImportError('no module named other')", "MemoryError()"])
def test_other_failures_of_the_native_module_are_not_hidden(tmp_path, lib, failure):
    # A .py file is found before the .mpy beside it.
    (lib / f"ftpdlite/native_{ARCH}.py").write_text(f"raise {failure}\n")
    kind, text = failure.rstrip(")").split("(")
    assert import_error(tmp_path, lib) == f"{kind}: {text.strip(chr(39))}"


def test_a_native_module_for_other_code_is_not_hidden(tmp_path, lib):
    module = lib / f"ftpdlite/native_{ARCH}.mpy"
    content = bytearray(module.read_bytes())
    # The format's version and the architecture: one that no firmware has.
    content[2] = 13 << 2 | 3
    module.write_bytes(content)
    assert import_error(tmp_path, lib).startswith("ValueError: incompatible .mpy")


def test_files_of_two_releases_are_told(tmp_path, lib):
    (lib / f"ftpdlite/native_{ARCH}.py").write_text("version = '0.0.1'\nSession = None\n")
    told = import_error(tmp_path, lib)
    assert told == f"ImportError: native_{ARCH} is of ftpdlite 0.0.1, the other files of {VERSION}: install one release"


@pytest.mark.parametrize("folder", [RELEASE, DIST], ids=["all", "one"])
def test_wherever_an_update_breaks_off_the_files_are_of_one_release_or_the_import_says_so(tmp_path, folder):
    """An older release is on the board, and mip has brought the first files of this one, in its order."""
    other = "9" + VERSION[1:]
    assert other != VERSION
    urls = read_package(folder)["urls"]
    lib = tmp_path / "lib"
    (lib / "ftpdlite").mkdir(parents=True)
    for to, source in urls:
        if not to.endswith("/whole.mpy"):
            (lib / to).write_bytes((folder / source).read_bytes().replace(VERSION.encode(), other.encode()))
    told = set()
    common = {to for to, _ in urls if "native_" not in to and "whole" not in to}
    for count in range(len(urls) + 1):
        if count:
            to, source = urls[count - 1]
            (lib / to).write_bytes((folder / source).read_bytes())
        new = {to for to, _ in urls[:count]} & common
        code, output = micropython(tmp_path, lib, "import ftpdlite\nprint(ftpdlite.__version__)")
        if code == 0:
            assert output.splitlines()[-1] == (VERSION if new else other) and new in (set(), common), (count, output)
        else:
            assert re.search(r"native_\w+ is of ftpdlite [\d.]+, the other files of [\d.]+: install one release$", output.strip()), output
        told.add(code)
    assert told == {0, 1}


# -- the first import after the whole package was installed


@pytest.fixture
def whole(lib):
    """The package for all architectures, as mip leaves it."""
    for to, source in read_package(RELEASE)["urls"]:
        shutil.copy(RELEASE / source, lib / to)
    return lib / "ftpdlite"


def natives(folder):
    return sorted(path.name for path in folder.glob("native_*"))


def test_the_first_import_removes_the_code_for_other_architectures(tmp_path, lib, whole):
    (whole / "mine.py").write_text("")
    others = {path.name for path in whole.iterdir()} - set(natives(whole)) - {"whole.mpy"}
    code, output = micropython(tmp_path, lib, "import ftpdlite, sys\nprint([name for name in sys.modules if 'whole' in name])")
    assert code == 0, output
    [kept] = natives(whole)
    name = kept.removeprefix("native_").removesuffix(".mpy")
    assert output == f"ftpdlite: removed the code for other architectures than {name}\n[]\n"
    assert {path.name for path in whole.iterdir()} == others | {kept}
    # The next import finds nothing to do.
    assert micropython(tmp_path, lib, "import ftpdlite") == (0, "")


def test_nothing_is_removed_unless_all_architectures_were_installed(tmp_path, lib):
    (lib / "ftpdlite/native_other.mpy").write_bytes(b"")
    assert micropython(tmp_path, lib, "import ftpdlite") == (0, "")
    assert natives(lib / "ftpdlite") == sorted([f"native_{ARCH}.mpy", "native_other.mpy"])


def test_nothing_is_removed_when_the_import_fails(tmp_path, lib, whole):
    for path in whole.glob("native_*"):
        path.with_suffix(".py").write_text("raise MemoryError\n")
    before = files_below(lib)
    assert import_error(tmp_path, lib) == "MemoryError: "
    assert files_below(lib) == before


def test_the_next_import_goes_on_where_a_power_cut_came_between(tmp_path, lib, whole):
    removed = next(name for name in natives(whole) if ARCH not in name and not name.startswith("native_armv"))
    (whole / removed).unlink()
    code, output = micropython(tmp_path, lib, "import ftpdlite")
    assert code == 0 and "removed" in output, output
    assert len(natives(whole)) == 1 and not (whole / "whole.mpy").exists()


def test_where_nothing_can_be_removed_the_import_goes_on(tmp_path, lib, whole):
    (lib / "os.py").write_text("from uos import *\n\ndef remove(path):\n    raise OSError(30)\n")
    before = files_below(lib)
    assert micropython(tmp_path, lib, "import ftpdlite\nprint(ftpdlite.__version__)") == (0, f"{VERSION}\n")
    assert files_below(lib) == before


# -- the documents


DOCUMENTS = {path.name: path.read_text() for path in (*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"))}


def command_lines():
    """The mpremote command lines of the documents, in blocks and within text."""
    found = set()
    for document in DOCUMENTS.values():
        found |= set(re.findall(r"^(mpremote .*?)(?:  +#.*)?$", document, re.MULTILINE))
        found |= set(re.findall(r"`(mpremote [^`]*)`", document))
    return sorted(found)


def parse_with_mpremote(line, monkeypatch):
    """The (command, arguments) that mpremote reads in a command line; nothing is done."""
    from mpremote import main

    done = []
    for name, (_, parser) in list(main._COMMANDS.items()):
        monkeypatch.setitem(main._COMMANDS, name, (lambda state, args, name=name: done.append((name, args)), parser))
    for name in ("ensure_connected", "run_repl_on_completion"):
        monkeypatch.setattr(main.State, name, lambda self: False)
    monkeypatch.setattr(sys, "argv", shlex.split(line))
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(errors):
            code = main.main()
    except SystemExit as stop:
        code = stop.code
    assert not code, f"{line}: {errors.getvalue()}"
    return done


def test_the_documents_tell_how_to_install():
    lines = command_lines()
    assert any(" mip install " in line for line in lines) and any(" cp " in line for line in lines), lines


@pytest.mark.parametrize("line", command_lines())
def test_mpremote_understands_the_documents(line, monkeypatch):
    done = parse_with_mpremote(line, monkeypatch)
    assert done, line
    for name, args in done:
        if name == "mip":
            assert args.command == ["install"] and len(args.packages) == 1
            # A path in the checkout is one of the release.
            package = args.packages[0]
            if package.startswith("github:"):
                assert re.fullmatch(r"github:OWNER/ftpdlite(/mip/(ARCH|\w+)_6\.3)?", package), package
            elif not re.match(r"https?:", package):
                assert (REPOSITORY / package.replace("ARCH", ARCH)).is_file(), package
        elif name == "fs":
            assert args.command[0] in ("cp", "mkdir", "ls", "rm"), line
            for path in args.path:
                if not path.startswith(":"):
                    path = path.replace("ARCH", ARCH)
                    assert path in ("boot.py", "main.py", "certificate.pem", "key.pem") or (REPOSITORY / path).exists(), path


def test_a_wrong_command_line_would_be_noticed(monkeypatch):
    with pytest.raises(AssertionError):
        parse_with_mpremote("mpremote mip install --targets /lib package.json", monkeypatch)


@pytest.mark.parametrize("package", ["package.json", "dist/package.json", f"mip/{TREE}/package.json", f"dist/{TREE}/package.json"])
def test_mpremote_installs_from_the_checkout(package, monkeypatch):
    """mpremote's own mip with a board that only remembers what is written."""
    if not (REPOSITORY / package).exists() or (package == "package.json" and not MIP.exists()):
        pytest.skip(NO_MIP)
    monkeypatch.chdir(REPOSITORY)
    files = mpremote_board.install(package)
    folder = (REPOSITORY / package).parent
    assert files == {f"/lib/{to}": (folder / source).read_bytes() for to, source in read_package(folder)["urls"]}
