"""Folders of images with their tags in text files beside them."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tagkin.errors import SourceError
from tagkin.images import ImageLimits, decode, read_bytes
from tagkin.sources import ImageRecord, SourceProblem, open_source


def write(root: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def read(root: Path) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """The tags of each image and the reason of each problem, by path below the folder."""
    tags, problems = {}, {}
    for item in open_source(root):
        name = item.path.relative_to(root).as_posix()
        if isinstance(item, ImageRecord):
            assert name not in tags
            assert item.path.is_absolute()
            tags[name] = item.tags
        else:
            problems[name] = item.reason
    return tags, problems


def read_tags(root: Path, sidecar: bytes | str) -> tuple[str, ...]:
    tags, problems = read(write(root, {"a.jpg": b"", "a.txt": sidecar}))
    assert not problems
    return tags["a.jpg"]


def test_images_in_the_order_of_their_names_with_their_tags(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "b.png")
    write(tmp_path, {"b.txt": "cat, dog", "a/c.JPG": b"", "a/c.txt": "sea", "d.webp": b""})
    items = list(open_source(tmp_path))
    assert items == [
        ImageRecord(tmp_path / "a" / "c.JPG", ("sea",)),
        ImageRecord(tmp_path / "b.png", ("cat", "dog")),
        ImageRecord(tmp_path / "d.webp", ()),
    ]
    limits = ImageLimits(100, 10_000)
    assert decode(read_bytes(items[1].path, limits), limits).width == 8


def test_a_source_can_be_read_again_and_says_what_it_is(tmp_path: Path) -> None:
    source = open_source(write(tmp_path, {"a.jpg": b""}))
    assert list(source) == list(source)
    assert source.name == "folder"
    assert str(tmp_path) in source.description


@pytest.mark.parametrize(
    ("sidecar", "tags"),
    [
        ("cat, dog ,, big cat ,", ("cat", "dog", "big cat")),
        ("cat\ndog\n", ("cat", "dog")),
        ("Smith, John\r\nsmile", ("Smith, John", "smile")),
        ("a,\nb, c,\nd", ("a", "b", "c", "d")),
        ("one tag", ("one tag",)),
        ("  \n , \n", ()),
        ("", ()),
        ("😀,\U0001f468‍\U0001f469‍\U0001f467, Überstrich", ("😀", "👨‍👩‍👧", "Überstrich")),
        ("a\u2028b", ("a\u2028b",)),
        (b"\xef\xbb\xbfcat,dog", ("cat", "dog")),
        ("cat,Über".encode("utf-16"), ("cat", "Über")),
        ("Über,€".encode("cp1252"), ("Über", "€")),
        (b"\x81\xdc", ("\x81Ü",)),
    ],
)
def test_what_a_sidecar_holds(tmp_path: Path, sidecar: bytes | str, tags: tuple[str, ...]) -> None:
    assert read_tags(tmp_path, sidecar) == tags


def test_both_names_of_a_sidecar_are_united(tmp_path: Path) -> None:
    write(tmp_path, {"a.jpg": b"", "a.txt": "cat,dog", "a.jpg.txt": "dog,sea", "b.png": b""})
    assert read(tmp_path)[0] == {"a.jpg": ("cat", "dog", "sea"), "b.png": ()}


def test_hidden_and_other_files_are_left_out(tmp_path: Path) -> None:
    names = (".DS_Store", "._a.jpg", ".thumbs/a.jpg", "notes.txt", "movie.mp4", "a.jpg")
    write(tmp_path, dict.fromkeys(names, b""))
    assert read(tmp_path) == ({"a.jpg": ()}, {})


@pytest.mark.parametrize(
    ("sidecar", "reason"),
    [
        (b"x" * (2**20 + 1), "more than 1,048,576 bytes"),
        (b"PNG\0\0\1", "not text"),
        (b"\xff\xfea", "can't be read"),
    ],
)
def test_a_bad_sidecar_is_a_problem_and_keeps_the_image(
    tmp_path: Path, sidecar: bytes, reason: str
) -> None:
    tags, problems = read(write(tmp_path, {"a.jpg": b"", "a.txt": sidecar}))
    assert tags == {"a.jpg": ()}
    assert reason in problems["a.txt"]


def test_links_are_followed_and_loops_survived(tmp_path: Path) -> None:
    root = write(tmp_path / "root", {"a/b.jpg": b""})
    write(tmp_path / "other", {"c.jpg": b""})
    (root / "a" / "up").symlink_to(root)
    (root / "itself.jpg").symlink_to("itself.jpg")
    (root / "other").symlink_to(tmp_path / "other")
    (root / "twin").symlink_to(tmp_path / "other")
    (root / "link.jpg").symlink_to(root / "a" / "b.jpg")
    tags, problems = read(root)
    assert set(tags) == {"a/b.jpg", "other/c.jpg", "link.jpg", "itself.jpg"}
    assert list(problems) == ["a/up"]
    assert "not followed" in problems["a/up"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_an_unreadable_folder_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path, {"a/b.jpg": b"", "c.jpg": b""})
    (tmp_path / "a").chmod(0)
    try:
        tags, problems = read(tmp_path)
    finally:
        (tmp_path / "a").chmod(0o700)
    assert tags == {"c.jpg": ()}
    assert "can't be read" in problems["a"]


def test_a_folder_that_vanishes_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path, {"a.jpg": b"", "b/c.jpg": b"", "d.jpg": b""})
    items = iter(open_source(tmp_path))
    next(items)
    (tmp_path / "b" / "c.jpg").unlink()
    (tmp_path / "b").rmdir()
    problem, last = items
    assert isinstance(problem, SourceProblem)
    assert "can't be read" in problem.reason
    assert last.path.name == "d.jpg"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_for_a_sidecar_does_not_hang(tmp_path: Path) -> None:
    write(tmp_path, {"a.jpg": b""})
    os.mkfifo(tmp_path / "a.txt")
    assert read(tmp_path) == ({"a.jpg": ()}, {"a.txt": "not a regular file"})


@pytest.mark.skipif(sys.platform != "linux", reason="other systems demand Unicode")
def test_a_name_that_is_no_unicode_survives(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    write(tmp_path, {name: b"x", os.fsdecode(b"caf\xe9.txt"): "coffee"})
    (record,) = open_source(tmp_path)
    assert record == ImageRecord(tmp_path / name, ("coffee",))
    assert read_bytes(record.path, ImageLimits(1, 1)) == b"x"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has shorter paths")
def test_folders_nested_beyond_the_recursion_limit(tmp_path: Path) -> None:
    nested = [tmp_path]
    for _ in range(1200):
        nested.append(nested[-1] / "a")
        nested[-1].mkdir()
    (nested[-1] / "b.jpg").touch()
    try:
        assert len(read(tmp_path)[0]) == 1
    finally:  # pytest would remove them recursively
        (nested[-1] / "b.jpg").unlink()
        for folder in reversed(nested[1:]):
            folder.rmdir()


def test_no_collection_at_all(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="doesn't exist"):
        open_source(tmp_path / "missing")
    (tmp_path / "a.jpg").touch()
    with pytest.raises(SourceError, match=r"folder of images .* \.csv, \.tsv or \.parquet"):
        open_source(tmp_path / "a.jpg")
    with pytest.raises(SourceError):
        open_source(Path("nul\0"))


_TAG = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), min_size=1)


@settings(deadline=None, database=None)
@given(tags=st.lists(_TAG.map(str.strip).filter(bool), min_size=2, unique=True))
def test_tags_survive_a_line_each(
    tmp_path_factory: pytest.TempPathFactory, tags: list[str]
) -> None:
    if all(tag.endswith(",") for tag in tags[:-1]):
        tags = ["no comma", *(tag for tag in tags if tag != "no comma")]
    root = tmp_path_factory.mktemp("lines")
    assert read_tags(root, "\ufeff" + "\n".join(tags)) == tuple(tags)


@settings(deadline=None, database=None)
@given(tags=st.lists(_TAG.map(lambda tag: tag.replace(",", "").strip()).filter(bool), unique=True))
def test_tags_survive_between_commas(
    tmp_path_factory: pytest.TempPathFactory, tags: list[str]
) -> None:
    root = tmp_path_factory.mktemp("commas")
    assert read_tags(root, "\ufeff" + ", ".join(tags)) == tuple(tags)


@settings(deadline=None, database=None)
@given(data=st.binary() | st.binary().map(lambda tail: b"\xff\xfe" + tail))
def test_any_bytes_give_clean_tags_or_a_problem(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    root = write(tmp_path_factory.mktemp("bytes"), {"a.jpg": b"", "a.txt": data})
    tags, _ = read(root)
    assert all(tag and tag == tag.strip() for tag in tags["a.jpg"])
