"""What the library stores: images, problems, decisions and vectors, and their Arrow schemas."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tagkin.errors import ImageError, NoAnswerError, UnreachableError
from tagkin.lance_table import KEY_MARK
from tagkin.remote_paths import as_path
from tagkin.splits import Split

#: NumPy's type of image ids: 32 hexadecimal digits.
ID_TYPE = "S32"

#: The column of ids. The mark lets Lance see that two processes add the same image.
KEY = pa.field("id", pa.string(), nullable=False, metadata={KEY_MARK: b"true"})

_ROWS_AT_ONCE = 256  # that are turned into Python's objects, which take far more room

# Paths are bytes: a file name on Linux need not be valid UTF-8, and Arrow strings must be.
_FILE = pa.struct(
    [
        ("path", pa.binary()),
        ("tags", pa.list_(pa.string())),
        ("bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("weights", pa.list_(pa.float32())),  # since schema 2
        ("source", pa.binary()),  # this and the next since schema 4
        ("missing", pa.bool_()),
    ]
)
IMAGES = pa.schema(
    [
        KEY,
        ("files", pa.list_(_FILE)),
        ("tags", pa.list_(pa.string())),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("format", pa.string()),
        ("frames", pa.int32()),
        ("phash", pa.uint64()),
        ("group", pa.string()),
        ("split", pa.string()),
        ("truncated", pa.bool_()),  # since schema 4
    ]
)
PROBLEMS = pa.schema([("path", pa.binary()), ("reason", pa.string())])
DECISIONS = pa.schema(  # a row's place is the decision's number
    [
        ("kind", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("canonical", pa.string()),
        ("undoes", pa.int64()),
        ("when", pa.string()),
        ("who", pa.string()),
        ("evidence", pa.string()),
        ("probability", pa.float64()),  # since schema 3
    ]
)
EDITS = pa.schema(  # a row's place is the edit's number
    [
        ("kind", pa.string()),
        ("image", pa.string()),
        ("tag", pa.string()),
        ("undoes", pa.int64()),
        ("when", pa.string()),
        ("who", pa.string()),
    ]
)


@dataclass(frozen=True)
class ImageFile:
    """One file with an image's content, and the raw tags that were read for that file.

    Attributes:
        path: The file.
        tags: Its raw tags.
        bytes: Its size.
        mtime_ns: When it was last changed.
        weights: How sure each of the tags is, above 0 and up to 1, with the precision of float32;
            empty if all are 1.
        source: The folder or file that the tags were read from; None if nobody knows any more.
        missing: Whether the source no longer named it when it was last read.
    """

    path: Path
    tags: tuple[str, ...]
    bytes: int
    mtime_ns: int
    weights: tuple[float, ...] = ()
    source: Path | None = None
    missing: bool = False

    @property
    def weighted_tags(self) -> dict[str, float]:
        """The raw tags with their weights; of a tag that is there twice, the greatest."""
        if not self.weights:
            return dict.fromkeys(self.tags, 1.0)
        greatest: dict[str, float] = {}
        for tag, weight in zip(self.tags, self.weights, strict=True):
            greatest[tag] = max(weight, greatest.get(tag, 0.0))
        return greatest

    def with_tags(self, weighted: Mapping[str, float]) -> "ImageFile":
        """Returns the file with other tags; those of weight 0 are left out.

        Args:
            weighted: Raw tags with weights from 0 to 1.
        """
        rounded = {tag: float(np.float32(weight)) for tag, weight in weighted.items()}
        kept = {tag: weight for tag, weight in rounded.items() if weight}
        weights = tuple(kept.values()) if any(weight < 1 for weight in kept.values()) else ()
        return replace(self, tags=tuple(kept), weights=weights)


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
        truncated: Whether only a part of it can be decoded, which the owner allowed.
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
    truncated: bool = False

    @property
    def tags(self) -> tuple[str, ...]:
        """The raw tags of all its files, each once, in the order in which they were read."""
        return tuple(dict.fromkeys(tag for file in self.files for tag in file.tags))

    @property
    def weights(self) -> dict[str, float]:
        """The weights of its raw tags that are below 1; of several files, the greatest counts."""
        if not any(file.weights for file in self.files):  # as in most collections
            return {}
        greatest: dict[str, float] = {}
        for file in self.files:
            for tag, weight in file.weighted_tags.items():
                greatest[tag] = max(weight, greatest.get(tag, 0.0))
        return {tag: weight for tag, weight in greatest.items() if weight < 1}

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths of its files."""
        return tuple(file.path for file in self.files)


@dataclass(frozen=True)
class Problem:
    """A file that could not be used, and why.

    Attributes:
        path: The file.
        reason: What is wrong, for people.
        unreachable: Whether it is not the file that is at fault but its drive or store, which
            doesn't answer; not kept in the library.
    """

    path: Path
    reason: str
    unreachable: bool = field(default=False, compare=False)

    @classmethod
    def of(cls, path: Path, error: ImageError | OSError) -> "Problem":
        """Returns what kept an image from being read, as a problem."""
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return cls(path, reason, isinstance(error, UnreachableError | NoAnswerError))

    @classmethod
    def late(cls, path: Path, seconds: float) -> "Problem":
        """Returns the problem of a file that took longer than ``read_timeout``."""
        reason = f"could not be read within {seconds:g} seconds; raise read_timeout to wait longer"
        return cls(path, reason, unreachable=True)


