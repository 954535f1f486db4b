"""Whatever tags and file names there are: what a writer wrote, the matching reader reads."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers_writers import images, write_all
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tagkin.sources import ImageRecord, open_source
from tagkin.sources.text import clean_tags

#: By the format that is written: the one that reads it, and what has to be said to the reader.
SIDECARS: dict[str, tuple[str, dict[str, Any]]] = {
    "txt": ("folder", {}),
    "lines": ("hydrus", {}),
    "xmp": ("embedded", {}),
    "hydrus": ("hydrus", {}),
}
TABLES: dict[str, tuple[str, dict[str, Any]]] = {
    "csv": ("csv", {"separator": "|"}),
    "jsonl": ("imagefolder", {}),
    "coco": ("coco", {}),
}
AWKWARD_NAMES = [
    b"-rf",
    b"new\nline",
    b"\r",
    b'a "b" c',
    b"'",
    b"\xff\xfe",
    "🐕".encode(),
    b" lead",
]
AWKWARD_NAMES += [
    b"tail ",
    b"a,b|c;d\te",
    b"%s",
    b"$(x)",
    b"<&>",
    b"a.jpg",
    b"x.txt",
    b"\\n",
    b"\x01",
]
AWKWARD_TAGS = [
    "a, b",
    "new\nline",
    "a|b",
    "<&>\"'",
    "]]>",
    "🐕",
    "\x01",
    "\0",
    "\ufeffx",
    "x\r\ny",
]
AWKWARD_TAGS += [
    "-x",
    "=1+1",
    "a,",
    "character:miku",
    "über/Straße",
    "a\u2028b",
    "{}",
    "\\",
    "\ufffe",
]


def as_file_name(stem: bytes) -> str:
    return os.fsdecode(stem.replace(b"/", b"").replace(b"\0", b"").lstrip(b".") or b"x") + ".jpg"


NAMES = st.lists(
    (st.binary(min_size=1, max_size=20) | st.sampled_from(AWKWARD_NAMES)).map(as_file_name),
    min_size=1,
    max_size=4,
    unique=True,
)
TAG = (
    (st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.sampled_from(AWKWARD_TAGS))
    .map(str.strip)
    .filter(bool)
)
TAGS = st.dictionaries(TAG, st.just(1.0) | st.floats(0.01, 1.0), max_size=5)
COLLECTION = NAMES.flatmap(
    lambda names: st.tuples(*(TAGS for _ in names)).map(
        lambda tags: dict(zip(names, tags, strict=True))
    )
)
AWKWARD = {
    as_file_name(name): dict.fromkeys(AWKWARD_TAGS[at:] + AWKWARD_TAGS[:at], 0.5)
    for at, name in enumerate(AWKWARD_NAMES)
}


@contextmanager
def written(to: str, tags: dict[str, dict[str, float]], **options: Any) -> Iterator[Any]:
    """Gives the folder of images, the change of each, and what of its tags was written."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = images(folder, *tags)
        given = dict(zip(paths, tags.values(), strict=True))
        changes, _ = write_all(to, given, **options)
        failed = {change.image for change in changes if change.kind == "failed"}
        left_out = {change.image: change.left_out for change in changes}
        kept = {
            path: {tag: one for tag, one in weighted.items() if tag not in left_out[path]}
            for path, weighted in given.items()
            if path not in failed
        }
        yield folder, changes, kept


def read(path: Path, **options: Any) -> dict[Path, dict[str, float]]:
    found = {}
    for record in open_source(path, **options):
        assert isinstance(record, ImageRecord), record
        weights = record.weights or [1.0] * len(record.tags)
        found[record.path] = dict(zip(record.tags, weights, strict=True))
    return found


