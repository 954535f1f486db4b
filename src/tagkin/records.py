"""What the library stores: images, problems, decisions and vectors, and their Arrow schemas."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagkin.splits import Split

#: NumPy's type of image ids: 32 hexadecimal digits.
ID_TYPE = "S32"

# Paths are bytes: a file name on Linux need not be valid UTF-8, and Arrow strings must be.
_FILE = pa.struct(
    [
        ("path", pa.binary()),
        ("tags", pa.list_(pa.string())),
        ("bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
    ]
)
IMAGES = pa.schema(
    [
        ("id", pa.string()),
        ("files", pa.list_(_FILE)),
        ("tags", pa.list_(pa.string())),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("format", pa.string()),
        ("frames", pa.int32()),
        ("phash", pa.uint64()),
        ("group", pa.string()),
        ("split", pa.string()),
    ]
)
PROBLEMS = pa.schema([("path", pa.binary()), ("reason", pa.string())])
DECISIONS = pa.schema(
    [
        ("number", pa.int64()),
        ("kind", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("canonical", pa.string()),
        ("undoes", pa.int64()),
        ("when", pa.string()),
        ("who", pa.string()),
        ("evidence", pa.string()),
    ]
)


@dataclass(frozen=True)
class ImageFile:
    """One file with an image's content, and the raw tags that were read for that file."""

    path: Path
    tags: tuple[str, ...]
    bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class ImageRow:
    """One distinct image content.

    Attributes:
        id: BLAKE2b-128 of the file's bytes, 32 hexadecimal digits.
        files: The files with this content; empty if none is left.
        width: Pixels, upright.
        height: Pixels, upright.
        format: Lower-case name of the file format, such as ``png``.
        frames: 1, or the number of frames of an animation.
        phash: 64-bit perceptual hash.
        group: Name of its group of near-duplicates; None until ``prepare`` has finished.
        split: ``train``, ``validation`` or ``test``; None until ``prepare`` has finished.
    """

    id: str
    files: tuple[ImageFile, ...]
    width: int
    height: int
    format: str
    frames: int
    phash: int
    group: str | None = None
    split: Split | None = None

    @property
    def tags(self) -> tuple[str, ...]:
        """The raw tags of all its files, each once, in the order in which they were read."""
        return tuple(dict.fromkeys(tag for file in self.files for tag in file.tags))

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths of its files."""
        return tuple(file.path for file in self.files)


@dataclass(frozen=True)
class Problem:
    """A file that could not be used, and why."""

    path: Path
    reason: str


def from_image(row: ImageRow) -> dict[str, Any]:
    """Returns an image as a row of the table of images."""
    files = [{**file.__dict__, "path": os.fsencode(file.path)} for file in row.files]
    return {**row.__dict__, "files": files, "tags": row.tags}


def to_image_rows(batch: pa.RecordBatch) -> Iterator[ImageRow]:
    """Yields the images of some rows of that table."""
    for row in batch.drop_columns(["tags"]).to_pylist():
        files = tuple(
            ImageFile(
                path=Path(os.fsdecode(file["path"])),
                tags=tuple(file["tags"]),
                bytes=file["bytes"],
                mtime_ns=file["mtime_ns"],
            )
            for file in row["files"]
        )
        yield ImageRow(**{**row, "files": files})


def vector_schema(dimension: int) -> pa.Schema:
    """Returns the schema of a table of vectors of that length."""
    return pa.schema([("id", pa.string()), ("vector", pa.list_(pa.float16(), dimension))])


def to_matrix(column: pa.FixedSizeListArray) -> NDArray[np.float16]:
    """Returns a column of vectors as float16 of shape (rows, dimension)."""
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return cast("NDArray[np.float16]", flat.reshape(len(column), -1))
