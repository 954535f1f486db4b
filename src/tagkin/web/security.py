"""What stands in front of every request: who may ask, from where, and how much they may send.

Other sites must not be able to use a visitor's browser against the server. DNS rebinding is met by
the Host header, requests of other sites by Origin, Sec-Fetch-Site and a token that only our own
pages know, scripts in tags or file names by a Content-Security-Policy that lets none run but ours.
"""

import hashlib
import ipaddress
import secrets
from collections.abc import Callable, Iterable, Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tagkin.web.problems import (
    CsrfError,
    ForbiddenError,
    TooLargeError,
    UnauthorizedError,
    WebError,
)
from tagkin.web.uploads import Gate

CSRF_COOKIE = "tagkin_csrf"
CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf_token"
TOKEN_COOKIE = "tagkin_token"  # noqa: S105 - a name

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
UPLOAD_PATHS = ("/api/v1/similar", "/api/v1/predict")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_BODY = 2 * 2**20  # bytes of a request that isn't an upload
_FORM = 65536  # bytes of a form in which the token is looked for
_AROUND_UPLOAD = 65536  # bytes of a multipart body beside its file
_WRONG_TOKENS = 30  # a minute, of each client
_REMEMBER_TOKEN = 90 * 24 * 3600  # seconds

Refuse = Callable[[str, WebError], Response]


class Guard:
    """Middleware that refuses what must not come through; see the module's description.

    Args:
        app: What is guarded.
        refuse: Makes an answer of a path and a refusal.
        token: That every request has to bring; None if only this machine can ask.
        hosts: Names by which the server may be called besides those of this machine; ``*`` for an
            address that stands for all, so that the address of each connection counts as well.
        upload_bytes: Most bytes of an uploaded file.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        refuse: Refuse,
        token: str | None,
        hosts: Iterable[str],
        upload_bytes: int,
    ) -> None:
        self._app = app
        self._refuse = refuse
        self._token = token
        named = set(hosts)
        self._any_address = "*" in named
        self._hosts = LOOPBACK | {_plain_host(host) for host in named - {"*"}}
        self._upload_bytes = upload_bytes
        self._csrf = secrets.token_urlsafe(32)
        self._wrong = Gate(64, _WRONG_TOKENS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Checks a request and hands it on, or refuses it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        cookies = _cookies(headers)
        sending = self._with_headers(send, cookies)
        try:
            self._check_host(scope, headers)
            if self._token is not None:
                entered = self._check_token(scope, headers, cookies)
                if entered is not None:
                    await entered(scope, receive, sending)
                    return
            _check_site(scope, headers)
            receive = self._bounded(scope, headers, receive)
            if scope["method"] not in _SAFE:
                receive = await self._check_csrf(headers, receive)
        except WebError as error:
            await self._refuse(scope["path"], error)(scope, receive, sending)
            return
        scope.setdefault("state", {})["csrf_token"] = self._csrf
        await self._app(scope, receive, sending)

    def _check_host(self, scope: Scope, headers: Headers) -> None:
        host = _plain_host(headers.get("host", ""))
        if host in self._hosts:
            return
        server = scope.get("server")
        if self._any_address and server and host == server[0] and _is_address(host):
            return
        raise ForbiddenError(
            f"this server is not called {host!r}: open it by the address that 'tagkin serve' "
            "printed, or allow the name with --allowed-host"
        )

    def _check_token(
        self, scope: Scope, headers: Headers, cookies: Mapping[str, str]
    ) -> Response | None:
        """Returns a redirection if the address holds the token, which must not stay there."""
        token = self._token or ""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(given.strip(), token):
            return None
        if _same(cookies.get(TOKEN_COOKIE, ""), _cookie_of(token)):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        named = [value for name, value in query if name == "token"]
        if scope["method"] == "GET" and any(_same(value, token) for value in named):
            rest = urlencode([(name, value) for name, value in query if name != "token"])
            # A path that begins with two slashes would lead to another server.
            path = "/" + scope["root_path"].lstrip("/") + _quoted(scope).lstrip("/\\")
            response = Response(status_code=303)
            response.headers["location"] = path + (f"?{rest}" if rest else "")
            response.set_cookie(
                TOKEN_COOKIE,
                _cookie_of(token),
                max_age=_REMEMBER_TOKEN,
                httponly=True,
                samesite="lax",  # a link from a chat leads here and on to the page
            )
            return response
        if given or named or TOKEN_COOKIE in cookies:
            self._wrong.count(_client(scope))
        raise UnauthorizedError(
            "this server asks for a token: open it with ?token=TOKEN at the end of its address, "
            "or send 'Authorization: Bearer TOKEN'"
        )

    async def _check_csrf(self, headers: Headers, receive: Receive) -> Receive:
        given = headers.get(CSRF_HEADER, "")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if not given and kind == "application/x-www-form-urlencoded":
            body, receive = await _read_form(receive)
            fields = parse_qs(body.decode("utf-8", "replace"))
            given = fields.get(CSRF_FIELD, [""])[0]
        if not _same(given, self._csrf):
            raise CsrfError(
                "the request lacks the token of this server's pages: reload the page and try "
                f"again; programs take it from the cookie {CSRF_COOKIE} and send it as "
                "X-CSRF-Token"
            )
        return receive

    def _bounded(self, scope: Scope, headers: Headers, receive: Receive) -> Receive:
        """Returns what receives the body, and gives up when it becomes too long."""
        upload = scope["path"].rstrip("/") in UPLOAD_PATHS
        most = self._upload_bytes + _AROUND_UPLOAD if upload else _BODY
        told = headers.get("content-length", "0")
        error = TooLargeError(
            f"the request has more than {most:,} bytes: make it smaller"
            + (", or raise serve_upload_bytes" if upload else "")
        )
        if not told.isdecimal() or int(told[:20]) > most:
            raise error
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                # Not a WebError: FastAPI turns any other exception while a body is read into 400.
                raise HTTPException(error.status, str(error))
            return message

        return bounded

    def _with_headers(self, send: Send, cookies: Mapping[str, str]) -> Send:
        known = _same(cookies.get(CSRF_COOKIE, ""), self._csrf)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if not known and message["status"] != UnauthorizedError.status:
                    cookie = f"{CSRF_COOKIE}={self._csrf}; Path=/; SameSite=Strict"
                    headers.append("set-cookie", cookie)
            await send(message)

        return sending


def _check_site(scope: Scope, headers: Headers) -> None:
    """Refuses what a page of another site has its visitor's browser send.

    Raises:
        ForbiddenError: It comes from there.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    error = ForbiddenError("requests from other sites are refused: use this server's own pages")
    if scope["method"] in _SAFE:
        # Other sites may link here; they may not show our images or read our answers.
        if site in ("cross-site", "same-site") and headers.get("sec-fetch-mode") != "navigate":
            raise error
        return
    if site not in (None, "same-origin"):
        raise error
    host = headers.get("host", "").lower()
    allowed = {f"http://{host}", f"https://{host}"}  # a proxy in front may speak HTTPS
    if site is not None:
        # Forms on pages with the policy "no-referrer" send this, and the browser has said above
        # that the request comes from our own page.
        allowed.add("null")
    if origin is not None and origin.lower() not in allowed:
        raise error


