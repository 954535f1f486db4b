"""Logs of training for TensorBoard, an optional package."""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tagkin.backbones.keras_models import import_keras
from tagkin.errors import TaggerError
from tagkin.training.checkpoint import EpochMetrics


class EpochLog:
    """Writes what is measured after each epoch; without a folder, nothing.

    Args:
        folder: Where TensorBoard looks; None for no log.
        run: Name of the run, a folder in it.

    Raises:
        TaggerError: TensorBoard is not installed, or the folder can't be written.
    """

    def __init__(self, folder: Path | None, run: str) -> None:
        self._writer: Any = None
        if folder is not None:
            if find_spec("tensorboard") is None:
                raise TaggerError(
                    "logs for TensorBoard need that package, which is not installed: run "
                    "pip install tagkin[tensorboard], or leave --tensorboard out"
                )
            import_keras()  # which keeps TensorFlow from telling about itself on stderr
            import tensorflow as tf

            try:
                (folder / run).mkdir(parents=True, exist_ok=True)
                self._writer = tf.summary.create_file_writer(str(folder / run))
            except (OSError, tf.errors.OpError) as error:
                raise TaggerError(
                    f"can't write TensorBoard logs to {folder}: {error}; name another folder"
                ) from error

    def __call__(self, metrics: EpochMetrics) -> None:
        """Writes the metrics of one epoch."""
        if self._writer is None:
            return
        import tensorflow as tf

        with self._writer.as_default(step=metrics.epoch):
            for name, value in metrics.to_dict().items():
                if name != "epoch" and not math.isnan(value):
                    tf.summary.scalar(name, value)
        self._writer.flush()
