"""The thumbnails of a library made ahead, so that ``serve`` has none to make."""

import time
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tagkin.errors import LibraryError, ResourceError
from tagkin.library import Library
from tagkin.progress import Progress, silent
from tagkin.reading import read_rows
from tagkin.records import ImageRow, Problem
from tagkin.settings import Settings
from tagkin.thumbnails import ThumbnailCache, thumbnails_of

Made = Generator[tuple[str, list[bytes]], None, None]


class Maker(Protocol):
    """Makes thumbnails somewhere else than in this process."""

    def __call__(
        self,
        rows: Iterable[ImageRow],
        count: int,
        heights: tuple[int, ...],
        settings: Settings,
        problems: list[Problem],
    ) -> Made:
        """Yields ids, each with a thumbnail of every height.

        Args:
            rows: The images.
            count: How many they are.
            heights: Pixels.
            settings: Limits of images, and number of threads.
            problems: Of images that can't be read.
        """
        ...


@dataclass(frozen=True)
class ThumbnailReport:
    """What was made.

    Attributes:
        images: Images in the library.
        added: Images whose thumbnails were made by this run.
        already: Images that had theirs.
        problems: Images that could not be read, by path.
        seconds: Time that this run took.
    """

    images: int
    added: int
    already: int
    problems: tuple[Problem, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as JSON types."""
        return {
            **self.__dict__,
            "problems": [{"path": str(p.path), "reason": p.reason} for p in self.problems],
        }


def make_thumbnails(
    library: Library,
    settings: Settings,
    heights: tuple[int, ...],
    *,
    maker: Maker | None = None,
    progress: Progress = silent,
) -> ThumbnailReport:
    """Makes the thumbnails that the cache folder lacks; a killed run loses a few.

    Args:
        library: Its images.
        settings: Limits of images, number of threads, and the cache folder.
        heights: Some of `tagkin.thumbnails.HEIGHTS`.
        maker: Where they are made; in this process if None.
        progress: Called after every image.

    Raises:
        LibraryError: The library holds no image, or many files in a row took too long.
        ResourceError: They can't be kept, as on a full disk.
        EngineError: Of the maker.
    """
    started = time.monotonic()
    ids = library.image_ids()
    if not len(ids):
        raise LibraryError(
            f"the library {library.path} holds no image: run 'tagkin prepare SOURCE' first"
        )
    kept = ThumbnailCache(settings.cache_dir)
    missing = _without(kept, ids, heights)
    problems: list[Problem] = []
    added = 0
    if len(missing):
        rows = (row for row in library.iter_images(missing) if row.files)
        make = maker or _here
        with closing(make(rows, len(missing), heights, settings, problems)) as made:
            for added, (image, pictures) in enumerate(made, 1):
                try:
                    for height, picture in zip(heights, pictures, strict=True):
                        kept.store(image, height, picture)
                except OSError as error:
                    raise ResourceError(
                        f"can't keep thumbnails in {settings.cache_dir}: {error}. Free some space; "
                        "the same command goes on from there"
                    ) from error
                progress("making thumbnails", added, len(missing))
    return ThumbnailReport(
        images=len(ids),
        added=added,
        already=len(ids) - len(missing),
        problems=tuple(problems),
        seconds=time.monotonic() - started,
    )


def _without(
    kept: ThumbnailCache, ids: NDArray[np.bytes_], heights: tuple[int, ...]
) -> NDArray[np.bytes_]:
    """Returns the ids of images, type S32, that lack one of their thumbnails."""
    lacks = [not all(kept.has(one.decode(), height) for height in heights) for one in ids.tolist()]
    return ids[np.flatnonzero(lacks)]


def _here(
    rows: Iterable[ImageRow],
    count: int,  # noqa: ARG001 - as makers take it
    heights: tuple[int, ...],
    settings: Settings,
    problems: list[Problem],
) -> Made:
    yield from read_rows(rows, thumbnails_of(heights, settings), settings, problems)
