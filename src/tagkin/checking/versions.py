"""Damaged versions of a Lance table: an older one takes their place, and no row is given up."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from tagkin.checking.aside import move_aside
from tagkin.checking.findings import Finding
from tagkin.checking.fragments import first_line
from tagkin.checking.kinds import TableKind
from tagkin.checking.manifests import (
    Manifest,
    damaged_manifests,
    file_schema,
    list_manifests,
    open_table,
    rows_of_file,
    unlisted_files,
)
from tagkin.errors import LibraryError
from tagkin.files import working_folder
from tagkin.lance_table import LanceTable
from tagkin.records import vector_schema


def mend_versions(library: Path, path: Path, kind: TableKind, *, repair: bool) -> list[Finding]:
    """Looks at the manifests of a table, and mends it if that is wanted.

    Args:
        library: The library's folder.
        path: The table's folder.
        kind: What it holds.
        repair: Whether to mend it.

    Raises:
        LibraryError: It can't be mended for want of permission or room.
    """
    manifests = list_manifests(path)
    if not manifests:
        return [_without_versions(library, path, kind, repair=repair)]
    damaged = damaged_manifests(path)
    if not damaged:
        return []
    latest = manifests[0].version in [manifest.version for manifest, _ in damaged]
    readable = [m for m in manifests if m.version not in [bad.version for bad, _ in damaged]]
    versions = ", ".join(str(manifest.version) for manifest, _ in damaged)
    reason = damaged[0][1]
    what = f"version {versions} of the table is damaged: {reason}"
    done = None
    if repair:
        if not readable:
            done = _rebuild(library, path, kind)
        else:
            done = _fall_back(library, path, kind, [bad for bad, _ in damaged], latest=latest)
    return [
        Finding(
            "damage",
            kind.part,
            path,
            what if latest else f"old {what}",
            len(damaged),
            tuple(str(manifest.path) for manifest, _ in damaged),
            "restore that file from a copy, or run 'tagkin check --repair'",
            done,
        )
    ]


def _without_versions(library: Path, path: Path, kind: TableKind, *, repair: bool) -> Finding:
    """A folder without any version: the remains of a first write, or a table that lost them."""
    rows = [file for file in (path / "data").glob("*.lance") if file.stat().st_size]
    if rows:
        what = f"the table has lost its versions; it has {len(rows)} files with rows"
        done = _rebuild(library, path, kind) if repair else None
        advice = "restore the folder from a copy, or run 'tagkin check --repair'"
        return Finding("damage", kind.part, path, what, len(rows), (), advice, done)
    what = "the remains of a write that was killed"
    if repair:
        shutil.rmtree(path, ignore_errors=True)
    return Finding("leftover", kind.part, path, what, repaired="removed" if repair else None)


def _fall_back(
    library: Path, path: Path, kind: TableKind, damaged: Sequence[Manifest], *, latest: bool
) -> str:
    kept = [move_aside(library, manifest.path) for manifest in damaged]
    where = f"kept in {kept[0].parent}"
    if not latest:
        return where
    try:
        table = open_table(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise LibraryError(f"can't read {path}: {first_line(error)}") from error
    version = int(table.version)
    listed = {file.path for part in table.get_fragments() for file in part.data_files()}
    # Written after the version that can be read; a write that was killed noted no version.
    later = [file for read, file in unlisted_files(path, listed) if read >= version]
    count = _add(LanceTable(path, table.schema), kind, later)
    return f"back at version {version}, with {count:,} rows that were written later; {where}"


def _rebuild(library: Path, path: Path, kind: TableKind) -> str:
    """Makes the table anew of all files that hold rows, and puts the old one aside."""
    files = unlisted_files(path, set())
    complete = [file for read, file in files if read >= 0] or [file for _, file in files]
    schema = kind.schema or _vector_schema(complete)
    if schema is None:
        return f"nothing in it could be read; it is kept as {move_aside(library, path)}"
    try:
        with working_folder(library, f".{path.name}-") as work:
            made = LanceTable(work / path.name, schema)
            made.make()
            count = _add(made, kind, complete)
            kept = move_aside(library, path)
            made.path.rename(path)
    except OSError as error:
        raise LibraryError(
            f"can't make {path} anew: {error}; check the free space and the permissions, then run "
            "'tagkin check --repair' again"
        ) from error
    return f"made anew of {count:,} rows in its files; the old table is kept as {kept}"


def _vector_schema(files: Sequence[Path]) -> pa.Schema | None:
    for file in files:
        found = file_schema(file)
        if found is not None and found.names == ["id", "vector"]:
            return vector_schema(found.field("vector").type.list_size)
    return None


def _add(table: LanceTable, kind: TableKind, files: Sequence[Path]) -> int:
    """Adds the rows of some files that a table lacks, and returns how many there were."""
    if kind.key is None and kind.lost is None:
        return 0  # such a table holds what can be found again
    before = table.count()
    # Of rows with the same key the newest counts; the others' order is that of the list.
    for file in reversed(files) if kind.key else files:
        for rows in rows_of_file(file, table.schema):
            if kind.key:
                table.add_missing(_distinct(rows, kind.key), kind.key)
            else:
                table.append(rows)
    return table.count() - before


def _distinct(rows: pa.Table, key: str) -> pa.Table:
    last = {name: place for place, name in enumerate(rows.column(key).to_pylist())}
    return rows.take(pa.array(sorted(last.values()), pa.int64()))
