"""The fragments of a Lance table: which can be read, and what is left of the others."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tagkin.errors import first_line
from tagkin.lance_table import LANCE_ERRORS

_ROWS_AT_ONCE = 8192


@dataclass(frozen=True)
class DamagedFragment:
    """A part of a table that can't be read.

    Attributes:
        number: Lance's number of the fragment.
        rows: That it had.
        files: Its files.
        reason: Why it can't be read.
    """

    number: int
    rows: int
    files: tuple[Path, ...]
    reason: str


def read_fragments(
    table: Any, path: Path, take: Callable[[Iterator[pa.RecordBatch]], None]
) -> list[DamagedFragment]:
    """Reads all columns of a table, fragment by fragment, in little memory.

    Args:
        table: A ``lance.LanceDataset``.
        path: Its folder.
        take: Given the rows of each fragment in batches, which it has to go through. If a batch
            can't be read, what it has taken of the fragment must not count.

    Returns:
        The fragments that can't be read.
    """
    damaged = []
    for fragment in table.get_fragments():
        try:
            take(_batches(fragment))
        except _Unreadable as error:
            damaged.append(_describe(fragment, path, str(error)))
    return damaged


class _Unreadable(Exception):  # noqa: N818 - it is caught right above
    """A fragment can't be read; other errors are no damage."""


def _batches(fragment: Any) -> Iterator[pa.RecordBatch]:
    try:
        batches = iter(fragment.to_batches(batch_size=_ROWS_AT_ONCE))
        while (batch := next(batches, None)) is not None:
            batch.validate()
            yield batch
    except LANCE_ERRORS as error:
        raise _Unreadable(first_line(error)) from error


def _describe(fragment: Any, path: Path, reason: str) -> DamagedFragment:
    about = fragment.metadata.to_json()
    files = [path / "data" / one["path"] for one in about["files"]]
    deleted = about.get("deletion_file")
    if deleted:
        files += (path / "_deletions").glob(f"{about['id']}-*-{deleted['id']}.*")
    rows = int(about["physical_rows"]) - int(deleted["num_deleted_rows"] if deleted else 0)
    return DamagedFragment(int(about["id"]), rows, tuple(files), reason)


def readable_rows(table: Any, damaged: DamagedFragment) -> list[tuple[int, pa.Table]]:
    """Returns what can still be read of a damaged fragment.

    Returns:
        In order, the place in the fragment from which rows could be read, and the rows.
    """
    fragment = table.get_fragment(damaged.number)
    found: list[tuple[int, pa.Table]] = []
    ranges = [(0, damaged.rows)] if _ends(fragment, damaged.rows) else []
    while ranges:
        start, stop = ranges.pop()
        try:
            rows = fragment.to_table(offset=start, limit=stop - start)
        except LANCE_ERRORS:
            if stop - start > 1:
                middle = (start + stop) // 2
                ranges += [(middle, stop), (start, middle)]
        else:
            found.append((start, rows))
    return found


def _ends(fragment: Any, rows: int) -> bool:
    """Whether the first row or the last can be read; if not, the file as a whole can't."""
    for start in (0, max(0, rows - 1)):
        try:
            fragment.to_table(offset=start, limit=1)
        except LANCE_ERRORS:
            continue
        return True
    return False


def undelete(table: Any, path: Path, number: int) -> bool:
    """Gives a fragment back the rows that were deleted from it, if its other files can be read.

    That saves the rows of a fragment of which only the list of what was deleted is damaged.
    """
    import lance
    from lance.file import LanceFileReader
    from lance.fragment import FragmentMetadata

    about = table.get_fragment(number).metadata.to_json()
    if not about.get("deletion_file"):
        return False
    try:
        for one in about["files"]:
            for _ in LanceFileReader(str(path / "data" / one["path"])).read_all().to_batches():
                pass
    except LANCE_ERRORS:
        return False
    whole = FragmentMetadata.from_json(json.dumps({**about, "deletion_file": None}))
    swap = lance.LanceOperation.Update(updated_fragments=[whole])
    lance.LanceDataset.commit(str(path), swap, read_version=table.version)
    return True


def replace_fragment(table: Any, path: Path, number: int, rows: pa.Table) -> None:
    """Puts other rows in the place of a fragment, in one step.

    The other fragments stay as they are, and so does their order.

    Raises:
        OSError, ValueError, RuntimeError: The table can't be written.
    """
    import lance
    from lance.fragment import FragmentMetadata, write_fragments

    if not rows.num_rows:
        gone = lance.LanceOperation.Delete([], [number], f"fragment {number} is damaged")
        lance.LanceDataset.commit(str(path), gone, read_version=table.version)
        return
    (made,) = write_fragments(rows, str(path), table.schema, mode="append")
    # With the number of the old fragment it stands in its place.
    placed = FragmentMetadata.from_json(json.dumps({**made.to_json(), "id": number}))
    swap = lance.LanceOperation.Update(updated_fragments=[placed])
    lance.LanceDataset.commit(str(path), swap, read_version=table.version)
