"""What the nearest training images say: shares, bounds, arrays."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tagkin.neighbours import NEIGHBOURS, Neighbours
from tagkin.training.judged import near_logits


def two_kinds(images: int = 40) -> tuple[np.ndarray[Any, Any], Any]:
    """Images of two kinds, far apart; the first kind has tag 0, the second tag 1; none has 2."""
    rng = np.random.default_rng(0)
    kind = np.arange(images) % 2
    vectors = rng.normal(0, 0.1, (images, 8)).astype(np.float32)
    vectors[np.arange(images), kind] += 1
    return vectors, csr_array(np.stack([kind == 0, kind == 1, kind > 1], axis=1).astype(np.float32))


def test_near_images_speak_for_their_tags() -> None:
    vectors, labels = two_kinds()
    shares = np.exp(Neighbours.of(vectors, labels).logits(vectors[:2]))
    assert shares[0, 0] > 0.95
    assert shares[1, 1] > 0.95
    assert (shares[[0, 1], [1, 0]] < 0.1).all()
    assert (shares[:, 2] < 1e-6).all()


def test_blocks_are_the_same_as_one_by_one() -> None:
    vectors, labels = two_kinds(NEIGHBOURS * 3)
    known = Neighbours.of(vectors, labels)
    blocks = near_logits(known, vectors[:7])
    assert blocks.shape == (7, 3)
    one_by_one = np.concatenate([known.logits(v[None]) for v in vectors[:7]])
    np.testing.assert_allclose(blocks.block(slice(0, 7), slice(0, 3)), one_by_one, atol=1e-4)
    np.testing.assert_allclose(
        blocks.block(slice(2, 5), slice(1, 3)), one_by_one[2:5, 1:], atol=1e-4
    )


@settings(deadline=None)
@given(
    images=st.integers(1, 130), tags=st.integers(1, 4), seed=st.integers(0, 99), same=st.booleans()
)
def test_logits_are_finite_and_survive_storage(
    images: int, tags: int, seed: int, same: bool
) -> None:
    rng = np.random.default_rng(seed)
    vectors = (np.zeros if same else rng.standard_normal)((images, 4)).astype(np.float16)
    labels = csr_array((rng.random((images, tags)) < 0.3).astype(np.float32))
    known = Neighbours.of(vectors, labels)
    logits = known.logits(vectors[:3])
    assert np.isfinite(logits).all()
    assert (logits < 0.2).all()
    again = Neighbours.from_arrays(known.to_arrays())
    np.testing.assert_array_equal(again.logits(vectors[:3]), logits)


def test_arrays_that_do_not_fit_are_refused() -> None:
    arrays = Neighbours.of(*two_kinds()).to_arrays()
    with pytest.raises(ValueError, match="don't fit"):
        Neighbours.from_arrays({**arrays, "tags": np.array(1)})
    with pytest.raises(ValueError, match="don't fit"):
        Neighbours.from_arrays({**arrays, "centre": np.zeros(3, np.float32)})
