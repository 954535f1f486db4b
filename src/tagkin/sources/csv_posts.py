"""The posts of a booru as CSV, as e621 exports them every day."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from tagkin.sources.csv_rows import Lines
from tagkin.sources.json_objects import JsonObject
from tagkin.sources.opening import open_file

#: By these columns such a table is told from another.
COLUMNS = frozenset({"md5", "tag_string"})


def iter_csv_posts(path: Path) -> Iterator[JsonObject]:
    """Yields the rows as objects; a bad row is told and passed over.

    Raises:
        OSError: The file can't be read.
    """
    with open_file(path) as file, io.TextIOWrapper(file, "utf-8-sig", "replace", "") as text:
        lines = Lines(text)
        rows = csv.reader(lines, strict=True)
        header: list[str] = []
        while True:
            place = f"line {lines.number + 1}"
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield JsonObject(place, {}, str(error))
                continue
            if not header:
                header = [name.strip().lower() for name in cells]
            elif len(cells) != len(header):
                wrong = f"{len(cells)} columns where the header has {len(header)}"
                yield JsonObject(place, {}, wrong)
            elif cells:
                yield JsonObject(place, dict(zip(header, cells, strict=True)))


def is_csv_posts(path: Path) -> bool:
    """Returns whether a CSV file has the columns of posts.

    Raises:
        OSError: The file can't be read.
    """
    with open_file(path) as file, io.TextIOWrapper(file, "utf-8-sig", "replace", "") as text:
        try:
            header = next(csv.reader(Lines(text), strict=True), [])
        except csv.Error:
            return False
    return {name.strip().lower() for name in header} >= COLUMNS
