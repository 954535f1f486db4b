"""Near-duplicates by perceptual hash: exact, and of use on real pictures."""

import io
import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tagkin.demo import demo_collection
from tagkin.fitting import perceptual_hash
from tagkin.images import ImageLimits, decode
from tagkin.near_duplicates import group_by_hash

LIMITS = ImageLimits(max_pixels=10_000_000, max_bytes=10_000_000)


def same(groups: NDArray[np.int64]) -> list[list[bool]]:
    return [[bool(a == b) for b in groups] for a in groups]


def brute_force(hashes: list[int], distance: int) -> list[list[bool]]:
    groups = np.arange(len(hashes))
    for i, first in enumerate(hashes):
        for j, second in enumerate(hashes[:i]):
            if (first ^ second).bit_count() <= distance:
                groups[groups == groups[i]] = groups[j]
    return same(groups)


HASH = st.integers(0, 2**64 - 1)
FLIPS = st.lists(st.integers(0, 63), unique=True, max_size=10)


PLANTED = st.lists(st.tuples(HASH, st.lists(FLIPS, max_size=4)), min_size=1, max_size=8)


def planted_hashes(planted: list[tuple[int, list[list[int]]]]) -> list[int]:
    hashes = []
    for start, neighbours in planted:
        hashes.append(start)
        for flips in neighbours:
            hashes.append(hashes[-1] ^ sum(1 << bit for bit in flips))
    return hashes


@settings(deadline=None, max_examples=150)
@given(PLANTED, st.integers(0, 8))
def test_equals_comparing_all_pairs(planted: list[tuple[int, list[list[int]]]], far: int) -> None:
    hashes = planted_hashes(planted)
    groups = group_by_hash(np.array(hashes, np.uint64), far)
    assert (groups.dtype, groups.shape) == (np.int64, (len(hashes),))
    assert same(groups) == brute_force(hashes, far)


@settings(deadline=None, max_examples=150)
@given(PLANTED, st.integers(0, 8), st.randoms(use_true_random=False))
def test_new_hashes_join_the_groups_that_are_there(
    planted: list[tuple[int, list[list[int]]]], far: int, rng: random.Random
) -> None:
    hashes = planted_hashes(planted)
    rng.shuffle(hashes)
    new = len(hashes) // 9
    known = group_by_hash(np.array(hashes[new:], np.uint64), far)
    before = np.concatenate([np.full(new, -1), known])
    groups = group_by_hash(np.array(hashes, np.uint64), far, before)
    assert same(groups) == brute_force(hashes, far)


@pytest.mark.parametrize("new", [1, 40])
def test_groups_that_are_there_are_only_joined(new: int) -> None:
    rng = np.random.default_rng(new)
    hashes = rng.integers(0, 2**64, 2000, np.uint64)
    hashes[1000:] = hashes[:1000] ^ np.uint64(0b111_1000)  # each with a bridge in between
    bridges = rng.permutation(1000)[:new]
    every = np.concatenate([hashes, hashes[bridges] ^ np.uint64(0b1_1000)])
    known = np.concatenate([np.arange(2000), np.full(new, -1)])
    groups = group_by_hash(every, 2, known)
    assert same(groups[:50]) == same(group_by_hash(every, 2)[:50])
    assert len(set(groups)) == 2000 - new
    assert (groups[bridges] == groups[bridges + 1000]).all()
    assert (groups[2000:] == groups[bridges]).all()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32), st.sampled_from([12, 16, 20]), st.integers(1, 4), st.booleans())
def test_crowds_of_hashes_that_are_nearly_the_same(
    seed: int, width: int, far: int, scattered: bool
) -> None:
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**width, 150, np.uint64)
    if scattered:  # over all bits
        hashes = hashes * np.uint64(0x0001_0004_0010_0041)
    assert same(group_by_hash(hashes, far)) == brute_force(hashes.tolist(), far)


