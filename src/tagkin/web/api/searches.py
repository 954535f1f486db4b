"""Search by likeness, with images of the library, tags or uploads, and prediction of uploads."""

from typing import Annotated, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, File, Form, Path, Query, Response, UploadFile

from tagkin.web.api.requests import (
    Client,
    Cursor,
    Limit,
    QueryText,
    State,
    errors,
    read_upload,
    upload_name,
)
from tagkin.web.problems import NotFoundError
from tagkin.web.services.paging import MOST
from tagkin.web.services.predict import Predicted, predict_upload
from tagkin.web.services.search import SimilarPage, similar_images

router = APIRouter(tags=["search"])

UploadedFile = Annotated[UploadFile, File(description="an image file")]


@router.get("/similar", responses=errors(404))
def get_similar(
    state: State,
    ids: Annotated[
        list[str], Query(alias="id", max_length=100, description="images; the mean of several")
    ] = [],  # noqa: B006 - FastAPI copies it
    tag: Annotated[str | None, Query(min_length=1, max_length=12_000)] = None,
    upload: Annotated[str | None, Query(max_length=64, description="key of an upload")] = None,
    q: QueryText = "",
    distinct: Annotated[bool, Query(description="one of each group of near-duplicates")] = False,
    use: Annotated[
        Literal["mean", "learned"], Query(description="for a tag: its images, or the tagger")
    ] = "mean",
    limit: Limit = None,
    cursor: Cursor = None,
) -> SimilarPage:
    """The images nearest to images, to a tag, or to an upload; name exactly one of the three."""
    return similar_images(
        state,
        ids=ids,
        tag=tag,
        upload=upload,
        q=q,
        distinct=distinct,
        use=use,
        limit=limit,
        cursor=cursor,
    )


@router.post("/similar", responses=errors(404, 413, 415))
async def post_similar(
    state: State,
    client: Client,
    file: UploadedFile,
    q: Annotated[str, Form(max_length=12_000)] = "",
    distinct: Annotated[bool, Form()] = False,
    limit: Annotated[int | None, Form(ge=1, le=MOST, description="entries of a page")] = None,
) -> SimilarPage:
    """The images nearest to an uploaded one; later pages by ``GET /similar?upload=KEY``."""
    data = await read_upload(file, state.settings.serve_upload_bytes)
    upload = await run_sync(state.embed_upload, data, upload_name(file), client)
    return await run_sync(
        lambda: similar_images(state, upload=upload.key, q=q, distinct=distinct, limit=limit)
    )


@router.get(
    "/uploads/{key}/thumbnail",
    responses={**errors(404), 200: {"content": {"image/webp": {}}}},
    response_class=Response,
)
def get_upload(state: State, key: Annotated[str, Path(max_length=64)]) -> Response:
    """A small WebP of an upload, as long as it is remembered."""
    upload = state.uploads.get(key)
    if upload is None:
        raise NotFoundError("the server has forgotten this upload: send the image again")
    headers = {"cache-control": "private, max-age=3600"}
    return Response(upload.thumbnail, media_type="image/webp", headers=headers)


@router.post("/predict", responses=errors(413, 415))
async def post_predict(
    state: State,
    client: Client,
    file: UploadedFile,
    top: Annotated[
        int | None, Form(ge=1, le=1000, description="so many tags; else those at their threshold")
    ] = None,
) -> Predicted:
    """The tags that the tagger gives to an uploaded image."""
    data = await read_upload(file, state.settings.serve_upload_bytes)
    return await run_sync(predict_upload, state, data, client, top)
