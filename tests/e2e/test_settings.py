"""Values that no setting, account or method may have: the error comes at once, names what is wrong, and changes nothing."""

import pytest
from control import Control
from server import free_ports, run_micropython

# The settings that may also be None, and what else each takes of VALUES.
TAKES = {
    "host": {"None", "''", "'x'"},
    "port": {"1"},
    "server_name": {"''", "'x'"},
    "pasv_port_range": set(),
    "request_buffer_size": {"1"},
    "max_connections": {"None", "1"},
    "root": set(),
    "masquerade_address": {"None"},
    "allow_foreign_data": {"0", "1", "True"},
    "idle_timeout": {"0", "1"},
    "data_timeout": {"0", "1"},
    "stall_timeout": {"0", "1"},
    "login_delay": {"0", "1"},
    "transfer_buffer_size": {"None"},
    "debug": {"0", "1", "True"},
    "max_login_failures": {"0", "1"},
    "lockout": {"1"},
    "max_per_address": {"None", "1"},
    "max_per_user": {"None", "1"},
    "anonymous": {"None"},
    "atomic_uploads": {"0", "1", "True"},
    "log": {"None"},
    "on_event": {"None"},
    "tls": set(),
    "certificate": {"None", "''", "'x'", "b''"},
    "key": {"None", "''", "'x'", "b''"},
    "private_data": {"0", "1", "True"},
    "handshake_timeout": {"0", "1"},
    "login_timeout": {"0", "1"},
    "partial_uploads": set(),
    "listing_times": {"0", "1", "0.5", "True"},
}
VALUES = ["None", "''", "'x'", "-1", "0", "1", "1 << 70", "0.5", "b''", "[]", "{}", "()", "True", "object()"]


def test_each_setting_takes_what_it_may_and_names_itself_otherwise(tmp_path):
    program = f"""\
from ftpdlite import FTPdLite
for name in {sorted(TAKES)}:
    for text, value in [{", ".join(f"({value!r}, {value})" for value in VALUES)}]:
        try:
            FTPdLite(**{{name: value}})
            print(name, text, "taken", sep="|")
        except (TypeError, ValueError) as error:
            if not str(error).startswith(name) or " must be " not in str(error):
                print(name, text, error, sep="|")
"""
    code, output = run_micropython(tmp_path, program, heap="1m")
    assert code == 0, output
    # MicroPython prints a warning where bytes and str are compared.
    found = {tuple(line.split("|", 2)) for line in output.splitlines() if not line.startswith("Warning")}
    assert found == {(name, value, "taken") for name, values in TAKES.items() for value in values}


def test_the_settings_are_all_there_are():
    from test_configuration import REAL

    assert sorted(TAKES) == sorted(name for name, _ in REAL)


def test_what_is_wrong_with_a_port_range_is_told(tmp_path):
    program = """\
from ftpdlite import FTPdLite
for value in 5, range(0), range(0, 10), [50000, "x"]:
    try:
        FTPdLite(pasv_port_range=value)
    except ValueError as error:
        print(error)
"""
    no_range = "pasv_port_range must be a range of ports, such as range(49152, 49407)\n"
    no_port = "pasv_port_range: each port must be an integer from 1 to 65535\n"
    assert run_micropython(tmp_path, program) == (0, 2 * no_range + 2 * no_port)


@pytest.mark.parametrize(
    "entry, taken",
    [
        ("'a:b'", True),
        ("'a:'", True),
        ("'a:b:c'", True),
        ("'ü' * 20 + ':x'", True),
        ("'ü' * 21 + ':x'", False),
        ("'x' * 41 + ':x'", False),
        ("'a:' + 'ü' * 127", True),
        ("'a:' + 'ü' * 128", False),
        ("'a:' + 'x' * 256", False),
        (r"'a:b\n'", False),
        (r"'a\r:b'", False),
        ("':b'", False),
        ("'a'", False),
        ("''", False),
        ("b'a:b'", False),
        ("5", False),
        ("None", False),
    ],
)
def test_an_account_that_nobody_could_use_is_refused(tmp_path, entry, taken):
    program = f"""\
from ftpdlite import FTPdLite
server = FTPdLite()
entry = {entry}
print(server.add_account(entry))
try:
    server.credentials = entry
    print(server.credentials == entry)
except ValueError as error:
    print("credentials must be" not in str(error))
"""
    # None is no account at all.
    expected = f"{taken}\n{taken or entry == 'None'}\n"
    assert run_micropython(tmp_path, program) == (0, expected)


