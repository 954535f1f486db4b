"""Images of a library are read and made into something, in threads, whatever becomes of a file."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import TypeVar

from tagkin import images
from tagkin.errors import ImageError, LibraryError
from tagkin.parallel import map_unordered
from tagkin.preparing import content_id
from tagkin.records import ImageRow, Problem
from tagkin.settings import Settings

Made = TypeVar("Made")

_MOST_HANGING = 10  # files in a row


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
        LibraryError: Many files in a row took too long, as on a drive that has gone.

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
                problem = Problem(path, str(error))
        return problem

    remaining = iter(rows)
    first = list(islice(remaining, 1))
    threads = images.reading_threads((path for row in first for path in row.paths), settings)
    outcomes = map_unordered(read, chain(first, remaining), threads, timeout=settings.read_timeout)
    hanging = 0
    for row, outcome in outcomes:
        hanging = hanging + 1 if isinstance(outcome, TimeoutError) else 0
        if hanging == _MOST_HANGING:
            raise LibraryError(
                f"{hanging} files in a row could not be read within {settings.read_timeout:g} "
                f"seconds, the last {row.paths[0]}: is their drive still there? What was stored "
                "stays, and the same command goes on from there"
            )
        if isinstance(outcome, Problem):
            problems.append(outcome)
        elif isinstance(outcome, TimeoutError):
            reason = f"could not be read within {settings.read_timeout:g} seconds (read_timeout)"
            problems.append(Problem(row.paths[0], reason))
        else:
            yield row.id, outcome