@pytest.mark.parametrize("to", SIDECARS)
@settings(max_examples=60, deadline=None)
@given(tags=COLLECTION)
@example(tags=AWKWARD)
def test_files_beside_images(to: str, tags: dict[str, dict[str, float]]) -> None:
    reader, options = SIDECARS[to]
    with written(to, tags) as (folder, changes, kept):
        assert len(kept) == len(tags)
        found = read(folder, format=reader, **options)
        assert {path: list(found[path]) for path in kept} == {p: list(t) for p, t in kept.items()}
        assert_only_what_must_be_is_left_out(to, changes)


@pytest.mark.parametrize("to", TABLES)
@settings(max_examples=60, deadline=None)
@given(tags=COLLECTION)
@example(tags=AWKWARD)
def test_tables(to: str, tags: dict[str, dict[str, float]]) -> None:
    reader, options = TABLES[to]
    with tempfile.TemporaryDirectory() as name:
        table = Path(name) / "table.json"
        with written(to, tags, output=table) as (_, changes, kept):
            assert kept.keys() == {c.image for c in changes if to != "csv" or is_utf8(c.image)}
            found = read(table, format=reader, allow_outside=True, **options)
            assert found.keys() == kept.keys()
            for path, weighted in kept.items():
                assert list(found[path]) == list(weighted)
                assert list(found[path].values()) == pytest.approx(list(weighted.values()), 1e-5)
            assert_only_what_must_be_is_left_out(to, changes)


@settings(max_examples=60, deadline=None)
@given(tags=COLLECTION)
@example(tags=AWKWARD)
def test_labels_of_fiftyone(tags: dict[str, dict[str, float]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        table = Path(name) / "labels.json"
        with written("fiftyone", tags, output=table) as (_, _changes, kept):
            labels = json.loads(table.read_text("utf-8"))["labels"]
            assert labels.keys() == {str(path) for path in kept}
            for path, weighted in kept.items():
                assert [one["label"] for one in labels[str(path)]] == list(weighted)
                scores = [one.get("confidence", 1.0) for one in labels[str(path)]]
                assert scores == pytest.approx(list(weighted.values()), 1e-5)


@pytest.mark.parametrize("to", SIDECARS)
@settings(max_examples=40, deadline=None)
@given(first=st.lists(TAG, unique=True), second=st.lists(TAG, unique=True), gone=st.data())
def test_what_is_there_stays_and_what_is_unwanted_goes(
    to: str, first: list[str], second: list[str], gone: Any
) -> None:
    with tempfile.TemporaryDirectory() as name:
        (path,) = images(Path(name), "a.jpg")
        ((_change,), _) = write_all(to, {path: first})
        before = read_one(path, to)
        out = gone.draw(st.lists(st.sampled_from(before), unique=True)) if before else []
        ((change,), _) = write_all(to, {path: second}, unwanted=tuple(out), update=True)
        after = read_one(path, to)
        if change.kind == "failed":  # a list of lines can become one that reads otherwise
            assert after == before
            return
        stays = [tag for tag in before if tag not in out or tag in second]
        assert after == [
            *stays,
            *(t for t in second if t not in before and t not in change.left_out),
        ]


def read_one(path: Path, to: str) -> list[str]:
    reader, options = SIDECARS[to]
    return list(read(path.parent, format=reader, **options)[path])


def is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def assert_only_what_must_be_is_left_out(to: str, changes: list[Any]) -> None:
    must = {
        "txt": lambda tag: set(tag) & set(",\n\r\0") or tag[0] == "\ufeff",
        "lines": lambda tag: set(tag) & set("\n\r\0") or tag[0] == "\ufeff",
        "xmp": lambda tag: any(c < " " or c in "\ufffe\uffff" for c in tag),
        "hydrus": lambda tag: False,
        "csv": lambda tag: set(tag) & set("|\0"),
        "jsonl": lambda tag: False,
        "coco": lambda tag: False,
    }[to]
    for change in changes:
        assert all(must(tag) for tag in change.left_out), change.left_out
        assert all(clean_tags([tag]) == (tag,) for tag in change.added)
