"""`mip install github:OWNER/ftpdlite`: the repository on a server that answers as a code host does for raw files.

It knows the files of one commit by their paths, and nothing else: no folders, no files that are not committed.
"""

import contextlib
import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request

import mpremote_board
import pytest
from server import DIST, REPOSITORY, run_micropython

RELEASE = DIST.parent
TREE = DIST.name
OWNER = "someone/ftpdlite"


def git(folder, *words, check=True):
    # A hook of git names its own repository in such variables. The user's settings may want a signature.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false", "-C", folder, *words]
    return subprocess.run(command, check=check, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers /OWNER/NAME/REF/PATH with the file of that commit."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        content = None
        if "Host" not in self.headers:
            return self.answer(400, b"400: Bad Request")
        path = urllib.parse.unquote(self.path)
        if path.startswith(f"/{OWNER}/"):
            ref, _, name = path.removeprefix(f"/{OWNER}/").partition("/")
            blob = git(self.server.repository, "cat-file", "blob", f"{ref}:{name}", check=False)
            content = None if blob.returncode else blob.stdout
        self.server.asked.append(path)
        return self.answer(404, b"404: Not Found") if content is None else self.answer(200, content)

    def answer(self, status, content):
        self.send_response(status)
        # Whatever it is.
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "max-age=300")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Host:
    """The server, and what is in the commit that it serves."""

    def __init__(self, repository):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.repository = repository
        self.server.asked = []
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def file(self, path):
        return git(self.server.repository, "cat-file", "blob", f"HEAD:{path}").stdout

    def package(self, folder):
        """What the package file in a folder of the repository installs: the content by path."""
        start = f"{folder}/" if folder else ""
        package = json.loads(self.file(f"{start}package.json"))
        return {to: self.file(start + source) for to, source in package["urls"]}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def with_release(clone):
    """Commits what was built last, as `cargo xtask release` would put it there."""
    shutil.rmtree(clone / "mip", ignore_errors=True)
    shutil.copytree(RELEASE, clone / "mip")
    package = json.loads((RELEASE / "package.json").read_text())
    package["urls"] = [[to, f"mip/{source}"] for to, source in package["urls"]]
    (clone / "package.json").write_text(json.dumps(package))
    git(clone, "add", "--all")
    git(clone, "-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "core.hooksPath=/dev/null", "commit", "-qm", "Release")


@pytest.fixture(scope="module", params=["HEAD", "built"])
def host(request, tmp_path_factory):
    """The repository as it is committed, and as it would be with what was built last."""
    if not shutil.which("git"):
        pytest.skip("there is no git")
    if git(REPOSITORY, "rev-parse", "HEAD", check=False).returncode:
        pytest.skip("this is no git checkout, or git does not trust it because it belongs to another user")
    clone = tmp_path_factory.mktemp("clone") / "ftpdlite"
    git("/", "clone", "--quiet", REPOSITORY, clone)
    if request.param == "built":
        with_release(clone)
    elif not (clone / "mip/STAMP.toml").exists():
        pytest.skip("HEAD has no mip/: cargo xtask release makes it, then commit it")
    host = Host(clone)
    yield host
    host.close()


# mip asks the code host over HTTPS; here the same paths go to the server beside the test.
INSTALL = """\
import requests

def get(url, *rest, get=requests.get, **more):
    scheme, _, _, path = url.split("/", 3)
    assert scheme == "https:", url
    return get("{address}/" + path, *rest, **more)

requests.get = get
import mip
mip.install("{package}"{more})
"""


@pytest.fixture
def lib(tmp_path):
    """As on a board: the first folder named lib on sys.path is where packages go."""
    lib = tmp_path / "flash" / "lib"
    lib.mkdir(parents=True)
    return lib


def mip_install(tmp_path, lib, host, package, more=""):
    code, output = run_micropython(tmp_path, "import mip\nprint(mip.__version__)", modules=".frozen")
    if code:
        pytest.skip(f"this MicroPython has no mip: {output}")
    if tuple(map(int, output.split("."))) < (0, 4):
        pytest.skip("this mip is older than 0.4 and knows no relative addresses")
    return run_micropython(tmp_path, INSTALL.format(address=host.address, package=package, more=more), "1m", 120, f"{lib}:.frozen")


def files_below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def it_serves(start_server, lib):
    server = start_server(modules=lib)
    with server.login() as control:
        control.store("STOR hello.txt", b"hello")
        assert control.retrieve("RETR hello.txt") == b"hello"
        control("QUIT")
    server.assert_nothing_leaked()


PACKAGES = [("", ""), (f"/mip/{TREE}", f"mip/{TREE}"), (f"/mip/{TREE}/", f"mip/{TREE}"), ("/mip", "mip")]


@pytest.mark.parametrize("address, folder", PACKAGES)
def test_mip_installs_from_the_repository_and_it_serves(tmp_path, lib, host, start_server, address, folder):
    code, output = mip_install(tmp_path, lib, host, f"github:{OWNER}{address}")
    assert code == 0 and output.endswith("Done\n"), output
    assert files_below(lib) == host.package(folder)
    it_serves(start_server, lib)


def open_here(host, urlopen, url):
    """Asks the server beside the test in place of the code host."""
    scheme, _, _, path = url.split("/", 3)
    assert scheme == "https:", url
    return urlopen(f"{host.address}/{path}")


@pytest.mark.parametrize("address, folder", PACKAGES)
def test_mpremote_installs_from_the_repository_and_it_serves(lib, host, start_server, monkeypatch, address, folder):
    monkeypatch.setattr(urllib.request, "urlopen", functools.partial(open_here, host, urllib.request.urlopen))
    files = mpremote_board.install(f"github:{OWNER}{address}")
    assert files == {f"/lib/{to}": content for to, content in host.package(folder).items()}
    for path, content in files.items():
        path = lib.parent / path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    it_serves(start_server, lib)


TAG = "v9.8.7"


@pytest.fixture
def tagged(host):
    """The repository with a tag, and all that was asked of it afterwards."""
    git(host.server.repository, "tag", "--force", TAG)
    del host.server.asked[:]
    return host


@pytest.mark.parametrize("address, folder", PACKAGES)
def test_mip_installs_a_version(tmp_path, lib, tagged, address, folder):
    code, output = mip_install(tmp_path, lib, tagged, f"github:{OWNER}{address}", f', version="{TAG}"')
    assert code == 0 and output.endswith("Done\n"), output
    assert files_below(lib) == tagged.package(folder)
    assert all(path.startswith(f"/{OWNER}/{TAG}/") for path in tagged.server.asked)


@pytest.mark.parametrize("address, folder", PACKAGES)
def test_mpremote_installs_a_version(tagged, monkeypatch, address, folder):
    monkeypatch.setattr(urllib.request, "urlopen", functools.partial(open_here, tagged, urllib.request.urlopen))
    files = mpremote_board.install(f"github:{OWNER}{address}@{TAG}")
    assert files == {f"/lib/{to}": content for to, content in tagged.package(folder).items()}
    assert all(path.startswith(f"/{OWNER}/{TAG}/") for path in tagged.server.asked)


def test_a_package_for_one_architecture_is_small(host):
    size = sum(map(len, host.package(f"mip/{TREE}").values()))
    assert size < 90_000
    # Beside each package is what its licences ask for.
    assert host.file(f"mip/{TREE}/LICENSE") == host.file("LICENSE")
    assert b"== nom " in host.file(f"mip/{TREE}/NOTICES")


def test_what_is_not_in_the_repository_is_told(tmp_path, lib, host):
    _, output = mip_install(tmp_path, lib, host, f"github:{OWNER}/mip/nonsense_6.3")
    assert "Package not found" in output and files_below(lib) == {}, output
    assert host.server.asked[-1] == f"/{OWNER}/HEAD/mip/nonsense_6.3/package.json"


def test_the_server_knows_files_and_nothing_else(host):
    for path in (f"/{OWNER}/HEAD/mip", f"/{OWNER}/HEAD/mip/", f"/{OWNER}/HEAD/dist/package.json", f"/{OWNER}/HEAD", "/"):
        with pytest.raises(urllib.error.HTTPError) as error, contextlib.closing(urllib.request.urlopen(host.address + path)):
            pass
        assert error.value.code == 404
    with urllib.request.urlopen(f"{host.address}/{OWNER}/HEAD/package.json") as answer:
        assert answer.read() == host.file("package.json")
