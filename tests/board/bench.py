"""What the server costs on the emulated board, in a network namespace of its own (`unshare --net`).

    bench.py FIRMWARE PACKAGE IN_PLACE BUDGETS       fails when a figure is more than 2 % above its budget
    bench.py FIRMWARE PACKAGE IN_PLACE DOCUMENT DRAWING [ORIGINAL]
                                                     measures everything, and writes it to the document and the drawing

A figure is the number of the processor's instructions for all that the board does (server, lwIP, file system, driver). It is the median of
several tries. Waiting does not count, so the same work gives the same figure.
IN_PLACE is the package whose code runs in the ROMFS. ORIGINAL is the compiled original server.
"""

import ftplib
import io
import socket
import statistics
import subprocess
import sys
import time

import drawing
import tap
from emulator import PASSWORD, USER, Emulator

try:
    import tomllib
except ImportError:
    # Python 3.10 has none of its own. There pytest brings this one.
    import tomli as tomllib

SMALL, LARGE = 1024, 1 << 20
ENTRIES = 200
CYCLES_A_SECOND = 25_000_000
FLOOR_PORT = 2001
# The sizes of a transfer's buffer, and of files.
BUFFERS = 512, 800, 1024, 1600, 2048, 3200, 4096, 6400, 8192, 12800, 16384
SIZES = 1024, 4096, 16384, 65536, 262144, 1 << 20
# Clocks in MHz, and for each the shift that comes nearest to it: an instruction takes 2**shift ns.
CLOCKS = (125, 3), (240, 2)
LINK_SHIFT = 3

# The name of a figure, its description, and its unit.
ROWS = (
    ("noop", "NOOP", ""),
    ("login", "login and QUIT", ""),
    ("size", "SIZE", ""),
    ("retr_small", "RETR of 1 KiB", ""),
    ("stor_small", "STOR of 1 KiB", ""),
    ("retr", "RETR of 1 MiB", "a byte"),
    ("stor", "STOR of 1 MiB", "a byte"),
    ("nlst", f"NLST of {ENTRIES}", "an entry"),
    ("mlsd_untimed", f"MLSD of {ENTRIES} without modify", "an entry"),
    ("list_untimed", f"LIST of {ENTRIES}, listing_times=False", "an entry"),
    ("mlsd", f"MLSD of {ENTRIES}", "an entry"),
    ("list", f"LIST of {ENTRIES}", "an entry"),
    ("pasv", "PASV of a server on all addresses", ""),
)
NAMES = tuple(name for name, _, _ in ROWS)
# Bytes of heap that a listening server takes.
HEAP_ROWS = (("ready", "code in RAM"), ("ready_in_place", "code in the ROMFS"))
WIDTH = max(len(title) for _, title, _ in ROWS)
# Cheap work is repeated more often.
TRIES = {"login": 20, "retr": 3, "stor": 3, "nlst": 2, "mlsd_untimed": 2, "list_untimed": 2, "mlsd": 1, "list": 1}
# On how many boards a figure that is too high is measured.
BOARDS = 4
# How far a figure may be above its budget.
TOLERANCE = 0.02
# As in the README's program. The original only works with this.
HOST = {"host": tap.BOARD}
# These are measured with other settings.
SETTINGS = {"list_untimed": HOST | {"listing_times": False}, "mlsd": HOST, "pasv": {}}
SMALL_FILE = f"fill('/files/small', {SMALL})"


