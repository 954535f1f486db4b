"""Files and folders here, on object stores and on web servers, read in the same way.

What is on a store is asked with as few requests as can be: the sizes and times of a folder's files
come with its listing, and when several files of one folder are asked for, it is listed too.
"""

import io
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, cast

from tagkin.errors import ImageError, NoAnswerError, SourceError
from tagkin.remote_paths import RemotePath
from tagkin.web_files import WebRules, fetch, head

_TIMES = {"connect_timeout": "10s", "read_timeout": "30s", "timeout": "15min"}
_RETRY = {
    "max_retries": 100,  # the time ends it
    "retry_timeout": timedelta(seconds=30),
    # obstore's own pauses, drawn between a tenth of a second and twice the last one, hardly grow:
    # six retries were over in a second.
    "backoff": {
        "init_backoff": timedelta(seconds=0.3),
        "max_backoff": timedelta(seconds=5),
        "base": 3,
    },
}

# Behind all that was tried: "... - Server returned non-2xx status code: 503 Service Unavailable".
_ANSWER = re.compile(r"status code: (\d{3}[A-Za-z ]*)")
_BUSY = "5", "429"  # how answers begin that may be others later

_ASKED_SINGLY = 8  # files of a folder, before it is listed
_LISTED = 1024  # folders whose listings are remembered, as long as they don't hold more than
_MOST_ENTRIES = 2_000_000  # files and folders in all
_LISTED_SECONDS = 600.0
_BUFFER = 4 * 2**20  # bytes of a table or archive that are asked for at once

_MOST_TABLE = 2**30  # bytes of a table on a web server
_TABLE_SECONDS = 600.0

Status = tuple[int, int]  # bytes, and the time of change in nanoseconds


def is_folder(path: Path) -> bool:
    """Returns whether a path leads to a folder; one on a store is there if something is in it.

    Raises:
        OSError: The store can't be asked.
    """
    if not isinstance(path, RemotePath):
        return os.path.isdir(path)  # noqa: PTH112, which takes names that are too long
    if path.is_on_web:
        return False
    with told_of_store(path):
        found = load_obstore().list(open_store(path.root_address), _prefix(path), chunk_size=1)
        return any(len(chunk) for chunk in found)


def is_file(path: Path) -> bool:
    """Returns whether a path leads to a file; on a web server that isn't asked.

    Raises:
        OSError: The store can't be asked.
    """
    if not isinstance(path, RemotePath):
        return os.path.isfile(path)  # noqa: PTH113, as above
    if path.is_on_web:
        return True
    if not path.key:
        return False
    try:
        stat(path)
    except FileNotFoundError:
        return False
    return True


def is_on_web(path: Path) -> bool:
    """Returns whether a path is an address on a web server."""
    return isinstance(path, RemotePath) and path.is_on_web


