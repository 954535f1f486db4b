"""What the frozen layers make of each image, once, in a file that training reads at random.

The file is written row by row as the images come, flushed every few seconds, and only then are the
rows noted as done: a killed run goes on where it was.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tagkin.backbones.sample import Note
from tagkin.backbones.sample import silent as tell_nobody
from tagkin.errors import BackboneError, TaggerError
from tagkin.files import atomic_file
from tagkin.progress import Progress, silent
from tagkin.training.trunk import Trunk

#: Given ids, yields each with its views, uint8 of shape (views, size, size, 3). Their order is
#: free, and those that can't be read may be left out.
ReadViews = Callable[[Sequence[str]], Iterable[tuple[str, NDArray[np.uint8]]]]

Stored = Literal["float16", "float32"]

_PREFIX = "activations-"
_DATA, _DONE, _ABOUT = "rows.bin", "done.bin", "about.json"

_NOTE_AFTER_SECONDS = 10.0
# What stays free on the disk, for the weights and graphs that follow.
_MARGIN = 2**30
# Rounding to f16 has a relative error of 0.0003. Values near or under its smallest have more.
_MOST_LOSS = 0.002


@dataclass(frozen=True)
class Activations:
    """The cached activations of some images; an image is a number from 0 on.

    Attributes:
        ids: Of the images, in the order that was asked for; some may have been unreadable.
        views: Of each image.
        shape: Of one view's activations.
        dtype: That they are stored in.
        key: Equal keys mean equal activations.
        folder: Where they are.
    """

    ids: tuple[str, ...]
    views: int
    shape: tuple[int, ...]
    dtype: Stored
    key: str
    folder: Path
    _rows: NDArray[np.intp]
    _data: NDArray[Any]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.ids)

    def read(self, images: NDArray[np.integer[Any]], views: Any = 0) -> NDArray[Any]:
        """Returns the activations of some images.

        Args:
            images: Numbers of images, shape (count,).
            views: A number of a view, or one for each image.

        Returns:
            ``dtype`` of shape (count, *shape), in memory.
        """
        result: NDArray[Any] = self._data[self._rows[images], views]
        return result

    def delete(self) -> None:
        """Removes the files; the object can't be used any more."""
        shutil.rmtree(self.folder, ignore_errors=True)


def activation_bytes(
    shape: Sequence[int], images: int, views: int = 1, dtype: Stored = "float16"
) -> int:
    """Returns how many bytes of disk the activations take.

    Args:
        shape: Of one view's, as ``Cut.boundary_shape``.
        images: Number of images.
        views: Of each.
        dtype: That they are stored in.
    """
    return int(np.prod(shape)) * np.dtype(dtype).itemsize * images * views


def cache_activations(
    trunk: Trunk,
    ids: Sequence[str],
    read: ReadViews,
    folder: Path,
    *,
    views: int = 1,
    pixels: str = "",
    stage: str = "running the frozen layers",
    progress: Progress = silent,
    note: Note = tell_nobody,
) -> Activations:
    """Runs the trunk over images and stores its activations; what is there already is kept.

    They are stored in half precision unless their values are too large or too small for it: then
    in single precision, which takes twice the room.

    Args:
        trunk: The loaded trunk.
        ids: Of the images, without repetition.
        read: Called once with the ids that are missing.
        folder: Made if missing; the files get a folder of their own in it.
        views: Of each image.
        pixels: Names what ``read`` makes of an image, such as ``TrainingViews.key``. Activations of
            other pixels, images or of another trunk are never taken for these.
        stage: What ``progress`` is told.
        progress: Called after every image.
        note: Told in a sentence if half precision doesn't do.

    Raises:
        TaggerError: The disk has too little room, or can't be written.
        BackboneError: The trunk gives values that are not finite.
    """
    key = _digest([trunk.key, list(trunk.shape), views, pixels, *ids])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        store = _Store(folder / f"{_PREFIX}{key}", ids, views, trunk.shape)
        try:
            store.fill(trunk, read, stage, progress)
        except _TooWide:
            note(
                "warning: half precision can't hold the activations of this backbone, so they are "
                "stored in single precision, which takes twice the room"
            )
            store.start_anew("float32")
            store.fill(trunk, read, stage, progress)
    except OSError as error:
        raise TaggerError(
            f"can't store the activations in {folder}: {error}. Free some space, or keep the "
            "library on another disk; what was stored stays"
        ) from error
    return store.open(key)


def clear_activations(folder: Path, keep: Sequence[Activations] = ()) -> None:
    """Removes the activations in a folder, of any run, but for those to be kept."""
    kept = {activations.folder.name for activations in keep}
    for path in folder.glob(f"{_PREFIX}*"):
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)


class _TooWide(Exception):  # noqa: N818 - it is caught right above
    """Half precision can't hold a value."""


