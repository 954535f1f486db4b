"""Thumbnails made by Ray's workers, and kept by the process that asked for them."""

import socket
from collections.abc import Callable, Generator, Iterable

from tagkin.distributed.crew import Ray
from tagkin.distributed.worker import Extracted, Files, check_version, sees_any
from tagkin.reading import read_rows
from tagkin.records import ImageRow, Problem
from tagkin.settings import Settings
from tagkin.thumbnails import thumbnails_of


class RayThumbnails:
    """Makes thumbnails with the workers of a Ray cluster; a `thumbnails_ahead.Maker`."""

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        """Notes where and how many; see `tagkin.distributed.crew.Ray`."""
        self._ray = Ray(address, workers)

    def __call__(
        self,
        rows: Iterable[ImageRow],
        count: int,
        heights: tuple[int, ...],
        settings: Settings,
        problems: list[Problem],
    ) -> Generator[tuple[str, list[bytes]], None, None]:
        """Yields ids and thumbnails; see `thumbnails_ahead.Maker`.

        Raises:
            EngineError: Ray is missing, can't be started or reached, or its workers keep dying.
            LibraryError: A machine doesn't see the files, or many in a row took too long.
        """
        self._ray.check()

        def give_up(row: ImageRow, reason: str) -> None:
            problems.append(Problem(row.paths[0], reason))

        arguments = {"heights": heights, "settings": settings}
        for _, made in self._ray.work(rows, count, ThumbnailWorker, arguments, give_up):
            problems.extend(made.problems)
            yield from zip(made.ids, made.values, strict=True)


class ThumbnailWorker:
    """Makes the thumbnails of the images that it is given."""

    def __init__(
        self,
        heights: tuple[int, ...],
        settings: Settings,
        *,
        threads: int,
        version: str,
        files: Callable[[], Files],  # noqa: ARG002 - it lacks none
    ) -> None:
        """Notes what to do.

        Args:
            heights: See `thumbnails_of`.
            settings: Limits of images, and time for a file.
            threads: Share of this machine's cores.
            version: That of Tagkin where the worker was started.
            files: Not needed.
        """
        self._heights = heights
        threads_to_decode = settings.decode_threads or threads
        self._settings = settings.model_copy(update={"decode_threads": threads_to_decode})
        self._version = version

    def open(self) -> None:
        """Sees whether it can work.

        Raises:
            BackboneError: This machine has another version of Tagkin.
        """
        check_version(self._version)

    def extract(self, rows: tuple[ImageRow, ...]) -> Extracted:
        """Reads and decodes images, and makes their thumbnails.

        Raises:
            LibraryError: Many files in a row took too long.
        """
        problems: list[Problem] = []
        make = thumbnails_of(self._heights, self._settings)
        found = list(read_rows(rows, make, self._settings, problems))
        ids, values = [image for image, _ in found], [made for _, made in found]
        none = not ids and not sees_any(path for row in rows for path in row.paths)
        return Extracted(ids, values, problems, socket.gethostname(), none)
