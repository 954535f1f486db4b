"""Tags in the image files themselves, as XMP, written by exiftool."""

from types import TracebackType
from typing import Self

from tagkin import archives
from tagkin.remote_paths import RemotePath
from tagkin.sources.embedded import embedded_tags
from tagkin.writers.exiftool import Exiftool
from tagkin.writers.tagged import ELSEWHERE, Change, Fold, TaggedImage, compare
from tagkin.writers.xmp import carries

_PROPERTIES = ("XMP-dc:Subject", "XMP-digiKam:TagsList")


class ImageWriter:
    """Adds tags to ``dc:subject`` and ``digiKam:TagsList`` in image files.

    Exiftool writes a new file and moves it into place; the first original stays beside it, as
    ``cat.jpg_original``.

    Args:
        fold: How spellings of one tag are recognised.
        update: Whether images may be changed.
        dry_run: Whether to change nothing at all.
        keep_originals: Whether the first original of each image stays.
        timeout: Seconds that exiftool may take for an image.

    Raises:
        ExportError: Exiftool isn't installed.
    """

    def __init__(
        self,
        fold: Fold,
        *,
        update: bool = False,
        dry_run: bool = False,
        keep_originals: bool = True,
        timeout: float = 120,
    ) -> None:
        self._exiftool = Exiftool(timeout)
        self._fold = fold
        self._update = update
        self._dry_run = dry_run
        self._options = ["-ec", *([] if keep_originals else ["-overwrite_original"])]

    def __enter__(self) -> Self:
        """Begins."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends exiftool."""
        self._exiftool.__exit__(kind, error, trace)

    def finish(self) -> None:
        """Does nothing: there is no table."""

    def write(self, image: TaggedImage) -> Change:
        """Adds the tags that an image lacks."""
        path = image.path
        try:
            if isinstance(path, RemotePath):
                raise ValueError(ELSEWHERE)
            if archives.is_in_archive(path):
                raise ValueError("the image is inside an archive, which is not written to")
            missing, gone = compare(embedded_tags(path), image, self._fold)
            added = tuple(tag for tag in missing if _carries(tag))
            left_out = tuple(tag for tag in missing if not _carries(tag))
            if not added and not gone:
                return Change(path, path, "same", left_out=left_out)
            if self._update and not self._dry_run:
                self._exiftool.write([*self._options, *_changes(added, gone)], path)
        except OSError as error:
            return Change(path, path, "failed", problem=error.strerror or str(error))
        except ValueError as error:
            return Change(path, path, "failed", problem=str(error))
        return Change(path, path, "changed" if self._update else "kept", added, gone, left_out)


def _carries(tag: str) -> bool:
    # Exiftool writes a carriage return as it is, which XML takes for a line end.
    return carries(tag) and "\r" not in tag


def _changes(added: tuple[str, ...], gone: tuple[str, ...]) -> list[str]:
    """Returns arguments that take tags out, and put tags in once, wherever they were before."""
    arguments = []
    for name in _PROPERTIES:
        arguments += [f"-{name}-={_escaped(tag)}" for tag in (*gone, *added)]
        arguments += [f"-{name}+={_escaped(tag)}" for tag in added]
    return arguments


def _escaped(value: str) -> str:
    escapes: dict[str, str | int | None] = {"\\": "\\\\", "\n": "\\n", "\t": "\\t"}
    return value.translate(str.maketrans(escapes))
