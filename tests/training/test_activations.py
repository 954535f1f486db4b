"""The cache of activations: exact, resumable, never another one's, and never too large."""

import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import subprocess_environment
from helpers_tuning import KerasTrunk, cached, names, pictures, reader, tiny_cut, tiny_trunk

from tagkin.errors import BackboneError, TaggerError
from tagkin.training import activations as module
from tagkin.training.activations import (
    Activations,
    activation_bytes,
    cache_activations,
    clear_activations,
)
from tagkin.training.cut import Cut


@pytest.fixture(scope="module")
def cut() -> Cut:
    return tiny_cut()


def expected(cut: Cut, pixels: Any) -> Any:
    return np.asarray(cut.trunk(pixels.astype(np.float32), training=False))


def refuse(ids: Sequence[str]) -> Any:
    pytest.fail(f"{len(ids)} images were asked for")


def test_rows_are_in_the_order_of_the_ids(cut: Cut, tmp_path: Path) -> None:
    pixels = pictures(7, views=3)
    found = cached(cut, tmp_path, 7, views=3)
    assert found.ids == tuple(names(7))
    assert (found.dtype, found.views, len(found)) == ("float16", 3, 7)
    some, views = np.array([5, 0, 5]), np.array([2, 1, 0])
    rows = found.read(some, views)
    assert rows.shape == (3, *cut.boundary_shape)
    np.testing.assert_allclose(rows, expected(cut, pixels[some, views]), rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(found.read(some), found.read(some, np.zeros(3, int)))


def test_the_size_is_known_before(cut: Cut, tmp_path: Path) -> None:
    found = cached(cut, tmp_path, 5, views=2)
    data = found.folder / "rows.bin"
    assert data.stat().st_size == activation_bytes(cut.boundary_shape, 5, 2)
    assert activation_bytes((12, 12, 256), 1) == 73_728
    assert activation_bytes((12, 12, 256), 10, 2, "float32") == 20 * 2 * 73_728


def test_what_is_done_is_not_done_again(cut: Cut, tmp_path: Path) -> None:
    first = cached(cut, tmp_path, 6)
    again = cache_activations(tiny_trunk(cut), names(6), refuse, tmp_path, pixels="seed0")
    assert again.key == first.key
    np.testing.assert_array_equal(again.read(np.arange(6)), first.read(np.arange(6)))


def test_a_run_that_fails_half_way_goes_on(
    cut: Cut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_NOTE_AFTER_SECONDS", -1.0)
    pixels = pictures(9)

    def breaking(ids: Sequence[str]) -> Any:
        yield from ((image, pixels[names(9).index(image)]) for image in ids[:4])
        raise RuntimeError("pulled the plug")

    trunk = tiny_trunk(cut)
    with pytest.raises(RuntimeError):
        cache_activations(trunk, names(9), breaking, tmp_path)
    asked: list[str] = []

    def rest(ids: Sequence[str]) -> Any:
        asked.extend(ids)
        return reader(pixels)(ids)

    found = cache_activations(trunk, names(9), rest, tmp_path)
    assert asked == names(9)[4:]
    np.testing.assert_allclose(
        found.read(np.arange(9)), expected(cut, pixels[:, 0]), rtol=1e-3, atol=1e-3
    )


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {helpers!r})
from helpers_tuning import names, pictures, tiny_cut, tiny_trunk
from tagkin.training import activations
activations._NOTE_AFTER_SECONDS = -1.0
pixels = pictures(9)
def read(ids):
    for place, image in enumerate(ids):
        if place == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        yield image, pixels[place]
activations.cache_activations(tiny_trunk(tiny_cut()), names(9), read, Path({folder!r}))
"""


@pytest.mark.fault
def test_a_killed_run_goes_on(cut: Cut, tmp_path: Path) -> None:
    code = KILLED.format(helpers=str(Path(__file__).parent), folder=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", code], env=subprocess_environment(), timeout=120, check=False
    )
    assert done.returncode == -signal.SIGKILL
    asked: list[str] = []

    def rest(ids: Sequence[str]) -> Any:
        asked.extend(ids)
        return reader(pictures(9))(ids)

    found = cache_activations(tiny_trunk(cut), names(9), rest, tmp_path)
    assert asked == names(9)[5:]
    np.testing.assert_allclose(
        found.read(np.arange(9)), expected(cut, pictures(9)[:, 0]), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("other", ["ids", "order", "trunk", "pixels", "views"])
def test_activations_of_something_else_are_not_taken(cut: Cut, tmp_path: Path, other: str) -> None:
    first = cached(cut, tmp_path, 5)
    ids, key, pixels, views = names(5), "tiny", "seed0", 1
    if other == "ids":
        ids = names(4)
    elif other == "order":
        ids = ids[::-1]
    elif other == "trunk":
        key = "tuned"
    elif other == "pixels":
        pixels = "seed1"
    else:
        views = 2
    trunk = tiny_trunk(cut, key=key)
    found = cache_activations(
        trunk, ids, reader(pictures(5, views, 1)), tmp_path, views=views, pixels=pixels
    )
    assert found.key != first.key
    runner = trunk.runtime
    assert isinstance(runner, KerasTrunk)
    assert runner.images == len(ids) * views


def test_unreadable_images_are_left_out(cut: Cut, tmp_path: Path) -> None:
    pixels = pictures(6)

    def read(ids: Sequence[str]) -> Any:
        return ((i, p) for i, p in reader(pixels)(ids) if i not in ("image0", "image3"))

    found = cache_activations(tiny_trunk(cut), names(6), read, tmp_path)
    assert found.ids == ("image1", "image2", "image4", "image5")
    np.testing.assert_allclose(
        found.read(np.array([2])), expected(cut, pixels[4:5, 0]), rtol=1e-3, atol=1e-3
    )
    # They are tried once more by the next run.
    whole = cache_activations(tiny_trunk(cut), names(6), reader(pixels), tmp_path)
    assert len(whole) == 6


def test_no_readable_image_gives_no_rows(cut: Cut, tmp_path: Path) -> None:
    found = cache_activations(tiny_trunk(cut), names(3), lambda _: iter(()), tmp_path)
    assert len(found) == 0
    assert found.read(np.arange(0)).shape == (0, *cut.boundary_shape)


@pytest.mark.parametrize("factor", [1e6, 1e-9])
def test_what_half_precision_cannot_hold_is_stored_in_single(
    cut: Cut, tmp_path: Path, factor: float
) -> None:
    pixels, said = pictures(4), list[str]()

    def cache() -> Activations:
        trunk = tiny_trunk(cut, factor)
        return cache_activations(trunk, names(4), reader(pixels), tmp_path, note=said.append)

    found = cache()
    assert found.dtype == "float32"
    assert "single precision" in said[0]
    values = expected(cut, pixels[:, 0]) * np.float32(factor)
    np.testing.assert_allclose(found.read(np.arange(4)), values, rtol=1e-4, atol=1e-5 * factor)
    again = cache_activations(tiny_trunk(cut, factor), names(4), refuse, tmp_path)
    assert again.dtype == "float32"


def test_values_that_are_not_finite_are_refused(cut: Cut, tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="not finite for image image3"):
        cache_activations(tiny_trunk(cut, float("nan")), names(4), reader(pictures(4)), tmp_path)


def test_a_disk_without_room_is_refused_before_anything_runs(
    cut: Cut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    free = module._MARGIN + activation_bytes(cut.boundary_shape, 10) - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 0, free))
    with pytest.raises(TaggerError, match=r"10 images take 0\.0 GB .* free some space"):
        cache_activations(tiny_trunk(cut), names(10), refuse, tmp_path)
    cached(cut, tmp_path, 9)


def test_a_disk_that_fills_up_is_told(
    cut: Cut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(TaggerError, match=r"No space left on device.*what was stored stays"):
        cached(cut, tmp_path, 3)


def test_a_truncated_file_is_made_again(cut: Cut, tmp_path: Path) -> None:
    first = cached(cut, tmp_path, 5)
    values = first.read(np.arange(5))
    (first.folder / "rows.bin").write_bytes(b"short")
    np.testing.assert_array_equal(cached(cut, tmp_path, 5).read(np.arange(5)), values)


def test_views_that_are_missing_are_an_error(cut: Cut, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 views of image image2, not 2"):
        cache_activations(tiny_trunk(cut), names(3), reader(pictures(3)), tmp_path, views=2)


def test_old_activations_are_cleared(cut: Cut, tmp_path: Path) -> None:
    old, new = cached(cut, tmp_path, 3), cached(cut, tmp_path, 4)
    (tmp_path / "other").mkdir()
    clear_activations(tmp_path, [new])
    assert not old.folder.exists()
    assert new.folder.exists()
    new.delete()
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
