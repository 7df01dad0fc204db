"""A client that goes away at any point leaves nothing behind, and the next one is served. (The `server` fixture checks both.)"""

import signal

import pytest
from control import reset
from server import wait_until

BIG = 64 << 20


def at_the_greeting(server):
    return server.connect(), None


def in_the_middle_of_login(server):
    control = server.connect()
    control.reply()
    control.expect("USER tester", "331")
    return control, None


def while_the_password_is_checked(server):
    control = server.connect()
    control.send(b"USER tester\r\nPASS wrong\r\n")
    return control, None


def in_the_middle_of_a_line(server):
    control = server.login()
    control.send(b"RETR bi")
    return control, None


def after_a_command_nobody_reads_the_answer_of(server):
    control = server.login()
    control.send(b"HELP\r\n" * 500)
    return control, None


def after_pasv_without_connecting(server):
    control = server.login()
    control.expect("PASV", "227")
    return control, None


def after_connecting_without_a_command(server):
    control = server.login()
    return control, control.data()


def after_port(server):
    control = server.login()
    control.expect("PORT 127,0,0,1,250,250", "200")
    return control, None


def waiting_for_the_data_connection(server):
    control = server.login()
    control.expect("PASV", "227")
    control.expect("RETR big", "150")
    return control, None


def in_the_middle_of_retr(server):
    control = server.login()
    data = control.data(receive_buffer=65536)
    control.expect("RETR big", "150")
    data.recv(1000)
    return control, data


def in_the_middle_of_stor(server):
    control = server.login()
    data = control.data()
    control.expect("STOR new", "150")
    data.sendall(b"x" * 100_000)
    return control, data


def in_the_middle_of_list(server):
    for index in range(3000):
        (server.root / f"a file with a rather long name, number {index}").touch()
    control = server.login()
    data = control.data(receive_buffer=4096)
    control.expect("LIST", "150")
    data.recv(100)
    return control, data


def between_rnfr_and_rnto(server):
    control = server.login()
    control.expect("RNFR big", "350")
    return control, None


@pytest.mark.parametrize("how", ["closes", "breaks"])
@pytest.mark.parametrize(
    "moment",
    [
        at_the_greeting,
        in_the_middle_of_login,
        while_the_password_is_checked,
        in_the_middle_of_a_line,
        after_a_command_nobody_reads_the_answer_of,
        after_pasv_without_connecting,
        after_connecting_without_a_command,
        after_port,
        waiting_for_the_data_connection,
        in_the_middle_of_retr,
        in_the_middle_of_stor,
        in_the_middle_of_list,
        between_rnfr_and_rnto,
    ],
)
def test_a_client_that_goes(server, moment, how):
    with open(server.root / "big", "wb") as file:
        file.truncate(BIG)
    control, data = moment(server)
    for connection in (control.socket, data):
        if connection:
            if how == "breaks":
                reset(connection)
            else:
                connection.close()


@pytest.mark.parametrize(
    "moment", [in_the_middle_of_retr, in_the_middle_of_stor, in_the_middle_of_list, after_connecting_without_a_command]
)
def test_a_client_whose_control_connection_breaks_while_its_data_connection_lives(server, moment):
    with open(server.root / "big", "wb") as file:
        file.truncate(BIG)
    control, data = moment(server)
    control.reset()
    wait_until(lambda: not server.sessions(), server.describe)
    data.close()


def test_100_clients_come_and_go(start_server):
    # More connections than the clients: on a slow machine the server hears late of those that are gone.
    server = start_server(max_connections=100)
    with open(server.root / "big", "wb") as file:
        file.truncate(BIG)
    moments = [in_the_middle_of_login, in_the_middle_of_a_line, after_pasv_without_connecting, in_the_middle_of_retr, in_the_middle_of_stor]
    for index in range(100):
        control, data = moments[index % len(moments)](server)
        control.close()
        if data:
            data.close()
        wait_until(lambda: len(server.open_files()) < 30)
    server.assert_nothing_leaked()


def test_commands_of_a_client_that_has_gone_are_not_worked_through(server):
    with server.login() as control:
        # The transfer stands still until the client has gone. Otherwise a fast server would be done before.
        server.process.send_signal(signal.SIGSTOP)
        control.send(b"".join(b"MKD %d\r\n" % index for index in range(20_000)))
    server.process.send_signal(signal.SIGCONT)
    wait_until(lambda: not server.sessions(), server.describe)
    assert len(list(server.root.iterdir())) < 20_000
