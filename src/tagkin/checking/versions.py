"""Damaged versions of a Lance table: an older one takes their place, and no row is given up."""

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from tagkin.checking.aside import copy_aside, move_aside
from tagkin.checking.findings import Finding
from tagkin.checking.kinds import VECTORS, TableKind, kind_of
from tagkin.checking.manifests import (
    Manifest,
    damaged_manifests,
    file_schema,
    list_manifests,
    open_table,
    rows_of_file,
    unlisted_files,
)
from tagkin.errors import LibraryError, first_line
from tagkin.files import working_folder
from tagkin.lance_table import LanceTable
from tagkin.library_state import DAMAGED, MENDED
from tagkin.records import vector_schema

_HINT = "latest_version_hint.json"  # Lance does without it


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
    """Goes on from the newest version that can be read, with the rows that were written later."""
    done = ""
    left = [bad.path for bad in damaged]
    if latest:
        version, count, replaced = _add_later(library, path, kind, damaged)
        done = f"back at version {version}, with {count:,} rows that were written later; "
        left = [file for file in left if file != replaced]
    for file in left:
        move_aside(library, file)
    return f"{done}the damaged files are in {library / DAMAGED}"


def _add_later(
    library: Path, path: Path, kind: TableKind, damaged: Sequence[Manifest]
) -> tuple[int, int, Path | None]:
    """Makes a version of all rows the last one, in one step, before the damaged one goes.

    It is made in another folder, which shares the files of the table. A repair that is killed
    before that step starts again; after it nothing is missing.

    Returns:
        The version that could be read, how many rows were added to it, and the file of the new
        version, if there is one, which may have taken the place of a damaged one.
    """
    made = None
    try:
        with working_folder(library, f".{path.name}-") as work:
            twin = work / path.name
            _share(path, twin, {bad.path for bad in damaged})
            table = open_table(twin)
            version = int(table.version)
            listed = {file.path for part in table.get_fragments() for file in part.data_files()}
            # Written after that version; a write that was killed noted no version.
            later = [file for read, file in unlisted_files(twin, listed) if read >= version]
            count = _add(LanceTable(twin, table.schema), kind, later)
            if count:
                while open_table(twin).version < damaged[0].version:
                    open_table(twin).update_config({"mended": "true"})
                made = _take_over(twin, path, library)
    except (OSError, ValueError, RuntimeError) as error:
        raise LibraryError(
            f"can't mend {path}: {first_line(error)}; nothing was changed. Check the free space "
            "and the permissions, then run 'tagkin check --repair' again"
        ) from error
    return version, count, made


def _share(path: Path, twin: Path, without: Collection[Path]) -> None:
    """Makes a folder with the files of another, which it shares where the disk can do that."""
    for file in path.rglob("*"):
        if file.is_file() and file not in without and file.name != _HINT:
            target = twin / file.relative_to(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(file, target)
            except OSError:
                shutil.copy2(file, target)


def _take_over(twin: Path, path: Path, library: Path) -> Path:
    """Gives a table the files that its twin has more, and the twin's last version.

    The files with rows come before that version, and what tells of their writing after it: without
    that, a repair that starts again takes them for what a killed write left, and doesn't add their
    rows once more to a list of decisions or edits, which has no keys.

    Returns:
        The file of that version.
    """
    last = list_manifests(twin)[0].path
    _move_new(twin, path, "data", "_deletions")
    place = path / "_versions" / last.name
    if place.exists():  # the damaged one
        copy_aside(library, path.name, [place])
    (path / "_versions" / _HINT).unlink(missing_ok=True)
    last.replace(place)
    _move_new(twin, path, "_transactions")
    return place


def _move_new(twin: Path, path: Path, *folders: str) -> None:
    for folder in folders:
        for file in (twin / folder).glob("*"):
            target = path / folder / file.name
            if not target.exists():
                target.parent.mkdir(exist_ok=True)
                file.rename(target)


def _rebuild(library: Path, path: Path, kind: TableKind) -> str:
    """Makes the table anew of all files that hold rows, and puts the old one aside."""
    files = unlisted_files(path, set())
    # What told of the writing of a file goes with old versions. Where rows have keys, those of a
    # write that was killed do no harm.
    complete = [file for read, file in files if read >= 0 or kind.key]
    complete = complete or [file for _, file in files]
    schema = kind.schema or _vector_schema(complete)
    if schema is None:
        return f"nothing in it could be read; it is kept as {move_aside(library, path)}"
    mended = library / f"{MENDED}{path.name}"
    try:
        with working_folder(library, f".{path.name}-") as work:
            made = LanceTable(work / path.name, schema)
            made.make()
            count = _add(made, kind, complete)
            shutil.rmtree(mended, ignore_errors=True)
            made.path.rename(mended)
        # Killed from here on, the next repair finds a table without versions, or puts this one in.
        kept = move_aside(library, path)
        mended.rename(path)
    except OSError as error:
        raise LibraryError(
            f"can't make {path} anew: {error}; check the free space and the permissions, then run "
            "'tagkin check --repair' again"
        ) from error
    return f"made anew of {count:,} rows in its files; the old table is kept as {kept}"


def finish_rebuilds(library: Path, *, repair: bool) -> Iterator[Finding]:
    """Yields the tables that a killed repair made, and puts them where they belong.

    Raises:
        LibraryError: The library can't be written.
    """
    for mended in sorted(library.glob(f"{MENDED}*.lance")):
        path = library / mended.name.removeprefix(MENDED)
        done = None
        if repair:
            try:
                if path.exists():  # it was killed before the old one was put aside
                    shutil.rmtree(mended)
                    done = "removed; it is made again"
                else:
                    mended.rename(path)
                    done = "put into its place"
            except OSError as error:
                raise LibraryError(f"can't write {library}: {error}") from error
        what = "a repair that was killed left its new table"
        advice = "'tagkin check --repair' comes to an end with it"
        yield Finding("damage", kind_of(path).part, path, what, 1, (), advice, done)


def _vector_schema(files: Sequence[Path]) -> pa.Schema | None:
    for file in files:
        found = file_schema(file)
        if found is not None and found.names == ["id", "vector"]:
            return vector_schema(found.field("vector").type.list_size)
    return None


def _add(table: LanceTable, kind: TableKind, files: Sequence[Path]) -> int:
    """Adds the rows of some files to a table, and returns how many there were.

    Of rows with the same key the newest counts, whether it is in the table or in a file that was
    written later; the order of others is that of the files.
    """
    if kind.key is None and kind.lost is None:
        return 0  # such a table holds what can be found again
    before, written = table.count(), 0
    taken: set[str] = set()
    for file in reversed(files) if kind.key else files:
        for rows in rows_of_file(file, table.schema):
            if kind is VECTORS:  # an image's vector never changes
                table.add_missing(_distinct(rows, "id", set()), "id")
            elif kind.key:
                newest = _distinct(rows, kind.key, taken)
                if newest.num_rows:
                    table.upsert(newest, kind.key)
                    taken.update(newest.column(kind.key).to_pylist())
                    written += newest.num_rows
            else:
                table.append(rows)
    return written if taken else table.count() - before


def _distinct(rows: pa.Table, key: str, known: Collection[str]) -> pa.Table:
    """Returns the last row of each key that isn't known."""
    last = {name: place for place, name in enumerate(rows.column(key).to_pylist())}
    places = sorted(place for name, place in last.items() if name not in known)
    return rows.take(pa.array(places, pa.int64()))
