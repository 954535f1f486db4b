"""From raw tags to the vocabulary: fold, rename, count, filter, in this order."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagkin.decisions import Decision
from tagkin.errors import SettingsError, VocabularyError
from tagkin.settings import Settings
from tagkin.vocabulary import TagRules, Vocabulary, read_aliases

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


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
    assert (labels.shape, labels.dtype, labels.nnz) == ((4, 3), np.uint8, 6)
    expected = [[tag in tags for tag in vocabulary.tags] for tags in images]
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
