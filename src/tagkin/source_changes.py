"""What changed in a source between two runs of ``prepare``: added, updated, missing."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tagkin import archives
from tagkin.known_files import KnownFiles
from tagkin.records import ImageFile, ImageRow
from tagkin.sources.record import Source
from tagkin.sources.walking import FolderSource


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


def missing_files(
    source: Source,
    rows: Iterable[ImageRow],
    known: KnownFiles,
    problems: Collection[Path],
    unread: Collection[Path],
) -> Iterator[tuple[ImageRow, list[ImageFile]]]:
    """Yields images with those of their files that a source no longer has.

    Those are files that an earlier run read from it. What the source couldn't read may hold them:
    files below a folder that can't be read are not missing, nor are those that still exist while a
    table or dump has a row that can't be read.

    Args:
        source: It has been read to its end.
        rows: Images that may have such files.
        known: What was seen of the source.
        problems: The paths of all that couldn't be used.
        unread: The paths of what the source itself couldn't read.
    """
    walks = isinstance(source, FolderSource)

    def is_gone(file: ImageFile) -> bool:
        path = file.path
        if file.source != source.path or path in problems or known.was_seen(path):
            return False
        if not unread:
            return True
        if walks:
            return not any(folder in unread for folder in path.parents)
        return not archives.seems_there(path)

    for row in rows:
        if gone := [file for file in row.files if is_gone(file)]:
            yield row, gone
