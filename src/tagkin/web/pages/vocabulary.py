"""The vocabulary page: all tags."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from tagkin.web.pages.rendering import address, render, state_of
from tagkin.web.services.vocabulary import TagSort, list_tags, tag_detail

router = APIRouter()

_PAGE = 100


@dataclass(frozen=True)
class _Column:
    """A column that can be sorted by."""

    name: str
    key: TagSort
    href: str
    order: str  # as aria-sort has it
    current: bool


@router.get("/vocabulary", response_class=HTMLResponse)
def vocabulary_page(
    request: Request,
    q: Annotated[str, Query(max_length=400)] = "",
    sort: TagSort = "count",
    cursor: str | None = None,
) -> HTMLResponse:
    """Shows a page of all tags."""
    state = state_of(request)
    page = list_tags(state, contains=q.strip(), sort=sort, limit=_PAGE, cursor=cursor)
    orders: dict[TagSort, tuple[str, str]] = {
        "name": ("Tag", "ascending"),
        "count": ("Images", "descending"),
        "score": ("F1", "ascending"),
    }
    columns = {
        key: _Column(name, key, address("/vocabulary", q=q, sort=key), order, key == sort)
        for key, (name, order) in orders.items()
    }
    return render(
        request,
        "vocabulary.html",
        "vocabulary",
        q=q,
        sort=sort,
        tags=page,
        columns=columns,
        first=address("/vocabulary", q=q, sort=sort) if cursor else None,
        next=address("/vocabulary", q=q, sort=sort, cursor=page.next) if page.next else None,
    )


@router.get("/tag", response_class=HTMLResponse)
def tag_page(request: Request, name: str) -> HTMLResponse:
    """Shows one tag: what it means to the tagger, its other names, some of its images.

    The name is no part of the path, where browsers would take ``..`` for something else.
    """
    detail = tag_detail(state_of(request), name)
    return render(request, "tag.html", "vocabulary", detail=detail, tag=detail.entry)
