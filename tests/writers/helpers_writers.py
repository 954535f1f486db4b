"""Images on disk, and what writers make of their tags."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tagkin.writers.image_tags import WriteOptions, open_writer
from tagkin.writers.tagged import Change, TableChange, TaggedImage


def images(folder: Path, *names: str) -> list[Path]:
    """Makes empty files with the names of images: few writers look into them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return [folder / name for name in names]


def write(
    to: str, tags: Mapping[Path, Any], *, unwanted: tuple[str, ...] = (), **options: Any
) -> list[Change]:
    """Writes the tags of images, given as text with commas, a list, or with weights."""
    return write_all(to, tags, unwanted=unwanted, **options)[0]


def write_all(
    to: str, tags: Mapping[Path, Any], *, unwanted: tuple[str, ...] = (), **options: Any
) -> tuple[list[Change], TableChange | None]:
    changes = []
    with open_writer(to, WriteOptions(**options)) as writer:
        for path, given in tags.items():
            named = given.split(",") if isinstance(given, str) else given
            weighted = named if isinstance(named, Mapping) else dict.fromkeys(named, 1.0)
            changes.append(writer.write(TaggedImage(path, weighted, frozenset(unwanted))))
        return changes, writer.finish()


def kinds(changes: list[Change]) -> list[str]:
    return [change.kind for change in changes]


def listing(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))  # noqa: PTH208
