"""A tagger: backbone, head, vocabulary and thresholds, joined in one place.

On disk it is a folder that needs nothing beside itself and holds no pickle::

    efficientnet-lite0-001/
      tagger.json     format version, backbone, tags, scores
      report.html     what training measured, for people; report.json for programs
      head.npz        kernel, bias, thresholds
      neighbours.npz  training images that count beside the head, if that is better
      backbone.xml    the exported backbone, from uint8 pixels to vectors
      backbone.bin
"""

import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin import images
from tagkin.backbones import BackboneConfig, Runtime
from tagkin.embeddings import decode_views
from tagkin.errors import BackboneError, ImageError, TaggerError
from tagkin.files import checksum, working_folder
from tagkin.head import Head, margins, sigmoid
from tagkin.neighbours import Neighbours
from tagkin.parallel import map_ahead
from tagkin.records import Problem
from tagkin.settings import Rank, Settings
from tagkin.storage_watch import StorageWatch
from tagkin.views import embed_views
from tagkin.vocabulary import TagRules

FORMAT_VERSION = 2
_READABLE = (1, 2)  # 1 had no neighbours
_BACKBONE_FILES = ("backbone.xml", "backbone.bin")
_NEIGHBOURS = "neighbours.npz"

# What reading a damaged file can raise.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, BackboneError)


@dataclass(frozen=True)
class PredictedTag:
    """A tag with its probability and the threshold that it is measured by."""

    tag: str
    score: float
    threshold: float


