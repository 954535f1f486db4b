"""Tags that were decided to be different."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagkin.decisions import Link
from tagkin.variants import find_variants
from tagkin.variants.apart import apart_pairs, stays_apart

from .made import collection


@pytest.mark.parametrize(
    ("before", "now", "apart"),
    [
        (0.6, 0.6, True),
        (0.6, 0.9, True),  # odds 1.5 and 9: six times
        (0.6, 0.95, False),  # odds 1.5 and 19
        (0.9, 0.6, True),
        (1.0, 1.0, True),
        (0.0, 0.5, False),
        (None, 1.0, True),
        (0.6, None, True),
    ],
)
def test_only_much_better_evidence_counts(
    before: float | None, now: float | None, apart: bool
) -> None:
    assert stays_apart(before, now) == apart


def test_pairs_are_seen_through_the_names_they_have() -> None:
    links = [
        Link("reject", "a", "b", 1, probability=0.7),
        Link("reject", "aa", "b", 2, probability=0.6),
        Link("related", "c", "d", 3, probability=0.5),
        Link("merge", "x", "y", 4),
        Link("imply", "aa", "a", 5),
    ]
    names = {"aa": "a"}
    found = apart_pairs(links, lambda tag: names.get(tag, tag))
    assert found == {frozenset("ab"): 0.7, frozenset("cd"): None}


def test_rejected_tags_are_not_joined_through_a_third() -> None:
    tags, vectors = collection({"library": ("pr0gramm", "programm", "program", "pr0gramm")})
    names = {"pr0gramm", "programm", "program"}
    (group,) = find_variants(tags, vectors).groups
    assert set(group.members) == names
    for pair in combinations(sorted(names), 2):
        groups = find_variants(tags, vectors, apart={frozenset(pair): None}).groups
        assert not any(set(pair) <= set(group.members) for group in groups)
        assert groups, "the third still goes with one of them"
        assert {group.tier for group in groups} == {"suggested"}


def test_rejected_tags_that_are_not_there_do_no_harm() -> None:
    tags, vectors = collection({"orchid": ("orchid", "orchids")})
    apart = {frozenset({"orchid", "gone"}): 0.5, frozenset({"so", "no"}): None}
    assert find_variants(tags, vectors, apart=apart) == find_variants(tags, vectors)


SPELLINGS = ("orchid", "orchids", "orchidd", "orchid's", "Orchid")


@settings(deadline=None, max_examples=15)
@given(
    st.sets(st.sampled_from(list(combinations(SPELLINGS, 2))), min_size=1),
    st.sampled_from(["evidence", "jarowinkler", "fingerprint", "dbscan"]),
)
def test_whatever_is_rejected_is_in_no_group(rejected: set[tuple[str, str]], method: str) -> None:
    tags, vectors = collection({"orchid": SPELLINGS})
    apart = {frozenset(pair): None for pair in rejected}
    proposals = find_variants(tags, vectors, method=method, apart=apart)
    for group in proposals.groups:
        assert group.canonical in group.members
        assert not any(frozenset(pair) in apart for pair in combinations(group.members, 2))
    assert not any(frozenset((pair.a, pair.b)) in apart for pair in proposals.pairs)
