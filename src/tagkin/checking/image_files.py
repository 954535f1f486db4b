"""The files of images: whether they are where the library knows them, and as it knows them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tagkin import archives, images
from tagkin.errors import ImageError
from tagkin.images import ImageLimits
from tagkin.parallel import map_ahead
from tagkin.preparing import content_id
from tagkin.records import ImageFile
from tagkin.remote_files import is_folder

#: ``missing``: the library knows that it is. ``away``: its folder is gone as well. ``changed``: its
#: size or time is another. ``rotten``: only its content is.
Outcome = Literal["same", "missing", "gone", "away", "changed", "rotten", "unreadable"]

_GONE = (FileNotFoundError, NotADirectoryError)


class FileCheck:
    """Looks at files, in several threads.

    Args:
        limits: Of images.
        content: Whether to read them all.
        threads: Number of threads; from the processor if None.
    """

    def __init__(self, limits: ImageLimits, *, content: bool, threads: int | None = None) -> None:
        self._limits, self._content, self._threads = limits, content, threads
        self._times: dict[Path, int] = {}

    def look(self, files: Sequence[tuple[str, ImageFile]]) -> dict[tuple[str, Path], Outcome]:
        """Returns what became of some files.

        Args:
            files: Each with the id of its image.

        Returns:
            The outcome by id and path.
        """
        # Without reading, threads would cost more than they bring.
        if not self._content:
            return {(image, file.path): self._look(image, file) for image, file in files}
        outcomes = map_ahead(lambda one: self._look(*one), files, self._threads)
        return {(image, file.path): outcome for (image, file), outcome in outcomes}

    def _look(self, image: str, file: ImageFile) -> Outcome:
        if file.missing:
            return "missing"
        try:
            archive = archives.archive_of(file.path)
            if archive is not None and not self._content:
                # To look up a file in many archives takes long, and its time is the archive's.
                same = self._time_of(archive) == file.mtime_ns
            else:
                same = images.status(file.path, self._limits) == (file.bytes, file.mtime_ns)
            if not same:
                return "changed"
            if self._content and content_id(images.read_bytes(file.path, self._limits)) != image:
                return "rotten"
        except _GONE:
            return "gone" if _is_folder(file.path.parent) else "away"
        except (OSError, ImageError, ValueError):
            return "unreadable"
        return "same"

    def _time_of(self, archive: Path) -> int:
        if archive not in self._times:
            self._times[archive] = archives.stat(archive)[1]
        return self._times[archive]


def _is_folder(path: Path) -> bool:
    try:
        return is_folder(path)
    except OSError:  # of a store that can't be asked
        return False
