"""Heaps from the smallest in which the server starts up to 200 KB, with 1, 4 and 10 clients at once. Each of them is answered, if only with an
error or by a closed connection; none is left waiting, and the next one finds the server as the first one did."""

import concurrent.futures
import contextlib
import socket
import threading

import pytest
from control import read_all
from server import PATIENCE, Server, wait_until

CONTENT = bytes(range(256)) * 256
LARGEST = 200
STEPS = 15
# Connections that come and go before they log in.
FLOOD = 36


class Refused(Exception):
    """An error, or a closed connection. Both count as answers."""


def settings():
    return {"data_timeout": 2, "stall_timeout": 2}


def ask(control, command, first):
    """A command whose answer must begin so, or be an error."""
    reply = control(command) if command else control.reply()
    assert "Operation failed" not in reply, f"{command}: {reply}"
    if not reply or reply[0] in "45":
        raise Refused(reply or "closed")
    assert reply.startswith(first), f"{command}: {reply}"
    return reply


@contextlib.contextmanager
def data(control):
    port = int(ask(control, "EPSV", "229").split("|")[3])
    with socket.create_connection((control.host, port), PATIENCE) as connection:
        yield connection


class Meeting:
    """Where clients wait for each other, until every one is there or has given up."""

    def __init__(self, count):
        self.missing = count
        self.condition = threading.Condition()

    def arrive(self, wait):
        with self.condition:
            self.missing -= 1
            self.condition.notify_all()
            if wait:
                self.condition.wait_for(lambda: self.missing <= 0, PATIENCE)


def visit(server, number=0, meeting=None):
    """One client. Gives "" when all that it wanted was done, else what it was told instead; raises when it was left waiting."""
    try:
        with server.connect() as control:
            try:
                ask(control, "", "220")
                ask(control, "USER tester", "331")
                ask(control, "PASS secret", "230")
                ask(control, "TYPE I", "200")
            except BaseException:
                if meeting:
                    meeting.arrive(False)
                raise
            if meeting:
                meeting.arrive(True)
            with data(control) as connection:
                ask(control, "LIST", "150")
                listing = read_all(connection)
                ask(control, "", "226")
            assert b" file\r\n" in listing, listing
            with data(control) as connection:
                ask(control, "RETR file", "150")
                content = read_all(connection)
                ask(control, "", "226")
            assert content == CONTENT, f"{len(content)} bytes came, and a 226"
            with data(control) as connection:
                ask(control, f"STOR copy{number}", "150")
                connection.sendall(CONTENT)
                connection.shutdown(socket.SHUT_WR)
                ask(control, "", "226")
            assert (server.root / f"copy{number}").read_bytes() == CONTENT
            ask(control, "QUIT", "221")
        return ""
    except (Refused, ConnectionError) as refusal:
        return str(refusal)


def visits(server, count):
    """So many clients that are logged in, if they can, before the first of them goes on."""
    meeting = Meeting(count)
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda number: visit(server, number, meeting), range(count)))


def flood(server):
    """Dozens of connections that stay. Each of them gets a greeting, a refusal or its end."""
    with contextlib.ExitStack() as stack:
        for _ in range(FLOOD):
            reply = stack.enter_context(server.connect()).reply()
            assert not reply or reply[:3] in ("220", "421"), reply


@pytest.fixture(scope="module")
def smallest(tmp_path_factory):
    """KB of a heap with which the server listens, as with the two below it. A little less may do by chance, for how the heap is cut into pieces depends on that."""
    in_a_row = 0
    for kilobytes in range(20, LARGEST, 2):
        server = Server(tmp_path_factory.mktemp("heap"), heap=f"{kilobytes}k", **settings())
        try:
            server.start()
            in_a_row += 1
        except AssertionError:
            in_a_row = 0
        finally:
            server.close(complain=False)
        if in_a_row == 3:
            return kilobytes
    raise AssertionError("it never listens")


# More of the small ones, where it is close.
@pytest.mark.parametrize("step", range(STEPS + 1))
def test_every_client_is_answered_in_a_heap_of_any_size(start_server, smallest, step):
    heap = smallest * 1024 + (LARGEST - smallest) * 1024 * step * step // STEPS**2
    print(f"{heap} bytes")
    server = start_server(heap=heap, **settings())
    (server.root / "file").write_bytes(CONTENT)
    alone = visit(server)
    print("one:", alone or "served")

    def compare():
        # Sessions that were cut off may take a moment to end.
        wait_until(lambda: visit(server) in ("", alone), server.describe)

    for count in (4, 10):
        print(f"{count} at once:", [told or "served" for told in visits(server, count)])
        compare()
    flood(server)
    compare()
    for path in server.root.iterdir():
        assert path.read_bytes() == CONTENT, f"{path.name}: {path.stat().st_size} bytes"
