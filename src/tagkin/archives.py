"""Files inside of tar archives, read in place: nothing is unpacked.

Such a file is known by the path of the archive with an exclamation mark, and its name in it, as in
``shards/00000.tar!/000001.jpg``. Reading goes by the place of the bytes, which is looked up once
for each archive.
"""

import os
import tarfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MARK = ".tar!"
_MOST_OPEN = 64  # archives whose members are remembered


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in an archive.

    Attributes:
        name: Relative, with ``/`` between its parts.
        offset: Of its first byte in the archive.
        size: Bytes.
    """

    name: str
    offset: int
    size: int


def is_in_archive(path: Path) -> bool:
    """Returns whether a path leads into an archive, by its form."""
    return _MARK in str(path) and _split(path) is not None


def archive_of(path: Path) -> Path | None:
    """Returns the archive that a path leads into; None if it leads into none."""
    inside = _split(path)
    return None if inside is None else inside[0]


def member_path(archive: Path, name: str) -> Path:
    """Returns the path by which a file in an archive is known.

    Args:
        archive: Its name ends in ``.tar``.
        name: As `iter_members` gives it.
    """
    return Path(f"{archive}!") / name


def iter_members(archive: Path) -> Iterator[Member]:
    """Yields the regular files of an archive, in their order and in little memory.

    Links, devices, and names that lead upwards are left out.

    Raises:
        OSError: The archive can't be read.
        ValueError: It is damaged from here on.
    """
    try:
        # Without compression, for a compressed archive can't be read at any place.
        with tarfile.open(archive, "r:", errors="surrogateescape") as tar:
            while (found := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # tarfile would remember them all
                name = _plain_name(found.name)
                if found.isreg() and not found.issparse() and name:
                    yield Member(name, found.offset_data, found.size)
    except OSError:
        raise
    # Headers of bad archives raise what their arithmetic ran into, besides tarfile's own errors.
    except Exception as error:
        raise ValueError(f"damaged archive: {error or type(error).__name__}") from error


def stat(path: Path) -> tuple[int, int]:
    """Returns size and time of change in nanoseconds of a file, in an archive or not.

    The time of a file in an archive is that of the archive.

    Raises:
        OSError: There is no such file.
    """
    inside = _split(path)
    if inside is None:
        status = path.stat()
        return status.st_size, status.st_mtime_ns
    return _INDEX.find(*inside).size, inside[0].stat().st_mtime_ns


def read_member(path: Path, most: int) -> bytes | None:
    """Returns the first bytes of a file in an archive; None if the path leads into none.

    Args:
        path: Of any file.
        most: Bytes that are read at most.

    Raises:
        OSError: There is no such file in the archive, or it can't be read.
    """
    inside = _split(path)
    if inside is None:
        return None
    member = _INDEX.find(*inside)
    with inside[0].open("rb") as file:
        file.seek(member.offset)
        return file.read(min(member.size, most))


class _Index:
    """Where the members of the archives last used are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[Path, int, int], dict[str, Member]] = OrderedDict()

    def find(self, archive: Path, name: str) -> Member:
        status = archive.stat()
        key = (archive, status.st_size, status.st_mtime_ns)
        with self._lock:
            members = self._known.get(key)
            if members is None:
                members = {}
                try:
                    for member in iter_members(archive):
                        members[member.name] = member  # the last of a name counts, as in tar
                except ValueError as error:
                    if not members:
                        raise OSError(str(error)) from error
                self._known[key] = members
                if len(self._known) > _MOST_OPEN:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
        if name not in members:
            raise FileNotFoundError(2, "no such file in the archive", str(archive))
        return members[name]


_INDEX = _Index()


def _split(path: Path) -> tuple[Path, str] | None:
    """Returns the archive and the name in it; None for a path that leads into none."""
    text = str(path)
    start = text.find(_MARK + "/")
    if start < 0 or os.path.lexists(path):  # a folder may have such a name
        return None
    end = start + len(_MARK)
    return Path(text[: end - 1]), text[end + 1 :]


def _plain_name(name: str) -> str:
    """Returns a name without what a path drops; empty if it leads upwards or to nothing."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return "" if ".." in parts or "\0" in name else "/".join(parts)
