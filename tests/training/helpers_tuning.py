"""Small networks and a trunk without OpenVINO, for the tests of fine-tuning."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tagkin.backbones import Runtime
from tagkin.backbones.keras_models import import_keras
from tagkin.head import Head
from tagkin.settings import Settings, load_settings
from tagkin.training.activations import Activations, cache_activations
from tagkin.training.cut import Cut, cut_model
from tagkin.training.trunk import Trunk

SIZE = 16


def tiny_model(seed: int = 1) -> Any:
    """Two residual blocks with all that makes trouble: batch norm, dropout, a grouped kernel."""
    keras = import_keras()
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescale")(inputs)
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="stem")(x)
    x = layers.BatchNormalization(name="stem_bn")(x)
    for block in ("a", "b"):
        shortcut = x
        x = layers.Conv2D(8, 3, padding="same", groups=8, name=f"{block}_grouped")(x)
        x = layers.BatchNormalization(name=f"{block}_bn")(x)
        x = layers.Activation("relu", name=f"{block}_relu")(x)
        x = layers.Dropout(0.5, name=f"{block}_dropout")(x)
        x = layers.Conv2D(8, 1, name=f"{block}_project")(x)
        x = x + shortcut
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, x, name="tiny")


#: Trained layers with which the tail of `tiny_model` is its second block.
SECOND_BLOCK = 6


def tiny_cut() -> Cut:
    return cut_model(tiny_model(), SECOND_BLOCK)


class KerasTrunk:
    """Runs the trunk in Keras, an image at a time; counts them."""

    def __init__(self, cut: Cut, factor: float = 1.0) -> None:
        self.trunk, self.factor, self.images = cut.trunk, factor, 0

    def embed_stream(
        self, images: Iterable[tuple[Any, NDArray[np.uint8]]]
    ) -> Iterator[tuple[Any, NDArray[np.float32]]]:
        for key, image in images:
            self.images += 1
            values = self.trunk(image[None].astype(np.float32), training=False)
            yield key, np.asarray(values).ravel() * np.float32(self.factor)


def tiny_trunk(cut: Cut, factor: float = 1.0, key: str = "tiny") -> Trunk:
    return Trunk(cast("Runtime", KerasTrunk(cut, factor)), cut.boundary_shape, key, "f32")


def pictures(count: int, views: int = 1, seed: int = 0) -> NDArray[np.uint8]:
    """Pictures of three kinds, after their number: red, green or blue is strong."""
    rng = np.random.default_rng(seed)
    made = rng.integers(0, 160, (count, views, SIZE, SIZE, 3), np.uint8)
    for number in range(count):
        made[number, ..., number % 3] += 60
    return made


def kinds(count: int) -> Any:
    """The labels of `pictures`, float32."""
    dense = np.zeros((count, 3), np.float32)
    dense[np.arange(count), np.arange(count) % 3] = 1
    return csr_array(dense)


def names(count: int) -> list[str]:
    return [f"image{number}" for number in range(count)]


def reader(pixels: NDArray[np.uint8]) -> Any:
    """Gives pictures by their names, in the opposite order."""

    def read(ids: Sequence[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        for image in reversed(ids):
            yield image, pixels[int(image.removeprefix("image"))]

    return read


def cached(cut: Cut, folder: Path, count: int, views: int = 1, seed: int = 0) -> Activations:
    pixels = pictures(count, views, seed)
    return cache_activations(
        tiny_trunk(cut), names(count), reader(pixels), folder, views=views, pixels=f"seed{seed}"
    )


def small_head(dimension: int = 8, tags: int = 3) -> Head:
    kernel = np.random.default_rng(0).normal(0, 0.1, (dimension, tags))
    return Head(kernel.astype(np.float32), np.zeros(tags, np.float32))


def tuning_settings(**changes: Any) -> Settings:
    return load_settings(
        {
            "fine_tune_learning_rate": 3e-3,
            "fine_tune_epochs": 3,
            "fine_tune_batch_size": 8,
            "dropout": 0.2,
            **changes,
        }
    )
