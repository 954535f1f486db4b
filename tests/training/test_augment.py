"""The views of a training image: plain first, then crops and flips that can be made again."""

import io

import numpy as np
import pytest
from PIL import Image

from tagkin.backbones import BackboneConfig
from tagkin.embeddings import decode_views
from tagkin.errors import ImageError
from tagkin.images import ImageLimits
from tagkin.settings import Settings
from tagkin.training.augment import AREA, STRETCH, TrainingViews, random_box


@pytest.fixture(scope="module")
def limits(lite0_settings: Settings) -> ImageLimits:
    return ImageLimits.from_settings(lite0_settings)


@pytest.fixture(scope="module")
def photo() -> bytes:
    """A JPEG that is large enough to be decoded at a smaller scale."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8))
    file = io.BytesIO()
    small.resize((1500, 1000)).save(file, "JPEG", quality=90)
    return file.getvalue()


def test_the_first_view_is_the_plain_one(
    lite0_config: BackboneConfig, limits: ImageLimits, photo: bytes
) -> None:
    plain = decode_views(photo, lite0_config, limits)
    one = TrainingViews(lite0_config, limits)("a", photo)
    np.testing.assert_array_equal(one, plain)
    several = TrainingViews(lite0_config, limits, 4)("a", photo)
    assert several.shape == (4, *plain.shape[1:])
    # Decoded at a larger scale, since a crop needs more pixels: nearly the same.
    assert np.abs(several[0].astype(int) - plain[0]).mean() < 2
    for number in range(1, 4):
        assert np.abs(several[number].astype(int) - several[0]).mean() > 5


def test_views_depend_on_image_number_and_seed_only(
    lite0_config: BackboneConfig, limits: ImageLimits, photo: bytes
) -> None:
    make = TrainingViews(lite0_config, limits, 3)
    np.testing.assert_array_equal(make("a", photo), make("a", photo))
    more = TrainingViews(lite0_config, limits, 5)("a", photo)
    np.testing.assert_array_equal(more[:3], make("a", photo))
    other_seed = TrainingViews(lite0_config, limits, 3, seed=1)("a", photo)
    for other in (make("b", photo), other_seed):
        assert not np.array_equal(other[1], make("a", photo)[1])
        np.testing.assert_array_equal(other[0], make("a", photo)[0])


def test_some_views_are_mirrored(lite0_config: BackboneConfig, limits: ImageLimits) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, :32] = 255  # bright on the left
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    views = TrainingViews(lite0_config, limits, 41)("a", file.getvalue())[1:]
    mirrored = [view[:, 112:].mean() > view[:, :112].mean() for view in views]
    assert 8 < sum(mirrored) < 32


def test_a_box_keeps_its_share_and_stays_inside() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        left, top, right, bottom = random_box((10.0, 5.0, 110.0, 45.5), rng)
        assert 10 <= left < right <= 110 + 1e-9
        assert 5 <= top < bottom <= 45.5 + 1e-9
        width, height = (right - left) / 100, (bottom - top) / 40.5
        assert AREA[0] - 1e-9 <= width * height <= AREA[1] + 1e-9
        assert 1 / STRETCH - 1e-9 <= width / height <= STRETCH + 1e-9


def test_the_key_tells_pixels_apart(lite0_config: BackboneConfig, limits: ImageLimits) -> None:
    keys = [
        TrainingViews(lite0_config, limits, count, seed).key
        for count, seed in ((1, 0), (2, 0), (3, 0), (3, 1))
    ]
    assert len(set(keys)) == 4
    # The plain view alone has no randomness.
    assert TrainingViews(lite0_config, limits, 1, 5).key == keys[0]


def test_what_is_no_image_is_refused(lite0_config: BackboneConfig, limits: ImageLimits) -> None:
    with pytest.raises(ImageError):
        TrainingViews(lite0_config, limits, 3)("a", b"text")
