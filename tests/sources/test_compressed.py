"""Dumps compressed with gzip, e621's CSV among them, and XMP where Pillow doesn't look."""

import gzip
import json
import zlib
from pathlib import Path

import pytest
from helpers_collection import encode
from helpers_collection import picture as large_picture
from helpers_sources import MD5, OTHER, XMP, XMP_TAGS, item, read, tag, touch, write
from PIL import Image, PngImagePlugin

from tagkin.errors import SourceError
from tagkin.sources import open_source
from tagkin.sources.embedded import embedded_tags

POST = {"id": 1, "md5": MD5, "file_ext": "jpg", "rating": "s", "tag_string": "solo"}
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg"}],
    "annotations": [{"image_id": 1, "category_id": 2}],
    "categories": [{"id": 2, "name": "cat"}],
}
E621 = (
    "id,uploader_id,created_at,md5,source,rating,image_width,image_height,tag_string,locked_tags,"
    "fav_count,file_ext,parent_id,description,is_deleted\n"
    f'16,1,2007-02-10,{MD5},"http://x\nhttp://y",s,1,1,"fox ""solo"" ünder_score",,3,jpg,,'
    '"a ""b""\n\nc",f\n'
    f"17,1,2007-02-10,{OTHER},,e,1,1,canine,,3,png,,,f\n"
    "18,1\n"
    "19,1,2007-02-10,0c111111111111111111111111111111,,e,1,1,x,,3,webm,,,f\n"
    "20,1,2007-02-10,0c111111111111111111111111111112,,e,1,1,x,,3,jpg,,,t\n"
)


def zipped(path: Path, content: object) -> Path:
    text = content if isinstance(content, str) else json.dumps(content)
    return write(path, gzip.compress(text.encode()))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("d.jsonl.gz", POST, {f"{MD5}.jpg": ("solo", "rating:s")}),
        ("d.json.gz", [POST], {f"{MD5}.jpg": ("solo", "rating:s")}),
        (
            "p.json.gz",
            {"items": [item(1, "a.jpg", 1, tags=[tag("x", 1)])]},
            {"a.jpg": ("x", "flag:sfw")},
        ),
        ("c.json.gz", COCO, {"a.jpg": ("cat",)}),
        ("m.jsonl.gz", {"file_name": "a.jpg", "tags": ["x"]}, {"a.jpg": ("x",)}),
        ("t.csv.gz", "file,tags\na.jpg,x|y\n", {"a.jpg": ("x", "y")}),
        ("plain name", [POST], {f"{MD5}.jpg": ("solo", "rating:s")}),
    ],
)
def test_compressed_dumps_are_read(
    tmp_path: Path, name: str, content: object, expected: dict[str, tuple[str, ...]]
) -> None:
    touch(tmp_path, "a.jpg", f"{MD5}.jpg")
    assert read(zipped(tmp_path / name, content))[:2] == (expected, [])


def test_a_folder_of_compressed_dumps(tmp_path: Path) -> None:
    touch(tmp_path, f"{MD5}.jpg")
    zipped(tmp_path / "d.jsonl.gz", POST)
    assert read(tmp_path) == ({f"{MD5}.jpg": ("solo", "rating:s")}, [], {})


def test_damage_is_told_and_what_comes_before_is_read(tmp_path: Path) -> None:
    touch(tmp_path, f"{MD5}.jpg")
    lines = "".join(json.dumps({**POST, "id": n, "x": "%x" % n**40}) + "\n" for n in range(3000))
    path = zipped(tmp_path / "d.jsonl.gz", lines)
    path.write_bytes(path.read_bytes()[:-2000])
    tags, problems, _ = read(path)
    assert tags == {f"{MD5}.jpg": ("solo", "rating:s")}
    assert len(problems) == 1
    assert "damaged gzip" in problems[0]
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"file,tags\na.jpg,x\n")[:-9])
    with pytest.raises(SourceError, match="damaged gzip"):
        open_source(tmp_path / "t.csv.gz")


def test_other_compressions_are_refused_with_a_hint(tmp_path: Path) -> None:
    path = write(tmp_path / "d.json", b"\x28\xb5\x2f\xfd" + bytes(20))
    with pytest.raises(SourceError, match="unpack it first"):
        open_source(path)


@pytest.mark.parametrize("name", ["posts.csv", "posts-2024-05-01.csv.gz"])
def test_the_daily_export_of_e621(tmp_path: Path, name: str) -> None:
    touch(tmp_path, f"{MD5}.jpg", f"0b/{OTHER}.png")
    path = (zipped if name.endswith(".gz") else write)(tmp_path / name, E621)
    source = open_source(path)
    assert source.name == "booru"
    tags, problems, skipped = read(path)
    assert tags == {
        f"{MD5}.jpg": ("fox", '"solo"', "ünder_score", "rating:s"),
        f"{OTHER}.png": ("canine", "rating:e"),
    }
    assert problems == ["line 7: 2 columns where the header has 15"]
    assert skipped == {"video or Flash": 1, "image not in the folder": 1}


def behind_the_pixels(packet: bytes, *, compressed: bool) -> bytes:
    """A PNG with a packet of XMP behind its pixels."""
    data = encode(large_picture(0))
    text = zlib.compress(packet) if compressed else packet
    content = b"XML:com.adobe.xmp\0" + (b"\1\0" if compressed else b"\0\0") + b"en\0key\0" + text
    chunk = len(content).to_bytes(4, "big") + b"iTXt" + content
    chunk += zlib.crc32(chunk[4:]).to_bytes(4, "big")
    end = data.index(b"IEND") - 4
    return data[:end] + chunk + data[end:]


@pytest.mark.parametrize("compressed", [False, True])
def test_xmp_behind_the_pixels_of_a_png(tmp_path: Path, compressed: bool) -> None:
    path = write(tmp_path / "a.png", behind_the_pixels(XMP.encode(), compressed=compressed))
    assert embedded_tags(path) == XMP_TAGS
    assert open_source(tmp_path).name == "embedded"
    write(path, path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="XMP that is no XML"):
        embedded_tags(path)


def test_xmp_before_the_pixels_still_comes_first(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP)
    large_picture(0).save(tmp_path / "a.png", pnginfo=info)
    assert embedded_tags(tmp_path / "a.png") == XMP_TAGS


def test_xmp_in_a_gif(tmp_path: Path) -> None:
    data = encode(large_picture(0), "GIF")
    ramp = b"\1" + bytes(range(255, -1, -1)) + b"\0"
    block = b"!\xff\x0bXMP DataXMP" + XMP.encode() + ramp
    path = write(tmp_path / "a.gif", data[:-1] + block + b";")
    assert embedded_tags(path) == XMP_TAGS
    with Image.open(path) as image:
        image.load()
