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
from tagkin.training.learner import Learner, Vectors, moments_of
from tagkin.training.metrics import mean_average_precision
from tagkin.training.score_blocks import ScoreBlocks

_STAGE = "fine-tuning"
_MOMENTS_OF = 256  # training images

# Raised when a change makes older checkpoints unfit.
_RECIPE = 1

EpochDone = Callable[[EpochMetrics], None]


@dataclass(frozen=True)
class FineTuned:
    """What phase 2 came to. The weights of the best epoch are in the backbone that was cut.

    Attributes:
        head: Of the best epoch.
        best_epoch: 0 if no epoch was better than the start.
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
    head_learning_rate: float | None = None,
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
        head: To start from, as phase 1 made it for the backbone's vectors.
        train: Activations of the training images.
        train_labels: Sparse of shape (images, tags), a row for each of ``train.ids``; 0 where a tag
            is absent, else the weight of that pair in the loss.
        validation: Activations of the images that choose the epoch; their first view counts.
        validation_labels: Sparse 0/1, as ``train_labels``.
        settings: Epochs, learning rate and batch size of phase 2; dropout, loss, seed.
        folder: Where checkpoints are kept; `remove_checkpoints` deletes them.
        head_learning_rate: Another one for the head; that of the settings if None.
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
    run = _Run(cut, head, train, train_labels.tocsr(), validation, validation_labels, settings)
    # The key is taken before anything is trained: it has the weights that are started from.
    checkpoints = Checkpoints(folder, run.key(head_learning_rate))
    state = run.start(checkpoints.load(), head_learning_rate)
    if not state.history:
        run.validate(state, time.monotonic(), (float("nan"), float("nan")))
        checkpoints.save(state)
        if epoch_done:
            epoch_done(state.history[-1])
    while state.epoch < settings.fine_tune_epochs:
        started = time.monotonic()
        means = run.train_epoch(state.epoch + 1, progress)
        run.validate(state, started, means)
        checkpoints.save(state)
        if epoch_done:
            epoch_done(state.history[-1])
    best = checkpoints.best_weights(state.best_epoch)
    if best is None:
        raise TaggerError(f"the weights of the best epoch are gone from {folder}: run it again")
    run.learner.restore(best)
    cut.store()
    return FineTuned(run.learner.head(), state.best_epoch, tuple(state.history))


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
    ) -> None:
        self._cut, self._head, self._settings = cut, head, settings
        self._train, self._labels = train, labels
        self._validation, self._validation_labels = validation, validation_labels
        self._batch = min(settings.fine_tune_batch_size, len(train))
        self._tail = Vectors(cut, self._batch)

    def key(self, head_learning_rate: float | None) -> str:
        """Names all that the result depends on, but for the number of epochs."""
        settings = self._settings
        digest = hashlib.blake2b(digest_size=16)
        digest.update(
            json.dumps(
                [
                    *(_RECIPE, self._train.key, self._validation.key, self._batch, settings.seed),
                    *(self._train.ids, self._validation.ids),
                    *(settings.fine_tune_learning_rate, head_learning_rate, settings.dropout),
                    *(settings.loss, self._cut.trainable_layers),
                ]
            ).encode()
        )
        for labels in (self._labels, self._validation_labels.tocsr()):
            for part in (labels.indptr, labels.indices, labels.data):
                digest.update(np.asarray(part).tobytes())
        digest.update(self._head.kernel.tobytes() + self._head.bias.tobytes())
        return digest.hexdigest()

    def start(self, saved: State | None, head_learning_rate: float | None) -> State:
        """Builds the models, in the state that was saved if there is one that fits."""
        moments = saved.moments if saved else self._moments()
        self.learner = Learner(self._tail, self._head, moments, self._settings, head_learning_rate)
        fresh = State(self.learner.weights(), self.learner.optimizer_state(), moments)
        if saved is None:
            return fresh
        self.learner.restore(saved.weights, saved.optimizer)
        return saved

    def train_epoch(self, epoch: int, progress: Progress) -> tuple[float, float]:
        """Trains one epoch; returns the means of loss and accuracy."""
        settings = self._settings
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
        total = settings.fine_tune_epochs * len(order)
        for start, (activations, labels) in map_ahead(load, steps, threads=1):
            sums += self.learner.step(activations, labels)
            progress(_STAGE, (epoch - 1) * len(order) + start + len(activations), total)
        if not np.isfinite(sums).all():
            raise TaggerError(
                "fine-tuning diverged, since its loss is no longer a number: set a smaller "
                "--fine-tune-learning-rate"
            )
        return float(sums[0] / len(order)), float(sums[1] / len(order))

    def validate(self, state: State, started: float, means: tuple[float, float]) -> None:
        """Brings the state up to date after an epoch."""
        vectors = self._vectors(self._validation)
        logits = ScoreBlocks.of_logits(self.learner.head(), vectors)
        value = mean_average_precision(self._validation_labels, logits)
        value = 0.0 if np.isnan(value) else value  # no tag is on a validation image
        state.weights, state.optimizer = self.learner.weights(), self.learner.optimizer_state()
        best = state.history[state.best_epoch].validation_map if state.history else -1.0
        number = len(state.history)
        state.history.append(EpochMetrics(number, *means, value, time.monotonic() - started))
        if value > best:
            state.best_epoch = number

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