class Meter:
    """Measures how long a board was at work."""

    def __init__(self, board):
        self.board = board
        symbols = subprocess.run(["arm-none-eabi-nm", board.firmware], check=True, capture_output=True, text=True).stdout
        self.address = next(int(line.split()[0], 16) for line in symbols.splitlines() if line.endswith(" work_cycles"))
        # The cost of a question through the console: cycles at work, and idle.
        self.asking = 0, 0
        self.asking = tuple(min(values) for values in zip(*(self.since(self.times()) for _ in range(20))))

    def work(self):
        """Cycles at work so far. To ask costs the board nothing, because the emulator answers."""
        return self.board.word(self.address)

    def settle(self):
        """Waits until the board has nothing to do. Returns its cycles at work so far."""
        before = self.work()
        while True:
            time.sleep(0.003)
            now = self.work()
            if now == before:
                return now
            before = now

    def cost(self, what, tries, prepare="None"):
        """The usual number of instructions, a median. Some tries take more: an allocation in a heap with holes, and LittleFS when it tidies up. Some take less, when
        a command comes while a task still runs."""
        # The first call loads what is loaded only once.
        what()
        time.sleep(0.1)
        self.board.ask("gc.collect()")
        return self.usual(what, tries, lambda: self.board.ask(prepare))

    def usual(self, what, tries, prepare=lambda: None):
        """The same for a board that cannot answer meanwhile."""
        found = []
        for _ in range(tries):
            prepare()
            before = self.settle()
            what()
            # Work after the last reply counts, too: the end of a session, and the client's acknowledgement after 40 ms.
            time.sleep(0.06)
            found.append(self.settle() - before & 0xFFFFFFFF)
        return statistics.median_low(found) * self.board.instructions_a_cycle

    def times(self):
        return self.board.value("busy()")

    def since(self, before):
        """Cycles at work and idle, without those of the question."""
        after = self.times()
        return after[0] - before[0] - self.asking[0], max(0, after[1] - before[1] - self.asking[1])

    def seconds(self, what, clock):
        """The median of the seconds by the board's clock, for a board with that many MHz."""
        self.board.ask("gc.collect()")
        what()
        time.sleep(0.1)
        found = []
        for _ in range(4):
            before = self.times()
            what()
            found.append(self.since(before))
        work, idle = (statistics.median_low(values) for values in zip(*found))
        return work * self.board.instructions_a_cycle / clock / 1e6 + idle / CYCLES_A_SECOND


class Client(ftplib.FTP):
    """A client whose system acknowledges every second segment, and acknowledges replies together with the next command. Linux does this, or
    acknowledges each segment alone. That depends on when the segments come, and each frame is work for the board."""

    def delay_acknowledgements(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)

    def connect(self, *arguments):
        welcome = super().connect(*arguments)
        self.delay_acknowledgements(self.sock)
        return welcome

    def putcmd(self, line):
        self.delay_acknowledgements(self.sock)
        super().putcmd(line)

    def ntransfercmd(self, *arguments):
        connection, size = super().ntransfercmd(*arguments)
        self.delay_acknowledgements(connection)
        return connection, size


def connect():
    ftp = Client(timeout=60)
    ftp.connect(tap.BOARD)
    ftp.login(USER, PASSWORD)
    ftp.voidcmd("TYPE I")
    return ftp


def store(ftp, path, data):
    ftp.storbinary(f"STOR {path}", io.BytesIO(data))


def retrieve(ftp, path):
    ftp.retrbinary(f"RETR {path}", lambda piece: None)


def restart(board, settings):
    board.ask(f"restart({settings!r}, {[(f'{USER}:{PASSWORD}', 'rw,site')]!r})")


def fill(board):
    """Makes the large files for measuring on a new file system, because LittleFS gets slower with each change of a folder."""
    board.ask("empty()")
    board.ask("os.mkdir('/files/big')")
    board.ask(f"[fill('/files/big/a-file-with-a-name-%03d' % number, 0) for number in range({ENTRIES})] and None")
    board.ask(f"fill('/files/large', {LARGE})")


def work(ftp, root):
    """{name: (a function that does it, how many units that is)}."""
    large, small = bytes(LARGE), bytes(SMALL)

    def listing(command):
        ftp.retrlines(f"{command} {root}/big", lambda line: None)

    return {
        "noop": (lambda: ftp.voidcmd("NOOP"), 1),
        "login": (lambda: connect().quit(), 1),
        "size": (lambda: ftp.sendcmd(f"SIZE {root}/small"), 1),
        "retr_small": (lambda: retrieve(ftp, f"{root}/small"), 1),
        "stor_small": (lambda: store(ftp, f"{root}/stored", small), 1),
        "retr": (lambda: retrieve(ftp, f"{root}/large"), LARGE),
        "stor": (lambda: store(ftp, f"{root}/stored", large), LARGE),
        "nlst": (lambda: listing("NLST"), ENTRIES),
        "mlsd_untimed": (lambda: listing("MLSD"), ENTRIES),
        "list_untimed": (lambda: listing("LIST"), ENTRIES),
        "mlsd": (lambda: listing("MLSD"), ENTRIES),
        "list": (lambda: listing("LIST"), ENTRIES),
        "pasv": (lambda: ftp.makepasv(), 1),
    }


