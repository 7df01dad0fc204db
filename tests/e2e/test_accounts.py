"""Accounts: what each may do and see, hashed passwords, limits, and guessed passwords."""

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
    "read": ["RETR file", "LIST", "NLST", "MLSD", "SIZE file", "MDTM file", "HASH file", "STAT file", "STAT -l", "STAT /", "AVBL", "AVBL /"],
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
        # Anyone may see the state of his own session.
        control.expect("STAT", "211-")


def test_a_home_is_the_root_of_its_account(accounts):
    with accounts.login("dropbox:fourth") as control:
        assert control("PWD") == '257 "/" is the current directory.'
        control.store("STOR /here", b"content")
        assert control("CWD ../..") == '250 Directory changed to "/".'
        control.store("STOR ../../up", b"content")
        assert control("CWD /inner").startswith("550 ")
    assert sorted(path.name for path in (accounts.root / "inner").iterdir()) == ["here", "own", "up"]


@pytest.mark.parametrize("now", ["a folder", "missing", "a file"])
def test_a_home_itself_is_not_the_accounts(start_server, now):
    """Its name is in a folder that belongs to others. It may be gone, or be something else, while its account is logged in."""
    server = start_server(program=PROGRAM.replace('permissions="write,mkdir"', 'permissions="rw"'))
    home = server.root / "inner"
    with server.login("dropbox:fourth") as control:
        if now != "a folder":
            home.rmdir()
        if now == "a file":
            home.write_bytes(b"content of others")
        for command in ("DELE /", "RMD /", "RNFR /", "DELE .", "RMD ..", "RNFR ../../"):
            assert control(command).startswith("550 "), command
            assert control("RNTO other").startswith("503 "), command
        for command in ("STOR /", "APPE /", "STOR .", "APPE .."):
            with control.data():
                assert control(command).startswith("550 "), command
            control.expect("REST 3", "350")
            with control.data():
                assert control(command)[:4] in ("550 ", "554 "), command
        (server.root / "file").write_bytes(b"content")
        control.expect("NOOP", "200")
    assert home.is_dir() if now == "a folder" else not home.exists() if now == "missing" else home.read_bytes() == b"content of others"
    assert sorted(path.name for path in server.root.iterdir() if path != home) == ["file"]


def test_an_account_has_so_many_sessions(accounts):
    with accounts.login("single:fifth"):
        with accounts.connect() as second:
            second.reply()
            second.expect("USER single", "331")
            assert second("PASS fifth") == "530 Too many sessions of this user."
            # That does not count as a failed login, and other accounts can still log in.
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


def test_a_name_without_its_password_is_no_session_of_that_user(start_server):
    server = start_server(program=PROGRAM, max_per_user=1)
    with server.connect() as claims, server.connect() as claims_too:
        for control in (claims, claims_too):
            control.reply()
            control.expect("USER admin", "331")
        claims_too.expect("USER single", "331")
        # Neither limit counts them.
        with server.login("admin:first"), server.login("single:fifth"):
            assert claims("PASS first") == "530 Too many sessions of this user."
            assert claims_too("PASS fifth") == "530 Too many sessions of this user."
        # A USER with another name and a wrong password are not counted, either.
        claims.expect("USER single", "331")
        claims.expect("PASS wrong", "530")
        with server.login("single:fifth") as control:
            control.expect("NOOP", "200")
            # A client that was logged in and sends another USER is logged out.
            control.expect("USER reader", "331")
            with server.login("reader:second") as other, server.login("single:fifth"):
                # A USER with the name of an account that has one session does not count, either.
                other.expect("USER writer", "331")
                with server.login("writer:third"):
                    pass
    server.assert_nothing_leaked("admin:first")


def test_kick_ends_sessions_that_are_logged_in_as_that_user(start_server):
    server = start_server()
    with server.login() as admin, server.login("guest:guest") as guest, server.connect() as claims:
        claims.reply()
        claims.expect("USER guest", "331")
        assert admin("SITE KICK guest") == "200 Sessions ended: 1."
        assert guest.reply() == "421 Session ended by the administrator."
        assert guest.line() is None
        assert admin("SITE KICK guest") == "550 No such session."
        claims.expect("PASS guest", "230")
        assert admin("SITE KICK guest") == "200 Sessions ended: 1."
        # With an address, all its sessions end.
        with server.connect(source="127.0.0.2") as there:
            there.reply()
            there.expect("USER guest", "331")
            assert admin("SITE KICK 127.0.0.2") == "200 Sessions ended: 1."
            assert there.reply() == "421 Session ended by the administrator."
        admin.expect("NOOP", "200")
    server.assert_nothing_leaked()


