import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagkin.variants.folding import make_form
from tagkin.variants.plurals import plural_llr
from tagkin.variants.strings import SPELLINGS, StringEvidence, compare


def of(a: str, b: str) -> StringEvidence:
    return compare(make_form(a), make_form(b))


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
        ("flour", "flor"),
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
