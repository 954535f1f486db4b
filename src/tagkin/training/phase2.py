"""Phase 2 on a library: the last layers of its backbone learn, from files to a new backbone."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.backbones import BackboneConfig
from tagkin.backbones.sample import Note
from tagkin.backbones.sample import silent as tell_nobody
from tagkin.embeddings import read_images
from tagkin.errors import TaggerError
from tagkin.head import Head
from tagkin.images import ImageLimits
from tagkin.library import Library
from tagkin.progress import Progress, silent
from tagkin.records import ID_TYPE, Problem, places_in
from tagkin.settings import Settings
from tagkin.splits import Split
from tagkin.training.activations import Activations, activation_bytes, cache_activations
from tagkin.training.augment import TrainingViews
from tagkin.training.checkpoint import EpochMetrics
from tagkin.training.cut import Cut, cut_backbone, save_weights, tuned_config
from tagkin.training.fine_tune import FineTuned, fine_tune
from tagkin.training.learning_set import LearningSet
from tagkin.training.recipe import Recipe
from tagkin.training.trunk import Trunk, open_trunk


@dataclass(frozen=True)
class Phase2:
    """A tuned backbone and the head that was trained with it.

    Attributes:
        config: The backbone; the one that was started from if no epoch was better.
        result: Head, best epoch and history.
    """

    config: BackboneConfig
    result: FineTuned


def run_phase2(
    library: Library,
    config: BackboneConfig,
    data: LearningSet,
    head: Head,
    settings: Settings,
    *,
    progress: Progress = silent,
    note: Note = tell_nobody,
    epoch_done: Callable[[EpochMetrics], None] | None = None,
) -> Phase2:
    """Fine-tunes the backbone of a library on its images.

    The frozen layers run once over the training and validation images, and what they give is kept
    in the library's folder ``fine-tuning`` until phase 2 is done. A killed run goes on from there.

    Args:
        library: Where the images are; its folder ``backbones`` gets the weights, if they are better
            than those that were started from.
        config: The backbone as it is.
        data: Images, labels and splits.
        head: Of phase 1, to start from.
        settings: Those of fine-tuning, limits of images, number of threads, seed, cache folder.
        progress: Called after every image and step.
        note: Told how much room is needed.
        epoch_done: Called after every epoch.

    Raises:
        BackboneError: The backbone can't be fine-tuned.
        TaggerError: The disk has too little room, or training diverged.
    """
    recipe = Recipe.from_settings(settings)
    cut = cut_backbone(config, settings.trainable_layers)
    wanted: dict[Split, int] = {"train": recipe.views, "validation": 1}
    images = sum(len(data.parts[split]) * views for split, views in wanted.items())
    trunk = open_trunk(
        cut,
        config,
        settings.cache_dir,
        precision=config.precision,
        images=images,
        note=note,
    )
    size = sum(
        activation_bytes(cut.boundary_shape, len(data.parts[split]), views)
        for split, views in wanted.items()
    )
    note(
        f"fine-tuning {config.architecture} from its layer {cut.trainable_layers[0]} on: those "
        f"before run once over {images} views, which takes {size / 1e9:.2f} GB in "
        f"{library.fine_tuning_path} until phase 2 is done"
    )
    stored = {
        split: _activations(library, config, data, settings, trunk, split, views, progress, note)
        for split, views in wanted.items()
    }
    tuned = fine_tune(
        cut,
        head,
        stored["train"],
        _labels(data, stored["train"]),
        stored["validation"],
        _labels(data, stored["validation"]),
        settings,
        recipe=recipe,
        folder=library.fine_tuning_path / "checkpoints",
        progress=progress,
        epoch_done=epoch_done,
    )
    if not tuned.best_epoch:
        return Phase2(config, tuned)
    return Phase2(tuned_config(config, _save(library, config, cut)), tuned)


def clear_phase2(library: Library) -> None:
    """Deletes what a finished fine-tuning has left in the library's folder."""
    shutil.rmtree(library.fine_tuning_path, ignore_errors=True)


def _activations(
    library: Library,
    config: BackboneConfig,
    data: LearningSet,
    settings: Settings,
    trunk: Trunk,
    split: Split,
    views: int,
    progress: Progress,
    note: Note,
) -> Activations:
    plain = replace(config, views=config.views[:1])
    limits = ImageLimits.from_settings(settings)
    make = TrainingViews(plain, limits, views, settings.seed)
    problems: list[Problem] = []

    def read(ids: Iterable[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        wanted = np.array(sorted(ids), ID_TYPE)
        rows = library.iter_images(wanted)
        # With one view the pixels are those that the vectors were made of.
        decode = make if views > 1 else None
        return read_images(rows, plain, settings, problems, decode=decode)

    found = cache_activations(
        trunk,
        [image.decode("ascii") for image in data.images.ids[data.parts[split]].tolist()],
        read,
        library.fine_tuning_path,
        views=views,
        pixels=make.key,
        stage=f"running the frozen layers ({split})",
        progress=progress,
        note=note,
    )
    if problems:
        library.add_problems(problems)
        note(f"{len(problems)} images could not be read and were left out of phase 2")
    if not len(found):
        raise TaggerError(
            f"none of the {split} images could be read: are they still where 'tagkin prepare' "
            "found them?"
        )
    return found


def _labels(data: LearningSet, stored: Activations) -> Any:
    return data.labels[places_in(np.array(stored.ids, ID_TYPE), data.images.ids)]


def _save(library: Library, config: BackboneConfig, cut: Cut) -> Path:
    """Writes the weights under a name of their own content, whole or not at all."""
    folder = library.backbones_path
    digest = hashlib.blake2b(digest_size=6)
    for weight in cut.full.weights:
        digest.update(np.ascontiguousarray(weight.numpy()).tobytes())
    target = folder / f"{config.architecture}-tuned-{digest.hexdigest()}.weights.h5"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not target.is_file():  # the same weights keep their first file, whose digest counts
            save_weights(cut, target)
        return target
    except OSError as error:
        raise TaggerError(
            f"can't store the fine-tuned weights in {folder}: {error}. Free some space and run "
            "'tagkin train --fine-tune' again: it goes on from the last epoch"
        ) from error
