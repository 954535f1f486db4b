"""Joins two halves of a dump by key, on disk: a dump may be larger than memory."""

import json
import sqlite3
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self


class Join:
    """What was put by, as JSON in a temporary database that is deleted when it is closed."""

    def __init__(self) -> None:
        # An empty name makes SQLite keep the database in a file that it deletes at once.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "PRAGMA temp_store = FILE",
            "BEGIN",
            "CREATE TABLE left_side (key TEXT, value TEXT)",
            "CREATE TABLE right_side (key TEXT, value TEXT)",
        ):
            self._database.execute(statement)
        self._indexed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()

    def add_left(self, key: str, value: Any) -> None:
        """Puts by what others are to be joined to."""
        self._add("left_side", key, value)

    def add_right(self, key: str, value: Any) -> None:
        """Puts by what is to be joined."""
        self._add("right_side", key, value)

    def matches(self, key: str) -> list[Any]:
        """Returns what was joined to a key, in the order in which it came."""
        if not self._indexed:
            self._database.execute("CREATE INDEX by_key ON right_side (key)")
            self._indexed = True
        rows = self._database.execute(
            "SELECT value FROM right_side WHERE key = ? ORDER BY rowid", (_plain(key),)
        )
        return [json.loads(value) for (value,) in rows]

    def pairs(self) -> Iterator[tuple[Any, list[Any]]]:
        """Yields what was put by on the left with what was joined to it."""
        for key, value in self._database.execute("SELECT key, value FROM left_side ORDER BY rowid"):
            yield json.loads(value), self.matches(key)

    def _add(self, side: str, key: str, value: Any) -> None:
        # In ASCII, so that halves of surrogate pairs come through.
        row = (_plain(key), json.dumps(value))
        self._database.execute(f"INSERT INTO {side} VALUES (?, ?)", row)  # noqa: S608


def _plain(key: str) -> str:
    return key.encode("utf-8", "replace").decode()
