"""The Python API: programs written for either era of the original run unchanged, and asyncio programs embed the server."""

import ftplib

import pytest
from server import ARCHITECTURE, DIST, run_micropython, wait_until

# -- the first era: FTPdLite(), credentials, run(host, port)

FIRST_ERA = """\
class wlan:
    ifconfig = staticmethod(lambda: ({host!r}, "255.0.0.0"))

from ftpdlite import FTPdLite

server = FTPdLite({arguments})
{credentials}
server.run(host=wlan.ifconfig()[0], port={port})
"""


def first_era(credentials="", arguments=""):
    return FIRST_ERA.replace("{credentials}", credentials).replace("{arguments}", arguments)


def test_the_originals_readme(start_server, tmp_path):
    server = start_server(program=first_era('server.credentials = "username:password"'))
    (tmp_path / "file").write_bytes(b"content")
    with server.login("username:password") as control:
        assert control("PWD") == '257 "/" is the current directory.'
        # "/" is the root of the whole file system.
        control.expect(f"CWD {tmp_path}", "250")
        assert control.retrieve("RETR file") == b"content"
        control.store("STOR new", b"full access")
    assert (tmp_path / "new").read_bytes() == b"full access"
    assert "WARNING" not in server.output()
    with server.connect() as control:
        control.reply()
        control.expect("USER Felicia", "331")
        control.expect("PASS Friday", "530")


def test_without_credentials_felicia_comes_on_friday_with_a_warning(start_server):
    server = start_server(program=first_era())
    with server.login("Felicia:Friday") as control:
        control.expect("MKD /nowhere/at/all", "550 No such file")
    assert "WARNING" in server.output()


def test_the_password_is_all_that_follows_the_first_colon(start_server):
    server = start_server(program=first_era('server.credentials = "me:pass:word: with blanks "'))
    server.login("me:pass:word: with blanks ").close()


def test_an_empty_password_is_one(start_server):
    server = start_server(program=first_era('server.credentials = "me:"'))
    server.login("me:").close()


def test_the_first_eras_constructor_arguments(start_server):
    arguments = 'request_buffer_size=600, pasv_port_range=range({first}, {last}), server_name="Flying files"'
    server = start_server(program=first_era('server.credentials = "a:b"', arguments), passive_ports=3)
    with server.connect() as control:
        assert control.reply() == "220 Flying files"
        control.expect("USER a", "331")
        control.expect("PASS b", "230")
        assert control("STAT").startswith("211-Flying files\n")
        assert int(control("EPSV").split("|")[3]) in range(server.port + 1, server.port + 3)


# -- the second era: FTPd and FTPdLite, positional arguments, add_account, run(loop, debug)

SECOND_ERA = """\
from ftpdlite import {cls}

server = {cls}({host!r}, {port}, "Second era", range({first}, {last} + 1))
{accounts}
server.run({run})
"""

ACCOUNTS = """\
print(server.add_account("admin:first"), server.add_account("reader:second"))
"""


def second_era(accounts=ACCOUNTS, run="", cls="FTPd"):
    return SECOND_ERA.replace("{accounts}", accounts).replace("{run}", run).replace("{cls}", cls)


@pytest.mark.parametrize("cls", ["FTPd", "FTPdLite"])
def test_the_first_account_may_write_the_others_may_read(start_server, tmp_path, cls):
    server = start_server(program=second_era(cls=cls))
    assert server.output().startswith("True True\n")
    with server.login("admin:first") as admin, server.login("reader:second") as reader:
        admin.expect(f"CWD {tmp_path}", "250")
        reader.expect(f"CWD {tmp_path}", "250")
        admin.store("STOR file", b"content")
        assert reader.retrieve("RETR file") == b"content"
        for command in ("STOR other", "APPE file", "DELE file", "MKD x", "RMD x", "RNFR file", "SITE KICK admin", "SITE SHUTDOWN -h"):
            reader.expect(command, "550 Permission denied.")


