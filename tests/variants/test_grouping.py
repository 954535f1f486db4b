from math import inf

from tagkin.variants.folding import make_form
from tagkin.variants.grouping import LARGEST_GROUP, average_linkage, canonical, components, tier
from tagkin.variants.lexicon import Lexicon
from tagkin.variants.proposals import group_id
from tagkin.variants.word_lists import WordLists


def test_components_are_connected() -> None:
    assert components([(0, 1), (1, 2), (4, 5)]) == [[0, 1, 2], [4, 5]]


def test_a_chain_is_not_a_group() -> None:
    chain = {(0, 1): 0.9, (1, 2): 0.8, (0, 2): 0.01}
    assert average_linkage([0, 1, 2], chain) == [[0, 1]]


def test_two_that_are_likelier_the_same_than_most_are_proposed_but_draw_in_no_third() -> None:
    assert average_linkage([0, 1], {(0, 1): 0.45}) == [[0, 1]]
    assert average_linkage([0, 1], {(0, 1): 0.35}) == []
    assert average_linkage([0, 1, 2], {(0, 1): 0.9, (0, 2): 0.5, (1, 2): 0.4}) == [[0, 1]]


def test_three_that_agree_are_a_group() -> None:
    assert average_linkage([0, 1, 2], {(0, 1): 0.9, (1, 2): 0.8, (0, 2): 0.7}) == [[0, 1, 2]]


def test_no_group_grows_without_end() -> None:
    members = list(range(30))
    everything = {(low, high): 0.99 for low in members for high in members if low < high}
    groups = average_linkage(members, everything)
    assert max(map(len, groups)) <= LARGEST_GROUP
    assert sorted(node for group in groups for node in group) == members


def test_a_variant_outside_makes_a_group_unsafe() -> None:
    assert tier([0, 1], {(0, 1): 0.99}, lambda pair: True) == "safe"
    assert tier([0, 1], {(0, 1): 0.99, (1, 2): 0.6}, lambda pair: True) == "suggested"
    assert tier([0, 1], {(0, 1): 0.99}, lambda pair: False) == "suggested"


def test_a_large_group_wants_a_look() -> None:
    assert tier(range(6), {}, lambda pair: True) == "safe"
    assert tier(range(7), {}, lambda pair: True) == "suggested"


def test_the_canonical_tag_is_frequent_but_not_odd() -> None:
    def choose(*tags: str) -> str:
        forms = [make_form(tag) for tag in tags]
        return tags[canonical(range(len(tags)), forms, [9 - n for n in range(len(tags))])]

    assert choose("icons", "icon") == "icons"
    assert choose("c00king", "cooking") == "cooking"
    assert choose("coool", "cool") == "cool"
    assert choose("fLag", "flag") == "flag"
    assert choose("USA", "usa") == "USA"


def test_a_typo_is_never_the_canonical_tag() -> None:
    lexicon = Lexicon(WordLists({"en": {"vegetable": 9, "clip": 9, "art": 9}}))

    def choose(*tags: str) -> str:
        forms = [make_form(tag) for tag in tags]
        counts = [9 - n for n in range(len(tags))]
        return tags[canonical(range(len(tags)), forms, counts, lexicon)]

    assert choose("vegitable", "vegetable") == "vegetable"
    assert choose("clipart", "clip art") == "clipart", "another separator is no typo"
    assert choose("veggie", "vegetable") == "veggie", "too far from it to be one"
    assert choose("vegitable", "vegetible") == "vegitable"


def test_a_group_id_depends_on_the_members_only() -> None:
    assert group_id(("a", "b")) == group_id(("b", "a"))
    assert group_id(("a b",)) != group_id(("a", "b"))
    assert len(group_id(("\ud800", "😀"))) == 10


def test_two_that_must_stay_apart_are_not_joined_through_others() -> None:
    everything = {(low, high): 0.99 for high in range(6) for low in range(high)}
    groups = average_linkage(range(6), {**everything, (1, 4): -inf, (0, 1): -inf})
    assert sorted(node for group in groups for node in group) == list(range(6))
    assert not any({1, 4} <= set(group) or {0, 1} <= set(group) for group in groups)
