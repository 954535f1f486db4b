"""From raw tags to the vocabulary: fold, rename, count, filter, in this order."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagkin.decisions import Decision
from tagkin.errors import SettingsError, VocabularyError
from tagkin.records import ImageFile, ImageRow
from tagkin.settings import Settings
from tagkin.vocabulary import TagRules, Vocabulary, read_aliases

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def image(tags: tuple[str, ...], weights: tuple[float, ...] = ()) -> ImageRow:
    return ImageRow("0" * 32, (ImageFile(Path("a"), tags, 1, 1, weights),), 1, 1, "png", 1, 0)


def merge(number: int, tags: tuple[str, ...], canonical: str) -> Decision:
    return Decision(number, "merge", tags, canonical, None, "2024-01-01T00:00:00+00:00", "owner")


# Folding


@pytest.mark.parametrize(
    ("raw", "folded"),
    [
        ("Cat", "cat"),
        ("  black\t\u00a0CAT\n", "black cat"),
        ("Straße", "straße"),
        ("STRASSE", "strasse"),
        ("cafe\u0301", "caf\u00e9"),
        ("Ｃａｔ", "cat"),
        ("ﬁsh", "fish"),
        ("ÄÖ", "äö"),
        ("H\u0331", "\u1e96"),  # with its line below one code point in lower case only
        ("猫", "猫"),
        ("🐈", "🐈"),
        ("a, b", "a, b"),
        ("", ""),
        (" \t", ""),
    ],
)
def test_fold(raw: str, folded: str) -> None:
    assert TagRules().fold(raw) == folded


def test_folding_can_be_less() -> None:
    assert TagRules(fold_case=False).fold(" Ｃat ") == "Cat"
    assert TagRules(unicode_form="NFC").fold("ﬁ Cafe\u0301") == "ﬁ caf\u00e9"
    assert TagRules(False, "none").fold(" Ｃafe\u0301") == "Ｃafe\u0301"


@settings(deadline=None)
@given(TEXT, st.booleans(), st.sampled_from(["NFC", "NFKC", "none"]))
def test_folding_twice_is_folding_once(raw: str, fold_case: bool, form: str) -> None:
    rules = TagRules(fold_case, form)
    assert rules.fold(rules.fold(raw)) == rules.fold(raw)


# Renaming


def test_aliases_are_compared_folded() -> None:
    rules = TagRules(aliases={"Doggo ": "DOG"})
    assert rules.resolve("dOGGO") == "dog"
    assert rules.resolve("Dog") == "dog"
    assert TagRules(fold_case=False, aliases={"Doggo": "Dog"}).resolve("doggo") == "doggo"


def test_aliases_come_before_decisions() -> None:
    decisions = [merge(1, ("dog", "hound"), "canine"), merge(2, ("doggo",), "dancing")]
    rules = TagRules.from_settings(Settings(aliases={"doggo": "dog"}), decisions)
    assert rules.resolve("Doggo") == "canine"
    assert rules.resolve("hound") == "canine"


def test_aliases_may_form_a_chain() -> None:
    rules = TagRules(aliases={"a": "b", "b": "c", "c": "d"})
    assert [rules.resolve(tag) for tag in "abcd"] == ["d"] * 4


def test_an_alias_for_itself_is_harmless() -> None:
    assert TagRules(aliases={"Cat": "cat"}).resolve("CAT") == "cat"


@pytest.mark.parametrize("aliases", [{"a": "b", "b": "a"}, {"x": "a", "a": "b", "b": "A"}])
def test_circular_aliases_are_shown(aliases: dict[str, str]) -> None:
    with pytest.raises(VocabularyError, match=r"a -> b -> a|b -> a -> b"):
        TagRules(aliases=aliases).resolve("anything")


def test_the_tags_of_an_image_are_distinct_and_in_order() -> None:
    rules = TagRules(aliases={"kitty": "cat"})
    assert rules.resolve_all(["Dog", "kitty", " ", "CAT", "dog", "ant"]) == ("dog", "cat", "ant")


@settings(deadline=None)
@given(st.lists(TEXT), st.dictionaries(TEXT, st.sampled_from(["cat", "Dog", "x y"]), max_size=3))
def test_resolved_tags_are_distinct_and_never_empty(raw: list[str], names: dict[str, str]) -> None:
    ends = {"cat", "dog", "x y"}
    aliases = {a: b for a, b in names.items() if TagRules().fold(a) not in ends}
    rules = TagRules(aliases=aliases)
    resolved = rules.resolve_all(raw)
    assert len(set(resolved)) == len(resolved)
    assert all(resolved)
    assert set(resolved) == {tag for one in raw if (tag := rules.resolve(one))}


# Implications


def test_an_implied_tag_is_added_directly_and_through_others() -> None:
    rules = TagRules(implications=[("cat", "animal"), ("kitten", "cat"), ("animal", "alive")])
    assert rules.resolve_all(["Kitten", "sofa"]) == ("kitten", "sofa", "cat", "animal", "alive")
    assert rules.resolve_all(["animal", "cat"]) == ("animal", "cat", "alive")
    assert rules.resolve_all(["sofa"]) == ("sofa",)


def test_implications_in_a_circle_are_harmless() -> None:
    rules = TagRules(implications=[("a", "b"), ("b", "c"), ("c", "a"), ("c", "c")])
    assert rules.resolve_all(["b"]) == ("b", "c", "a")


def test_implications_hold_for_the_names_after_aliases_and_merges() -> None:
    rules = TagRules(
        aliases={"kitty": "kitten"},
        merges={"kittens": "kitten", "animals": "animal"},
        implications=[("Kittens", "animals"), ("animal", "animals")],
    )
    for raw in ("kitty", "kittens", "KITTEN"):
        assert rules.resolve_all([raw]) == ("kitten", "animal")
    assert rules.resolve_all(["animals"]) == ("animal",)


def test_an_implied_tag_is_as_sure_as_the_surest_that_implies_it() -> None:
    rules = TagRules(implications=[("cat", "animal"), ("dog", "animal"), ("fur", "animal")])
    row = image(("cat", "dog", "animal"), (0.5, 0.75, 0.25))
    assert rules.resolve_weighted(row) == {"cat": 0.5, "dog": 0.75, "animal": 0.75}
    assert rules.resolve_weighted(image(("cat",))) == {"cat": 1.0, "animal": 1.0}


def test_an_implied_tag_may_be_excluded() -> None:
    rules = TagRules(implications=[("cat", "animal")], exclude=["animal"])
    assert rules.wanted(["cat"]) == ("cat",)


def test_implications_come_from_the_decisions() -> None:
    imply = Decision(1, "imply", ("cat", "animal"), None, None, "2024-01-01T00:00:00+00:00", "me")
    rules = TagRules.from_settings(Settings(), [imply])
    assert rules.resolve_all(["CAT"]) == ("cat", "animal")


def test_the_steps_from_a_raw_tag_to_its_tag() -> None:
    rules = TagRules(aliases={"kitty": "cat"}, merges={"cat": "feline"})
    assert rules.steps(" KITTY") == ("kitty", "cat", "feline")
    assert rules.steps("Dog") == ("dog", "dog", "dog")


# Weights


def test_the_greatest_weight_of_the_spellings_of_a_tag_counts() -> None:
    rules = TagRules(aliases={"kitty": "cat"})
    row = image(("Dog", "kitty", "CAT", " ", "ant", "dog"), (0.5, 0.25, 0.75, 0.5, 0.125, 0.25))
    assert list(rules.resolve_weighted(row).items()) == [
        ("dog", 0.5),
        ("cat", 0.75),
        ("ant", 0.125),
    ]
    row = image(("kitty", "cat"), (0.25, 1.0))
    assert rules.resolve_weighted(row) == {"cat": 1.0}


def test_without_weights_every_tag_weighs_one() -> None:
    assert TagRules().resolve_weighted(image(("B", "a", "b"))) == {"b": 1.0, "a": 1.0}
    assert TagRules().resolve_weighted(image(())) == {}


WEIGHTED = st.dictionaries(TEXT, st.floats(0, 1, width=32), max_size=5)


@settings(deadline=None)
@given(WEIGHTED)
def test_weights_are_those_of_the_resolved_tags(weighted: dict[str, float]) -> None:
    row = image((), ()).files[0].with_tags(weighted)
    resolved = TagRules().resolve_weighted(ImageRow("0" * 32, (row,), 1, 1, "png", 1, 0))
    assert tuple(resolved) == TagRules().resolve_all(row.tags)
    for tag, weight in resolved.items():
        assert weight == max(w for raw, w in weighted.items() if TagRules().resolve(raw) == tag)


# Alias tables


def test_read_aliases(tmp_path: Path) -> None:
    path = tmp_path / "aliases.csv"
    path.write_bytes(
        '\ufeffcanonical,alias,note\ndog,doggo,x\n"a, b","c ""d"""\n'.encode()
        + "cat,🐈,\n,lost\nlost,\n".encode()
    )
    assert read_aliases(path) == {"doggo": "dog", 'c "d"': "a, b", "🐈": "cat"}


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"from,to\na,b\n", "'alias' and 'canonical'; it has from, to"), (b"", "it has none")],
)
def test_a_table_without_the_columns(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(SettingsError, match=words):
        read_aliases(tmp_path / "a.csv")


def test_a_table_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"alias,canonical\n\xff,b\n")
    for path in (tmp_path / "a.csv", tmp_path / "missing.csv", tmp_path):
        with pytest.raises(SettingsError, match="can't be read"):
            read_aliases(path)


