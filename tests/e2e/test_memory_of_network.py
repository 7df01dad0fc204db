"""A network with little memory, as lwIP has it: a write that finds none holds up the whole board. The server asks before it writes. The real lwIP is on the emulated board
of tests/board, which has no TLS."""

import threading

import certificates
import pytest
from control import read_all
from neighbour import Neighbour
from ports import PATIENT, on

# What is on its way takes memory, and gives it back some milliseconds later. As on modlwip a socket for datagrams tells whether so much is there.
MEMORY = """
import io
import time

class Memory:
    free = 8000
    returns = []
    calls = 0
    # For so many questions there is no memory for a segment.
    short = 0
    # For so many questions there is no memory for a reply, and then for one there is.
    mute = MUTE
    replies = 0
    # When there was none last, and how many times it was asked again at once.
    refused = 0
    hasty = 0

    def settle():
        while Memory.returns and time.ticks_diff(time.ticks_ms(), Memory.returns[0][0]) >= 0:
            Memory.free += Memory.returns.pop(0)[1]

tcp = socket.socket

class Connection(tcp):
    def bind(self, address):
        # It has IPv6.
        if address[0] != "::1":
            super().bind(address)

    def write(self, data):
        Memory.settle()
        data = memoryview(data)[:6400]
        # Now and then the connection is full, or takes a part.
        Memory.calls += len(data) > 0
        if data and Memory.calls % 7 == 0:
            if Memory.calls % 21 == 0:
                Memory.short = SHORT
            return None
        if data and Memory.calls % 5 == 0:
            data = data[: len(data) // 2 + 1]
        need = len(data) + 100 * -(-len(data) // 800)
        if need > Memory.free and self.state == 3:
            print("-- the board stands still")
        count = super().write(data)
        if count is not None and count > 0:
            Memory.free -= need
            Memory.returns.append((time.ticks_add(time.ticks_ms(), 8), need))
        return count

class Gauge(io.IOBase):
    def bind(self, address):
        pass

    def close(self):
        pass

    def write(self, data):
        Memory.settle()
        if Memory.mute and len(data) == 200:
            Memory.replies = (Memory.replies + 1) % (Memory.mute + 1)
            if Memory.replies:
                now = time.ticks_ms()
                Memory.hasty = Memory.hasty + 1 if time.ticks_diff(now, Memory.refused) < 15 else 0
                if Memory.hasty == 4:
                    print("-- it asked again and again")
                Memory.refused = now
                return -12
            print("-- a reply had to wait")
        if Memory.short and len(data) > 300:
            Memory.short -= 1
            return -12
        return -12 if len(data) + 100 > Memory.free else -118

    def ioctl(self, request, argument):
        return 0

def make(family=2, kind=1, *more, **named):
    return Gauge() if kind == 2 else Connection(family, kind, *more, **named)

# accept() makes its sockets by this name.
socket.socket = make
socket.SOCK_DGRAM = 2
socket.print_pcbs = None
"""

CONTENT = bytes(range(256)) * 700 + b"the end"


@pytest.fixture
def start(start_server):
    def start(memory=8000, short=0, mute=0, **settings):
        program = MEMORY.replace("8000", str(memory)).replace("SHORT", str(short)).replace("MUTE", str(mute))
        return start_server(**on("lwip", "rp2", program), **(PATIENT | {"max_connections": 2} | settings))

    return start


def never_stood_still(server):
    return "stands still" not in server.output()


def test_a_download_asks_for_memory(start):
    server = start()
    (server.root / "file").write_bytes(CONTENT)
    with server.login() as control:
        assert control.retrieve("RETR file") == CONTENT
    assert never_stood_still(server)


def test_a_reply_that_waits_for_memory_lets_others_run(start):
    # The control connection can be written, so that is not what it must wait for. PASV is answered within the poller, and STAT in pieces.
    server = start(mute=8)
    for number in range(40):
        (server.root / f"file-{number:030}").write_bytes(CONTENT[:1000])
    (server.root / "file").write_bytes(CONTENT)
    with server.login() as control:
        assert control.retrieve("RETR file") == CONTENT
        waited = server.output().count("had to wait")
        control.send(b"NOOP\r\nSTAT /\r\nPASV\r\nNOOP\r\nQUIT\r\n")
        for code in "200", "213", "227", "200", "221":
            assert control.reply().startswith(code)
    assert server.output().count("had to wait") >= waited + 3
    assert "again and again" not in server.output()


def test_two_downloads_share_the_memory(start):
    server = start()
    (server.root / "file").write_bytes(CONTENT)
    with server.login() as one, server.login() as other:
        found = []
        threads = [threading.Thread(target=lambda control=control: found.append(control.retrieve("RETR file"))) for control in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [CONTENT, CONTENT]
    assert never_stood_still(server)


def retrieve_securely(server, control, command):
    with control.data() as data:
        control.expect(command, "150")
        with certificates.client().wrap_socket(data, server_hostname=server.host) as secured:
            content = read_all(secured)
    assert control.reply().startswith("226 ")
    return content


def test_where_there_is_never_memory_for_a_segment_the_pieces_are_small(start):
    server = start(1300)
    (server.root / "file").write_bytes(CONTENT[-5000:])
    with server.login() as control:
        assert control.retrieve("RETR file") == CONTENT[-5000:]
    assert never_stood_still(server)


def test_and_through_tls(start):
    # The handshake's own messages are larger.
    server = start(1300, **certificates.settings())
    (server.root / "file").write_bytes(CONTENT[-5000:])
    with server.connect().login_securely(certificates.client()) as control:
        assert retrieve_securely(server, control, "RETR file") == CONTENT[-5000:]


def test_tls_is_given_again_what_it_could_not_send(start):
    # Meanwhile there is only memory for less.
    server = start(short=40, **certificates.settings())
    (server.root / "file").write_bytes(CONTENT[:60_000])
    # Two take small pieces sooner.
    with Neighbour(server), server.connect().login_securely(certificates.client()) as control:
        assert retrieve_securely(server, control, "RETR file") == CONTENT[:60_000]


@pytest.mark.parametrize("size", [None, 1024, 4096, 16384])
def test_a_download_through_tls_asks_for_memory(start, size):
    server = start(**certificates.settings(), **({"transfer_buffer_size": size} if size else {}))
    (server.root / "file").write_bytes(CONTENT)
    with server.connect().login_securely(certificates.client()) as control:
        assert retrieve_securely(server, control, "RETR file") == CONTENT
        assert retrieve_securely(server, control, "NLST") == b"file\r\n"
    assert never_stood_still(server)

