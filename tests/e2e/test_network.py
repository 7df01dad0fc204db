"""The address that PASV announces when `host` does not give it: from the interfaces of `network`, or on Linux from the system.

The interfaces are stubs with addresses of the loopback network, all of which a client can reach.
"""

import contextlib
import re
import socket

import pytest
from control import Control, data_connection, read_all
from server import DIST, needs_ipv6

# The program: {platform} is what sys.platform says, {host} the argument, or nothing.
MAIN = """\
import sys

class Board:
    platform = {platform}

    def __init__(self, real):
        self._real = real

    def __getattr__(self, name):
        return getattr(self._real, name)

if Board.platform:
    sys.modules["sys"] = Board(sys)

from ftpdlite import FTPdLite

s = FTPdLite(port={{port}}, root={{root!r}}, pasv_port_range=range({{first}}, {{last}} + 1){{settings}})
s.add_account("tester:secret")
s.run({run})
"""

# The beginning of every stub. An interface is (address, mask), or the exception that it raises.
STUB = """\
class Interface:
    def __init__(self, told):
        if isinstance(told, type):
            raise told("no such interface")
        self._told = told

    def active(self, *_):
        return True

    def isconnected(self):
        return True

    def ifconfig(self, *_):
        if isinstance(self._told, Exception):
            raise self._told
        return self._told + ("127.0.0.254", "127.0.0.254")

def country(code=None):
    return "XX"

def hostname(name=None):
    return "board"
"""
WLAN = """
STA_IF = 0
AP_IF = 1

class WLAN(Interface):
    IF_STA = 0
    IF_AP = 1

    def __init__(self, which=0):
        super().__init__({which: {sta}, 1: {ap}}[which])
"""
OTHER = """
class {kind}(Interface):
    def __init__(self, *arguments, **settings):
        super().__init__({told})
"""

# What firmwares have that know no interface by its class alone.
LISTED = """
chip = WIZNET6K()

def route():
    return [chip]
"""

DOWN = ("0.0.0.0", "0.0.0.0")
HOME = ("127.1.2.1", "255.255.255.0")
HOTSPOT = ("127.4.4.1", "255.255.255.0")
WIRED = ("127.6.0.1", "255.255.0.0")
UNKNOWN = "425 The server's address is not known: use EPSV, or set host."


class Raw(str):
    """Code that goes into the stub as it is."""

    __repr__ = str.__str__


def wlan(sta=DOWN, ap=DOWN):
    return WLAN.replace("{which: {sta}, 1: {ap}}", f"{{0: {sta!r}, 1: {ap!r}}}")


def other(kind, told):
    return OTHER.format(kind=kind, told=repr(told))


@pytest.fixture
def start(start_server, tmp_path):
    """Starts a server: stub is the text of the module network, None for no such module."""

    def begin(stub=None, host=None, argument=None, platform="rp2", bind="0.0.0.0", **settings):
        modules = tmp_path / "modules"
        modules.mkdir()
        if stub is not None:
            (modules / "network.py").write_text(stub if stub == "" else STUB + stub)
        run = "" if argument is None else f"host={argument!r}"
        program = MAIN.format(platform=repr(platform), run=run)
        return start_server(program=program, host=bind, modules=f"{modules}:{DIST}:.frozen", **settings)

    return begin


def login(server, reached="127.0.0.1", source=None):
    return Control(reached, server.port, source=source).login()


def announced(control, command="PASV"):
    """The address and the port of a 227."""
    numbers = re.search(r"\((\d+),(\d+),(\d+),(\d+),(\d+),(\d+)\)", control.expect(command, "227 "))
    parts = numbers.groups()
    return ".".join(parts[:4]), int(parts[4]) * 256 + int(parts[5])


def assert_passive_works(server, control, address, source=None):
    """PASV announces that address, and a data connection to it is served."""
    (server.root / "file").write_bytes(b"content")
    told, port = announced(control)
    assert told == address
    with data_connection(told, port, source=source) as data:
        control.expect("RETR file", "150")
        assert read_all(data) == b"content"
    assert control.reply().startswith("226 ")


def assert_extended_works(server, control, source=None):
    """EPSV works."""
    (server.root / "file").write_bytes(b"content")
    with control.data(source=source) as data:
        control.expect("RETR file", "150")
        assert read_all(data) == b"content"
    assert control.reply().startswith("226 ")


def assert_unknown(server, control, source):
    """PASV is refused with advice, also after an EPSV; EPSV works."""
    (server.root / "file").write_bytes(b"content")
    assert control("PASV") == UNKNOWN
    control.expect("EPSV", "229")
    assert control("PASV") == UNKNOWN
    for command in ("LIST", "RETR file", "STOR new"):
        assert control(command) == "425 Use PASV, EPSV, PORT or EPRT first."
    assert not (server.root / "new").exists()
    assert_extended_works(server, control, source)