# Counting and filtering


def test_rare_and_excluded_tags_are_counted_apart() -> None:
    images = [("cat", "dog"), ("cat",), ("cat", "repost"), ("repost", "ant"), ()]
    vocabulary = Vocabulary.build(images, min_tag_occurrences=2, exclude=["repost", "absent"])
    assert vocabulary.tags == ("cat",)
    assert vocabulary.counts == {"cat": 3}
    assert vocabulary.too_rare == {"ant": 1, "dog": 1}
    assert vocabulary.excluded == {"repost": 2}


def test_the_most_frequent_tag_is_first_and_equals_go_by_name() -> None:
    images = [("b", "a", "c"), ("c",), ("B",)]
    vocabulary = Vocabulary.build(images, min_tag_occurrences=1)
    assert vocabulary.tags == ("c", "B", "a", "b")
    assert vocabulary.index == {"c": 0, "B": 1, "a": 2, "b": 3}


def test_tags_are_counted_after_they_were_renamed() -> None:
    rules = TagRules(aliases={"kitty": "cat"})
    raw = [("Cat",), ("kitty", "cat"), ("CAT ",)]
    before = [tuple(tags) for tags in raw]
    vocabulary = Vocabulary.build(map(rules.resolve_all, raw), min_tag_occurrences=3)
    assert vocabulary.counts == {"cat": 3}
    assert raw == before