def figures(board, root, names=NAMES, show=lambda text: None):
    """{name: figure} of a server whose paths begin with `root`."""
    meter = Meter(board)
    ftp = connect()
    found = {}
    for name, title, unit in ROWS:
        if name not in names:
            continue
        if unit and "big" not in board.value("os.listdir('/files')"):
            fill(board)
        if name == "login":
            # The original allows one session from an address.
            ftp.quit()
            time.sleep(0.5)
        elif name == "mlsd_untimed":
            ftp.sendcmd("OPTS MLST type;size;perm;unique;")
        elif name in SETTINGS:
            ftp.quit()
            restart(board, SETTINGS[name])
            ftp = connect()
        what, per = work(ftp, root)[name]
        try:
            # LittleFS needs more with each change of a folder.
            prepare = "empty()" if name == "stor_small" else "None"
            found[name] = meter.cost(what, TRIES.get(name, 12), prepare) / per
        except ftplib.error_perm as error:
            show(f"{title}: {error}")
            continue
        finally:
            if name == "login":
                time.sleep(0.5)
                ftp = connect()
        show(f"{title:<{WIDTH}} {said(found[name], unit):>12} {unit}")
    ftp.quit()
    return found


def said(figure, unit):
    """A figure as text."""
    return f"{figure:.1f}" if unit == "a byte" else f"{round(figure, -2 if figure > 9999 else -1):,.0f}"


def floor_cost(board, statement, exchange=None):
    """Instructions of a function of rom/floor.py, which talks to `exchange`."""
    board.say(f"floor.{statement}")
    if exchange:
        connection = None
        while not connection:
            # At first there is no listener yet.
            try:
                connection = socket.create_connection((tap.BOARD, FLOOR_PORT), 60)
            except ConnectionRefusedError:
                time.sleep(0.05)
        with connection:
            exchange(connection)
    return int(board.answer(statement)) * board.instructions_a_cycle


def receive_all(connection):
    while connection.recv(65536):
        pass


def floor_transfers(board, buffer_size):
    """Instructions for each byte, down and up, without a server."""
    large = bytes(LARGE)
    down = min(floor_cost(board, f"send('/files/large', {buffer_size}, {FLOOR_PORT})", receive_all) for _ in range(2))
    up = min(
        floor_cost(board, f"take('/files/stored', {buffer_size}, {FLOOR_PORT})", lambda c: c.sendall(large)) for _ in range(2)
    )
    return down / LARGE, up / LARGE


def call(port):
    """A connection to the board. At first there is no listener yet."""
    while True:
        try:
            return socket.create_connection((tap.BOARD, port), 60)
        except ConnectionRefusedError:
            time.sleep(0.05)


def floor_answers(board):
    """Instructions for one line and its answer: with calls that block, and with a task of asyncio."""
    meter = Meter(board)
    found = []
    for statement in f"floor.answer({FLOOR_PORT})", f"asyncio.create_task(floor.answer_in_asyncio({FLOOR_PORT})) and None":
        board.say(statement)
        with call(FLOOR_PORT) as connection:

            def ask():
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
                connection.sendall(b"NOOP\r\n")
                connection.recv(64)

            found.append(meter.usual(ask, 12))
        board.answer(statement)
    return found


def floor_meeting(board):
    """Instructions for a passive data connection without data."""
    meter = Meter(board)
    board.ask("floor.close()")
    tries = 8
    statement = f"floor.meet({FLOOR_PORT + 1}, {tries + 1})"
    board.say(statement)

    def meet():
        with call(FLOOR_PORT + 1) as connection:
            connection.recv(1)

    cost = meter.usual(meet, tries + 1)
    board.answer(statement)
    return cost


