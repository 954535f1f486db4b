"""The search page: images by tags, or by likeness."""

from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Query as Parameter
from fastapi.responses import HTMLResponse

from tagkin.errors import QueryError, UnknownTagError
from tagkin.similarity import Query, parse_query
from tagkin.similarity.query import TagTerm
from tagkin.web.pages.query_chips import chips_of
from tagkin.web.pages.rendering import address, open_proposals, render, state_of
from tagkin.web.problems import NotFoundError, NotReadyError
from tagkin.web.services.cards import API
from tagkin.web.services.search import SimilarPage, Sort, cards, list_images, similar_images
from tagkin.web.state import WebState

router = APIRouter()

_PAGE = 60  # images that come with the page, and with each request for more
_SHARES = 12


@dataclass(frozen=True)
class _Asked:
    """What the address of a search says."""

    q: str
    ids: tuple[str, ...]
    upload: str | None
    tag: str | None
    distinct: bool
    sort: Sort

    @property
    def similar(self) -> bool:
        return bool(self.ids or self.upload or self.tag)

    def address(self, **changed: Any) -> str:
        """The address of the same search, with changes."""
        parameters = {
            "q": self.q,
            "id": self.ids,
            "upload": self.upload,
            "tag": self.tag,
            "distinct": self.distinct,
            "sort": self.sort if self.sort != "newest" and not self.similar else None,
        }
        return address("/", **{**parameters, **changed})


@router.get("/", response_class=HTMLResponse)
def search_page(
    request: Request,
    q: Annotated[str, Parameter(max_length=1000)] = "",
    id: Annotated[list[str] | None, Parameter(max_length=100)] = None,
    upload: str | None = None,
    tag: str | None = None,
    distinct: bool = False,
    sort: Sort = "newest",
    cursor: str | None = None,
) -> HTMLResponse:
    """Shows the images that a query chooses, or those like an image, an upload or a tag."""
    state = state_of(request)
    # One thing only can be searched for; the more special one wins.
    ids = () if upload else tuple(dict.fromkeys(id or ()))
    asked = _Asked(
        q.strip(), ids, upload or None, None if ids or upload else tag or None, distinct, sort
    )
    values: dict[str, Any] = {
        "q": asked.q,
        "similar": asked.similar,
        "upload": asked.upload,
        "near_tag": asked.tag,
        "distinct": distinct,
        "sort": sort,
        "library_images": len(state.loaded().collection),
        "without_similar": address("/", q=asked.q),
        **_NOTHING,
    }
    try:
        values["example"] = _example(state)
        query = parse_query(asked.q)
        values["chips"] = chips_of(query, lambda text: asked.address(q=text))
        values |= _similar(state, asked, cursor) if asked.similar else _chosen(state, asked, cursor)
        if not asked.q and not asked.similar:
            values["open_proposals"] = open_proposals(state)
    except (QueryError, UnknownTagError, NotFoundError, NotReadyError) as error:
        values["problem"] = str(error)
    return render(request, "search.html", "search", **values)


_NOTHING: dict[str, Any] = {
    "asked": (),
    "chips": (),
    "images": (),
    "total": 0,
    "next": None,
    "next_page": None,
    "more": {},
    "also": None,
    "shares": (),
    "nearest_tags": (),
    "title": "",
    "upload_picture": None,
    "open_proposals": 0,
    "problem": None,
    "example": "cat -dog",
}


def _chosen(state: WebState, asked: _Asked, cursor: str | None) -> dict[str, Any]:
    page = list_images(state, asked.q, sort=asked.sort, limit=_PAGE, cursor=cursor)
    return {
        "images": page.images,
        "total": page.total,
        "next": page.next,
        "next_page": asked.address(cursor=page.next),
        "more": {
            "path": "images",
            "parameters": {"q": asked.q, "sort": asked.sort, "limit": _PAGE},
        },
    }


def _similar(state: WebState, asked: _Asked, cursor: str | None) -> dict[str, Any]:
    page = similar_images(
        state,
        ids=asked.ids,
        tag=asked.tag,
        upload=asked.upload,
        q=asked.q,
        distinct=asked.distinct,
        limit=_PAGE,
        cursor=cursor,
    )
    parameters = {
        "id": list(asked.ids),
        "tag": asked.tag,
        "upload": asked.upload,
        "q": asked.q,
        "distinct": asked.distinct,
        "limit": _PAGE,
    }
    loaded = state.loaded()
    return {
        "asked": cards(state, loaded.rows_of(list(asked.ids))),
        "images": page.images,
        "next": page.next,
        "next_page": asked.address(cursor=page.next),
        "more": {"path": "similar", "parameters": parameters},
        "also": asked.address() if asked.ids else None,
        "shares": _shares(asked, page),
        "nearest_tags": [one.tag for one in page.nearest_tags[:_SHARES]],
        "title": _title(asked, page),
        "upload_picture": f"{API}/uploads/{asked.upload}/thumbnail" if asked.upload else None,
    }


def _title(asked: _Asked, page: SimilarPage) -> str:
    if asked.upload:
        return f"Images like yours ({page.query})."
    if asked.tag:
        return f"Images that look like the tag “{page.query}”, whether they have it or not."
    if len(asked.ids) > 1:
        return f"Images like all of these {len(asked.ids)} together."
    return f"Images like {page.query}."


@dataclass(frozen=True)
class _Share:
    tag: str
    href: str


def _shares(asked: _Asked, page: SimilarPage) -> tuple[_Share, ...]:
    """Returns tags that go with what was found and don't stand in the query yet."""
    there = {term.tag for term in parse_query(asked.q).all_of}
    usual = [one.tag for one in page.tags if one.tag not in there][:_SHARES]
    return tuple(_Share(tag, asked.address(q=_with(asked.q, tag))) for tag in usual)


def _with(q: str, tag: str) -> str:
    query = parse_query(q)
    return str(replace(query, all_of=(*query.all_of, TagTerm(tag))))


def _example(state: WebState) -> str:
    """Returns a query of the library's own most frequent tags."""
    tags = [str(tag) for tag in state.loaded().collection.tags[:2]]
    if len(tags) < 2:
        return "cat -dog"
    return str(Query(all_of=(TagTerm(tags[0]),), none_of=(TagTerm(tags[1]),)))
