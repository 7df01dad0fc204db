"""The servers and the files that the tests share."""

import hashlib

import pytest
from neighbour import Neighbour
from server import DIST, RUNTIME, Server

SERVERS = pytest.StashKey()


def pytest_addoption(parser):
    parser.addoption("--part", metavar="N/M", default="1/1", help="only the N-th of M parts of the tests: every M-th one")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    part, parts = map(int, config.getoption("part").split("/"))
    chosen = items[part - 1 :: parts]
    config.hook.pytest_deselected(items=[item for index, item in enumerate(items) if index % parts != part - 1])
    items[:] = chosen


def pytest_sessionstart(session):
    # pytest may list the tests before anything is built.
    if session.config.option.collectonly:
        return
    for path, what in ((RUNTIME, "the MicroPython runtime (cargo xtask runtime)"), (DIST, "the package (cargo xtask build)")):
        if not path.exists():
            pytest.exit(f"{path} is missing: {what}", returncode=2)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for server in item.stash.get(SERVERS, []):
            report.sections.append(("server", server.describe()))
    return report


@pytest.fixture
def start_server(request, tmp_path):
    """Starts servers for one test. At its end each must stop cleanly."""
    started = request.node.stash[SERVERS] = []

    def start(**options):
        folder = tmp_path / f"server{len(started)}"
        folder.mkdir()
        server = Server(folder, **options)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.close()


@pytest.fixture
def server(start_server):
    """A server with the usual settings and an empty root, for one test. At its end nothing may have leaked."""
    server = start_server()
    yield server
    server.assert_nothing_leaked()


@pytest.fixture(
    params=[None, pytest.param("VfsFat", marks=pytest.mark.discs), pytest.param("VfsLfs2", marks=pytest.mark.discs)],
    ids=["folder", "fat", "littlefs"],
)
def file_system(request):
    """What is served: a folder of this machine, and the file systems of boards on a RAM disc."""
    return request.param


@pytest.fixture
def start_board(start_server, file_system):
    """As start_server, on each of the file systems. The tests come to the files by `files` of the server."""

    def start(**options):
        return start_server(file_system=file_system, **options)

    return start


@pytest.fixture
def board(start_board):
    """As server, on each of the file systems."""
    server = start_board()
    yield server
    server.assert_nothing_leaked()


@pytest.fixture
def here(server):
    """A folder of the server for one client, `/here`, while a second session transfers all the time in another."""
    folder = server.root / "here"
    folder.mkdir()
    with Neighbour(server):
        yield folder


@pytest.fixture(scope="session")
def contents(tmp_path_factory):
    """Files of 0 B, 1 B, 1 MiB and 64 MiB, whose bytes repeat nowhere: {size: path}."""
    folder = tmp_path_factory.mktemp("contents")
    files = {}
    for size in (0, 1, 1 << 20, 64 << 20):
        files[size] = folder / f"{size}.bin"
        files[size].write_bytes(hashlib.shake_128(b"%d" % size).digest(size))
    return files
