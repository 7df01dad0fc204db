# The data connection: how it is made, and the transfer that uses it.
import socket
import time
from micropython import const

from .files import _close_file, _give_buffer, _open_file, _take_buffer
from .tasks import _complain, _errno_of, _firmly, _is_linux, _len, _make_sure, _next_connection, _once, _queued, _say, _tell, _tune, _wake, acquire, core, release

# What Session.pump() asks for.
_WAIT_WRITE = const(2)
# And from here on, in how many milliseconds it is to be called again.
_YIELD = const(3)

_PASSIVE_IPV4 = const(22)
_OPEN_WRITE = const(19)
_OPEN_APPEND = const(20)

# How a transfer ended: pump() adds _ENDED.
_ENDED = const(16)
_NO_CONNECTION = const(1)
_BROKEN = const(2)
_LOCAL_ERROR = const(3)
_ABORTED = const(5)
_NEGOTIATION = const(6)
_BUSY = const(7)

_EAGAIN = const(11)
_ENOMEM = const(12)
_EADDRINUSE = const(98)
# The errors of connect() for a connection that is made, and for one that is under way: the numbers of Linux and of newlib.
_STANDS = const((106, 127))
_UNDER_WAY = const((11, 114, 115, 119, 120))


def _begin(server, s, action):
    # Begins a transfer. All that it needs is taken before anything is opened or said: a buffer, a task, a socket.
    s.verdict = None
    buffer = _take_buffer(server)
    sock = address = job = None
    try:
        if s.dial:
            try:
                address = socket.getaddrinfo(*s.dial, 0, socket.SOCK_STREAM)[0]
                _make_sure()
                state = acquire()
                try:
                    sock = socket.socket(*address[:3])
                finally:
                    release(state)
            except OSError:
                raise OSError(_EADDRINUSE)
            address = address[-1]
        path = server.on_event and s.path
        job = core.create_task(_transfer(server, s, action, path, buffer, sock, address))
        outcome = _open_file(s, action)
    except Exception:
        if job:
            core._task_queue.remove(job)
            _close_file(server, s, _LOCAL_ERROR)
        _give_buffer(server, buffer)
        if sock:
            _firmly(sock)
        raise
    s.job = job
    # Data that comes before the connection is accepted may be late, and modlwip loses the end of an empty upload for ever. It comes when the client has read the 150. So
    # a connection that is under way has 20 ms to come. No task may run meanwhile, because what belongs to the action would change.
    left = 1 if _is_linux or action < _OPEN_WRITE or action > _OPEN_APPEND else 20
    while left and not sock and s.listener and not s.data:
        left -= 1
        try:
            _accept_data(s)
        except MemoryError:
            pass
        except OSError as error:
            # An ESP32 that had no socket for it has closed it. No other connection will come.
            if error.errno != _EAGAIN:
                _unlisten(s)
            elif left:
                time.sleep_ms(1)
    return outcome


def _listen(server, s, ipv4):
    # Makes a listener for the next data connection. Gives (port, address), or the errno when no port is free. The address is only for PASV.
    if s.listener:
        _unlisten(s)
    ports = server.pasv_port_range
    family, host, rest = server._address
    for _ in ports:
        port = ports[server._port_at % _len(ports)]
        server._port_at += 1
        _make_sure()
        state = acquire()
        try:
            listener = socket.socket(family, socket.SOCK_STREAM)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                # A raw sockaddr has the port in its third and fourth byte.
                listener.bind(host + bytes((port >> 8, port & 255)) + rest if rest else (host, port))
                # With less, modlwip forgets a connection that nobody has accepted when the listener closes, and its place is gone.
                listener.listen(2)
                listener.setblocking(False)
            except OSError:
                _firmly(listener)
                continue
            except MemoryError:
                _firmly(listener)
                raise
        finally:
            release(state)
        s.listener = listener
        address = ipv4 and server.masquerade_address
        if ipv4 and not address:
            # It stays the same as long as the session lasts, and takes long to find.
            if not server._told or server._told[0] is not s or not server._told[1]:
                server._told = s, _once("interfaces", True).own_address(server, s)
            address = server._told[1]
        return port, address
    return _EADDRINUSE


def _passive(server):
    # What asyncio's poller calls for PASV and EPSV. Nobody takes exceptions there, and what the poller has must not change.
    def listen(s, action):
        try:
            return _listen(server, s, action == _PASSIVE_IPV4)
        except Exception as error:
            if not isinstance(error, OSError):
                _complain(error)
                return _ENOMEM
            return _errno_of(error)

    return listen


