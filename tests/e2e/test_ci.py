""".ci/run on machines that have little: it is played with a PATH on which there is nothing else than what a case puts there."""

import os
import shutil
import subprocess
import sys

import pytest
from server import REPOSITORY

pytestmark = pytest.mark.clients

# What every machine has.
TOOLS = ("bash", "cat", "cut", "dirname", "mkdir", "sort")
CARGO = 'if [ "$1" = --version ]; then echo "cargo {0}"; else echo "cargo {0}: $* CARGO_HOME=${{CARGO_HOME:-}}"; fi'


class Machine:
    """A checkout with nothing in it but .ci/run, and the programs of a machine. Programs that it pretends to have write down how they were called."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "checkout/.ci").mkdir(parents=True)
        shutil.copy(REPOSITORY / ".ci/run", folder / "checkout/.ci/run")
        self.home = folder / "home"
        self.home.mkdir()
        for tool in TOOLS:
            (folder / "bin").mkdir(exist_ok=True)
            (folder / "bin" / tool).symlink_to(shutil.which(tool))
        self.has("id", "echo 0")
        self.has("sleep", ":")
        self.has("cargo", CARGO.format("1.95.0"))
        self.has("cc", ":")

    def has(self, name, script, below="bin"):
        path = self.folder / below / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!{shutil.which("bash")}\n{script}\n')
        path.chmod(0o755)

    def lacks(self, name):
        (self.folder / "bin" / name).unlink()

    def run(self, **changes):
        """Its exit code, and the lines that it printed."""
        environment = {"PATH": str(self.folder / "bin"), "HOME": str(self.home), "DID": str(self.folder / "did")} | changes
        environment = {name: value for name, value in environment.items() if value is not None}
        command = ["bash", self.folder / "checkout/.ci/run"]
        done = subprocess.run(command, env=environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        return done.returncode, done.stdout.decode().splitlines()

    def did(self):
        path = self.folder / "did"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


TESTED = (0, ["cargo 1.95.0: xtask test CARGO_HOME="])
# apt-get that brings a compiler.
BRINGS = 'echo "$*" >>"$DID"; case $* in *install*) printf "#!/bin/sh\\n" >"${PATH%%:*}/cc"; chmod 755 "${PATH%%:*}/cc";; esac'


def brings(machine, before=""):
    machine.has("apt-get", before + BRINGS)
    machine.has("chmod", f'exec {shutil.which("chmod")} "$@"')


def test_with_all_that_it_needs_it_installs_nothing(machine):
    machine.has("apt-get", "exit 1")
    assert machine.run() == TESTED


def test_without_home_the_users_folder_is_taken(machine):
    code, printed = machine.run(HOME=None)
    assert code == 0 and printed[-1].startswith("cargo 1.95.0: xtask test"), printed


def test_a_home_that_cannot_be_written(machine):
    # Root may write everywhere, so a file is in the place of the folder.
    (machine.folder / "file").write_text("")
    code, printed = machine.run(HOME=str(machine.folder / "file"))
    assert (code, printed) == (0, [f"cargo 1.95.0: xtask test CARGO_HOME={machine.folder}/checkout/target/cargo"])


@pytest.mark.parametrize("variable", ["HOME", "CARGO_HOME"])
@pytest.mark.parametrize("other", [None, "1.63.0"], ids=["missing", "old"])
def test_where_cargo_is_missing_or_too_old_that_of_rustup_is_taken(machine, variable, other):
    machine.lacks("cargo")
    if other:
        machine.has("cargo", CARGO.format(other))
    folder = "home/.cargo" if variable == "HOME" else "rust"
    machine.has("cargo", CARGO.format("1.95.0"), f"{folder}/bin")
    code, printed = machine.run(**({} if variable == "HOME" else {"CARGO_HOME": str(machine.folder / "rust")}))
    assert code == 0 and printed[0].startswith("cargo 1.95.0: xtask test"), printed


def test_a_cargo_that_is_new_enough_stays(machine):
    machine.has("cargo", CARGO.format("1.94.0"), "home/.cargo/bin")
    assert machine.run() == TESTED


@pytest.mark.parametrize("compiler", [None, "exit 1"], ids=["missing", "without a C library"])
def test_without_a_compiler_it_is_installed_or_named(machine, compiler):
    machine.lacks("cc")
    if compiler:
        machine.has("cc", compiler)
    machine.has("id", "echo 1000")
    brings(machine)
    assert machine.run() == (1, ["A C compiler is missing; as root: apt-get install gcc libc6-dev"])
    assert machine.did() == []
    machine.has("id", "echo 0")
    assert machine.run() == TESTED
    assert machine.did() == ["-q -y update", "-q -y install --no-install-recommends gcc libc6-dev"]


def test_it_goes_on_with_old_package_lists(machine):
    machine.lacks("cc")
    brings(machine, 'if [ "$3" = update ]; then echo "E: no such host"; exit 100; fi; ')
    assert machine.run() == (0, ["E: no such host", "Goes on with the package lists that there are.", *TESTED[1]])


def test_it_waits_while_another_program_installs(machine):
    machine.lacks("cc")
    said = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 94 (apt-get)"
    brings(machine, f'echo try >>"$DID"; mapfile -t tries <"$DID"; if [ ${{#tries[@]}} -lt 4 ]; then echo "{said}"; exit 100; fi; ')
    assert machine.run() == (0, ["Waits until another program has done with apt.", *TESTED[1]])
    assert machine.did()[:5] == ["try", "try", "try", "try", "-q -y update"]


def test_what_cannot_be_installed_is_told(machine):
    machine.lacks("cc")
    machine.has("apt-get", 'echo "E: Unable to locate package gcc"; exit 100')
    code, printed = machine.run()
    assert code == 1 and printed[-1] == "E: Unable to locate package gcc" and not any("xtask" in line for line in printed), printed


@pytest.mark.parametrize("folder, module", [("e2e", "server"), ("board", "emulator")])
def test_behind_a_proxy_no_test_asks_it(folder, module):
    program = f"import os, {module}; print(sorted(name for name in os.environ if 'proxy' in name.lower()))"
    proxies = {name: "http://127.0.0.1:9" for name in ("ftp_proxy", "http_proxy", "HTTPS_PROXY", "ALL_PROXY")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY / "tests" / folder, env=os.environ | proxies, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_the_script_is_executable():
    assert os.access(REPOSITORY / ".ci/run", os.X_OK)