def floor(board):
    """{name: figure} without a server, and {size of the buffer: (down, up)}. The files are the same as for a server."""
    board.ask("import floor")

    def usual(statement, exchange=None, prepare="None"):
        return statistics.median_low((board.ask(prepare), floor_cost(board, statement, exchange))[1] for _ in range(5))

    blocking, found_noop = floor_answers(board)
    found = {
        "noop": found_noop,
        "blocking": blocking,
        "meeting": floor_meeting(board),
        "size": usual("look('/files/small')"),
        "retr_small": usual(f"send('/files/small', 4096, {FLOOR_PORT})", receive_all),
        "stor_small": usual(f"take('/files/stored', 4096, {FLOOR_PORT})", lambda connection: connection.sendall(bytes(SMALL)), "empty()"),
    }
    fill(board)
    by_buffer = {size: floor_transfers(board, size) for size in BUFFERS}
    found["retr"], found["stor"] = map(min, zip(*by_buffer.values()))
    found["nlst"] = found["mlsd_untimed"] = found["list_untimed"] = usual("names('/files/big')") / ENTRIES
    found["mlsd"] = found["list"] = usual("entries('/files/big')") / ENTRIES
    return found, by_buffer


def by_buffer_size(board):
    """{size of the buffer: (RETR, STOR)}, instructions a byte."""
    found = {}
    for size in BUFFERS:
        restart(board, HOST | {"transfer_buffer_size": size})
        values = figures(board, "", ("retr", "stor"))
        found[size] = values["retr"], values["stor"]
    return found


