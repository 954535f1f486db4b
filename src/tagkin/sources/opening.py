"""Opens files of a collection, which may be compressed with gzip."""

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

from tagkin.remote_files import open_binary

GZIP = ".gz"
_MAGIC = b"\x1f\x8b"


def open_file(path: Path) -> BinaryIO:
    """Opens a file to be read from its start, unpacking it on the way if it is compressed.

    Damage surfaces as OSError while it is read.

    Raises:
        OSError: It can't be read.
    """
    file = open_binary(path)
    try:
        head = file.read(len(_MAGIC))
        file.seek(0)
    except OSError:
        file.close()
        raise
    if head != _MAGIC:
        return file
    return cast("BinaryIO", _Gzip(file))


def plain_suffix(path: Path) -> str:
    """Returns the extension of a file in lower case, or the one before ``.gz``."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix == GZIP else suffix


class _Gzip(gzip.GzipFile):
    def __init__(self, file: BinaryIO) -> None:
        super().__init__(fileobj=file, mode="rb")
        self._packed = file

    def close(self) -> None:
        super().close()
        self._packed.close()

    def read(self, size: int | None = -1) -> bytes:
        return _told(super().read, size)

    def read1(self, size: int = -1) -> bytes:
        return _told(super().read1, size)

    def readline(self, size: int | None = -1) -> bytes:
        return _told(super().readline, size)


def _told(read: Callable[[Any], bytes], size: int | None) -> bytes:
    try:
        return read(size)
    except (EOFError, zlib.error) as error:
        raise OSError(f"damaged gzip: {error}") from error