@pytest.mark.parametrize("bits", [17, 26])
def test_many_nearly_equal_hashes_take_little_memory(bits: int) -> None:
    hashes = np.random.default_rng(0).integers(0, 2**bits, 6_000, np.uint64)
    tracemalloc.start()
    groups = group_by_hash(hashes, 4)
    assert tracemalloc.get_traced_memory()[1] < 300 * 2**20
    tracemalloc.stop()
    assert len(set(groups)) < 6_000


@pytest.mark.parametrize("distance", range(0, 16, 3))
def test_the_limit_is_exact_wherever_the_bits_are(distance: int) -> None:
    rng = np.random.default_rng(distance)
    for _ in range(20):
        bits = [1 << int(bit) for bit in rng.permutation(64)[: distance + 1]]
        near, far = sum(bits[:-1]), sum(bits)
        assert len(set(group_by_hash(np.array([0, near], np.uint64), distance))) == 1
        assert len(set(group_by_hash(np.array([0, far], np.uint64), distance))) == 2


def test_a_chain_is_one_group() -> None:
    hashes = np.array([(1 << 4 * step) - 1 for step in range(16)], np.uint64)
    assert len(set(group_by_hash(hashes, 4))) == 1
    assert len(set(group_by_hash(hashes, 3))) == 16


def test_identical_hashes() -> None:
    hashes = np.array([7, 2**64 - 1, 7, 7, 0], np.uint64)
    assert same(group_by_hash(hashes, 0)) == brute_force(hashes.tolist(), 0)


def test_one_image() -> None:
    assert group_by_hash(np.array([5], np.uint64), 3).tolist() == [0]


def test_groups_are_numbered_from_0() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**64, 50, np.uint64)
    assert sorted(group_by_hash(hashes, 0)) == list(range(50))


def test_many_hashes_with_a_slice_in_common() -> None:
    rng = np.random.default_rng(1)
    hashes = rng.integers(0, 2**64, 6000, np.uint64) & ~np.uint64(0xFFFF)
    hashes[1::2] = hashes[::2] ^ np.uint64(1 << 40)
    groups = group_by_hash(hashes, 2)
    assert (groups[1::2] == groups[::2]).all()
    assert len(set(groups)) == 3000


# Real pictures

# Drawings are hard: large even areas leave frequencies near zero, whose sign then is chance.
_MEASURED = {3: (0.83, 0.94), 4: (0.92, 0.96)}


def encode(image: Image.Image, format: str, **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def demo_hashes() -> NDArray[np.uint64]:
    """Shape (images, 3): of the original, as JPEG of quality 60, and at half the size."""
    rows = []
    for path in sorted((demo_collection().parent / "images").iterdir())[::3]:
        image = decode(path.read_bytes(), LIMITS).image
        half = image.resize((max(1, image.width // 2), max(1, image.height // 2)))
        copies = [encode(image, "JPEG", quality=60), encode(half, "PNG")]
        hashes = [perceptual_hash(decode(data, LIMITS).image) for data in copies]
        rows.append([perceptual_hash(image), *hashes])
    return np.array(rows, np.uint64)


@pytest.mark.parametrize("distance", _MEASURED)
def test_copies_of_real_pictures_are_found(demo_hashes: NDArray[np.uint64], distance: int) -> None:
    groups = group_by_hash(demo_hashes.ravel(), distance).reshape(-1, 3)
    jpeg, half = _MEASURED[distance]
    assert (groups[:, 0] == groups[:, 1]).mean() >= jpeg
    assert (groups[:, 0] == groups[:, 2]).mean() >= half


def test_different_pictures_are_mostly_apart(demo_hashes: NDArray[np.uint64]) -> None:
    groups = group_by_hash(demo_hashes[:, 0], 4)
    assert np.bincount(groups).max() <= 5
    assert (np.bincount(groups)[groups] > 1).mean() < 0.08
