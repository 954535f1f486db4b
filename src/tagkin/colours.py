"""Any of Pillow's modes to RGB: transparency, grey of more than 8 bits, floating point."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

UInt8 = npt.NDArray[np.uint8]


def mend_transparency(image: ImageFile.ImageFile) -> None:
    """Scales the transparent colour of a PNG as its pixels will be; Pillow leaves it as stored."""
    transparent = image.info.get("transparency")
    rawmode = image.tile[0].args if image.format == "PNG" and image.tile else None
    if rawmode in ("L;2", "L;4") and isinstance(transparent, int):
        image.info["transparency"] = transparent * (85 if rawmode == "L;2" else 17)
    elif rawmode == "RGB;16B" and isinstance(transparent, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in transparent)


def to_rgb(image: Image.Image) -> Image.Image:
    """Returns a loaded image in mode RGB, its transparent parts on white."""
    transparency = image.info.get("transparency")
    if image.mode.startswith("I") or image.mode == "F":
        grey = wide_grey(np.asarray(image))
        if isinstance(transparency, int):
            grey[np.asarray(image) == transparency] = 255
        return Image.fromarray(grey).convert("RGB")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    if image.mode in ("La", "RGBa"):  # premultiplied
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGB", rgba.size, (255, 255, 255))
    white.paste(rgba, mask=rgba)
    return white


def wide_grey(samples: npt.NDArray[Any]) -> UInt8:
    """Scales grey of more than 8 bits to 0..255.

    Files rarely say which range they use, so it's read off the samples. Integers from 0 up are
    taken as 8, 12 or 16 bits, whichever is the first to hold the largest, and lose their lower
    bits: 65535 and, in a 12-bit scan, 4095 are white. Floating point within 0..1 or 0..255 is
    taken at its word. All else, negative numbers among it, is stretched from its least to its
    greatest. NaN is black.

    Args:
        samples: Shape (height, width), integers or floating point.

    Returns:
        The same shape, uint8.
    """
    finite = samples[np.isfinite(samples)] if samples.dtype.kind == "f" else samples
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if samples.dtype.kind in "iu" and low >= 0 and high <= 65535:
        bits = next(bits for bits in (8, 12, 16) if high < 1 << bits)
        grey: UInt8 = np.right_shift(samples, bits - 8).astype(np.uint8)
        return grey
    values: npt.NDArray[np.float64] = samples.astype(np.float64)
    if low < 0 or high > 255:
        values = (values - low) * (255 / (high - low) if high > low else 0)
    elif high <= 1:
        values *= 255
    np.nan_to_num(values, copy=False, nan=0, posinf=255, neginf=0)
    return values.round().clip(0, 255).astype(np.uint8)
