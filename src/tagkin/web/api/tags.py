"""The vocabulary, suspects, near-duplicates and the state of the library."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from tagkin.web.api.requests import Cursor, Limit, State, errors
from tagkin.web.services.cards import TagCount
from tagkin.web.services.duplicates import DuplicatesPage, list_duplicates
from tagkin.web.services.export import export
from tagkin.web.services.search import complete
from tagkin.web.services.status import Status, status
from tagkin.web.services.suspects import SuspectsPage, list_suspects
from tagkin.web.services.vocabulary import TagDetail, TagsPage, list_tags, tag_detail

router = APIRouter()

Text = Annotated[str, Query(max_length=12_000)]


@router.get("/tags", tags=["tags"], responses=errors())
def get_tags(
    state: State,
    prefix: Text = "",
    contains: Text = "",
    name: Annotated[str | None, Query(max_length=12_000, description="exactly this tag")] = None,
    sort: Annotated[
        Literal["count", "name", "score"], Query(description="score: the worst F1 first")
    ] = "count",
    limit: Limit = None,
    cursor: Cursor = None,
) -> TagsPage:
    """All tags that begin so, contain that, or are called so."""
    return list_tags(
        state,
        prefix=prefix,
        contains=contains,
        name=name,
        sort=sort,
        limit=limit,
        cursor=cursor,
    )


@router.get("/complete", tags=["tags"], responses=errors())
def get_complete(
    state: State, prefix: Text = "", limit: Annotated[int, Query(ge=1, le=50)] = 10
) -> list[TagCount]:
    """Tags that begin so, the most frequent first."""
    return list(complete(state, prefix, limit))


@router.get("/tags/{tag:path}", tags=["tags"], responses=errors(404))
def get_tag(
    state: State,
    tag: Annotated[str, Path(max_length=12_000, description="in any spelling")],
    samples: Annotated[int, Query(ge=0, le=200, description="most images shown of it")] = 24,
) -> TagDetail:
    """A tag with its scores, other names, and some of its images."""
    return tag_detail(state, tag, samples=samples)


@router.get("/suspects", tags=["images"], responses=errors())
def get_suspects(
    state: State,
    kind: Annotated[Literal["missing", "wrong"], Query()] = "missing",
    tag: Annotated[str | None, Query(max_length=12_000)] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> SuspectsPage:
    """Images whose tags disagree most with the tagger; worked out when first asked for."""
    return list_suspects(state, kind, tag=tag, limit=limit, cursor=cursor)


@router.get("/duplicates", tags=["images"], responses=errors())
def get_duplicates(state: State, limit: Limit = None, cursor: Cursor = None) -> DuplicatesPage:
    """Groups of images that look nearly the same, the largest first."""
    return list_duplicates(state, limit=limit, cursor=cursor)


@router.get("/status", tags=["library"], responses=errors())
def get_status(state: State) -> Status:
    """What the library holds, what was measured, what runs, and what went wrong."""
    return status(state)


@router.get(
    "/export/{what}",
    tags=["library"],
    responses={
        **errors(),
        200: {"content": {"text/csv": {}, "text/plain": {}, "application/json": {}}},
    },
    response_class=StreamingResponse,
)
def get_export(
    state: State,
    what: Literal["decisions", "edits", "tags"],
    form: Annotated[
        str | None,
        Query(alias="format", max_length=40, description="csv, json; decisions also danbooru, ..."),
    ] = None,
) -> StreamingResponse:
    """Decisions, edits of tags, or the tags of all edited images, as a file."""
    made = export(state, what, form)
    return StreamingResponse(
        (part.encode("utf-8", "replace") for part in made.parts),
        media_type=f"{made.media_type}; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{made.name}"'},
    )
