"""Phase 1: trains a head in Keras on cached vectors: dropout and one dense sigmoid layer."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.chosen_rows import Matrix, StoredRows, blocks
from tagkin.head import Head
from tagkin.progress import Progress, silent
from tagkin.settings import Settings
from tagkin.training.batches import make_batches
from tagkin.training.checkpoint import EpochMetrics
from tagkin.training.learning_set import LearningSet
from tagkin.training.losses import build_loss, decision_accuracy
from tagkin.training.metrics import mean_average_precision
from tagkin.training.score_blocks import ScoreBlocks, tag_counts


@dataclass(frozen=True)
class Fit:
    """A trained head, the epoch it is from, and what was measured after every epoch."""

    head: Head
    best_epoch: int
    history: tuple[EpochMetrics, ...]


def fit_head(
    vectors: Matrix,
    labels: Any,
    validation_vectors: Matrix,
    validation_labels: Any,
    settings: Settings,
    *,
    progress: Progress = silent,
    epoch_done: Callable[[EpochMetrics], None] | None = None,
) -> Fit:
    """Trains a head with Adam; the best epoch by validation mAP is kept.

    The vectors are standardised for training (mean and deviation of the training images), which
    spares a learning rate for each backbone; the head that is returned takes them as they are.
    Its bias starts at the log odds of each tag's frequency, so that the first epochs need not
    learn that most tags are rare.

    Args:
        vectors: float16 or float32 of shape (images, dimension), in memory or on disk.
        labels: Sparse of shape (images, tags); a stored entry means that the tag is there, and is
            the weight of that pair in the loss.
        validation_vectors: As ``vectors``, in memory, of images that are only scored.
        validation_labels: As ``labels``.
        settings: Loss, batch size, learning rate, weight decay, dropout, epochs, patience, seed.
        progress: Called after every epoch.
        epoch_done: Called after every epoch with what was measured.
    """
    from tagkin.backbones.keras_models import import_keras

    keras = import_keras()
    keras.utils.set_random_seed(settings.seed)
    mean, deviation = _moments(vectors)
    dead = deviation < 1e-6
    deviation[dead] = 1.0

    inputs = keras.Input((vectors.shape[1],))
    x = keras.layers.Dropout(settings.dropout)(inputs)
    dense = keras.layers.Dense(labels.shape[1], activation="sigmoid")
    model = keras.Model(inputs, dense(x))
    dense.bias.assign(prior_log_odds(labels))
    adam = keras.optimizers.AdamW(settings.learning_rate, settings.weight_decay)
    adam.exclude_from_weight_decay([dense.bias])  # it holds how frequent the tags are
    model.compile(adam, build_loss(keras, settings), metrics=[decision_accuracy])

    def current() -> Head:
        kernel, bias = (np.asarray(w, np.float32) for w in dense.get_weights())
        scaled = kernel / deviation[:, None]
        scaled[dead] = 0  # never trained: their random start would be noise in other images
        return Head(scaled, bias - mean @ scaled)

    history: list[EpochMetrics] = []

    class ValidationMap(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        """Adds the validation mAP to what the other callbacks see."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            self.started = time.monotonic()

        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            scores = ScoreBlocks.of_logits(current(), validation_vectors)
            value = mean_average_precision(validation_labels, scores)
            logs["validation_map"] = 0.0 if np.isnan(value) else value
            seconds = time.monotonic() - self.started
            history.append(
                EpochMetrics(
                    epoch + 1,
                    logs["loss"],
                    logs["decision_accuracy"],
                    logs["validation_map"],
                    seconds,
                )
            )
            if epoch_done:
                epoch_done(history[-1])
            progress("training the head", epoch + 1, settings.max_epochs)

    stop = keras.callbacks.EarlyStopping(
        monitor="validation_map",
        mode="max",
        patience=settings.patience,
        restore_best_weights=True,
    )
    # Small collections need enough steps in an epoch, large ones few enough to be quick: 32 was
    # best for some 400 images, 256 for some 3,000.
    batch_size = settings.batch_size or min(256, max(32, len(vectors) // 16))
    batches = make_batches(
        keras, vectors, labels, mean, deviation, batch_size=batch_size, seed=settings.seed
    )
    model.fit(
        batches,
        epochs=settings.max_epochs,
        callbacks=[ValidationMap(), stop],
        verbose=0,
        shuffle=not isinstance(vectors, StoredRows),  # whose batches are read in their order
    )
    progress("training the head", settings.max_epochs, settings.max_epochs)
    best = max(history, key=lambda epoch: epoch.validation_map)
    return Fit(current(), best.epoch, tuple(history))


def fit_on(
    data: LearningSet,
    settings: Settings,
    *,
    progress: Progress = silent,
    epoch_done: Callable[[EpochMetrics], None] | None = None,
) -> Fit:
    """Trains a head on the training and validation images of a learning set; see `fit_head`."""
    return fit_head(
        data.vectors_of("train"),
        data.labels_of("train"),
        data.vectors_of("validation"),
        data.labels_of("validation"),
        settings,
        progress=progress,
        epoch_done=epoch_done,
    )


def prior_log_odds(labels: Any) -> NDArray[np.float32]:
    """Returns float32 of shape (tags,): the log odds that an image has a tag, all else unknown.

    Args:
        labels: Sparse of shape (images, tags); what is not 0 is there.
    """
    frequency = (tag_counts(labels) / labels.shape[0]).clip(1e-5, 1 - 1e-5)
    log_odds: NDArray[np.float32] = np.log(frequency / (1 - frequency)).astype(np.float32)
    return log_odds


def _moments(vectors: Matrix) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns the mean and the standard deviation of each column."""
    mean = np.zeros(vectors.shape[1])
    for _, block in blocks(vectors):
        mean += block.sum(axis=0, dtype=np.float64)
    mean /= len(vectors)
    squares = np.zeros_like(mean)
    for _, block in blocks(vectors):
        squares += np.square(block - mean).sum(axis=0)
    return mean.astype(np.float32), np.sqrt(squares / len(vectors)).astype(np.float32)
