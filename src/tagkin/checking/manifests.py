"""Versions of a Lance table: which manifests can be read, and what is left if the last can't."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tagkin.errors import first_line
from tagkin.lance_table import LANCE_ERRORS, ORDER_FILE

_LATEST = 2**64 - 1  # names of manifests count down from it, so that the newest comes first


@dataclass(frozen=True)
class Manifest:
    """The file that says what a version of a table consists of."""

    version: int
    path: Path


def list_manifests(path: Path) -> list[Manifest]:
    """Returns the manifests of a table, the newest first."""
    found = []
    for file in (path / "_versions").glob("*.manifest"):
        if file.stem.isdecimal():
            number = int(file.stem)
            # Older tables are named by the version itself.
            found.append(Manifest(_LATEST - number if len(file.stem) == 20 else number, file))
    return sorted(found, key=lambda manifest: -manifest.version)


def open_table(path: Path, version: int | None = None) -> Any:
    """Opens a table, from the disk rather than from what was read of it before.

    Raises:
        OSError, ValueError, RuntimeError: It can't be opened.
    """
    import lance

    return lance.dataset(str(path), version=version, session=lance.Session())


def damaged_manifests(path: Path) -> list[tuple[Manifest, str]]:
    """Returns the manifests of a table that can't be read, with the reason, the newest first."""
    damaged = []
    for manifest in list_manifests(path):
        try:
            open_table(path, manifest.version)
        except LANCE_ERRORS as error:
            if manifest.path.exists():  # else another process has tidied up
                damaged.append((manifest, first_line(error)))
    return damaged


def unlisted_files(path: Path, known: set[str]) -> list[tuple[int, Path]]:
    """Returns the files of rows that no readable version knows of, in the order of writing.

    Args:
        path: Of the table.
        known: Names of files that a readable version lists.

    Returns:
        Each file with the version that its writer had read; 0 if that is no longer known, but the
        file was in the table, and -1 if nobody noted anything, as for a write that was killed
        before it was complete.
    """
    files = {file.name: file for file in (path / "data").glob("*.lance") if file.name not in known}
    read: dict[str, int] = {}
    for transaction in (path / "_transactions").glob("*.txn"):
        version = re.match(r"(\d+)-", transaction.name)
        content = transaction.read_bytes() if version else b""
        for name in files:
            if version and name.encode() in content:
                read[name] = min(int(version[1]), read.get(name, _LATEST))
    order = {name: place for place, name in enumerate(_order(path))}

    def key(entry: tuple[int, Path]) -> tuple[int, int, int, str]:
        version, file = entry
        return version, order.get(file.name, len(order)), file.stat().st_mtime_ns, file.name

    return sorted(
        ((read.get(name, 0 if name in order else -1), file) for name, file in files.items()),
        key=key,
    )


def _order(path: Path) -> list[str]:
    try:
        found = json.loads((path / ORDER_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return [str(name) for name in found] if isinstance(found, list) else []


def file_schema(file: Path) -> pa.Schema | None:
    """Returns the schema of a file of a table; None if it can't be read."""
    from lance.file import LanceFileReader

    try:
        return LanceFileReader(str(file)).metadata().schema
    except LANCE_ERRORS:
        return None


def rows_of_file(file: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yields the rows of a file of a table, without the table; none if it can't be read."""
    from lance.file import LanceFileReader

    try:
        found = LanceFileReader(str(file))
        if set(found.metadata().schema.names) != set(schema.names):
            return
        for batch in found.read_all(batch_size=8192).to_batches():
            yield pa.Table.from_batches([batch]).select(schema.names).cast(schema)
    except LANCE_ERRORS:
        return
