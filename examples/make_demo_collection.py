#!/usr/bin/env python3
"""Make the demo collection that is shipped inside the Tagkin wheel.

The pictures and their tags come from the Open Clip Art Library 0.18 (public domain), as
packaged by Debian in ``openclipart-png`` and ``openclipart-svg``::

    apt-get install openclipart-png openclipart-svg
    python examples/make_demo_collection.py

The tags are the keywords that the contributors typed into their SVG files. They are written
out as they were typed: spelling, singular and plural, separators and leftovers of old upload
software are what a free-form tag collection looks like, and nothing here cleans them.

The choice of images is a fixed rule over tags, folders and authors, and never looks at how
similar two tags or two pictures are, so the collection is a fair place to try out methods that
do. For each tag of :data:`WANTED`, in the order of that list, images with the tag are taken in
a seeded pseudo-random order until enough of them are in; what is missing to
:data:`TOTAL` images is then filled up evenly over the folders. Caps for each folder and author
keep series (icon themes, card decks, maps) from taking over. A chosen drawing brings its
black-and-white twin along, when the library has one under the same name with ``_bw``.

Running the script again with the same Pillow and libwebp gives the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import re
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from xml.parsers import expat

from PIL import Image

SEED = "tagkin demo collection"
TOTAL = 612
FOLDER_CAP = 26
AUTHOR_CAP = 48

MAX_SIDE = 320
WEBP_QUALITY = 92
MAX_SOURCE_PIXELS = 25_000_000
# White drawings, specks, and small drawings on a large white page are next to nothing to look at in
# a demo. The shares are of the page: of the marks on white paper, and of the box around them.
MIN_LONG_SIDE = 64
MIN_MARKED_SHARE = 0.01
MIN_BOX_SHARE = 0.3

TAG_SEPARATOR = "|"

# Tags that the collection should have, and on how many images at least (as far as the library
# has them). Scarce ones come first, for the caps must not have been used up by then.
WANTED: tuple[tuple[str, int], ...] = (
    # Words that different contributors wrote in different ways.
    ("activities", 5),
    ("activity", 3),
    ("animals", 6),
    ("arrows", 6),
    ("balloons", 4),
    ("books", 5),
    ("christmas", 5),
    ("desserts", 10),
    ("flags", 14),
    ("games", 6),
    ("logo", 8),
    ("logos", 5),
    ("map_symbol", 6),
    ("mapsym", 10),
    ("mime-types", 12),
    ("mimetypes", 14),
    ("north_america", 8),
    ("northamerica", 6),
    ("plants", 4),
    ("silhouette", 4),
    ("signs_and_symbols", 10),
    ("symbols", 5),
    ("tools", 14),
    ("transportation", 18),
    ("valentine", 5),
    ("valentines", 5),
    ("vegetable", 8),
    ("vegitable", 8),
    ("vehicles", 5),
    ("xmas", 5),
    # Things to recognise.
    ("boat", 10),
    ("book", 12),
    ("button", 12),
    ("buttons", 10),
    ("car", 12),
    ("card", 12),
    ("cat", 10),
    ("clock", 12),
    ("dinosaur", 10),
    ("dog", 12),
    ("fish", 14),
    ("flower", 18),
    ("hat", 10),
    ("house", 14),
    ("insect", 16),
    ("map", 16),
    ("penguin", 8),
    ("roadsign", 12),
    ("smiley", 14),
    ("stickmen", 10),
    ("tree", 14),
    ("weather", 10),
    ("music", 20),
    ("arrow", 18),
    ("beverage", 12),
    ("bird", 24),
    ("mammal", 30),
    ("building", 20),
    ("clothing", 14),
    ("fruit", 22),
    ("hardware", 12),
    ("icons", 32),
    ("icon", 32),
    ("sports", 14),
    ("tool", 18),
    ("flag", 36),
    ("transport", 24),
    ("vehicle", 14),
    ("plant", 24),
    ("people", 30),
)

# "magick" marks some 1,400 star polygons that a program drew in series. The others mark nudity,
# drugs, mockery of people, and an emblem that hate groups use as well.
EXCLUDED_TAGS = frozenset(
    {"magick", "microsoft", "pimp", "sex", "sexy", "stripper", "sunwheel", "weed"}
)
# Unsuitable drawings that no tag tells apart: a gallows, nudity, mockery of people and companies, a
# flag with the Confederate battle emblem and flags of a party.
EXCLUDED_NAMES = (
    "bad_guy_",
    "chav_",
    "flag_of_padania_",
    "gallows_",
    "mermaid_",
    "ms_01",
    "padania_",
    "portrait_of_a_woman_",
    "usa_missisipi",
)

_DC = "http://purl.org/dc/elements/1.1/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_SUBJECT = f"{_DC} subject"
_CREATOR = f"{_DC} creator"
_TITLE = f"{_DC} title"
_ITEM = f"{_RDF} li"
_LINK = "http://www.w3.org/1999/xlink href"


class UnusableSvgError(ValueError):
    """An SVG declares entities, which are unsafe to expand, or lacks a part of its picture."""


@dataclass(frozen=True)
class Drawing:
    """One clip art drawing: where it is, who made it and how it is tagged."""

    path: str
    author: str
    tags: tuple[str, ...]

    @property
    def folder(self) -> str:
        """The folder of the drawing inside the library."""
        return self.path.rpartition("/")[0]

    @cached_property
    def folded_tags(self) -> frozenset[str]:
        """The tags without differences of case and white space."""
        return frozenset(fold(tag) for tag in self.tags)

    @property
    def file_name(self) -> str:
        """A flat and portable file name that tells the path in the library."""
        return re.sub(r"[^a-z0-9_.-]+", "_", self.path.lower().replace("/", "__")) + ".webp"


def fold(tag: str) -> str:
    """Return a tag without differences of case and white space."""
    return " ".join(tag.casefold().split())


def read_metadata(svg: bytes) -> tuple[tuple[str, ...], str]:
    """Return the keywords and the author of an SVG.

    Raises:
        UnusableSvgError: If the document declares an entity or shows an image of another file.
        xml.parsers.expat.ExpatError: If the document is not well-formed.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    open_elements: list[str] = []
    text: list[str] = []
    tags: list[str] = []
    authors: list[str] = []

    def on_start(name: str, attributes: dict[str, str]) -> None:
        link = attributes.get(_LINK, "data:")
        if name.rpartition(" ")[2] == "image" and not link.startswith("data:"):
            raise UnusableSvgError("a linked image is not in the package")
        open_elements.append(name)
        text.clear()

    def on_end(name: str) -> None:
        value = "".join(text).strip()
        text.clear()
        open_elements.pop()
        if value and name == _ITEM and _SUBJECT in open_elements:
            tags.append(value)
        elif value and name == _TITLE and _CREATOR in open_elements:
            authors.append(value)

    def on_entity(*_declaration: object) -> None:
        raise UnusableSvgError("entity declarations are refused")

    parser.StartElementHandler = on_start
    parser.EndElementHandler = on_end
    parser.CharacterDataHandler = text.append
    parser.EntityDeclHandler = on_entity
    parser.Parse(svg, True)
    return tuple(tags), authors[0] if authors else ""


