# Part of the package for all architectures, and of no other: mip installs it beside the shim. The first import that has loaded its native module
# calls it, and then it is gone.
import os
import sys


def remove(name):
    """Removes the native modules other than that one, and then this file. Where a file cannot be removed they all stay, which does no harm."""
    package = sys.modules["ftpdlite"]
    sys.modules.pop("ftpdlite.whole", None)
    package.__dict__.pop("whole", None)
    folder = package.__path__ + "/"
    try:
        for file in [entry[0] for entry in os.ilistdir(folder[:-1])]:
            if file.startswith("native_") and file.endswith(".mpy") and file != name + ".mpy":
                os.remove(folder + file)
        # The last, so that the next import goes on after a power cut.
        os.remove(folder + "whole.mpy")
    except OSError:
        return
    print("ftpdlite: removed the code for other architectures than", name[7:])
