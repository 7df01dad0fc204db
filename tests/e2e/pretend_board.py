# Runs in MicroPython's Unix port: makes it look like a board with flash, Wi-Fi, Ethernet, an SD card and pins, and then runs boot.py and main.py as a board does.
#
# Arguments: the folder with the package, the folder with the files of the board's flash, the port and the first port for data connections, that the
# server uses instead of its own. What a program does with the pretended hardware is printed.
import os
import sys
import time
import vfs

from board_files import RAMDisc


def copy(source, target):
    # Copies a folder to the flash.
    for name, kind, *_ in os.ilistdir(source):
        if kind & 0x4000:
            os.mkdir(target + "/" + name)
            copy(source + "/" + name, target + "/" + name)
        else:
            with open(source + "/" + name, "rb") as old, open(target + "/" + name, "wb") as new:
                new.write(old.read())


class Module:
    def __init__(self, name, **members):
        sys.modules[name] = self
        for member in members:
            setattr(self, member, members[member])


class Interface:
    """A network interface that needs a moment until it is connected."""

    PM_NONE = 0
    IF_STA = 0
    IF_AP = 1
    left = 2

    def __init__(self, kind=None, **_):
        self.kind = kind

    def active(self, value=None):
        return True

    def config(self, *names, **values):
        for name in values:
            print("network:", name, "=", values[name])

    def connect(self, *_):
        self.left = 1

    def isconnected(self):
        self.left -= 1
        return self.left < 0

    def ifconfig(self, *_):
        return "127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1"


class LAN(Interface):
    pass


class Pin:
    IN = 0
    OUT = 1

    def __init__(self, number, mode=-1, value=0):
        self.number = number
        self.state = value

    def value(self, state=None):
        if state is None:
            return self.state
        if state != self.state:
            print("pin %s: %d" % (self.number, state))
        self.state = state

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(1 - self.state)


class Bus:
    def __init__(self, *_, **options):
        pass


def card(*_, **options):
    # An SD card with FAT on it.
    disc = RAMDisc(1 << 19, 512)
    vfs.VfsFat.mkfs(disc)
    return disc


class WDT:
    def __init__(self, timeout):
        print("watchdog:", timeout)

    def feed(self):
        pass


class ADC:
    def __init__(self, pin):
        pass

    def read_u16(self):
        return 12345


def stop(*_):
    print("The board stops.")
    raise SystemExit


Module(
    "network",
    WLAN=Interface,
    LAN=LAN,
    WIZNET5K=LAN,
    STA_IF=0,
    AP_IF=1,
    AUTH_WPA2_PSK=3,
    PHY_LAN8720=1,
    country=lambda code: print("network: country =", code),
    hostname=lambda name: print("network: hostname =", name),
)
Module("machine", Pin=Pin, SPI=Bus, SDCard=card, WDT=WDT, ADC=ADC, reset=stop, deepsleep=stop, unique_id=lambda: b"1234")
Module("sdcard", SDCard=card)
Module("ntptime", settime=lambda: print("The clock is set."))
Module("mip", install=lambda package: print("mip installs", package))

package, files, port, first = sys.argv[1:]
flash = RAMDisc(3 << 19, 4096)
vfs.VfsLfs2.mkfs(flash)
vfs.mount(vfs.VfsLfs2(flash), "/flash")
os.mkdir("/flash/lib")
copy(package, "/flash/lib")
copy(files, "/flash")
vfs.umount("/flash")
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(flash), "/")
os.chdir("/")
sys.path[:] = ["", "/lib", ".frozen"]
sys.argv[:] = ["main.py"]

from ftpdlite import FTPdLite

start = FTPdLite.start


async def start_here(self):
    # Ports below 1024 belong to root, and nobody else is to reach this.
    self.host = "127.0.0.1"
    self.port = int(port)
    self.pasv_port_range = range(int(first), int(first) + 20)
    self.login_delay = 0
    await start(self)


FTPdLite.start = start_here
names = {"__name__": "__main__"}
for name in ("boot.py", "main.py"):
    if name in os.listdir():
        with open(name) as program:
            text = program.read()
        exec(compile(text, name, "exec"), names)
print("The program has ended.")