def read_library(source: Path) -> list[Drawing]:
    """Return the drawings under ``source`` that have tags and a PNG, without exact copies."""
    drawings: list[Drawing] = []
    seen: set[bytes] = set()
    for svg_file in sorted((source / "svg").rglob("*.svg")):
        path = svg_file.relative_to(source / "svg").with_suffix("").as_posix()
        if not (source / "png" / f"{path}.png").is_file() or not svg_file.is_file():
            continue
        svg = svg_file.read_bytes()
        # Debian keeps a drawing that belongs into several folders as links to one file.
        digest = hashlib.sha256(svg).digest()
        if digest in seen:
            continue
        seen.add(digest)
        try:
            tags, author = read_metadata(svg)
        except (expat.ExpatError, UnusableSvgError):
            continue
        # Nobody in the library uses the separator; a tag that does could not be written out.
        if tags and not any(TAG_SEPARATOR in tag for tag in tags):
            drawings.append(Drawing(path, author, tags))
    return drawings


def is_allowed(drawing: Drawing) -> bool:
    """Tell whether the lists of exclusions leave a drawing in."""
    name = drawing.path.rpartition("/")[2]
    return not drawing.folded_tags & EXCLUDED_TAGS and not name.startswith(EXCLUDED_NAMES)


def shuffled(drawings: Iterable[Drawing]) -> list[Drawing]:
    """Return drawings in a pseudo-random order that does not depend on their input order."""
    return sorted(
        drawings,
        key=lambda drawing: hashlib.sha256(f"{SEED}\n{drawing.path}".encode()).digest(),
    )


