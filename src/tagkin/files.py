"""Files and folders that appear in one step, or not at all."""

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

#: What a killed process left behind is removed after a day; until then it may still be in use.
STALE_AFTER_SECONDS = 24 * 3600.0


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Gives a temporary path that replaces ``path``, flushed to disk, if the block succeeds.

    A file that is replaced passes its permissions on.
    """
    # A name may already be as long as the file system allows.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:32]}-", dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def working_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Gives an empty folder inside ``parent``, on the same file system, for the time of the block.

    Args:
        parent: An existing folder.
        prefix: Of the folder's name; older folders of that prefix, which killed processes left
            behind, are removed.
    """
    for left in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # another process may be faster
            if abs(time.time() - left.stat().st_mtime) > STALE_AFTER_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as name:
        yield Path(name)


def printable(path: Path | str) -> str:
    """Returns a path that can be shown anywhere: bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(path).decode("utf-8", "replace")


def checksum(path: Path) -> str:
    """Returns the BLAKE2b-128 of a file's content as 32 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
