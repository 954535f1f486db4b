"""The rows of the images: whether they make sense, and whether their files are as they say."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagkin.checking.copies import join_images
from tagkin.checking.findings import Examples, Finding
from tagkin.checking.image_files import FileCheck
from tagkin.library import Library
from tagkin.progress import Progress
from tagkin.records import ID_TYPE, ImageFile, ImageRow, to_ids, to_image_rows

_ROWS_AT_ONCE = 1024
_HEX = frozenset("0123456789abcdef")


@dataclass
class _Facts:
    """What is known of the rows of some fragments."""

    ids: list[NDArray[np.bytes_]] = field(default_factory=list)
    to_write: list[bytes] = field(default_factory=list)
    strange: Examples = field(default_factory=Examples)
    tags: Examples = field(default_factory=Examples)
    unfinished: int = 0
    fileless: list[bytes] = field(default_factory=list)
    files: int = 0
    missing: int = 0
    gone: Examples = field(default_factory=Examples)
    away: Examples = field(default_factory=Examples)
    changed: Examples = field(default_factory=Examples)
    rotten: Examples = field(default_factory=Examples)
    unreadable: Examples = field(default_factory=Examples)

    def join(self, other: "_Facts") -> None:
        for name, value in other.__dict__.items():
            mine = getattr(self, name)
            if isinstance(value, Examples):
                mine.join(value)
            elif isinstance(value, list):
                mine.extend(value)
            else:
                setattr(self, name, mine + value)


class ImageCheck:
    """Goes through the table of images, a fragment at a time.

    Args:
        files: Looks at the files.
        progress: Called after every batch of rows.
        total: Number of rows.
    """

    def __init__(self, files: FileCheck, progress: Progress, total: int) -> None:
        self._look, self._progress, self._total = files, progress, total
        self._facts = _Facts()

    def take(self, batches: Iterator[pa.RecordBatch]) -> None:
        """Looks at the rows of a fragment; they count if all of them can be read."""
        part = _Facts()
        done = self.rows
        for batch in batches:
            self._add(part, batch)
            done += batch.num_rows
            self._progress("checking images", done, self._total)
        self._facts.join(part)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(map(len, self._facts.ids))

    @property
    def files(self) -> int:
        """Number of files that the rows name."""
        return self._facts.files

    def sorted_ids(self) -> NDArray[np.bytes_]:
        """Returns the ids of all rows in ascending order, type S32."""
        if len(self._facts.ids) != 1:
            self._facts.ids = [np.concatenate([np.empty(0, ID_TYPE), *self._facts.ids])]
        self._facts.ids[0].sort()  # the same array each time, since there may be ten millions
        return self._facts.ids[0]

    def fileless_ids(self) -> NDArray[np.bytes_]:
        """Returns the ids of the rows without a file in ascending order, type S32."""
        return np.sort(np.array(self._facts.fileless, ID_TYPE))

    def _add(self, part: _Facts, batch: pa.RecordBatch) -> None:
        part.ids.append(to_ids(batch.column("id")))
        try:
            rows = list(to_image_rows(batch))
        except (TypeError, ValueError):
            part.strange.add(f"some of {batch.num_rows} rows can't be understood")
            return
        found = self._look.look([(row.id, file) for row in rows for file in row.files])
        stored = batch.column("tags").to_pylist()
        for row, tags in zip(rows, stored, strict=True):
            outcomes = {file.path: found[row.id, file.path] for file in row.files}
            bad_tags = list(row.tags) != tags
            if not is_id(row.id):
                part.strange.add(repr(row.id))
            if bad_tags:
                part.tags.add(row.id)
            part.unfinished += row.group is None or row.split is None
            if not row.files:
                part.fileless.append(row.id.encode("ascii", "replace"))
            part.files += len(row.files)
            for file in row.files:
                self._count(part, file, outcomes[file.path])
            if bad_tags or {"gone", "rotten"} & set(outcomes.values()):
                part.to_write.append(row.id.encode("ascii", "replace"))

    @staticmethod
    def _count(part: _Facts, file: ImageFile, outcome: str) -> None:
        if outcome == "missing":
            part.missing += 1
        elif outcome != "same":
            getattr(part, outcome).add(file.path)

    def findings(self, library: Library, path: Path, *, repair: bool) -> list[Finding]:
        """Returns what is wrong, and mends it if that is wanted.

        Args:
            library: Whose images these are.
            path: Of their table.
            repair: Whether to mend it.

        Raises:
            LibraryError: The library can't be written.
        """
        facts, ids = self._facts, self.sorted_ids()
        again = ids[1:][ids[1:] == ids[:-1]]
        found: list[Finding] = []
        if len(again):
            twice = sorted({one.decode("ascii", "replace") for one in again.tolist()})
            if repair:
                join_images(library, twice)
            found.append(
                Finding(
                    *("damage", "images", path, "images that are there more than once"),
                    len(again),
                    tuple(twice[:10]),
                    "'tagkin check --repair' makes them one, with the files of both",
                    "made one, with the files of both" if repair else None,
                )
            )
        if repair and facts.to_write:
            self._write(library)
        found += self._row_findings(path, repair)
        found += self._file_findings(path, repair)
        return found

    def _write(self, library: Library) -> None:
        """Writes rows anew whose tags or files were found to be other than they say."""
        wanted = np.sort(np.array(self._facts.to_write, ID_TYPE))
        pending: list[ImageRow] = []
        for row in library.iter_images(wanted):
            found = self._look.look([(row.id, file) for file in row.files])
            files = tuple(_as_found(file, found[row.id, file.path]) for file in row.files)
            pending.append(replace(row, files=files))
            if len(pending) >= _ROWS_AT_ONCE:
                library.upsert_images(pending)
                pending = []
        library.upsert_images(pending)

    def _row_findings(self, path: Path, repair: bool) -> Iterator[Finding]:
        facts = self._facts
        if facts.strange.count:
            yield Finding(
                *("damage", "images", path, "rows that make no sense"),
                *(facts.strange.count, tuple(facts.strange.first)),
                "restore images.lance from a copy, or prepare the source into a new library",
            )
        if facts.tags.count:
            yield Finding(
                *("damage", "images", path, "images whose tags are not those of their files"),
                *(facts.tags.count, tuple(facts.tags.first)),
                "'tagkin check --repair' takes those of their files",
                "those of their files were taken" if repair else None,
            )
        if facts.unfinished:
            what = "images without a split: the last 'tagkin prepare' didn't come to its end"
            advice = "run it again: it goes on where it was"
            yield Finding("note", "images", path, what, facts.unfinished, (), advice)

    def _file_findings(self, path: Path, repair: bool) -> Iterator[Finding]:
        facts = self._facts
        prepare = "'tagkin prepare SOURCE' brings the library up to date"
        marked = "marked as missing" if repair else None
        again = "'tagkin prepare SOURCE' will read them again" if repair else None
        rotten = (
            "files whose content is no longer that of the image, though size and time are the same"
        )
        keep = "restore them from a copy, or let --repair have them read again as other images"
        texts = {
            "gone": ("files that are gone", prepare, marked),
            "away": (
                "files whose folder is gone",
                f"is a drive not there? Connect it, or, if they were moved, {prepare}",
                None,
            ),
            "changed": ("files of another size or time than the library knows", prepare, None),
            "rotten": (rotten, keep, again),
            "unreadable": ("files that can't be read", "check their permissions and drive", None),
        }
        for name, (what, advice, done) in texts.items():
            counted: Examples = getattr(facts, name)
            if counted.count:
                yield Finding(
                    *("change", "images", path, what, counted.count, tuple(counted.first)),
                    *(advice, done),
                )
        if facts.missing:
            what = "files that were missing when their source was last read"
            yield Finding(
                "note", "images", path, what, facts.missing, (), prepare + "; see --prune"
            )


def _as_found(file: ImageFile, outcome: str) -> ImageFile:
    if outcome == "gone":
        return replace(file, missing=True)
    if outcome == "rotten":
        return replace(file, mtime_ns=-1)  # never a file's time, so that prepare reads it again
    return file


def is_id(text: str) -> bool:
    """Returns whether a text is the id of an image: 32 hexadecimal digits."""
    return len(text) == 32 and set(text) <= _HEX
