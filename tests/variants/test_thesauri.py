from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagkin.variants.thesauri import (
    Link,
    mythes_links,
    strongest,
    translation_links,
    wordnet_links,
    wordnet_nouns,
)

WORDS = {"cat", "feline", "katze", "katzen", "cats", "moon", "lunar", "sunrise", "sunset", "x ray"}


def of(links: object) -> dict[tuple[str, str], Link]:
    return strongest(links)  # type: ignore[arg-type]


@pytest.fixture
def wordnet(tmp_path: Path) -> Path:
    """Four synsets in the format of WordNet's database, at the offsets the index names."""
    synsets = {
        "noun": [
            "05 n 02 cat 0 feline 1 000 | a pet",
            "17 n 01 moon 0 000 | it circles the earth",
            "28 n 01 sunrise 0 001 ! {sunset} n 0101 | morning",
            "28 n 01 sunset 0 000 | evening",
            "06 n 02 X-ray 0 roentgen_ray 0 000 | a ray",
        ],
        "adj": ["01 a 01 lunar(a) 0 001 \\ {moon} n 0101 | of the moon"],
    }
    offsets: dict[str, int] = {}
    for _ in range(2):  # the first pass finds out where each line starts
        for part, rows in synsets.items():
            text = ""
            for row in rows:
                name = row.split()[3].split("(")[0].lower()
                for target, offset in offsets.items():
                    row = row.replace(f"{{{target}}}", f"{offset:08d}")
                for target in ("sunset", "moon"):
                    row = row.replace(f"{{{target}}}", "0" * 8)
                offsets[name] = len(text)
                text += f"{len(text):08d} {row}\n"
            (tmp_path / f"data.{part}").write_text(text)
    senses = {
        "noun": {"cat": "cat", "feline": "cat", "moon": "moon", "sunrise": "sunrise",
                 "sunset": "sunset", "x-ray": "x-ray", "roentgen_ray": "x-ray"},
        "adj": {"lunar": "lunar"},
    }  # fmt: skip
    for part, words in senses.items():
        lines = [f"{word} {part[0]} 1 0 1 0 {offsets[of]:08d}" for word, of in words.items()]
        (tmp_path / f"index.{part}").write_text("  1 a licence\n" + "\n".join(sorted(lines)) + "\n")
    return tmp_path


def test_wordnet_knows_synonyms_opposites_and_adjectives(wordnet: Path) -> None:
    links = of(wordnet_links(WORDS, wordnet))
    assert links["cat", "feline"].relation == "synonym"
    assert links["cat", "feline"].llr == 4
    assert links["sunrise", "sunset"].relation == "opposite"
    assert links["lunar", "moon"].relation == "synonym"
    assert len(links) == 3


def test_wordnet_finds_phrases_and_hyphens(wordnet: Path) -> None:
    links = of(wordnet_links({"x ray", "roentgen ray"}, wordnet))
    assert links.keys() == {("roentgen ray", "x ray")}
    assert wordnet_nouns({"x ray", "cats"}, wordnet) == {"x ray"}


def test_mythes_thesauri(tmp_path: Path) -> None:
    head = "UTF-8\n"
    entry = "katze|1\n-|Mieze (ugs.)|Stubentiger|Tier (Oberbegriff)\n"
    hot = "hot|1\n(adj)|warm|cold (antonym)\n"
    (tmp_path / "th_de.dat").write_text(head + entry + hot, "utf-8")
    at = len((head + entry).encode())
    (tmp_path / "th_de.idx").write_text(f"UTF-8\n2\nkatze|{len(head)}\nhot|{at}\n", "utf-8")
    links = of(mythes_links({"katze", "mieze", "tier", "hot", "cold"}, tmp_path))
    assert links["katze", "mieze"].relation == "synonym"
    assert links["cold", "hot"].relation == "opposite"
    assert ("katze", "tier") not in links, "an animal is more than a cat"


def test_translations_stand_segment_by_segment(tmp_path: Path) -> None:
    path = tmp_path / "de-en"
    path.write_text(
        "# a comment\nKatze {f} [zool.] | Katzen {pl} :: cat; feline [formal] | cats\nno arrow\n",
        "utf-8",
    )
    links = of(translation_links(WORDS, path))
    assert links["cat", "katze"].llr == 8
    assert links["cat", "katze"].relation == "translation"
    assert links["cats", "katzen"].llr == 8
    assert links["feline", "katze"].llr < 8
    assert links["cat", "feline"].relation == "synonym"
    assert ("cat", "katzen") not in links


def test_a_dictionary_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert list(wordnet_links(WORDS, tmp_path)) == []
    assert list(mythes_links(WORDS, tmp_path)) == []
    assert list(translation_links(WORDS, tmp_path / "de-en")) == []
    assert wordnet_nouns(WORDS, tmp_path) == frozenset()


@settings(deadline=None)
@given(data=st.binary(max_size=300) | st.text("cat feline|01n:;(){}\n-!\\", max_size=200))
def test_a_damaged_dictionary_is_skipped(
    data: bytes | str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    content = data.encode() if isinstance(data, str) else data
    for name in ("index.noun", "data.noun", "th_x.dat", "de-en"):
        (folder / name).write_bytes(content)
    (folder / "th_x.idx").write_bytes(b"UTF-8\n1\ncat|0\n" + content)
    for links in (
        wordnet_links(WORDS, folder),
        mythes_links(WORDS, folder),
        translation_links(WORDS, folder / "de-en"),
    ):
        assert all(isinstance(link, Link) for link in links)
    # The right lines before the damage: offsets may lead anywhere.
    (folder / "index.noun").write_bytes(b"cat n 1 1 ! 1 0 00000007\n" + content)
    assert all(isinstance(link, Link) for link in wordnet_links(WORDS, folder))


def test_an_opposite_outweighs_a_synonym() -> None:
    links = [Link("a", "b", "synonym", 6.0), Link("b", "a", "opposite", -5.0)]
    assert strongest([*links, Link("a", "a", "synonym", 6.0)])["a", "b"].relation == "opposite"
