"""Locks between processes, for the few things that can't be one atomic step.

The system gives a lock back when its process ends, however that ends; nothing has to be cleared
after a kill. Where files can't be locked (Windows, some network drives) nothing is locked. On
object storage locks are leases, see `tagkin.leases`.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from tagkin.errors import LibraryError
from tagkin.remote_paths import RemotePath

with contextlib.suppress(ImportError):  # there is none on Windows
    import fcntl

#: What the names of the files of locks begin with; they are empty and stay where they are.
LOCK_PREFIX = ".lock-"

_UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}


@contextlib.contextmanager
def only_one(folder: Path, name: str, what: str) -> Iterator[None]:
    """Refuses to run the block while another process or thread runs one of the same name.

    Args:
        folder: An existing folder, that of a library.
        name: Of the lock.
        what: What may run only once at a time, for the message.

    Raises:
        LibraryError: Another one is at work, or the folder can't be written.
    """
    with _held(folder, name, wait=False) as free:
        if not free:
            raise LibraryError(
                f"another {what} is at work on {folder}: wait until it has ended, then run the "
                "command again; nothing was changed"
            )
        yield


@contextlib.contextmanager
def one_at_a_time(folder: Path, name: str) -> Iterator[None]:
    """Lets the block wait until no other process or thread runs one of the same name.

    Args:
        folder: An existing folder, that of a library.
        name: Of the lock.

    Raises:
        LibraryError: The folder can't be written.
    """
    with _held(folder, name, wait=True):
        yield


def running(folder: Path) -> tuple[str, ...]:
    """Returns the names of the locks that somebody holds now, without touching them.

    Only Linux tells, and object storage; elsewhere there are none.

    Args:
        folder: Of a library.
    """
    if isinstance(folder, RemotePath):
        return _leases(folder)
    try:
        table = Path("/proc/locks").read_text("ascii", "replace")
        files = {path.stat().st_ino: path.name for path in folder.glob(f"{LOCK_PREFIX}*")}
    except OSError:
        return ()
    # Such as "1: FLOCK  ADVISORY  WRITE 2384 08:01:1847 0 EOF"; the device is not as stat says on
    # some file systems.
    held = {line.split()[5].rpartition(":")[2] for line in table.splitlines() if " FLOCK " in line}
    names = [name for inode, name in files.items() if str(inode) in held]
    return tuple(sorted(name.removeprefix(LOCK_PREFIX) for name in names))


def _leases(folder: RemotePath) -> tuple[str, ...]:
    from tagkin.store_objects import names_below

    try:
        names = names_below(folder)
    except OSError:
        return ()
    return tuple(name.removeprefix(LOCK_PREFIX) for name in names if name.startswith(LOCK_PREFIX))


@contextlib.contextmanager
def _held(folder: Path, name: str, *, wait: bool) -> Iterator[bool]:
    path = folder / f"{LOCK_PREFIX}{name}"
    if isinstance(path, RemotePath):
        from tagkin.leases import held

        with held(path, wait=wait) as free:
            yield free
        return
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
    except OSError as error:
        raise LibraryError(f"can't write {folder}: {error}") from error
    try:
        yield _lock(file, wait=wait)
    finally:
        os.close(file)  # which gives the lock back


def _lock(file: int, *, wait: bool) -> bool:
    if os.name != "posix":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    return True
