"""A check of a whole library, in the order in which one thing rests on another."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagkin.checking.entries import check_decisions, check_edits, check_proposals
from tagkin.checking.findings import CheckReport, Finding
from tagkin.checking.graphs import check_graphs
from tagkin.checking.image_files import FileCheck
from tagkin.checking.image_rows import ImageCheck
from tagkin.checking.kinds import kind_of
from tagkin.checking.leftovers import check_leftovers
from tagkin.checking.saved import (
    check_fine_tuning,
    check_indexes,
    check_taggers,
    check_tuned_weights,
    tagger_backbones,
)
from tagkin.checking.state import check_state
from tagkin.checking.tables import TakeRows, check_table
from tagkin.checking.vector_rows import VectorCheck
from tagkin.checking.versions import finish_rebuilds
from tagkin.errors import LibraryError
from tagkin.images import ImageLimits
from tagkin.lance_snapshot import Snapshot
from tagkin.lance_table import LanceTable
from tagkin.library import Library
from tagkin.library_folder import vector_table_name
from tagkin.library_state import read_state
from tagkin.locking import only_one
from tagkin.progress import Progress, silent
from tagkin.records import vector_schema
from tagkin.remote_paths import RemotePath
from tagkin.settings import Settings
from tagkin.tagger import tagger_names


def check_library(
    settings: Settings,
    *,
    repair: bool = False,
    content: bool = False,
    progress: Progress = silent,
) -> CheckReport:
    """Looks whether all that a library and the cache hold can be read and fits together.

    Memory grows by some 250 bytes an image. Without ``repair`` nothing is written.

    A repair keeps all that can be read. What can't is removed if it can be made again, and else
    moved into the library's folder ``damaged``. The files of images are never touched.

    Args:
        settings: Which library, the cache folder, and the limits of images.
        repair: Whether to mend what can be mended.
        content: Whether to read the images' files and compare their content, not only size and
            time.
        progress: Called after every batch of rows.

    Raises:
        LibraryError: There is no library, a newer Tagkin made it, it can't be read or written,
            another process prepares or mends it, or it is to be mended on object storage.
    """
    started = time.monotonic()
    if repair and isinstance(settings.library, RemotePath):
        raise LibraryError(
            f"{settings.library} is on object storage, where nothing is mended: copy it to a disk, "
            "run 'tagkin check --repair' there, and copy it back"
        )
    run = _Run(settings, repair, content, progress)
    damaged = any(check_state(settings.library, repair=False))  # before a lock is put into a folder
    what = "'tagkin prepare' or 'tagkin check --repair'"
    alone: AbstractContextManager[None] = nullcontext()
    if repair:
        alone = only_one(settings.library, "prepare", what)
    with alone:
        run.check(damaged)
    return CheckReport(
        library=settings.library,
        repaired=repair,
        hashed=content,
        checked=run.checked,
        findings=tuple(run.findings),
        seconds=time.monotonic() - started,
    )


@dataclass
class _Run:
    settings: Settings
    repair: bool
    content: bool
    progress: Progress
    findings: list[Finding] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)

    def check(self, damaged: bool) -> None:
        """Checks all parts; ``damaged`` says whether ``library.json`` is."""
        path = self.settings.library
        on_store = isinstance(path, RemotePath)
        if not on_store:
            self._add(finish_rebuilds(path, repair=self.repair))
        if damaged:
            self._tables_only(path)  # first, since what brings them up to date may meet no damage
            self._add(check_state(path, repair=self.repair))
            if not self.repair:
                return
        current = read_state(path)[1]
        if not current:
            self._tables_only(path)
            if any(finding.open for finding in self.findings):
                return
        library = Library.open(path)
        images = self._images(library)
        self._vectors(library, images)
        self._lists(library, images.sorted_ids() if images else None)
        configs = tagger_backbones(library)
        self._add(check_taggers(library, self.settings.cache_dir, repair=self.repair))
        self.checked["taggers"] = len(tagger_names(library.taggers_path))
        self._add(check_tuned_weights(library, configs))
        self._add(check_indexes(library, repair=self.repair))
        self._add(check_fine_tuning(library, repair=self.repair))
        self._add(check_graphs(self.settings.cache_dir, configs, repair=self.repair))
        if not on_store:
            self._add(check_leftovers(path, repair=self.repair))

    def _add(self, findings: "Iterator[Finding] | list[Finding]") -> bool:
        """Adds findings, and returns whether something is still to be done about one of them."""
        new = list(findings)
        self.findings += new
        return any(finding.open for finding in new)

    def _tables_only(self, library: Path) -> None:
        for path in sorted(library.glob("*.lance")):
            self._table(library, path, lambda: _go_through)

    def _table(self, library: Path, path: Path, new_taker: Callable[[], TakeRows]) -> bool:
        """Checks a table as such, and returns whether it can be read now."""
        if isinstance(path, RemotePath):
            return not self._add(_read_through(path, new_taker()))
        found = check_table(library, path, kind_of(path), new_taker, repair=self.repair)
        return not self._add(found)

    def _images(self, library: Library) -> ImageCheck | None:
        """Returns what is known of the images; None if their table can't be read as a whole."""
        path = library.path / "images.lance"
        limits = ImageLimits.from_settings(self.settings)
        files = FileCheck(limits, content=self.content, threads=self.settings.decode_threads)
        total = _count(path)
        check = ImageCheck(files, self.progress, total)

        def new_taker() -> TakeRows:
            nonlocal check
            check = ImageCheck(files, self.progress, total)
            return check.take

        readable = True
        if _is_there(path):
            readable = self._table(library.path, path, new_taker)
            self._add(check.findings(library, path, repair=self.repair and readable))
        elif library.fingerprints():
            what = "there are vectors, and no table of images"
            advice = "restore the folder from a copy, or run 'tagkin prepare SOURCE' again"
            self._add([Finding("damage", "images", path, what, advice=advice)])
        self.checked |= {"images": check.rows, "files": check.files}
        return check if readable else None

    def _vectors(self, library: Library, images: ImageCheck | None) -> None:
        rows = (images.sorted_ids(), images.fileless_ids()) if images else None
        configs = tagger_backbones(library)
        dimensions = {config.fingerprint: config.dimension for config in configs}
        active = configs[0].fingerprint if library.state.active_backbone and configs else None
        self.checked["vectors"] = 0
        for fingerprint in library.fingerprints():
            path = library.path / vector_table_name(fingerprint)
            total = _count(path)
            check = VectorCheck(self.progress, total)

            def new_taker(total: int = total) -> TakeRows:
                nonlocal check
                check = VectorCheck(self.progress, total)
                return check.take

            readable = self._table(library.path, path, new_taker)
            self.checked["vectors"] += check.rows
            self._add(
                check.findings(
                    *(library.path, path, rows, dimensions, active),
                    repair=self.repair and readable,
                )
            )

    def _lists(self, library: Library, images: NDArray[np.bytes_] | None) -> None:
        known = ("images.lance", "decisions.lance", "edits.lance")
        for name in library.table_names():
            if name not in known and not name.startswith("vectors-"):
                self._table(library.path, library.path / name, lambda: _go_through)
        decisions, edits = (library.path / name for name in known[1:])
        if not _is_there(decisions) or self._table(library.path, decisions, lambda: _go_through):
            taken = library.decisions()
            self.checked["decisions"] = len(taken)
            self._add(check_decisions(decisions, taken))
        if not _is_there(edits) or self._table(library.path, edits, lambda: _go_through):
            made = library.tag_edits()
            self.checked["edits"] = len(made)
            self._add(check_edits(edits, made, images))
        self._add(check_proposals(library, repair=self.repair))


def _go_through(batches: Iterator[pa.RecordBatch]) -> None:
    for _ in batches:
        pass


def _is_there(path: Path) -> bool:
    """Returns whether there is a table, perhaps a damaged one."""
    if isinstance(path, RemotePath):
        return LanceTable(path, vector_schema(1)).exists()
    return path.is_dir()


def _read_through(path: RemotePath, take: TakeRows) -> list[Finding]:
    """Reads all rows of a table on a store, whose files Lance alone knows."""
    try:
        table = Snapshot(path)
        take(table.batches(table.columns))
    except LibraryError as error:
        advice = "copy the library to a disk and run 'tagkin check --repair' there"
        return [Finding("damage", kind_of(path).part, path, str(error), advice=advice)]
    return []


def _count(path: Path) -> int:
    try:
        return LanceTable(path, vector_schema(1)).count() if _is_there(path) else 0
    except LibraryError:  # it is damaged, which is told elsewhere
        return 0
