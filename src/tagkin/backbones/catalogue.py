"""The backbones that can be chosen, and what is known about each."""

import difflib
import re
from dataclasses import dataclass
from typing import Literal

from tagkin.errors import BackboneError


@dataclass(frozen=True)
class BackboneSpec:
    """One row of the catalogue.

    Attributes:
        name: The name on the command line.
        year: Of the paper.
        parameters: Number of weights with the ImageNet classifier, in millions.
        image_size: Pixels a side that Tagkin uses unless told otherwise.
        dimension: Length of the embedding.
        top1: Published ImageNet top-1 accuracy in per cent.
        top1_source: Where that figure is from, with the image size it holds for.
        builder: Name of the function in ``keras.applications``, or ``lite0`` or ``vit``.
        kind: Where the ImageNet weights come from: a download or an installed package.
    """

    name: str
    year: int
    parameters: float
    image_size: int
    dimension: int
    top1: float
    top1_source: str
    builder: str
    kind: Literal["download", "package"]

    @property
    def top1_size(self) -> int:
        """Pixels a side that the published accuracy holds for."""
        found = re.search(r"(\d+) px", self.top1_source)
        return int(found[1]) if found else self.image_size


#: The backbone whose real weights are installed with Tagkin.
OFFLINE_BACKBONE = "efficientnet-lite0"

_KERAS = "Keras Applications documentation"
BACKBONES: dict[str, BackboneSpec] = {
    spec.name: spec
    for spec in (
        BackboneSpec(
            "resnet50", 2015, 25.6, 224, 2048, 74.9, f"{_KERAS}, 224 px", "ResNet50", "download"
        ),
        BackboneSpec(
            "efficientnetv2-s",
            2021,
            21.6,
            384,
            1280,
            83.9,
            f"{_KERAS}, 384 px",
            "EfficientNetV2S",
            "download",
        ),
        BackboneSpec(
            "efficientnetv2-l",
            2021,
            119.0,
            384,
            1280,
            85.7,
            f"{_KERAS}, 480 px",
            "EfficientNetV2L",
            "download",
        ),
        BackboneSpec(
            "convnext-large",
            2022,
            197.8,
            384,
            1536,
            86.3,
            f"{_KERAS}, 224 px",
            "ConvNeXtLarge",
            "download",
        ),
        BackboneSpec(
            "vit-large",
            2020,
            304.7,
            384,
            1024,
            85.2,
            "arXiv:2010.11929, table 5 (first trained on ImageNet-21k), 384 px",
            "vit",
            "download",
        ),
        BackboneSpec(
            OFFLINE_BACKBONE,
            2020,
            4.7,
            224,
            1280,
            75.1,
            "TensorFlow TPU repository, EfficientNet-Lite, 224 px, float",
            "lite0",
            "package",
        ),
    )
}


def get_spec(name: str) -> BackboneSpec:
    """Returns the row of a backbone.

    Raises:
        BackboneError: There is none of that name; the message lists the names.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    close = difflib.get_close_matches(name.lower(), BACKBONES, 1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    raise BackboneError(f"there is no backbone {name!r}{hint} Choose from: {', '.join(BACKBONES)}")
