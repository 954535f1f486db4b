"""One Lance table on disk: atomic appends, upserts and replacements, with clear errors.

Lance (the format and engine of LanceDB, https://lancedb.github.io/lance) writes new files beside
the old ones and commits them with one rename, so that a killed process leaves the last complete
version. The folders are those of a LanceDB database, which opens them as tables.
"""

import contextlib
import functools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from tagkin.errors import LibraryError, first_line
from tagkin.files import working_folder
from tagkin.remote_paths import RemotePath

# Lance's own log lines (deprecations, retries) are not for the user of a command.
os.environ.setdefault("LANCE_LOG", "error")

#: What Lance raises when something is wrong with a table or its disk.
LANCE_ERRORS = (OSError, ValueError, RuntimeError, pa.ArrowException)

#: Old versions are kept this long, for readers that opened the table before.
_KEEP_VERSIONS = timedelta(minutes=10)
_TIDY_EVERY = 50  # versions
#: Metadata of the column that is a table's key; Lance lets it be of no column that may be null.
KEY_MARK = b"lance-schema:unenforced-primary-key"
#: In a table that is never compacted: the names of its files with rows, at a 50th version.
ORDER_FILE = "files_in_order.json"
_ATTEMPTS = 5


class LanceTable:
    """A table in a folder; it exists from its first write."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema

    def exists(self) -> bool:
        """Returns whether anything has been written."""
        # A process killed in its first write may leave a temporary file there.
        versions = self.path / "_versions"
        if isinstance(versions, RemotePath):
            from tagkin.store_objects import names_below

            return any(
                name.endswith(".manifest")
                for name in self._run("read", lambda: names_below(versions))
            )
        return any(versions.glob("*.manifest"))

    def count(self) -> int:
        """Returns the number of rows."""
        return int(self._run("read", lambda: self._open().count_rows())) if self.exists() else 0

    def version(self) -> int:
        """Returns a number that every write makes greater; 0 if there is no table."""
        return int(self._run("read", lambda: self._open().version)) if self.exists() else 0

    def stored_schema(self) -> pa.Schema:
        """Returns the schema of what is stored, which an older program may have written."""
        return self._run("read", lambda: self._open().schema) if self.exists() else self.schema

    def read(self, columns: Sequence[str] | None = None, *, skip: int = 0) -> pa.Table:
        """Returns all rows but the first few, or those columns of them."""
        if not self.exists():
            empty = self.schema.empty_table()
            return empty if columns is None else empty.select(list(columns))
        wanted = None if columns is None else list(columns)
        table: pa.Table = self._run(
            "read", lambda: self._open().to_table(columns=wanted, offset=skip or None)
        )
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

    def append(self, rows: pa.Table) -> int:
        """Adds rows at the end, all or none, and returns how many there are then.

        Rows that another process adds at the same time are before or behind all of these.
        """
        return int(self._write(rows, "append").count_rows())

    def replace(self, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Replaces the whole content in one step; a reader may read what is replaced."""
        self._write(rows, "overwrite")

    def upsert(self, rows: pa.Table, key: str) -> None:
        """Adds rows, and replaces those with the same key, all or none."""
        self.make()
        self._mark_key(key)
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

    def delete(self, key: str, values: Sequence[str]) -> None:
        """Deletes the rows whose key is one of some values, all or none.

        Args:
            key: Name of the column.
            values: Without quotation marks in them, as hexadecimal numbers are.
        """
        if self.exists():
            listed = ", ".join(f"'{value}'" for value in values)
            self._run("write", lambda: self._open().delete(f"{key} IN ({listed})"))

    def delete_copies(self, key: str, values: Sequence[str]) -> None:
        """Deletes all rows but the last of each of some keys, all or none.

        Args:
            key: Name of the column.
            values: As for `delete`.
        """
        if self.exists():
            self._run("write", functools.partial(self._delete_copies, key, values))

    def _delete_copies(self, key: str, values: Sequence[str]) -> None:
        table = self._open()
        listed = ", ".join(f"'{value}'" for value in values)
        found = table.to_table(columns=[key], filter=f"{key} IN ({listed})", with_row_id=True)
        last: dict[str, int] = {}
        earlier = []
        for name, row in zip(
            *(found.column(one).to_pylist() for one in (key, "_rowid")), strict=True
        ):
            if name in last:
                earlier.append(str(last[name]))
            last[name] = row
        if earlier:
            table.delete(f"_rowid IN ({', '.join(earlier)})")

    def add_missing(self, rows: pa.Table, key: str) -> None:
        """Adds the rows whose key is not there yet, all or none."""
        self.make()
        self._mark_key(key)
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

    def drop_old_versions(self) -> None:
        """Drops old versions at every 50th, and leaves the files with the rows as they are.

        The order of the files is noted first: else nothing would tell it if the last version too
        were lost.
        """
        if self.exists():
            self._run("tidy", functools.partial(self._tidy, compact=False))

    def _tidy(self, *, compact: bool = True) -> None:
        table = self._open()
        if table.version % _TIDY_EVERY == 0:
            if compact:
                table.optimize.compact_files()
            else:
                self._note_order(table)
            self._open().cleanup_old_versions(older_than=_KEEP_VERSIONS)

    def _note_order(self, table: Any) -> None:
        from tagkin.store_objects import write_file

        files = [file.path for part in table.get_fragments() for file in part.data_files()]
        write_file(self.path / ORDER_FILE, json.dumps(files).encode())

    def make(self) -> None:
        """Makes the table, empty, unless it exists; every write does so first.

        Of two processes that let Lance make a table at the same time, the slower may overwrite
        what the faster has written. So it is made elsewhere and moved: a folder isn't moved over
        one that has something in it.
        """
        if not self.exists():
            self._run("write", self._make)

    def _make(self) -> None:
        import lance

        if isinstance(self.path, RemotePath):  # where the write itself fails if there is one
            try:
                lance.write_dataset(self.schema.empty_table(), str(self.path), mode="create")
            except LANCE_ERRORS:
                if not self.exists():
                    raise
            return
        with working_folder(self.path.parent, f".{self.path.name}-") as work:
            made = work / "table"
            lance.write_dataset(self.schema.empty_table(), str(made), mode="create")
            for _ in range(_ATTEMPTS):
                try:
                    made.rename(self.path)
                except OSError:
                    if self.exists():
                        return
                    # The remains of a first write that was killed are no table.
                    self.path.rename(work / "remains")
                else:
                    return
        raise OSError("another process keeps making it")

    def match_columns(self) -> None:
        """Adds the columns of the schema that the table lacks, empty, and drops those not in it.

        Each of the two is a step of its own that rewrites no row, and refuses to pass by what
        another process writes meanwhile.
        """
        for _ in range(_ATTEMPTS):
            stored = self.stored_schema()
            missing = [field for field in self.schema if field.name not in stored.names]
            surplus = [name for name in stored.names if name not in self.schema.names]
            if not missing and not surplus:
                return
            # Of two processes that do this, the slower finds it done when it looks again.
            with contextlib.suppress(LibraryError):
                self._run("write", functools.partial(self._change_columns, missing, surplus))
        raise LibraryError(
            f"can't bring {self.path} up to date: another process keeps writing to it, or it can't "
            "be written; check the permissions of that folder, then run the command again"
        )

    def _change_columns(self, missing: list[pa.Field], surplus: list[str]) -> None:
        if missing:
            self._open().add_columns(missing)
        if surplus:
            self._open().drop_columns(surplus)

    def _write(self, rows: pa.Table | pa.RecordBatchReader, mode: str) -> Any:
        import lance

        self.make()
        return self._run("write", lambda: lance.write_dataset(rows, str(self.path), mode=mode))

    def _mark_key(self, key: str) -> None:
        """Names the key to Lance, by which it keeps two processes from adding the same row twice.

        Tables of earlier versions of Tagkin lack it; no row is rewritten.
        """
        stored = self.stored_schema().field(key)
        if stored.nullable or KEY_MARK not in (stored.metadata or {}):
            for _ in range(_ATTEMPTS):  # another process may do the same, or write meanwhile
                with contextlib.suppress(LibraryError):
                    self._run("write", functools.partial(self._set_key, key))
                    return

    def _set_key(self, key: str) -> None:
        if self._open().schema.field(key).nullable:
            self._open().alter_columns({"path": key, "nullable": False})
        self._open().update_field_metadata({key: {KEY_MARK.decode(): "true"}})

    def _open(self) -> Any:
        import lance

        return lance.dataset(str(self.path))

    def _run(self, what: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except LANCE_ERRORS as error:
            raise explained(what, self.path, error) from error


def explained(what: str, path: Path, error: Exception) -> LibraryError:
    """Returns the error to raise for one of Lance's: what went wrong, and what to do.

    Args:
        what: What was done with the table, such as ``read``.
        path: Of the table.
        error: One of `LANCE_ERRORS`.
    """
    advice = (
        "check the permissions of that folder, and if they are right, run 'tagkin check' "
        "to see what is damaged, and 'tagkin check --repair' to mend it"
        if what == "read"
        else "nothing that was stored before is lost; check the free space and the "
        "permissions of that folder, then run the command again"
    )
    return LibraryError(f"can't {what} {path}: {first_line(error)}; {advice}")
