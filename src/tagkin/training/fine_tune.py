"""Phase 2: the last layers of a backbone learn, with the head, from cached activations."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.errors import TaggerError
from tagkin.head import Head
from tagkin.parallel import map_ahead
from tagkin.progress import Progress, silent
from tagkin.settings import Settings
from tagkin.training.activations import Activations
from tagkin.training.checkpoint import Checkpoints, EpochMetrics, State
from tagkin.training.cut import Cut
from tagkin.training.fit import prior_log_odds
from tagkin.training.learner import Learner, Vectors, moments_of
from tagkin.training.metrics import mean_average_precision
from tagkin.training.recipe import Recipe
from tagkin.training.score_blocks import ScoreBlocks

_STAGE = "fine-tuning"
_MOMENTS_OF = 256  # training images

# Raised when a change makes older checkpoints unfit.
_RECIPE = 2

EpochDone = Callable[[EpochMetrics], None]


@dataclass(frozen=True)
class FineTuned:
    """What phase 2 came to. The weights of the best epoch are in the backbone that was cut.

    Attributes:
        head: Of the best epoch.
        best_epoch: 0 if no epoch was better than the start. A new head is not compared with it.
        history: One entry for each epoch, from epoch 0, the start, on.
    """

    head: Head
    best_epoch: int
    history: tuple[EpochMetrics, ...]


def fine_tune(
    cut: Cut,
    head: Head,
    train: Activations,
    train_labels: Any,
    validation: Activations,
    validation_labels: Any,
    settings: Settings,
    *,
    folder: Path,
    recipe: Recipe | None = None,
    progress: Progress = silent,
    epoch_done: EpochDone | None = None,
) -> FineTuned:
    """Trains the tail of a backbone and its head; keeps the best epoch by validation mAP.

    Each epoch sees one view of each image, drawn at random. A checkpoint is written after each
    epoch: a killed run, called again with the same arguments, goes on from it and comes to the
    same result, but for rounding. The order of the images, their views and dropout depend on the
    seed and the epoch only.

    Args:
        cut: The backbone with its original weights. Afterwards, its trained layers and its full
            model have those of the best epoch; see `save_weights`.
        head: Of phase 1 for the backbone's vectors: what epoch 0 is judged by, and what training
            starts from unless the recipe has a new head.
        train: Activations of the training images.
        train_labels: Sparse of shape (images, tags), a row for each of ``train.ids``; 0 where a tag
            is absent, else the weight of that pair in the loss.
        validation: Activations of the images that choose the epoch; their first view counts.
        validation_labels: Sparse 0/1, as ``train_labels``.
        settings: Batch size of phase 2; dropout, loss, seed.
        folder: Where checkpoints are kept; `remove_checkpoints` deletes them.
        recipe: Epochs, rates and start; those of the settings if None.
        progress: Called after every step.
        epoch_done: Called after every epoch of this run, epoch 0 included.

    Raises:
        TaggerError: There are no images to train on or to validate with, the training diverged, or
            the checkpoint can't be written.
        ValueError: There are not as many labels as images.
    """
    for name, images, labels in (
        ("training", train, train_labels),
        ("validation", validation, validation_labels),
    ):
        if not len(images):
            raise TaggerError(f"there are no {name} images to fine-tune with")
        if len(images) != labels.shape[0]:
            raise ValueError(f"{labels.shape[0]} rows of labels for {len(images)} {name} images")
    how = recipe or Recipe.from_settings(settings)
    run = _Run(cut, head, train, train_labels.tocsr(), validation, validation_labels, settings, how)
    # The key is taken before anything is trained: it has the weights that are started from.
    checkpoints = Checkpoints(folder, run.key())
    state = run.start(checkpoints.load())
    if not state.history:
        run.validate(state, head, time.monotonic(), (float("nan"), float("nan")))
        checkpoints.save(state)
        if epoch_done:
            epoch_done(state.history[-1])
    while state.epoch < how.epochs:
        started = time.monotonic()
        means = run.train_epoch(state.epoch + 1, progress)
        run.validate(state, run.learner.head(), started, means)
        checkpoints.save(state)
        if epoch_done:
            epoch_done(state.history[-1])
    best = checkpoints.best_weights(state.best_epoch)
    if best is None:
        raise TaggerError(f"the weights of the best epoch are gone from {folder}: run it again")
    run.learner.restore(best)
    cut.store()
    best_head = run.learner.head() if state.best_epoch else head
    return FineTuned(best_head, state.best_epoch, tuple(state.history))


def remove_checkpoints(folder: Path) -> None:
    """Deletes what a run of `fine_tune` has left in a folder, once it isn't needed any more."""
    Checkpoints(folder, "").delete()


