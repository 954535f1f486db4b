"""The list of decisions on disk.

A decision's number is its place in the table and isn't stored. An append to a Lance table is
either committed behind all rows before it or not at all, and is tried again behind the rows of
another process that was faster; so two processes can't take the same number, and no lock is needed.
The table is never compacted: Lance may put the joined rows behind those that another process adds
meanwhile, and with them their numbers.
"""

import contextlib
import getpass
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from tagkin.decisions import Decision, NewDecision
from tagkin.errors import LibraryError
from tagkin.lance_table import LanceTable
from tagkin.records import DECISIONS


class DecisionLog:
    """The decisions of one library, in the order in which they were taken."""

    def __init__(self, path: Path) -> None:
        self._table = LanceTable(path, DECISIONS)

    def read(self) -> list[Decision]:
        """Returns all decisions."""
        rows = self._table.read(DECISIONS.names).to_pylist()
        return _numbered(rows, 1)

    def append(self, new: Sequence[NewDecision]) -> list[Decision]:
        """Adds decisions, all or none, and returns them with the numbers that they got.

        Raises:
            LibraryError: One would undo what was never decided, or the library can't be written.
        """
        if not new:
            return []
        if undoes := [one.undoes for one in new if one.undoes is not None]:
            known = self._table.count()
            for number in undoes:
                if not 1 <= number <= known:
                    raise LibraryError(f"there is no decision number {number} to undo")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [
            {
                **one.__dict__,
                "tags": list(one.tags),
                "when": one.when or now,
                "who": one.who or _user(),
            }
            for one in new
        ]
        self._table.make()
        total = self._table.append(pa.Table.from_pylist(rows, DECISIONS))
        with contextlib.suppress(LibraryError):  # what had to be stored is
            self._table.drop_old_versions()
        return _numbered(rows, total - len(rows) + 1)

    def upgrade(self) -> None:
        """Gives the table of an older Tagkin today's columns, in steps that lose no row.

        Lists of schema 2 and before stored the number, and no probability.
        """
        self._table.match_columns()


def _numbered(rows: Sequence[Mapping[str, Any]], first: int) -> list[Decision]:
    return [
        Decision(number, **{**row, "tags": tuple(row["tags"])})
        for number, row in enumerate(rows, first)
    ]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without an entry for this user
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
