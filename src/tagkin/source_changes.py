"""What changed in a source between two runs of ``prepare``: added, updated, missing."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tagkin import archives
from tagkin.records import ImageFile, ImageRow
from tagkin.sources.record import Source
from tagkin.sources.walking import FolderSource

KnownFiles = Mapping[Path, tuple[str, ImageFile]]  # id of the image, and the file, by path


@dataclass(frozen=True)
class FileChanges:
    """How many files of a source changed since an earlier run.

    Attributes:
        added: Files that the library didn't have.
        updated: Files whose content, tags or weights are others.
        missing: Files that the source no longer names, or that are gone.
        pruned: Those of them that were taken out of the library.
    """

    added: int = 0
    updated: int = 0
    missing: int = 0
    pruned: int = 0


def count_changes(
    rows: Iterable[ImageRow], seen: Mapping[Path, str], known: KnownFiles
) -> FileChanges:
    """Counts the files that a run added and updated.

    Args:
        rows: The images as they are now.
        seen: Id of the image of each path that the source named.
        known: The files as they were before.
    """
    added = updated = 0
    for row in rows:
        for file in row.files:
            if seen.get(file.path) != row.id:
                continue
            before = known.get(file.path)
            if before is None:
                added += 1
            elif before[0] != row.id or _differs(before[1], file):
                updated += 1
    return FileChanges(added, updated)


def find_missing(
    source: Source,
    seen: Collection[Path],
    known: KnownFiles,
    problems: Collection[Path],
    unread: Collection[Path],
) -> list[Path]:
    """Returns the files that an earlier run read from a source and that are no longer there.

    What the source couldn't read may hold them: files below a folder that can't be read are not
    missing, nor are those that still exist while a table or dump has a row that can't be read.

    Args:
        source: It has been read to its end.
        seen: The paths that it named.
        known: The files that the library had.
        problems: The paths of all that couldn't be used.
        unread: The paths of what the source itself couldn't read.
    """
    walks = isinstance(source, FolderSource)
    gone = []
    for path, (_, file) in known.items():
        if file.source != source.path or path in seen or path in problems:
            continue
        if unread and (
            any(folder in unread for folder in path.parents) if walks else _exists(path)
        ):
            continue
        gone.append(path)
    return gone


def _differs(before: ImageFile, now: ImageFile) -> bool:
    return replace(before, source=None, missing=False) != replace(now, source=None, missing=False)


def _exists(path: Path) -> bool:
    try:
        archives.stat(path)
    except (OSError, ValueError):
        return False
    return True
