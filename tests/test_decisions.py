"""Decisions are replayed: what is in force is what the owner said last."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tagkin.decisions import (
    Decision,
    DecisionKind,
    accepted_implications,
    accepted_merges,
    in_force,
    links,
    undone,
)


def replay(
    *entries: tuple[DecisionKind, tuple[str, ...], str | None, int | None],
) -> list[Decision]:
    return [
        Decision(number, kind, tags, canonical, undoes, "2024-01-01T00:00:00+00:00", "owner")
        for number, (kind, tags, canonical, undoes) in enumerate(entries, 1)
    ]


def merge(*tags: str) -> tuple[DecisionKind, tuple[str, ...], str | None, int | None]:
    return "merge", tags, tags[-1], None


def undo(number: int) -> tuple[DecisionKind, tuple[str, ...], str | None, int | None]:
    return "undo", (), None, number


def reject(*tags: str) -> tuple[DecisionKind, tuple[str, ...], str | None, int | None]:
    return "reject", tags, None, None


def imply(*tags: str) -> tuple[DecisionKind, tuple[str, ...], str | None, int | None]:
    return "imply", tags, None, None


def test_nothing_decided() -> None:
    assert accepted_merges([]) == {}


def test_a_merge_renames_all_but_the_name_that_is_kept() -> None:
    assert accepted_merges(replay(merge("kitty", "cats", "cat"))) == {"kitty": "cat", "cats": "cat"}


def test_a_rejection_renames_nothing() -> None:
    assert accepted_merges(replay(reject("cat", "dog"))) == {}


def test_undo_takes_back() -> None:
    assert accepted_merges(replay(merge("a", "b"), merge("c", "d"), undo(1))) == {"c": "d"}


def test_undo_of_an_undo_brings_back() -> None:
    entries = (merge("a", "b"), undo(1), undo(2))
    assert accepted_merges(replay(*entries)) == {"a": "b"}
    assert accepted_merges(replay(*entries, undo(3))) == {}
    assert accepted_merges(replay(*entries, undo(3), undo(4))) == {"a": "b"}


def test_undoing_twice_is_undoing_once() -> None:
    assert accepted_merges(replay(merge("a", "b"), undo(1), undo(1))) == {}
    assert accepted_merges(replay(merge("a", "b"), undo(1), undo(1), undo(3))) == {}


def test_a_later_decision_on_a_tag_wins() -> None:
    assert accepted_merges(replay(merge("a", "b"), merge("a", "c"))) == {"a": "c"}
    assert accepted_merges(replay(merge("a", "b"), merge("a", "c"), undo(2))) == {"a": "b"}


def test_merges_form_chains_in_either_order() -> None:
    for first, second in ((merge("a", "b"), merge("b", "c")), (merge("b", "c"), merge("a", "b"))):
        assert accepted_merges(replay(first, second)) == {"a": "c", "b": "c"}


def test_a_merge_back_turns_the_older_one_round() -> None:
    assert accepted_merges(replay(merge("a", "b"), merge("b", "a"))) == {"b": "a"}
    chain = replay(merge("a", "b"), merge("b", "c"), merge("c", "a"))
    assert accepted_merges(chain) == {"b": "a", "c": "a"}


def test_replaying_changes_nothing_in_the_list() -> None:
    decisions = replay(merge("a", "b"), undo(1))
    before = list(decisions)
    accepted_merges(decisions)
    assert decisions == before


def test_what_is_in_force_and_what_was_undone() -> None:
    decisions = replay(merge("a", "b"), reject("c", "d"), undo(1), undo(2), undo(3))
    assert [one.number for one in in_force(decisions)] == [1]
    assert undone(decisions) == {3: 5, 2: 4}


def test_links_speak_of_tags_by_the_names_they_have_now() -> None:
    decisions = replay(
        imply("kittens", "cats"), reject("kittens", "dog"), merge("cats", "cat"),
        merge("kittens", "kitten"), merge("cat", "feline"), reject("dog", "kitten"),
    )  # fmt: skip
    found = {(link.kind, link.tag, link.other): link.number for link in links(decisions)}
    assert found == {
        ("imply", "kitten", "feline"): 1,
        ("reject", "dog", "kitten"): 6,
        ("merge", "cats", "feline"): 3,
        ("merge", "kittens", "kitten"): 4,
        ("merge", "cat", "feline"): 5,
    }
    assert accepted_implications(decisions) == (("kitten", "feline"),)


def test_what_has_become_one_tag_implies_and_rejects_nothing() -> None:
    decisions = replay(imply("a", "b"), reject("a", "b"), merge("a", "b"))
    assert [link.kind for link in links(decisions)] == ["merge"]
    assert accepted_implications([*decisions, *replay(*[merge("x", "y")] * 3, undo(3))[3:]])


TAG = st.sampled_from("abcde")
ENTRY = st.one_of(
    st.lists(TAG, min_size=1, max_size=4).map(lambda tags: merge(*tags)),
    st.lists(TAG, max_size=3).map(lambda tags: reject(*tags)),
    st.integers(0, 30).map(undo),
)


@settings(deadline=None)
@given(st.lists(ENTRY, max_size=30))
def test_whatever_was_decided_ends_at_names_that_stay(
    entries: list[tuple[DecisionKind, tuple[str, ...], str | None, int | None]],
) -> None:
    merges = accepted_merges(replay(*entries))  # an endless loop would not come back
    assert not set(merges.values()) & set(merges)


@settings(deadline=None)
@given(st.lists(ENTRY, max_size=20), st.lists(TAG, min_size=2, max_size=4))
def test_the_last_merge_is_in_force_until_it_is_undone(
    entries: list[tuple[DecisionKind, tuple[str, ...], str | None, int | None]], tags: list[str]
) -> None:
    entries = [entry for at, entry in enumerate(entries) if entry[3] is None or entry[3] <= at]
    merges = accepted_merges(replay(*entries, merge(*tags)))
    assert len({merges.get(tag, tag) for tag in tags}) == 1
    taken_back = replay(*entries, merge(*tags), undo(len(entries) + 1))
    assert accepted_merges(taken_back) == accepted_merges(replay(*entries))
