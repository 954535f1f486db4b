from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagkin.variants.folding import make_form
from tagkin.variants.lexicon import NO_LEXICON, Lexicon, open_lexicon
from tagkin.variants.plurals import plural_llr
from tagkin.variants.strings import SPELLINGS, StringEvidence, compare, compare_all
from tagkin.variants.thesauri import Link
from tagkin.variants.word_lists import WordLists

ENGLISH = (
    "hummer hammer house horse sun set rise cam camera arrow shape vegetable orchestra map symbol "
    "wood woods painting printing library castle cattle music musical"
)
GERMAN = "orchester straße häuser haus programm fahrrad"
LISTS = WordLists(
    {"en": dict.fromkeys(ENGLISH.split(), 1000), "de": dict.fromkeys(GERMAN.split(), 1000)}
)
LEXICON = Lexicon(LISTS)


def of(a: str, b: str, lexicon: Lexicon = NO_LEXICON) -> StringEvidence:
    return compare(make_form(a), make_form(b), lexicon)


@pytest.mark.parametrize(
    ("a", "b", "spelling"),
    [
        ("Flag", "flag", "case"),
        ("mime-types", "mimetypes", "separator"),
        ("valentine's day", "valentines_day", "separator"),
        ("café", "cafe", "accent"),
        ("straße", "strasse", "accent"),
        ("müller", "mueller", "accent"),
        ("pr0gramm", "programm", "leet"),
        ("h4x0r", "haxor", "leet"),
        ("pr0gramm", "program", "leet"),
        ("colour", "color", "spelling"),
        ("favourite_colour", "favorite color", "spelling"),
        ("realise", "realize", "spelling"),
        ("theatre", "theater", "spelling"),
        ("grey", "gray", "spelling"),
        ("catalogue", "catalog", "spelling"),
        ("programme", "program", "spelling"),
        ("traveller", "traveler", "spelling"),
        ("archaeology", "archeology", "spelling"),
        ("icon", "icons", "plural"),
        ("box", "boxes", "plural"),
        ("berry", "berries", "plural"),
        ("leaf", "leaves", "plural"),
        ("woman", "women", "plural"),
        ("cactus", "cacti", "plural"),
        ("colour", "colors", "plural"),
        ("haus", "häuser", "plural"),
        ("foot", "feet", "plural"),
        ("photographie", "fotografie", "spelling"),
        ("potential", "potenzial", "spelling"),
        ("apfel", "äpfel", "accent"),
    ],
)
def test_sure_rules(a: str, b: str, spelling: str) -> None:
    found = of(a, b)
    assert found.spelling == spelling
    assert found.llr >= 7


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("four", "for"),
        ("glas", "glass"),
        ("bay", "baies"),
        ("paint", "painter"),
        ("north america", "south america"),
        ("moon", "moon space"),
        ("icon", "lemon theme icon"),
        ("2020", "2021"),
        ("11:20", "1120"),
        ("mp3", "mp4"),
        ("cat", "c4t"),
        ("cat", "car"),
        ("c", "c++"),
        ("東京都", "東京部"),
    ],
)
def test_no_sure_rule(a: str, b: str) -> None:
    found = of(a, b)
    assert not found.sure
    assert found.llr <= 5


def test_a_digit_at_the_end_is_leet_with_a_doubt() -> None:
    found = of("reef5", "reefs")
    assert found.spelling == "leet"
    assert not found.sure


def test_typos_weigh_more_in_longer_words() -> None:
    assert of("vegetable", "vegitable").llr > of("tower", "tover").llr > of("bear", "beat").llr


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("hummer", "hammer"),
        ("house", "horse"),
        ("castle", "cattle"),
        ("painting", "printing"),
        ("arrow", "arrowshape"),
        ("sunset", "sunrise"),
        ("cam", "camera"),
    ],
)
def test_two_words_of_a_dictionary_are_two_things(a: str, b: str) -> None:
    assert of(a, b, LEXICON).llr <= 2.5


@pytest.mark.parametrize(
    ("a", "b"), [("vegetable", "vegitable"), ("library", "libary"), ("fahrrad", "fahrad")]
)
def test_a_word_and_what_no_dictionary_has_is_a_typo(a: str, b: str) -> None:
    found = of(a, b, LEXICON)
    assert found.spelling == "typo"
    assert found.llr > 7.5


