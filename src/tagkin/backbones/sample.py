"""What judging a precision needs of the owner's library, which lies further down the way."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tagkin.backbones.config import BackboneConfig

#: Told in a sentence what was measured and decided.
Note = Callable[[str], None]


def silent(_: str) -> None:
    """Tells nobody."""


class ImageSample(Protocol):
    """Some images of the owner's own."""

    def ids(self, count: int) -> Sequence[str]:
        """Returns the ids of up to so many images, the same ones each time."""
        ...

    def pixels(self, ids: Sequence[str], config: BackboneConfig) -> NDArray[np.uint8]:
        """Returns images as the backbone sees them, those that can't be read left out.

        Returns:
            uint8 RGB of shape (images, size, size, 3), one of the views for each image in turn.
        """
        ...
