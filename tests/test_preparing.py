"""From a collection to a library: what is kept, what is told, and what a second run does."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_collection import add, bomb, collection, encode, picture
from PIL import Image

import tagkin
from tagkin import images
from tagkin.library import Library
from tagkin.prepare_report import PrepareReport
from tagkin.preparing import content_id, prepare
from tagkin.records import ImageRow
from tagkin.settings import Settings
from tagkin.sources import open_source


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.create_or_open(tmp_path / "library")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    return made


def run(library: Library, source: Path, **settings: Any) -> PrepareReport:
    options = {"min_tag_occurrences": 1, **settings}
    return prepare(library, open_source(source), Settings(**options))


def by_name(library: Library) -> dict[str, ImageRow]:
    return {path.name: row for row in library.images() for path in row.paths}


def reasons(report: PrepareReport) -> dict[str, str]:
    return {problem.path.name: problem.reason for problem in report.problems}


# Reading a collection


def test_a_collection(library: Library, folder: Path) -> None:
    report = run(library, collection(folder, 40))
    assert (report.files, report.images, report.new_images) == (40, 40, 40)
    assert (report.duplicate_files, report.untagged_images, report.near_duplicate_groups) == (
        0,
        0,
        0,
    )
    assert sum(report.splits.values()) == 40
    assert report.splits["train"] == pytest.approx(28, abs=3)
    assert min(report.splits.values()) >= 4
    assert report.vocabulary.counts == {"all": 40, **{f"tag {n}": 8 for n in range(5)}}
    assert report.problems == ()
    assert Library.open(library.path).state.prepared
    row = by_name(library)["0003.png"]
    assert row.id == content_id((folder / "0003.png").read_bytes())
    assert (row.tags, row.paths) == (("all", "tag 3"), (folder / "0003.png",))
    assert (row.width, row.height, row.format, row.frames) == (96, 72, "png", 1)
    assert row.group == row.id


def test_the_same_bytes_twice_are_one_image_with_both_paths(library: Library, folder: Path) -> None:
    data = encode(picture(1))
    add(folder, "b.png", data, "Cat, dog")
    add(folder, "sub/a.png", data, "dog, sea")
    report = run(library, folder)
    assert (report.files, report.images, report.duplicate_files) == (2, 1, 1)
    (row,) = library.images()
    assert row.paths == (folder / "b.png", folder / "sub/a.png")
    assert row.tags == ("Cat", "dog", "sea")
    assert report.vocabulary.counts == {"cat": 1, "dog": 1, "sea": 1}


def test_an_odd_folder(library: Library, folder: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    whole = encode(picture(9), "JPEG")
    good = {
        "plain.jpg": picture(1),
        "cmyk.jpg": encode(picture(2).convert("CMYK"), "JPEG"),
        "deep.png": encode(Image.fromarray(np.arange(72 * 96, dtype=np.uint16).reshape(72, 96))),
        "moving.gif": encode(picture(3), "GIF", save_all=True, append_images=[picture(4)]),
        "clear.png": picture(5).convert("RGBA"),
        "turned.jpg": encode(picture(6), "JPEG", exif=turned),
        "wrong name.png": encode(picture(7), "JPEG"),
        "UPPER 🐈, 'x'.JPG": encode(picture(8), "JPEG"),
        os.fsdecode(b"latin \xe9.png"): picture(10),
        "tiny.png": Image.new("L", (1, 1)),
    }
    for name, content in good.items():
        add(folder, name, content, "good")
    bad = {
        "empty.jpg": (b"", "zero bytes"),
        "page.jpg": (b"<!DOCTYPE html><html>404</html>", "HTML"),
        "half.jpg": (whole[: len(whole) // 2], "truncated"),
        "bomb.png": (bomb(), "120000x120000 pixels"),
        "noise.webp": (b"RIFF\x10\0\0\0WEBPVP8 nothing", "damaged|truncated"),
    }
    for name, (content, _) in bad.items():
        add(folder, name, content, "bad")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "nowhere.jpg").symlink_to("missing.jpg")
    (folder / "circle").symlink_to(".")
    (folder / "notes.md").write_text("not an image")

    report = run(library, folder)
    rows = by_name(library)
    assert set(rows) == set(good)
    assert (report.files, report.images) == (len(good), len(good))
    assert report.vocabulary.counts == {"good": len(good)}
    assert (rows["turned.jpg"].width, rows["turned.jpg"].height) == (72, 96)
    assert rows["moving.gif"].frames == 2
    assert (rows["wrong name.png"].format, rows["cmyk.jpg"].format) == ("jpeg", "jpeg")
    told = reasons(report)
    assert set(told) == {*bad, "loop.jpg", "nowhere.jpg", "circle"}
    for name, (_, words) in bad.items():
        assert any(word in told[name] for word in words.split("|")), told[name]
    assert set(library.problems()) == set(report.problems)


def test_an_empty_folder(library: Library, folder: Path) -> None:
    report = run(library, folder)
    assert (report.files, report.images, report.problems) == (0, 0, ())
    assert report.splits == {"train": 0, "validation": 0, "test": 0}
    assert report.vocabulary.tags == ()
    assert report.to_dict()["images"] == 0
    assert library.images() == []


def test_one_image_without_tags(library: Library, folder: Path) -> None:
    add(folder, "a.png", picture(1))
    report = run(library, folder)
    assert (report.images, report.untagged_images, report.splits["train"]) == (1, 1, 1)


def test_a_table_that_names_a_file_twice_adds_up_its_tags(library: Library, folder: Path) -> None:
    add(folder, "a.png", picture(1))
    table = folder / "table.csv"
    table.write_text("file,tags\na.png,x|y\na.png,y|z\n")
    for _ in range(2):
        report = run(library, table)
        assert (report.files, report.images, report.duplicate_files) == (1, 1, 0)
        assert by_name(library)["a.png"].tags == ("x", "y", "z")


def test_every_bad_row_of_a_table_is_told(library: Library, folder: Path) -> None:
    add(folder, "a.png", picture(1))
    table = folder / "table.csv"
    table.write_text("file,tags\na.png,x\n,y\n../../etc/passwd,z\nmissing.png,x\n")
    report = run(library, table)
    told = sorted(f"{problem.path.name} {problem.reason}" for problem in report.problems)
    assert len(told) == 3
    assert told[0].startswith("missing.png")
    assert "line 3" in told[1]
    assert "line 4" in told[2]
    assert set(library.problems()) == set(report.problems)


def test_progress_is_told(library: Library, folder: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    prepare(
        library,
        open_source(collection(folder, 5)),
        Settings(),
        progress=lambda *step: seen.append(step),
    )
    assert ("checking images", 5, 5) in seen


# Tags


def test_the_vocabulary_respects_aliases_decisions_and_exclusions(
    library: Library, folder: Path
) -> None:
    for number, tags in enumerate(["kitty", "Cat", "CAT, Repost", "hound", "dog, repost", "once"]):
        add(folder, f"{number}.png", picture(number), tags)
    library.decide("merge", ["hound", "dog"], canonical="dog")
    options = {"min_tag_occurrences": 2, "aliases": {"Kitty": "cat"}, "exclude_tags": "REPOST"}
    vocabulary = run(library, folder, **options).vocabulary
    assert vocabulary.counts == {"cat": 3, "dog": 2}
    assert vocabulary.excluded == {"repost": 2}
    assert vocabulary.too_rare == {"once": 1}
    assert by_name(library)["0.png"].tags == ("kitty",)
    library.decide("undo", undoes=1)
    assert run(library, folder, **options).vocabulary.counts == {"cat": 3}


def test_the_report_tells_what_became_of_the_tags(library: Library, folder: Path) -> None:
    for number, tags in enumerate(["kitty", "Cat", "CAT, Repost", "hound", "once"]):
        add(folder, f"{number}.png", picture(number), tags)
    library.decide("merge", ["hound", "cat"], canonical="cat")
    report = run(library, folder, aliases={"Kitty": "cat"}, exclude_tags="repost")
    assert report.tag_report.joined == {
        "folding": {"CAT": "cat", "Cat": "cat", "Repost": "repost"},
        "aliases": {"kitty": "cat"},
        "decisions": {"hound": "cat"},
    }
    told = report.to_dict()["tags"]
    assert told["joined"]["aliases"] == {"spellings": 1, "examples": {"kitty": "cat"}}
    assert sum(told["splits"]["cat"].values()) == 4


# Weights


def test_weights_of_a_table_are_stored(library: Library, folder: Path) -> None:
    for name, seed in (("a", 1), ("copy", 1), ("b", 2)):
        add(folder, f"{name}.png", picture(seed))
    table = folder / "table.csv"
    table.write_text(
        "file,tags,confidence\na.png,x|y,0.9|0.25\na.png,y|z,0.5|0\ncopy.png,x,0.1\nb.png,x|y,\n"
    )
    run(library, table)
    stored = library.images()
    rows = by_name(library)
    assert rows["a.png"].tags == ("x", "y")
    assert rows["a.png"].weights == {"x": pytest.approx(0.9), "y": 0.5}
    assert (rows["b.png"].tags, rows["b.png"].weights) == (("x", "y"), {})
    assert run(library, table).vocabulary.counts == {"x": 2, "y": 2}
    assert library.images() == stored


def test_weights_change_with_the_table(library: Library, folder: Path) -> None:
    add(folder, "a.png", picture(1))
    table = folder / "table.csv"
    for cell, weights in (("0.5|1", {"x": 0.5}), ("1|0.25", {"y": 0.25}), ("", {})):
        table.write_text(f"file,tags,weights\na.png,x|y,{cell}\n")
        run(library, table)
        assert by_name(library)["a.png"].weights == weights


def test_a_tag_of_weight_zero_is_not_there(library: Library, folder: Path) -> None:
    add(folder, "a.png", picture(1))
    (folder / "table.csv").write_text("file,tags,weights\na.png,x,0\n")
    report = run(library, folder / "table.csv")
    assert (report.untagged_images, dict(report.vocabulary.counts)) == (1, {})


# The second run


def test_a_second_run_changes_nothing_and_reads_nothing_again(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection(folder, 8)
    add(folder, "bad.png", b"")
    first = run(library, folder)
    before = library.images()
    read = []

    def counting(path: Path, limits: images.ImageLimits) -> tuple[bytes, int | None]:
        read.append(path.name)
        return original(path, limits)

    original = images.read_dated
    monkeypatch.setattr(images, "read_dated", counting)
    second = run(library, folder)
    assert read == ["bad.png"]
    assert library.images() == before
    assert (second.unchanged_files, second.new_images) == (8, 0)
    same = {"unchanged_files": 8, "new_images": 0, "added_files": 0}
    assert second.to_dict() == {**first.to_dict(), **same}


def test_edited_tags_are_read_without_the_image(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = add(folder, "a.png", picture(1), "old, kept")
    run(library, folder)
    monkeypatch.setattr(images, "read_dated", None)
    path.with_name("a.png.txt").write_text("kept, new")
    assert run(library, folder).vocabulary.counts == {"kept": 1, "new": 1}
    assert by_name(library)["a.png"].tags == ("kept", "new")
    path.with_name("a.png.txt").unlink()
    assert run(library, folder).untagged_images == 1


def test_an_edited_image_is_a_new_one(library: Library, folder: Path) -> None:
    add(folder, "a.png", picture(1), "x")
    run(library, folder)
    old = by_name(library)["a.png"]
    add(folder, "a.png", picture(2), "x")
    report = run(library, folder)
    new = by_name(library)["a.png"]
    assert new.id != old.id
    assert [row.id for row in library.images() if row.paths] == [new.id]
    assert (report.images, report.new_images, report.untagged_images) == (1, 1, 0)
    assert sum(report.splits.values()) == 1
    add(folder, "a.png", picture(1), "x")
    assert run(library, folder).new_images == 0
    assert by_name(library)["a.png"].id == old.id


def test_an_edited_copy_leaves_the_other_copy(library: Library, folder: Path) -> None:
    add(folder, "a.png", picture(1), "x")
    add(folder, "b.png", picture(1), "y")
    run(library, folder)
    add(folder, "a.png", picture(2), "x")
    run(library, folder)
    rows = by_name(library)
    assert rows["a.png"].id != rows["b.png"].id
    assert (rows["a.png"].tags, rows["b.png"].tags) == (("x",), ("y",))


def test_problems_that_were_put_right_are_gone(
    library: Library, tmp_path: Path, folder: Path
) -> None:
    add(folder, "a.png", b"", "x")
    add(folder, "gone.png", b"")
    (folder / "b.txt").write_bytes(b"\0" * 2**21)
    add(folder, "b.png", picture(2))
    add(tmp_path / "other", "c.png", b"")
    run(library, folder)
    run(library, tmp_path / "other")
    names = [problem.path.name for problem in library.problems()]
    assert sorted(names) == ["a.png", "b.txt", "c.png", "gone.png"]
    add(folder, "a.png", picture(1), "x")
    (folder / "gone.png").unlink()
    (folder / "b.txt").write_text("y")
    assert run(library, folder).problems == ()
    assert [problem.path.name for problem in library.problems()] == ["c.png"]


def test_files_that_are_gone_stay_listed(library: Library, folder: Path) -> None:
    collection(folder, 4)
    run(library, folder)
    (folder / "0002.png").unlink()
    report = run(library, folder)
    assert (report.files, report.images) == (3, 4)
    assert "0002.png" in by_name(library)


# Splits


def test_an_image_keeps_its_split(library: Library, folder: Path) -> None:
    run(library, collection(folder, 30))
    before = {row.id: row.split for row in library.images()}
    report = run(library, collection(folder, 50, start=30), seed=99, test_fraction=0.3)
    after = {row.id: row.split for row in library.images()}
    assert {image: after[image] for image in before} == before
    assert report.new_images == 50
    assert None not in after.values()


def test_near_duplicates_are_in_one_split(library: Library, folder: Path) -> None:
    for seed in range(30):
        image = picture(seed, (400, 300))
        add(folder, f"{seed}.png", image, "x")
        add(folder, f"{seed} copy.jpg", encode(image, "JPEG", quality=60), "x")
        add(folder, f"{seed} small.png", image.resize((200, 150)), "x")
    report = run(library, folder, duplicate_distance=4)
    rows = by_name(library)
    assert report.near_duplicate_groups >= 25
    together = 0
    for seed in range(30):
        copies = [rows[name] for name in (f"{seed}.png", f"{seed} copy.jpg", f"{seed} small.png")]
        if len({row.group for row in copies}) == 1:
            together += 1
            assert len({row.split for row in copies}) == 1
    assert together >= 25
    add(folder, "late.jpg", encode(picture(3, (400, 300)), "JPEG", quality=90), "x")
    run(library, folder, duplicate_distance=4)
    assert by_name(library)["late.jpg"].split == rows["3.png"].split


def splits_table(folder: Path, splits: dict[str, str]) -> Path:
    table = folder / "table.csv"
    rows = "".join(f"{name},x,{split}\n" for name, split in splits.items())
    table.write_text(f"file,tags,split\n{rows}")
    return table


def test_splits_of_the_source_are_respected(library: Library, folder: Path) -> None:
    run(library, collection(folder, 30))
    wanted = {f"{n:04}.png": ["test", "Train", "val", ""][n % 4] for n in range(30)}
    before = by_name(library)
    report = run(library, splits_table(folder, wanted))
    for name, row in by_name(library).items():
        known = {"": before[name].split, "Train": "train", "val": "validation"}
        assert row.split == known.get(wanted[name], wanted[name])
    assert (report.problems, report.groups_across_splits) == ((), 0)
    after = by_name(library)
    for seed in range(2):  # they stay without being said again, and with it
        run(library, folder, seed=seed)
        assert by_name(library) == {
            name: replace(row, files=by_name(library)[name].files) for name, row in after.items()
        }
        run(library, splits_table(folder, wanted), seed=seed)
        assert by_name(library) == after


def test_the_rest_is_dealt_out_around_the_splits_of_the_source(
    library: Library, folder: Path
) -> None:
    collection(folder, 40)
    wanted = {f"{n:04}.png": "validation" if n < 6 else "" for n in range(40)}
    report = run(library, splits_table(folder, wanted))
    assert report.splits == {"train": 28, "validation": 6, "test": 6}
    rows = by_name(library)
    assert {rows[f"{n:04}.png"].split for n in range(6)} == {"validation"}


def near_duplicates(folder: Path, seed: int) -> tuple[str, str, str]:
    image = picture(seed, (400, 300))
    add(folder, f"{seed}.png", image)
    add(folder, f"{seed} copy.jpg", encode(image, "JPEG", quality=90))
    add(folder, f"{seed} small.png", image.resize((200, 150)))
    return f"{seed}.png", f"{seed} copy.jpg", f"{seed} small.png"


def test_the_split_of_one_image_decides_for_its_group(library: Library, folder: Path) -> None:
    wanted = dict.fromkeys(near_duplicates(folder, 1), "") | {"1 copy.jpg": "test"}
    report = run(library, splits_table(folder, wanted))
    assert (report.near_duplicate_groups, report.groups_across_splits) == (1, 0)
    assert {row.split for row in library.images()} == {"test"}


def test_groups_that_the_source_tears_apart_are_told(library: Library, folder: Path) -> None:
    names = near_duplicates(folder, 1)
    wanted = dict(zip(names, ("train", "test", "test"), strict=True))
    add(folder, "late.jpg", encode(picture(1, (400, 300)), "JPEG", quality=60))
    report = run(library, splits_table(folder, wanted | {"late.jpg": ""}))
    assert (report.near_duplicate_groups, report.groups_across_splits) == (1, 1)
    assert report.to_dict()["groups_across_splits"] == 1
    rows = by_name(library)
    assert [rows[name].split for name in names] == ["train", "test", "test"]
    assert rows["late.jpg"].split == "train"


def test_splits_that_contradict_each_other_are_problems(library: Library, folder: Path) -> None:
    for name in ("a.png", "b.png"):
        add(folder, name, picture(1))
    table = folder / "table.csv"
    table.write_text("file,tags,split\na.png,x,test\na.png,y,train\nb.png,z,val\na.png,x,test\n")
    for _ in range(2):
        report = run(library, table)
        (row,) = library.images()
        assert (row.split, row.tags) == ("test", ("x", "y", "z"))
        told = reasons(report)
        assert "train is not the test that an earlier row names; test counts" in told["a.png"]
        assert f"validation is not the test that {folder / 'a.png'}" in told["b.png"]
        assert len(report.problems) == len(library.problems()) == 2


# Killed


_PREPARE = """
import sys
from pathlib import Path
from tagkin import preparing
from tagkin.library import Library
from tagkin.settings import Settings
from tagkin.sources import open_source