@dataclass(frozen=True)
class Prediction:
    """The tags of one image, or why there are none."""

    path: Path
    tags: tuple[PredictedTag, ...] = ()
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns ``{"path", "tags"}`` or ``{"path", "error"}``."""
        if self.error is not None:
            return {"path": str(self.path), "error": self.error}
        return {"path": str(self.path), "tags": [tag.__dict__ for tag in self.tags]}


@dataclass(frozen=True)
class Tagger:
    """See the description of the module.

    Attributes:
        config: The backbone.
        graph: Path of the backbone's exported graph.
        head: Kernel and bias.
        tags: Names of the head's outputs.
        thresholds: float32 of shape (tags,).
        scores: What training measured, by split.
        neighbours: Training images whose tags count beside the head; None if they don't.
        rules: What became of its tags since it was trained; None if nothing is known of that.
    """

    config: BackboneConfig
    graph: Path
    head: Head
    tags: tuple[str, ...]
    thresholds: NDArray[np.float32]
    scores: Mapping[str, Any] = field(default_factory=dict)
    neighbours: Neighbours | None = None
    rules: TagRules | None = None

    def seen_through(self, rules: TagRules) -> "Tagger":
        """Returns the same tagger whose tags are renamed, and imply others, by later decisions.

        Of tags that have become one, the first by rank counts.
        """
        return replace(self, rules=rules)

    def save_in(self, folder: Path) -> Path:
        """Saves under the next free name of the architecture and returns the new folder.

        Raises:
            TaggerError: The folder can't be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with working_folder(folder, ".saving-") as work:
                made = work / "tagger"
                made.mkdir()
                self._write(made)
                return self._move(made, folder)
        except OSError as error:
            raise TaggerError(
                f"can't save the tagger in {folder}: {error}. Free some space or check the "
                "permissions, then run 'tagkin train' again"
            ) from error

    def _write(self, folder: Path) -> None:
        for name in _BACKBONE_FILES:
            shutil.copyfile(self.graph.with_suffix(Path(name).suffix), folder / name)
        np.savez(
            folder / "head.npz",
            kernel=_half_if_lossless(self.head.kernel),
            bias=self.head.bias,
            thresholds=self.thresholds,
        )
        summed = list(_BACKBONE_FILES)
        if self.neighbours is not None:
            arrays: dict[str, Any] = self.neighbours.to_arrays()
            np.savez(folder / _NEIGHBOURS, **arrays)
            summed.append(_NEIGHBOURS)
        content = {
            "format_version": FORMAT_VERSION,
            "checksums": {name: checksum(folder / name) for name in summed},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "backbone": self.config.to_dict(),
            "tags": list(self.tags),
            "scores": dict(self.scores),
        }
        text = json.dumps(content, ensure_ascii=False, indent=1)
        (folder / "tagger.json").write_text(text, "utf-8")
        for file in folder.iterdir():  # on disk before the folder gets its final name
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())

    def _move(self, made: Path, folder: Path) -> Path:
        number = 1 + max((_number(name) for name in tagger_names(folder)), default=0)
        while True:
            target = folder / f"{self.config.architecture}-{number:03d}"
            try:
                os.rename(made, target)  # noqa: PTH104 - fails if another process took the name
            except OSError:
                if not target.exists():
                    raise
                number += 1
            else:
                return target

    @classmethod
    def load(cls, folder: Path) -> "Tagger":
        """Loads a saved tagger.

        Raises:
            TaggerError: There is none, it is damaged, or a newer Tagkin made it.
        """
        try:
            content = json.loads((folder / "tagger.json").read_text("utf-8"))
            if content["format_version"] not in _READABLE:
                raise TaggerError(
                    f"the tagger {folder} has format {content['format_version']}, and this Tagkin "
                    f"reads formats up to {FORMAT_VERSION}: install a newer Tagkin or train again"
                )
            for name, sum_then in content["checksums"].items():
                if checksum(folder / name) != sum_then:
                    raise ValueError(f"{name} is not as it was saved")
            with np.load(folder / "head.npz", allow_pickle=False) as arrays:
                kernel = arrays["kernel"].astype(np.float32)
                head = Head(kernel, arrays["bias"].astype(np.float32))
                thresholds = arrays["thresholds"].astype(np.float32)
            tagger = cls(
                config=BackboneConfig.from_dict(content["backbone"]),
                graph=folder / "backbone.xml",
                head=head,
                tags=tuple(content["tags"]),
                thresholds=thresholds,
                scores=content["scores"],
                neighbours=_load_neighbours(folder)
                if _NEIGHBOURS in content["checksums"]
                else None,
            )
        except FileNotFoundError as error:
            raise TaggerError(
                f"there is no complete tagger in {folder} ({Path(error.filename).name} is missing)"
                ": make one with 'tagkin train'"
            ) from error
        except _DAMAGE as error:
            raise TaggerError(
                f"the tagger in {folder} is damaged ({error}): make a new one with 'tagkin train'"
            ) from error
        tagger._check_shapes(folder)
        return tagger

    def _check_shapes(self, folder: Path) -> None:
        shape = (self.config.dimension, len(self.tags))
        vectors = {self.head.bias.shape, self.thresholds.shape}
        if self.head.kernel.shape != shape or vectors != {shape[1:]}:
            raise TaggerError(
                f"the tagger in {folder} is damaged (its head has shape {self.head.kernel.shape}, "
                f"its vocabulary needs {shape}): make a new one with 'tagkin train'"
            )

    def on_cores(self, cores: int) -> "Tagger":
        """Returns the same tagger with its backbone loaded, where others have their share of cores.

        Raises:
            TaggerError: The exported graph is damaged.
        """
        loaded = replace(self)
        loaded.__dict__["backbone"] = self._load_backbone(cores)
        return loaded

    @cached_property
    def backbone(self) -> Runtime:
        """The loaded backbone.

        Raises:
            TaggerError: The exported graph is damaged.
        """
        return self._load_backbone()

    def _load_backbone(self, threads: int | None = None) -> Runtime:
        try:
            return Runtime(self.graph, self.config.precision, threads=threads)
        except BackboneError as error:
            raise TaggerError(
                f"the tagger in {self.graph.parent} is damaged ({error}): make a new one with "
                "'tagkin train'"
            ) from error

    def predict(
        self, paths: Iterable[Path], settings: Settings, *, top: int | None = None
    ) -> Iterator[Prediction]:
        """Yields the tags of each image, in order; a bad file yields its error instead.

        Args:
            paths: Image files.
            settings: Limits of images, number of threads, and by what tags are ranked.
            top: Exactly that many tags for each image, the first by rank; if None, those at or
                above their own threshold.

        Raises:
            LibraryError: Many files in a row were on a store that doesn't answer.
        """
        limits = images.ImageLimits.from_settings(settings)
        watch = StorageWatch()

        def read(path: Path) -> "NDArray[np.uint8] | Problem":
            try:
                return decode_views(images.read_bytes(path, limits), self.config, limits)
            except ImageError as error:
                return Problem.of(path, error)

        # Bad files don't go through the backbone; they wait here for their place in the order.
        waiting: dict[int, Prediction] = {}
        names: dict[int, Path] = {}

        def good_images() -> Iterator[tuple[int, NDArray[np.uint8]]]:
            remaining = iter(paths)
            first = list(islice(remaining, 1))
            threads = images.reading_threads(first, settings)
            outcomes = map_ahead(read, chain(first, remaining), threads)
            for number, (path, image) in enumerate(outcomes):
                if isinstance(image, Problem):
                    watch.saw(image)
                    waiting[number] = Prediction(path, error=image.reason)
                else:
                    watch.saw(None)
                    names[number] = path
                    yield number, image

        following = 0
        for number, vector in embed_views(self.backbone, good_images()):
            while following < number:
                yield waiting.pop(following)
                following += 1
            yield Prediction(names.pop(number), self.tags_for(vector, top=top, rank=settings.rank))
            following = number + 1
        yield from (waiting[number] for number in sorted(waiting))

    def tags_for(
        self,
        vector: NDArray[np.float32],
        *,
        top: int | None = None,
        rank: Rank = "margin",
        without_itself: bool = False,
    ) -> tuple[PredictedTag, ...]:
        """Returns the tags of one vector, the first by rank first.

        Args:
            vector: float32 of shape (dimension,).
            top: As for ``predict``.
            rank: ``margin``, how far the probability is above the tag's own threshold (see
                `tagkin.head.margins`), or ``probability``.
            without_itself: Whether an image with this vector, if it is remembered, doesn't count:
                its own tags would speak for themselves.
        """
        logits = self.head.logits(vector[None])
        if self.neighbours is not None:
            logits += self.neighbours.logits(vector[None], without_itself=without_itself)
        scores = sigmoid(logits)[0]
        keys = scores if rank == "probability" else margins(scores, self.thresholds)
        order = np.argsort(-keys, kind="stable")
        if top is None:
            order = order[scores[order] >= self.thresholds[order]]
        found: dict[str, PredictedTag] = {}
        for i in order.tolist():
            if top is not None and len(found) >= top:
                break
            for tag in self._names[i]:
                found.setdefault(
                    tag, PredictedTag(tag, float(scores[i]), float(self.thresholds[i]))
                )
        return tuple(found.values())[:top]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What the tags of the outputs are called now; several may have become one."""
        rules = self.rules
        return self.tags if rules is None else tuple(rules.resolve(tag) for tag in self.tags)

    @cached_property
    def _names(self) -> list[tuple[str, ...]]:
        """For each output its tag as the rules see it, and the tags that this implies."""
        rules = self.rules
        return [(tag,) if rules is None else rules.resolve_all([tag]) for tag in self.tags]


def _load_neighbours(folder: Path) -> Neighbours:
    with np.load(folder / _NEIGHBOURS, allow_pickle=False) as arrays:
        return Neighbours.from_arrays(arrays)


def tagger_names(folder: Path) -> list[str]:
    """Returns the names of the saved taggers in a folder, the oldest first."""
    if not folder.is_dir():
        return []
    names = [path.name for path in folder.iterdir() if (path / "tagger.json").is_file()]
    visible = [name for name in names if not name.startswith(".")]
    return sorted(visible, key=lambda name: (_number(name), name))


def find_tagger(folder: Path, name: str | None, architecture: str | None) -> Path:
    """Returns the folder of a tagger.

    Args:
        folder: Of the saved taggers.
        name: The tagger's; the newest if None.
        architecture: If no name is given, only taggers of this backbone count; any if None.

    Raises:
        TaggerError: There is none; the message lists those there are.
    """
    names = tagger_names(folder)
    wanted = [
        n
        for n in names
        if (n == name if name else architecture is None or n.rpartition("-")[0] == architecture)
    ]
    if wanted:
        return folder / wanted[-1]
    what = f"no tagger {name!r}" if name else f"no tagger of {architecture or 'any backbone'}"
    have = f"there are: {', '.join(names)}" if names else "make one with 'tagkin train'"
    raise TaggerError(f"the library has {what}; {have}")


def _number(name: str) -> int:
    digits = name.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def _half_if_lossless(kernel: NDArray[np.float32]) -> NDArray[Any]:
    """Returns the kernel in float16 if no weight moves by more than rounding of that kind does."""
    half = kernel.astype(np.float16)
    error = np.abs(half.astype(np.float32) - kernel).max(initial=0.0)
    return half if error <= np.abs(kernel).max(initial=0.0) * 2**-11 else kernel
