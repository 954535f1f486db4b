"""Images: lists, single ones, their pictures, and edits of their tags."""

from typing import Annotated, Literal
from urllib.parse import quote

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request, Response

from tagkin.files import printable
from tagkin.web.api.requests import (
    Cursor,
    ImageId,
    Limit,
    Number,
    QueryText,
    State,
    Strict,
    TagText,
    errors,
)
from tagkin.web.security import POLICY
from tagkin.web.services.editing import EditOutcome, edit_tags, undo_edit
from tagkin.web.services.image import ImageDetail, image_detail
from tagkin.web.services.search import ImagesPage, list_images
from tagkin.web.thumbnails import read_original, rounded_height

router = APIRouter(tags=["images"])

_FOR_EVER = "private, max-age=31536000, immutable"  # an id stands for one content
_ORIGINALS = 4  # read at the same time, each of which is in memory as a whole
_PICTURES = 16


class TagEdits(Strict):
    """Tags to give to an image and to take off it."""

    add: tuple[TagText, ...] = ()
    remove: tuple[TagText, ...] = ()


@router.get("/images", responses=errors(404))
def get_images(
    state: State,
    q: QueryText = "",
    sort: Annotated[Literal["newest", "id"], Query()] = "newest",
    limit: Limit = None,
    cursor: Cursor = None,
) -> ImagesPage:
    """Images that a query chooses; all of them if there is none."""
    return list_images(state, q, sort=sort, limit=limit, cursor=cursor)


@router.get("/images/{image}", responses=errors(404))
def get_image(state: State, image: ImageId) -> ImageDetail:
    """Everything about an image: files, tags, predicted tags, near-duplicates."""
    return image_detail(state, image)


@router.get(
    "/images/{image}/file",
    responses={**errors(404), 200: {"content": {"image/*": {}}}, 304: {"description": "Known"}},
    response_class=Response,
)
async def get_file(state: State, request: Request, image: ImageId) -> Response:
    """The original file; formats that a browser doesn't show are offered for download."""
    etag = f'"{image}"'
    if _is_known(request, etag):
        return _not_modified(etag)
    row = await run_sync(state.row, image)
    original = await run_sync(
        read_original, image, row.paths, row.format, state.limits, limiter=_limiter(request, "file")
    )
    shown = "inline" if original.inline else "attachment"
    name = quote(printable(row.paths[0].name) if row.paths else image, safe="")
    return Response(
        original.data,
        media_type=original.media_type,
        headers={
            "etag": etag,
            "cache-control": _FOR_EVER,
            "content-disposition": f"{shown}; filename*=UTF-8''{name}",
            "content-security-policy": f"{POLICY}; sandbox",
        },
    )


@router.get(
    "/images/{image}/thumbnail",
    responses={**errors(404), 200: {"content": {"image/webp": {}}}, 304: {"description": "Known"}},
    response_class=Response,
)
async def get_thumbnail(
    state: State,
    request: Request,
    image: ImageId,
    height: Annotated[
        int | None, Query(ge=1, le=4096, description="pixels; rounded up to one that is made")
    ] = None,
) -> Response:
    """A small WebP, made once."""
    wanted = rounded_height(height)
    etag = f'"{image}-{wanted}"'
    if _is_known(request, etag):
        return _not_modified(etag)
    made = await run_sync(state.thumbnail, image, wanted, limiter=_limiter(request, "thumbnail"))
    headers = {"etag": etag, "cache-control": _FOR_EVER}
    return Response(made, media_type="image/webp", headers=headers)


@router.post("/images/{image}/tags", responses=errors(404, 409))
def post_tags(state: State, image: ImageId, edits: TagEdits) -> EditOutcome:
    """Adds tags to an image and takes others off, all or none."""
    return edit_tags(state, image, add=edits.add, remove=edits.remove)


@router.post("/edits/{number}/undo", responses=errors(404, 409))
def post_undo_edit(state: State, number: Number) -> EditOutcome:
    """Takes an edit of a tag back."""
    return undo_edit(state, number)


def _is_known(request: Request, etag: str) -> bool:
    """Returns whether the browser has that content already."""
    given = request.headers.get("if-none-match", "")
    tags = {part.strip().removeprefix("W/") for part in given.split(",")}
    return etag in tags


def _not_modified(etag: str) -> Response:
    return Response(status_code=304, headers={"etag": etag, "cache-control": _FOR_EVER})


def _limiter(request: Request, what: Literal["file", "thumbnail"]) -> CapacityLimiter:
    """Returns what keeps slow pictures from taking all threads of the server."""
    limiters = request.app.state.limiters
    if what not in limiters:
        limiters[what] = CapacityLimiter(_ORIGINALS if what == "file" else _PICTURES)
    found: CapacityLimiter = limiters[what]
    return found
