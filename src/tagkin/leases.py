"""Locks between machines: leases on object storage, which run out when their holder has died.

Clocks of machines differ and jump, so none is asked. A holder writes its lease anew every few
seconds. Who wants it watches: as long as it changes, its holder lives; if it hasn't changed for a
good while, the watcher takes it over, with a write that fails if it changed after all.
"""

import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tagkin.errors import LibraryError
from tagkin.remote_paths import RemotePath
from tagkin.store_objects import ChangedMeanwhileError, delete_object, read_object, write_object

RENEWED_SECONDS = 5.0
DEAD_SECONDS = 30.0
_WATCHED_SECONDS = 0.5


@contextmanager
def held(path: RemotePath, *, wait: bool) -> Iterator[bool]:
    """Holds a lease for the time of the block, or tells that another process does.

    Args:
        path: Of the lease.
        wait: Whether to wait until it is free, however long that takes.

    Raises:
        LibraryError: The store can't be written, or the lease was lost on the way, because this
            process stood still or the store couldn't be reached for too long.
    """
    try:
        version = _take(path, wait=wait)
    except OSError as error:
        raise LibraryError(f"can't write {path.parent}: {error.strerror or error}") from error
    if version is None:
        yield False
        return
    keeper = _Keeper(path, version)
    try:
        yield True
    finally:
        keeper.end()
    if keeper.lost:
        raise LibraryError(
            f"this process could not reach {path.root_address} for too long, and another one may "
            "have worked on the library: run the command again"
        )


def _take(path: RemotePath, *, wait: bool) -> str | None:
    """Returns the version of the lease that is ours now; None if its holder lives."""
    seen, since = "", time.monotonic()
    while True:
        try:
            return write_object(path, _content(), new=True)
        except ChangedMeanwhileError:
            pass
        try:
            _, version = read_object(path)
        except FileNotFoundError:
            continue  # given back just now
        if seen and version != seen and not wait:
            return None
        if version != seen:
            seen, since = version, time.monotonic()
        elif time.monotonic() - since > DEAD_SECONDS:
            with suppress(ChangedMeanwhileError):
                return write_object(path, _content(), version=version)
        time.sleep(_WATCHED_SECONDS)


def _content() -> bytes:
    said = {"host": socket.gethostname(), "token": secrets.token_hex(8)}
    return json.dumps(said).encode()


class _Keeper:
    """Writes a lease anew until it ends."""

    def __init__(self, path: RemotePath, version: str) -> None:
        self._path = path
        self._version = version
        self._over = threading.Event()
        self.lost = False
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Gives the lease back."""
        self._over.set()
        self._thread.join()
        if not self.lost:
            with suppress(OSError):  # then it runs out
                delete_object(self._path)

    def _keep(self) -> None:
        renewed = time.monotonic()
        while not self._over.wait(RENEWED_SECONDS):
            try:
                self._version = write_object(self._path, _content(), version=self._version)
                renewed = time.monotonic()
            except ChangedMeanwhileError:
                self.lost = True
                return
            except OSError:
                if time.monotonic() - renewed > DEAD_SECONDS:
                    self.lost = True
                    return