def test_ftp_and_anonymous_are_one_account(start_server, tmp_path):
    server = start_server(anonymous=str(tmp_path), max_per_user=2)
    with server.login("ftp:x"), server.login("Anonymous:x") as second, server.connect() as third:
        third.reply()
        for user in ("anonymous", "ftp", "FTP", "ANONYMOUS"):
            third.expect(f"USER {user}", "331")
            assert third("PASS x") == "530 Too many sessions of this user."
        second.expect("QUIT", "221")

        def is_let_in():
            third.expect("USER FTP", "331")
            return third("PASS x").startswith("230")

        wait_until(is_let_in, server.describe)


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
        # A session that is logged in already goes on.
        control.expect("NOOP", "200")
        control.store("STOR file", b"content")

    def is_let_in():
        with server.connect() as control:
            return control.reply().startswith("220")

    wait_until(is_let_in, server.describe)
    with server.login() as control:
        control.expect("NOOP", "200")


LOCKED = "421 Too many failed logins, try again later."


def guess(server, count, address, user="tester"):
    """Makes that many failed logins from that address."""
    while count:
        with server.connect(source=address) as control:
            assert control.reply().startswith("220"), f"{address} is locked before its time"
            for _ in range(min(count, 2)):
                control.expect(f"USER {user}", "331")
                control.expect("PASS wrong", "530")
                count -= 1


def is_refused(server, address):
    with server.connect(source=address) as control:
        greeting = control.reply()
        assert greeting == LOCKED or greeting.startswith("220"), greeting
        return greeting == LOCKED


@pytest.mark.parametrize("own", ["guest:guest", "ftp:x"])
def test_a_login_that_succeeds_does_not_forgive_the_guesses_of_its_address(start_server, tmp_path, own):
    server = start_server(max_login_failures=5, anonymous=str(tmp_path))
    for _ in range(2):
        guess(server, 2, "127.0.0.2")
        with server.login(own, source="127.0.0.2") as control:
            control.expect("NOOP", "200")
    guess(server, 1, "127.0.0.2")
    assert is_refused(server, "127.0.0.2")
    # Other addresses are not refused.
    assert not is_refused(server, "127.0.0.3") and not is_refused(server, "127.0.0.1")


def test_a_session_opened_before_the_lock_is_locked_too(start_server):
    server = start_server(max_login_failures=4)
    with server.connect(source="127.0.0.2") as early, server.connect(source="127.0.0.2") as named, server.login(source="127.0.0.2") as inside:
        early.reply(), named.reply()
        named.expect("USER tester", "331")
        guess(server, 4, "127.0.0.2", user="guest")
        for control, commands in ((early, b"USER tester\r\nPASS secret\r\n"), (named, b"PASS secret\r\n")):
            control.send(commands)
            replies = []
            while reply := control.reply():
                replies.append(reply)
            assert replies[-1] == LOCKED and not any(reply.startswith("230") for reply in replies), replies
        # A session that is logged in already goes on.
        inside.expect("PWD", "257")
    server.assert_nothing_leaked()


def test_guesses_from_many_addresses_count_for_the_account(start_server):
    server = start_server(max_login_failures=5)
    # One address after the other, each below its limit. Then the limit of the account is reached.
    for number in (2, 3):
        guess(server, 3, f"127.0.0.{number}")
    # An address that has guessed cannot use that account any more, even with the right password.
    for number in (2, 3):
        with server.connect(source=f"127.0.0.{number}") as control:
            assert control.reply().startswith("220")
            control.expect("USER tester", "331")
            reply = control("PASS secret")
            assert reply.startswith(("530", "421")), reply
    # The owner can, from another address, even after one or two mistakes.
    with server.login(source="127.0.0.4") as control:
        control.expect("NOOP", "200")
    guess(server, 2, "127.0.0.5")
    with server.login(source="127.0.0.5") as control:
        control.expect("NOOP", "200")
    # Other accounts are not locked.
    with server.connect(source="127.0.0.3") as control:
        control.reply()
        control.expect("USER guest", "331")
        reply = control("PASS guest")
        assert reply.startswith("230") or is_refused(server, "127.0.0.3"), reply
    with server.login("guest:guest", source="127.0.0.6") as control:
        control.expect("NOOP", "200")


def test_an_account_is_unlocked_after_a_while(start_server):
    server = start_server(max_login_failures=4, lockout=2)
    for number in (2, 3):
        guess(server, 3, f"127.0.0.{number}")

    def is_let_in():
        with server.connect(source="127.0.0.2") as control:
            control.send(b"USER tester\r\nPASS secret\r\n")
            return [control.reply()[:3] for _ in range(3)] == ["220", "331", "230"]

    wait_until(is_let_in, server.describe)


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
        ("'a:b', home=5", "home must be a folder that exists: 5"),
        ("'a:b', home=b'/'", "home must be a folder that exists: b'/'"),
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
