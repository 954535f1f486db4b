"""One Lance table on disk: atomic appends, upserts and replacements, with clear errors.

Lance (the format and engine of LanceDB, https://lancedb.github.io/lance) writes new files beside
the old ones and commits them with one rename, so that a killed process leaves the last complete
version. The folders are those of a LanceDB database, which opens them as tables.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from tagkin.errors import LibraryError

# Lance's own log lines (deprecations, retries) are not for the user of a command.
os.environ.setdefault("LANCE_LOG", "error")

#: Old versions are kept this long, for readers that opened the table before.
_KEEP_VERSIONS = timedelta(minutes=10)
_TIDY_EVERY = 50  # versions


class LanceTable:
    """A table in a folder; it exists from its first write."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema

    def exists(self) -> bool:
        """Returns whether anything has been written."""
        # A process killed in its first write may leave a temporary file there.
        return any((self.path / "_versions").glob("*.manifest"))

    def count(self) -> int:
        """Returns the number of rows."""
        return int(self._run("read", lambda: self._open().count_rows())) if self.exists() else 0

    def stored_schema(self) -> pa.Schema:
        """Returns the schema of what is stored, which an older program may have written."""
        return self._run("read", lambda: self._open().schema) if self.exists() else self.schema

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Returns all rows, or those columns of them."""
        if not self.exists():
            empty = self.schema.empty_table()
            return empty if columns is None else empty.select(list(columns))
        wanted = None if columns is None else list(columns)
        table: pa.Table = self._run("read", lambda: self._open().to_table(columns=wanted))
        return table

    def batches(
        self, columns: Sequence[str], rows: int = 16384, *, where: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yields the rows in batches, so that a large table needs little memory.

        Args:
            columns: Their names.
            rows: Most rows in a batch.
            where: An SQL condition that they meet.
        """
        if not self.exists():
            return
        batches = self._run(
            "read",
            lambda: iter(
                self._open().to_batches(columns=list(columns), batch_size=rows, filter=where)
            ),
        )
        while (batch := self._run("read", lambda: next(batches, None))) is not None:
            yield batch

    def append(self, rows: pa.Table) -> None:
        """Adds rows at the end, all or none."""
        self._write(rows, "append")

    def replace(self, rows: pa.Table) -> None:
        """Replaces the whole content in one step."""
        self._write(rows, "overwrite")

    def upsert(self, rows: pa.Table, key: str) -> None:
        """Adds rows, and replaces those with the same key, all or none."""
        if not self.exists():
            self.append(rows)
            return
        self._run(
            "write",
            lambda: (
                self._open()
                .merge_insert(key)
                .when_matched_update_all()
                .when_not_matched_insert_all()
                .execute(rows)
            ),
        )

    def add_missing(self, rows: pa.Table, key: str) -> None:
        """Adds the rows whose key is not there yet, all or none."""
        if not self.exists():
            self.append(rows)
            return
        self._run(
            "write",
            lambda: self._open().merge_insert(key).when_not_matched_insert_all().execute(rows),
        )

    def tidy(self) -> None:
        """Joins small files and drops old versions, at every 50th version.

        Not more often: old files stay on the disk for as long as old versions are kept, and each
        time that files are joined adds a copy of the table to them.
        """
        if self.exists():
            self._run("tidy", self._tidy)

    def _tidy(self) -> None:
        table = self._open()
        if table.version % _TIDY_EVERY == 0:
            table.optimize.compact_files()
            self._open().cleanup_old_versions(older_than=_KEEP_VERSIONS)

    def _write(self, rows: pa.Table, mode: str) -> None:
        import lance

        how = mode if self.exists() else "create"
        self._run("write", lambda: lance.write_dataset(rows, str(self.path), mode=how))

    def _open(self) -> Any:
        import lance

        return lance.dataset(str(self.path))

    def _run(self, what: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except (OSError, ValueError, RuntimeError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
            advice = (
                "check the permissions of that folder, and if they are right, restore it from a "
                "copy or delete it and run the command that made it again"
                if what == "read"
                else "nothing that was stored before is lost; check the free space and the "
                "permissions of that folder, then run the command again"
            )
            raise LibraryError(f"can't {what} {self.path}: {reason}; {advice}") from error
