"""Several sessions at once, all from one address: each has its own transfer, and none waits for another."""

import concurrent.futures
import ftplib
import hashlib
import socket

import pytest
from control import Control, data_connection, read_all
from server import needs_ipv6, wait_until

MIB = 1 << 20


def connect(server, account="tester:secret"):
    ftp = ftplib.FTP(timeout=60)
    ftp.connect(server.host, server.port)
    ftp.login(*account.split(":"))
    return ftp


def download(server, name):
    """Downloads with ftplib; gives the SHA-256."""
    found = hashlib.sha256()
    with connect(server) as ftp:
        ftp.retrbinary(f"RETR {name}", found.update, blocksize=1 << 18)
    return found.hexdigest()


def upload(server, name, path):
    with connect(server) as ftp, open(path, "rb") as file:
        ftp.storbinary(f"STOR {name}", file, blocksize=1 << 18)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_8_parallel_downloads_from_one_address(server, contents):
    (server.root / "file").write_bytes(contents[64 * MIB].read_bytes()[: 8 * MIB])
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        digests = list(pool.map(lambda _: download(server, "file"), range(8)))
    assert digests == [sha256(server.root / "file")] * 8


def test_4_uploads_and_4_downloads_at_once(server, contents):
    source = contents[MIB]
    (server.root / "file").write_bytes(source.read_bytes())
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        uploads = [pool.submit(upload, server, f"up{index}", source) for index in range(4)]
        downloads = [pool.submit(download, server, "file") for _ in range(4)]
        for future in uploads:
            future.result()
        assert {future.result() for future in downloads} == {sha256(source)}
    assert {sha256(server.root / f"up{index}") for index in range(4)} == {sha256(source)}


def test_a_slow_reader_costs_the_others_nothing(server, contents):
    (server.root / "big").write_bytes(contents[64 * MIB].read_bytes())
    (server.root / "small").write_bytes(contents[MIB].read_bytes())
    for index in range(50):
        (server.root / f"entry{index}").write_bytes(b"")
    with server.login() as slow:
        with slow.data(receive_buffer=4096) as stalled:
            slow.expect("RETR big", "150")
            start = stalled.recv(100)
            # While it stalls, the others do their work from beginning to end.
            upload(server, "new", contents[MIB])
            assert sha256(server.root / "new") == sha256(contents[MIB])
            assert download(server, "small") == sha256(contents[MIB])
            assert download(server, "big") == sha256(contents[64 * MIB])
            with connect(server) as ftp:
                assert len(ftp.nlst()) == 53
            assert hashlib.sha256(start + read_all(stalled)).hexdigest() == sha256(contents[64 * MIB])
        assert slow.reply() == "226 Transfer complete."


def test_a_slow_sender_costs_the_others_nothing(server, contents):
    with server.login() as slow:
        with slow.data() as data:
            slow.expect("STOR slow", "150")
            data.sendall(b"first ")
            upload(server, "new", contents[MIB])
            assert download(server, "new") == sha256(contents[MIB])
            data.sendall(b"last")
        assert slow.reply() == "226 Transfer complete."
    assert (server.root / "slow").read_bytes() == b"first last"


def test_a_passive_port_belongs_to_the_session_that_asked_for_it(server):
    (server.root / "a").write_bytes(b"for the first")
    (server.root / "b").write_bytes(b"for the second")
    with server.login() as first, server.login() as second:
        # Both ports are open before either is used, and they are dialled in the other order.
        first_port = int(first("EPSV").split("|")[3])
        second_port = int(second("EPSV").split("|")[3])
        assert first_port != second_port
        with data_connection(server.host, second_port) as data:
            second.expect("RETR b", "150")
            assert read_all(data) == b"for the second"
        with data_connection(server.host, first_port) as data:
            first.expect("RETR a", "150")
            assert read_all(data) == b"for the first"
        assert first.reply() == second.reply() == "226 Transfer complete."


def test_a_new_passive_port_replaces_the_old_one(server):
    with server.login() as control:
        old = int(control("EPSV").split("|")[3])
        control.expect("EPSV", "229")
        with pytest.raises(ConnectionRefusedError):
            data_connection(server.host, old)


def test_a_stranger_at_the_passive_port_is_sent_away_and_the_client_is_served(server):
    (server.root / "file").write_bytes(b"mine")
    with server.login() as control:
        port = int(control("EPSV").split("|")[3])
        with data_connection(server.host, port, source="127.0.0.2") as stranger:
            control.expect("RETR file", "150")
            assert read_all(stranger) == b""
            with data_connection(server.host, port) as data:
                assert read_all(data) == b"mine"
        assert control.reply() == "226 Transfer complete."


def test_passive_ports_come_from_the_range_and_425_when_none_is_free(start_server):
    server = start_server(passive_ports=2)
    with server.login() as first, server.login() as second, server.login() as third:
        ports = {int(control("EPSV").split("|")[3]) for control in (first, second)}
        assert ports == {server.port + 1, server.port + 2}
        third.expect("EPSV", "425")
        third.expect("PASV", "425")
        # A session can always get a new port.
        first.expect("EPSV", "229")
        first.expect("QUIT", "221")
        first.line()
        third.expect("EPSV", "229")
    server.assert_nothing_leaked()


