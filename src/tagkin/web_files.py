"""Files on web servers, read with care: whoever wrote an address may not be the owner.

An address in a table from elsewhere could lead into the owner's own network. So a redirect is
followed only on the same server, and an address that isn't a public one is asked only if the owner
named its host. That is checked on the number that is then connected to, for a name may stand for
another one the next time.
"""

import hashlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from urllib.parse import quote, urljoin, urlsplit

import tagkin
from tagkin.errors import ImageError, ImageTooLargeError

_MOST_REDIRECTS = 5
_TRIES, _PAUSE_SECONDS, _LONGEST_PAUSE = 4, 0.5, 10.0
_PASSING = {429, 500, 502, 503, 504}  # what a server says that may be better in a moment
_MOVED = {301, 302, 303, 307, 308}
_OPEN_CONNECTIONS = 4  # of each thread
_CHUNK = 2**16
_UNESCAPED = "/%:@!$&'()*+,;=~"

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class WebRules:
    """What a web server may do, and which may be asked.

    Attributes:
        seconds: That an answer may take, all of it.
        private_hosts: Names of hosts, or their numbers, that may be asked though they are on a
            private network or on this machine.
    """

    seconds: float = 120.0
    private_hosts: Collection[str] = ()


@dataclass(frozen=True)
class WebFile:
    """An answer.

    Attributes:
        data: Its content; empty if only its head was asked for.
        size: Bytes of the whole; -1 if the server didn't say.
        changed: When it was changed in nanoseconds, or any number that changes with its content,
            as far as the server tells; 0 if it doesn't.
    """

    data: bytes
    size: int
    changed: int


def fetch(address: str, rules: WebRules, *, most: int) -> WebFile:
    """Returns what an address leads to.

    Args:
        address: Of http or https.
        rules: What is allowed.
        most: Bytes; if there are more, this is an error, and no more of them are read.

    Raises:
        ImageTooLargeError: It is larger.
        ImageError: It can't be had; the message is a reason that leaves the address unnamed.
    """
    return _ask("GET", address, rules, most)


def head(address: str, rules: WebRules) -> WebFile:
    """Returns size and time of what an address leads to.

    Raises:
        ImageError: It can't be had; the message is a reason that leaves the address unnamed.
    """
    return _ask("HEAD", address, rules, 0)


class _PassingError(ImageError):
    """What may be better in a moment."""

    pause: float | None = None


def _ask(method: str, address: str, rules: WebRules, most: int) -> WebFile:
    until = time.monotonic() + rules.seconds
    for turn in range(_TRIES):
        try:
            return _follow(method, address, rules, most, until)
        except _PassingError as error:
            pause = min(error.pause or _PAUSE_SECONDS * 2**turn, _LONGEST_PAUSE)
            if turn == _TRIES - 1 or time.monotonic() + pause > until:
                raise ImageError(str(error)) from error
            time.sleep(pause)
    raise AssertionError  # the last turn raises or returns


def _follow(method: str, address: str, rules: WebRules, most: int, until: float) -> WebFile:
    here = address
    for _ in range(_MOST_REDIRECTS + 1):
        found = _ask_once(method, here, rules, most, until)
        if isinstance(found, WebFile):
            return found
        there = urljoin(here, found)
        if _may_lead(here, there):
            here = there
            continue
        raise ImageError(
            f"can't be read: it leads on to {there[:200]!r}, another server, which was not named"
        )
    raise ImageError("can't be read: it leads on and on")


def _may_lead(here: str, there: str) -> bool:
    """Returns whether an address may lead to another: on the same server, not out of https."""
    try:
        old, new = urlsplit(here), urlsplit(there)
        safe = new.scheme == old.scheme or (old.scheme, new.scheme) == ("http", "https")
        same = old.hostname == new.hostname and (old.scheme != new.scheme or old.port == new.port)
        return safe and same and not new.username
    except ValueError:
        return False


