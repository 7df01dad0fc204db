"""Accounts: what each may do and see, hashed passwords, limits, and what becomes of guessing."""

import pytest
from server import run_micropython, wait_until

PROGRAM = """\
import os
from ftpdlite import FTPdLite

s = FTPdLite(host={host!r}, port={port}, root={root!r}, pasv_port_range=range({first}, {last} + 1){settings})
s.add_account("admin:first")
s.add_account("reader:second")
s.add_account("writer:third", permissions="rw")
os.mkdir({root!r} + "/inner")
s.add_account("dropbox:fourth", permissions="write,mkdir", home={root!r} + "/inner")
s.add_account("single:fifth", permissions="ro", max_sessions=1)
s.run()
"""

COMMANDS = {
    "read": ["RETR file", "LIST", "NLST", "MLSD", "SIZE file", "MDTM file", "HASH file"],
    "write": ["STOR new", "APPE file", "STOU", "ALLO 1"],
    "delete": ["DELE file", "RMD folder"],
    "mkdir": ["MKD another"],
    "rename": ["RNFR file"],
    "site": ["SITE KICK nobody", "SITE SHUTDOWN -x"],
}


@pytest.fixture
def accounts(start_server):
    server = start_server(program=PROGRAM)
    (server.root / "file").write_bytes(b"content")
    (server.root / "inner/own").write_bytes(b"its own")
    yield server
    server.assert_nothing_leaked("admin:first")


@pytest.mark.parametrize(
    "account, allowed",
    [
        ("admin:first", "read write delete mkdir rename site"),
        ("reader:second", "read"),
        ("writer:third", "read write delete mkdir rename"),
        ("dropbox:fourth", "write mkdir"),
    ],
)
def test_permissions(accounts, account, allowed):
    with accounts.login(account) as control, accounts.login("admin:first") as other:
        control.expect("TYPE I", "200")
        for permission, commands in COMMANDS.items():
            if permission in allowed.split():
                continue
            for command in commands:
                assert control(command) == "550 Permission denied.", command
                assert other.retrieve("RETR file") == b"content"
        if "write" in allowed:
            control.store("STOR new", b"new")
        if "mkdir" in allowed:
            control.expect("MKD another", "257")
        if "site" in allowed:
            control.expect("SITE KICK nobody", "550 No such session.")


def test_a_home_is_the_root_of_its_account(accounts):
    with accounts.login("dropbox:fourth") as control:
        assert control("PWD") == '257 "/" is the current directory.'
        control.store("STOR /here", b"content")
        assert control("CWD ../..") == '250 Directory changed to "/".'
        control.store("STOR ../../up", b"content")
        assert control("CWD /inner").startswith("550 ")
    assert sorted(path.name for path in (accounts.root / "inner").iterdir()) == ["here", "own", "up"]


def test_an_account_has_so_many_sessions(accounts):
    with accounts.login("single:fifth"):
        with accounts.connect() as second:
            second.reply()
            second.expect("USER single", "331")
            assert second("PASS fifth") == "530 Too many sessions of this user."
            # That is no failed login, and other accounts may come in.
            second.expect("USER reader", "331")
            second.expect("PASS second", "230")
    with accounts.login("single:fifth") as control:
        control.expect("NOOP", "200")


def test_sessions_of_one_address(start_server):
    server = start_server(max_per_address=3)
    with server.login() as one, server.login("guest:guest"):
        with server.login():
            with server.connect() as fourth:
                assert fourth.reply() == "421 Too many connections."
            one.expect("NOOP", "200")

        def another_comes_in():
            with server.connect() as control:
                return control.reply().startswith("220")

        wait_until(another_comes_in, server.describe)


def test_sessions_of_one_user(start_server):
    server = start_server(max_per_user=2)
    with server.login(), server.login(), server.connect() as third:
        third.reply()
        third.expect("USER tester", "331")
        assert third("PASS secret") == "530 Too many sessions of this user."
        third.expect("USER guest", "331")
        third.expect("PASS guest", "230")
    server.assert_nothing_leaked()


def test_anonymous(start_server, tmp_path):
    public = tmp_path / "public"
    public.mkdir()
    (public / "file").write_bytes(b"for all")
    server = start_server(anonymous=str(public))
    (server.root / "secret").touch()
    for user in ("anonymous", "ftp", "Anonymous"):
        with server.login(f"{user}:me@example.com") as control:
            assert control.retrieve("NLST") == b"file\r\n"
            assert control.retrieve("RETR file") == b"for all"
            control.expect("TYPE I", "200")
            assert control("STOR new") == "550 Permission denied."
            assert control("DELE file") == "550 Permission denied."
    with server.login() as control:
        assert control.retrieve("NLST") == b"secret\r\n"


