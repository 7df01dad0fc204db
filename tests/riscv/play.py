"""Plays the transcripts against the whole package with the rv32imc module in MicroPython under qemu-system-riscv32, and other cases.

Usage: play.py FIRMWARE ASYNCIO DIST IMAGE [TRANSCRIPT...]

FIRMWARE is MicroPython's QEMU port, ASYNCIO the folder of its asyncio, DIST the package for rv32imc, IMAGE the ROMFS that is made of
them and of the modules in board/, which are what the port lacks: a clock, a network and a file system, all in memory.
"""

import hashlib
import pathlib
import sys

from board import Board, Listener, Raised, dial, romfs

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from control import Control, reset  # noqa: E402
from transcript import Player, fixture, settings, transcripts  # noqa: E402

# From 1970 to 2000, where the board's time begins.
EPOCH = 946_684_800
PORT = 2121
# The client's own port in PORT and EPRT.
CLIENT_PORT = 50_000

# Streams: the most bytes at a time, and which calls would block (every n-th). The GC: whether it runs at every poll, and after how many bytes.
SMOOTH = {"streams": (0, 0), "collections": (False, -1)}
ROUGH = {"streams": (7, 3), "collections": (True, 256)}
# The same of streams, the transfer's buffer, the bytes of the file.
PUMP_CASES = [
    (0, 0, 512, 20_000),
    (1, 0, 512, 1_500),
    (7, 3, 512, 3_000),
    (511, 2, 512, 20_000),
    (512, 2, 512, 20_000),
    (513, 5, 1024, 20_000),
    (0, 2, 16384, 50_000),
]


class BoardControl(Control):
    """A control connection to the board."""

    def __init__(self, board):
        self.socket = dial(board, PORT)
        self.host = "127.0.0.1"
        self.received = b""

    def data(self):
        port = int(self.expect("EPSV", "229").split("|")[3])
        return dial(self.socket.board, port)


class BoardPlayer(Player):
    """A transcript against the board."""

    def __init__(self, path, board):
        self.board = board
        super().__init__(path, None, None, "")

    def connect_control(self, *_):
        return BoardControl(self.board)

    def connect_data(self, _, port):
        return dial(self.board, port)

    def create_listener(self):
        return Listener(self.board, CLIENT_PORT)

    def exists(self, path):
        return self.board.ask(f"{path!r} in memory.nodes")

    def content(self, path):
        return self.board.ask(f"memory.content({path!r})")


def serve(board, config, streams, collections, accounts=()):
    """Starts a server on a fresh fixture."""
    board.ask("memory.clear() or gc.collect()")
    for path, content, seconds in fixture():
        if content and len(content) > 1000:
            content = f"pattern(0, {len(content)})"
        # A folder has some time. 0 would say that it is not known.
        time = (seconds or EPOCH + 1) - EPOCH
        board.ask(f"memory.put({path!r}, {content if isinstance(content, str) else repr(content)}, {time})")
    board.ask(f"rough{streams}")
    board.ask(f"harass{collections}")
    board.serve(config, *accounts)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def stop(board):
    """Ends the server, which must leave nothing open.

    Gives how many calls would have blocked, and at how many polls garbage was collected.
    """
    lost = board.stop()
    done = board.ask("rough(0, 0)"), board.ask("harass(False, -1)")
    check(lost == (0, 0), f"sockets and files that are open still: {lost}")
    return done


def play(board, path, how):
    serve(board, settings(path), **how)
    BoardPlayer(path, board).play()
    _, collections = stop(board)
    check((collections > 0) == how["collections"][0], f"garbage was collected at {collections} polls")


