"""What graphics cards of a named class reach, as others published it: not measured by Tagkin."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

#: Where the figures are from: timm's own benchmark, PyTorch in mixed precision, channels last,
#: large batches that are in memory already. Reading and decoding files comes on top.
SOURCE = (
    "huggingface/pytorch-image-models, results/benchmark-infer-amp-nhwc-pt240-cu124-{}.csv, "
    "PyTorch 2.4 with mixed precision"
)


@dataclass(frozen=True)
class PublishedGpu:
    """Published images per second of a card.

    Attributes:
        name: Of the card.
        source: Where that stands.
        rates: Images per second by backbone and image size; what isn't there was not looked up.
    """

    name: str
    source: str
    rates: Mapping[tuple[str, int], float]


PUBLISHED = (
    PublishedGpu(
        "RTX 4090",
        SOURCE.format("rtx4090"),
        {
            ("efficientnetv2-l", 384): 557.98,
            ("efficientnetv2-l", 480): 357.78,
            ("convnext-large", 224): 1210.69,
            ("convnext-large", 384): 407.18,
            ("vit-large", 384): 293.26,
        },
    ),
    PublishedGpu(
        "RTX 3090",
        SOURCE.format("rtx3090"),
        {
            ("efficientnetv2-l", 480): 260.17,
            ("convnext-large", 384): 240.31,
            ("vit-large", 384): 159.11,
        },
    ),
)


def published_gpu(name: str) -> PublishedGpu | None:
    """Returns what is published of a card by its name, such as ``NVIDIA GeForce RTX 4090``."""
    plain = re.sub(r"\W", "", name.lower())
    for card in PUBLISHED:
        # A laptop's card of the same name is another, slower one.
        if plain.endswith(re.sub(r"\W", "", card.name.lower())):
            return card
    return None
