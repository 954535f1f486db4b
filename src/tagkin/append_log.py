"""A list on disk to which entries are added, and in which nothing is ever changed.

An entry's number is its place in the table, from 1, and isn't stored. An append to a Lance table is
either committed behind all rows before it or not at all, and is tried again behind the rows of
another process that was faster; so two processes can't take the same number, and no lock is needed.
The table is never compacted: Lance may put the joined rows behind those that another process adds
meanwhile, and with them their numbers.
"""

import contextlib
import getpass
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from tagkin.errors import LibraryError
from tagkin.lance_table import LanceTable


class AppendLog:
    """A list of entries; what was read once isn't read again, since it can't change.

    Args:
        path: Of its table.
        schema: With the columns ``undoes``, ``when`` and ``who`` among others.
        entry: What an entry is called in messages, such as ``decision``.
    """

    def __init__(self, path: Path, schema: pa.Schema, entry: str) -> None:
        self._table = LanceTable(path, schema)
        self._entry = entry
        self._rows: list[dict[str, Any]] = []
        self._version = 0
        self._reading = threading.Lock()

    def version(self) -> int:
        """Returns a number that grows whenever something is added; 0 before the first entry."""
        return self._table.version()

    def rows(self) -> list[dict[str, Any]]:
        """Returns all entries, the first one first."""
        with self._reading:
            version = self._table.version()
            if version != self._version:
                self._rows += self._table.read(skip=len(self._rows)).to_pylist()
                self._version = version
            return list(self._rows)

    def append(self, new: Sequence[Mapping[str, Any]]) -> tuple[int, list[dict[str, Any]]]:
        """Adds entries, all or none; their time and user are filled in where they are None.

        Returns:
            The number of the first of them, and what was stored.

        Raises:
            LibraryError: One would undo what isn't there, or the library can't be written.
        """
        self._check_undone(row["undoes"] for row in new)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [{**row, "when": row["when"] or now, "who": row["who"] or _user()} for row in new]
        self._table.make()
        total = self._table.append(pa.Table.from_pylist(rows, self._table.schema))
        with contextlib.suppress(LibraryError):  # what had to be stored is
            self._table.drop_old_versions()
        return total - len(rows) + 1, rows

    def upgrade(self) -> None:
        """Gives the table of an older Tagkin today's columns, in steps that lose no row."""
        self._table.match_columns()

    def _check_undone(self, numbers: Iterable[int | None]) -> None:
        wanted = [number for number in numbers if number is not None]
        known = self._table.count() if wanted else 0
        for number in wanted:
            if not 1 <= number <= known:
                raise LibraryError(f"there is no {self._entry} number {number} to undo")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without an entry for this user
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
