"""``tagkin prepare``: where its tag rules come from, and what it tells."""

import csv
import json
from pathlib import Path

import pytest
from conftest import RunTagkin
from helpers_collection import add, picture


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    """The folder that commands run in, with four images in it."""
    folder = tmp_path / "cwd"
    for number, tags in enumerate(["kitty", "Cat", "CAT, pup", "doggo"]):
        add(folder, f"images/{number}.png", picture(number), tags)
    return folder


def kept(run_tagkin: RunTagkin, *options: str) -> dict[str, int]:
    done = run_tagkin("prepare", "images", "--min-tag-occurrences", "1", "--json", *options)
    assert done.returncode == 0, done.stderr
    counts: dict[str, int] = json.loads(done.stdout)["tags"]["kept"]
    return counts


def test_aliases_of_the_settings_file_and_of_a_table(cwd: Path, run_tagkin: RunTagkin) -> None:
    (cwd / "tagkin.toml").write_text('[aliases]\nKitty = "cat"\ndoggo = "hound"\n')
    assert kept(run_tagkin) == {"cat": 3, "hound": 1, "pup": 1}
    # A table comes before the file for what it names; the rest of the file still holds.
    (cwd / "aliases.csv").write_text("alias,canonical\nDoggo,dog\npup,dog\n")
    assert kept(run_tagkin, "--aliases", "aliases.csv") == {"cat": 3, "dog": 2}


def test_decisions_come_after_the_aliases_of_the_settings_file(
    cwd: Path, run_tagkin: RunTagkin
) -> None:
    from tagkin.library import Library

    (cwd / "tagkin.toml").write_text('[aliases]\nkitty = "cat"\n')
    library = Library.create_or_open(cwd / "tagkin-library")
    library.decide("merge", ["cat", "feline"], canonical="feline")
    library.decide("merge", ["kitty", "kitten"], canonical="kitten")
    assert kept(run_tagkin) == {"feline": 3, "doggo": 1, "pup": 1}


def test_circular_aliases_are_one_clear_message(cwd: Path, run_tagkin: RunTagkin) -> None:
    (cwd / "tagkin.toml").write_text('[aliases]\na = "b"\nb = "a"\n')
    done = run_tagkin("prepare", "images")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "circle" in done.stderr


def test_folding_is_an_option_that_is_told_and_remembered(cwd: Path, run_tagkin: RunTagkin) -> None:
    done = run_tagkin("prepare", "images", "--min-tag-occurrences", "1")
    assert "case folded, Unicode NFKC" in done.stdout
    assert "2 by folding ('CAT' is 'cat')" in done.stdout
    options = ("--no-fold-case", "--unicode-form", "nfc", "--min-tag-occurrences", "1")
    done = run_tagkin("prepare", "images", *options)
    assert "case kept, Unicode NFC" in done.stdout
    assert kept(run_tagkin, "--no-fold-case", "--unicode-form", "none") == dict.fromkeys(
        ["CAT", "Cat", "doggo", "kitty", "pup"], 1
    )
    remembered = json.loads((cwd / "tagkin-library" / "library.json").read_text())["remembered"]
    assert (remembered["fold_case"], remembered["unicode_form"]) == (False, "none")


def test_the_report_is_a_table(cwd: Path, run_tagkin: RunTagkin) -> None:
    done = run_tagkin("prepare", "images", "--min-tag-occurrences", "2", "--report", "tags.csv")
    assert done.returncode == 0, done.stderr
    assert "kept tags with fewer than 5 training images: 1 (cat " in done.stdout
    with (cwd / "tags.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["tag"]: row for row in csv.DictReader(file)}
    assert (rows["cat"]["status"], rows["cat"]["joined_from"]) == ("kept", "CAT|Cat")
    assert rows["kitty"]["status"] == "too rare"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--report", "absent/tags.csv"], "folder of the report"),
        (["--report", "images"], "is a folder"),
        (["--unicode-form", "NFD"], "unicode_form"),
    ],
)
def test_a_mistake_is_told_before_the_work(
    cwd: Path, run_tagkin: RunTagkin, options: list[str], expected: str
) -> None:
    done = run_tagkin("prepare", "images", *options)
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (2, "", False)
    assert expected in done.stderr
    assert not (cwd / "tagkin-library").exists()


def test_weights_and_splits_of_a_table(cwd: Path, run_tagkin: RunTagkin) -> None:
    for name in ("0.png", "copy.png"):
        add(cwd / "images", name, picture(0, (400, 300) if name == "0.png" else (200, 150)))
    table = cwd / "images" / "table.csv"
    table.write_text(
        "file,tags,weights,split\n0.png,x|y,0.5|1,train\ncopy.png,x,,test\n"
        "1.png,x|y,0.5,train\n2.png,x,,later\n"
    )
    done = run_tagkin("prepare", table)
    assert done.returncode == 0, done.stderr
    assert "with weights, with splits" in done.stdout
    assert "train 1, validation 0, test 1" in done.stdout
    assert "across splits" in done.stderr
    assert "line 4: 1 weight for 2 tags" in done.stderr
    assert "line 5: the split 'later'" in done.stderr


def test_a_dump_with_its_options(cwd: Path, run_tagkin: RunTagkin) -> None:
    dump = cwd / "export.jsonl"
    items = [
        {"id": n, "promoted": 0, "up": 1, "down": 0, "image": f"{n}.png", "flags": 1 + n % 2}
        | {"tags": [{"id": 1, "tag": "kadse", "confidence": 0.5}]}
        for n in range(4)
    ]
    dump.write_text("".join(json.dumps(item) + "\n" for item in [*items, items[0]]))
    done = run_tagkin("prepare", dump, "--images", "images", "--flags", "sfw")
    assert done.returncode == 0, done.stderr
    assert "pr0gramm export" in done.stdout
    assert "files of this source: 2 added, 0 updated, 0 missing" in done.stdout
    assert "skipped: other flags 2" in done.stdout
    dump.write_text(json.dumps(items[0]))
    done = run_tagkin("prepare", dump, "--images", "images", "--prune")
    assert "0 added, 0 updated, 1 pruned" in done.stdout
    assert len(list((cwd / "images").glob("*.png"))) == 4


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--format", "danbooru"], "there is no format 'danbooru'; choose from: folder"),
        (["--flags", "sfw"], "--flags has no meaning"),
        (["--columns", "what"], "write file=NAME,tags=NAME"),
        (["--columns", ""], "write file=NAME,tags=NAME"),
    ],
)
def test_mistakes_with_a_source_are_one_sentence(
    cwd: Path, run_tagkin: RunTagkin, options: list[str], expected: str
) -> None:
    done = run_tagkin("prepare", "images", *options)
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (2, "", False)
    assert expected in done.stderr


def test_a_dump_without_its_images_says_where_to_look(cwd: Path, run_tagkin: RunTagkin) -> None:
    post = {"md5": "0" * 32, "file_ext": "png", "tag_string": "x"}
    (cwd / "d.jsonl").write_text(json.dumps(post))
    done = run_tagkin("prepare", "d.jsonl")
    assert done.returncode == 2
    assert "skipped: image not in the folder 1" in done.stderr
    assert "--images" in done.stderr