def from_image(row: ImageRow) -> dict[str, Any]:
    """Returns an image as a row of the table of images."""
    files = [
        {
            **file.__dict__,
            "path": os.fsencode(file.path),
            "source": None if file.source is None else os.fsencode(file.source),
        }
        for file in row.files
    ]
    return {**row.__dict__, "files": files, "tags": row.tags}


def to_image_rows(batch: pa.RecordBatch) -> Iterator[ImageRow]:
    """Yields the images of some rows of that table."""
    rows = batch.drop_columns(["tags"])
    for start in range(0, rows.num_rows, _ROWS_AT_ONCE):
        for row in rows.slice(start, _ROWS_AT_ONCE).to_pylist():
            yield ImageRow(**{**row, "files": tuple(_to_file(file) for file in row["files"])})


def _to_file(file: dict[str, Any]) -> ImageFile:
    return ImageFile(
        path=as_path(os.fsdecode(file["path"])),
        tags=tuple(file["tags"]),
        bytes=file["bytes"],
        mtime_ns=file["mtime_ns"],
        weights=tuple(file["weights"]),
        source=None if file["source"] is None else as_path(os.fsdecode(file["source"])),
        missing=file["missing"],
    )


def upgrade_images(table: pa.Table) -> pa.Table:
    """Returns a table of images of any earlier schema with the schema of today.

    What an earlier schema didn't have is empty: weights, sources, and what is missing or truncated.
    """
    upgraded = [_upgrade_batch(batch) for batch in table.to_batches()]
    return pa.Table.from_batches(upgraded, IMAGES)


def columns_of(schema: pa.Schema) -> list[tuple[str, pa.DataType]]:
    """Returns names and types of columns, whatever is noted about them besides."""
    return [(field.name, field.type) for field in schema]


def _upgrade_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    files = batch.column("files")
    structs = files.flatten()
    have = [structs.type.field(at).name for at in range(structs.type.num_fields)]
    fields = [
        structs.field(one.name) if one.name in have else _empty(one.type, len(structs))
        for one in _FILE
    ]
    ends = np.cumsum([0, *pc.list_value_length(files).to_pylist()], dtype=np.int32)
    lists = pa.ListArray.from_arrays(
        pa.array(ends), pa.StructArray.from_arrays(fields, fields=list(_FILE))
    )
    columns = []
    for column in IMAGES:
        if column.name == "files":
            columns.append(lists)
        elif column.name in batch.schema.names:
            columns.append(batch.column(column.name))
        else:
            columns.append(_empty(column.type, batch.num_rows))
    return pa.RecordBatch.from_arrays(columns, schema=IMAGES)


def _empty(kind: pa.DataType, rows: int) -> pa.Array:
    value: Any = [] if pa.types.is_list(kind) else False if pa.types.is_boolean(kind) else None
    return pa.array([value] * rows, kind)


def to_ids(column: pa.Array) -> NDArray[np.bytes_]:
    """Returns a column of image ids as type S32; shorter or longer texts are cut or filled up."""
    if len(column) and not column.null_count and pa.types.is_string(column.type):
        _, ends_buffer, text = column.buffers()
        ends = np.frombuffer(ends_buffer, np.int32)[column.offset : column.offset + len(column) + 1]
        if (np.diff(ends) == 32).all():  # then the text is the array
            return np.frombuffer(text, ID_TYPE, len(column), int(ends[0])).copy()
    return np.asarray([(text or "").encode() for text in column.to_pylist()], ID_TYPE)


def places_in(ids: NDArray[np.bytes_], ascending: NDArray[np.bytes_]) -> NDArray[np.int64]:
    """Returns where each id is among others, which are in ascending order; -1 if it isn't."""
    if not len(ascending):
        return np.full(len(ids), -1, np.int64)
    places = np.minimum(np.searchsorted(ascending, ids), len(ascending) - 1)
    return np.where(ascending[places] == ids, places, -1)


def is_in(ids: NDArray[np.bytes_], ascending: NDArray[np.bytes_]) -> NDArray[np.bool_]:
    """Returns for each id whether it is among others, which are in ascending order."""
    return places_in(ids, ascending) >= 0


def vector_schema(dimension: int) -> pa.Schema:
    """Returns the schema of a table of vectors of that length."""
    return pa.schema([KEY, ("vector", pa.list_(pa.float16(), dimension))])


def to_matrix(column: pa.FixedSizeListArray) -> NDArray[np.float16]:
    """Returns a column of vectors as float16 of shape (rows, dimension)."""
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return cast("NDArray[np.float16]", flat.reshape(len(column), -1))
