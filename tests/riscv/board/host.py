# The other end of the emulated serial line: the program that tests (tests/riscv/play.py). It sends an expression a line and gets
# "@ " and the value's repr. It has its turn between two servers, and when every task of the running one waits: asyncio then polls
# (select.py), and nothing changes but by what the program does here.
import gc
import sys
import time

# What an expression may name.
names = {}
# Whether every poll collects garbage first, and how many did.
collects = False
collections = 0


def _say(text):
    sys.stdout.write("@ %s\n" % text)


def _answer(line):
    try:
        _say(repr(eval(line, names)))
    except Exception as error:
        # The program tells the developer.
        _say("raised(%r, %r)" % (type(error).__name__, str(error)))
        sys.print_exception(error)


def poll():
    global collections
    if collects:
        gc.collect()
        collections += 1


def turn(dt):
    # Every task waits, the next one for dt milliseconds at most. The program says how many of them go by.
    _say("waits(%d)" % dt)
    while True:
        line = sys.stdin.readline().strip()
        if line.startswith("go "):
            time.now += max(0, min(int(line[3:]), dt))
            return
        _answer(line)


def serve():
    # Before the server runs, and after.
    while True:
        _answer(sys.stdin.readline().strip())
