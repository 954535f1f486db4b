"""The head learns what can be learned, the same way every time."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tagkin.settings import Settings, load_settings
from tagkin.training.fit import Fit, fit_head
from tagkin.training.metrics import average_precision


def made(count: int, seed: int) -> tuple[NDArray[np.float16], Any]:
    """Vectors of 16 numbers, of which the first 3 decide about a tag each; the last is dead."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(3, 2, (count, 16))
    labels = (vectors[:, :3] > [3, 4, 5]).astype(np.uint8)
    vectors[:, 15] = 0
    return vectors.astype(np.float16), csr_array(labels)


def fit(**changes: Any) -> Fit:
    settings: Settings = load_settings(
        {"max_epochs": 30, "learning_rate": 0.02, "dropout": 0.1, **changes}
    )
    return fit_head(*made(300, 1), *made(100, 2), settings)


@pytest.fixture(scope="module")
def fitted() -> Fit:
    return fit()


def test_learns_what_can_be_parted(fitted: Fit) -> None:
    vectors, labels = made(200, 3)
    assert average_precision(labels, fitted.head.scores(vectors)).min() > 0.95


def test_probabilities_are_calibrated_on_the_whole(fitted: Fit) -> None:
    vectors, labels = made(1000, 4)
    means = fitted.head.scores(vectors).mean(axis=0)
    np.testing.assert_allclose(means, labels.mean(axis=0), atol=0.06)


def test_the_same_seed_gives_the_same_head(fitted: Fit) -> None:
    again = fit()
    np.testing.assert_array_equal(again.head.kernel, fitted.head.kernel)
    np.testing.assert_array_equal(again.head.bias, fitted.head.bias)
    assert again.history == fitted.history
    other = fit(seed=5)
    assert not np.array_equal(other.head.kernel, fitted.head.kernel)


def test_the_best_epoch_is_kept_and_training_stops_after_it() -> None:
    # A huge learning rate makes later epochs worse.
    result = fit(learning_rate=0.7, patience=3, max_epochs=40)
    vectors, labels = made(100, 2)
    kept = float(np.nanmean(average_precision(labels, result.head.scores(vectors))))
    assert kept == pytest.approx(max(e.validation_map for e in result.history), abs=1e-6)
    best = max(e.validation_map for e in result.history)
    assert result.history[result.best_epoch - 1].validation_map == best
    assert len(result.history) <= result.best_epoch + 3


def test_the_best_epoch_is_kept_when_there_are_no_more_epochs() -> None:
    result = fit(learning_rate=0.7, patience=50, max_epochs=8)
    vectors, labels = made(100, 2)
    kept = float(np.nanmean(average_precision(labels, result.head.scores(vectors))))
    assert len(result.history) == 8
    assert kept == pytest.approx(max(e.validation_map for e in result.history), abs=1e-6)


def test_a_feature_that_never_varied_has_no_say(fitted: Fit) -> None:
    assert np.isfinite(fitted.head.kernel).all()
    vectors, _ = made(10, 5)
    changed = vectors.copy()
    changed[:, 15] = 50
    np.testing.assert_array_equal(fitted.head.scores(changed), fitted.head.scores(vectors))


def test_a_single_image_and_a_tag_that_all_have() -> None:
    vectors = np.ones((1, 4), np.float16)
    labels = csr_array(np.ones((1, 2), np.uint8))
    result = fit_head(vectors, labels, vectors, labels, load_settings({"max_epochs": 2}))
    assert np.isfinite(result.head.scores(vectors)).all()


def test_reports_progress_to_the_end() -> None:
    calls: list[tuple[str, int, int]] = []
    settings = load_settings({"max_epochs": 3})
    fit_head(*made(50, 1), *made(50, 2), settings, progress=lambda *call: calls.append(call))
    assert [done for _, done, _ in calls] == [1, 2, 3, 3]
    assert {total for _, _, total in calls} == {3}