class _Run:
    """One call of `fine_tune`: its data, and the models on them."""

    learner: Learner

    def __init__(
        self,
        cut: Cut,
        head: Head,
        train: Activations,
        labels: Any,
        validation: Activations,
        validation_labels: Any,
        settings: Settings,
        recipe: Recipe,
    ) -> None:
        self._cut, self._settings, self._recipe = cut, settings, recipe
        self._head = _new_head(head, labels) if recipe.new_head else head
        self._train, self._labels = train, labels
        self._validation, self._validation_labels = validation, validation_labels
        self._batch = min(settings.fine_tune_batch_size, len(train))
        self._tail = Vectors(cut, self._batch)

    def key(self) -> str:
        """Names all that the result depends on, but for the number of epochs where it can grow."""
        settings, recipe = self._settings, self._recipe
        epochs = recipe.epochs if recipe.one_cycle else None
        digest = hashlib.blake2b(digest_size=16)
        digest.update(
            json.dumps(
                [
                    *(_RECIPE, self._train.key, self._validation.key, self._batch, settings.seed),
                    *(self._train.ids, self._validation.ids),
                    *(recipe.learning_rate, recipe.head_learning_rate, recipe.one_cycle, epochs),
                    *(settings.dropout, settings.loss, self._cut.trainable_layers),
                ]
            ).encode()
        )
        for labels in (self._labels, self._validation_labels.tocsr()):
            for part in (labels.indptr, labels.indices, labels.data):
                digest.update(np.asarray(part).tobytes())
        digest.update(self._head.kernel.tobytes() + self._head.bias.tobytes())
        return digest.hexdigest()

    def start(self, saved: State | None) -> State:
        """Builds the models, in the state that was saved if there is one that fits."""
        moments = saved.moments if saved else self._moments()
        self.learner = Learner(self._tail, self._head, moments, self._settings, self._recipe)
        fresh = State(self.learner.weights(), self.learner.optimizer_state(), moments)
        if saved is None:
            return fresh
        self.learner.restore(saved.weights, saved.optimizer)
        return saved

    def train_epoch(self, epoch: int, progress: Progress) -> tuple[float, float]:
        """Trains one epoch; returns the means of loss and accuracy."""
        settings, epochs = self._settings, self._recipe.epochs
        rng = np.random.default_rng((settings.seed, epoch))
        order = rng.permutation(len(self._train))
        views = rng.integers(self._train.views, size=len(order))
        self.learner.start_epoch(settings.seed, epoch)

        def load(start: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
            some = order[start : start + self._batch]
            labels = self._labels[some].toarray().astype(np.float32)
            stored = self._train.read(some, views[start : start + self._batch])
            return stored.astype(np.float32), labels

        sums = np.zeros(2)
        steps = range(0, len(order), self._batch)
        first, all_steps = (epoch - 1) * len(steps), epochs * len(steps)
        for start, (activations, labels) in map_ahead(load, steps, threads=1):
            share = self._recipe.rate_share(first + start // self._batch, all_steps)
            sums += self.learner.step(activations, labels, share)
            seen = (epoch - 1) * len(order) + start + len(activations)
            progress(_STAGE, seen, epochs * len(order))
        if not np.isfinite(sums).all():
            raise TaggerError(
                "fine-tuning diverged, since its loss is no longer a number: set a smaller "
                "--fine-tune-learning-rate"
            )
        return float(sums[0] / len(order)), float(sums[1] / len(order))

    def validate(
        self, state: State, head: Head, started: float, means: tuple[float, float]
    ) -> None:
        """Brings the state up to date after an epoch, which is judged by a head."""
        vectors = self._vectors(self._validation)
        logits = ScoreBlocks.of_logits(head, vectors)
        value = mean_average_precision(self._validation_labels, logits)
        value = 0.0 if np.isnan(value) else value  # no tag is on a validation image
        state.weights, state.optimizer = self.learner.weights(), self.learner.optimizer_state()
        number = len(state.history)
        state.history.append(EpochMetrics(number, *means, value, time.monotonic() - started))
        if number and value > self._to_beat(state):
            state.best_epoch = number

    def _to_beat(self, state: State) -> float:
        """Returns the validation mAP above which an epoch becomes the best."""
        if self._recipe.new_head and not state.best_epoch:
            # A head of a few epochs, made for a tail that moves, is no match for one that phase 1
            # trained to its best; whether the tail has become better shows when both have that.
            return -1.0
        return state.history[state.best_epoch].validation_map

    def _moments(self) -> list[NDArray[np.float32]]:
        rng = np.random.default_rng(self._settings.seed)
        some = np.sort(rng.permutation(len(self._train))[:_MOMENTS_OF])
        return moments_of(self._vectors(self._train, some))

    def _vectors(
        self, activations: Activations, some: NDArray[np.intp] | None = None
    ) -> NDArray[np.float32]:
        """Returns the vectors of images' first views as the tail is now."""
        images = np.arange(len(activations)) if some is None else some
        starts = range(0, len(images), self._batch)

        def load(start: int) -> NDArray[Any]:
            return activations.read(images[start : start + self._batch]).astype(np.float32)

        return np.concatenate([self._tail(rows) for _, rows in map_ahead(load, starts, threads=1)])


def _new_head(head: Head, labels: Any) -> Head:
    """Returns a head of the same shape that knows how frequent each tag is, and no more."""
    return Head(np.zeros_like(head.kernel), prior_log_odds(labels))
