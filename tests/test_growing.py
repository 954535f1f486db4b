"""A library that grows: what many small runs of ``prepare`` make is what all images say."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_collection import add, encode, picture

from tagkin import preparing
from tagkin.library import Library
from tagkin.near_duplicates import group_by_hash
from tagkin.prepare_report import PrepareReport
from tagkin.preparing import prepare
from tagkin.settings import Settings
from tagkin.sources import open_source
from tagkin.splits import SPLITS
from tagkin.tag_edits import EditedTags, NewTagEdit
from tagkin.vocabulary import TagRules, Vocabulary

TAGS = ["cat", "Cat", "kitty", "dog", "hound", "tree", "x"]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.create_or_open(tmp_path / "library")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    return made


def run(library: Library, source: Path, *, prune: bool = False, **settings: Any) -> PrepareReport:
    chosen = Settings(**{"min_tag_occurrences": 2, **settings})
    return prepare(library, open_source(source), chosen, prune=prune)


def looks(number: int) -> bytes:
    """Returns one of three images that look nearly the same."""
    image = picture(number // 3, (200, 150))
    if number % 3 == 0:
        return encode(image)
    return encode(image, "JPEG", quality=85) if number % 3 == 1 else encode(image.resize((100, 75)))


def expected_groups(library: Library, distance: int) -> dict[str, str]:
    rows = library.images()
    labels = group_by_hash(np.array([row.phash for row in rows], np.uint64), distance).tolist()
    names: dict[int, str] = {}
    return {
        row.id: names.setdefault(label, row.id) for row, label in zip(rows, labels, strict=True)
    }


def assert_report_is_true(report: PrepareReport, library: Library, settings: Settings) -> None:
    """Checks the figures of a report against the images, one by one."""
    rules = TagRules.from_settings(settings, library.decisions())
    edits = EditedTags(library.tag_edits(), rules)
    rows = [edits.row(row) for row in library.images() if row.files]
    groups = Counter(row.group for row in rows)
    assert report.images == len(rows)
    assert report.duplicate_files == sum(len(row.files) - 1 for row in rows)
    assert report.untagged_images == sum(not row.tags for row in rows)
    assert report.near_duplicate_groups == sum(count > 1 for count in groups.values())
    assert report.splits == {split: sum(row.split == split for row in rows) for split in SPLITS}
    tags = [rules.resolve_all(row.tags) for row in rows]
    least = settings.min_tag_occurrences
    assert report.vocabulary == Vocabulary.build(
        tags, min_tag_occurrences=least, exclude=rules.excluded
    )
    for summary in report.tag_report.tags:
        assert summary.splits == {
            split: sum(
                row.split == split and summary.tag in own
                for row, own in zip(rows, tags, strict=True)
            )
            for split in SPLITS
        }


@pytest.mark.parametrize("seed", range(3))
def test_many_small_changes(library: Library, folder: Path, seed: int) -> None:
    dice = random.Random(seed)
    options: dict[str, Any] = {"aliases": {"kitty": "cat"}, "exclude_tags": ("x",)}
    splits: dict[str, str | None] = {}
    for step in range(6):
        for _ in range(6):
            path = folder / f"{dice.randrange(20)}.png"
            change = dice.choice(["image", "image", "tags", "gone"])
            if change == "gone":
                path.unlink(missing_ok=True)
            elif change == "image" or not path.exists():
                add(folder, path.name, looks(dice.randrange(15)), "cat")
            path.with_name(f"{path.name}.txt").write_text(
                ", ".join(dice.sample(TAGS, dice.randrange(4)))
            )
        distance = 4 if step < 4 else 6
        report = run(
            library, folder, prune=step % 2 == 1, duplicate_distance=distance, seed=step, **options
        )
        rows = library.images()
        assert {row.id: row.group for row in rows} == expected_groups(library, distance)
        assert {row.id: row.split for row in rows if row.id in splits}.items() <= splits.items()
        splits = {row.id: row.split for row in rows}
        assert None not in splits.values()
        assert_report_is_true(report, library, Settings(min_tag_occurrences=2, **options))
        here = {file.path.name for row in rows for file in row.files if not file.missing}
        assert here == {path.name for path in folder.glob("*.png")}
        if step == 2:
            library.decide("merge", ["hound", "dog"], canonical="dog")
            edited = dice.sample([row.id for row in rows], 3)
            library.edit_tags([NewTagEdit("add", image, "Hound") for image in edited])
            library.edit_tags([NewTagEdit("remove", edited[0], "cat")])


def test_an_image_that_two_groups_have_in_common_joins_them(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = {"a": 0, "b": 0b1111, "c": 0b11}
    order = iter("abc")
    monkeypatch.setattr(
        "tagkin.preparing.content.fitting.perceptual_hash", lambda _: hashes[next(order)]
    )
    table = folder / "table.csv"
    rows = {}
    for number, (name, split) in enumerate({"a": "test", "b": "train", "c": ""}.items()):
        add(folder, f"{name}.png", picture(number))
        rows[name] = f"{name}.png,x,{split}\n"
        table.write_text("file,tags,split\n" + "".join(rows.values()))
        report = run(library, table, duplicate_distance=2)
    found = {row.paths[0].stem: row for row in library.images()}
    assert {row.group for row in found.values()} == {min(row.id for row in found.values())}
    assert {name: row.split for name, row in found.items()} == {
        "a": "test",
        "b": "train",
        "c": "train",
    }
    assert (report.near_duplicate_groups, report.groups_across_splits) == (1, 1)
    # What held the group together is gone.
    (folder / "c.png").unlink()
    table.write_text("file,tags,split\n" + rows["a"] + rows["b"])
    assert run(library, table, prune=True, duplicate_distance=2).near_duplicate_groups == 0
    assert {row.group for row in library.images()} == {found["a"].id, found["b"].id}


def test_how_often_a_run_stores_does_not_matter(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(0)
    table = folder / "table.csv"
    libraries = [Library.create_or_open(tmp_path / name) for name in ("often", "once")]
    for _ in range(2):
        lines = ["file,tags,weights,split"]
        for _ in range(14):
            name = f"{dice.randrange(8)}.png"
            add(folder, name, encode(picture(dice.randrange(6))))
            tags = dice.sample(TAGS, dice.randrange(4))
            weights = "|".join(dice.choice(["1", "0.5", "0"]) for _ in tags)
            lines.append(f"{name},{'|'.join(tags)},{weights},{dice.choice(['', '', 'test'])}")
        table.write_text("\n".join(lines) + "\n")
        told = []
        for library, after in zip(libraries, (2, 1000), strict=True):
            monkeypatch.setattr(preparing, "_STORE_AFTER_FILES", after)
            told.append(run(library, table).to_dict())
        assert told[0] == told[1]
        assert libraries[0].images() == libraries[1].images()


def test_files_of_another_source_are_taken_over(library: Library, folder: Path) -> None:
    for number in range(3):
        add(folder, f"{number}.png", picture(number), "old")
    assert run(library, folder).changes.added == 3
    table = folder / "table.csv"
    table.write_text("file,tags\n0.png,old\n1.png,new\n")
    report = run(library, table)
    assert (report.unchanged_files, report.changes.added, report.changes.updated) == (2, 0, 1)
    files = {file.path.name: file for row in library.images() for file in row.files}
    assert [files[f"{n}.png"].source for n in range(3)] == [table, table, folder]
    assert [files[f"{n}.png"].tags for n in range(3)] == [("old",), ("new",), ("old",)]


def test_a_run_that_did_not_end_is_grouped_anew(library: Library, folder: Path) -> None:
    for number in range(6):
        add(folder, f"{number}.png", looks(number))
    run(library, folder)
    expected = library.images()
    wrong = [row.__class__(**{**row.__dict__, "group": row.id}) for row in expected]
    library.upsert_images(wrong)
    library.update_state(prepared=False)
    run(library, folder)
    assert library.images() == expected