def list_folder(folder: Path) -> list[tuple[str, bool]]:
    """Returns the visible names in a folder, sorted, each with whether it is a folder.

    Raises:
        OSError: It can't be read.
    """
    if isinstance(folder, RemotePath):
        found = _LISTINGS.list(folder)
        names = [(name, status is None) for name, status in found.items()]
        return sorted(entry for entry in names if not entry[0].startswith("."))
    with os.scandir(folder) as entries:
        return sorted(
            (entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith(".")
        )


def stat(path: RemotePath) -> Status:
    """Returns size and time of change of a file on a store.

    Raises:
        OSError: It isn't there, or the store can't be asked.
    """
    return _LISTINGS.status(path)


def read(path: RemotePath, most: int) -> bytes:
    """Reads a file on a store.

    Args:
        path: Its address.
        most: Bytes; of a larger file, only so many are read.

    Raises:
        OSError: It isn't there, or can't be read.
    """
    with told_of_store(path):
        answer = load_obstore().get(open_store(path.root_address), path.key)
        if answer.meta["size"] <= most:
            return bytes(answer.bytes())
    return read_range(path, 0, most)


def read_range(path: Path, start: int, length: int) -> bytes:
    """Reads a part of a file here or on a store.

    Raises:
        OSError: It isn't there, or can't be read.
    """
    if not isinstance(path, RemotePath):
        with path.open("rb") as file:
            file.seek(start)
            return file.read(length)
    if length <= 0:
        return b""
    with told_of_store(path):
        store = open_store(path.root_address)
        return bytes(load_obstore().get_range(store, path.key, start=start, length=length))


def open_binary(path: Path) -> BinaryIO:
    """Opens a file to be read at any place; what is on a store, by ranges.

    Raises:
        OSError: It isn't there, or can't be read.
    """
    if not isinstance(path, RemotePath):
        return path.open("rb")
    if not path.is_on_web:
        return cast("BinaryIO", io.BufferedReader(_Ranges(path), _BUFFER))
    # The owner has named it, so it may be on their own network.
    rules = WebRules(_TABLE_SECONDS, private_hosts=_host_of(path))
    try:
        return io.BytesIO(fetch(str(path), rules, most=_MOST_TABLE).data)
    except ImageError as error:
        raise OSError(str(error)) from error


def web_status(path: RemotePath, rules: WebRules) -> Status:
    """Returns size and time of what an address on a web server leads to.

    Raises:
        ImageError: It can't be had.
    """
    found = head(str(path), rules)
    return found.size, found.changed


class _Ranges(io.RawIOBase):
    """A file on a store, read by ranges."""

    def __init__(self, path: RemotePath) -> None:
        self._path = path
        self._size = stat(path)[0]
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = read_range(self._path, self._at, min(len(view), self._size - self._at))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


class _Listings:
    """What the folders last listed hold: by name the status of a file, None for a folder."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[RemotePath, tuple[float, dict[str, Status | None]]] = {}
        self._entries = 0
        self._asked: OrderedDict[RemotePath, tuple[int, threading.Lock]] = OrderedDict()

    def list(self, folder: RemotePath) -> dict[str, Status | None]:
        if folder.is_on_web:
            raise OSError("a web server's folders can't be listed: give a table of addresses")
        entries: dict[str, Status | None] = {}
        prefix = _prefix(folder)
        with told_of_store(folder):
            found = load_obstore().list_with_delimiter(
                open_store(folder.root_address), prefix or None
            )
        for below in found["common_prefixes"]:
            entries[below.rstrip("/").rpartition("/")[2]] = None
        for entry in found["objects"]:
            name = entry["path"].rpartition("/")[2]
            if name and entry["path"] != prefix.rstrip("/"):  # a marker of the folder itself
                entries[name] = _status(entry)
        if not entries and prefix and not is_folder(folder):
            raise FileNotFoundError(2, "there is no such folder on the store", str(folder))
        with self._lock:
            self._forget(folder)
            self._known[folder] = time.monotonic(), entries
            self._entries += len(entries)
            while len(self._known) > 1 and (
                len(self._known) > _LISTED or self._entries > _MOST_ENTRIES
            ):
                self._forget(next(iter(self._known)))
        return entries

    def status(self, path: RemotePath) -> Status:
        folder = path.parent
        with self._lock:
            asked, one_at_a_time = self._asked.get(folder, (0, threading.Lock()))
            self._asked[folder] = asked + 1, one_at_a_time
            self._asked.move_to_end(folder)
            if len(self._asked) > _LISTED:
                self._asked.popitem(last=False)
        entries = self._recent(folder)
        if entries is None and asked < _ASKED_SINGLY:
            with told_of_store(path):
                return _status(load_obstore().head(open_store(path.root_address), path.key))
        if entries is None:
            with one_at_a_time:
                entries = self._recent(folder) or self.list(folder)
        found = entries.get(path.name)
        if found is None:
            raise FileNotFoundError(2, "there is no such file on the store", str(path))
        return found

    def _forget(self, folder: RemotePath) -> None:
        if folder in self._known:
            self._entries -= len(self._known.pop(folder)[1])

    def _recent(self, folder: RemotePath) -> dict[str, Status | None] | None:
        with self._lock:
            since, entries = self._known.get(folder, (0.0, None))
        return entries if time.monotonic() - since < _LISTED_SECONDS else None


_LISTINGS = _Listings()


def _status(entry: Any) -> Status:
    changed: datetime = entry["last_modified"]
    # Whole seconds: some stores list fractions of them that they don't give for a single file.
    return int(entry["size"]), int(changed.timestamp()) * 10**9


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _prefix(folder: RemotePath) -> str:
    return f"{folder.key}/" if folder.key else ""


def _host_of(path: RemotePath) -> tuple[str, ...]:
    place = path.parts[1]
    host = place.rpartition(":")[0] if place.rpartition(":")[2].isdecimal() else place
    return (host.strip("[]").lower(),)


def load_obstore() -> Any:
    """Returns the module ``obstore``.

    Raises:
        SourceError: It isn't installed.
    """
    try:
        import obstore
    except ImportError as error:
        raise SourceError(
            "addresses of object stores need obstore, which isn't installed: pip install "
            "'tagkin[cloud]'"
        ) from error
    return obstore


@cache
def open_store(root: str) -> Any:
    """Returns the store of a bucket, such as ``s3://pictures``, once opened for all."""
    load_obstore()
    from obstore.store import from_url

    # To give options makes it forget this one of the environment.
    insecure = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("true", "1")
    options: Any = {**_TIMES, "allow_http": insecure}
    return from_url(root, client_options=options, retry_config=cast("Any", _RETRY))


@contextmanager
def told_of_store(path: RemotePath, what: str = "read") -> Iterator[None]:
    """Turns what went wrong with a store into an OSError that says what to check.

    It is a `NoAnswerError` if it is the store that is at fault, and not what was asked.

    Args:
        path: What is read or written.
        what: ``read`` or ``written``.
    """
    load_obstore()
    from obstore import exceptions

    try:
        yield
    except (FileNotFoundError, exceptions.NotFoundError) as error:
        raise FileNotFoundError(2, "there is no such file on the store", str(path)) from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise PermissionError(
            13, f"{path.root_address} refuses: check the credentials in the environment", str(path)
        ) from error
    except (exceptions.BaseError, ValueError) as error:  # ValueError: an impossible key
        said = " ".join(str(error).split())
        answered = _ANSWER.search(said)
        why = f"the store answers {answered[1]}" if answered else said[:200]
        kind = NoAnswerError if answered and answered[1].startswith(_BUSY) else OSError
        if "error sending request" in said:
            kind = NoAnswerError
            why = "nothing answers; check the network, and AWS_ENDPOINT if you have set it"
        raise kind(5, f"{path.root_address} can't be {what}: {why}", str(path)) from error
