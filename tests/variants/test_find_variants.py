import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagkin.errors import SettingsError, TagkinError
from tagkin.variants import METHODS, Proposals, explain, find_variants

from .made import collection


def tiers(proposals: Proposals) -> dict[tuple[str, ...], str]:
    return {tuple(sorted(group.members)): group.tier for group in proposals.groups}


def test_a_plural_whose_images_agree_is_safe() -> None:
    tags, vectors = collection({"elephant": ("elephant", "elephants", "elephant")})
    proposals = find_variants(tags, vectors)
    assert tiers(proposals) == {("elephant", "elephants"): "safe"}
    (group,) = proposals.groups
    assert group.canonical == "elephant"
    assert group.counts == {"elephant": 20, "elephants": 10}


def test_a_plural_whose_images_differ_is_not_safe() -> None:
    tags, vectors = collection({"elephant": ("glass",), "bicycle": ("glasses",)})
    assert "safe" not in tiers(find_variants(tags, vectors)).values()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("harbour", "harbor"),
        ("mime-types", "mimetypes"),
        ("pr0gramm", "programm"),
        ("café", "cafe"),
        ("vegetable", "vegitable"),
        ("organisation", "organization"),
        ("Häuser".casefold(), "haus"),
    ],
)
def test_two_spellings_of_one_thing_are_grouped(one: str, other: str) -> None:
    tags, vectors = collection({"volcano": (one, other)})
    assert tuple(sorted((one, other))) in tiers(find_variants(tags, vectors))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("africa", "america"),
        ("castle", "cattle"),
        ("north america", "south america"),
        ("painting", "printing"),
    ],
)
def test_words_alike_with_other_images_stay_apart(one: str, other: str) -> None:
    tags, vectors = collection({"volcano": (one,), "kitchen": (other,)})
    assert tiers(find_variants(tags, vectors)) == {}


@pytest.mark.parametrize(("one", "other"), [("2020", "2021"), ("room 12", "room 13")])
def test_other_numbers_are_never_one_thing(one: str, other: str) -> None:
    tags, vectors = collection({"volcano": (one, other)})
    assert tiers(find_variants(tags, vectors)) == {}
    assert tiers(find_variants(tags, None)) == {}


def test_three_spellings_become_one_group() -> None:
    tags, vectors = collection({"library": ("pr0gramm", "programm", "program", "pr0gramm")})
    (group,) = find_variants(tags, vectors).groups
    assert set(group.members) == {"pr0gramm", "programm", "program"}
    assert group.members[0] == "pr0gramm"
    assert group.canonical != "pr0gramm", "a leet form is not what to keep, though most frequent"


def test_kin_of_kin_are_weighed_too() -> None:
    # kitchen and kitchans are two edits apart, too far to be candidates by themselves.
    tags, _ = collection({"kitchen": ("kitchen", "kitchens", "kitchans", "kitchens")}, each=60)
    proposals = find_variants(tags, None)
    assert {(pair.a, pair.b) for pair in proposals.pairs} >= {("kitchans", "kitchen")}
    assert any({"kitchens", "kitchans"} <= set(group.members) for group in proposals.groups)


def test_the_same_input_gives_the_same_proposals() -> None:
    tags, vectors = collection({"orchid": ("orchid", "orchids"), "library": ("libary", "library")})
    first = find_variants(tags, vectors, seed=3)
    assert first == find_variants(tags, vectors.copy(), seed=3)
    assert first.groups


def test_half_precision_vectors_do() -> None:
    tags, vectors = collection({"orchid": ("orchid", "orchids")})
    assert tiers(find_variants(tags, vectors.astype(np.float16)))


def test_without_vectors_spelling_and_company_still_count() -> None:
    tags, _ = collection({"orchid": ("orchid", "orchids")})
    proposals = find_variants(tags, None)
    assert ("orchid", "orchids") in tiers(proposals)
    pair = proposals.pairs[0]
    assert pair.evidence["vectors"] == "none"
    assert "visual" not in pair.evidence
    assert "no vectors" in explain(pair)


def test_an_implication_is_told_from_a_variant() -> None:
    tags, vectors = collection()
    for row in tags:
        if row[0] in {"penguin", "elephant"}:
            row.append("animal")
    pairs = {(pair.a, pair.b): pair.relation for pair in find_variants(tags, vectors).pairs}
    assert pairs["animal", "penguin"] == "implication"


def test_tags_that_always_meet_are_said_to_share_images() -> None:
    tags, vectors = collection()
    for row in tags:
        if row[0] == "volcano":
            row.append("lava")
    pairs = {(pair.a, pair.b): pair.relation for pair in find_variants(tags, vectors).pairs}
    assert pairs["lava", "volcano"] == "same-images"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tags", [[], [[]], [["cat"]] * 5, [["cat"], ["dog"]] * 4])
