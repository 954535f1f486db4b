"""Whatever a manifest or sidecar holds, there are records, problems and clean errors; no more."""

import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers_sources import MD5, XMP, deepdanbooru, item, picture, tag, tar, touch, write
from hypothesis import given, settings
from hypothesis import strategies as st

from tagkin.errors import SourceError
from tagkin.sources import ImageRecord, Skipped, SourceProblem, open_source

POST = {
    "id": 1,
    "md5": MD5,
    "file_ext": "jpg",
    "rating": "s",
    "tag_string_artist": "x",
    "tags": "y",
}
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg"}],
    "annotations": [{"image_id": 1, "category_id": 2, "score": 0.5}],
    "categories": [{"id": 2, "name": "cat"}],
}


def seed_database(folder: Path) -> bytes:
    path = folder / "seed.sqlite"
    if not path.exists():
        deepdanbooru(path, (1, MD5, "jpg", "a b", 2), (2, "x", "png", None, 0))
    return path.read_bytes()


def seed_tar(folder: Path) -> bytes:
    path = folder / "seed.tar"
    if not path.exists():
        tar(path, {"a.jpg": picture(), "a.txt": b"x", "a.json": b'{"tags": ["y"]}'})
    return path.read_bytes()


def seed_parquet(folder: Path) -> bytes:
    path = folder / "seed.parquet"
    if not path.exists():
        pq.write_table(
            pa.table({"file": ["a.jpg"], "tags": [["x", "y"]], "weights": [[1, 0]]}), path
        )
    return path.read_bytes()


def as_bytes(document: object, indent: int | None = None) -> Callable[[Path], bytes]:
    return lambda folder: json.dumps(document, indent=indent).encode()


#: By format: the name of the file that is damaged, and what is right in it.
SEEDS: dict[str, list[tuple[str, Callable[[Path], bytes]]]] = {
    "folder": [("a.txt", lambda _: "cat, dög\nx".encode())],
    "csv": [("t.csv", lambda _: b"file,tags,weights,split\na.jpg,x|y,1|0.5,train\n")],
    "parquet": [("t.parquet", seed_parquet)],
    "booru": [
        ("d.jsonl", as_bytes(POST)),
        ("d.json", as_bytes({"posts": [{**POST, "tags": {"general": ["a"]}}]}, 1)),
        ("d.csv", lambda _: f'id,md5,file_ext,tag_string\n1,{MD5},jpg,"a ""b"""\n'.encode()),
        ("d.jsonl.gz", lambda folder: gzip.compress(as_bytes(POST)(folder))),
    ],
    "deepdanbooru": [("d.sqlite", seed_database)],
    "pr0gramm": [
        ("d.json", as_bytes({"items": [item(1, "a.jpg", tags=[tag("x", 0.5)])]}, 1)),
        ("d.json", as_bytes(item(1, "a.jpg"))),
    ],
    "hydrus": [("a.json", as_bytes({"tags": ["x:y"]})), ("a.txt", lambda _: b"x:y\nz")],
    "coco": [("d.json", as_bytes(COCO))],
    "imagefolder": [("metadata.jsonl", as_bytes({"file_name": "a.jpg", "tags": ["x"]}))],
    "webdataset": [("d.tar", seed_tar)],
    "embedded": [("a.xmp", lambda _: XMP.encode()), ("a.jpg", lambda _: picture())],
}
TOKENS = [b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"1e999", b"-1", b"\\ud800", b"\0"]
TOKENS += [b"\n", b"\xff", b"\\u0000", b"../", b"/etc/passwd", b"<", b"&x;", b"NaN", b"9" * 400]


def damage(data: bytes, dice: random.Random) -> bytes:
    kind = dice.random()
    if kind < 0.1:
        return dice.randbytes(dice.randrange(200))
    made = bytearray(data)
    for _ in range(dice.randrange(1, 6)):
        start = dice.randrange(len(made) + 1)
        end = min(len(made), start + dice.choice([0, 0, 1, 1, 4, 30]))
        made[start:end] = dice.choice([*TOKENS, dice.randbytes(3), bytes(made[start:end]) * 3])
    return bytes(made[: dice.randrange(len(made) + 1)] if kind > 0.9 else made)