def test_attributes_set_after_construction_count(start_server):
    server = start_server(program=second_era(ACCOUNTS + "server.max_connections = 1\nserver.request_buffer_size = 1024"))
    with server.login("admin:first"), server.connect() as second:
        assert second.reply().startswith("421 ")


@pytest.mark.parametrize("user", ["anybody", "ftpadmin"])
def test_without_accounts_anyone_logs_in_and_ftpadmin_may_write(start_server, tmp_path, user):
    server = start_server(program=second_era(accounts=""))
    with server.connect() as control:
        control.reply()
        assert control(f"USER {user}") == f"230 User {user} logged in."
        control.expect(f"CWD {tmp_path}", "250")
        control.expect("MKD new", "257" if user == "ftpadmin" else "550 Permission denied.")
    assert "WARNING" in server.output()


@pytest.mark.parametrize(
    "entry, expected",
    [
        ("user:password", True),
        ("user:pass:word", True),
        ("user:", True),
        ("user:$5a$./AZaz09saltSALT$kyGnpbCSZPOlzuxM9hXqOuTVDeYj+AfSMrTf7ikWplQ=", True),
        ("user:$5a$short$hash", False),
        ("password only", False),
        (":password", False),
        ("", False),
        (None, False),
        (5, False),
        (b"user:password", False),
    ],
)
def test_add_account_tells_whether_the_entry_is_well_formed(tmp_path, entry, expected):
    program = f"from ftpdlite import FTPd\nprint(FTPd().add_account({entry!r}))"
    assert run_micropython(tmp_path, program) == (0, f"{expected}\n")


# Made with openssl: SHA-256 of AES-128-ECB, the salt being the key, of the password and zero bytes up to the next multiple of 16.
@pytest.mark.parametrize(
    "password, hashed",
    [
        ("correct horse", "$5a$./AZaz09saltSALT$kyGnpbCSZPOlzuxM9hXqOuTVDeYj+AfSMrTf7ikWplQ="),
        ("exactly16bytes!!", "$5a$./AZaz09saltSALT$vMLTGvp65BdsRiBfb/Ecs4pgdJRvJQCyAIs5WAc9r+Y="),
        ("größer", "$5a$./AZaz09saltSALT$MoGyUDMGX6PPFzkHNg6pmXDUxYUEn0KAOmu5NFSJ4NE="),
    ],
)
def test_a_password_may_be_a_hash(start_server, password, hashed):
    server = start_server(program=second_era(f"server.login_delay = 0\nserver.add_account('me:{hashed}')"))
    server.login(f"me:{password}").close()
    for wrong in (password + "x", hashed, ""):
        with server.connect() as control:
            control.reply()
            control.expect("USER me", "331")
            control.expect(f"PASS {wrong}", "530")


def test_what_site_hashpass_gives_is_a_password(start_server):
    first = start_server()
    with first.login() as control:
        hashes = [control("SITE HASHPASS open sesame").removeprefix("211 ") for _ in range(2)]
    assert hashes[0] != hashes[1], "the salt is no salt"
    second = start_server(program=second_era(f"server.add_account('me:{hashes[0]}')"))
    second.login("me:open sesame").close()


@pytest.mark.parametrize("run", ["None, True", "debug=True", "loop=None, debug=True"])
def test_debug_shows_commands_and_replies_and_never_a_password(start_server, run):
    server = start_server(program=second_era("server.login_delay = 0\nserver.add_account('me:sesame')", run))
    with server.connect() as control:
        control.reply()
        control.expect("USER me", "331")
        control.expect("pass open-barley", "530")
        control.expect(" \tPASS open-oats", "5")
        control.expect("USER me", "331")
        control.expect("PASS sesame", "230")
        control.expect("PWD", "257")
        control.expect("QUIT", "221")
    wait_until(lambda: "221 Bye, me." in server.output())
    output = server.output()
    for shown in ("USER me", "331 Password required for me.", "PASS ********", "230 User me logged in.", "PWD", '257 "/"'):
        assert shown in output, output
    for secret in ("sesame", "open-barley", "open-oats"):
        assert secret not in output, output