class Choice:
    """The drawings chosen so far, and the rules that a further one has to obey."""

    def __init__(self, is_usable: Callable[[Drawing], bool]) -> None:
        """Start empty; ``is_usable`` is asked last, as it may have to open the picture."""
        self.chosen: dict[str, Drawing] = {}
        self.tag_counts: Counter[str] = Counter()
        self._is_usable = is_usable
        self._folder_counts: Counter[str] = Counter()
        self._author_counts: Counter[str] = Counter()

    def add(self, drawing: Drawing) -> bool:
        """Take a drawing if the caps allow it; return whether it was taken."""
        if (
            drawing.path in self.chosen
            or len(self.chosen) >= TOTAL
            or self._folder_counts[drawing.folder] >= FOLDER_CAP
            or (drawing.author and self._author_counts[drawing.author] >= AUTHOR_CAP)
            or not self._is_usable(drawing)
        ):
            return False
        self.chosen[drawing.path] = drawing
        self._folder_counts[drawing.folder] += 1
        self._author_counts[drawing.author] += 1
        self.tag_counts.update(drawing.folded_tags)
        return True


def choose(drawings: Iterable[Drawing], is_usable: Callable[[Drawing], bool]) -> list[Drawing]:
    """Choose the demo collection; see the module's description for the rule."""
    candidates = shuffled(drawing for drawing in drawings if is_allowed(drawing))
    twins: dict[str, list[Drawing]] = {}
    for drawing in candidates:
        twins.setdefault(drawing.path.replace("_bw", ""), []).append(drawing)
    choice = Choice(is_usable)

    for tag, enough in WANTED:
        for drawing in candidates:
            if choice.tag_counts[tag] >= enough:
                break
            if tag in drawing.folded_tags and choice.add(drawing):
                for twin in twins[drawing.path.replace("_bw", "")]:
                    choice.add(twin)

    by_folder: dict[str, list[Drawing]] = {}
    for drawing in candidates:
        by_folder.setdefault(drawing.folder, []).append(drawing)
    for round_of_folders in zip_longest(*(by_folder[folder] for folder in sorted(by_folder))):
        for drawing in round_of_folders:
            if drawing is not None:
                choice.add(drawing)
    return sorted(choice.chosen.values(), key=lambda drawing: drawing.file_name)


def load_picture(png_file: Path) -> Image.Image | None:
    """Return a picture at the size of the demo, or None if there is little to see in it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            original = Image.open(png_file)
        with original:
            if original.width * original.height > MAX_SOURCE_PIXELS:
                return None
            picture = original.convert("RGBA")
    except (OSError, Image.DecompressionBombError):
        return None
    # Many drawings sit in a corner of an empty page, where little of them would be left.
    picture = picture.crop(picture.getchannel("A").getbbox())
    if max(picture.size) < MIN_LONG_SIDE:
        return None
    picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    paper = Image.new("RGBA", picture.size, "white")
    paper.alpha_composite(picture)
    marks = paper.convert("L").point(lambda shade: 255 if shade < 245 else 0)
    box = marks.getbbox()
    page = picture.width * picture.height
    if (
        box is None
        or marks.histogram()[255] < MIN_MARKED_SHARE * page
        or (box[2] - box[0]) * (box[3] - box[1]) < MIN_BOX_SHARE * page
    ):
        return None
    if picture.getchannel("A").getextrema() == (255, 255):
        return picture.convert("RGB")
    return picture


def encode_picture(picture: Image.Image) -> bytes:
    """Return a picture as WebP, without loss where that takes fewer bytes."""
    variants: list[bytes] = []
    # Method 4 is the default; 6 takes a hundred times as long on drawings like these for 4 %.
    for lossless, quality in ((True, 80), (False, WEBP_QUALITY)):
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", lossless=lossless, quality=quality, method=4)
        variants.append(buffer.getvalue())
    return min(variants, key=len)


def frequent_tags(drawings: Iterable[Drawing], at_least: int) -> list[tuple[str, int]]:
    """Return the folded tags on ``at_least`` drawings or more, with their numbers."""
    counts: Counter[str] = Counter()
    for drawing in drawings:
        counts.update(drawing.folded_tags)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(tag, count) for tag, count in ranked if count >= at_least]


def describe(drawings: list[Drawing], size: int) -> str:
    """Return the text that accompanies the collection."""
    all_tags = frequent_tags(drawings, 1)
    frequent = frequent_tags(drawings, 10)
    listing = ", ".join(f"{tag} ({count})" for tag, count in frequent)
    authors = {drawing.author for drawing in drawings if drawing.author}
    return f"""# Demo collection

{len(drawings)} clip art drawings with the tags that their contributors gave them, for trying out
Tagkin without a collection of one's own.

## Contents

