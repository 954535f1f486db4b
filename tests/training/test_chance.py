"""Random rankings give what counting every possible ranking gives."""

from itertools import combinations

import numpy as np
import pytest

from tagkin.training.chance import chance_bound, chance_bounds, random_precisions


def every_precision(images: int, positives: int) -> np.ndarray:
    ranks = np.array(list(combinations(range(1, images + 1), positives)))
    return np.asarray((np.arange(1, positives + 1) / ranks).mean(axis=1))


@pytest.mark.parametrize(("images", "positives"), [(20, 1), (12, 3), (10, 5), (9, 8)])
def test_agrees_with_every_possible_ranking(images: int, positives: int) -> None:
    exact = every_precision(images, positives)
    drawn = random_precisions(images, positives)
    assert drawn.mean() == pytest.approx(exact.mean(), abs=0.02)
    bound = chance_bound(images, positives)
    # The share of rankings below the bound, as far as there is such a quantile among so few.
    assert (exact < bound - 1e-9).mean() <= 0.96
    assert (exact <= bound + 1e-9).mean() >= 0.94


def test_shuffled_scores_pass_for_chance_as_often_as_asked() -> None:
    rng = np.random.default_rng(0)
    ranks = np.sort(np.argsort(rng.random((1000, 400)), axis=1)[:, :12] + 1, axis=1)
    precisions = (np.arange(1, 13) / ranks).mean(axis=1)
    assert (precisions > chance_bound(400, 12)).mean() == pytest.approx(0.05, abs=0.025)


def test_more_images_with_the_tag_leave_less_to_luck() -> None:
    distances = [chance_bound(10_000, k) - k / 10_000 for k in (10, 100, 1000)]
    assert 0 < distances[1] < 0.05
    assert distances[2] < 0.02


@pytest.mark.parametrize("images", [1, 7, 5000])
def test_a_tag_on_every_image_is_always_right(images: int) -> None:
    assert chance_bound(images, images) == pytest.approx(1)


def test_of_many_tags_and_the_same_each_time() -> None:
    bounds = chance_bounds(100, np.array([5, 0, 5, 20]))
    assert np.isnan(bounds[1])
    assert bounds[0] == bounds[2] == chance_bound(100, 5)
    chance_bound.cache_clear()
    assert chance_bound(100, 5) == bounds[0]
