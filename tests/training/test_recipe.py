import pytest
from helpers_tuning import tuning_settings

from tagkin.settings import load_settings
from tagkin.training.recipe import Recipe


def test_the_published_recipe_is_the_default_and_its_rates_never_change() -> None:
    recipe = Recipe.from_settings(load_settings({}))
    assert (recipe.epochs, recipe.views) == (5, 1)
    assert recipe.learning_rate == recipe.head_learning_rate == 1e-5
    assert {recipe.rate_share(step, 50) for step in range(50)} == {1.0}
    assert not recipe.new_head


def test_settings_change_a_recipe_and_the_head_keeps_its_proportion() -> None:
    recipe = Recipe.from_settings(
        tuning_settings(
            fine_tune_recipe="one-cycle",
            fine_tune_learning_rate=1e-4,
            fine_tune_epochs=3,
            fine_tune_views=2,
        )
    )
    assert (recipe.epochs, recipe.views, recipe.learning_rate) == (3, 2, 1e-4)
    assert recipe.head_learning_rate == pytest.approx(1e-3)
    assert recipe.new_head


@pytest.mark.parametrize("steps", [1, 2, 7, 500])
def test_one_cycle_rises_to_the_whole_rate_and_falls_again(steps: int) -> None:
    recipe = Recipe.from_settings(load_settings({"fine_tune_recipe": "one-cycle"}))
    shares = [recipe.rate_share(step, steps) for step in range(steps)]
    assert all(0 < share <= 1 for share in shares)
    top = shares.index(max(shares))
    assert shares[: top + 1] == sorted(shares[: top + 1])
    assert shares[top:] == sorted(shares[top:], reverse=True)
    if steps == 500:
        assert shares[top] == 1.0
        assert 90 <= top <= 110
        assert shares[0] < 0.02
        assert shares[-1] < 0.001
