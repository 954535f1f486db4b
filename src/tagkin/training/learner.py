"""The Keras model of phase 2: the tail of a backbone with a head, trained together."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.backbones.keras_models import import_keras
from tagkin.head import Head
from tagkin.settings import Settings
from tagkin.training.checkpoint import Arrays
from tagkin.training.cut import Cut
from tagkin.training.losses import build_loss, decision_accuracy
from tagkin.training.recipe import Recipe

# Of the median deviation. Less means a column that is hardly alive in the sample it is taken from.
_LEAST_DEVIATION = 0.1


class Vectors:
    """The tail alone, from stored activations to the backbone's vectors, as in inference."""

    def __init__(self, cut: Cut, batch_size: int) -> None:
        """Builds the model.

        Args:
            cut: Whose tail.
            batch_size: Of every call. With the shape known before it compiles, TensorFlow trains
                EfficientNetV2-L in two thirds of the time.
        """
        keras = import_keras()
        inputs = keras.Input(batch_shape=(batch_size, *cut.boundary_shape))
        self.batch_size = batch_size
        self.model = keras.Model(inputs, _in_inference(keras, cut.tail)(inputs))

    def __call__(self, activations: NDArray[Any]) -> NDArray[np.float32]:
        """Returns float32 of shape (batch, dimension) for at most a batch of activations."""
        result = self.model.predict_on_batch(fill_up(activations, self.batch_size))
        return np.asarray(result[: len(activations)], np.float32)


class Learner:
    """Tail, dropout and head, compiled for training.

    The head sees the vectors standardised, as in phase 1, so that dropout takes a column to its
    mean and one learning rate suits them all.
    """

    def __init__(
        self,
        vectors: Vectors,
        head: Head,
        moments: Arrays,
        settings: Settings,
        recipe: Recipe,
    ) -> None:
        """Builds and compiles the model.

        Args:
            vectors: The tail.
            head: To start from.
            moments: Mean and deviation of the vectors, float32 of shape (dimension,).
            settings: Dropout, loss, seed.
            recipe: Learning rates.
        """
        keras = import_keras()
        self._mean, self._deviation = (np.asarray(part, np.float32) for part in moments)
        self._dropout = keras.layers.Dropout(settings.dropout, seed=settings.seed)
        self._dense = keras.layers.Dense(head.kernel.shape[1], activation="sigmoid")
        standard = (vectors.model.outputs[0] - self._mean) * (1 / self._deviation)
        scores = self._dense(self._dropout(standard))
        self.model = keras.Model(vectors.model.inputs[0], scores)
        self._dense.set_weights(
            [head.kernel * self._deviation[:, None], head.bias + self._mean @ head.kernel]
        )
        self._rate = recipe.learning_rate
        self._optimizer = _make_adam(keras, recipe)
        self._optimizer.build(self.model.trainable_variables)
        self.model.compile(
            self._optimizer,
            loss=build_loss(keras, settings),
            weighted_metrics=[decision_accuracy],
            jit_compile=False,  # on a processor, compiled training is nine times slower
        )

    def head(self) -> Head:
        """Returns the head as it is now, for vectors that are not standardised."""
        kernel, bias = (np.asarray(weights, np.float32) for weights in self._dense.get_weights())
        scaled: NDArray[np.float32] = kernel / self._deviation[:, None]
        return Head(scaled, bias - self._mean @ scaled)

    def start_epoch(self, seed: int, epoch: int) -> None:
        """Makes the dropout of an epoch depend on nothing but the seed and its number."""
        if hasattr(self._dropout, "seed_generator"):
            mixed = np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint32)[0]
            self._dropout.seed_generator.state.assign(np.array([mixed, 0], np.uint32))

    def step(
        self, activations: NDArray[Any], labels: NDArray[np.float32], rate_share: float = 1.0
    ) -> tuple[float, float]:
        """Takes a step of the optimizer.

        Args:
            activations: At most a batch of them.
            labels: float32 of shape (batch, tags); what is positive is present.
            rate_share: What the learning rates are multiplied by.

        Returns:
            The sum over the images of the loss and of the accuracy.
        """
        size, count = self.model.input_shape[0], len(activations)
        weights = (np.arange(size) < count).astype(np.float32)  # nothing is learned from padding
        self._optimizer.learning_rate = self._rate * rate_share
        metrics = self.model.train_on_batch(
            fill_up(activations, size), fill_up(labels, size), weights, return_dict=True
        )
        return float(metrics["loss"]) * size, float(metrics["decision_accuracy"]) * count

    def weights(self) -> Arrays:
        """Returns copies of all weights that are trained."""
        return _values(self.model.trainable_variables)

    def optimizer_state(self) -> Arrays:
        """Returns copies of the optimizer's variables."""
        return _values(self._optimizer.variables)

    def restore(self, weights: Arrays, optimizer: Arrays | None = None) -> None:
        """Sets the weights, and the optimizer's variables if they are given."""
        for variable, value in zip(self.model.trainable_variables, weights, strict=True):
            variable.assign(value)
        if optimizer is not None:
            for variable, value in zip(self._optimizer.variables, optimizer, strict=True):
                variable.assign(value)


def moments_of(vectors: NDArray[np.float32]) -> Arrays:
    """Returns mean and standard deviation of each column, the latter not near 0."""
    deviation = vectors.std(axis=0)
    least = _LEAST_DEVIATION * float(np.median(deviation))
    return [vectors.mean(axis=0), np.maximum(deviation, least if least > 0 else 1.0)]


def fill_up(rows: NDArray[Any], size: int) -> NDArray[Any]:
    """Returns ``size`` rows: the given ones, and the first of them again and again."""
    if len(rows) == size:
        return rows
    return np.take(rows, np.arange(size) % len(rows), axis=0)


def _values(variables: Any) -> Arrays:
    convert = import_keras().ops.convert_to_numpy
    return [np.array(convert(variable)) for variable in variables]


def _in_inference(keras: Any, model: Any) -> Any:
    """Returns a layer that calls a model as in inference, also while it is trained.

    Batch normalisation keeps the statistics that it was pretrained with, since those of a few
    images would be noise; its scale and offset are trained like any weights. And no connection is
    dropped. ``model(x, training=False)`` isn't enough: a functional model around it replaces the
    argument by its own.
    """

    class InInference(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs, training=False)

    return InInference()


def _make_adam(keras: Any, recipe: Recipe) -> Any:
    rate = recipe.learning_rate
    factor = recipe.head_learning_rate / rate

    class Adam(keras.optimizers.Adam):  # type: ignore[misc]
        """With another rate for the last two variables, which are the head's."""

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            place = self._get_variable_index(variable)
            in_head = place >= len(self._trainable_variables) - 2
            super().update_step(gradient, variable, learning_rate * (factor if in_head else 1.0))

    return keras.optimizers.Adam(rate) if factor == 1.0 else Adam(rate)
