"""The views of a training image that phase 2 learns from: the plain one and random crops."""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagkin import images
from tagkin.backbones import BackboneConfig
from tagkin.upright import Box
from tagkin.views import least_size, make_views

#: Share of the image's area that a random crop keeps, from and to.
AREA = (0.6, 1.0)
#: By which factor its proportions may differ from the image's.
STRETCH = 1.25
_FLIPPED = 0.5  # of the crops

# Raised when a change to the crops changes the pixels.
_RECIPE = 1


@dataclass(frozen=True)
class TrainingViews:
    """Makes the views of an image, the same ones in every run.

    Attributes:
        config: Size, and the plain view, which is its first.
        limits: Of images.
        count: Views of an image. The first is plain, the others are cropped and flipped at random.
        seed: Of the random ones.
    """

    config: BackboneConfig
    limits: images.ImageLimits
    count: int = 1
    seed: int = 0

    @property
    def key(self) -> str:
        """Names the pixels that are made of an image."""
        plain = f"{self.config.image_size}-{self.config.views[0]}-{self.limits.animation_frame}"
        return plain if self.count == 1 else f"{plain}-{self.count}-{self.seed}-{_RECIPE}"

    def __call__(self, image_id: str, data: bytes) -> NDArray[np.uint8]:
        """Decodes an image and makes its views.

        Args:
            image_id: Decides, with the number of the view and the seed, about the crop.
            data: The content of an image file.

        Returns:
            uint8 RGB of shape (views, size, size, 3).

        Raises:
            ImageError: The image can't be decoded or is beyond the limits.
        """
        size, plain = self.config.image_size, self.config.views[0]
        # A crop takes part of the image only, which must be large enough by itself.
        zoom = 1.0 if self.count == 1 else math.sqrt(AREA[0] / STRETCH)

        def least(width: int, height: int) -> tuple[int, int]:
            kept = least_size(width, height, size, (plain,))
            return math.ceil(kept[0] / zoom), math.ceil(kept[1] / zoom)

        decoded = images.decode(data, self.limits, least_size=least)
        made = np.empty((self.count, size, size, 3), np.uint8)
        made[0] = make_views(decoded.image, size, (plain,), decoded.box)[0]
        for number in range(1, self.count):
            rng = _rng(image_id, number, self.seed)
            box = random_box(decoded.box, rng)
            view = make_views(decoded.image, size, (plain,), box)[0]
            made[number] = view[:, ::-1] if rng.random() < _FLIPPED else view
        return made


def random_box(box: Box, rng: np.random.Generator) -> Box:
    """Returns a random part of a box: 60 to 100 % of its area, nearly of its proportions.

    Args:
        box: Left, top, right, bottom in pixels.
        rng: Where from the randomness comes.
    """
    width, height = box[2] - box[0], box[3] - box[1]
    share = rng.uniform(*AREA)
    stretch = math.exp(rng.uniform(-1, 1) * math.log(STRETCH))
    # Neither side can be longer than the whole: then the other one makes up for it.
    across = min(1.0, math.sqrt(share * stretch))
    down = min(1.0, share / across)
    across = share / down
    left = box[0] + rng.random() * (1 - across) * width
    top = box[1] + rng.random() * (1 - down) * height
    return left, top, left + across * width, top + down * height


def _rng(image_id: str, number: int, seed: int) -> np.random.Generator:
    text = f"{image_id}-{number}-{seed}".encode()
    return np.random.default_rng(
        int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
    )
