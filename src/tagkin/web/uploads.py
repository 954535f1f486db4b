"""Uploaded images: bounded, decoded like any other, and remembered for a while."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagkin.errors import ImageError, ImageTooLargeError
from tagkin.images import ImageLimits
from tagkin.settings import Settings
from tagkin.web.problems import NotAnImageError, TooLargeError, TooManyError

_REMEMBERED = 200
_BUCKETS = 10_000  # clients whose rates are known


@dataclass(frozen=True)
class Upload:
    """An uploaded image, as far as it is remembered.

    Attributes:
        key: By which it is found again; nobody can guess it.
        name: What it is called.
        fingerprint: Of the backbone that made the vector.
        vector: float32 of shape (dimension,).
        thumbnail: A small WebP.
    """

    key: str
    name: str
    fingerprint: str
    vector: NDArray[np.float32]
    thumbnail: bytes


class UploadStore:
    """The last uploads, in memory."""

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._most = most
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._lock = threading.Lock()

    def add(
        self, name: str, fingerprint: str, vector: NDArray[np.float32], thumbnail: bytes
    ) -> Upload:
        """Remembers an upload under a new key, and forgets the oldest if there are many."""
        upload = Upload(secrets.token_urlsafe(12), name, fingerprint, vector, thumbnail)
        with self._lock:
            self._kept[upload.key] = upload
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return upload

    def get(self, key: str) -> Upload | None:
        """Returns an upload; None if it was forgotten."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)


class Gate:
    """Lets so many requests in at once, and so many of each client in a minute.

    Args:
        at_once: Requests.
        per_minute: Of each client. As many may come at once after a pause.
    """

    def __init__(self, at_once: int, per_minute: int) -> None:
        self._free = threading.BoundedSemaphore(at_once)
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def entered(self, client: str) -> Iterator[None]:
        """Holds a place for the time of the block.

        Raises:
            TooManyError: The client has to wait, or all places are taken.
        """
        if not self._free.acquire(blocking=False):
            raise TooManyError("the server is busy with other uploads: try again", retry_after=1)
        try:
            self.count(client)
            yield
        finally:
            self._free.release()

    def count(self, client: str) -> None:
        """Counts a request of a client.

        Raises:
            TooManyError: It had too many in the last minute.
        """
        now = time.monotonic()
        rate = self._per_minute / 60
        with self._lock:
            left, last = self._buckets.pop(client, (float(self._per_minute), now))
            left = min(float(self._per_minute), left + (now - last) * rate)
            allowed = left >= 1
            self._buckets[client] = (left - 1 if allowed else left, now)
            while len(self._buckets) > _BUCKETS:
                self._buckets.popitem(last=False)
        if not allowed:
            wait = max(1, round((1 - left) / rate + 0.5))
            raise TooManyError(
                f"more than {self._per_minute} requests of this kind in a minute: try again in "
                f"{wait} seconds",
                retry_after=wait,
            )


def upload_limits(settings: Settings) -> ImageLimits:
    """Returns what is refused of uploads: never more than of the library's own images."""
    return ImageLimits(
        max_pixels=min(settings.serve_upload_pixels, settings.max_image_pixels),
        max_bytes=min(settings.serve_upload_bytes, settings.max_image_bytes),
        animation_frame=settings.animation_frame,
        allow_truncated=settings.allow_truncated,
    )


@contextmanager
def refusing_uploads() -> Iterator[None]:
    """Turns what is wrong with an uploaded image into the answer to its sender."""
    try:
        yield
    except ImageTooLargeError as error:
        raise TooLargeError(
            "the uploaded image has more bytes or pixels than this server takes: make it smaller, "
            "or raise serve_upload_bytes and serve_upload_pixels"
        ) from error
    except ImageError as error:
        raise NotAnImageError(f"the upload can't be read as an image: {error}") from error
