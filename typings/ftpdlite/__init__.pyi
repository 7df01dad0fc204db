# Types of the package, for editors and type checkers on a computer. Boards do not need it. A test compares it with the source.
from asyncio import AbstractEventLoop
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict

__version__: str

_Kind = Literal[
    "connect",
    "login",
    "login_failed",
    "disconnect",
    "transfer_start",
    "transfer_progress",
    "transfer_end",
    "delete",
    "mkdir",
    "rmdir",
    "rename",
]
_Transfer = Literal["RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD"]

class _Info(TypedDict, total=False):
    """What on_event is told. Which of these are there depends on the kind of event: docs/events.md."""

    user: str | None
    address: str
    path: str
    old_path: str
    transfer: _Transfer
    bytes: int
    seconds: float
    complete: bool

class Session:
    """Somebody who is connected. Look at the attributes; call nothing."""

    @property
    def user(self) -> str:
        """The name that the client gave; "" before."""

    @property
    def peer(self) -> tuple[str, int]:
        """The client's address and port."""

    @property
    def transfer(self) -> _Transfer | None:
        """The command of the transfer that runs."""

    @property
    def moved(self) -> int:
        """The bytes that it has moved so far."""

class FTPdLite:
    """An FTP server. docs/configuration.md tells of each argument."""

    host: str | None
    port: int
    server_name: str
    pasv_port_range: Sequence[int]
    request_buffer_size: int
    max_connections: int
    root: str
    masquerade_address: str | None
    allow_foreign_data: bool
    idle_timeout: int
    data_timeout: int
    stall_timeout: int
    login_delay: int
    transfer_buffer_size: int | None
    debug: bool
    max_login_failures: int
    lockout: int
    max_per_address: int | None
    max_per_user: int | None
    anonymous: str | None
    atomic_uploads: bool
    log: Callable[[str], Any] | None
    on_event: Callable[[_Kind, _Info], Any] | None
    tls: Literal["off", "optional", "required"]
    certificate: str | bytes | None
    key: str | bytes | None
    private_data: bool
    handshake_timeout: int
    login_timeout: int
    partial_uploads: Literal["new", "never"]
    listing_times: float
    sessions: list[Session]

    def __init__(
        self,
        host: str | None = None,
        port: int = 21,
        server_name: str = "FTPdLite (MicroPython)",
        pasv_port_range: Sequence[int] = range(49152, 49407),
        request_buffer_size: int = 512,
        max_connections: int | None = None,
        root: str = "/",
        masquerade_address: str | None = None,
        allow_foreign_data: bool = False,
        idle_timeout: int = 300,
        data_timeout: int = 10,
        stall_timeout: int = 60,
        login_delay: int = 1000,
        transfer_buffer_size: int | None = None,
        debug: bool = False,
        max_login_failures: int = 10,
        lockout: int = 300,
        max_per_address: int | None = None,
        max_per_user: int | None = None,
        anonymous: str | None = None,
        atomic_uploads: bool = True,
        log: Callable[[str], Any] | None = None,
        on_event: Callable[[_Kind, _Info], Any] | None = None,
        tls: Literal["off", "optional", "required"] = "off",
        certificate: str | bytes | None = None,
        key: str | bytes | None = None,
        private_data: bool = True,
        handshake_timeout: int = 60,
        login_timeout: int = 30,
        partial_uploads: Literal["new", "never"] = "new",
        listing_times: float = True,
    ) -> None: ...
    @property
    def credentials(self) -> str | None:
        """One account with full access, "username:password"; None for none."""

    @credentials.setter
    def credentials(self, value: str | None) -> None: ...
    def add_account(
        self,
        entry: str,
        permissions: str | None = None,
        home: str | None = None,
        max_sessions: int | None = None,
    ) -> bool:
        """Adds the account "username:password"; whether the entry is well formed. Call it before the server starts."""

    async def start(self) -> None:
        """Listens, and serves in tasks of the running loop. Raises OSError when it cannot listen on the address."""

    async def stop(self, wait: float = 0) -> None:
        """Ends every session and closes everything. wait: seconds that transfers have to come to their end."""

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        loop: AbstractEventLoop | None = None,
        debug: bool | None = None,
    ) -> None:
        """Serves until SITE SHUTDOWN, stop() or Ctrl-C, which raises KeyboardInterrupt when all is closed."""

class FTPd(FTPdLite):
    """As FTPdLite, but on 127.0.0.1 by default, and without an account that nobody added."""
