"""Fitting: a square for the backbone, and the perceptual hash."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tagkin.fitting import fit_square, min_side_for, perceptual_hash
from tagkin.images import ImageLimits, decode

RED = (255, 0, 0)


def jpeg(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def test_pad_keeps_proportions_on_grey() -> None:
    square = fit_square(Image.new("RGB", (100, 50), RED), 64, "pad")
    assert square.shape == (64, 64, 3)
    assert square.dtype == np.uint8
    assert (square[16:48] == RED).all()
    assert (square[:16] == 127).all()
    assert (square[48:] == 127).all()


def test_squeeze_fills_the_square() -> None:
    assert (fit_square(Image.new("RGB", (100, 50), RED), 64, "squeeze") == RED).all()


def test_crop_keeps_what_resize_and_centre_crop_keep() -> None:
    image = Image.effect_noise((640, 512), 60).convert("RGB")
    resized = image.resize((320, 256), Image.Resampling.BICUBIC)
    expected = np.asarray(resized.crop((48, 16, 48 + 224, 16 + 224)), int)
    assert np.abs(fit_square(image, 224, "crop") - expected).max() <= 1


@pytest.mark.parametrize("fit", ["pad", "squeeze", "crop"])
def test_shrinking_does_not_alias(fit: Any) -> None:
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    square = fit_square(Image.fromarray(stripes), 224, fit)
    assert np.abs(square[:, 2:-2].astype(int) - 127).max() <= 3


def test_pad_is_pillows_bicubic_in_the_middle_of_grey() -> None:
    image = Image.effect_noise((333, 500), 60).convert("RGB")
    expected = Image.new("RGB", (224, 224), (127, 127, 127))
    expected.paste(image.resize((149, 224), Image.Resampling.BICUBIC), (37, 0))
    assert np.array_equal(fit_square(image, 224, "pad"), np.asarray(expected))


@pytest.mark.parametrize("size", [(1, 10_000), (10_000, 1), (1, 1)])
@pytest.mark.parametrize("fit", ["pad", "squeeze", "crop"])
def test_extreme_proportions(size: tuple[int, int], fit: Any) -> None:
    square = fit_square(Image.new("RGB", size, RED), 384, fit)
    assert square.shape == (384, 384, 3)
    assert (square == RED).all(axis=-1).any()


@pytest.mark.parametrize("fit", ["pad", "squeeze", "crop"])
def test_scaled_decoding_costs_no_quality(fit: Any) -> None:
    small = Image.effect_noise((40, 30), 90).convert("RGB")
    data = jpeg(small.resize((1600, 1200), Image.Resampling.BICUBIC), quality=95)
    limits = ImageLimits(2_000_000, 9_000_000)
    whole = decode(data, limits).image
    scaled = decode(data, limits, min_side=min_side_for(96, fit)).image
    assert scaled.width < whole.width
    difference = np.subtract(fit_square(whole, 96, fit), fit_square(scaled, 96, fit), dtype=int)
    assert np.abs(difference).mean() < 1


def test_perceptual_hash_is_near_for_a_copy_and_far_for_another() -> None:
    image = Image.effect_noise((64, 64), 90).convert("RGB").resize((512, 512))
    other = Image.radial_gradient("L").convert("RGB")
    copy = decode(jpeg(image.resize((200, 200))), ImageLimits(1_000_000, 1_000_000)).image
    first = perceptual_hash(image)
    assert 0 <= first < 2**64
    assert (first ^ perceptual_hash(copy)).bit_count() <= 3
    assert (first ^ perceptual_hash(other)).bit_count() > 15
