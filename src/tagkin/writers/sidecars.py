"""Tags in a small file beside each image: where it is, and how it is changed."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from tagkin import archives
from tagkin.files import atomic_file
from tagkin.remote_paths import RemotePath
from tagkin.sources.walking import Beside, is_image, read_sidecar
from tagkin.writers.tagged import ELSEWHERE, Change, Fold, TaggedImage, compare

#: ``short`` is ``cat.txt``, ``full`` is ``cat.jpg.txt``; ``auto`` takes the one that is there.
Names = Literal["auto", "short", "full"]
NAMES: tuple[Names, ...] = ("auto", "short", "full")

_FOLDERS = 256  # whose names are remembered


@dataclass(frozen=True)
class SidecarFormat:
    """How tags are written into such a file.

    Attributes:
        extension: In lower case, with its dot.
        full: Whether a new file has the full name of the image in its own.
        read: Returns the tags in a file's content, as the reader of `tagkin.sources` does. Raises
            ValueError if they can't be changed without loss.
        carries: Whether a tag can be written at all.
        render: Returns the new content, given the old one or None, the tags to add, and those to
            take out. Raises ValueError as ``read`` does.
    """

    extension: str
    full: bool
    read: Callable[[bytes], Sequence[str]]
    carries: Callable[[str], bool]
    render: Callable[[bytes | None, Sequence[str], Collection[str]], bytes]


@dataclass(frozen=True)
class _Folder:
    names: frozenset[str]
    beside: Beside
    shared: frozenset[str]  # names, but for the extension, that would be those of several images


class SidecarWriter:
    """Adds tags to the files beside images.

    What is in such a file stays: tags are added, and only those go that are not wanted.

    Args:
        form: The format.
        fold: How spellings of one tag are recognised.
        names: How a new file is called; ``short`` fails where several images would share it.
        update: Whether a file that exists may be changed.
        dry_run: Whether to change nothing at all.
    """

    def __init__(
        self,
        form: SidecarFormat,
        fold: Fold,
        *,
        names: Names = "auto",
        update: bool = False,
        dry_run: bool = False,
    ) -> None:
        self._form = form
        self._fold = fold
        self._names = names
        self._update = update
        self._dry_run = dry_run
        self._look = lru_cache(_FOLDERS)(_look)

    def __enter__(self) -> Self:
        """Begins."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Does nothing: each file is finished."""

    def finish(self) -> None:
        """Does nothing: there is no table."""

    def write(self, image: TaggedImage) -> Change:
        """Adds the tags of an image to its file, which is made if there are any to write."""
        path = image.path
        try:
            path = self._place(image.path)
            return self._write(image, path)
        except OSError as error:
            return Change(image.path, path, "failed", problem=error.strerror or str(error))
        except ValueError as error:
            return Change(image.path, path, "failed", problem=str(error))

    def _write(self, image: TaggedImage, path: Path) -> Change:
        form = self._form
        old = read_sidecar(path) if path.exists() else None
        have = () if old is None else form.read(old)
        missing, gone = compare(have, image, self._fold)
        added = tuple(tag for tag in missing if form.carries(tag))
        left_out = tuple(tag for tag in missing if not form.carries(tag))
        if not added and not gone:
            return Change(image.path, path, "same", left_out=left_out)
        if old is not None and not self._update:
            return Change(image.path, path, "kept", added, gone, left_out)
        new = form.render(old, added, gone)
        if set(form.read(new)) != (set(have) - set(gone)) | set(added):
            raise ValueError("its tags would not be read as they were written; nothing was changed")
        if not self._dry_run:
            with atomic_file(path) as temporary:
                temporary.write_bytes(new)
        return Change(image.path, path, "made" if old is None else "changed", added, gone, left_out)

    def _place(self, image: Path) -> Path:
        if isinstance(image, RemotePath):
            raise ValueError(ELSEWHERE)
        if archives.is_in_archive(image):
            raise ValueError("the image is inside an archive: nothing can lie beside it")
        folder = self._look(image.parent)
        if image.name not in folder.names:
            raise ValueError("the image is no longer there")
        extension = self._form.extension
        there = {
            path.name[: -len(extension)]: path.name
            for path in folder.beside.find(image.name, extension)
        }
        chosen = self._choose(image.name, there, folder.shared)
        path = image.parent / there.get(chosen, chosen + extension)
        if path.is_symlink():
            path = Path(os.path.realpath(path))
            if not path.exists():
                raise ValueError("it is a link that leads nowhere")
        return path

    def _choose(self, image: str, there: Collection[str], shared: Collection[str]) -> str:
        """Returns the name of an image's file but for the extension."""
        full, short = image, _stem(image)
        if self._names == "auto":
            usual = (full, short) if self._form.full else (short, full)
            wanted = [*(name for name in (full, short) if name in there), *usual]
        else:
            wanted = [full if self._names == "full" else short]
        for name in wanted:
            if name not in shared:
                return name
        other = {"short": "; use --names full", "full": "; use --names short"}.get(self._names, "")
        raise ValueError(
            f"{wanted[0] + self._form.extension!r} would hold the tags of other images too{other}"
        )


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]  # noqa: PTH122 - as the readers take it


def _look(folder: Path) -> _Folder:
    names = os.listdir(folder)  # noqa: PTH208, for names that are not UTF-8 too
    owners = Counter(one for name in names if is_image(name) for one in (name, _stem(name)))
    shared = frozenset(name for name, count in owners.items() if count > 1)
    return _Folder(frozenset(names), Beside(folder, names), shared)
