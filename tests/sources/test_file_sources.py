"""Sidecars of Hydrus, folder names, COCO, image folders, WebDataset, tags in the images."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from helpers_sources import MD5, XMP, XMP_TAGS, iptc_block, lines, picture, read, tar, touch, write
from PIL import Image

from tagkin import archives
from tagkin.errors import ImageError, SourceError
from tagkin.images import ImageLimits, read_bytes
from tagkin.sources import ImageRecord, open_source

# Folders and sidecars


def test_captions_and_names_of_folders(tmp_path: Path) -> None:
    touch(tmp_path, "top.jpg", "Cats/big ones/a.jpg")
    write(tmp_path / "Cats/big ones/a.caption", "long_hair, smile")
    write(tmp_path / "Cats/big ones/a.txt", "tiger")
    assert read(tmp_path)[0] == {"top.jpg": (), "a.jpg": ("tiger", "long_hair", "smile")}
    source = open_source(tmp_path, folder_tags=True)
    assert "names of folders" in source.description
    assert read(tmp_path, folder_tags=True)[0] == {
        "top.jpg": (),
        "a.jpg": ("Cats", "big ones", "tiger", "long_hair", "smile"),
    }


def test_hydrus_text_has_a_tag_a_line(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    write(tmp_path / "a.jpg.txt", "character:samus aran\nSmith, John\n\n:3\n")
    assert read(tmp_path, format="hydrus")[0] == {
        "a.jpg": ("character:samus aran", "Smith, John", ":3")
    }


@pytest.mark.parametrize(
    ("document", "key", "tags"),
    [
        ({"tags": ["creator:x", " y "], "urls": []}, None, ("creator:x", "y")),
        (["a", "b"], None, ("a", "b")),
        ({"tags": {"my tags": ["a"], "ptr": ["b"]}}, "tags.my tags", ("a",)),
        ({"tags": [{"name": "a"}, {"name": "b"}]}, "tags.name", ("a", "b")),
        ({"a.b": {"c": "x\ny"}}, "a.b.c", ("x", "y")),
        ({"a": None}, "a", ()),
    ],
)
def test_hydrus_json(tmp_path: Path, document: Any, key: str | None, tags: tuple[str, ...]) -> None:
    touch(tmp_path, "a.jpg", "b.png")
    write(tmp_path / "a.jpg.json", document)
    assert open_source(tmp_path, tags_key=key).name == "hydrus"
    assert read(tmp_path, tags_key=key) == ({"a.jpg": tags, "b.png": ()}, [], {})


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"other": 1}, "its keys are: 'other'; --tags-key names another"),
        ({"tags": [1]}, "no text and no list"),
        (5, "holds no object"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff\xfe", "can't|text|JSON"),
    ],
)
def test_bad_json_of_hydrus(tmp_path: Path, document: Any, reason: str) -> None:
    touch(tmp_path, "a.jpg")
    write(tmp_path / "a.json", document)
    tags, problems, _ = read(tmp_path, format="hydrus")
    assert tags == {"a.jpg": ()}
    assert len(problems) == 1
    assert any(part in problems[0] for part in reason.split("|"))


# COCO


def coco(**more: Any) -> dict[str, Any]:
    return {
        "info": {"year": 2017},
        "licenses": [{"id": 1, "name": "CC", "url": ""}],
        "images": [
            {"id": 9, "file_name": "000009.jpg", "width": 8, "height": 8, "license": 1},
            {"id": 25, "file_name": "sub/25.jpg", "width": 8, "height": 8},
        ],
        "annotations": [
            {"id": 1, "image_id": 9, "category_id": 51, "bbox": [0, 0, 1, 1], "iscrowd": 0},
            {"id": 2, "image_id": 9, "category_id": 51, "bbox": [0, 0, 1, 1]},
            {"id": 3, "image_id": 9, "category_id": 60, "score": 0.5},
        ],
        "categories": [
            {"id": 51, "name": "bowl", "supercategory": "kitchen"},
            {"id": 60, "name": "donut", "supercategory": "food"},
        ],
        **more,
    }


def test_coco(tmp_path: Path) -> None:
    path = write(tmp_path / "annotations" / "instances.json", coco())
    source = open_source(path)
    assert (source.name, len(list(source.count()))) == ("coco", 2)
    (tmp_path / "val").mkdir()
    assert read(path, images=tmp_path / "val") == (
        {"000009.jpg": {"bowl": 1.0, "donut": 0.5}, "25.jpg": ()},
        [],
        {},
    )


def test_coco_that_contradicts_itself(tmp_path: Path) -> None:
    wrong = coco(
        annotations=[{"image_id": 9, "category_id": 7}],
        images=[{"id": 9, "file_name": "../x.jpg"}, {"id": 1}, 5],
    )
    tags, problems, _ = read(write(tmp_path / "a.json", wrong))
    assert tags == {}
    parts = ("none of the categories", "--allow-outside", "no 'file_name'", "not a JSON object")
    assert all(part in problem for part, problem in zip(parts, problems, strict=True))


# Image folders


def test_an_image_folder(tmp_path: Path) -> None:
    touch(tmp_path, "train/1.png", "test/2.png")
    lines(
        tmp_path / "train" / "metadata.jsonl",
        {"file_name": "1.png", "tags": ["a, b", "c"]},
        {"file_name": "gone.png", "tags": 5.5},
    )
    write(tmp_path / "test" / "metadata.csv", "file_name,label\n2.png,cat|dog\n")
    source = open_source(tmp_path)
    assert source.name == "imagefolder"
    records = [one for one in source if isinstance(one, ImageRecord)]
    assert [(r.path.name, r.tags, r.split) for r in records] == [
        ("2.png", ("cat", "dog"), "test"),
        ("1.png", ("a, b", "c"), "train"),
    ]
    assert read(tmp_path)[1] == ["line 2: its tags are no text and no list of texts"]


def test_captions_of_an_image_folder(tmp_path: Path) -> None:
    path = lines(tmp_path / "metadata.jsonl", {"file_name": "1.png", "text": "a dog, a ball"})
    assert read(path)[0] == {"1.png": ("a dog", "a ball")}
    assert open_source(path).name == "imagefolder"


def test_columns_can_be_named(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", "name;file;what\na.jpg;b.jpg;x|y\n")
    assert read(table, columns={"file": "Name", "tags": "what"})[0] == {"a.jpg": ("x", "y")}
    for columns, words in (
        ({"tags": "absent"}, "no column 'absent'; the columns are: 'name', 'file', 'what'"),
        ({"colour": "what"}, "can't be a 'colour'"),
    ):
        with pytest.raises(SourceError, match=words):
            open_source(table, columns=columns)


# WebDataset


def shard(path: Path) -> Path:
    return tar(
        path,
        {
            "000.jpg": picture(),
            "000.json": json.dumps({"caption": "a dog", "key": "000", "url": ""}).encode(),
            "000.txt": b"a dog, park",
            "./sub/001.png": picture("blue"),
            "./sub/001.json": json.dumps({"tags": ["x y", "z"], "caption": "no"}).encode(),
            "002.webp": picture("green"),
            "002.json": json.dumps({"caption": "only, this"}).encode(),
            "../../evil.jpg": picture(),
            "003.mp4": b"",
            "/004.png": picture(),
            "004.json": json.dumps({"tag_string_artist": "me", "tag_string": "me y"}).encode(),
        },
    )


def test_web_dataset_is_read_in_place(tmp_path: Path) -> None:
    shard(tmp_path / "00000.tar")
    write(tmp_path / "00000_stats.json", {"count": 3})
    before = sorted(tmp_path.iterdir())
    source = open_source(tmp_path)
    assert source.name == "webdataset"
    records = list(source)
    assert {str(r.path.relative_to(tmp_path)): r.tags for r in records} == {  # type: ignore[union-attr]
        "00000.tar!/000.jpg": ("a dog", "park"),
        "00000.tar!/sub/001.png": ("x y", "z"),
        "00000.tar!/002.webp": ("only", "this"),
        "00000.tar!/004.png": ("artist:me", "y"),
    }
    assert len(list(source.count())) == 4
    limits = ImageLimits(100, 10_000)
    inside = tmp_path / "00000.tar!" / "sub" / "001.png"
    assert read_bytes(inside, limits) == picture("blue")
    assert archives.stat(inside)[0] == len(picture("blue"))
    with pytest.raises(ImageError, match="more than 5 bytes"):
        read_bytes(inside, ImageLimits(100, 5))
    for gone in ("999.jpg", "../00000.tar"):
        with pytest.raises(ImageError, match=r"no such file|can't be read"):
            read_bytes(tmp_path / "00000.tar!" / gone, limits)
    assert sorted(tmp_path.iterdir()) == before


def test_a_damaged_shard_keeps_what_comes_before(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar")
    data = path.read_bytes()
    path.write_bytes(data[: 512 * 5 + 20])
    shard(tmp_path / "b.tar")
    tags, problems, _ = read(tmp_path)
    assert len(tags) == 4
    assert len(problems) <= 1
    write(tmp_path / "c.tar", b"\x1f\x8b" + b"\0" * 600)
    with pytest.raises(SourceError, match=r"unpack it to \.tar first"):
        open_source(tmp_path / "c.tar")


def test_links_in_an_archive_are_left_out(tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(tmp_path / "a.tar", "w") as made:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            member = tarfile.TarInfo(f"{kind!r}.jpg")
            member.type, member.linkname = kind, "/etc/passwd"
            made.addfile(member)
    assert read(tmp_path / "a.tar") == ({}, [], {})


def test_a_folder_that_looks_like_a_path_into_an_archive(tmp_path: Path) -> None:
    write(tmp_path / "x.tar!" / "a.png", picture())
    assert read_bytes(tmp_path / "x.tar!" / "a.png", ImageLimits(100, 10_000)) == picture()


# Tags in the images


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_xmp_in_an_image(tmp_path: Path, kind: str) -> None:
    image = Image.new("RGB", (8, 8))
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP)
        image.save(tmp_path / "a.png", pnginfo=info)
    elif kind == "TIFF":
        image.save(tmp_path / "a.png", kind, tiffinfo={700: XMP.encode()})
    else:
        image.save(tmp_path / "a.png", kind, xmp=XMP.encode())
    assert open_source(tmp_path).name == "embedded"
    assert read(tmp_path) == ({"a.png": XMP_TAGS}, [], {})


def test_iptc_and_xmp_are_united(tmp_path: Path) -> None:
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "JPEG", xmp=XMP.encode())
    jpeg = data.getvalue()
    block = iptc_block(b"Dog", "Straße".encode())
    write(tmp_path / "a.jpg", jpeg[:2] + block + jpeg[2:])
    assert read(tmp_path)[0] == {"a.jpg": (*XMP_TAGS, "Straße")}


def test_iptc_in_an_old_encoding(tmp_path: Path) -> None:
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "JPEG")
    block = iptc_block("Straße".encode("cp1252"), utf8=False)
    write(tmp_path / "a.jpg", data.getvalue()[:2] + block + data.getvalue()[2:])
    assert read(tmp_path)[0] == {"a.jpg": ("Straße",)}


@pytest.mark.parametrize("name", ["a.xmp", "a.jpg.xmp", "a.jpg.XMP"])
def test_xmp_beside_an_image(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "a.jpg")
    write(tmp_path / name, XMP)
    assert open_source(tmp_path).name == "embedded"
    assert read(tmp_path)[0] == {"a.jpg": XMP_TAGS}
    assert len(list(open_source(tmp_path).count())) == 1


@pytest.mark.parametrize(
    "packet",
    [
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>',
        '<!DOCTYPE x SYSTEM "http://localhost/x.dtd"><x/>',
        "<x>&undefined;</x>",
        "no xml",
        "<?xml version='1.0' encoding='nonsense'?><x/>",
        b"\xff\xfe\x00",
        "<a>" * 100_000,
    ],
)
def test_hostile_xmp_is_a_problem(tmp_path: Path, packet: str | bytes) -> None:
    touch(tmp_path, "a.jpg")
    write(tmp_path / "a.xmp", packet)
    tags, problems, _ = read(tmp_path)
    assert tags == {"a.jpg": ()}
    assert len(problems) == 1
    assert "XMP" in problems[0]


# Detection


def test_what_is_unsure_says_what_it_saw(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    write(tmp_path / "a.txt", "x")
    write(tmp_path / "a.xmp", XMP)
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path)
    for part in ("a.txt beside a.jpg (--format folder)", "a.xmp beside a.jpg (--format embedded)"):
        assert part in str(caught.value)
    assert read(tmp_path, format="folder")[0] == {"a.jpg": ("x",)}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"format": "danbooru"}, "no format 'danbooru'; choose from: folder, csv"),
        ({"format": "coco"}, "is a folder, and --format coco reads a file"),
        ({"format": "booru"}, "no .json or .jsonl"),
        ({"format": "webdataset"}, "no .tar file"),
        ({"format": "imagefolder"}, "no metadata.jsonl"),
        ({"flags": "sfw"}, "--flags has no meaning for .* read as folder; it is for: pr0gramm"),
        ({"tags_key": "x"}, "--tags-key has no meaning"),
        ({"images": Path("absent")}, "absent is not a folder"),
    ],
)
def test_mistakes_with_a_folder(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    touch(tmp_path, "a.jpg")
    with pytest.raises(SourceError, match=words):
        open_source(tmp_path, **options)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", {"a": 1}, "JSON of an unknown kind .its keys are: a.; say with --format"),
        ("a.json", [], "JSON of an unknown kind"),
        ("a.json", b"{", "JSON of an unknown kind"),
        ("a.jsonl", b"", "JSON of an unknown kind"),
        ("a.json", b"\x28\xb5\x2f\xfd", "compressed: unpack it first"),
        ("a.json", "{}".encode("utf-16"), "UTF-16: save it as UTF-8"),
        ("a.bin", b"\0\1", "isn't a known kind"),
    ],
)
def test_files_that_are_nothing_known(tmp_path: Path, name: str, content: Any, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        open_source(write(tmp_path / name, content))


AWKWARD = [
    "new\nline",
    "quo\"te's",
    "--dash",
    "emoji 👩‍👩‍👧",
    os.fsdecode(b"latin \xe9"),
    "{braces}",
    "back\\slash",
    "semi;colon, comma|bar",
]


@pytest.mark.parametrize("stem", AWKWARD)
def test_awkward_names_survive(tmp_path: Path, stem: str) -> None:
    name = stem + ".png"
    folder = tmp_path / stem
    touch(folder, name)
    write(folder / f"{stem}.txt", "x")
    assert read(folder)[0] == {name: ("x",)}
    (folder / f"{stem}.txt").rename(folder / f"{name}.txt")
    assert read(folder, format="hydrus")[0] == {name: ("x",)}
    (folder / f"{name}.txt").unlink()
    write(folder / f"{name}.xmp", XMP)
    assert read(folder)[0] == {name: XMP_TAGS}
    (folder / f"{name}.xmp").unlink()
    dump = lines(folder / "metadata.jsonl", {"file_name": name, "tags": ["x"]})
    assert read(dump)[0] == {name: ("x",)}
    lines(dump, {"md5": MD5, "file_ext": "png", "tags": "x"})
    touch(folder, f"{MD5}.png")
    assert read(dump, format="booru")[0] == {f"{MD5}.png": ("x",)}
    path = tar(tmp_path / f"{stem}.tar", {name: picture(), f"{stem}.txt": b"x"})
    assert read(path)[0] == {name: ("x",)}
    (record,) = open_source(path)
    assert read_bytes(record.path, ImageLimits(100, 10_000)) == picture()  # type: ignore[union-attr]