def is_loopback(host: str) -> bool:
    """Returns whether an address or a name is that of this machine only."""
    plain = _plain_host(host)
    if plain == "localhost":
        return True
    try:
        return ipaddress.ip_address(plain).is_loopback
    except ValueError:
        return False


def is_wildcard(host: str) -> bool:
    """Returns whether an address stands for all addresses of this machine."""
    try:
        return ipaddress.ip_address(_plain_host(host)).is_unspecified
    except ValueError:
        return False


async def _read_form(receive: Receive) -> tuple[bytes, Receive]:
    """Reads a short form, and returns it with what receives it once more."""
    body, more = b"", True
    while more and len(body) <= _FORM:
        message = await receive()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        more = bool(message.get("more_body", False))
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": more}]

    async def again() -> Message:
        return first.pop() if first else await receive()

    return body, again


def _plain_host(host: str) -> str:
    """Returns the name in a Host header, without port, brackets and a dot at its end."""
    name = host.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    if name.count(":") == 1:
        name = name.partition(":")[0]
    return name.rstrip(".")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _cookies(headers: Headers) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in headers.getlist("cookie"):
        for part in line.split(";"):
            try:
                jar = SimpleCookie(part.strip())
            except CookieError:  # somebody else's, on the same machine
                continue
            found |= {name: morsel.value for name, morsel in jar.items()}
    return found


def _cookie_of(token: str) -> str:
    """Returns what is kept in the browser in place of the token."""
    return hashlib.blake2b(token.encode(), digest_size=24, person=b"tagkin cookie").hexdigest()


def _quoted(scope: Scope) -> str:
    raw = scope.get("raw_path") or scope["path"].encode()
    return bytes(raw).partition(b"?")[0].decode("ascii", "replace")


def _same(given: str, wanted: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _client(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


__all__ = ["CSRF_COOKIE", "Guard", "is_loopback", "is_wildcard"]
