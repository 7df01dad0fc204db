# Which native module this firmware loads: asked once, when the package is imported.
import sys
from micropython import const

# `cargo xtask build` replaces these two values.
_VERSION = const("0.0.0")
_SUPPORTED = "x64"

# In the order of their numbers in the .mpy format, from 1.
_ARCHITECTURES = const(
    "x86 x64 armv6 armv6m armv7m armv7em armv7emsp armv7emdp xtensa xtensawin rv32imc rv64imc"
)


def names(value, supported=_SUPPORTED):
    """The architectures whose code a firmware loads, the best first.

    value: sys.implementation._mpy, 0 where a firmware has none. Raises ImportError, which tells what to do, when there is none.
    """
    version = value & 255, value >> 8 & 3
    arch = value >> 10 & 15
    if version != (6, 3) and value:
        todo = "update MicroPython to 1.23 or later"
        if version > (6, 3):
            todo = "install a newer ftpdlite"
        raise ImportError(
            "ftpdlite is in .mpy format 6.3, this firmware loads %d.%d: %s" % (version + (todo,))
        )
    if not arch:
        raise ImportError(
            "ftpdlite is native code, which this firmware cannot load: "
            "it needs MicroPython 1.23 or later for one of %s" % supported
        )
    known = _ARCHITECTURES.split(" ")
    name = known[arch - 1] if arch <= len(known) else "architecture %d" % arch
    # A Thumb firmware loads code for its own architecture and for any below it, down to armv6m (4).
    lowest = 4 if 4 <= arch <= 8 else arch
    found = []
    for n in reversed(known[lowest - 1 : arch]):
        # The second is code that runs where it lies in a ROMFS.
        found += [n for n in (n, n + "_rom") if n in supported.split(" ")]
    if not found:
        raise ImportError("ftpdlite has no code for %s, only for %s" % (name, supported))
    return found


def _is_mapped(name):
    """Whether the processor can run code where it lies in the module's file: only a file in a ROMFS is memory. Raises OSError when there is none."""
    with open("%s/%s.mpy" % (sys.modules["ftpdlite"].__path__, name), "rb") as file:
        try:
            memoryview(file)
        except TypeError:
            return False
    # The Unix port has such files, too, but no code may run there.
    return sys.platform != "linux"


def load(value, supported=_SUPPORTED):
    """Imports the native module. Raises ImportError when it is not installed. Other exceptions of the import go to the caller."""
    for name in names(value, supported):
        runs = True
        if name.endswith("_rom"):
            try:
                runs = _is_mapped("native_" + name)
            except OSError:
                continue
        name = "native_" + name
        try:
            native = runs and __import__("ftpdlite." + name, None, None, ("Session",))
        except ImportError as error:
            # Go on only when there is no such file. Some firmwares do not say which file.
            if name not in str(error) and "not found" not in str(error):
                raise
            continue
        if not hasattr(native, "Session"):
            raise ImportError(
                "the code of %s runs in a ROMFS alone, aligned as micropython/romfs.py does it: elsewhere install mip/%s_6.3"
                % (name, name[7:-4])
            )
        if native.version != _VERSION:
            raise ImportError(
                "%s is of ftpdlite %s, the other files of %s: install one release"
                % (name, native.version, _VERSION)
            )
        # After the package for all boards was installed, whole.py removes the files for other architectures, and itself.
        try:
            from . import whole
        except (ImportError, MemoryError):
            return native
        whole.remove(name)
        return native
    raise ImportError(
        "ftpdlite for %s is not installed here: install the whole package, or mip/%s_6.3"
        % ((names(value, supported)[0],) * 2)
    )