def test_multi_hot() -> None:
    images = [("cat", "dog"), (), ("dog", "unknown"), ("ant", "cat", "dog")]
    vocabulary = Vocabulary.build(images[:3], min_tag_occurrences=1)
    labels = vocabulary.multi_hot(images)
    assert (labels.shape, labels.dtype, labels.nnz) == ((4, 3), np.float32, 6)
    expected = [[tag in tags for tag in vocabulary.tags] for tags in images]
    assert labels.toarray().tolist() == expected


def test_multi_hot_with_weights() -> None:
    vocabulary = Vocabulary.build([("cat", "dog", "ant")], min_tag_occurrences=1)
    assert vocabulary.tags == ("ant", "cat", "dog")
    labels = vocabulary.multi_hot([{"dog": 0.25, "cat": 1.0, "other": 0.5}, {}, ["dog"]])
    assert labels.toarray().tolist() == [[0, 1, 0.25], [0, 0, 0], [0, 0, 1]]
    assert (labels.dtype, labels.nnz) == (np.float32, 3)


def test_a_weight_of_zero_is_no_entry() -> None:
    vocabulary = Vocabulary.build([("a", "b")], min_tag_occurrences=1)
    labels = vocabulary.multi_hot([{"a": 0.0, "b": 0.5}, {"a": 1e-60}])
    assert (labels.nnz, labels.indices.tolist(), labels.indptr.tolist()) == (1, [1], [0, 1, 1])


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan"), float("inf")])
def test_weights_that_are_none_are_refused(weight: float) -> None:
    vocabulary = Vocabulary.build([("a", "b")], min_tag_occurrences=1)
    with pytest.raises(ValueError, match="from 0 to 1"):
        vocabulary.multi_hot([{"b": 0.5, "a": weight}])


def test_a_tag_that_is_named_twice_is_one_entry() -> None:
    vocabulary = Vocabulary.build([("a",)], min_tag_occurrences=1)
    assert vocabulary.multi_hot([("a", "a")]).toarray().tolist() == [[1]]


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1, width=32))))
def test_multi_hot_holds_what_it_was_given(images: list[dict[str, float]]) -> None:
    vocabulary = Vocabulary.build([tuple("abcd")], min_tag_occurrences=1)
    labels = vocabulary.multi_hot(images)
    assert labels.has_canonical_format
    assert (labels.indices.dtype, labels.indptr.dtype) == (np.int32, np.int32)
    assert (labels.data > 0).all()
    expected = [[weights.get(tag, 0.0) for tag in "abcd"] for weights in images]
    assert labels.toarray().tolist() == expected


def test_multi_hot_of_many_tags_stays_sparse() -> None:
    names = [f"tag {number}" for number in range(10_000)]
    vocabulary = Vocabulary.build([names], min_tag_occurrences=1)
    labels = vocabulary.multi_hot((names[i], names[-1 - i]) for i in range(5000))
    assert (labels.shape, labels.nnz) == ((5000, 10_000), 10_000)
    assert labels.data.nbytes + labels.indices.nbytes + labels.indptr.nbytes < 200_000


@pytest.mark.parametrize("images", [[], [()], [(), ()]])
def test_nothing_to_count(images: list[tuple[str, ...]]) -> None:
    vocabulary = Vocabulary.build(images, min_tag_occurrences=1)
    assert vocabulary.tags == ()
    labels = vocabulary.multi_hot(images)
    assert (labels.shape, labels.toarray().size) == ((len(images), 0), 0)


def test_excluded_tags_are_not_wanted_however_they_are_spelled() -> None:
    rules = TagRules(aliases={"re-post": "repost"}, exclude=["Repost"])
    assert rules.wanted(["cat", "REPOST", "re-post"]) == ("cat",)
    assert rules.resolve_all(["cat", "REPOST"]) == ("cat", "repost")
