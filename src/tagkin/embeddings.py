"""One vector per image: read -> decode -> run -> write, resumable at any point."""

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tagkin import images
from tagkin.backbones import BackboneConfig, Embedder, open_backbone
from tagkin.errors import BackboneError, ImageError, LibraryError
from tagkin.files import atomic_file
from tagkin.hardware import has_bf16
from tagkin.library import Library
from tagkin.preparing import content_id
from tagkin.progress import Progress, silent
from tagkin.reading import read_rows
from tagkin.records import ID_TYPE, ImageRow, Problem
from tagkin.settings import Settings
from tagkin.views import embed_views, least_size, make_views

_STORE_AFTER_VECTORS = 1024
_STORE_AFTER_SECONDS = 10.0


@dataclass(frozen=True)
class EmbedReport:
    """What ``embed`` did.

    Attributes:
        fingerprint: Of the backbone.
        images: Images in the library that have a file.
        added: Vectors made by this run.
        already: Vectors that were there before.
        problems: Images that could not be read, by path.
        seconds: Time that this run took.
    """

    fingerprint: str
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


#: Ids and float32 vectors of shape (dimension,), in the order in which they are ready.
Vectors = Generator[tuple[str, NDArray[np.float32]], None, None]


class Engine(Protocol):
    """Makes the vectors of images somewhere else than in this process."""

    def __call__(
        self,
        rows: Iterable[ImageRow],
        count: int,
        config: BackboneConfig,
        settings: Settings,
        problems: list[Problem],
    ) -> Vectors:
        """Yields ids and vectors; what can't be read is appended to ``problems`` instead.

        Args:
            rows: The images.
            count: How many they are.
            config: The backbone.
            settings: Limits of images, number of threads, cache folder.
            problems: Of images that can't be read.
        """
        ...


def embed(
    library: Library,
    config: BackboneConfig,
    settings: Settings,
    *,
    backbone: Embedder | None = None,
    engine: Engine | None = None,
    activate: bool = True,
    progress: Progress = silent,
) -> EmbedReport:
    """Makes the vectors that the library lacks for a backbone, which becomes the active one.

    Vectors are stored every 1,024 images or 10 seconds; a killed run loses what came after.

    Args:
        library: Its images are embedded.
        config: The backbone; its fingerprint names the vectors.
        settings: Limits of images, number of threads, cache folder.
        backbone: The loaded backbone; loaded from the cache folder if None and needed.
        engine: Where the vectors are made; in this process if None.
        activate: Whether it becomes the active one.
        progress: Called after every image.

    Raises:
        LibraryError: The library holds no image or can't be written.
        BackboneError: The backbone gives values that are not finite.
    """
    started = time.monotonic()
    if settings.device == "gpu" and backbone is None and engine is None:
        from tagkin.backbones.gpu import find_gpu

        find_gpu()  # says so now if there is none, even if no vector is missing
    ids = library.image_ids()
    if not len(ids):
        raise LibraryError(
            f"the library {library.path} holds no image: run 'tagkin prepare SOURCE' first"
        )
    missing = library.without_vector(ids, config.fingerprint)
    problems: list[Problem] = []
    added = 0
    if len(missing):
        listed = _Listed(library.problems())
        rows = listed.noticed(library.iter_images(missing))
        if engine:
            vectors = engine(rows, len(missing), config, settings, problems)
        else:
            embedder = backbone or _open(config, settings, len(missing))
            vectors = extract(rows, config, settings, problems, embedder)
        with closing(vectors):  # an engine has something to clear up, however this ends
            for batch_ids, batch in _in_batches(vectors, len(missing), progress):
                library.add_vectors(config.fingerprint, batch_ids, batch)
                if activate:
                    library.update_state(active_backbone=config.to_dict())
                added += len(batch_ids)
                if solved := listed.among(batch_ids):
                    library.settle_problems(solved)
        if problems:
            library.add_problems(problems)
    if activate:
        library.update_state(active_backbone=config.to_dict())
    return EmbedReport(
        fingerprint=config.fingerprint,
        images=len(ids),
        added=added,
        already=len(ids) - len(missing),
        problems=tuple(problems),
        seconds=time.monotonic() - started,
    )