preparing._STORE_AFTER_FILES = 5
library = Library.create_or_open(Path(sys.argv[2]))
print("ready", flush=True)
preparing.prepare(library, open_source(Path(sys.argv[1])), Settings(min_tag_occurrences=1))
"""


@pytest.mark.fault
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, folder: Path) -> None:
    collection(folder, 300)
    for seed in range(0, 300, 3):
        add(folder, f"copy {seed}.png", picture(seed), "copy")
    add(folder, "bad.png", b"")
    undisturbed = Library.create_or_open(tmp_path / "undisturbed")
    expected = run(undisturbed, folder).to_dict()

    rng, interrupted = random.Random(0), 0
    path = tmp_path / "killed"
    versions = path / "images.lance" / "_versions"
    environment = {**os.environ, "PYTHONPATH": str(Path(tagkin.__file__).parent.parent)}
    for _ in range(6):
        command = [sys.executable, "-c", _PREPARE, str(folder), str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            wanted = len(list(versions.glob("*"))) + rng.randrange(1, 8)
            while process.poll() is None and len(list(versions.glob("*"))) < wanted:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        library = Library.open(path)
        interrupted += bool(library.images()) and not library.state.prepared
    assert interrupted
    resumed = Library.open(path)
    report = run(resumed, folder).to_dict()
    assert report["unchanged_files"] > 0
    assert resumed.images() == undisturbed.images()
    assert resumed.problems() == undisturbed.problems()
    depends_on_the_run = {"new_images", "added_files", "unchanged_files"}
    assert {k: v for k, v in report.items() if k not in depends_on_the_run} == {
        k: v for k, v in expected.items() if k not in depends_on_the_run
    }