def pump(board, chunk, block, buffer, size):
    """Transfers of every kind through streams of that kind."""
    serve(board, {"transfer_buffer_size": buffer}, (chunk, block), (False, -1))
    board.ask(f"memory.put(b'/pub/data.bin', pattern(0, {size}), 0)")
    data = bytes(index % 251 for index in range(size))

    def stored(wanted):
        digest = board.ask("memory.digest(b'/upload/new')")
        check(digest == hashlib.sha256(wanted).digest(), f"the file does not hold the {len(wanted)} bytes that were sent")

    def send(connection, start, end):
        # The board makes the bytes, because the line is slow.
        board.ask(f"socket.put({connection.number}, pattern({start}, {end}))")
        board.go(0)

    def store(verb, *pieces):
        with control.data() as connection:
            control.expect(f"{verb} /upload/new", "150")
            for piece in pieces:
                send(connection, *piece)
        return control.reply()[:3]

    with BoardControl(board) as control:
        control.login()
        for offset in (0, 1, size - 1, size):
            control.expect(f"REST {offset}", "350")
            check(control.retrieve("RETR /pub/data.bin") == data[offset:], f"RETR from {offset} gave other bytes")
        for pieces in ([(0, size)], [(0, 1), (1, 700), (700, 1212), (1212, size)], []):
            check(store("STOR", *pieces) == "226", "STOR failed")
            stored(data if pieces else b"")
        check(store("STOR", (0, 500)) == "226", "STOR failed")
        check(store("APPE", (500, 1500)) == "226", "APPE failed")
        stored(data[:1500])
        control.expect("REST 600", "350")
        check(store("STOR", (0, 10)) == "226", "STOR after REST failed")
        old = data[:600] + data[:10] + data[610:1500]
        stored(old)
        # An upload that does not come to its end leaves the old file.
        board.ask("setattr(memory, 'room', 1000)")
        check(store("STOR", (0, 1500)) == "452", "a full file system was not told")
        stored(old)
        board.ask("setattr(memory, 'room', 1 << 30)")
        connection = control.data()
        control.expect("STOR /upload/new", "150")
        send(connection, 0, 1111)
        reset(connection)
        check(control.reply().startswith("426"), "a connection that broke was not told")
        stored(old)
        names = control.retrieve("NLST /pub").split(b"\r\n")
        check(b"data.bin" in names and b"hello.txt" in names, f"NLST gave {names}")
        control.expect("QUIT", "221")
    blocked, _ = stop(board)
    check((blocked > 0) == (block > 0), f"{blocked} calls would have blocked")


def raises(board, name, text, expression):
    try:
        got = board.ask(expression)
    except Raised as error:
        check(error.args[0] == name and text in error.args[1], f"{expression} raised {error.args}, not {name} with {text}")
    else:
        raise AssertionError(f"{expression} gave {got}")


def panic(board):
    """A panic in Rust is an exception, and a session lives on after it."""
    serve(board, {}, **SMOOTH)
    with BoardControl(board) as control:
        control.login()
        for number in range(20):
            raises(board, "RuntimeError", "internal error", f"native._panic({number})")
            raises(board, "TypeError", "arguments", "native.Server('name')")
            raises(board, "ValueError", "port must be", "ftpdlite.FTPdLite(port=0)")
        control.expect("NOOP", "200")
    stop(board)


def foreign(board):
    """Code for another architecture is refused, and the error says why."""
    mpy = board.ask("sys.implementation._mpy")
    check(mpy >> 10 & 15 == 11, "this is no rv32imc")
    check(board.ask("native.__name__") == "ftpdlite.native_rv32imc", "the package chose another module")
    raises(board, "ImportError", "no code for rv32imc, only for x64 armv6m", f"choice.load({mpy}, 'x64 armv6m')")
    raises(board, "ImportError", "ftpdlite for armv6m is not installed", f"choice.load({4 << 10 | mpy & 1023}, 'x64 armv6m')")
    raises(board, "ValueError", "incompatible .mpy arch", "load('foreign')")