def test_debug_shows_no_password_that_is_hashed(start_server):
    server = start_server(debug=True)
    with server.login() as control:
        control.expect("SITE HASHPASS open-rye", "211")
        control("SITE  hashpass open-rye")
        control(" site hashpass open-rye")
        control.expect("SIZE pass.txt", "550")
        control.expect("QUIT", "221")
    wait_until(lambda: "221 Bye" in server.output())
    assert "open-rye" not in server.output() and "SIZE pass.txt" in server.output()


def test_nothing_is_shown_without_debug_but_who_came_and_went(start_server):
    server = start_server()
    ftp = ftplib.FTP()
    ftp.connect(server.host, server.port)
    address = ftp.sock.getsockname()
    ftp.login("tester", "secret")
    ftp.quit()
    wait_until(lambda: "disconnected" in server.output())
    assert server.output() == (
        f"Listening on 127.0.0.1:{server.port}\n"
        f"INFO: Connection from client: 127.0.0.1:{address[1]}\n"
        "INFO: Session disconnected: tester@127.0.0.1\n"
    )


# -- asyncio programs

EMBEDDED = """\
import asyncio
from ftpdlite import FTPdLite

async def count():
    global counted
    while True:
        counted += 1
        await asyncio.sleep_ms(1)

async def until(path):
    import os
    while not path in os.listdir({root!r}):
        await asyncio.sleep_ms(5)

async def main():
    server = FTPdLite(host={host!r}, port={port}, root={root!r}, pasv_port_range=range({first}, {last} + 1))
    server.add_account("tester:secret")
    other = asyncio.create_task(count())
    await server.start()
    await until("first")
    await server.stop()
    print("Stopped, sessions:", server.sessions)
    await until("again")
    await server.start()
    await until("last")
    await server.stop()
    other.cancel()
    print("The other task counted:", counted > 10)

counted = 0
asyncio.run(main())
print("The end.")
"""


def test_start_and_stop_beside_another_task(start_server):
    # MICROPYPATH hides what is frozen into the runtime, for instance asyncio, unless it names that, too.
    server = start_server(program=EMBEDDED, modules=f"{DIST}:.frozen")
    with server.login() as control:
        with control.data(receive_buffer=4096) as data:
            # A transfer that is under way does not keep the server from stopping.
            with open(server.root / "big", "wb") as file:
                file.truncate(64 << 20)
            control.expect("RETR big", "150")
            data.recv(10)
            (server.root / "first").touch()
            assert control.reply().startswith("426 ")
            assert control.reply().startswith("421 ")
            assert control.line() is None
    server.wait_for_output("Stopped, sessions: []")
    with pytest.raises(ConnectionRefusedError):
        server.connect()
    # Only the listener is gone. Nothing else is open that was not open when the first client came.
    wait_until(lambda: len(server.open_files()) == server.idle_files - 1, lambda: str(server.open_files()))

    (server.root / "again").touch()
    wait_until(lambda: server.output().count("Listening on") == 2)
    with server.login() as control:
        control.store("STOR file", b"content")
    # The program stops as soon as it sees this file. It cannot be the upload itself, because that would be cut off.
    (server.root / "last").touch()
    assert server.process.wait(20) == 0
    assert server.output().endswith("The other task counted: True\nThe end.\n")