@pytest.mark.parametrize("secret", ["ü" * 127, "x" * 255], ids=["umlauts", "letters"])
def test_the_longest_names_and_passwords_can_log_in(start_server, secret):
    name = "ü" * 20
    program = (
        "from ftpdlite import FTPdLite\n"
        "s = FTPdLite(host={host!r}, port={port}, root={root!r}, pasv_port_range=range({first}, {last} + 1))\n"
        f's.credentials = "{name}:{secret}"\n'
        "s.run()\n"
    )
    server = start_server(program=program)
    with Control(server.host, server.port).login(name, secret) as control:
        control("QUIT")


@pytest.mark.parametrize(
    "host, told",
    [
        ("nonsense.invalid", "host must be an address, or a name that is known: nonsense.invalid"),
        ("127.0.0.1:2121", "host must be an address, or a name that is known: 127.0.0.1:2121"),
        ("127.0.0.1\n", "host must be an address, or a name that is known: 127.0.0.1\n"),
        ("192.0.2.7", "cannot listen on host 192.0.2.7, port {port}"),
    ],
)
def test_a_host_where_it_cannot_listen_is_named(tmp_path, host, told):
    port = free_ports(1)
    program = f"""\
from ftpdlite import FTPdLite
try:
    FTPdLite(host={host!r}, port={port}).run()
except OSError as error:
    print(repr(error.args[-1]), len(error.args), error.errno == error.args[0])
"""
    code, output = run_micropython(tmp_path, program)
    assert code == 0 and output.splitlines()[-1] == f"{told.format(port=port)!r} 2 True", output


def test_a_port_that_is_taken_is_named(tmp_path, start_server):
    server = start_server()
    program = f"""\
from ftpdlite import FTPdLite
try:
    FTPdLite(host="127.0.0.1", port={server.port}).run()
except OSError as error:
    print("OSError", error.errno)
    print(error)
"""
    code, output = run_micropython(tmp_path, program)
    told = f"[Errno 98] EADDRINUSE: cannot listen on host 127.0.0.1, port {server.port}"
    assert code == 0 and output.splitlines()[-2:] == ["OSError 98", told], output
    # The server that has the port goes on.
    server.login().close()


@pytest.mark.parametrize("arguments", ["5", "2121", "None, None, 5", "True"])
def test_run_says_what_it_takes(tmp_path, arguments):
    program = f"""\
from ftpdlite import FTPdLite
try:
    FTPdLite().run({arguments})
except TypeError as error:
    print(error)
"""
    assert run_micropython(tmp_path, program) == (0, "host must be a str or None, and loop an asyncio loop\n")


def test_a_wrong_time_to_wait_stops_nothing(tmp_path):
    program = f"""\
from ftpdlite import FTPdLite
import asyncio


async def main():
    server = FTPdLite(host="127.0.0.1", port={free_ports(1)}, log=lambda line: None)
    await server.start()
    for wait in "x", None, []:
        try:
            await server.stop(wait)
            print("stopped")
        except (TypeError, ValueError):
            # It still accepts.
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            print((await reader.readline())[:3])
            writer.close()
            await writer.wait_closed()
    for wait in -1, 0.05, 0:
        await server.stop(wait)
        await server.start()
    await server.stop()


asyncio.run(main())
"""
    assert run_micropython(tmp_path, program) == (0, "b'220'\n" * 3)
