"""Fitting: a square for the backbone, and the perceptual hash."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tagkin.fitting import fit_square, least_size, perceptual_hash
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


@pytest.mark.parametrize("size", [(1600, 1200), (1601, 1207), (1193, 1604)])
@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("fit", ["pad", "squeeze", "crop"])
def test_a_scaled_decoding_looks_like_a_whole_one(
    fit: Any, orientation: int, size: tuple[int, int]
) -> None:
    small = Image.effect_noise((40, 30), 90).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(small.resize(size, Image.Resampling.BICUBIC), quality=95, exif=exif)
    limits = ImageLimits(2_000_000, 9_000_000)
    whole = decode(data, limits)
    scaled = decode(data, limits, least_size=lambda w, h: least_size(w, h, 96, fit))
    assert scaled.image.width < whole.image.width
    assert (scaled.width, scaled.height) == (whole.width, whole.height)
    squares = [fit_square(d.image, 96, fit, d.box).astype(int) for d in (whole, scaled)]
    assert np.abs(squares[0] - squares[1]).mean() < 1


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_the_box_leaves_out_what_scaling_added(orientation: int) -> None:
    # 1001 x 701 pixels are 500.5 x 350.5 at half the size: the last column is half a pixel wide.
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(Image.new("RGB", (1001, 701), RED), exif=exif)
    decoded = decode(data, ImageLimits(2_000_000, 9_000_000), least_size=lambda *_: (400, 300))
    left, top, right, bottom = decoded.box
    sides = (500.5, 350.5) if orientation < 5 else (350.5, 500.5)
    assert (right - left, bottom - top) == sides
    # A row of each half turn is where the picture doesn't begin at the corner.
    assert left == (0.5 if orientation in (2, 3, 6, 7) else 0)
    assert top == (0.5 if orientation in (3, 4, 7, 8) else 0)


@pytest.mark.parametrize("fit", ["pad", "squeeze", "crop"])
def test_what_is_beyond_the_box_does_not_count(fit: Any) -> None:
    image = Image.new("RGB", (101, 81), RED)
    image.paste((0, 0, 255), (100, 0, 101, 81))
    image.paste((0, 0, 255), (0, 80, 101, 81))
    square = fit_square(image, 64, fit, (0, 0, 100, 80))
    assert not (square[..., 2] > 150).any()


def test_perceptual_hash_is_near_for_a_copy_and_far_for_another() -> None:
    image = Image.effect_noise((64, 64), 90).convert("RGB").resize((512, 512))
    other = Image.radial_gradient("L").convert("RGB")
    copy = decode(jpeg(image.resize((200, 200))), ImageLimits(1_000_000, 1_000_000)).image
    first = perceptual_hash(image)
    assert 0 <= first < 2**64
    assert (first ^ perceptual_hash(copy)).bit_count() <= 3
    assert (first ^ perceptual_hash(other)).bit_count() > 15
