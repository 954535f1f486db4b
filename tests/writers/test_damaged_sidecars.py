"""Whatever a file beside an image holds: it is changed as it should be, or not at all."""

import random
from pathlib import Path

import pytest
from helpers_writers import images, listing, write

from tagkin.sources import ImageRecord, open_source

XMP = b"""<?xpacket begin="\xef\xbb\xbf" id="x"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" a:b="1" xmlns:a="a:b"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/"><!-- c --><dc:subject><rdf:Bag>
    <rdf:li>Dog</rdf:li><rdf:li>x &amp; y</rdf:li></rdf:Bag></dc:subject>
   <lr:hierarchicalSubject><rdf:Bag><rdf:li>A|b</rdf:li></rdf:Bag></lr:hierarchicalSubject>
  </rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
SEEDS = {
    "txt": ("cat.txt", [b"Dog, x & y, A/b", b"Dog\nx & y\r\nA/b\n", b"Dog,\nx,"], "folder"),
    "lines": ("cat.txt", [b"Dog\nx & y\nA/b"], "hydrus"),
    "hydrus": (
        "cat.json",
        [
            b'{"tags": ["Dog", "x"], "n": [1.5, {"a": null}]}',
            b'{\n\t"tags": "Dog\\nx"}',
            b'["Dog"]',
        ],
        "hydrus",
    ),
    "xmp": ("cat.xmp", [XMP], "embedded"),
}
TOKENS = [b"<", b">", b"/>", b"&", b"]]>", b"<rdf:li>", b"</rdf:li>", b'"', b"{", b"}", b",", b"\n"]
TOKENS += [b"\0", b"\xff", b"\xef\xbb\xbf", b"&#13;", b"<?a b?>", b"<![CDATA[z]]>", b"rdf:", b"NaN"]


def damaged(data: bytes, dice: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(dice.randrange(4)):
        start = dice.randrange(len(made) + 1)
        end = min(len(made), start + dice.choice([0, 0, 1, 6, 40]))
        made[start:end] = dice.choice([*TOKENS, bytes(made[start:end]) * 2, dice.randbytes(2)])
    return bytes(made)


def fuzz(to: str, folder: Path, rounds: int) -> None:
    name, seeds, reader = SEEDS[to]
    dice = random.Random(to)
    (image,) = images(folder, "cat.jpg")
    for _ in range(rounds):
        content = damaged(dice.choice(seeds), dice)
        (folder / name).write_bytes(content)
        before = tags(folder, reader)
        (change,) = write(to, {image: ["x", "new"]}, unwanted=("Dog", "A/b"), update=True)
        if change.kind in ("failed", "same"):
            assert (folder / name).read_bytes() == content
            assert change.problem or before is None or {"x", "new"} <= set(before), content
        else:
            # JSON without tags can't be read, and gets some.
            assert before is not None or to == "hydrus", content
            after = {tag for tag in before or () if tag not in ("Dog", "A/b")} | {"x", "new"}
            assert set(tags(folder, reader) or ()) == after, content
        assert listing(folder) == sorted(["cat.jpg", name])


def tags(folder: Path, reader: str) -> tuple[str, ...] | None:
    """The tags that are read, or None if something can't be read."""
    items = list(open_source(folder, format=reader))
    return items[0].tags if len(items) == 1 and isinstance(items[0], ImageRecord) else None


@pytest.mark.parametrize("to", SEEDS)
def test_damaged_files(tmp_path: Path, to: str) -> None:
    fuzz(to, tmp_path, 200)


@pytest.mark.slow
@pytest.mark.parametrize("to", SEEDS)
def test_ten_thousand_damaged_files(tmp_path: Path, to: str) -> None:
    fuzz(to, tmp_path, 10_000)
