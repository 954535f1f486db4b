"""The server put together: the guard in front, the pages, the REST interface, static files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from tagkin import __version__
from tagkin.errors import (
    DecisionError,
    ImageError,
    LibraryError,
    QueryError,
    TagkinError,
    UnknownTagError,
)
from tagkin.settings import Settings
from tagkin.web.api import router as api
from tagkin.web.pages import error_page
from tagkin.web.pages import router as pages
from tagkin.web.problems import WebError
from tagkin.web.security import HEADERS, Guard
from tagkin.web.services.cards import API
from tagkin.web.state import WebState

_STATIC = Path(__file__).parent / "static"

# What the exceptions of the library mean to a browser.
_MEANINGS: tuple[tuple[type[TagkinError], int, str], ...] = (
    (QueryError, 400, "bad_query"),
    (UnknownTagError, 404, "unknown_tag"),
    (DecisionError, 409, "conflict"),
    (ImageError, 415, "not_an_image"),
    (LibraryError, 503, "not_ready"),
)
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}


def create_app(
    library: Path | WebState,
    settings: Settings,
    *,
    token: str | None = None,
    hosts: Iterable[str] = (),
) -> FastAPI:
    """Returns the server of a library.

    Args:
        library: Its folder, or the state of one that was read already.
        settings: With what the library remembers.
        token: That every request has to bring; None if only this machine can ask.
        hosts: Names by which the server may be called besides those of this machine; ``*`` if it
            listens on all addresses.
    """
    app = FastAPI(
        title="Tagkin",
        version=__version__,
        summary="Search and review a collection of images by its own tags.",
        openapi_url=f"{API}/openapi.json",
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
    )
    app.state.web = library if isinstance(library, WebState) else WebState(library, settings)
    app.state.limiters = {}
    app.include_router(api)
    app.mount("/static", _Static(directory=_STATIC), name="static")
    app.include_router(pages)
    app.add_exception_handler(TagkinError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_bug)
    app.add_middleware(
        Guard,
        refuse=_refuse,
        token=token,
        hosts=tuple(hosts),
        upload_bytes=settings.serve_upload_bytes,
    )
    return app


class _Static(StaticFiles):
    """Files of the package, which browsers ask about again after an update."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        """Returns a file that may be kept and has to be asked about."""
        response = super().file_response(*args, **options)
        response.headers["cache-control"] = "no-cache"
        return response


def _refuse(path: str, error: WebError) -> Response:
    """Returns the answer to a request that the guard refuses."""
    return _answer(path, error.status, error.code, str(error), error.retry_after)


def _on_error(request: Request, error: Exception) -> Response:
    if isinstance(error, WebError):
        return _refuse(request.url.path, error)
    status, code = 400, "bad_request"
    for kind, meant, name in _MEANINGS:
        if isinstance(error, kind):
            status, code = meant, name
            break
    return _answer(request.url.path, status, code, str(error))


def _on_invalid(request: Request, error: Exception) -> Response:
    details = error.errors() if isinstance(error, RequestValidationError) else []
    told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in details[:5])
    return _answer(request.url.path, 422, "invalid", told or "the request is not as documented")


def _on_http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = str(error.detail) if isinstance(error, HTTPException) else ""
    response = _answer(request.url.path, status, _CODES.get(status, "bad_request"), detail)
    if isinstance(error, HTTPException) and error.headers:
        response.headers.update(error.headers)
    return response


def _on_bug(request: Request, _: Exception) -> Response:
    told = "this is a mistake in Tagkin: what 'tagkin serve' printed says where"
    response = _answer(request.url.path, 500, "bug", told)
    response.headers.update(HEADERS)  # Starlette answers these in front of the guard
    return response


def _answer(
    path: str, status: int, code: str, message: str, retry_after: int | None = None
) -> Response:
    """Returns an error as the REST interface or the pages show it."""
    response: Response
    # A message may quote a tag or a parameter that holds half a surrogate pair.
    text = message.encode("utf-8", "replace").decode()
    if path == API or path.startswith(f"{API}/"):
        response = JSONResponse({"error": {"code": code, "message": text}}, status)
    else:
        response = error_page(status, text)
    if retry_after is not None:
        response.headers["retry-after"] = str(retry_after)
    return response
