"""Views: what their names mean, what they show, and that their vectors are averaged."""

import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tagkin import fitting, images
from tagkin.backbones import BackboneConfig, Runtime
from tagkin.embeddings import decode_views
from tagkin.errors import SettingsError
from tagkin.images import ImageLimits
from tagkin.settings import Fit, Settings, View, load_settings
from tagkin.views import embed_views, least_size, make_views, wanted_views

FITS: tuple[Fit, ...] = typing.get_args(Fit)
VIEWS: tuple[View, ...] = typing.get_args(View)


def wanted(views: str, fit: str | None = None) -> tuple[View, ...]:
    return wanted_views(load_settings({"views": views, "fit": fit}))


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """Wider than high, and like its mirror image nowhere."""
    noise = np.random.default_rng(3).integers(0, 256, (6, 9, 3), np.uint8)
    return Image.fromarray(noise).resize((120, 80), Image.Resampling.BICUBIC)


# Names


@pytest.mark.parametrize("fit", FITS)
def test_the_only_view_is_the_fit_unless_views_are_asked_for(fit: str) -> None:
    assert wanted_views(load_settings({"fit": fit})) == (fit,)
    assert wanted("squeeze", fit) == ("squeeze",)


@pytest.mark.parametrize(
    ("views", "expected"),
    [
        ("squeeze,crop", ("squeeze", "crop")),
        (" squeeze , crop,", ("squeeze", "crop")),
        ("squeeze,crop,flip", ("squeeze", "crop", "crop-flip")),
        ("pad,flip,crop,flip", ("pad", "pad-flip", "crop", "crop-flip")),
        ("crop-flip", ("crop-flip",)),
        ("squeeze-flip,crop", ("squeeze-flip", "crop")),
    ],
)
def test_a_flip_mirrors_the_view_before_it(views: str, expected: tuple[View, ...]) -> None:
    assert wanted(views) == expected


@pytest.mark.parametrize("fit", FITS)
def test_the_first_flip_mirrors_the_fit(fit: str) -> None:
    assert wanted("flip,pad", fit) == (f"{fit}-flip", "pad")


@pytest.mark.parametrize(
    ("views", "twice"),
    [
        ("pad,pad", "pad"),
        ("crop,squeeze,crop", "crop"),
        ("squeeze,flip,flip", "squeeze-flip"),
        ("pad-flip,flip", "pad-flip"),
        ("crop,flip,crop-flip", "crop-flip"),
    ],
)
def test_a_view_that_would_count_double_is_refused(views: str, twice: str) -> None:
    with pytest.raises(SettingsError, match=f"'{twice}' is asked for twice in --views"):
        wanted(views)


def test_an_unknown_view_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="'pad', 'squeeze', 'crop'"):
        load_settings({"views": "squeeze,zoom"})


def test_views_come_from_a_file_and_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAGKIN_VIEWS", "crop,flip")
    assert wanted_views(load_settings()) == ("crop", "crop-flip")
    (tmp_path / "tagkin.toml").write_text('views = ["squeeze", "flip"]')
    assert wanted_views(load_settings()) == ("squeeze", "squeeze-flip")


@given(st.lists(st.sampled_from(VIEWS), max_size=6), st.sampled_from(FITS))
def test_views_are_refused_or_each_asked_for_once(views: list[View], fit: Fit) -> None:
    settings = load_settings({"views": ",".join(views), "fit": fit})
    try:
        found = wanted_views(settings)
    except SettingsError:
        assert len(set(views)) < len(views) or "flip" in views
        return
    assert len(set(found)) == len(found) == max(1, len(views))
    assert "flip" not in found
    for asked, full in zip(views, found, strict=False):
        assert full.endswith("-flip") if asked == "flip" else full == asked
    assert wanted(",".join(found), fit) == found  # the full names stand for themselves


# Pixels


@pytest.mark.parametrize("view", [view for view in VIEWS if view != "flip"])
def test_a_view_is_the_fitted_image_or_its_mirror_image(view: View, picture: Image.Image) -> None:
    made = make_views(picture, 32, (view,))
    assert (made.shape, made.dtype) == ((1, 32, 32, 3), np.uint8)
    fit = typing.cast("Fit", view.removesuffix("-flip"))
    plain = fitting.fit_square(picture, 32, fit)
    mirrored = np.stack([row[::-1] for row in plain])
    assert not np.array_equal(plain, mirrored)
    np.testing.assert_array_equal(made[0], mirrored if view.endswith("-flip") else plain)


