"""Near-duplicates as a CSV table with a row for each file."""

import csv
from collections.abc import Iterable
from pathlib import Path

from tagkin.duplicates import DuplicateGroup
from tagkin.errors import TagkinError
from tagkin.files import atomic_file

_COLUMNS = ("group", "keep", "path", "id", "width", "height", "format", "bytes")


def write_duplicates(groups: Iterable[DuplicateGroup], path: Path) -> None:
    """Writes the table in one step, in place of a file that may be there.

    Names that are not UTF-8 are written with their own bytes.

    Raises:
        TagkinError: The file can't be written.
    """
    try:
        with (
            atomic_file(path) as temporary,
            temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            for number, group in enumerate(groups, 1):
                for row in group.images:
                    keep = "yes" if row is group.images[0] else "no"
                    for one in row.files:
                        writer.writerow(
                            [number, keep, one.path, row.id, row.width, row.height, row.format,
                             one.bytes]
                        )  # fmt: skip
    except OSError as error:
        raise TagkinError(f"can't write {path}: {error}") from error
