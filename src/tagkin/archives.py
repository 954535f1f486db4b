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

from tagkin import remote_files
from tagkin.remote_paths import RemotePath, as_path

_MARK = ".tar!"
_MOST_OPEN = 64  # archives whose members are remembered
_MOST_REMOTE = 1024  # the same on stores, for it takes long to go through one

_Archive = tuple[Path, int, int]  # and its size and time of change


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
    return as_path(f"{archive}!/{name}")


def iter_members(archive: Path) -> Iterator[Member]:
    """Yields the regular files of an archive, in their order and in little memory.

    Links, devices, and names that lead upwards are left out.

    Raises:
        OSError: The archive can't be read.
        ValueError: It is damaged from here on.
    """
    if isinstance(archive, RemotePath):  # read once, whatever comes of it
        members, damage = _INDEX.members(archive)
        yield from members.values()
        if damage is not None:
            raise damage
        return
    yield from _walk(archive)


def _walk(archive: Path) -> Iterator[Member]:
    try:
        # Without compression, for a compressed archive can't be read at any place.
        with (
            remote_files.open_binary(archive) as file,
            tarfile.open(fileobj=file, mode="r:", errors="surrogateescape") as tar,
        ):
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

    The time of a file in an archive is that of the archive. What is on a web server is asked by
    `tagkin.images.status`.

    Raises:
        OSError: There is no such file.
    """
    inside = _split(path)
    if inside is None:
        return _status(path)
    return _INDEX.find(*inside).size, _status(inside[0])[1]


def seems_there(path: Path) -> bool:
    """Returns whether a file, in an archive or not, is there; web servers aren't asked."""
    try:
        return remote_files.is_on_web(path) or bool(stat(path))
    except (OSError, ValueError):
        return False


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
    return remote_files.read_range(inside[0], member.offset, min(member.size, most))


class _Index:
    """Where the members of the archives last used are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[_Archive, tuple[dict[str, Member], ValueError | None]] = (
            OrderedDict()
        )
        self._under_way: dict[_Archive, threading.Lock] = {}

    def members(self, archive: Path) -> tuple[dict[str, Member], ValueError | None]:
        """Returns the files by name, in their order, and what is wrong with the rest."""
        key = (archive, *_status(archive))
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
            one_at_a_time = self._under_way.setdefault(key, threading.Lock())
        with one_at_a_time:
            with self._lock:
                if key in self._known:
                    return self._known[key]
            members: dict[str, Member] = {}
            damage = None
            try:
                for member in _walk(archive):
                    members[member.name] = member  # the last of a name counts, as in tar
            except ValueError as error:
                damage = error
            with self._lock:
                self._known[key] = members, damage
                self._under_way.pop(key, None)
                most = _MOST_REMOTE if isinstance(archive, RemotePath) else _MOST_OPEN
                while len(self._known) > most:
                    self._known.popitem(last=False)
        return members, damage

    def find(self, archive: Path, name: str) -> Member:
        members, damage = self.members(archive)
        if damage is not None and not members:
            raise OSError(str(damage)) from damage
        if name not in members:
            raise FileNotFoundError(2, "no such file in the archive", str(archive))
        return members[name]


_INDEX = _Index()


def _split(path: Path) -> tuple[Path, str] | None:
    """Returns the archive and the name in it; None for a path that leads into none."""
    text = str(path)
    start = text.find(_MARK + "/")
    if start < 0 or remote_files.is_on_web(path):  # where it is no more than a name
        return None
    if not isinstance(path, RemotePath) and os.path.lexists(path):  # a folder may have such a name
        return None
    end = start + len(_MARK)
    return as_path(text[: end - 1]), text[end + 1 :]


def _status(path: Path) -> tuple[int, int]:
    if isinstance(path, RemotePath):
        return remote_files.stat(path)
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _plain_name(name: str) -> str:
    """Returns a name without what a path drops; empty if it leads upwards or to nothing."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return "" if ".." in parts or "\0" in name else "/".join(parts)
