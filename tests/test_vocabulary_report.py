"""What became of the tags: joined, left out, short of images."""

import csv
import io
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagkin.errors import SettingsError
from tagkin.records import ImageFile, ImageRow
from tagkin.splits import Split
from tagkin.vocabulary import TagRules, Vocabulary
from tagkin.vocabulary_report import VocabularyReport, report_tags


def row(split: Split, *tags: str) -> ImageRow:
    return ImageRow("0", (ImageFile(Path("a"), tags, 1, 1),), 1, 1, "png", 1, 0, "g", split)


def report(rows: list[ImageRow], rules: TagRules, least: int = 2) -> VocabularyReport:
    raw, tags = Counter[str](), defaultdict[str, Counter[Split]](Counter)
    for one in rows:
        raw.update(one.tags)
        for tag in rules.resolve_all(one.tags):
            tags[tag][one.split or "train"] += 1
    counts = {tag: found.total() for tag, found in tags.items()}
    vocabulary = Vocabulary.of_counts(counts, min_tag_occurrences=least, exclude=rules.excluded)
    return report_tags(raw, tags, rules, vocabulary)


ROWS = [
    row("train", "Cat", "DOG", "repost"),
    row("train", "cat", "kitty"),
    row("train", "KITTY", " "),
    row("validation", "hound", "Repost", "once"),
    row("test", "cat", "Cat"),
]
RULES = TagRules(aliases={"kitty": "cat"}, merges={"hound": "dog"}, exclude=["repost"])


def test_each_tag_with_its_images_and_its_spellings() -> None:
    made = report(ROWS, RULES)
    assert [(tag.tag, tag.status, tag.images, tag.joined_from) for tag in made.tags] == [
        ("cat", "kept", 4, ("Cat", "KITTY", "kitty")),
        ("dog", "kept", 2, ("DOG", "hound")),
        ("once", "too rare", 1, ()),
        ("repost", "excluded", 2, ("Repost",)),
    ]
    assert made.tags[0].splits == {"train": 3, "validation": 0, "test": 1}
    assert [tag.tag for tag in made.kept] == ["cat", "dog"]


def test_what_joined_the_spellings() -> None:
    made = report(ROWS, RULES)
    assert made.joined == {
        "folding": {"Cat": "cat", "DOG": "dog", "Repost": "repost"},
        "aliases": {"KITTY": "cat", "kitty": "cat"},
        "decisions": {"hound": "dog"},
    }
    assert made.empty == {" ": 1}


def test_kept_tags_that_are_short_of_images() -> None:
    made = report([*ROWS, *[row("train", "cat")] * 3], RULES)
    assert made.few_training_images == {"dog": 1}
    assert made.without_image_in("validation") == ("cat",)
    assert made.without_image_in("test") == ("dog",)
    # Without a test split, that no tag has a test image is nothing to tell.
    assert report(ROWS[:-1], RULES).without_image_in("test") == ()


def test_as_json() -> None:
    made = report([*ROWS, *(row("train", f"X{n}") for n in range(100))], RULES).to_dict()
    assert (made["fold_case"], made["unicode_form"], made["empty"]) == (True, "NFKC", {" ": 1})
    assert made["joined"]["decisions"] == {"spellings": 1, "examples": {"hound": "dog"}}
    assert made["joined"]["folding"]["spellings"] == 103
    assert len(made["joined"]["folding"]["examples"]) == 20
    assert made["splits"]["dog"] == {"train": 1, "validation": 1, "test": 0}
    assert made["few_training_images"] == {"cat": 3, "dog": 1}
    assert made["without_validation_image"] == ["cat"]
    assert made["without_test_image"] == ["dog"]


def test_nothing_to_tell() -> None:
    made = report([], TagRules(False, "none"))
    assert (made.tags, made.empty, made.few_training_images) == ((), {}, {})
    assert (made.fold_case, made.unicode_form) == (False, "none")


# The table


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_as_csv(tmp_path: Path) -> None:
    report(ROWS, RULES).write_csv(tmp_path / "tags.csv")
    first, *_, last = read(tmp_path / "tags.csv")
    assert first == {
        "tag": "cat",
        "images": "4",
        "train": "3",
        "validation": "0",
        "test": "1",
        "status": "kept",
        "joined_from": "Cat|KITTY|kitty",
    }
    assert (last["tag"], last["status"]) == ("repost", "excluded")


def test_awkward_tags_as_csv(tmp_path: Path) -> None:
    rules = TagRules(aliases={"a|b": "c", "back\\slash": "c"})
    tags = ["a|b", "back\\slash", "one, two", 'say "x"', "🐈", "=1+1", "x\x00"]
    report([row("train", *tags)], rules, 1).write_csv(tmp_path / "tags.csv")
    lines = {line["tag"]: line["joined_from"] for line in read(tmp_path / "tags.csv")}
    assert lines["c"] == "a\\|b|back\\\\slash"
    assert set(lines) == {"c", *tags[2:]}


@settings(deadline=None)
@given(st.sets(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=6))
def test_any_tag_survives_the_table(
    tmp_path_factory: pytest.TempPathFactory, tags: set[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    rules = TagRules(False, "none", aliases={"x y": "one\nline, \r\nmore"})
    made = report([row("train", *tags)], rules, 1)
    made.write_csv(path)
    lines = read(path)
    assert [line["tag"] for line in lines] == [tag.tag for tag in made.tags]
    for line, tag in zip(lines, made.tags, strict=True):
        assert unescape(line["joined_from"]) == tag.joined_from


def unescape(cell: str) -> tuple[str, ...]:
    parts, characters = [io.StringIO()], iter(cell)
    for character in characters:
        if character == "|":
            parts.append(io.StringIO())
        else:
            parts[-1].write(next(characters) if character == "\\" else character)
    return tuple(part.getvalue() for part in parts) if cell else ()


def test_a_table_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"can't be written to .*absent"):
        report(ROWS, RULES).write_csv(tmp_path / "absent" / "tags.csv")
