"""Blocks cover every score once, and presence is all that counts of labels."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tagkin.head import Head
from tagkin.training.score_blocks import ScoreBlocks, presence, sigmoid, tag_counts


@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 20))
def test_both_walks_put_together_are_the_whole(images: int, tags: int, block_values: int) -> None:
    whole = np.arange(images * tags, dtype=np.float32).reshape(images, tags)
    blocks = ScoreBlocks(whole.shape, lambda i, t: whole[i, t], block_values=block_values)
    for walk, axis in ((blocks.by_tags(), 1), (blocks.by_images(), 0)):
        seen = np.full_like(whole, -1)
        for some, block in walk:
            assert block.size <= max(block_values, whole.shape[1 - axis])
            seen[(slice(None), some) if axis else some] = block
        np.testing.assert_array_equal(seen, whole)


def test_a_head_in_blocks_scores_as_in_one_piece() -> None:
    rng = np.random.default_rng(0)
    head = Head(rng.normal(size=(8, 5)).astype(np.float32), np.arange(5, dtype=np.float32))
    vectors = rng.normal(size=(5000, 8)).astype(np.float16)
    blocks = ScoreBlocks.of_head(head, vectors)
    whole = head.scores(vectors)
    parts = [blocks.block(slice(a, a + 1250), slice(0, 5)) for a in range(0, 5000, 1250)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)
    np.testing.assert_allclose(blocks.of_tag(3), whole[:, 3], atol=1e-6)
    np.testing.assert_allclose(blocks.of_images(np.array([7, 2])), whole[[7, 2]], atol=1e-6)
    assert blocks.of_images(np.array([], int)).shape == (0, 5)
    logits = ScoreBlocks.of_logits(head, vectors)
    np.testing.assert_allclose(logits.map(sigmoid).of_tag(1), whole[:, 1], atol=1e-6)


def test_the_sigmoid_bears_any_logit() -> None:
    values = sigmoid(np.array([-np.inf, -1000, 0, 1000, np.inf], np.float32))
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, [0, 0, 0.5, 1, 1], atol=1e-20)


def test_presence_forgets_weights_order_and_doubles() -> None:
    labels = csr_array(
        (np.array([0.5, 0.1, 1, 1], np.float32), [2, 0, 1, 1], [0, 2, 4]), shape=(2, 3)
    )
    present = presence(labels)
    np.testing.assert_array_equal(present.toarray(), [[1, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(tag_counts(labels), [1, 1, 1])
    assert labels.nnz == 4  # the caller's own is left alone
