import numpy as np
import pytest

from tagkin.variants.folding import make_form
from tagkin.variants.spelling_features import FEATURES, Text, features, to_text
from tagkin.variants.spelling_model import shipped_model, to_model
from tagkin.variants.word_lists import WordLists

NOTHING = WordLists({})


def pair(a: str, b: str) -> tuple[Text, Text]:
    return to_text(make_form(a)), to_text(make_form(b))


def column(name: str, a: str, b: str, lists: WordLists = NOTHING) -> float:
    (row,) = features([pair(a, b)], lists)
    return float(row[FEATURES.index(name)])


def test_features_are_symmetric() -> None:
    lists = WordLists({"en": {"house": 5, "horse": 900}})
    for a, b in (("house", "horse"), ("häuser", "haus"), ("abc", "cba"), ("a", "😀")):
        one, other = features([pair(a, b), pair(b, a)], lists)
        np.testing.assert_array_equal(one, other)


def test_where_and_how_two_words_differ() -> None:
    assert column("swaps", "house", "huose") == 1
    assert column("distance", "house", "huose") == 1
    assert column("start", "house", "horse") == 2
    assert column("doubled", "cool", "coool") == 1
    assert column("vowels", "vegetable", "vegitable") == 1
    assert column("vowels", "house", "horse") == 0
    assert column("endings", "geography", "geographic") == 1
    assert column("endings", "painting", "painter") == -1


def test_who_knows_the_words() -> None:
    lists = WordLists({"en": {"house": 999, "orchestra": 9}, "de": {"orchester": 9}})
    assert column("known", "house", "hause") == -1
    assert column("known", "house", "hause", lists) == 1
    assert column("known", "orchestra", "orchester", lists) == 2
    assert column("known", "orchestra", "house", lists) == 3
    assert column("gap", "orchestra", "house", lists) == pytest.approx(2)


def test_a_tree_by_hand() -> None:
    tree = {
        "feature": [FEATURES.index("distance"), 0, 0],
        "threshold": [1.5, 0, 0],
        "left": [1, 1, 2],
        "right": [2, 1, 2],
        "value": [0, 2.0, -3.0],
    }
    stump = {"feature": [0], "threshold": [0], "left": [0], "right": [0], "value": [0.5]}
    model = to_model(
        {
            "features": list(FEATURES),
            "base": 0.25,
            "strata": [[0.9, 1.0], [0.0, -1.0]],
            "depth": 1,
            "trees": [tree, stump],
        }
    )
    rows = np.zeros((2, len(FEATURES)), np.float32)
    rows[:, FEATURES.index("distance")] = (1, 2)
    rows[:, FEATURES.index("jaro_winkler")] = (0.95, 0.5)
    np.testing.assert_allclose(model.llr(rows), [3.75, -3.25])
    assert model.llr(rows[:0]).shape == (0,)


def test_the_shipped_model_fits_the_features() -> None:
    table = features([pair("vegetable", "vegitable"), pair("mountain", "kitchen")], NOTHING)
    typo, other = shipped_model().llr(table)
    assert typo > 5
    assert other < 0


def test_a_model_of_other_features_is_refused() -> None:
    with pytest.raises(ValueError, match="other features"):
        to_model({"features": ["length"]})
