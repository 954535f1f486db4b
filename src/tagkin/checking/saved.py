"""Taggers, the weights of fine-tuned backbones, search indexes, and a fine-tuning under way."""

import contextlib
import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tagkin.backbones.config import BackboneConfig
from tagkin.checking.aside import move_aside
from tagkin.checking.findings import Finding
from tagkin.errors import BackboneError, TaggerError
from tagkin.files import atomic_file, checksum
from tagkin.library import Library
from tagkin.tagger import Tagger, tagger_names

_HDF5 = b"\x89HDF\r\n\x1a\n"
_DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


def check_taggers(library: Library, cache_dir: Path, *, repair: bool) -> Iterator[Finding]:
    """Yields what is wrong with the taggers of a library.

    The graph of a damaged one is taken from the cache if that has the same; else the tagger is put
    aside, so that the one before it is used.
    """
    folder = library.taggers_path
    for name in tagger_names(folder):
        path = folder / name
        try:
            Tagger.load(path)
            continue
        except TaggerError as error:
            reason = str(error)
        done = None
        if repair:
            done = _restore_graph(path, cache_dir)
            done = done or f"put aside, as {move_aside(library.path, path)}"
        advice = "restore it from a copy, or train again; 'tagkin check --repair' puts it aside"
        yield Finding("damage", "taggers", path, reason, 1, (), advice, done)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() and not path.name.startswith(".") and not (path / "tagger.json").exists():
            what = "a tagger without its tagger.json"
            done = f"put aside, as {move_aside(library.path, path)}" if repair else None
            advice = "restore that file from a copy; 'tagkin check --repair' puts the folder aside"
            yield Finding("damage", "taggers", path, what, 1, (), advice, done)


def _restore_graph(tagger: Path, cache_dir: Path) -> str | None:
    """Copies the graph from the cache if it is the one that the tagger was saved with."""
    with contextlib.suppress(*_DAMAGE, BackboneError, TaggerError):
        content = json.loads((tagger / "tagger.json").read_text("utf-8"))
        key = BackboneConfig.from_dict(content["backbone"]).graph_key
        for name, sum_then in content["checksums"].items():
            cached = cache_dir / "graphs" / key / name.replace("backbone.", "model.")
            if name.startswith("backbone.") and checksum(cached) == sum_then:
                with atomic_file(tagger / name) as file:
                    shutil.copyfile(cached, file)
        Tagger.load(tagger)
        return "its graph was copied from the cache"
    return None


def tagger_backbones(library: Library) -> list[BackboneConfig]:
    """Returns the active backbone and those of the taggers, each once, as far as they are known."""
    found: list[BackboneConfig] = []
    stored: list[Any] = [library.state.active_backbone]
    for name in tagger_names(library.taggers_path):
        with contextlib.suppress(*_DAMAGE):
            file = library.taggers_path / name / "tagger.json"
            stored.append(json.loads(file.read_text("utf-8"))["backbone"])
    for fields in stored:
        with contextlib.suppress(BackboneError, TypeError, ValueError):
            config = BackboneConfig.from_dict(fields) if fields else None
            if config is not None and config not in found:
                found.append(config)
    return found


def check_tuned_weights(library: Library, configs: Iterable[BackboneConfig]) -> Iterator[Finding]:
    """Yields what is wrong with the weights of fine-tuned backbones."""
    folder = library.backbones_path
    known = {config.weights: config.weights_digest for config in configs}
    used = [Path(weights) for weights in known if Path(weights).parent.name == folder.name]
    paths = {*folder.glob("*.weights.h5"), *(path for path in used if path.parent == folder)}
    for path in sorted(paths):
        reason = ""
        try:
            with path.open("rb") as file:
                if file.read(len(_HDF5)) != _HDF5:
                    reason = "it is no HDF5 file"
            if not reason and str(path) in known and checksum(path) != known[str(path)]:
                reason = "it is not as it was saved"
        except OSError as error:
            reason = error.strerror or str(error)
        if reason:
            what = f"weights of a fine-tuned backbone can't be used: {reason}"
            advice = (
                "restore the file from a copy. Vectors and taggers made with it can still be used; "
                "for new vectors the exported graph in the cache serves as long as it is there"
            )
            yield Finding("damage", "backbones", path, what, 1, (), advice)


def check_indexes(library: Library, *, repair: bool) -> Iterator[Finding]:
    """Yields the damaged search indexes of a library, and removes them if that is wanted."""
    for folder in sorted((library.path / "indexes").glob("[!.]*")):
        try:
            about = json.loads((folder / "index.json").read_text("utf-8"))
            wrong = [n for n, then in about["checksums"].items() if checksum(folder / n) != then]
            reason = f"{wrong[0]} is not as it was written" if wrong else ""
        except (*_DAMAGE, AttributeError) as error:
            reason = str(error)
        if not reason:
            continue
        if repair:
            shutil.rmtree(folder)
        again = "'tagkin index' makes it again from the vectors"
        yield Finding(
            *("damage", "indexes", folder, f"a search index can't be used: {reason}"),
            advice=f"'tagkin check --repair' removes it; {again}",
            repaired=f"removed; {again}" if repair else None,
        )


def check_fine_tuning(library: Library, *, repair: bool) -> Iterator[Finding]:
    """Yields what is wrong with what a fine-tuning that isn't finished has stored."""
    folder = library.fine_tuning_path
    if not folder.is_dir():
        return
    damaged = [path for path in sorted(folder.glob("checkpoints/*.npz")) if not _is_whole(path)]
    damaged += [path for path in sorted(folder.glob("activations-*")) if not _can_be_used(path)]
    for path in damaged:
        if repair:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        again = "'tagkin train --fine-tune' makes it again"
        yield Finding(
            *("damage", "fine-tuning", path, "can't be used"),
            advice=f"'tagkin check --repair' removes it; {again}",
            repaired=f"removed; {again}" if repair else None,
        )
    yield Finding(
        *("note", "fine-tuning", folder, "a fine-tuning that isn't finished"),
        advice="the same 'tagkin train --fine-tune' goes on with it; or delete the folder",
    )


def _is_whole(path: Path) -> bool:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:
                arrays[name]
    except _DAMAGE:
        return False
    return True


def _can_be_used(folder: Path) -> bool:
    """Whether activations can be gone on with; a run that was just begun has stored none yet."""
    try:
        if not (folder / "about.json").exists():
            return not any(folder.iterdir())
        json.loads((folder / "about.json").read_text("utf-8"))
        return not (folder / "done.bin").exists() or (folder / "rows.bin").stat().st_size > 0
    except _DAMAGE:
        return False