def test_views_come_in_the_order_asked_for(picture: Image.Image) -> None:
    views: tuple[View, ...] = ("crop-flip", "pad", "squeeze-flip", "crop")
    made = make_views(picture, 32, views)
    assert made.shape == (4, 32, 32, 3)
    for place, view in enumerate(views):
        np.testing.assert_array_equal(made[place], make_views(picture, 32, (view,))[0])


def test_an_image_is_decoded_once_and_fitted_once_each_way(
    picture: Image.Image,
    lite0_config: BackboneConfig,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    from dataclasses import replace

    decoded: list[int] = []
    fitted: list[str] = []
    decode, fit_square = images.decode, fitting.fit_square

    def count_decode(*args: Any, **options: Any) -> Any:
        decoded.append(1)
        return decode(*args, **options)

    def count_fit(image: Image.Image, size: int, fit: Fit, box: images.Box) -> Any:
        fitted.append(fit)
        return fit_square(image, size, fit, box)

    monkeypatch.setattr(images, "decode", count_decode)
    monkeypatch.setattr(fitting, "fit_square", count_fit)
    picture.save(tmp_path / "picture.png")
    config = replace(lite0_config, views=("crop", "crop-flip", "pad"), image_size=32)
    limits = ImageLimits(1_000_000, 1_000_000)
    views = decode_views((tmp_path / "picture.png").read_bytes(), config, limits)
    assert views.shape == (3, 32, 32, 3)
    assert (len(decoded), fitted) == (1, ["crop", "pad"])


@pytest.mark.parametrize("size", [32, 224, 384])
def test_decoding_is_as_fine_as_the_finest_view_needs(size: int) -> None:
    for fit in FITS:
        expected = fitting.least_size(900, 700, size, fit)
        assert least_size(900, 700, size, (fit,)) == expected
        flipped = typing.cast("View", f"{fit}-flip")
        assert least_size(900, 700, size, (flipped,)) == expected
    widths, heights = zip(*(fitting.least_size(900, 700, size, fit) for fit in FITS), strict=True)
    finest = max(widths), max(heights)
    assert least_size(900, 700, size, ("squeeze", "crop", "pad")) == finest


# Vectors


class Means:
    """A backbone whose vector is the mean of each colour."""

    def embed_stream(
        self, images: Iterable[tuple[Any, NDArray[np.uint8]]]
    ) -> Iterator[tuple[Any, NDArray[np.float32]]]:
        for key, image in images:
            assert image.shape == (4, 4, 3)
            yield key, image.mean((0, 1)).astype(np.float32)


@pytest.mark.parametrize("views", [1, 2, 3])
def test_the_vectors_of_the_views_are_averaged_in_order(views: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, views, 4, 4, 3), np.uint8)
    keys = ["a", "b", "b", "c", "a", "d", "e"]  # a key is whatever the caller likes
    found = list(embed_views(Means(), zip(keys, pixels, strict=True)))
    assert [key for key, _ in found] == keys
    vectors = np.stack([vector for _, vector in found])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, pixels.mean((1, 2, 3)), rtol=1e-5)


def test_images_may_have_different_numbers_of_views() -> None:
    pixels = [np.full((count, 4, 4, 3), 10 * count, np.uint8) for count in (2, 1, 3)]
    found = list(embed_views(Means(), enumerate(pixels)))
    assert [(key, vector[0]) for key, vector in found] == [(0, 20), (1, 10), (2, 30)]


def test_no_images_no_vectors() -> None:
    assert list(embed_views(Means(), [])) == []


def test_the_real_backbones_vector_of_two_views_is_the_mean_of_both(
    lite0: Runtime, demo_images: list[Path], lite0_settings: Settings
) -> None:
    limits = ImageLimits.from_settings(lite0_settings)
    pictures = [images.decode(path.read_bytes(), limits).image for path in demo_images[:3]]

    def embed(*views: View) -> NDArray[np.float32]:
        squares = ((number, make_views(p, 224, views)) for number, p in enumerate(pictures))
        return np.stack([vector for _, vector in embed_views(lite0, squares)])

    both, squeeze, crop = embed("squeeze", "crop"), embed("squeeze"), embed("crop")
    assert np.abs(squeeze - crop).max() > 0.01  # or there would be nothing to average
    np.testing.assert_allclose(both, (squeeze + crop) / 2, rtol=1e-5, atol=1e-6)