class _Store:
    """The files: rows in the order of the ids, a bit for each that is done, and what they are."""

    def __init__(
        self, folder: Path, ids: Sequence[str], views: int, shape: tuple[int, ...]
    ) -> None:
        self._folder, self._ids, self._views, self._shape = folder, ids, views, shape
        self._place = {image: place for place, image in enumerate(ids)}
        self._done = np.zeros(len(ids), bool)
        self._dtype: Stored = "float16"
        with suppress(OSError, ValueError, KeyError):
            self._recall()

    def start_anew(self, dtype: Stored) -> None:
        """Forgets what is there, in favour of another type."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._dtype = dtype
        self._done[:] = False

    def fill(self, trunk: Trunk, read: ReadViews, stage: str, progress: Progress) -> None:
        """Adds the rows that are missing."""
        missing = [image for image, done in zip(self._ids, self._done, strict=True) if not done]
        if not missing:
            return
        self._check_room(len(missing))
        self._folder.mkdir(exist_ok=True)
        with atomic_file(self._folder / _ABOUT) as path:
            path.write_text(json.dumps({"dtype": self._dtype, "shape": self._shape}), "utf-8")
        data = self._folder / _DATA
        data.touch()
        row_bytes = activation_bytes(self._shape, 1, 1, self._dtype)
        pending: list[int] = []
        last = time.monotonic()
        done = int(self._done.sum())
        with data.open("rb+") as file:
            file.truncate(row_bytes * self._views * len(self._ids))
            for (image, view), values in trunk.runtime.embed_stream(self._flat(read(missing))):
                place = self._place[image]
                file.seek((place * self._views + view) * row_bytes)
                file.write(self._pack(values, image).data)
                if view < self._views - 1:
                    continue
                pending.append(place)
                done += 1
                progress(stage, done, len(self._ids))
                if time.monotonic() - last > _NOTE_AFTER_SECONDS:
                    self._note_done(file, pending)
                    pending, last = [], time.monotonic()
            self._note_done(file, pending)

    def open(self, key: str) -> Activations:
        """Returns the rows that are done, mapped into memory."""
        rows: NDArray[np.intp] = np.flatnonzero(self._done)
        data: NDArray[Any] = np.zeros((0, self._views, *self._shape), self._dtype)
        if len(rows):
            shape = (len(self._ids), self._views, *self._shape)
            data = np.memmap(self._folder / _DATA, self._dtype, "r", shape=shape)
        ids = tuple(self._ids[row] for row in rows.tolist())
        return Activations(
            ids, self._views, self._shape, self._dtype, key, self._folder, rows, data
        )

    def _flat(
        self, images: Iterable[tuple[str, NDArray[np.uint8]]]
    ) -> Iterator[tuple[tuple[str, int], NDArray[np.uint8]]]:
        for image, pixels in images:
            if image not in self._place or len(pixels) != self._views:
                raise ValueError(f"{len(pixels)} views of image {image}, not {self._views}")
            for view, square in enumerate(pixels):
                yield (image, view), square

    def _pack(self, values: NDArray[np.float32], image: str) -> NDArray[Any]:
        if not np.isfinite(values).all():
            raise BackboneError(
                f"the frozen layers gave a value that is not finite for image {image}: the weights "
                "are damaged, or the precision is too low for them; try --precision f32"
            )
        if self._dtype == "float32":
            return np.ascontiguousarray(values, np.float32)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        loss = float(np.linalg.norm(half.astype(np.float32) - values))
        # Not less than or equal: infinity makes it NaN or infinite.
        if not loss <= _MOST_LOSS * float(np.linalg.norm(values)):
            raise _TooWide
        return half

    def _check_room(self, missing: int) -> None:
        needed = activation_bytes(self._shape, missing, self._views, self._dtype)
        existing = self._folder if self._folder.exists() else self._folder.parent
        free = shutil.disk_usage(existing).free
        if needed + _MARGIN > free:
            raise TaggerError(
                f"the activations of {missing:,} images take {needed / 1e9:.1f} GB in "
                f"{self._folder.parent}, and {max(0, free - _MARGIN) / 1e9:.1f} GB can be used: "
                "free some space, set fewer --fine-tune-views or fewer --trainable-layers"
            )

    def _note_done(self, file: Any, places: list[int]) -> None:
        """Notes rows as done, after they have come to the disk."""
        file.flush()
        os.fsync(file.fileno())
        self._done[places] = True
        with atomic_file(self._folder / _DONE) as path:
            path.write_bytes(np.packbits(self._done).tobytes())

    def _recall(self) -> None:
        about = json.loads((self._folder / _ABOUT).read_text("utf-8"))
        bits = np.frombuffer((self._folder / _DONE).read_bytes(), np.uint8)
        done = np.unpackbits(bits, count=len(self._ids)).astype(bool)
        whole = activation_bytes(self._shape, len(self._ids), self._views, about["dtype"])
        if (
            about["dtype"] in ("float16", "float32")
            and tuple(about["shape"]) == self._shape
            and (self._folder / _DATA).stat().st_size == whole
        ):
            self._dtype, self._done = about["dtype"], done


def _digest(parts: list[Any]) -> str:
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=12).hexdigest()