def check(path: Path, name: str | None) -> None:
    try:
        source = open_source(path, format=name)
        assert source.description
        for _ in source.count():
            pass
        for found in source:
            if isinstance(found, ImageRecord):
                assert found.path.is_absolute()
                os.fsencode(found.path)
                assert not found.weights or len(found.weights) == len(found.tags)
                assert all(0 <= weight <= 1 for weight in found.weights)
                for one in found.tags:
                    assert one.strip() == one != ""
                    one.encode()
                outside = os.path.relpath(found.path, path if path.is_dir() else path.parent)
                assert not outside.startswith("..")
            elif isinstance(found, SourceProblem):
                assert found.reason
                assert found.reason.count("\n") == 0 or len(found.reason) < 1000
            else:
                assert isinstance(found, Skipped)
    except SourceError as error:
        assert len(str(error)) < 3000


def fuzz(name: str, folder: Path, rounds: int) -> None:
    dice = random.Random(name)
    store = folder / "seeds"
    store.mkdir()
    made = folder / "made"
    for number in range(rounds):
        file, seed = dice.choice(SEEDS[name])
        made.mkdir(exist_ok=True)
        touch(made, "a.jpg", f"{MD5}.jpg")
        (made / file).write_bytes(damage(seed(store), dice))
        folders = name in ("folder", "hydrus", "embedded")
        path = made if folders else made / file
        try:
            check(path, name)
            if not number % 5:
                check(path, None)
        except Exception as error:
            raise AssertionError((made / file).read_bytes()) from error
        (made / file).unlink()


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_collections(tmp_path: Path, name: str) -> None:
    fuzz(name, tmp_path, 200)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
def test_ten_thousand_damaged_collections(tmp_path: Path, name: str) -> None:
    fuzz(name, tmp_path, 10_000)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(
                [
                    "md5",
                    "file_ext",
                    "tags",
                    "tag_string",
                    "image",
                    "flags",
                    "id",
                    "items",
                    "posts",
                    "images",
                    "annotations",
                    "categories",
                    "file_name",
                    "name",
                    "tag",
                    "confidence",
                ]
            )
            | st.text(max_size=3),
            inner,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(JSON, max_size=4), st.sampled_from(["booru", "pr0gramm", "coco", "imagefolder"]))
def test_any_json(
    tmp_path_factory: pytest.TempPathFactory, documents: list[object], name: str
) -> None:
    folder = tmp_path_factory.mktemp("json")
    touch(folder, "a.jpg")
    path = write(folder / "d.jsonl", "\n".join(json.dumps(one) for one in documents))
    check(path, name)
    check(path, None)


TAGS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["Zs", "Cc", "Zl", "Zp"]), min_size=1),
    min_size=1,
    unique=True,
)


@settings(max_examples=60, deadline=None)
@given(TAGS)
def test_any_tag_arrives_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, tags: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("tags")
    touch(folder, "a.jpg", f"{MD5}.jpg")
    given_tags = tuple(tags)
    made = {
        "booru": {"md5": MD5, "file_ext": "jpg", "tags": {"general": tags}},
        "pr0gramm": item(1, "a.jpg", 0, tags=[tag(one, 1) for one in tags]),
        "imagefolder": {"file_name": "a.jpg", "tags": tags},
    }
    for name, document in made.items():
        path = write(folder / "d.jsonl", json.dumps(document))
        (record,) = open_source(path, format=name)
        assert isinstance(record, ImageRecord)
        assert record.tags == given_tags
    (folder / "d.jsonl").unlink()
    write(folder / "a.jpg.json", {"tags": tags})
    records = [one for one in open_source(folder, format="hydrus") if one.path.name == "a.jpg"]
    assert [record.tags for record in records] == [given_tags]


def test_a_large_dump_needs_little_memory(tmp_path: Path) -> None:
    rows = 100_000
    with (tmp_path / "posts.jsonl").open("w") as file:
        for number in range(rows):
            post = {**POST, "id": number, "md5": f"{number:032x}", "tags": f"tag_{number} solo"}
            file.write(json.dumps(post) + "\n")
    touch(tmp_path, *(f"{number:032x}.jpg" for number in range(0, rows, 1000)))
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from tagkin.sources import ImageRecord, open_source\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "source = open_source(Path(sys.argv[1]))\n"
        "before = peak()\n"
        "found = [isinstance(one, ImageRecord) for one in source]\n"
        "print(len(found), sum(found), peak() - before)\n"
    )
    command = [sys.executable, "-c", code, tmp_path / "posts.jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    read, found, mebibytes = map(int, done.stdout.split())
    assert (read, found) == (rows, 100)
    assert mebibytes < 20