def _unlisten(s):
    listener = s.listener
    s.listener = None
    if listener:
        _firmly(listener)


def _accept_data(s):
    # Takes the data connection if it is there; others are closed. Raises OSError.
    s.data, stranger = _next_connection(s.listener)
    try:
        if s.accepts(stranger):
            _tune(s.data)
            stranger = None
    finally:
        if stranger:
            _firmly(s.data)
            s.data = None


def _error_of(sock):
    # The errno of a connection that is said to be under way though its socket was ready, or 0 when it stands. modlwip says so when the other end has closed its
    # half already, and of one that was refused.
    try:
        sock.send(b"")
        return 0
    except OSError as error:
        return _errno_of(error)


# async
def _transfer(server, s, action, path, buffer, sock, peer):
    # A transfer, with what _begin has made for it. `sock` and `peer` are for an active data connection.
    end = _NO_CONNECTION
    start = -1
    ready = False
    try:
        if sock:
            _tune(sock)
        while not s.data and s.verdict is None and (sock or s.listener):
            try:
                if sock:
                    # When the socket is ready, a second connect says that the connection is made, or why not.
                    sock.connect(peer)
                    s.data = sock
                else:
                    _accept_data(s)
                    if not s.data:
                        # It was a stranger, and the next may be there already. Others have their turn first.
                        yield from core.sleep_ms(0)
                continue
            except (OSError, MemoryError) as error:
                number = _errno_of(error)
                if sock and ready and number in _UNDER_WAY:
                    number = _error_of(sock)
                if sock and (not number or number in _STANDS):
                    s.data = sock
                    break
                # The first answer of connect may be wrong: that of modlwip is, when the other end has closed its half already.
                if number != _ENOMEM and number not in _UNDER_WAY and (ready or not sock):
                    break
            # There was no memory, or the socket was ready for nothing and would be again at once. So try again after a while.
            if number == _ENOMEM or ready and sock:
                yield from core.sleep_ms(20)
                ready = False
                continue
            ready = _queued(sock or s.listener, sock)
            if ready:
                yield
            else:
                yield from core.sleep_ms(50)
        if s.data and s.verdict is None:
            end = _LOCAL_ERROR
            _unlisten(s)
            sock = s.data
            if s.private:
                s.data = server._tls.wrap(sock)
            s.attach(buffer)
            start = core.ticks()
            if path:
                _tell(server, "transfer_start", s, path)
            while s.verdict is None:
                what = s.pump()
                if what <= _WAIT_WRITE:
                    if _queued(s.data, what == _WAIT_WRITE):
                        yield
                    else:
                        yield from core.sleep_ms(50)
                elif what < _ENDED:
                    yield from core.sleep_ms(what - _YIELD)
                else:
                    end = what - _ENDED
                    break
            # LittleFS and FAT use the blocks of a file that changes again, also while somebody reads it.
            while _OPEN_WRITE <= action <= _OPEN_APPEND and not end and s.verdict is None and s.contested():
                yield from core.sleep_ms(20)
            if not end and s.verdict == _BROKEN:
                # That took too long. If the upload was written to the file itself, it is there already.
                s.verdict = _BUSY if s.new_path else None
        if s.verdict is not None:
            end = s.verdict
        if end == _BROKEN or end == _ABORTED:
            # What has arrived may stay.
            end = s.settle() or end
    except Exception as error:
        if s.data and s.data is not sock and isinstance(error, (OSError, ValueError)):
            # The TLS handshake failed, and TLS has let go of the socket.
            end = _NEGOTIATION
            s.data = sock
        else:
            end = _LOCAL_ERROR
            if isinstance(error, MemoryError):
                _say(server, "WARNING: No memory for a transfer.")
            elif isinstance(error, OSError):
                # Of a driver in Python.
                _say(server, "WARNING: A transfer has failed: %s", error)
            else:
                _complain(error)
    finally:
        # Each transfer ends here.
        try:
            s.attach(None)
            _give_buffer(server, buffer)
            # Whoever still knows this task shall not keep the buffer.
            buffer = None
            sock = s.data or sock
            s.data = None
            if sock:
                _firmly(sock)
            if s.listener:
                _unlisten(s)
            end = _close_file(server, s, end)
            if start >= 0 and path:
                _tell(server, "transfer_end", s, path, None, end, start)
        finally:
            s.job = None
            s.finish(end)
            _wake(s.task)


def _cut(s, end):
    s.verdict = end
    _wake(s.job)
