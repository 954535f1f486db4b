"""What is counted of each image and each tag, and in which order lists are made."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tagkin.training.counting import count_predictions, first_tags


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(0, 4), st.integers(1, 8)),
        elements=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    ),
    st.integers(1, 10),
)
def test_lists_are_in_order_the_earlier_tag_first_of_equals(
    keys: NDArray[np.float32], length: int
) -> None:
    expected = np.argsort(-keys, axis=1, kind="stable")[:, :length]
    np.testing.assert_array_equal(first_tags(keys, length), expected)


def test_counts_by_tag_and_by_image() -> None:
    labels = csr_array(np.array([[1, 1, 0], [0, 0, 0]], np.float32) * 0.5)
    scores = np.array([[0.9, 0.2, 0.8], [0.1, 0.2, 0.9]], np.float32)
    counts = count_predictions(labels, scores, np.full(3, 0.5))
    assert counts.tag_positives.tolist() == [1, 1, 0]
    assert counts.tag_predicted.tolist() == [1, 0, 2]
    assert counts.tag_hits.tolist() == [1, 0, 0]
    assert counts.image_positives.tolist() == [2, 0]
    assert counts.image_predicted.tolist() == [2, 1]
    assert counts.image_hits.tolist() == [1, 0]
    assert counts.image_listed_hits.tolist() == [[1, 2, 2], [0, 0, 0]]
    # Its tags are first and third of its list.
    np.testing.assert_allclose(counts.image_precision, [(1 + 2 / 3) / 2, np.nan])
    assert counts.reliability.counts.sum() == 6


def test_a_score_at_the_threshold_predicts() -> None:
    scores = np.array([[0.1]], np.float32)
    counts = count_predictions(csr_array(np.ones((1, 1))), scores, np.array([0.1], np.float64))
    assert counts.tag_hits.tolist() == [1]