# -- interfaces: the stub, the client's address, and what PASV announces to it

ONE = {
    "station": (wlan(sta=HOME), "127.1.2.9", HOME[0]),
    "station, and a hotspot that is down": (wlan(sta=HOME, ap=DOWN), "127.1.2.9", HOME[0]),
    "hotspot alone": (wlan(ap=HOTSPOT), "127.4.4.9", HOTSPOT[0]),
    "both, client at the station's": (wlan(HOME, HOTSPOT), "127.1.2.9", HOME[0]),
    "both, client at the hotspot's": (wlan(HOME, HOTSPOT), "127.4.4.9", HOTSPOT[0]),
    "Ethernet alone": (other("LAN", WIRED), "127.6.77.9", WIRED[0]),
    "Ethernet, Wi-Fi down": (wlan() + other("LAN", WIRED), "127.6.77.9", WIRED[0]),
    "Ethernet and Wi-Fi, client at Ethernet's": (wlan(HOME, HOTSPOT) + other("LAN", WIRED), "127.6.77.9", WIRED[0]),
    "Ethernet and Wi-Fi, client at Wi-Fi's": (wlan(HOME) + other("LAN", WIRED), "127.1.2.9", HOME[0]),
    "PPP alone": (other("PPP", ("127.8.0.1", "255.255.255.255")), "127.9.9.9", "127.8.0.1"),
    "a class that nobody has heard of": (other("CELLULAR", WIRED), "127.6.77.9", WIRED[0]),
    "a chip that the firmware lists": (other("WIZNET6K", WIRED) + LISTED, "127.6.77.9", WIRED[0]),
    "behind a router, station": (wlan(sta=HOME), "127.9.9.9", HOME[0]),
    "behind a router, Ethernet, Wi-Fi down": (wlan() + other("LAN", WIRED), "127.9.9.9", WIRED[0]),
    "an address without a mask": (wlan(ap=("127.4.4.1", "0.0.0.0")) + other("LAN", WIRED), "127.6.77.9", WIRED[0]),
    # WLAN and LAN that say no; another class works.
    "constructors that raise OSError": (wlan(sta=Raw("OSError"), ap=Raw("OSError")) + other("LAN", WIRED), "127.6.77.9", WIRED[0]),
    "constructors that raise TypeError": (wlan(sta=HOME) + other("LAN", Raw("TypeError")), "127.1.2.9", HOME[0]),
    "constructors that raise ValueError": (wlan(sta=Raw("ValueError"), ap=HOTSPOT) + other("PPP", Raw("RuntimeError")), "127.4.4.9", HOTSPOT[0]),
    "ifconfig that raises OSError": (wlan(sta=Raw("OSError(5)"), ap=HOTSPOT) + other("LAN", Raw("OSError(19)")), "127.4.4.9", HOTSPOT[0]),
    "ifconfig that raises TypeError": (wlan(sta=Raw("TypeError()"), ap=HOTSPOT), "127.4.4.9", HOTSPOT[0]),
    "no STA_IF and no AP_IF, Ethernet": (other("WLAN", Raw("TypeError")) + other("LAN", WIRED), "127.6.77.9", WIRED[0]),
    "a class without ifconfig": ("class Bluetooth:\n    pass\n" + wlan(sta=HOME), "127.1.2.9", HOME[0]),
}


@pytest.mark.parametrize("stub, client, address", ONE.values(), ids=ONE)
def test_the_interface_in_whose_network_the_client_is_or_the_only_one(start, stub, client, address):
    server = start(stub)
    with login(server, address, source=client) as control:
        assert_passive_works(server, control, address, source=client)


NONE = {
    "behind a router, two addresses": wlan(HOME, HOTSPOT),
    "behind a router, Ethernet and Wi-Fi": wlan(sta=HOME) + other("LAN", WIRED),
    "all down": wlan() + other("LAN", DOWN),
    "a module without anything": "",
    "no module": None,
    "all raise": wlan(sta=Raw("OSError"), ap=Raw("OSError(1)")) + other("LAN", Raw("TypeError")),
}


@pytest.mark.parametrize("stub", NONE.values(), ids=NONE)
def test_an_address_that_cannot_be_known_is_425_and_epsv_works(start, stub):
    server = start(stub)
    with login(server, "127.0.0.1", source="127.9.9.9") as control:
        assert_unknown(server, control, "127.9.9.9")


# Each way to say "all addresses": the argument of run().
ANY = {"nothing": None, "0.0.0.0": "0.0.0.0", "an empty one": ""}


@pytest.mark.parametrize("argument", ANY.values(), ids=ANY)
def test_each_way_to_listen_on_all_addresses(start, argument):
    server = start(wlan(HOME, HOTSPOT), argument=argument)
    with login(server, HOTSPOT[0], source="127.4.4.9") as control:
        assert_passive_works(server, control, HOTSPOT[0], source="127.4.4.9")
    with login(server, source="127.9.9.9") as control:
        assert_unknown(server, control, "127.9.9.9")


