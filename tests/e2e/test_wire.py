"""The control connection is a stream. These tests are about what a transcript cannot express (RFC 959 4.1.3, 4.2 and RFC 854)."""

import ftplib
import socket
import threading

import pytest
from control import read_all, read_freely, reset


def test_200_noops_in_one_write_get_200_replies(server):
    with server.login() as control:
        control.send(b"NOOP\r\n" * 200)
        assert [control.reply() for _ in range(200)] == ["200 NOOP ok."] * 200
        assert control("PWD") == '257 "/" is the current directory.'


def test_commands_sent_one_byte_a_packet_are_understood(server):
    with server.connect() as control:
        assert control.reply() == "220 FTPdLite (MicroPython)"
        for command, reply in (
            ("USER tester", "331 Password required for tester."),
            ("PASS secret", "230 User tester logged in."),
            ("PWD", '257 "/" is the current directory.'),
        ):
            for byte in command.encode() + b"\r\n":
                control.send(bytes([byte]))
            assert control.reply() == reply


def test_a_whole_session_in_one_write_is_answered_in_order(server):
    with server.connect() as control:
        control.send(b"USER tester\r\nPASS secret\r\nMKD a\r\nCWD a\r\nPWD\r\nRMD /a\r\nQUIT\r\n")
        codes = [control.reply()[:3] for _ in range(8)]
        assert codes == ["220", "331", "230", "257", "250", "257", "250", "221"]
        assert control.line() is None


def test_what_came_before_the_client_closed_its_side_is_answered(server):
    with server.login() as control:
        control.send(b"NOOP\r\nSYST\r\n")
        control.socket.shutdown(socket.SHUT_WR)
        assert [control.reply(), control.reply()] == ["200 NOOP ok.", "215 UNIX Type: L8"]
        assert control.line() is None


def test_a_client_that_reads_late_gets_every_reply(server):
    count = 20000
    with server.login(receive_buffer=4096) as control:
        sender = threading.Thread(target=control.send, args=(b"SYST\r\n" * count,))
        sender.start()
        with server.login() as other:
            other.expect("NOOP", "200")
        read_freely(control.socket)
        assert all(control.reply() == "215 UNIX Type: L8" for _ in range(count))
        sender.join()
        control.expect("NOOP", "200")


@pytest.mark.parametrize("length", [513, 1024, 100_000])
def test_a_line_over_the_limit_gets_one_500_and_the_next_is_understood(server, length):
    with server.login() as control:
        control.send(b"CWD ".ljust(length - 2, b"x") + b"\r\nNOOP\r\n")
        assert control.reply() == "500 Command line too long."
        assert control.reply() == "200 NOOP ok."


def test_a_larger_line_buffer_changes_nothing_about_the_limit(start_server):
    server = start_server(request_buffer_size=2048)
    with server.login() as control:
        control.send(b"NOOP ".ljust(510, b"x") + b"\r\n" + b"NOOP ".ljust(511, b"x") + b"\r\n" + b"NOOP\r\n" * 200)
        assert control.reply() == "200 NOOP ok."
        assert control.reply() == "500 Command line too long."
        assert [control.reply() for _ in range(200)] == ["200 NOOP ok."] * 200
    server.assert_nothing_leaked()


def test_abor_as_urgent_data_is_understood(server):
    ftp = ftplib.FTP()
    ftp.connect(server.host, server.port, timeout=20)
    ftp.login("tester", "secret")
    # ftplib sends ABOR and its line end as urgent data.
    assert ftp.abort() == "226 No transfer to abort."
    assert ftp.sendcmd("NOOP") == "200 NOOP ok."
    ftp.quit()


def test_abor_after_telnet_ip_and_synch_is_understood(server):
    with server.login() as control:
        # IAC IP in the stream, IAC DM urgent, as RFC 959 4.1.3 tells clients to send it.
        control.send(b"\xff\xf4")
        control.socket.send(b"\xff\xf2", socket.MSG_OOB)
        control.send(b"ABOR\r\n")
        assert control.reply() == "226 No transfer to abort."
        control.expect("NOOP", "200")


def test_noop_and_stat_act_during_a_transfer_and_others_wait_their_turn(server, contents):
    (server.root / "big").write_bytes(contents[64 << 20].read_bytes())
    with server.login() as control:
        with control.data(receive_buffer=65536) as data:
            control.expect("RETR big", "150")
            # Nobody reads the data: the transfer stands still, and SIZE is not answered.
            control.send(b"SIZE big\r\n")
            control.send(b"NOOP\r\nPWD\r\n")
            assert len(read_all(data)) == 64 << 20
        replies = [control.reply() for _ in range(4)]
    assert "200 NOOP ok." in replies
    replies.remove("200 NOOP ok.")
    assert replies == ["226 Transfer complete.", "213 67108864", '257 "/" is the current directory.']


def test_noop_during_a_transfer_is_answered_before_its_end(server, contents):
    (server.root / "big").write_bytes(contents[64 << 20].read_bytes())
    with server.login() as control:
        with control.data(receive_buffer=65536) as data:
            control.expect("RETR big", "150")
            for noop, stat in (("NOOP", "STAT"), ("noop ", "STAT ")):
                assert control(noop) == "200 NOOP ok."
                status = control(stat)
                assert status.startswith("211-FTPdLite (MicroPython)\n") and "RETR" in status
            assert len(read_all(data)) == 64 << 20
        assert control.reply() == "226 Transfer complete."


def test_quit_during_a_transfer_lets_it_finish(server, contents):
    (server.root / "big").write_bytes(contents[64 << 20].read_bytes())
    with server.login() as control:
        with control.data(receive_buffer=65536) as data:
            control.expect("RETR big", "150")
            control.send(b"QUIT\r\n")
            assert len(read_all(data)) == 64 << 20
        assert [control.reply(), control.reply()] == ["226 Transfer complete.", "221 Bye, tester."]
        assert control.line() is None


@pytest.mark.parametrize("abort", [b"ABOR\r\n", b"\xff\xf4\xff\xf2ABOR\r\n", b"abor\r\n", b"ABOR \r\n"])
def test_abor_during_a_transfer_ends_it(server, contents, abort):
    (server.root / "big").write_bytes(contents[64 << 20].read_bytes())
    with server.login() as control:
        with control.data(receive_buffer=65536) as data:
            control.expect("RETR big", "150")
            data.recv(1000)
            control.send(abort)
            assert control.reply().startswith("426 ")
            assert control.reply().startswith("226 ")
        (server.root / "small").write_bytes(b"still here")
        assert control.retrieve("RETR small") == b"still here"


def test_abor_before_the_data_connection_came_ends_the_transfer(server):
    with server.login() as control:
        control.expect("PASV", "227")
        control.expect("STOR new", "150")
        assert control("ABOR").startswith("426 ")
        assert control.reply().startswith("226 ")
        control.expect("NOOP", "200")


def test_a_data_connection_that_breaks_leaves_the_control_connection_in_order(server, contents):
    (server.root / "big").write_bytes(contents[64 << 20].read_bytes())
    with server.login() as control:
        data = control.data()
        control.expect("RETR big", "150")
        data.recv(1000)
        reset(data)
        assert control.reply() == "426 Data connection broken, transfer aborted."
        (server.root / "small").write_bytes(b"still here")
        assert control.retrieve("RETR small") == b"still here"
