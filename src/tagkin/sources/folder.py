"""A folder of images whose tags lie beside them in text files."""

from collections.abc import Iterator
from pathlib import Path

from tagkin.sources.options import SourceOptions
from tagkin.sources.record import SourceProblem
from tagkin.sources.text import decode_text, split_sidecar
from tagkin.sources.walking import Beside, FolderSource, open_walk, read_sidecar

TEXT_EXTENSIONS = (".txt", ".caption")


def open_folder(path: Path, options: SourceOptions) -> FolderSource:
    """Opens a folder of images.

    The tags of ``cat.jpg`` are those of ``cat.txt``, ``cat.jpg.txt``, ``cat.caption`` and
    ``cat.jpg.caption``; see `split_sidecar`.

    Raises:
        SourceError: The folder can't be read.
    """
    return open_walk(path, options, "folder", "in text files beside the images", _read_tags)


def _read_tags(image: str, beside: Beside) -> Iterator[str | SourceProblem]:
    for extension in TEXT_EXTENSIONS:
        for path in beside.find(image, extension):
            try:
                yield from split_sidecar(decode_text(read_sidecar(path)))
            except UnicodeError as error:
                yield SourceProblem(path, f"tags can't be read: {error}")
            except ValueError as error:
                yield SourceProblem(path, str(error))
