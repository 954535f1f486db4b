"""Templates filled in: what every page shows, and pages for what went wrong."""

import json
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment

from tagkin import __version__
from tagkin.errors import TagkinError
from tagkin.files import printable
from tagkin.quantities import format_bytes
from tagkin.settings import Settings
from tagkin.similarity import Query
from tagkin.similarity.query import TagTerm
from tagkin.templates import page_environment
from tagkin.web.state import WebState

_TITLES = {
    401: "Who are you?",
    403: "That isn't allowed",
    404: "There is nothing here",
    503: "Not yet",
}


@dataclass(frozen=True)
class Entry:
    """A page in the navigation.

    Attributes:
        key: By which the page that is shown is known.
        name: As it is shown.
        href: Its address.
        count: Of what waits there; not shown if 0.
        count_title: What is counted.
    """

    key: str
    name: str
    href: str
    count: int = 0
    count_title: str = ""


def render(request: Request, template: str, page: str, **values: Any) -> HTMLResponse:
    """Fills in a template.

    Args:
        request: That is answered.
        template: Its file name.
        page: Key of the page in the navigation.
        values: What the template names.
    """
    state = state_of(request)
    return HTMLResponse(
        _environment()
        .get_template(template)
        .render(
            page=page,
            navigation=_navigation(open_proposals(state)),
            csrf_token=csrf_token(request),
            version=__version__,
            library=printable(state.path.name),
            library_option=_library_option(state.path),
            **values,
        )
    )


def error_page(status: int, message: str) -> HTMLResponse:
    """Returns a page that says what went wrong and what to do next; it needs no library.

    Args:
        status: Of HTTP.
        message: For people.
    """
    html = (
        _environment()
        .get_template("error.html")
        .render(
            page="",
            navigation=_navigation(0),
            csrf_token="",
            version=__version__,
            library="",
            library_option="",
            title=_TITLES.get(status, "That didn't work"),
            message="There is no such page." if message == "Not Found" else message,
        )
    )
    return HTMLResponse(html, status_code=status)


def address(path: str, **parameters: Any) -> str:
    """Returns an address with a query; empty parameters are left out, lists are repeated.

    Args:
        path: Of the page.
        parameters: Values as text; True is written as 1.
    """
    pairs: list[tuple[str, str]] = []
    for name, value in parameters.items():
        for one in value if isinstance(value, list | tuple) else (value,):
            if one is True:
                pairs.append((name, "1"))
            elif one not in (None, "", False):
                pairs.append((name, str(one)))
    return f"{path}?{urlencode(pairs)}" if pairs else path


def search_address(tag: str) -> str:
    """Returns the address of the images with a tag."""
    return address("/", q=str(Query(all_of=(TagTerm(tag),))))


def state_of(request: Request) -> WebState:
    """Returns what is loaded of the library."""
    state: WebState = request.app.state.web
    return state


def csrf_token(request: Request) -> str:
    """Returns the token that requests which change something have to bring."""
    return str(request.state.csrf_token)


def open_proposals(state: WebState) -> int:
    """Returns the number of proposed merges that wait; 0 if they can't be counted now."""
    try:
        return len(state.queue().ids("variant", False))
    except TagkinError:
        return 0


@cache
def _environment() -> Environment:
    made = page_environment("tagkin.web")
    made.filters |= {
        "number": lambda value: f"{value:,}",
        "score": lambda value: f"{value:.2f}",
        "percent": lambda value: "over 99 %" if value > 0.99 else f"{100 * value:.0f} %",
        "bytes": format_bytes,
        "search_url": search_address,
        "tojson_text": lambda value: json.dumps(value, ensure_ascii=False),
        "sentence": lambda value: value[:1].upper() + value[1:],
        "time": lambda value: value.replace("T", " ")[:16],
    }
    made.globals["address"] = address
    return made


def _library_option(path: Path) -> str:
    """Returns what commands that are shown need, so that they mean this library."""
    if path == Settings.model_fields["library"].default:
        return ""
    return f" --library {shlex.quote(printable(path))}"


def _navigation(open_proposals: int) -> tuple[Entry, ...]:
    return (
        Entry("search", "Search", "/"),
        Entry("review", "Review", "/review", open_proposals, "groups of tags to decide"),
        Entry("vocabulary", "Vocabulary", "/vocabulary"),
        Entry("suspects", "Suspects", "/suspects"),
        Entry("duplicates", "Duplicates", "/duplicates"),
        Entry("status", "Status", "/status"),
        Entry("export", "Export", "/export"),
    )
