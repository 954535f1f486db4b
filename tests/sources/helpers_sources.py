"""Collections in the shapes that other programs give them, written by hand."""

import io
import json
import sqlite3
import tarfile
from pathlib import Path
from typing import Any

from PIL import Image

from tagkin.sources import ImageRecord, Skipped, SourceProblem, open_source

MD5 = "d34e4cf0a437a5d65f8e82b7bcd02606"
OTHER = "0b" + "1" * 30


def touch(folder: Path, *names: str) -> None:
    """Makes empty files: sources don't look into images."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def write(path: Path, content: Any) -> Path:
    """Writes text, bytes, or a JSON document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(content, str | bytes):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(path: Path, *documents: Any) -> Path:
    return write(path, "".join(json.dumps(document) + "\n" for document in documents))


def read(path: Path, **options: Any) -> tuple[dict[str, Any], list[str], dict[str, int]]:
    """The tags of each image, with their weights if there are any; problems; what is skipped."""
    tags: dict[str, Any] = {}
    problems: list[str] = []
    skipped: dict[str, int] = {}
    for item in open_source(path, **options):
        if isinstance(item, ImageRecord):
            weighted = dict(zip(item.tags, item.weights, strict=True)) if item.weights else None
            tags[item.path.name] = weighted or item.tags
        elif isinstance(item, SourceProblem):
            problems.append(item.reason)
        elif isinstance(item, Skipped):
            skipped[item.reason] = skipped.get(item.reason, 0) + 1
    return tags, problems, skipped


def picture(colour: str = "red") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(data, "PNG")
    return data.getvalue()


def tar(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", errors="surrogateescape") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def deepdanbooru(path: Path, *posts: tuple[Any, ...]) -> Path:
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE posts (id INTEGER NOT NULL UNIQUE, md5 TEXT, file_ext TEXT, "
            "tag_string TEXT, tag_count_general INTEGER)"
        )
        database.executemany("INSERT INTO posts VALUES (?, ?, ?, ?, ?)", posts)
    database.close()
    return path


def item(number: int, image: str, flags: int = 1, **more: Any) -> dict[str, Any]:
    """An item as pr0gramm answers."""
    return {
        "id": number,
        "promoted": 0,
        "up": 12,
        "down": 3,
        "created": 1_500_000_000,
        "image": image,
        "thumb": image,
        "fullsize": "",
        "width": 8,
        "height": 8,
        "audio": False,
        "source": "",
        "flags": flags,
        "user": "cha0s",
        "mark": 0,
        **more,
    }


def tag(name: str, confidence: float) -> dict[str, Any]:
    return {"id": 7, "confidence": confidence, "tag": name}


XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:digiKam="http://www.digikam.org/ns/1.0/"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/">
   <dc:subject><rdf:Bag>
    <rdf:li>Dog</rdf:li><rdf:li>M\u00fcnchen \U0001f415</rdf:li>
   </rdf:Bag></dc:subject>
   <digiKam:TagsList><rdf:Seq><rdf:li>Animals/Dog</rdf:li></rdf:Seq></digiKam:TagsList>
   <lr:hierarchicalSubject><rdf:Bag><rdf:li>Animals|Dog</rdf:li><rdf:li>Places|Park</rdf:li>
   </rdf:Bag></lr:hierarchicalSubject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""
XMP_TAGS = ("Dog", "München 🐕", "Animals/Dog", "Places/Park")


def iptc_block(*keywords: bytes, utf8: bool = True) -> bytes:
    """Photoshop's resource with keywords of IPTC, as an APP13 segment of a JPEG holds it."""
    records = b"\x1c\x01\x5a\x00\x03\x1b%G" if utf8 else b""
    for keyword in keywords:
        records += b"\x1c\x02\x19" + len(keyword).to_bytes(2, "big") + keyword
    padded = records + b"\0" * (len(records) % 2)
    block = b"8BIM\x04\x04\0\0" + len(records).to_bytes(4, "big") + padded
    content = b"Photoshop 3.0\0" + block
    return b"\xff\xed" + (len(content) + 2).to_bytes(2, "big") + content
