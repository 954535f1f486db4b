"""Variants in the demo collection, against pairs that were read off its tags by eye."""

from itertools import combinations
from typing import Any

import pytest

from tagkin.variants import Proposals
from tagkin.variants.in_library import find_in_library

# Spellings, plurals, an abbreviation and a synonym, each side on three images or more.
TRUE_PAIRS = {
    frozenset({"activity", "activities"}),
    frozenset({"icon", "icons"}),
    frozenset({"flag", "flags"}),
    frozenset({"mime-types", "mimetypes"}),
    frozenset({"transport", "transportation"}),
    frozenset({"tool", "tools"}),
    frozenset({"button", "buttons"}),
    frozenset({"dessert", "desserts"}),
    frozenset({"arrow", "arrows"}),
    frozenset({"symbol", "symbols"}),
    frozenset({"logo", "logos"}),
    frozenset({"vehicle", "vehicles"}),
    frozenset({"book", "books"}),
    frozenset({"game", "games"}),
    frozenset({"plant", "plants"}),
    frozenset({"animal", "animals"}),
    frozenset({"vegetable", "vegitable"}),
    frozenset({"north_america", "northamerica"}),
    frozenset({"valentine", "valentines"}),
    frozenset({"mapsym", "map_symbol"}),
    frozenset({"christmas", "xmas"}),
}


def merged_pairs(proposals: Proposals) -> set[frozenset[str]]:
    return {
        frozenset(pair) for group in proposals.groups for pair in combinations(group.members, 2)
    }


def f1(proposals: Proposals) -> float:
    found = merged_pairs(proposals)
    return 2 * len(found & TRUE_PAIRS) / (len(found) + len(TRUE_PAIRS))


def find(demo: Any, **options: Any) -> Proposals:
    return find_in_library(demo.library, demo.config.fingerprint, demo.settings, **options)


def test_evidence_finds_what_people_see_and_beats_the_baselines(demo_library: Any) -> None:
    evidence = find(demo_library)
    assert f1(evidence) >= f1(find(demo_library, method="dbscan")) + 0.15
    assert f1(evidence) >= f1(find(demo_library, method="jarowinkler"))
    assert frozenset({"mime-types", "mimetypes"}) in merged_pairs(evidence)
    safe = [group for group in evidence.groups if group.tier == "safe"]
    assert safe
    for group in safe:
        assert merged_pairs(Proposals("evidence", (group,), ())) <= TRUE_PAIRS


def test_dbscan_on_mean_vectors_merges_nearly_everything(demo_library: Any) -> None:
    groups = find(demo_library, method="dbscan").groups
    assert max(len(group.members) for group in groups) > 100


def test_an_accepted_merge_is_not_proposed_again(demo_copy: Any) -> None:
    demo_copy.library.decide("merge", ["flag", "flags"], canonical="flag")
    assert frozenset({"flag", "flags"}) not in merged_pairs(find(demo_copy))


@pytest.mark.parametrize("method", ["evidence", "jarowinkler", "fingerprint", "dbscan"])
def test_rejected_pairs_are_not_proposed_again(demo_copy: Any, method: str) -> None:
    library = demo_copy.library
    pairs = {frozenset({"flag", "flags"}), frozenset({"mimetypes", "mime-types"})}
    for pair in pairs:
        library.decide("reject", sorted(pair), probability=0.999)
    library.decide("imply", ["vegitable", "vegetable"])
    library.decide("related", ["icon", "icons"])
    pairs |= {frozenset({"vegitable", "vegetable"}), frozenset({"icon", "icons"})}
    found = find(demo_copy, method=method)
    assert not merged_pairs(found) & pairs
    assert not {frozenset((pair.a, pair.b)) for pair in found.pairs} & pairs
    assert found.groups


def test_a_rejection_is_reconsidered_when_the_evidence_is_much_better(demo_copy: Any) -> None:
    pair = frozenset({"flag", "flags"})
    demo_copy.library.decide("reject", sorted(pair), probability=0.5)
    assert pair in merged_pairs(find(demo_copy))
    demo_copy.library.decide("reject", sorted(pair), probability=0.999)
    assert pair not in merged_pairs(find(demo_copy))
