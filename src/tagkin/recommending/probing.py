"""What each backbone is worth on the owner's own images: a sample, a linear head, neighbours.

Published accuracy is about ImageNet. On drawings or memes the order may be another one, so each
backbone whose weights are at hand embeds the same sample, and two things are measured: the mean
average precision of a linear head on the images that it didn't learn from, and how many of the
tags of an image's nearest neighbours the image carries itself.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from heapq import nsmallest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagkin.backbones import BACKBONES, BackboneConfig, resolve_backbone
from tagkin.backbones.sample import Note, silent
from tagkin.embeddings import embed
from tagkin.errors import BackboneError, LibraryError, TagkinError
from tagkin.library import Library
from tagkin.progress import Progress
from tagkin.progress import silent as no_progress
from tagkin.recommending.advice import Probed
from tagkin.records import ImageRow
from tagkin.settings import Settings
from tagkin.tagged_images import TaggedImages
from tagkin.training.fit import fit_on
from tagkin.training.learning_set import LearningSet
from tagkin.training.metrics import mean_average_precision
from tagkin.training.score_blocks import ScoreBlocks
from tagkin.unit_vectors import unit
from tagkin.vocabulary import TagRules

_NEAREST = 10
_LEAST_TAG_IMAGES = 3  # of a sample; a collection's own least number would leave few tags
_LEAST_IMAGES = 60


def probe(
    library: Library,
    settings: Settings,
    most: int,
    *,
    architectures: Sequence[str] = tuple(BACKBONES),
    progress: Progress = no_progress,
    note: Note = silent,
) -> dict[tuple[str, int], Probed]:
    """Measures the backbones whose weights are at hand on a sample of the library.

    Nothing is written to the library, and nothing is downloaded.

    Args:
        library: A prepared library.
        settings: Limits of images, cache folder, precision, seed.
        most: Images of the sample.
        architectures: Backbones to try.
        progress: Called after every image.
        note: Told which backbones are left out.

    Returns:
        By backbone and image size.

    Raises:
        LibraryError: The library has too few images with tags and splits.
    """
    rows = _sample(library, most)
    rules = TagRules.from_settings(settings, library.decisions())
    found = {}
    for name in architectures:
        weights = weights_at_hand(name, library)
        if weights is None:
            note(f"{name} is left out of the probe: its weights are not on this machine")
            continue
        try:
            wanted = settings.model_copy(
                update={"model_architecture": name, "weights": weights, "image_size": None}
            )
            config = resolve_backbone(wanted, None, note)
            found[name, config.image_size] = _probe(config, rows, rules, wanted, progress)
        except (BackboneError, LibraryError) as error:
            note(f"{name} is left out of the probe: {error}")
    return found


def weights_at_hand(architecture: str, library: Library) -> str | None:
    """Returns what ``--weights`` would name for weights that need no download; None if none.

    That are those in a package, those that Keras has downloaded, and those that the library was
    last embedded with.
    """
    spec = BACKBONES[architecture]
    if spec.kind == "package":
        return "imagenet"
    active: Mapping[str, object] = library.state.active_backbone or {}
    weights = str(active.get("weights", ""))
    if active.get("architecture") == architecture and Path(weights).exists():
        return weights
    keras = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"
    names = {
        "ResNet50": "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "EfficientNetV2S": "efficientnetv2-s_notop.h5",
        "EfficientNetV2L": "efficientnetv2-l_notop.h5",
        "ConvNeXtLarge": "convnext_large_notop.h5",
    }
    name = names.get(spec.builder)
    return "imagenet" if name and (keras / name).is_file() else None


def neighbour_precision(vectors: NDArray[np.floating], labels: NDArray[np.bool_]) -> float:
    """Returns the share of the nearest images' tags that an image carries as well.

    Args:
        vectors: Shape (images, dimension).
        labels: Shape (images, tags).

    Returns:
        The mean over the images that have a tag, of the ten nearest by cosine to each, the mean of
        all vectors taken off; NaN if there are none.
    """
    units = unit(vectors.astype(np.float32) - vectors.mean(axis=0, dtype=np.float32))
    cosines = units @ units.T
    np.fill_diagonal(cosines, -np.inf)
    count = min(_NEAREST, len(units) - 1)
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    precisions = []
    for image, places in enumerate(nearest):
        theirs = labels[places].sum(axis=0)
        if labels[image].any() and theirs.sum():
            precisions.append(theirs[labels[image]].sum() / theirs.sum())
    return float(np.mean(precisions)) if precisions else float("nan")


def _sample(library: Library, most: int) -> list[ImageRow]:
    """Returns tagged images with a split, the smallest ids first: these are hashes."""
    found = (row for row in library.iter_images(library.image_ids()) if row.tags and row.split)
    rows = nsmallest(max(most, _LEAST_IMAGES), found, key=lambda row: row.id)
    if len(rows) < _LEAST_IMAGES:
        raise LibraryError(
            f"the library has {len(rows)} images with tags, and --probe needs {_LEAST_IMAGES}: run "
            "'tagkin prepare SOURCE' on more of them, or leave --probe out"
        )
    return rows[:most]


def _probe(
    config: BackboneConfig,
    rows: Sequence[ImageRow],
    rules: TagRules,
    settings: Settings,
    progress: Progress,
) -> Probed:
    with tempfile.TemporaryDirectory(prefix="tagkin-probe-") as folder:
        sample = Library.create_or_open(Path(folder) / "library")
        sample.upsert_images(rows)
        embed(sample, config, settings, progress=progress)
        found, vectors = sample.embedded_images(config.fingerprint)
    few = settings.model_copy(update={"min_tag_occurrences": _LEAST_TAG_IMAGES})
    try:
        data = LearningSet.of(TaggedImages.of(found), vectors, rules, few)
    except TagkinError as error:
        raise LibraryError(f"the sample is too small: {error}") from error
    data = replace(data, parts={**data.parts, "validation": _held_out(data)})
    fit = fit_on(data, settings)
    scores = ScoreBlocks.of_logits(fit.head, data.vectors_of("validation"))
    value = mean_average_precision(data.labels_of("validation"), scores)
    labels = data.labels.toarray() > 0
    return Probed(value, neighbour_precision(vectors, labels), len(found))


def _held_out(data: LearningSet) -> NDArray[np.intp]:
    """Validation and test together: the probe chooses nothing but the epoch by them."""
    return np.sort(np.concatenate([data.parts["validation"], data.parts["test"]]))
