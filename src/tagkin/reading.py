"""Images of a library are read and made into something, in threads, whatever becomes of a file."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import TypeVar

from tagkin import images
from tagkin.errors import ImageError
from tagkin.parallel import map_unordered
from tagkin.preparing import content_id
from tagkin.records import ImageRow, Problem
from tagkin.settings import Settings
from tagkin.storage_watch import StorageWatch

Made = TypeVar("Made")


def read_rows(
    rows: Iterable[ImageRow],
    make: Callable[[str, bytes], Made],
    settings: Settings,
    problems: list[Problem],
) -> Iterator[tuple[str, Made]]:
    """Yields ids and what was made of the images, by several threads a bounded number ahead.

    Args:
        rows: The images to read.
        make: Makes something of an id and the content of a file; may raise `ImageError`.
        settings: Limits of images, number of threads, and the time that a file may take.
        problems: Images that can't be read are appended here instead of being yielded.

    Raises:
        LibraryError: Many files in a row took too long, or their store didn't answer.

    Yields:
        In the order in which they are ready: one slow file holds up no other.
    """
    limits = images.ImageLimits.from_settings(settings)

    def read(row: ImageRow) -> Made | Problem:
        problem = Problem(row.paths[0], "no file")
        for path in row.paths:  # copies of one image: any that is still whole will do
            try:
                data = images.read_bytes(path, limits)
                if content_id(data) != row.id:
                    raise ImageError("changed since it was prepared: run 'tagkin prepare' again")
                return make(row.id, data)
            except ImageError as error:
                problem = Problem.of(path, error)
        return problem

    remaining = iter(rows)
    first = list(islice(remaining, 1))
    threads = images.reading_threads((path for row in first for path in row.paths), settings)
    outcomes = map_unordered(read, chain(first, remaining), threads, timeout=settings.read_timeout)
    watch = StorageWatch()
    for row, outcome in outcomes:
        made = (
            Problem.late(row.paths[0], settings.read_timeout)
            if isinstance(outcome, TimeoutError)
            else outcome
        )
        if isinstance(made, Problem):
            watch.saw(made)
            problems.append(made)
        else:
            watch.saw(None)
            yield row.id, made