def test_anonymous_alone_lets_nobody_else_in(start_server, tmp_path):
    program = PROGRAM.split("s.add_account", 1)[0].replace("FTPdLite", "FTPd") + "s.run()\n"
    server = start_server(program=program, anonymous=str(tmp_path))
    with server.connect() as control:
        control.reply()
        for user in ("ftpadmin", "somebody"):
            control.expect(f"USER {user}", "331")
            control.expect("PASS x", "530")
        control.expect("USER ftp", "331")
        control.expect("PASS x", "230")


def test_guessing_is_cut_off_for_a_while(start_server):
    server = start_server(max_login_failures=4, lockout=2)
    with server.login() as control:
        for _ in range(2):
            with server.connect() as guesser:
                guesser.reply()
                for _ in range(2):
                    guesser.expect("USER tester", "331")
                    guesser.expect("PASS wrong", "530")
        with server.connect() as refused:
            assert refused.reply() == "421 Too many failed logins, try again later."
        # Who is in already goes on.
        control.expect("NOOP", "200")
        control.store("STOR file", b"content")

    def is_let_in():
        with server.connect() as control:
            return control.reply().startswith("220")

    wait_until(is_let_in, server.describe)
    with server.login() as control:
        control.expect("NOOP", "200")


@pytest.mark.parametrize(
    "password, hashed",
    [
        # Made with Python's hashlib.pbkdf2_hmac.
        ("secret", "$pbkdf2-sha256$1000$AAECAwQFBgcICQoLDA0ODw$XRJ.dKDPMvsZ8xwOlREwYBlKBSVU0tCvuNBVK2PDc8k"),
    ],
)
def test_a_password_may_be_hashed_with_pbkdf2(start_server, password, hashed):
    import base64
    import hashlib

    _, _, rounds, salt, key = hashed.split("$")
    salt = base64.b64decode(salt.replace(".", "+") + "==")
    made = base64.b64encode(hashlib.pbkdf2_hmac("sha256", password.encode(), salt, int(rounds))).decode()
    hashed = hashed.replace(key, made.rstrip("=").replace("+", "."))
    program = PROGRAM.replace('"admin:first"', repr(f"admin:{hashed}"))
    server = start_server(program=program)
    with server.login(f"admin:{password}") as control:
        control.expect("NOOP", "200")
    with server.connect() as control:
        control.reply()
        for wrong in (password + "x", hashed):
            control.expect("USER admin", "331")
            control.expect(f"PASS {wrong}", "530")
    with server.login("reader:second") as control:
        told = control("SITE HASHPASS open sesame").removeprefix("211 ")
        # Others are served while it is made.
        control.send(b"SITE HASHPASS x\r\n")
        with server.login("writer:third") as other:
            other.expect("NOOP", "200")
        assert control.reply().startswith("211 $pbkdf2-sha256$")
    _, _, rounds, salt, key = told.split("$")
    salt = base64.b64decode(salt.replace(".", "+") + "==")
    assert base64.b64encode(hashlib.pbkdf2_hmac("sha256", b"open sesame", salt, int(rounds))).decode().rstrip("=") == key.replace(".", "+")


@pytest.mark.parametrize(
    "arguments, told",
    [
        ("'a:b', permissions='all'", "permissions must be 'ro', 'rw', or some of read,write,delete,mkdir,rename,site"),
        ("'a:b', permissions=3", "permissions must be"),
        ("'a:b', home='/nowhere'", "home must be a folder that exists: /nowhere"),
        ("'a:b', max_sessions=0", "max_sessions must be an integer from 1 to 1000"),
    ],
)
def test_wrong_accounts_are_told_by_their_argument(tmp_path, arguments, told):
    code, output = run_micropython(tmp_path, f"from ftpdlite import FTPdLite\nFTPdLite().add_account({arguments})")
    assert code == 1 and "ValueError: " + told in output, output


@pytest.mark.parametrize(
    "entry", ["a:$pbkdf2-sha256$0$AAAA$AAAA", "a:$pbkdf2-sha256$x$AAAA$AAAA", "a:$pbkdf2-sha256$1$AAAA", "a:$pbkdf2-sha256$1$AAAA$" + "A" * 42]
)
def test_a_hash_that_is_none_is_told(tmp_path, entry):
    code, output = run_micropython(tmp_path, f"from ftpdlite import FTPdLite\nprint(FTPdLite().add_account({entry!r}))")
    assert code == 0 and output.strip() == "False", output