def test_a_host_that_was_told_is_announced_whatever_the_interfaces_say(start):
    server = start(wlan(HOME, HOTSPOT), argument="127.0.0.1", bind="127.0.0.1")
    with login(server) as control:
        assert_passive_works(server, control, "127.0.0.1")


def test_a_masquerade_address_is_announced_whatever_the_interfaces_say(start):
    server = start(wlan(HOME, HOTSPOT), masquerade_address="127.0.0.7")
    with login(server, source="127.9.9.9") as control:
        assert announced(control)[0] == "127.0.0.7"


# -- Linux


@pytest.mark.parametrize("argument", ANY.values(), ids=ANY)
@pytest.mark.parametrize("reached", ["127.0.0.1", "127.3.2.1"])
def test_on_linux_the_address_that_the_client_reached(start, argument, reached):
    server = start(argument=argument, platform=None)
    with login(server, reached) as control:
        assert_passive_works(server, control, reached)


def test_on_linux_the_system_knows_what_the_interfaces_do_not(start):
    server = start(wlan(HOME, HOTSPOT), platform=None)
    with login(server, "127.1.2.1", source="127.1.2.9") as control:
        assert_passive_works(server, control, "127.1.2.1", source="127.1.2.9")
    with login(server, "127.3.2.1", source="127.9.9.9") as control:
        assert_passive_works(server, control, "127.3.2.1", source="127.9.9.9")


def test_on_linux_another_connection_from_the_clients_port_is_not_taken_for_its(start):
    # A port of the client's may be in use for several destinations at once.
    server = start(platform=None)
    with contextlib.ExitStack() as stack:
        elsewhere = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def connect(destination, port=0):
            connection = socket.socket()
            stack.enter_context(connection)
            connection.settimeout(20)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            connection.bind(("127.0.0.1", port))
            connection.connect(destination)
            return connection

        for _ in range(8):
            port = connect(elsewhere.getsockname()).getsockname()[1]
            control = Control.__new__(Control)
            control.socket = connect(("127.3.2.1", server.port), port)
            control.received = b""
            assert announced(control.login())[0] == "127.3.2.1"


@pytest.fixture
def ipv6():
    needs_ipv6()


@pytest.mark.parametrize("platform", [None, "esp32"])
def test_a_server_at_all_ipv6_addresses_serves_ipv4_and_ipv6(ipv6, start, platform):
    server = start(wlan(HOME, HOTSPOT), argument="::", bind="::", platform=platform)
    with login(server, HOTSPOT[0], source="127.4.4.9") as control:
        assert_passive_works(server, control, HOTSPOT[0], source="127.4.4.9")
        assert_extended_works(server, control, source="127.4.4.9")
        control.expect("EPSV 1", "229")
        # Active mode, too.
        with socket.create_server(("127.4.4.9", 0)) as listener:
            listener.settimeout(20)
            port = listener.getsockname()[1]
            control.expect(f"PORT 127,4,4,9,{port >> 8},{port & 255}", "200")
            control.expect("RETR file", "150")
            with listener.accept()[0] as data:
                assert read_all(data) == b"content"
        assert control.reply().startswith("226 ")
    with login(server, "::1") as control:
        assert_extended_works(server, control)
        control.expect("EPSV 2", "229")
        # A 227 cannot hold the client's kind of address.
        control.expect("PASV", "425")
        control.expect("LIST", "425 Use PASV, EPSV, PORT or EPRT first.")
    if platform is None:
        with login(server, "127.3.2.1") as control:
            assert_passive_works(server, control, "127.3.2.1")


# -- an interface whose address changes while the server runs

MOVING = """
class LAN(Interface):
    def __init__(self, *arguments, **settings):
        super().__init__(None)

    def ifconfig(self, *_):
        with open({path!r}) as file:
            return tuple(file.read().split()) + ("127.0.0.254", "127.0.0.254")
"""


def test_an_interface_goes_down_and_comes_back_with_another_address(start, tmp_path):
    address = tmp_path / "address"
    address.write_text(" ".join(HOME))
    server = start(MOVING.format(path=str(address)))
    first = login(server, HOME[0], "127.1.2.9")
    assert_passive_works(server, first, HOME[0], "127.1.2.9")
    address.write_text(" ".join(DOWN))
    with login(server, HOTSPOT[0], "127.4.4.9") as second:
        assert second("PASV") == UNKNOWN
        # A client that still uses the old address is not served there, but does not stop the server.
        address.write_text(" ".join(HOTSPOT))
        assert_passive_works(server, second, HOTSPOT[0], "127.4.4.9")
        assert_extended_works(server, second, "127.4.4.9")
        with first:
            for control in (first, second):
                control.expect("QUIT", "221")
                assert control.socket.recv(1) == b""
    server.assert_nothing_leaked()