class _Listed:
    """Images that the library lists as problems, and that may be none any more."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self._paths = {problem.path for problem in problems}
        self._images: dict[str, Path] = {}

    def noticed(self, rows: Iterable[ImageRow]) -> Iterator[ImageRow]:
        for row in rows:
            # Of several files it wouldn't be known which one was read.
            if len(row.paths) == 1 and row.paths[0] in self._paths:
                self._images[row.id] = row.paths[0]
            yield row

    def among(self, ids: Iterable[str]) -> list[Path]:
        return [self._images.pop(image) for image in ids if image in self._images]


def extract(
    rows: Iterable[ImageRow],
    config: BackboneConfig,
    settings: Settings,
    problems: list[Problem],
    embedder: Embedder,
) -> Vectors:
    """Yields the ids and vectors of images: read -> decode -> run.

    Args:
        rows: The images.
        config: Size and views.
        settings: See `read_images`.
        problems: Images that can't be read are appended here instead of being yielded.
        embedder: The loaded backbone.

    Raises:
        LibraryError: Many files in a row took too long.
    """
    yield from embed_views(embedder, read_images(rows, config, settings, problems))


def _open(config: BackboneConfig, settings: Settings, images: int) -> Embedder:
    check_precision(config, settings)
    return open_backbone(
        config, settings.cache_dir, device=settings.device, images=images * len(config.views)
    )


def check_precision(config: BackboneConfig, settings: Settings) -> None:
    """Refuses to add vectors to a set that was made with other arithmetic.

    A single query or a tagger may run in f32 instead: that is near enough.

    Raises:
        BackboneError: This machine can't compute in the precision of the vectors.
    """
    if settings.device == "cpu" and (
        (config.precision == "bf16" and not has_bf16()) or config.precision == "f16"
    ):
        where = "a processor with bf16" if config.precision == "bf16" else "a GPU (--device gpu)"
        raise BackboneError(
            f"these vectors are in {config.precision}, which needs {where}: go on where they were "
            "begun, or make all of them again with --precision f32"
        )


def read_images(
    rows: Iterable[ImageRow],
    config: BackboneConfig,
    settings: Settings,
    problems: list[Problem],
    *,
    decode: Callable[[str, bytes], NDArray[np.uint8]] | None = None,
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yields ids and views, decoded by several threads a bounded number ahead.

    Args:
        rows: The images to read.
        config: Size and views.
        settings: Limits of images, number of threads, and the time that a file may take.
        problems: Images that can't be read are appended here instead of being yielded.
        decode: Makes the views from an id and the content of a file, if others than those of the
            config are wanted.

    Raises:
        LibraryError: Many files in a row took too long, as on a drive that has gone.

    Yields:
        Ids and uint8 RGB arrays of shape (views, size, size, 3), in the order in which they are
        ready: one slow file holds up no other.
    """
    limits = images.ImageLimits.from_settings(settings)

    def decode_all(image: str, data: bytes) -> NDArray[np.uint8]:
        return decode(image, data) if decode else decode_views(data, config, limits)

    yield from read_rows(rows, decode_all, settings, problems)


def decode_views(
    data: bytes, config: BackboneConfig, limits: images.ImageLimits
) -> NDArray[np.uint8]:
    """Decodes an image to what a backbone takes: uint8 RGB of shape (views, size, size, 3).

    Raises:
        ImageError: The image can't be decoded or is beyond the limits.
    """
    size, views = config.image_size, config.views
    decoded = images.decode(
        data, limits, least_size=lambda width, height: least_size(width, height, size, views)
    )
    return make_views(decoded.image, size, views, decoded.box)