def passwords(board):
    """Hashed passwords, as the original has them and as SITE HASHPASS makes them."""
    hashed = "$5a$./AZaz09saltSALT$kyGnpbCSZPOlzuxM9hXqOuTVDeYj+AfSMrTf7ikWplQ="
    check(board.ask("hashpass._5a('correct horse', './AZaz09saltSALT')") == hashed, "the hash is another")
    key = hashlib.pbkdf2_hmac("sha256", b"correct horse", b"salt", 250)
    check(board.ask("pbkdf2(b'correct horse', b'salt', 250)") == key, "the key is another")
    serve(board, {}, **SMOOTH, accounts=[f"kept:{hashed}"])
    with BoardControl(board) as control:
        control.reply()
        control.expect("USER kept", "331")
        control.expect("PASS correct horses", "530")
        control.expect("USER kept", "331")
        control.expect("PASS correct horse", "230")
    stop(board)


def sessions(board):
    """Five sessions at once, each with its transfer, while garbage is collected all the time."""
    serve(board, {"max_connections": 5}, **ROUGH)
    controls = [BoardControl(board).login() for _ in range(5)]
    data = [control.data() for control in controls]
    for number, control in enumerate(controls):
        control.expect(f"STOR /upload/{number}", "150")
    for part in range(3):
        for number, connection in enumerate(data):
            connection.sendall(b"%d %d\n" % (number, part) * 30)
            board.go(0)
    for connection in data:
        connection.close()
    for number, control in enumerate(controls):
        check(control.reply().startswith("226"), "an upload failed")
        wanted = b"".join(b"%d %d\n" % (number, part) * 30 for part in range(3))
        check(control.retrieve(f"RETR /upload/{number}") == wanted, f"session {number} stored something else")
        control.expect("QUIT", "221")
    stop(board)


def few_sessions(board):
    """On an unknown port there are two sessions, as long as both are in use."""
    serve(board, {}, **SMOOTH)
    controls = [BoardControl(board).login() for _ in range(2)]
    check(BoardControl(board).reply() == "421 Too many connections.", "a third session came in")
    for control in controls:
        control.expect("QUIT", "221")
    stop(board)


def main():
    firmware, asyncio, dist, image, *names = sys.argv[1:]
    module = bytearray(pathlib.Path(dist, "ftpdlite/native_rv32imc.mpy").read_bytes())
    # The same for armv6m.
    module[2] = 4 << 2 | module[2] & 3
    folder = pathlib.Path(__file__).resolve().parent
    parts = {"asyncio": pathlib.Path(asyncio), "ftpdlite": pathlib.Path(dist, "ftpdlite"), "foreign.mpy": bytes(module)}
    parts.update((path.name, path) for path in (folder / "board").glob("*.py"))
    romfs(sys.executable, parts, image)
    plays = [
        (f"{path.name} with {name} streams", play, (path, how))
        for path in transcripts()
        # The port has no ssl.
        if "@config tls=" not in path.read_text()
        if not names or path.stem in names
        for name, how in (("smooth", SMOOTH), ("rough", ROUGH))
    ]
    cases = [] if names else [(run.__name__, run, ()) for run in (panic, foreign, passwords, sessions, few_sessions)]
    cases += [] if names else [(f"pump {case}", pump, case) for case in PUMP_CASES]
    print(f"rv32imc: {perform(cases, firmware, image)} of {len(cases)} cases of the pump and the module are right", flush=True)
    print(f"rv32imc: {perform(plays, firmware, image)} of {len(plays)} plays of the transcripts are right")
    return 0 if not FAILURES else 1


FAILURES = []
# A board that does not answer takes a minute to tell.
MOST_FAILURES = 10


def perform(cases, firmware, image):
    """Runs cases on one board, and after a failure on a new one; gives how many are right."""
    board = None
    right = 0
    try:
        for name, run, arguments in cases:
            try:
                board = board or Board(firmware, image)
                run(board, *arguments)
                board.told()
                right += 1
            except Exception as error:  # the board's end, too
                FAILURES.append(name)
                print(f"FAILED {name}: {type(error).__name__}: {error}", file=sys.stderr)
                if board:
                    print(board.told(), file=sys.stderr)
                    board.close()
                board = None
                if len(FAILURES) >= MOST_FAILURES:
                    print("more is not tried", file=sys.stderr)
                    break
    finally:
        if board:
            board.close()
    return right


if __name__ == "__main__":
    sys.exit(main())