def _ask_once(method: str, address: str, rules: WebRules, most: int, until: float) -> WebFile | str:
    """Returns an answer, or where it says that the file is."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]
    except ValueError as error:
        raise ImageError(f"can't be read: an impossible address ({error})") from error
    target = quote(parts.path or "/", safe=_UNESCAPED)
    if parts.query:
        target += "?" + quote(parts.query, safe=_UNESCAPED + "?")
    key = parts.scheme, host, port
    kept = _CONNECTIONS.take(key)
    try:
        connection = kept or _connect(*key, rules, until)
        try:
            answer = _send(connection, method, target, until)
        except (http.client.RemoteDisconnected, ConnectionError):
            if kept is None:
                raise
            # The server had closed it in the meantime, which says nothing of this request.
            connection = _connect(*key, rules, until)
            answer = _send(connection, method, target, until)
        found = _take(answer, method, most, until)
    except TimeoutError as error:
        raise _PassingError(f"can't be read: {host} didn't answer in time") from error
    except (http.client.HTTPException, OSError) as error:
        what = error.strerror if isinstance(error, OSError) else None
        reason = what or str(error) or type(error).__name__
        raise _PassingError(f"can't be read from {host}: {reason}") from error
    if answer.isclosed() and not answer.will_close:
        _CONNECTIONS.keep(key, connection)
    else:
        connection.close()
    return found


def _send(
    connection: "_Connection", method: str, target: str, until: float
) -> http.client.HTTPResponse:
    connection.limit(until)
    connection.request(
        method,
        target,
        headers={
            "User-Agent": f"tagkin/{tagkin.__version__}",
            "Accept": "image/*,*/*;q=0.5",
            "Accept-Encoding": "identity",
        },
    )
    return connection.getresponse()


def _take(answer: http.client.HTTPResponse, method: str, most: int, until: float) -> WebFile | str:
    status = answer.status
    if status in _MOVED and (location := answer.getheader("Location")):
        answer.close()
        return location
    if status != 200:
        answer.close()
        reason = f"can't be read: the server answers {status} {answer.reason}".rstrip()
        if status not in _PASSING:
            raise ImageError(reason)
        passing = _PassingError(reason)
        wait = answer.getheader("Retry-After", "")
        passing.pause = float(wait) if wait.isdecimal() and len(wait) < 6 else None
        raise passing
    size = -1 if answer.length is None else answer.length
    if method == "HEAD":
        length = answer.getheader("Content-Length", "")
        answer.read()
        return WebFile(b"", int(length) if length.isdecimal() else -1, _changed(answer))
    too_large = ImageTooLargeError(
        f"the file has more than {most:,} bytes; raise max_image_bytes to allow it"
    )
    if size > most:
        answer.close()
        raise too_large
    content = bytearray()
    while chunk := answer.read1(_CHUNK):
        content += chunk
        if len(content) > most:
            answer.close()
            raise too_large
        if time.monotonic() > until:  # it sends a little now and then, and never ends
            answer.close()
            raise ImageError("can't be read: the server didn't come to an end in time")
    if size not in (-1, len(content)):
        raise _PassingError(f"can't be read: the server sent {len(content):,} of {size:,} bytes")
    return WebFile(bytes(content), len(content), _changed(answer))


def _changed(answer: http.client.HTTPResponse) -> int:
    with suppress(TypeError, ValueError, OverflowError):
        when = parsedate_to_datetime(answer.getheader("Last-Modified", ""))
        return int(when.timestamp()) * 10**9
    tag = answer.getheader("ETag")
    if not tag:
        return 0
    digest = hashlib.blake2b(tag.encode("utf-8", "replace"), digest_size=7).digest()
    return int.from_bytes(digest, "big")


class _Connection(http.client.HTTPConnection):
    """A connection to a number that was looked at before."""

    def __init__(self, host: str, port: int, number: str, secure: bool, seconds: float) -> None:
        super().__init__(host, port, timeout=seconds)
        self._number, self._secure = number, secure
        self.default_port = _DEFAULT_PORTS["https" if secure else "http"]

    def connect(self) -> None:
        self.sock = socket.create_connection((self._number, self.port), self.timeout)
        if self._secure:
            self.sock = _tls().wrap_socket(self.sock, server_hostname=self.host)

    def limit(self, until: float) -> None:
        """Lets no wait last longer than until then."""
        self.timeout = max(0.1, until - time.monotonic())
        if self.sock is not None:
            self.sock.settimeout(self.timeout)


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _connect(scheme: str, host: str, port: int, rules: WebRules, until: float) -> _Connection:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _PassingError(f"can't be read: there is no host {host!r} ({error})") from error
    numbers = list(dict.fromkeys(str(one[4][0]) for one in found))
    if host not in rules.private_hosts and not all(_is_public(number) for number in numbers):
        raise ImageError(
            f"can't be read: {host} is on a private network or this machine; if that is yours, "
            f"name it: private_hosts (TAGKIN_PRIVATE_HOSTS={host})"
        )
    problem: OSError = OSError("no address")
    for number in numbers:
        connection = _Connection(
            host, port, number, scheme == "https", max(0.1, until - time.monotonic())
        )
        try:
            connection.connect()
        except OSError as error:
            problem = error
        else:
            return connection
    raise problem


def _is_public(number: str) -> bool:
    try:
        address = ipaddress.ip_address(number.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    return (mapped or address).is_global and not address.is_multicast


class _Connections(threading.local):
    """The connections that a thread may use again."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, int], _Connection] = OrderedDict()

    def take(self, key: tuple[str, str, int]) -> _Connection | None:
        return self._kept.pop(key, None)

    def keep(self, key: tuple[str, str, int], connection: _Connection) -> None:
        self._kept[key] = connection
        if len(self._kept) > _OPEN_CONNECTIONS:
            self._kept.popitem(last=False)[1].close()


_CONNECTIONS = _Connections()
