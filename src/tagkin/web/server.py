"""The server run: where it may listen, and its start and end."""

import ipaddress
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from tagkin.errors import SettingsError
from tagkin.settings import Settings
from tagkin.web.app import create_app
from tagkin.web.security import is_loopback, is_wildcard
from tagkin.web.state import WebState

_AT_ONCE = 256  # connections that are answered at the same time; further ones get 503
_LONGEST_HEADERS = 131_072  # bytes; an address may hold a tag of 10,000 characters, each as %XX


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        host: Address or name.
        port: Of the socket.
        token: That it asks for; None if none.
    """

    host: str
    port: int
    token: str | None

    @property
    def url(self) -> str:
        """The address to open in a browser of this machine, with the token."""
        host = "127.0.0.1" if is_wildcard(self.host) else self.host
        name = f"[{host}]" if ":" in host else host
        return f"http://{name}:{self.port}/" + (f"?token={self.token}" if self.token else "")


Ready = Callable[[Address, int, tuple[str, ...]], None]


def check_address(settings: Settings) -> None:
    """Refuses to be reached by others without a token.

    Raises:
        SettingsError: It would listen beyond this machine, and there is no token.
    """
    if not is_loopback(settings.serve_host) and not settings.serve_token:
        raise SettingsError(
            f"on {settings.serve_host} others than this machine could reach your images and "
            "change your tags: give a secret with --token, such as --token "
            f"{secrets.token_urlsafe(12)}, or leave --host out"
        )


def run(library: Path, settings: Settings, ready: Ready) -> None:
    """Serves a library until it is interrupted.

    Args:
        library: Its folder.
        settings: With what the library remembers.
        ready: Called when the library is read and the socket is open, with the number of images
            and with what doesn't work yet, in words.

    Raises:
        SettingsError: The address can't be listened on, or needs a token.
        LibraryError: There is no library, or it is damaged.
    """
    check_address(settings)
    state = WebState(library, settings)
    opened = _socket(settings)
    with opened:
        host, token = settings.serve_host, settings.serve_token
        hosts = {"*" if is_wildcard(host) else host, *settings.serve_allowed_hosts}
        loaded = state.loaded()
        app = create_app(state, settings, token=token, hosts=hosts)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                access_log=False,
                log_level="warning",
                proxy_headers=False,
                server_header=False,
                limit_concurrency=_AT_ONCE,
                h11_max_incomplete_event_size=_LONGEST_HEADERS,
                http="h11",
                ws="none",
                timeout_graceful_shutdown=3,
            )
        )
        address = Address(host, opened.getsockname()[1], token)
        ready(address, len(loaded.collection), loaded.problems)
        with suppress(KeyboardInterrupt):  # the usual end
            server.run(sockets=[opened])


def _socket(settings: Settings) -> socket.socket:
    host, port = settings.serve_host, settings.serve_port
    try:
        family, address = _resolved(host, port)
        # Named as TCP, or asyncio doesn't switch Nagle's algorithm off, and each answer, which is
        # sent in two parts, waits 40 ms for the browser's delayed acknowledgement.
        opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(address)
            opened.listen(128)
        except OSError:
            opened.close()
            raise
    except OSError as error:
        raise SettingsError(
            f"can't listen on {host}, port {port}: {error.strerror or error}; choose another with "
            "--port or --host"
        ) from error
    return opened


def _resolved(host: str, port: int) -> tuple[int, Any]:
    """Returns the family and the address of a host; only names are looked up."""
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return found[0][0], found[0][4]
    return (socket.AF_INET if literal.version == 4 else socket.AF_INET6), (host, port)
