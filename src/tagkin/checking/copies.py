"""Rows that are there more than once, as two processes at once could leave them in the past."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tagkin.lance_table import LanceTable
from tagkin.library import Library
from tagkin.records import ID_TYPE, IMAGES, ImageFile, ImageRow

_AT_ONCE = 500  # ids named in one condition


def join_images(library: Library, ids: Sequence[str]) -> None:
    """Makes the rows of each of some images one, with the files of all of them.

    Raises:
        LibraryError: The library can't be written.
    """
    table = LanceTable(library.path / "images.lance", IMAGES)
    for some in _parts(ids):
        joined: dict[str, ImageRow] = {}
        for row in library.iter_images(np.array(sorted(some), ID_TYPE)):
            joined[row.id] = _join(joined[row.id], row) if row.id in joined else row
        # All copies first become the same, so that any of them may go.
        library.upsert_images(list(joined.values()))
        table.delete_copies("id", some)


def drop_vector_copies(path: Path, ids: Sequence[str]) -> None:
    """Leaves one vector of each of some images.

    Args:
        path: Of the table of vectors.
        ids: Of the images.

    Raises:
        LibraryError: The library can't be written.
    """
    table = LanceTable(path, None)
    for some in _parts(ids):
        table.delete_copies("id", some)


def delete_vectors(path: Path, ids: Sequence[str]) -> None:
    """Deletes the vectors of some images, which the next ``embed`` makes again.

    Args:
        path: Of the table of vectors.
        ids: Of the images.

    Raises:
        LibraryError: The library can't be written.
    """
    table = LanceTable(path, None)
    for some in _parts(ids):
        table.delete("id", some)


def _join(earlier: ImageRow, later: ImageRow) -> ImageRow:
    files: dict[Path, ImageFile] = {file.path: file for file in (*earlier.files, *later.files)}
    return replace(
        later,
        files=tuple(files[path] for path in sorted(files)),
        group=later.group or earlier.group,
        split=earlier.split or later.split,  # an image keeps its split
    )


def _parts(ids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield list(ids[start : start + _AT_ONCE])