def test_tiny_libraries_have_no_variants(method: str, tags: list[list[str]]) -> None:
    vectors = np.eye(len(tags), 8, dtype=np.float32)
    assert find_variants(tags, vectors, method=method).groups == ()


def test_equal_vectors_are_no_error() -> None:
    tags, vectors = collection({"orchid": ("orchid", "orchids")})
    for constant in (0.0, 1.0):
        assert tiers(find_variants(tags, np.full_like(vectors, constant)))


def test_scripts_without_case_and_emoji() -> None:
    tags, vectors = collection(
        {"orchid": ("東京", "大阪"), "volcano": ("❤", "❤\ufe0f"), "library": ("😀", "😁")}
    )
    assert set(tiers(find_variants(tags, vectors))) == {("❤", "❤\ufe0f")}


def test_dbscan_merges_everything_when_vectors_are_nearly_parallel() -> None:
    tags, vectors = collection(parallel=4.0)
    (group,) = find_variants(tags, vectors, method="dbscan").groups
    assert len(group.members) == len({tag for row in tags for tag in row})
    assert find_variants(tags, vectors).groups == ()


def test_baselines_give_no_probability() -> None:
    tags, vectors = collection({"orchid": ("orchid flower", "orchid-flower")})
    for method in ("dbscan", "fingerprint", "jarowinkler"):
        proposals = find_variants(tags, vectors, method=method)
        assert {pair.probability for pair in proposals.pairs} == {None}
        assert proposals.method == method
        assert all(explain(pair) for pair in proposals.pairs)


def test_jaro_winkler_looks_at_spelling_alone() -> None:
    tags, _ = collection({"orchid": ("painting",), "volcano": ("paintings",)})
    assert ("painting", "paintings") in tiers(find_variants(tags, None, method="jarowinkler"))


def test_fingerprints_join_the_same_words_in_another_order_and_form() -> None:
    rows = [["Hill, Old"], ["old hill"], ["café"], ["cafe"], ["ananas"], ["ana-nas"], ["hill"]] * 3
    proposals = find_variants(rows, None, method="fingerprint")
    assert set(tiers(proposals)) == {
        ("Hill, Old", "old hill"),
        ("cafe", "café"),
        ("ana-nas", "ananas"),
    }
    assert "the same words" in {explain(pair) for pair in proposals.pairs}


def test_an_unknown_method_is_told_the_known_ones() -> None:
    with pytest.raises(TagkinError, match=", ".join(METHODS)):
        find_variants([["a"]], None, method="magic")


def test_dbscan_without_vectors_says_what_to_do() -> None:
    with pytest.raises(SettingsError, match="tagkin embed"):
        find_variants([["a"]], None, method="dbscan")


@pytest.mark.parametrize("wrong", [{"min_images": 0}, {"min_samples": 0}, {"eps": 0.0}])
def test_numbers_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        find_variants([["a"]], None, **wrong)  # type: ignore[arg-type]


def test_vectors_of_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        find_variants([["a"]], np.zeros((2, 4), np.float32))


def test_the_dict_is_plain_json() -> None:
    tags, vectors = collection({"orchid": ("orchid", "orchids")})
    data = json.loads(json.dumps(find_variants(tags, vectors).to_dict()))
    assert set(data) == {"method", "groups", "pairs", "content_check"}
    assert set(data["groups"][0]) == {"id", "canonical", "members", "counts", "tier"}
    assert set(data["pairs"][0]) == {"a", "b", "relation", "probability", "evidence"}


def test_repeated_and_empty_tags_are_ignored() -> None:
    tags = [["cat", "cat", ""]] * 2
    assert find_variants(tags, None, min_images=3).pairs == ()


def test_five_thousand_tags_are_quick() -> None:
    rng = np.random.default_rng(0)
    parts = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    words = sorted({"".join(rng.choice(parts, rng.integers(3, 6))) for _ in range(6000)})[:5000]
    tags = [rng.choice(words, 4, replace=False).tolist() for _ in range(8000)]
    vectors = rng.normal(size=(8000, 32)).astype(np.float32)
    start = time.perf_counter()
    find_variants(tags, vectors)
    assert time.perf_counter() - start < 60


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.text(max_size=12), max_size=5), max_size=12), st.booleans())
def test_any_tags_are_taken(tags: list[list[str]], with_vectors: bool) -> None:
    vectors = np.random.default_rng(0).normal(size=(len(tags), 6)).astype(np.float32)
    proposals = find_variants(tags, vectors if with_vectors else None, min_images=1)
    names = {tag for row in tags for tag in row}
    for group in proposals.groups:
        assert group.canonical in group.members
        assert names.issuperset(group.members)
    for pair in proposals.pairs:
        assert explain(pair)
        assert pair.probability is not None
        assert 0 <= pair.probability <= 1
        assert pair.evidence["count_a"] >= pair.evidence["count_b"]  # type: ignore[operator]
