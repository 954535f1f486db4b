"""A Lance table of a library: whether it can be read, and how it is mended."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from tagkin.checking.aside import copy_aside
from tagkin.checking.findings import Finding
from tagkin.checking.fragments import (
    DamagedFragment,
    read_fragments,
    readable_rows,
    replace_fragment,
    undelete,
)
from tagkin.checking.kinds import TableKind
from tagkin.checking.manifests import list_manifests, open_table
from tagkin.checking.versions import mend_versions
from tagkin.errors import LibraryError, first_line
from tagkin.lance_table import LANCE_ERRORS

_ATTEMPTS = 3

#: Goes through the rows of a fragment; what it has taken mustn't count if reading them raises.
TakeRows = Callable[[Iterator[pa.RecordBatch]], None]


def check_table(
    library: Path,
    path: Path,
    kind: TableKind,
    new_taker: Callable[[], TakeRows],
    *,
    repair: bool,
) -> list[Finding]:
    """Reads a whole table, and mends it if that is wanted.

    Args:
        library: The library's folder.
        path: The table's folder.
        kind: What it holds.
        new_taker: Makes what goes through the rows; called anew when the table was mended.
        repair: Whether to mend it.

    Raises:
        LibraryError: It can't be read or mended for want of permission or room.
    """
    _refuse_unreadable(path)
    findings = mend_versions(library, path, kind, repair=repair)
    if not list_manifests(path):
        return findings
    try:
        table = open_table(path)
    except (OSError, ValueError, RuntimeError) as error:
        if not findings:
            findings.append(
                Finding("damage", kind.part, path, f"can't be opened: {first_line(error)}")
            )
        return findings
    damaged = read_fragments(table, path, new_taker())
    for _ in range(_ATTEMPTS):
        if not damaged or open_table(path).version == table.version:
            break
        # Another process writes, and may have tidied up what was being read.
        table = open_table(path)
        damaged = read_fragments(table, path, new_taker())
    for fragment in damaged:
        findings.append(_mend(library, path, kind, table, fragment, repair=repair))
    if damaged and repair:
        still = read_fragments(open_table(path), path, new_taker())
        findings += [_describe(path, kind, fragment) for fragment in still]
    return findings


def _describe(path: Path, kind: TableKind, fragment: DamagedFragment) -> Finding:
    return Finding(
        "damage",
        kind.part,
        path,
        f"fragment {fragment.number} with {fragment.rows:,} rows can't be read: {fragment.reason}",
        fragment.rows,
        tuple(str(file) for file in fragment.files),
        "restore that file from a copy, or run 'tagkin check --repair', which keeps all other rows"
        + (f"; {kind.again}" if kind.again else ""),
    )


def _mend(
    library: Path,
    path: Path,
    kind: TableKind,
    table: Any,
    fragment: DamagedFragment,
    *,
    repair: bool,
) -> Finding:
    found = _describe(path, kind, fragment)
    if not repair:
        return found
    kept = copy_aside(library, f"{path.name}-fragment-{fragment.number}", fragment.files)
    try:
        if undelete(table, path, fragment.number):
            done = "its rows were kept, those deleted from it among them"
        else:
            parts = readable_rows(table, fragment)
            saved = sum(rows.num_rows for _, rows in parts)
            replace_fragment(
                open_table(path), path, fragment.number, _with_lost(parts, table, kind, fragment)
            )
            done = f"{saved:,} of its {fragment.rows:,} rows were saved, and all other fragments"
    except LANCE_ERRORS as error:
        raise LibraryError(
            f"can't mend {path}: {first_line(error)}; nothing that could be read was changed. "
            "Check the free space and the permissions, then run 'tagkin check --repair' again"
        ) from error
    again = f"; {kind.again}" if kind.again else ""
    return replace(found, advice="", repaired=f"{done}; the damaged files are in {kept}{again}")


def _with_lost(
    parts: list[tuple[int, pa.Table]], table: Any, kind: TableKind, fragment: DamagedFragment
) -> pa.Table:
    """Returns the rows that were saved, with others in the place of those that were not."""
    schema = table.schema
    if kind.lost is None:
        return pa.concat_tables([rows for _, rows in parts]) if parts else schema.empty_table()
    row = {name: kind.lost.get(name) for name in schema.names}
    filled: list[pa.Table] = []
    place = 0
    for start, rows in [*parts, (fragment.rows, schema.empty_table())]:
        filled.append(pa.Table.from_pylist([row] * (start - place), schema))
        filled.append(rows)
        place = start + rows.num_rows
    return pa.concat_tables(filled)


def _refuse_unreadable(path: Path) -> None:
    """Raises if a file is there and this user may not read it, which is no damage."""
    try:
        for folder in ("_versions", "data", "_deletions"):
            for file in (path / folder).glob("*"):
                with file.open("rb"):
                    pass
    except PermissionError as error:
        raise LibraryError(
            f"can't read {error.filename}: run 'tagkin check' as a user who may read the library"
        ) from error
    except FileNotFoundError:  # another process tidies up
        pass
