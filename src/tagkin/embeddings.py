"""One vector per image: read -> decode -> run -> write, resumable at any point."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin import fitting, images
from tagkin.backbones import BackboneConfig, Embedder, open_backbone
from tagkin.errors import BackboneError, ImageError, LibraryError
from tagkin.files import atomic_file
from tagkin.library import Library
from tagkin.parallel import map_ahead
from tagkin.preparing import content_id
from tagkin.progress import Progress, silent
from tagkin.records import ImageRow, Problem
from tagkin.settings import Settings

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


def embed(
    library: Library,
    config: BackboneConfig,
    settings: Settings,
    *,
    backbone: Embedder | None = None,
    progress: Progress = silent,
) -> EmbedReport:
    """Makes the vectors that the library lacks for a backbone, which becomes the active one.

    Vectors are stored every 1,024 images or 10 seconds; a killed run loses what came after.

    Args:
        library: Its images are embedded.
        config: The backbone; its fingerprint names the vectors.
        settings: Limits of images, number of threads, cache folder.
        backbone: The loaded backbone; loaded from the cache folder if None and needed.
        progress: Called after every image.

    Raises:
        LibraryError: The library holds no image or can't be written.
        BackboneError: The backbone gives values that are not finite.
    """
    started = time.monotonic()
    rows = [row for row in library.images() if row.files]
    if not rows:
        raise LibraryError(
            f"the library {library.path} holds no image: run 'tagkin prepare SOURCE' first"
        )
    present = library.vector_ids(config.fingerprint)
    missing = [row for row in rows if row.id not in present]
    problems: list[Problem] = []
    added = 0
    if missing:
        embedder = backbone or open_backbone(config, settings.cache_dir)
        vectors = embedder.embed_stream(read_images(missing, config, settings, problems))
        for batch_ids, batch in _in_batches(vectors, len(missing), progress):
            library.add_vectors(config.fingerprint, batch_ids, batch)
            library.update_state(active_backbone=config.to_dict())
            added += len(batch_ids)
        if problems:
            library.add_problems(problems)
    library.update_state(active_backbone=config.to_dict())
    return EmbedReport(
        fingerprint=config.fingerprint,
        images=len(rows),
        added=added,
        already=len(rows) - len(missing),
        problems=tuple(problems),
        seconds=time.monotonic() - started,
    )


def read_images(
    rows: Sequence[ImageRow],
    config: BackboneConfig,
    settings: Settings,
    problems: list[Problem],
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yields ids and square images, decoded by several threads a bounded number ahead.

    Args:
        rows: The images to read.
        config: Size and fit.
        settings: Limits of images and number of threads.
        problems: Images that can't be read are appended here instead of being yielded.

    Yields:
        Ids and uint8 RGB arrays of shape (size, size, 3), in the order of ``rows``.
    """
    limits = images.ImageLimits.from_settings(settings)

    def read(row: ImageRow) -> "NDArray[np.uint8] | Problem":
        problem = Problem(row.paths[0], "no file")
        for path in row.paths:  # copies of one image: any that is still whole will do
            try:
                data = images.read_bytes(path, limits)
                if content_id(data) != row.id:
                    raise ImageError("changed since it was prepared: run 'tagkin prepare' again")
                return square(data, config, limits)
            except ImageError as error:
                problem = Problem(path, str(error))
        return problem

    for row, outcome in map_ahead(read, rows, settings.decode_threads):
        if isinstance(outcome, Problem):
            problems.append(outcome)
        else:
            yield row.id, outcome


def square(data: bytes, config: BackboneConfig, limits: images.ImageLimits) -> NDArray[np.uint8]:
    """Decodes an image to what a backbone takes: uint8 RGB of shape (size, size, 3).

    Raises:
        ImageError: The image can't be decoded or is beyond the limits.
    """
    decoded = images.decode(
        data, limits, min_side=fitting.min_side_for(config.image_size, config.fit)
    )
    return fitting.fit_square(decoded.image, config.image_size, config.fit)


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
        image = square(data, config, limits)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    backbone = open_backbone(config, settings.cache_dir)
    return content_id(data), backbone.embed(image[None])[0]


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