- `images/`: {len(drawings)} WebP pictures, {size / 1e6:.1f} MB, at most {MAX_SIDE} pixels on the
  long side, with the transparency of the originals.
- `tags.csv`: one line for each picture, with the columns `file` (relative to this folder) and
  `tags` (separated by `{TAG_SEPARATOR}`).

The tags are the `dc:subject` keywords of the original SVG files, in their order and exactly as
they were typed. Plurals (`icon`, `icons`), separators (`mime-types`, `mimetypes`), misspellings
(`vegitable`) and leftovers of old upload software (`hash`, `11`) are in the originals; nothing
was cleaned. There are {len(all_tags)} different tags, apart from case and white space, and
{sum(len(drawing.folded_tags) for drawing in drawings):,} assignments of a tag to a picture.

{len(frequent)} tags are on ten pictures or more: {listing}.

## Origin and licence

The drawings come from the Open Clip Art Library, release 0.18, through the Debian packages
`openclipart-png` and `openclipart-svg`. Their authors ({len(authors)} names in this selection)
dedicated them to the public domain (Creative Commons Public Domain Dedication). The pictures
may be used for any purpose.

## How it was made

`examples/make_demo_collection.py` in Tagkin's source tree makes this folder from the two Debian
packages. It takes drawings with certain tags in a seeded pseudo-random order, up to a number for
each tag, and fills up evenly over the folders of the library. There are caps for each folder
({FOLDER_CAP}) and author ({AUTHOR_CAP}). A chosen drawing brings along its black-and-white twin,
known by its file name. Exact copies, drawings without tags, a series of star polygons drawn by a
program, pictures that are nearly blank, tiny, huge or lack a part, and a short list of unsuitable
drawings are left out. Neither the similarity of tags nor
that of pictures plays a part in the choice; recoloured and otherwise nearly identical drawings
are in the library and so in here.

Empty margins of the PNG pictures were cut off, and the rest was scaled down and stored as WebP
(without loss or at quality {WEBP_QUALITY}, whichever is smaller).
"""


def write_collection(source: Path, output: Path) -> tuple[list[Drawing], int]:
    """Write the collection and return its drawings and the size of its pictures in bytes."""
    pictures: dict[str, Image.Image] = {}
    rejected: set[str] = set()
    picture_digests: set[bytes] = set()

    def is_usable(drawing: Drawing) -> bool:
        if drawing.path in rejected:
            return False
        png_file = source / "png" / f"{drawing.path}.png"
        # Some SVGs differ in their metadata alone.
        digest = hashlib.sha256(png_file.read_bytes()).digest()
        picture = None if digest in picture_digests else load_picture(png_file)
        if picture is None:
            rejected.add(drawing.path)
            return False
        picture_digests.add(digest)
        pictures[drawing.path] = picture
        return True

    drawings = choose(read_library(source), is_usable)
    if len({drawing.file_name for drawing in drawings}) != len(drawings):
        raise ValueError("two drawings have the same file name")

    images = output / "images"
    # A picture left from an earlier run with another rule would be one without a line of tags.
    shutil.rmtree(images, ignore_errors=True)
    images.mkdir(parents=True)
    size = 0
    for drawing in drawings:
        target = images / drawing.file_name
        target.write_bytes(encode_picture(pictures[drawing.path]))
        size += target.stat().st_size
    with (output / "tags.csv").open("w", encoding="utf-8", newline="") as tags_file:
        writer = csv.writer(tags_file, lineterminator="\n")
        writer.writerow(("file", "tags"))
        for drawing in drawings:
            writer.writerow((f"images/{drawing.file_name}", TAG_SEPARATOR.join(drawing.tags)))
    (output / "README.md").write_text(describe(drawings, size), encoding="utf-8", newline="\n")
    return drawings, size


def main(argv: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description="Make Tagkin's demo collection from Debian's openclipart packages."
    )
    parser.add_argument(
        "--source",
        type=Path,
        default=Path("/usr/share/openclipart"),
        help="folder with the png and svg folders of the packages (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("src/tagkin/demo_collection"),
        help="folder to write; its images folder is replaced (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    for name in ("png", "svg"):
        if not (arguments.source / name).is_dir():
            parser.error(
                f"no folder {name} in {arguments.source}: "
                "install openclipart-png and openclipart-svg or pass --source"
            )
    drawings, size = write_collection(arguments.source, arguments.output)
    frequent = len(frequent_tags(drawings, 10))
    print(f"{len(drawings)} images, {size / 1e6:.2f} MB, {frequent} tags on 10 images or more")
    return 0


if __name__ == "__main__":
    sys.exit(main())
