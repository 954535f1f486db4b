import gzip
import json
from pathlib import Path

import pytest

from tagkin.variants import word_lists
from tagkin.variants.word_lists import WordLists, installed_word_lists, packaged_words

LISTS = WordLists(
    {
        "en": {"icon": 900, "house": 5000},
        "de": {"häuser": 40, "straße": 70, "dampf": 30, "schiff": 60, "fahrt": 80, "haus": 900},
    }
)


def test_words_and_their_counts() -> None:
    assert LISTS.count("icon", "en") == 900
    assert LISTS.count("icon", "de") is None
    assert LISTS.look_up("house") == ({"en"}, 5000)
    assert LISTS.look_up("vegitable") == (frozenset(), 0)


@pytest.mark.parametrize("word", ["häuser", "haeuser", "straße", "strasse"])
def test_umlauts_may_be_written_out(word: str) -> None:
    assert LISTS.look_up(word)[0] == {"de"}


def test_a_german_compound_is_known_by_its_parts() -> None:
    assert LISTS.count("dampfschiff", "de") == 30
    assert LISTS.count("schiffsfahrt", "de") == 60
    assert LISTS.count("dampfschaff", "de") is None


def test_no_lists_know_nothing() -> None:
    nothing = WordLists({})
    assert not nothing
    assert nothing.look_up("house") == (frozenset(), 0)


def test_the_package_that_comes_along_knows_both_languages() -> None:
    assert {"icons", "camera", "house"} <= packaged_words("en").keys()
    assert {"häuser", "straße"} <= packaged_words("de").keys()


def test_a_damaged_or_missing_package_is_no_word_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr(word_lists, "find_spec", lambda name: Spec)
    assert packaged_words("en") == {}
    (tmp_path / "resources").mkdir()
    path = tmp_path / "resources" / "en.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"cat": 7}).encode()))
    assert packaged_words("en") == {"cat": "7"}
    for damaged in (b"", b"no gzip", path.read_bytes()[:15], gzip.compress(b"\xff")):
        path.write_bytes(damaged)
        assert packaged_words("en") == {}
    monkeypatch.setattr(word_lists, "find_spec", lambda name: None)
    assert packaged_words("en") == {}


def test_system_lists_are_read_when_present(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ngerman").write_text("Xantwort\nÄpfel\n", "utf-8")
    monkeypatch.setattr(word_lists, "SYSTEM_DICT", tmp_path)
    installed_word_lists.cache_clear()
    try:
        assert installed_word_lists().count("xantwort", "de") == 1
        assert installed_word_lists().count("äpfel", "de") != 1, "the package has counts"
    finally:
        installed_word_lists.cache_clear()
