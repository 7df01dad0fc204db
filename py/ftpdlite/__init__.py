# FTPdLite: the shim around the native module. It owns the sockets, the files and the tasks; what FTP says is decided in Rust
# (docs/architecture.md). This is what programs see. The shim's rooms are tasks.py, files.py, data.py, control.py and life.py, in the order in which they
# build on each other; `cargo xtask build` joins them and this file to one module, because each module takes memory of its own. All other
# files are loaded when they are needed.
import sys

from .life import _stop
from .tasks import _once, core, native

__version__ = native.version


class FTPdLite:
    """An FTP server (RFC 959, 2389, 2428, 3659, 4217).

    host: str or None, the address to listen on, or a name; default None, all addresses.
    port: int, 1 to 65535, the TCP port of the control connection; default 21.
    server_name: str, one line of at most 100 characters, what the greeting says; default "FTPdLite (MicroPython)".
    pasv_port_range: range, list or tuple of int, 1 to 65535, the TCP ports for passive data connections; default range(49152, 49407).
    request_buffer_size: int, 1 to 8192 bytes, each session's line buffer; less than 512 means 512, the longest line. Default 512.
    max_connections: int, 1 to 1000, sessions at the same time; default None, as the network stack allows: 32 on the Unix port, 4 on ESP32, 2 elsewhere. One
    more takes the place of the session that is idle longest, if one is idle for more than 2 s; else it is refused.
    root: str, a folder that exists, which clients see as "/"; default "/".
    masquerade_address: str or None, the IPv4 address that PASV announces, for servers behind NAT; default None, the address that the client reached.
    allow_foreign_data: bool; True lets PORT and EPRT name other hosts than the client, and others connect to passive ports. Default False.
    idle_timeout: int, 0 to 65534 s, until a session without commands ends; 0 is never. Default 300.
    data_timeout: int, 0 to 65534 s, until a transfer ends whose data connection was not made; 0 is never. Default 10.
    stall_timeout: int, 0 to 65534 s, until a transfer ends that stands still; 0 is never. Default 60.
    login_timeout: int, 0 to 65534 s, from the connection until the login must be complete; 0 is never. Default 30.
    login_delay: int, 0 to 60000 ms, until a failed login is answered. Default 1000.
    max_login_failures: int, 0 to 1000, failed logins after which an address is refused; 0 is never. After so many at one account, from anywhere,
    each address that has failed 3 times is refused that account. Default 10.
    lockout: int, 1 to 86400 s, how long that lasts after the last failed login. Default 300.
    max_per_address: int, 1 to 1000, or None, sessions of one address; default None, only max_connections.
    max_per_user: int, 1 to 1000, or None, sessions of one account; default None, only max_connections.
    anonymous: str, a folder that exists, or None: that of "anonymous" and "ftp", who log in with any password and only read; default None, nobody.
    atomic_uploads: bool; False writes an upload over the old file at once, for discs without room for both. Default True.
    partial_uploads: str, what stays of an upload that breaks off. "new" keeps what has arrived where there was no such file, so that
    clients can resume it; "never" keeps nothing. An old file stays in any case, if atomic_uploads is True. Default "new".
    listing_times: bool, or a number, 0 to 3600 s: whether LIST and MLSD tell when each file was changed, which takes long in large folders. A number
    is how much of one listing may go into times; the entries after that come without a time. Default True.
    log: a function or None, called with each line of the log; default None, print.
    on_event: a function or None, called with the name of what happened and a dict about it; see docs/events.md. Default None.
    transfer_buffer_size: int, 512 to 1048576 bytes, or None, each transfer's buffer; default None, as the heap allows.
    tls: str, "off", "optional" or "required": whether clients may or must use TLS, which AUTH TLS begins. Default "off".
    certificate: str, the path of a file, or bytes, its content, PEM or DER; needed for TLS. Default None.
    key: str or bytes, the same for the private key. Default None.
    private_data: bool; False keeps data connections in clear, for clients that cannot use this firmware's TLS there (docs/tls.md). Default True.
    handshake_timeout: int, 0 to 65534 s, from AUTH until the first command must come; 0 is never. Default 60.
    debug: bool, whether the log has commands and replies. Default False.

    A wrong argument raises ValueError or TypeError. The text names the argument.
    """

    _host = "0.0.0.0"
    _default_account = "Felicia:Friday"

    def __init__(
        self,
        host=None,
        port=21,
        server_name="FTPdLite (MicroPython)",
        pasv_port_range=range(49152, 49407),
        request_buffer_size=512,
        max_connections=None,
        root="/",
        masquerade_address=None,
        allow_foreign_data=False,
        idle_timeout=300,
        data_timeout=10,
        stall_timeout=60,
        login_delay=1000,
        transfer_buffer_size=None,
        debug=False,
        max_login_failures=10,
        lockout=300,
        max_per_address=None,
        max_per_user=None,
        anonymous=None,
        atomic_uploads=True,
        log=None,
        on_event=None,
        tls="off",
        certificate=None,
        key=None,
        private_data=True,
        handshake_timeout=60,
        login_timeout=30,
        partial_uploads="new",
        listing_times=True,
    ):
        self.host = host
        self.port = port
        self.server_name = server_name
        self.pasv_port_range = pasv_port_range
        self.request_buffer_size = request_buffer_size
        if max_connections is None:
            # As the network stack allows: lwIP has five connections on most boards, ten sockets on an ESP32.
            max_connections = 32 if sys.platform in ("linux", "darwin") else 4 if sys.platform == "esp32" else 2
        self.max_connections = max_connections
        self.root = root
        self.masquerade_address = masquerade_address
        self.allow_foreign_data = allow_foreign_data
        self.idle_timeout = idle_timeout
        self.data_timeout = data_timeout
        self.stall_timeout = stall_timeout
        self.login_delay = login_delay
        self.transfer_buffer_size = transfer_buffer_size
        self.debug = debug
        self.max_login_failures = max_login_failures
        self.lockout = lockout
        self.max_per_address = max_per_address
        self.max_per_user = max_per_user
        self.anonymous = anonymous
        self.atomic_uploads = atomic_uploads
        self.log = log
        self.on_event = on_event
        self.tls = tls
        self.certificate = certificate
        self.key = key
        self.private_data = private_data
        self.handshake_timeout = handshake_timeout
        self.login_timeout = login_timeout
        self.partial_uploads = partial_uploads
        self.listing_times = listing_times
        self.sessions = []
        self._accounts = []
        self._credentials = False
        self._stop_event = None
        self._buffers = []
        self._litter = 0
        self._told = None
        self._port_at = 0
        self._interrupted = None
        _once("settings").load(self, native)

    # -- accounts

    @property
    def credentials(self):
        """One account with full access, "username:password"; None for none."""
        if self._credentials is False:
            return self._default_account
        return self._credentials

    @credentials.setter
    def credentials(self, value):
        if value is not None and not _once("settings").match(value):
            raise ValueError('credentials must be a str "username:password"')
        self._credentials = value

    def add_account(self, entry, permissions=None, home=None, max_sessions=None):
        """Adds the account "username:password"; the password may be a hash that SITE HASHPASS gave.

        entry: str, a name of 1 to 40 bytes, a colon, and a password of at most 255 bytes, without a line end.
        permissions: str, "rw", "ro", or some of read,write,delete,mkdir,rename,site with commas between; default None, all for the first
        account, and "ro" for the others.
        home: str, a folder that exists, which the account sees as "/"; default None, the server's root.
        max_sessions: int, 1 to 1000, of this account at the same time; default None, no limit.
        Returns whether the entry is well formed. Raises ValueError when another argument is wrong; the text names it.
        """
        account = _once("settings").add(entry, permissions, home, max_sessions)
        if account:
            self._accounts.append(account)
        return bool(account)

    async def start(self):
        """Listens and serves in tasks of the running event loop. Raises OSError, which names host and port, when it cannot listen there."""
        if not self._stop_event:
            # Before the rest is loaded, so that both are not there at once.
            _once("settings").load(self, native)
            if self._tls:
                await _once("closing").look(self)
        _once("startup").start(self)

    async def stop(self, wait=0):
        """Ends every session with a 421, closes every socket and file, and returns when that is done.

        wait: number of seconds that transfers have to come to their end; those that have not are cut. Default 0.
        """
        await _stop(self, wait)

    async def _serve(self):
        await self.start()
        await self._stop_event.wait()

    def run(self, host=None, port=None, loop=None, debug=None):
        """Serves until the server is stopped: by SITE SHUTDOWN, by stop(), or by Ctrl-C, which raises KeyboardInterrupt when all is closed.

        host, port, debug: in place of what the constructor got; default None, that.
        loop: the event loop; default None, asyncio's.
        Raises OSError, which names host and port, when it cannot listen there, and ValueError or TypeError when an argument is wrong.
        """
        loop = _once("settings").run(self, host, port, loop, debug) or core.get_event_loop()
        try:
            loop.run_until_complete(self._serve())
        except KeyboardInterrupt:
            self._interrupted = core.cur_task
            loop.run_until_complete(self.stop())
            raise


class FTPd(FTPdLite):
    """The original's second class: as FTPdLite, but on 127.0.0.1 by default, and without an account that nobody added."""

    _host = "127.0.0.1"
    _default_account = None
