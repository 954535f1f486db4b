"""A small library, and ways to damage it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from helpers_collection import collection

from tagkin.checking import CheckReport, Finding, check_library
from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.settings import Settings
from tagkin.sources import open_source

BACKBONE = {
    "architecture": "tiny",
    "weights": "random",
    "weights_digest": "random-0",
    "image_size": 32,
    "views": ["pad"],
    "precision": "f32",
    "dimension": 8,
    "calibration": "",
}


def make_library(folder: Path, images: int = 24) -> Path:
    """Makes a library of pictures with vectors of 8 numbers, in several fragments each."""
    source = collection(folder / "pictures", images)
    path = folder / "library"
    library = Library.create_or_open(path)
    prepare(library, open_source(source), settings_of(path))
    library.upsert_images(library.images()[:4])  # a second fragment, and a list of deleted rows
    ids = [row.id for row in library.images()]
    values = np.random.default_rng(0).random((images, 8), np.float32) + 1
    half = images // 2
    library.add_vectors("f", ids[:half], values[:half])
    library.add_vectors("f", ids[half:], values[half:])
    for number in range(5):
        library.decide("reject", ["a", str(number)])
    return path


def settings_of(path: Path) -> Settings:
    return Settings(library=path, cache_dir=path.parent / "cache", min_tag_occurrences=1)


def check(path: Path, *, repair: bool = False, content: bool = False) -> CheckReport:
    return check_library(settings_of(path), repair=repair, content=content)


def findings(path: Path, **options: Any) -> list[Finding]:
    """What is wrong, without what is only told."""
    return [one for one in check(path, **options).findings if one.level != "note"]


def mend(path: Path) -> list[Finding]:
    """Mends a library, in which nothing may be wrong afterwards, and returns what was."""
    found = findings(path, repair=True)
    assert found
    assert all(one.repaired for one in found), found
    assert findings(path) == []
    assert check(path).clean
    return found


def files_of(table: Path, fragment: int) -> list[Path]:
    """The files with the rows of a fragment."""
    import lance

    found = lance.dataset(str(table)).get_fragments()[fragment]
    return [table / "data" / file.path for file in found.data_files()]


def cut(file: Path) -> None:
    """Takes the second half off a file, as a disk that was full or a crash may."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def state_of(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((path / "library.json").read_text("utf-8"))
    return content
