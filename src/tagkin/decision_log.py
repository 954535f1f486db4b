"""The list of decisions on disk."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tagkin.append_log import AppendLog
from tagkin.decisions import Decision, NewDecision
from tagkin.records import DECISIONS


class DecisionLog:
    """The decisions of one library, in the order in which they were taken."""

    def __init__(self, path: Path) -> None:
        self._log = AppendLog(path, DECISIONS, "decision")

    def version(self) -> int:
        """Returns a number that grows whenever something is decided."""
        return self._log.version()

    def read(self) -> list[Decision]:
        """Returns all decisions."""
        return _numbered(self._log.rows(), 1)

    def append(self, new: Sequence[NewDecision]) -> list[Decision]:
        """Adds decisions, all or none, and returns them with the numbers that they got.

        Raises:
            LibraryError: One would undo what was never decided, or the library can't be written.
        """
        if not new:
            return []
        first, rows = self._log.append([{**one.__dict__, "tags": list(one.tags)} for one in new])
        return _numbered(rows, first)

    def upgrade(self) -> None:
        """Gives the table of an older Tagkin today's columns, in steps that lose no row.

        Lists of schema 2 and before stored the number, and no probability.
        """
        self._log.upgrade()


def _numbered(rows: Sequence[Mapping[str, Any]], first: int) -> list[Decision]:
    return [
        Decision(number, **{**row, "tags": tuple(row["tags"])})
        for number, row in enumerate(rows, first)
    ]
