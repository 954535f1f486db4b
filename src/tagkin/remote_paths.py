"""Addresses of files that lie elsewhere, as paths: on object stores and on web servers.

`RemotePath` is a path like any other, with a name, a suffix and a parent, whose text is the
address: what is stored, shown and compared is ``s3://bucket/photos/cat.jpg``. What it leads to is
read by `tagkin.remote_files`; to the operating system it leads nowhere.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

#: Stores, whose folders can be listed, and web servers, whose can't.
STORES, WEB = ("s3", "gs", "az"), ("https", "http")

_ADDRESS = re.compile(rf"({'|'.join((*STORES, *WEB))})://(.*)", re.IGNORECASE | re.DOTALL)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,221}", re.IGNORECASE)
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s/:@?#\[\]\\]+)(:\d{1,5})?", re.IGNORECASE)
# Paths drop empty parts and single dots, which keys and addresses may have: such a part gets a
# colon in front, and so does a part that looks like one that got it.
_DROPPED = re.compile(r":*\.{0,2}")
_ESCAPED = re.compile(r":+\.{0,2}")

if TYPE_CHECKING:
    _LocalPath = Path
else:
    _LocalPath = type(Path())


class RemotePath(_LocalPath):
    """The address of something on an object store or a web server; made by `as_path`."""

    def __str__(self) -> str:
        """Returns the address."""
        scheme, *parts = super().__str__().replace(os.sep, "/").split("/")
        plain = [part[1:] if _ESCAPED.fullmatch(part) else part for part in parts]
        return f"{scheme}//{'/'.join(plain)}"

    def __fspath__(self) -> str:
        """Returns the address."""
        return str(self)

    def is_absolute(self) -> bool:
        """Returns True: an address starts from nowhere else."""
        return True

    def absolute(self) -> "RemotePath":
        """Returns itself."""
        return self

    @property
    def scheme(self) -> str:
        """Such as ``s3``."""
        return self.parts[0].removesuffix(":")

    @property
    def is_on_web(self) -> bool:
        """Whether it is on a web server rather than on a store."""
        return self.scheme in WEB

    @property
    def root_address(self) -> str:
        """The bucket or server that it is on, such as ``s3://bucket``."""
        return f"{self.scheme}://{self.parts[1]}"

    @property
    def key(self) -> str:
        """What follows the bucket or server and its slash."""
        return str(self)[len(self.root_address) + 1 :]


def is_address(text: str) -> bool:
    """Returns whether a text is an address of this kind, by its beginning."""
    return _ADDRESS.match(text) is not None


def as_path(text: str) -> Path:
    """Returns the path of a text, which may be an address.

    Raises:
        ValueError: It is an address, and an impossible one.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None:
        return Path(text)
    scheme, rest = found[1].lower(), found[2]
    place, _, key = rest.partition("/")
    if scheme in STORES:
        if not _BUCKET.fullmatch(place) or ".." in place:
            raise ValueError(f"{place[:80]!r} can't be the name of a bucket")
        key = key.rstrip("/")  # as folders are often written
    elif "@" in place:
        raise ValueError("addresses with a user or password in them are not read")
    elif not _HOST.fullmatch(place):
        raise ValueError(f"{place[:80]!r} can't be the name of a web server")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in key):
        raise ValueError("an address can't hold control characters")
    parts = [f":{part}" if _DROPPED.fullmatch(part) else part for part in key.split("/")]
    return RemotePath(f"{scheme}:", place, *(parts if key else ()))
