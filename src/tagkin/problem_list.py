"""The files that could not be used, in a library."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

import pyarrow as pa

from tagkin.lance_table import LanceTable
from tagkin.locking import one_at_a_time
from tagkin.records import PROBLEMS, Problem
from tagkin.remote_paths import as_path


class ProblemList:
    """The problems of one library; what one process says takes nothing from what another said."""

    def __init__(self, path: Path) -> None:
        self._table = LanceTable(path, PROBLEMS)
        self._library = path.parent

    def read(self) -> list[Problem]:
        """Returns all problems, ordered by path."""
        rows = self._table.read().to_pylist()
        found = [Problem(as_path(os.fsdecode(row["path"])), row["reason"]) for row in rows]
        return sorted(found, key=lambda problem: problem.path)

    def replace(self, problems: Iterable[Problem]) -> None:
        """Replaces all of them in one step."""
        with one_at_a_time(self._library, "problems"):
            self._write(problems)

    def add(self, problems: Iterable[Problem]) -> None:
        """Adds some in one step; new reasons for the same path replace the old ones."""
        new = list(dict.fromkeys(problems))
        self._change({problem.path for problem in new}, new)

    def settle(self, paths: Iterable[Path]) -> None:
        """Takes out those of files that could be used after all."""
        self._change(set(paths), ())

    def _change(self, paths: Collection[Path], new: Iterable[Problem]) -> None:
        with one_at_a_time(self._library, "problems"):
            self._write([*(p for p in self.read() if p.path not in paths), *new])

    def _write(self, problems: Iterable[Problem]) -> None:
        rows = [{"path": os.fsencode(p.path), "reason": p.reason} for p in problems]
        self._table.replace(pa.Table.from_pylist(rows, PROBLEMS))
        self._table.tidy()
