"""Any mode to RGB; `test_images.py` sees to the same through whole files."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from tagkin.colours import to_rgb, wide_grey


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]
)
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = to_rgb(Image.new(mode, (3, 2)))
    assert (image.mode, image.size) == ("RGB", (3, 2))


def test_rgb_is_not_copied() -> None:
    image = Image.new("RGB", (3, 2))
    assert to_rgb(image) is image


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([0, 32768, 65535], np.uint16), [0, 128, 255]),
        (np.array([0, 2048, 4095], np.uint16), [0, 128, 255]),
        (np.array([0, 128, 255], np.uint16), [0, 128, 255]),
        (np.array([-1000, 0, 1000], np.int32), [0, 128, 255]),
        (np.array([0, 0.5, 1], np.float32), [0, 128, 255]),
        (np.array([0, 128, 255], np.float32), [0, 128, 255]),
        (np.array([-3, np.nan, 5], np.float32), [0, 0, 255]),
        (np.array([0, np.inf, -np.inf], np.float32), [0, 255, 0]),
        (np.array([np.nan, np.nan], np.float32), [0, 0]),
        (np.array([700, 700], np.float32), [0, 0]),
        (np.array([], np.float32), []),
    ],
)
def test_deep_grey_is_scaled_and_not_clipped(samples: Any, expected: list[int]) -> None:
    assert wide_grey(samples).tolist() == expected


@settings(deadline=None, max_examples=50)
@given(
    hnp.arrays(np.int32, hnp.array_shapes(max_dims=2), elements=st.integers(-(2**31), 2**31 - 1))
)
def test_brighter_stays_brighter(samples: Any) -> None:
    grey = wide_grey(samples)
    assert (grey.dtype, grey.shape) == (np.uint8, samples.shape)
    in_order = grey.ravel()[np.argsort(samples, axis=None)]
    assert (np.diff(in_order.astype(int)) >= 0).all()
