import numpy as np
import pytest

from tagkin.variants.candidates import containing_pairs, nearest_pairs, string_candidates
from tagkin.variants.folding import make_form
from tagkin.variants.incidence import build_incidence
from tagkin.variants.lexicon import Lexicon
from tagkin.variants.thesauri import Link
from tagkin.variants.word_lists import WordLists


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("icon", "icons"),
        ("berry", "berries"),
        ("haus", "häuser"),
        ("pr0gramm", "program"),
        ("colour", "colors"),
        ("mime-types", "mimetypes"),
        ("sky blue", "blue sky"),
        ("uk", "united kingdom"),
        ("vegetable", "vegitable"),
        ("photograph", "phtograhp"),
        ("transport", "transportation"),
        ("activity", "activities"),
        ("foot", "feet"),
        ("cam", "camera"),
        ("mapsym", "map symbol"),
    ],
)
def test_kin_meet(a: str, b: str) -> None:
    assert string_candidates([make_form(a), make_form(b)]) == {(0, 1)}


def test_words_that_a_dictionary_links_meet() -> None:
    lexicon = Lexicon(
        WordLists({}),
        {
            ("garbage", "trash"): Link("garbage", "trash", "synonym", 6.0),
            ("trash", "work"): Link("trash", "work", "synonym", 1.5),
        },
    )
    forms = [make_form(tag) for tag in ("trash", "garbage", "work")]
    assert string_candidates(forms, lexicon) == {(0, 1)}


def test_numbered_tags_do_not_explode() -> None:
    forms = [make_form(f"picture {number}") for number in range(2000)]
    assert len(string_candidates(forms)) < 2000


def test_unlike_words_do_not_meet() -> None:
    assert string_candidates([make_form("mountain"), make_form("kitchen")]) == set()


def test_nearest_rows_in_blocks() -> None:
    units = np.eye(6, dtype=np.float32)
    units[5] = units[4]
    assert (4, 5) in nearest_pairs(units, neighbours=1, block=2)
    assert nearest_pairs(units, block=2) == nearest_pairs(units)
    assert nearest_pairs(units[:1]) == set()


def test_containing_tags() -> None:
    incidence = build_incidence([["animal", "cat"]] * 4 + [["animal"]] * 6 + [["dog"]] * 3, 1)
    assert incidence.names == ("animal", "cat", "dog")
    assert containing_pairs(incidence, 0.8) == {(0, 1)}