def test_two_languages_have_cousins() -> None:
    assert of("orchester", "orchestra", LEXICON).llr > of("hummer", "hammer", LEXICON).llr


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("africa", "america"),
        ("north america", "south america"),
        ("red car", "blue car"),
        ("sonnenaufgang", "sonnenuntergang"),
    ],
)
def test_colours_directions_and_the_like_are_never_swapped(a: str, b: str) -> None:
    assert of(a, b).spelling == "opposite"
    assert of(a, b).llr < 0


def test_words_of_small_classes_are_translated() -> None:
    assert of("red", "rot").spelling == "translation"
    assert of("red", "grün").spelling == "opposite"


@pytest.mark.parametrize(
    ("a", "b", "least"),
    [("map_symbol", "mapsym", 6.0), ("map sym", "map symbol", 4.0), ("uk", "united kingdom", 3.0)],
)
def test_abbreviations(a: str, b: str, least: float) -> None:
    assert of(a, b, LEXICON).llr >= least
    assert not of(a, b, LEXICON).sure


def test_what_dictionaries_and_the_user_say() -> None:
    links = [
        Link("garbage", "trash", "synonym", 6.0),
        Link("katze", "kitten", "translation", 8.0),
        Link("bluff", "cliff", "yours", 9.5),
        Link("hot", "hut", "opposite", -5.0),
        Link("teh", "the", "typo", 9.5),
    ]
    lexicon = Lexicon(LISTS, {(link.a, link.b): link for link in links}, ["woods"])
    assert of("Trash", "garbage", lexicon) == StringEvidence("synonym", 6.0)
    assert of("kitten", "katze", lexicon) == StringEvidence("translation", 8.0)
    assert of("cliff", "bluff", lexicon) == StringEvidence("yours", 9.5, True)
    assert of("hot", "hut", lexicon).spelling == "opposite"
    assert of("teh", "the", lexicon).sure
    assert not of("wood", "woods", lexicon).sure, "a wood is not the material"


def test_the_users_own_file(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("Trash,garbage\nx_ray,röntgen\n", "utf-8")
    forms = [make_form(tag) for tag in ("trash", "garbage", "x-ray", "röntgen", "cat")]
    lexicon = open_lexicon(forms, path, installed=False)
    assert compare(forms[0], forms[1], lexicon).spelling == "yours"
    assert compare(forms[2], forms[3], lexicon).spelling == "yours"
    assert compare(forms[0], forms[4], lexicon).spelling == "none"
    assert not lexicon.lists


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=8))
def test_many_pairs_at_once_are_no_other_than_one_by_one(pairs: list[tuple[str, str]]) -> None:
    forms = [(make_form(a), make_form(b)) for a, b in pairs]
    for lexicon in (NO_LEXICON, LEXICON):
        assert compare_all(forms, lexicon) == [compare(a, b, lexicon) for a, b in forms]


def test_a_stem_is_moderate() -> None:
    assert of("transport", "transportation").spelling == "stem"
    assert of("geography", "geographic").spelling == "stem"
    assert of("paint", "painter").llr < of("geography", "geographic").llr < 7


def test_initials() -> None:
    assert of("uk", "united_kingdom").spelling == "initials"


def test_short_plurals_are_doubtful() -> None:
    assert (plural_llr("bra", "bras") or 0) < (plural_llr("map", "maps") or 0)


@given(st.text(max_size=20), st.text(max_size=20))
def test_symmetric_for_any_text(a: str, b: str) -> None:
    found = of(a, b)
    assert found == of(b, a)
    assert found.spelling in SPELLINGS
    assert -10 < found.llr < 12


WORDS = st.text("abcdefghioms0134 -_üß", min_size=1, max_size=9)


@given(WORDS, WORDS)
def test_symmetric_where_rules_apply(a: str, b: str) -> None:
    assert of(a, b) == of(b, a)


@given(st.text(max_size=20))
def test_a_tag_is_like_itself(tag: str) -> None:
    assert of(tag, tag).spelling == "case"
