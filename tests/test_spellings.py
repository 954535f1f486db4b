"""What somebody may have meant."""

import time

from hypothesis import given
from hypothesis import strategies as st

from tagkin.spellings import near_spellings


def test_the_nearest_come_first_and_strangers_not_at_all() -> None:
    names = ["dog", "cat", "cats", "category", "house"]
    assert near_spellings("cetegory", names) == "; did you mean 'category'?"
    assert near_spellings("catz", names) == "; did you mean 'cat' or 'cats'?"
    assert near_spellings("xyzzy", names) == ""
    assert near_spellings("", names) == near_spellings("cat", []) == ""


@given(st.text(), st.lists(st.text(), max_size=5))
def test_any_text_can_be_compared(name: str, names: list[str]) -> None:
    hint = near_spellings(name, names)
    assert hint == "" or hint.startswith("; did you mean ")


def test_many_tags_are_no_reason_to_wait() -> None:
    names = [f"tag number {n} of many" for n in range(200_000)]
    started = time.monotonic()
    assert near_spellings("tag numbr 77 of many", names)
    assert time.monotonic() - started < 5