def test_ctrl_c_closes_everything_before_keyboard_interrupt_leaves_run(start_server):
    program = """\
from ftpdlite import FTPdLite
import os

server = FTPdLite(host={host!r}, port={port}, root={root!r})
server.add_account("tester:secret")
try:
    server.run()
except KeyboardInterrupt:
    print("sessions:", server.sessions, "open:", len(os.listdir("/proc/self/fd")))
    raise
"""
    server = start_server(program=program)
    idle = server.idle_files
    with server.login() as control, server.login() as other, other.data():
        # Ctrl-C interrupts Python code wherever it is. So the server must be waiting for the next command.
        wait_until(server.is_asleep)
        server.stop()
        assert control.reply().startswith("421 ") and control.line() is None
        assert other.reply().startswith("421 ") and other.line() is None
    # The listener is closed; reading /proc/self/fd opens one for itself.
    assert f"sessions: [] open: {idle}\n" in server.output()


# -- errors

WRONG = [
    ("host", "5"),
    ("port", "0"),
    ("port", "65536"),
    ("port", "'21'"),
    ("port", "None"),
    ("server_name", "5"),
    ("server_name", "'two\\r\\nlines'"),
    ("pasv_port_range", "5"),
    ("pasv_port_range", "range(0)"),
    ("pasv_port_range", "range(0, 10)"),
    ("pasv_port_range", "range(65530, 65540)"),
    ("pasv_port_range", "[50000, 'x', 50001]"),
    ("request_buffer_size", "0"),
    ("request_buffer_size", "'512'"),
    ("max_connections", "0"),
    ("max_connections", "2.5"),
    ("root", "'/nowhere/at/all'"),
    ("root", "'/dev/null'"),
    ("root", "5"),
    ("masquerade_address", "'ftp.example'"),
    ("masquerade_address", "'300.0.2.1'"),
    ("masquerade_address", "5"),
    ("allow_foreign_data", "'no'"),
    ("idle_timeout", "-1"),
    ("data_timeout", "'soon'"),
    ("stall_timeout", "1.5"),
    ("login_delay", "-1"),
    ("transfer_buffer_size", "0"),
    ("no_such_argument", "5"),
]


@pytest.fixture(scope="module")
def complaints(tmp_path_factory):
    """What constructing a server with each of WRONG says, by its index."""
    cases = ",\n".join(f"    lambda cls: cls({name}={value})" for name, value in WRONG)
    program = f"""\
from ftpdlite import FTPd, FTPdLite
for case in [
{cases}
]:
    for cls in FTPdLite, FTPd:
        try:
            case(cls)
            print("nothing")
        except Exception as error:
            print(type(error).__name__, error)
"""
    code, output = run_micropython(tmp_path_factory.mktemp("wrong"), program)
    assert code == 0, output
    return output.splitlines()


@pytest.mark.parametrize("index", range(len(WRONG)), ids=[f"{name}={value}" for name, value in WRONG])
def test_a_wrong_argument_raises_at_construction_and_names_itself(complaints, index):
    name, _ = WRONG[index]
    assert len(complaints) == 2 * len(WRONG)
    for complaint in complaints[2 * index : 2 * index + 2]:
        kind, _, text = complaint.partition(" ")
        assert kind in ("ValueError", "TypeError") and name in text, complaint


def test_credentials_that_are_none_raise_and_name_themselves(tmp_path):
    program = """\
from ftpdlite import FTPdLite
for wrong in "no colon", ":no name", 5, b"user:password":
    try:
        FTPdLite().credentials = wrong
        print("nothing")
    except (ValueError, TypeError) as error:
        print("credentials" in str(error))
"""
    assert run_micropython(tmp_path, program) == (0, "True\n" * 4)


def test_a_panic_in_rust_is_a_python_exception(tmp_path):
    program = f"""\
from ftpdlite import native_{ARCHITECTURE} as native
for _ in range(3):
    try:
        native._panic(None)
        print("nothing")
    except RuntimeError as error:
        print("RuntimeError", bool(str(error)))
print("still here")
"""
    assert run_micropython(tmp_path, program) == (0, "RuntimeError True\n" * 3 + "still here\n")