def test_over_max_connections_421_and_the_next_is_served_when_one_has_left(start_server):
    server = start_server(max_connections=3)
    controls = [server.login() for _ in range(3)]
    with server.connect() as one_too_many:
        assert one_too_many.reply().startswith("421 ")
        assert one_too_many.line() is None
    controls.pop().close()

    def served():
        with server.connect() as control:
            return control.reply().startswith("220 ")

    wait_until(served)
    for control in controls:
        control.expect("QUIT", "221")
        control.close()
    server.assert_nothing_leaked()


def test_a_session_that_vanished_makes_room_for_the_next_from_the_same_address(start_server):
    server = start_server(max_connections=2)
    for _ in range(10):
        server.login().reset()
    wait_until(lambda: not server.sessions())


def test_who_lists_the_sessions_and_kick_ends_them(server):
    with server.login() as admin, server.login("guest:guest") as guest:
        who = admin("SITE WHO")
        assert "\n guest 127.0.0.1 idle " in who and "\n tester 127.0.0.1 idle " in who
        assert admin("SITE KICK guest") == "200 Sessions ended: 1."
        assert guest.reply().startswith("421 ")
        assert guest.line() is None
        assert admin("SITE KICK guest") == "550 No such session."


def test_kick_ends_a_session_in_the_middle_of_its_transfer(server, contents):
    (server.root / "big").write_bytes(contents[64 * MIB].read_bytes())
    with server.login() as admin, server.login("guest:guest") as guest:
        with guest.data(receive_buffer=4096) as data:
            guest.expect("RETR big", "150")
            data.recv(10)
            assert admin("SITE KICK 127.0.0.9") == "550 No such session."
            assert admin("SITE KICK guest") == "200 Sessions ended: 1."
            assert guest.reply().startswith("426 ")
            assert guest.reply().startswith("421 ")
            assert guest.line() is None


def test_kick_by_address_ends_every_session_from_there(server):
    with server.login() as admin, server.login("guest:guest") as guest, server.connect() as silent:
        assert silent.reply().startswith("220 ")
        admin.send(b"SITE KICK 127.0.0.1\r\n")
        assert admin.reply() == "200 Sessions ended: 3."
        for control in (admin, guest, silent):
            assert control.reply().startswith("421 ")
            assert control.line() is None


def test_a_wrong_password_delays_only_the_one_who_gave_it(start_server):
    server = start_server(login_delay=30_000)
    with server.connect() as guesser, server.login() as other:
        guesser.reply()
        guesser.send(b"USER tester\r\nPASS wrong\r\n")
        assert guesser.reply().startswith("331 ")
        other.store("STOR file", b"content")
        assert other.retrieve("RETR file") == b"content"
        guesser.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            guesser.socket.recv(100)


def test_shutdown_ends_the_server(start_server):
    server = start_server()
    with server.login("guest:guest") as guest, server.login() as admin:
        admin.expect("SITE SHUTDOWN -h", "200")
        assert guest.reply().startswith("421 ")
    server.process.wait(20)


def test_pasv_announces_the_address_that_the_client_reached(start_server):
    # The original announced the address that it was bound to, but nobody can connect to 0.0.0.0.
    server = start_server(host="0.0.0.0")
    (server.root / "file").write_bytes(b"content")
    with Control("127.0.0.1", server.port) as control:
        control.login()
        announced = control("PASV")
        assert announced.startswith("227 Entering Passive Mode (127,0,0,1,"), announced
        high, low = announced.rstrip(").").split(",")[-2:]
        with data_connection("127.0.0.1", int(high) * 256 + int(low)) as data:
            control.expect("RETR file", "150")
            assert read_all(data) == b"content"
        assert control.reply() == "226 Transfer complete."


@pytest.mark.parametrize("host, protocol", [("127.0.0.1", "1"), ("::1", "2")])
def test_both_internet_protocols(start_server, host, protocol):
    if host == "::1":
        needs_ipv6()
    server = start_server(host=host)
    (server.root / "file").write_bytes(b"content")
    with server.login() as control:
        assert control.retrieve("RETR file") == b"content"
        control.expect(f"EPSV {protocol}", "229")
        with socket.create_server((host, 0), family=socket.AF_INET6 if host == "::1" else socket.AF_INET) as listener:
            listener.settimeout(20)
            control.expect(f"EPRT |{protocol}|{host}|{listener.getsockname()[1]}|", "200")
            control.expect("RETR file", "150")
            data, _ = listener.accept()
            with data:
                assert read_all(data) == b"content"
        assert control.reply() == "226 Transfer complete."
        if host == "::1":
            # 227 has no room for the address.
            assert control("PASV")[0] in "45"
    server.assert_nothing_leaked()
