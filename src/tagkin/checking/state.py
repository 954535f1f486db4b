"""``library.json``: whether it can be read, and what it can be made of again."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tagkin.backbones.config import BackboneConfig
from tagkin.checking.aside import move_aside
from tagkin.checking.findings import Finding
from tagkin.errors import BackboneError, LibraryError
from tagkin.library import Library
from tagkin.library_state import SCHEMA_VERSION, STATE_FILE, LibraryState, read_state
from tagkin.tagger import tagger_names


def check_state(library: Path, *, repair: bool) -> Iterator[Finding]:
    """Yields what is wrong with ``library.json``, and makes it again if that is wanted.

    Raises:
        LibraryError: The folder is no library, a newer Tagkin made it, or it can't be written.
    """
    path = library / STATE_FILE
    known = LibraryState()
    try:
        known = read_state(library)[0]
        if known.active_backbone is not None:
            BackboneConfig.from_dict(known.active_backbone)
        return
    except BackboneError as error:
        reason = str(error)
    except LibraryError as error:
        if not _can_be_made_again(library, path):
            raise
        reason = str(error)
    yield Finding(
        *("damage", "library.json", path, f"damaged or not there: {reason}"),
        advice="'tagkin check --repair' makes it again of what else is in the library",
        repaired=_make_again(library, path, known) if repair else None,
    )


def _make_again(library: Path, path: Path, known: LibraryState) -> str:
    kept = f"; the old one is kept as {move_aside(library, path)}" if path.exists() else ""
    backbone = _last_embedded(library)
    Library(library, replace(known, active_backbone=backbone)).upgrade()
    named = f", with the backbone {backbone['architecture']}" if backbone else ""
    return (
        f"made again{named}{kept}; 'tagkin prepare SOURCE', with the options that it had, makes "
        "the library remember them"
    )


def _can_be_made_again(library: Path, path: Path) -> bool:
    """Whether this is a library, and not one of a newer Tagkin."""
    if not (library / "images.lance").is_dir():
        return False
    try:
        content = json.loads(path.read_text("utf-8"))
        version = content.get("schema_version")
    except FileNotFoundError:
        return True
    except (ValueError, AttributeError):
        return True
    except OSError:
        return False
    return not isinstance(version, int) or version <= SCHEMA_VERSION


def _last_embedded(library: Path) -> Mapping[str, Any] | None:
    """Returns the backbone of the newest tagger of which the library has vectors."""
    taggers = library / "taggers"
    for name in reversed(tagger_names(taggers)):
        try:
            fields = json.loads((taggers / name / "tagger.json").read_text("utf-8"))["backbone"]
            config = BackboneConfig.from_dict(fields)
        except (OSError, ValueError, KeyError, TypeError, BackboneError):
            continue
        if (library / f"vectors-{config.fingerprint}.lance").is_dir():
            return config.to_dict()
    return None
