"""What the routes share: the state, the kinds of parameters, and documented errors."""

import re
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from tagkin.web.problems import NotAnImageError, TooLargeError
from tagkin.web.services.paging import MOST
from tagkin.web.state import WebState

_LONGEST = 12_000  # characters of a parameter
_CHUNK = 2**20


class ErrorBody(BaseModel):
    """What went wrong.

    Attributes:
        code: Short, for programs.
        message: For people.
    """

    code: str
    message: str


class ErrorAnswer(BaseModel):
    """The answer to a request that can't be met."""

    error: ErrorBody


class Strict(BaseModel):
    """A body in which nothing unknown is allowed."""

    model_config = ConfigDict(extra="forbid")


def get_state(request: Request) -> WebState:
    """Returns what is loaded of the library."""
    state: WebState = request.app.state.web
    return state


def get_client(request: Request) -> str:
    """Returns the address of whoever asks."""
    return request.client.host if request.client else "unknown"


State = Annotated[WebState, Depends(get_state)]
Client = Annotated[str, Depends(get_client)]
ImageId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="id of an image")]
Number = Annotated[int, Path(ge=1, le=2**31, description="number of an entry")]
Limit = Annotated[int | None, Query(ge=1, le=MOST, description="entries of a page")]
Cursor = Annotated[
    str | None, Query(max_length=64, description="'next' of the page before; none for the first")
]
QueryText = Annotated[
    str, Query(max_length=_LONGEST, description="such as: cat -dog ~red ~blue folder:holidays")
]
TagText = Annotated[str, Field(min_length=1, max_length=_LONGEST)]


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Returns the documentation of error answers for a route."""
    every = (400, 401, 403, 422, 429, 503, *statuses)
    return {status: {"model": ErrorAnswer} for status in sorted(set(every))}


async def read_upload(file: UploadFile, most: int) -> bytes:
    """Reads an uploaded file.

    Raises:
        TooLargeError: It has too many bytes.
        NotAnImageError: It is empty.
    """
    data = bytearray()
    while chunk := await file.read(_CHUNK):
        data += chunk
        if len(data) > most:
            raise TooLargeError(
                f"the uploaded file has more than {most:,} bytes: make it smaller, or raise "
                "serve_upload_bytes"
            )
    if not data:
        raise NotAnImageError("the upload is empty: send an image as the field 'file'")
    return bytes(data)


def upload_name(file: UploadFile) -> str:
    """Returns what an uploaded file is called, as one short line."""
    name = re.split(r"[/\\]", file.filename or "")[-1]
    plain = "".join(letter for letter in name if letter.isprintable())
    return plain.encode("utf-8", "replace").decode()[:200] or "uploaded image"
