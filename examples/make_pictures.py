"""Draws the pictures of the README from the library that ``tagkin demo`` made.

tagkin demo && python examples/make_pictures.py --library tagkin-demo --output docs/pictures
"""

import argparse
import io
import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

from tagkin.backbones import BackboneConfig
from tagkin.cli.session import Output
from tagkin.cli.variants import print_variants
from tagkin.library import Library
from tagkin.records import ImageRow
from tagkin.settings import load_settings
from tagkin.similarity import Collection, Searcher
from tagkin.tagger import Tagger, find_tagger
from tagkin.variants import Proposals
from tagkin.variants.in_library import find_in_library

_CELL, _GAP, _TEXT = 128, 10, 36
_INK, _FAINT, _GOOD = (30, 30, 30), (110, 110, 110), (20, 120, 60)
_QUERIES = (
    "dog_on_leash",
    "roadsigns__interst",
    "geography__australia-black",
    "glace_01",
    "flags__europe__",
)
_VARIANTS = (("flag", "flags"), ("mimetypes", "mime-types"), ("vegetable", "vegitable"))


def main() -> None:
    """Draws all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, default=Path("tagkin-demo"))
    parser.add_argument("--output", type=Path, default=Path("docs/pictures"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    library = Library.open(arguments.library)
    settings = load_settings({}, library.state.remembered)
    config = BackboneConfig.from_dict(library.state.active_backbone or {})
    collection = Collection.open(library, settings)
    rules = collection.rules
    searcher = Searcher.open(library, config.fingerprint, collection)
    images = collection.rows(range(len(collection)))

    tagger = Tagger.load(find_tagger(library.taggers_path, None, config.architecture))
    queries = [_query(images, name) for name in _QUERIES]
    predictions = list(tagger.predict([row.paths[0] for row in queries], settings))
    rows = []
    for query, prediction in zip(queries, predictions, strict=True):
        real = rules.wanted(query.tags)
        tags = [(f"{t.tag} {t.score:.2f}", t.tag in real) for t in prediction.tags]
        near = searcher.by_images([query.id], limit=5).images
        cells = [(query.paths[0], "query")]
        cells += [(image.paths[0], f"{image.score:.2f}") for image in near]
        rows.append((tags or [("(none above its threshold)", False)], cells))
    _draw(arguments.output / "similar.png", rows)

    rows = []
    for pair in _VARIANTS:
        for tag in pair:
            places = collection.with_tag(tag)
            label = [(f"{tag}  ({len(places)} images)", False)]
            rows.append((label, [(row.paths[0], "") for row in collection.rows(places[:6])]))
    _draw(arguments.output / "variants.png", rows)

    _screenshot(
        arguments.output / "variants.svg", find_in_library(library, config.fingerprint, settings)
    )


def _query(rows: Sequence[ImageRow], name: str) -> ImageRow:
    """Finds an image of the test split, which the tagger has not seen."""
    return next(row for row in rows if name in row.paths[0].stem and row.split == "test")


_Row = tuple[list[tuple[str, bool]], list[tuple[Path, str]]]


def _draw(path: Path, rows: Sequence[_Row]) -> None:
    """Draws rows of pictures, each with a line of text above it."""
    font = ImageFont.load_default(16)
    width = max(len(cells) for _, cells in rows) * (_CELL + _GAP) + _GAP
    height = len(rows) * (_CELL + _TEXT + 26) + _GAP
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (texts, cells) in enumerate(rows):
        top = number * (_CELL + _TEXT + 26) + _GAP
        left = _GAP
        for text, good in texts:
            draw.text((left, top), text, _GOOD if good else _INK, font)
            left += int(draw.textlength(text, font)) + 16
        for column, (image, caption) in enumerate(cells):
            left = _GAP + column * (_CELL + _GAP)
            picture = Image.open(image).convert("RGBA")
            picture.thumbnail((_CELL - 8, _CELL - 8), Image.Resampling.LANCZOS)
            at = (left + (_CELL - picture.width) // 2, top + 24 + (_CELL - picture.height) // 2)
            sheet.paste(picture, at, picture)
            outline = _GOOD if caption == "query" else (215, 215, 215)
            draw.rectangle((left, top + 24, left + _CELL, top + 24 + _CELL), outline=outline)
            draw.text((left + 4, top + 26 + _CELL), caption, _FAINT, font)
    sheet.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def _screenshot(path: Path, proposals: Proposals) -> None:
    """Saves what ``tagkin variants`` prints, as a picture that loads no font from anywhere."""
    output = Output(as_json=False)
    output.results = Console(record=True, width=118, file=io.StringIO(), highlight=False)
    print_variants(output, proposals)
    text = output.results.export_svg(title="tagkin variants")
    path.write_text(re.sub(r"@font-face \{.*?\}", "", text, flags=re.S), "utf-8")


if __name__ == "__main__":
    main()
