"""Tags with weights: as many numbers as tags, each from 0 to 1."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagkin.sources.weights import weigh


@pytest.mark.parametrize(
    ("tags", "weights", "expected"),
    [
        ("cat|dog", "0.5|1", (("cat", "dog"), (0.5, 1.0))),
        (" cat | dog ", " .5 | 1e-1 ", (("cat", "dog"), (0.5, 0.1))),
        ("cat|dog", "1|1.0", (("cat", "dog"), ())),
        ("cat|dog", " ", (("cat", "dog"), ())),
        ("cat|dog", "0|0.5", (("cat", "dog"), (0.0, 0.5))),
        ("cat||dog", "0.5||0.25", (("cat", "dog"), (0.5, 0.25))),
        ("cat||dog", "0.5|1|0.25", (("cat", "dog"), (0.5, 0.25))),
        ("cat||dog", "0.5|0.25", (("cat", "dog"), (0.5, 0.25))),
        ("cat|dog|", "0.5|0.25", (("cat", "dog"), (0.5, 0.25))),
        ("cat", "0.5|", (("cat",), (0.5,))),
        ("cat|cat", "0.5|0.25", (("cat", "cat"), (0.5, 0.25))),
        ("", "", ((), ())),
        ("", "0.5", ((), ())),
        (["a|b", " ", "c"], [0.5, None, 1], (("a|b", "c"), (0.5, 1.0))),
        (["a", "b"], [Decimal("0.5"), "0.25"], (("a", "b"), (0.5, 0.25))),
        (["a", "b"], "0.5|0.25", (("a", "b"), (0.5, 0.25))),
        (["a", "b"], [None, None], (("a", "b"), ())),
        ("a|b", [0.5, 0], (("a", "b"), (0.5, 0.0))),
    ],
)
def test_weights_go_with_tags(tags: Any, weights: Any, expected: Any) -> None:
    assert weigh(tags, weights, "|") == expected


def test_a_cell_that_is_one_tag_has_one_weight() -> None:
    assert weigh("a, b|c", "0.5", "") == (("a, b|c",), (0.5,))


@pytest.mark.parametrize(
    ("tags", "weights", "reason"),
    [
        ("cat|dog", "0.5", "1 weight for 2 tags"),
        ("cat", "0.5|0.5", "2 weights for 1 tag:"),
        ("", "0.5|0.5", "2 weights for 0 tags"),
        ("cat|dog", "0.5|", "the tag 'dog' has no weight"),
        ("cat||dog", "0.5|0.5|", "the tag 'dog' has no weight"),
        ("cat", "high", "the weight 'high' is not a number"),
        ("cat", "0,5", "the weight '0,5' is not a number"),
        ("cat", "0_1", "the weight '0_1' is not a number"),
        ("cat", "nan", "the weight nan is not from 0 to 1"),
        ("cat", "-0.1", "the weight -0.1 is not from 0 to 1"),
        ("cat", "1.01", "not from 0 to 1"),
        ("cat", "50 %", "is not a number"),
        (["cat"], [float("inf")], "not from 0 to 1"),
        (["cat"], [10**400], "is not a number"),
        (["cat"], ["9" * 1000], "not from 0 to 1"),
    ],
)
def test_weights_that_cannot_be(tags: Any, weights: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        weigh(tags, weights, "|")
    assert len(str(caught.value)) < 200


TAGS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="|"), max_size=5), max_size=5
)


@given(TAGS, st.data())
def test_what_was_joined_is_read_back(tags: list[str], data: st.DataObject) -> None:
    size = len(tags)
    weights = data.draw(st.lists(st.floats(0, 1), min_size=size, max_size=size))
    expected = [(t.strip(), w) for t, w in zip(tags, weights, strict=True) if t.strip()]
    names, numbers = weigh("|".join(tags), "|".join(map(repr, weights)), "|")
    assert names == tuple(tag for tag, _ in expected)
    assert (numbers or (1.0,) * len(names)) == tuple(weight for _, weight in expected)


@given(
    st.text() | st.lists(st.text()),
    st.text("01.|-e nax_", max_size=12) | st.lists(st.none() | st.floats() | st.text()),
    st.sampled_from(["|", ",", "", "\n"]),
)
def test_anything_gives_weights_from_0_to_1_or_a_reason(
    tags: Any, weights: Any, separator: str
) -> None:
    try:
        names, numbers = weigh(tags, weights, separator)
    except ValueError as error:
        assert str(error)
        return
    assert all(tag and tag == tag.strip() for tag in names)
    assert len(numbers) in (0, len(names))
    assert all(0 <= weight <= 1 for weight in numbers)