class LibrarySample:
    """Some images of a library, by which a precision is judged; see `resolve_backbone`."""

    def __init__(self, library: Library, settings: Settings) -> None:
        self._library = library
        self._settings = settings

    def ids(self, count: int) -> list[str]:
        """Returns the ids of up to so many images, the same ones each time."""
        return self._library.sample_ids()[:count]

    def pixels(self, ids: Sequence[str], config: BackboneConfig) -> NDArray[np.uint8]:
        """Returns images as the backbone sees them, those that can't be read left out.

        Returns:
            uint8 RGB of shape (images, size, size, 3), one of the views for each image in turn.
        """
        found = self._library.iter_images(np.array(sorted(ids), ID_TYPE))
        rows = (row for row in found if row.files)  # the last one may be gone since
        place = {image: number for number, image in enumerate(ids)}
        squares = {
            image: views[place[image] % len(views)]
            for image, views in read_images(rows, config, self._settings, [])
        }
        readable = [squares[image] for image in ids if image in squares]
        shape = (0, config.image_size, config.image_size, 3)
        return np.stack(readable) if readable else np.empty(shape, np.uint8)


def embed_file(
    path: Path, config: BackboneConfig, settings: Settings
) -> tuple[str, NDArray[np.float32]]:
    """Embeds one image file, without a library.

    Returns:
        The id of its content, and float32 of shape (dimension,).

    Raises:
        ImageError: The file can't be read as an image; the message names it.
        BackboneError: The backbone can't be loaded.
    """
    limits = images.ImageLimits.from_settings(settings)
    try:
        data = images.read_bytes(path, limits)
        views = decode_views(data, config, limits)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    backbone = open_backbone(config, settings.cache_dir)
    return next(embed_views(backbone, [(content_id(data), views)]))


def export_vectors(library: Library, config: BackboneConfig, folder: Path) -> tuple[Path, Path]:
    """Writes a backbone's vectors as NumPy files.

    Args:
        library: Where the vectors are.
        config: Whose vectors.
        folder: Made if missing. ``embeddings.npy`` gets float32 of shape (images, dimension),
            ``image_ids.npy`` the ids of its rows, 32 characters each, in ascending order.

    Returns:
        The paths of the two files.

    Raises:
        LibraryError: There are no vectors, or the files can't be written.
    """
    ids, vectors = library.vectors(config.fingerprint)
    if not ids:
        raise LibraryError("there are no vectors to export: run 'tagkin embed' first")
    paths = folder / "embeddings.npy", folder / "image_ids.npy"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        contents = vectors.astype(np.float32), np.array(ids)
        for path, content in zip(paths, contents, strict=True):
            with atomic_file(path) as temporary, temporary.open("wb") as file:
                np.save(file, content, allow_pickle=False)
    except OSError as error:
        raise LibraryError(f"can't write to {os.fspath(folder)}: {error}") from error
    return paths


def _in_batches(
    vectors: Iterable[tuple[str, NDArray[np.float32]]], total: int, progress: Progress
) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    ids: list[str] = []
    batch: list[NDArray[np.float32]] = []
    last = time.monotonic()
    for done, (image, vector) in enumerate(vectors, 1):
        if not np.isfinite(vector).all() or np.abs(vector).max() > np.finfo(np.float16).max:
            raise BackboneError(
                f"the backbone gave a vector that is not finite for image {image}: its weights "
                "are damaged, or the precision is too low for them; try --precision f32"
            )
        ids.append(image)
        batch.append(vector)
        progress("embedding images", done, total)
        if len(ids) >= _STORE_AFTER_VECTORS or time.monotonic() - last > _STORE_AFTER_SECONDS:
            yield ids, np.stack(batch)
            ids, batch, last = [], [], time.monotonic()
    if ids:
        yield ids, np.stack(batch)
