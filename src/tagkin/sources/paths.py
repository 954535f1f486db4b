"""Where the images of a manifest may be: below a folder, whatever the manifest says."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tagkin.remote_files import is_file, is_folder, is_on_web
from tagkin.remote_paths import RemotePath, as_path, is_address

_SHOWN = 200  # characters of a wrong path
_MD5 = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
_EXTENSION = re.compile(r"[0-9a-z]{1,8}", re.IGNORECASE)

_NameBelow = Callable[[str, str, int | None], tuple[str | None, str]]


@dataclass(frozen=True)
class ImagePaths:
    """Makes paths of what a manifest names.

    A manifest from elsewhere could otherwise have any file of this machine read.

    Attributes:
        folder: Absolute; relative paths start from it.
        allow_outside: Whether images may lie outside of the folder.
        allow_remote: Whether images may be at any address of an object store or a web server.
        whose: What the folder is called in messages.
    """

    folder: Path
    allow_outside: bool = False
    allow_remote: bool = False
    whose: str = "the table's folder"

    @cached_property
    def _real(self) -> str:
        return os.path.realpath(self.folder)

    def path_of(self, name: str) -> Path:
        """Returns the absolute path that a name stands for.

        Raises:
            ValueError: It is empty, impossible, or leads out of the folder.
        """
        if not name.strip():
            raise ValueError("the file column is empty")
        if "\0" in name:
            raise ValueError("a path can't hold a NUL character")
        if is_address(name) or isinstance(self.folder, RemotePath):
            return self._address(name)
        path = self.folder / name
        try:
            os.fsencode(path)
        except UnicodeEncodeError:
            raise ValueError(f"{_shown(name)!a} can't be the name of a file") from None
        self.check(path, name)
        # `a/../b` is not `b` if `a` is a link, so only the file system can tell.
        return Path(os.path.realpath(path)) if ".." in path.parts else path

    def _address(self, name: str) -> Path:
        base = f"{self.folder}/"
        path = as_path(name if is_address(name) else base + name.lstrip("/"))
        if not (self.allow_remote or (str(path).startswith(base) and ".." not in name.split("/"))):
            raise ValueError(
                f"{_shown(name)} is elsewhere, on a store or a web server; --allow-remote reads it"
            )
        return path

    def check(self, path: Path, name: str) -> None:
        """Raises if a path leads out of the folder.

        Raises:
            ValueError: It does; says how the owner can allow it.
        """
        if not (self.allow_outside or _is_inside(path, self._real)):
            raise ValueError(
                f"{_shown(name)} is outside of {self.whose}; --allow-outside reads it anyway"
            )


class DumpImages:
    """Finds the images of a booru dump by what the dump calls them.

    They are looked for as ``md5.ext``, ``ab/md5.ext``, ``ab/cd/md5.ext`` (``abcd`` being the first
    digits of the MD5), and ``0123/ID.ext`` (``123`` being the ID modulo 1000), in the folder and
    in ``images`` and ``original`` in it.
    """

    def __init__(self, paths: ImagePaths) -> None:
        self._paths = paths
        bases = (paths.folder, paths.folder / "images", paths.folder / "original")
        # Text, since there are millions of posts.
        self._layouts: list[tuple[str | RemotePath, _NameBelow]] = [
            (base if isinstance(base, RemotePath) else str(base), name)
            for base in bases
            if is_on_web(base) or is_folder(base)
            for name in _NAMES_BELOW
        ]
        self._folders: dict[str, bool] = {}
        self._inside: set[str] = set()

    def at(self, address: object) -> Path | None:
        """Returns the path of an address that a post names, if such may be read.

        Raises:
            ValueError: It is an impossible one.
        """
        if self._paths.allow_remote and isinstance(address, str) and is_address(address):
            return self._paths.path_of(address)
        return None

    def find(self, md5: str, extension: str, number: int | None = None) -> Path | None:
        """Returns the path of a post's image, or None if there is no such file.

        Args:
            md5: 32 hexadecimal digits.
            extension: Without a dot.
            number: The post's ID.

        Raises:
            ValueError: It is no MD5 or no extension, or the file is a link that leads out of the
                folder.
        """
        if not _MD5.fullmatch(md5):
            raise ValueError(f"{_shown(md5)!r} is not an MD5 of 32 hexadecimal digits")
        if not _EXTENSION.fullmatch(extension):
            raise ValueError(f"{_shown(extension)!r} is not the extension of a file")
        for place, (base, name_below) in enumerate(self._layouts):
            folder, rest = name_below(md5, extension, number)
            if isinstance(base, RemotePath):
                if folder is not None and is_file(found := base / folder / rest):
                    return found
                continue
            if folder is None or (folder and not self._has(f"{base}/{folder}")):
                continue
            name = f"{base}/{folder}/{rest}" if folder else f"{base}/{rest}"
            if os.path.isfile(name):  # noqa: PTH113, for millions of posts
                if place:  # the next one most likely lies in the same way
                    self._layouts.insert(0, self._layouts.pop(place))
                return self._checked(name)
        return None

    def _checked(self, name: str) -> Path:
        """Returns a path that doesn't lead out; asks once for each folder, and for each link."""
        folder, base = os.path.split(name)
        if folder not in self._inside:
            self._paths.check(Path(folder), base)
            self._inside.add(folder)
        if os.path.islink(name):  # noqa: PTH114, as above
            self._paths.check(Path(name), base)
        return Path(name)

    def _has(self, folder: str) -> bool:
        known = self._folders.get(folder)
        if known is None:
            known = self._folders[folder] = os.path.isdir(folder)  # noqa: PTH112, as above
        return known


#: Each gives the first folder on the way to an image, and the way from there; no folder at all
#: ("") if it lies right here, and None if it can't lie so.
_NAMES_BELOW: tuple[_NameBelow, ...] = (
    lambda md5, extension, _: ("", f"{md5}.{extension}"),
    lambda md5, extension, _: (md5[:2], f"{md5}.{extension}"),
    lambda md5, extension, _: (md5[:2], f"{md5[2:4]}/{md5}.{extension}"),
    lambda _, extension, number: (
        None if number is None else f"{number % 1000:04d}",
        f"{number}.{extension}",
    ),
)


def _is_inside(path: Path, folder: str) -> bool:
    try:
        # With symbolic links resolved, for a link may lead out as `..` does.
        return os.path.commonpath([os.path.realpath(path), folder]) == folder
    except (OSError, ValueError):  # on another drive
        return False


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
