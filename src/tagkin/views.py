"""Several views of one image, decoded once, whose vectors are averaged.

Known as test-time augmentation or multi-crop evaluation (Krizhevsky et al. 2012): what one view
cuts off or distorts, another shows.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from tagkin import fitting
from tagkin.errors import SettingsError
from tagkin.settings import Fit, Settings, View
from tagkin.upright import Box

if TYPE_CHECKING:
    from tagkin.backbones.runtime import Embedder

_FLIP = "-flip"

Key = TypeVar("Key")
UInt8 = npt.NDArray[np.uint8]


def wanted_views(settings: Settings) -> tuple[View, ...]:
    """Returns the views that the settings ask for, by their full names.

    ``squeeze,crop,flip`` is ``squeeze``, ``crop`` and ``crop-flip``: a flip mirrors the view
    before it, the first one mirrors ``fit``.

    Raises:
        SettingsError: A view is named twice, so that it would count double.
    """
    views: list[View] = []
    for name in settings.views or (settings.fit,):
        before = _fit_of(views[-1]) if views else settings.fit
        views.append(cast("View", f"{before}{_FLIP}") if name == "flip" else name)
    if twice := [view for view in dict.fromkeys(views) if views.count(view) > 1]:
        raise SettingsError(f"the view {twice[0]!r} is asked for twice in --views")
    return tuple(views)


def least_size(width: int, height: int, size: int, views: Sequence[View]) -> tuple[int, int]:
    """The least width and height for `images.decode` that does for all views.

    See `fitting.least_size`.
    """
    sizes = [fitting.least_size(width, height, size, _fit_of(view)) for view in views]
    return max(width for width, _ in sizes), max(height for _, height in sizes)


def make_views(
    image: Image.Image, size: int, views: Sequence[View], box: Box | None = None
) -> UInt8:
    """Makes the square views of an image.

    Args:
        image: Of mode RGB.
        size: Pixels a side of each view.
        views: Full names, as `wanted_views` gives them.
        box: The part of the image that is meant, as `images.Decoded` has it; all if None.

    Returns:
        uint8 array of shape (views, size, size, 3).
    """
    fitted: dict[Fit, UInt8] = {}
    made = np.empty((len(views), size, size, 3), np.uint8)
    for place, view in enumerate(views):
        fit = _fit_of(view)
        if fit not in fitted:
            fitted[fit] = fitting.fit_square(image, size, fit, box)
        made[place] = fitted[fit][:, ::-1] if view.endswith(_FLIP) else fitted[fit]
    return made


def embed_views(
    embedder: "Embedder", images: Iterable[tuple[Key, UInt8]]
) -> Iterator[tuple[Key, npt.NDArray[np.float32]]]:
    """Yields each key with the mean of the vectors of its views, in order.

    Args:
        embedder: The loaded backbone.
        images: Keys and uint8 RGB arrays of shape (views, size, size, 3).

    Yields:
        Keys and float32 arrays of shape (dimension,).
    """
    flat = (((key, len(views)), view) for key, views in images for view in views)
    total: npt.NDArray[np.float32] | None = None
    seen = 0
    for (key, count), vector in embedder.embed_stream(flat):
        total = vector if total is None else total + vector
        seen += 1
        if seen == count:
            yield key, total / np.float32(count)
            total, seen = None, 0


def _fit_of(view: View) -> Fit:
    return cast("Fit", view.removesuffix(_FLIP))