def speeds(firmware, package):
    """{(MHz, "RETR" or "STOR"): {size of the file: seconds}} by the board's clock, without the time of the link."""
    found = {}
    for clock, shift in CLOCKS:
        with Emulator(firmware, package, settings=HOST, shift=shift) as board:
            meter = Meter(board)
            ftp = connect()
            for command in "STOR", "RETR":
                for size in SIZES:
                    data, path, count = bytes(size), f"speed{size}", max(1, 65536 // size // 8)
                    what = (lambda: store(ftp, path, data)) if command == "STOR" else (lambda: retrieve(ftp, path))
                    seconds = meter.seconds(lambda: [what() for _ in range(count)], clock)
                    found.setdefault((clock, command), {})[size] = seconds / count
            ftp.quit()
    return found


def speeds_by_buffer(firmware, package):
    """{size of the buffer: (RETR, STOR)} in KiB/s for a file of 256 KiB, through a link like Wi-Fi that loses nothing."""
    found = {}
    size = 256 << 10
    with Emulator(firmware, package, settings=HOST, shift=LINK_SHIFT, link=(*tap.WIFI[:2], 0)) as board:
        board.ask(f"fill('/files/large', {size})")
        for buffer_size in BUFFERS:
            restart(board, HOST | {"transfer_buffer_size": buffer_size})
            ftp = connect()
            taken = []
            for what in (lambda: retrieve(ftp, "large")), (lambda: store(ftp, "stored", bytes(size))):
                what()
                before = sum(board.value("busy()"))
                for _ in range(2):
                    what()
                taken.append((sum(board.value("busy()")) - before) / CYCLES_A_SECOND / 2)
            ftp.quit()
            found[buffer_size] = tuple(size / 1024 / seconds for seconds in taken)
    return found


# --- Writing the results


def cell(values, name, unit):
    return said(values[name], unit) if name in values else ""


def document(ours, in_place, original, bare, heaps, buffers, floors, times, linked):
    lines = [
        "## On a board",
        "",
        "`cargo xtask bench --board` writes this section: the emulated board of `tests/board`, a Cortex-M3 with lwIP and LittleFS. Instructions of",
        "the processor for all that the board does; each is the median of several tries. The original is the server of the project that",
        "this one takes the place of. The floor is the same without a server: the same bytes between the same file and a blocking socket, with the",
        "best buffer; for listings `os.ilistdir`, with `os.stat` of each entry for those that tell times; for SIZE `os.stat`; for NOOP a task of asyncio",
        "that answers each line. In the ROMFS: with the package `armv7m_rom`, whose code stays where it is.",
        "",
        "| instructions | this server | in the ROMFS | the original | the floor | beside the floor |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, title, unit in ROWS:
        beside = f"{ours[name] / bare[name]:.2f}" if name in bare else ""
        title = f"{title}, {unit}" if unit else title
        cells = " | ".join(cell(values, name, unit) for values in (ours, in_place, original, bare))
        lines.append(f"| {title} | {cells} | {beside} |")
    exchange, parts = bare["noop"], [bare[name] for name in ("meeting", "retr_small")]
    lines += [
        "",
        f"An answer from a program that only blocks costs {said(bare['blocking'], '')} instructions, and one from a task of asyncio {said(exchange, '')}, so the poller and",
        "the switch of tasks cost the difference. The server answers within the poller what needs no action, such as NOOP, TYPE and SIZE, so it is below that floor.",
        "RETR of 1 KiB here is what ftplib does: TYPE, PASV, RETR. Without a server these are three answers of such a task, a data connection",
        f"({said(parts[0], '')} with its listener) and the file itself: together {said(3 * exchange + sum(parts), '')}.",
    ]
    lines += [
        "",
        "Bytes of heap that a listening server takes, with its bytecode in the ROMFS:",
        "",
        "| this server, its code in RAM | its code in the ROMFS | the original |",
        "| ---: | ---: | ---: |",
        "| " + " | ".join([*(f"{size:,}" for size in heaps), "", ""][:3]) + " |",
    ]
    if not original:
        lines += ["", "The original could not be fetched when this was written, so its column is empty."]
    lines += [
        "",
        "Whole transfers of a file, in KiB/s, the commands of ftplib (TYPE, EPSV or PASV, the transfer) included: instructions at one a cycle, and the time in",
        "which the board had nothing to do. The link is a tap, which takes next to no time. `-icount` runs the board at 125 and 250 MHz; the",
        "second is reckoned back to 240.",
        "",
        "| size of the file | " + " | ".join(f"{command}, {clock} MHz" for clock, command in times) + " |",
        "| --- |" + " ---: |" * len(times),
    ]
    for size in SIZES:
        speeds = (size / 1024 / seconds[size] for seconds in times.values())
        lines.append(f"| {size // 1024:,} KiB | " + " | ".join(f"{speed:,.0f}" for speed in speeds) + " |")

    def at_work(name):
        return " and ".join(f"{ours[name] / clock / 1000:.1f} ms at {clock} MHz" for clock, _ in CLOCKS)

    small = ", ".join(f"{command} at {clock} MHz {seconds[SMALL] * 1000:.1f} ms" for (clock, command), seconds in times.items())
    lines += [
        "",
        f"A file of 1 KiB takes: {small}. Much of that is the client's time, on a machine that may have other work. The board itself works for",
        f"{at_work('retr_small')} to send it, {at_work('stor_small')} to take it.",
        "",
        "The buffer of a transfer (`transfer_buffer_size`): instructions a byte for 1 MiB, and KiB/s of a file of 256 KiB at 125 MHz through a link with",
        "5 ms of delay each way and 8 Mbit/s. lwIP's segments have 800 bytes here. A buffer that is no multiple of that leaves a piece. So lwIP's memory is",
        "full sooner, and the download has to wait for it. The server measures the memory, because without it modlwip's `write` stops the whole board.",
        "",
        "| buffer | RETR | floor | STOR | floor | RETR, KiB/s | STOR, KiB/s |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for size in BUFFERS:
        costs = zip(buffers[size], floors[size])
        costs = " | ".join(f"{ours:.1f} | {floor:.1f}" for ours, floor in costs)
        lines.append(f"| {size:,} | {costs} | " + " | ".join(f"{speed:.0f}" for speed in linked[size]) + " |")
    return "\n".join([*lines, "", "![Instructions a byte and KiB/s by the size of the buffer, and KiB/s by the size of the file](board.svg)", ""])


def put_into(path, section):
    """Replaces the section with the same heading, or adds it at the end."""
    heading = section.split("\n", 1)[0]
    with open(path) as file:
        text = file.read()
    before, found, rest = text.partition(heading + "\n")
    _, next_heading, after = rest.partition("\n## ")
    with open(path, "w") as file:
        file.write(before.rstrip("\n") + "\n\n" + section + next_heading + after if found else text.rstrip("\n") + "\n\n" + section)


def draw(path, buffers, floors, times, linked):
    def lines(values, name, dashed=False):
        return [(f"RETR{name}", [(x, y) for x, (y, _) in values.items()], dashed), (f"STOR{name}", [(x, y) for x, (_, y) in values.items()], dashed)]

    costs = [line for pair in zip(lines(buffers, ""), lines(floors, ", floor", True)) for line in pair]
    speeds = [
        (f"{command}, {clock} MHz", [(size, size / 1024 / taken) for size, taken in seconds.items()], clock == CLOCKS[0][0])
        for (clock, command), seconds in times.items()
    ]
    drawing.write(
        path,
        drawing.Plot("Instructions a byte, 1 MiB", "buffer", costs),
        drawing.Plot("KiB/s by the buffer, a link as Wi-Fi", "buffer", lines(linked, "")),
        drawing.Plot("KiB/s by the file, without a link", "file", speeds),
    )


def figures_of_boards(firmware, package, boards=3, wanted=lambda found: NAMES):
    """The least figures of several boards; `wanted` names those that the next board is to measure. Two runs of the board are not quite the same: objects lie in
    other places of the heap."""
    found = {}
    for _ in range(boards):
        names = wanted(found)
        if not names:
            break
        with Emulator(firmware, package, settings=HOST, shift=0) as board:
            board.ask(SMALL_FILE)
            for name, figure in figures(board, "", names).items():
                found[name] = min(figure, found.get(name, figure))
    return found


def heap(firmware, package, original=None):
    """Bytes of heap that a listening server takes, with the shim in a ROMFS."""
    with Emulator(firmware, package, original=original, settings=None if original else HOST) as board:
        line = next(line for line in board.printed if line.startswith("READY"))
        return int(line.split(", ")[1].split(" ")[0])


def check(firmware, package, in_place, path):
    """Compares with the budgets. A figure is too high only if it is so on every board."""
    with open(path, "rb") as file:
        budgets = tomllib.load(file)["board"]

    def above(found):
        return [name for name, figure in found.items() if figure > budgets[name] * (1 + TOLERANCE)]

    def show(title, name, unit):
        change = (found[name] / budgets[name] - 1) * 100
        print(f"{title:<{WIDTH}} {said(found[name], unit):>12} {unit:<8} {change:+.1f} %")

    found = figures_of_boards(firmware, package, BOARDS, lambda found: above(found) if found else NAMES)
    for (name, title), code in zip(HEAP_ROWS, (package, in_place)):
        found[name] = heap(firmware, code)
        show(f"heap when ready, {title}", name, "bytes")
    for name, title, unit in ROWS:
        show(title, name, unit)
    if above(found):
        sys.exit(
            f"above the budgets under [board] in {path}: {', '.join(above(found))}. Make it cheaper, or change the budget and say why"
        )


def main():
    firmware, package, in_place, *rest = sys.argv[1:]
    if len(rest) == 1:
        check(firmware, package, in_place, rest[0])
        return
    path, picture, *original = rest
    print("This server:")
    ours = figures_of_boards(firmware, package)
    for name, title, unit in ROWS:
        print(f"{title:<{WIDTH}} {cell(ours, name, unit):>12} {unit}")
    with Emulator(firmware, package, settings=HOST, shift=0) as board:
        buffers = by_buffer_size(board)
    print("The floor:")
    with Emulator(firmware, package, settings=HOST, shift=0) as board:
        board.ask(SMALL_FILE)
        bare, floors = floor(board)
        for name, title, unit in ROWS:
            if name in bare:
                print(f"{title:<{WIDTH}} {cell(bare, name, unit):>12} {unit}")
    print("This server, in the ROMFS:")
    beside = figures_of_boards(firmware, in_place)
    for name, title, unit in ROWS:
        print(f"{title:<{WIDTH}} {cell(beside, name, unit):>12} {unit}")
    heaps = [heap(firmware, package), heap(firmware, in_place), *(heap(firmware, package, path) for path in original)]
    theirs = {}
    if original:
        print("The original:")
        with Emulator(firmware, package, original=original[0], shift=0) as board:
            board.ask(SMALL_FILE)
            # The original has no MLSD, and only serves on one address.
            theirs = figures(board, "/files", [name for name, _, _ in ROWS if name not in ("mlsd_untimed", *SETTINGS)], print)
    times = speeds(firmware, package)
    linked = speeds_by_buffer(firmware, package)
    put_into(path, document(ours, beside, theirs, bare, heaps, buffers, floors, times, linked))
    draw(picture, buffers, floors, times, linked)


if __name__ == "__main__":
    main()
