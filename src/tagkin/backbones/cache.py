"""Exported graphs in the user's cache folder, each made once."""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tagkin.backbones.config import BackboneConfig
from tagkin.errors import BackboneError
from tagkin.files import checksum, working_folder

_FILES = ("model.xml", "model.bin")
_CHECKSUMS = "checksums.json"
_WORKING = ".export-"
_EXPORT_SECONDS = 600.0  # without a change, after which an export counts as killed


@dataclass(frozen=True)
class CacheEntry:
    """One exported backbone in the cache.

    Attributes:
        key: Its name, ``BackboneConfig.graph_key``.
        path: Its folder.
        bytes: Size on disk.
        made: When it was exported, ISO 8601.
        whole: Whether its files are what their checksums say.
    """

    key: str
    path: Path
    bytes: int
    made: str
    whole: bool

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON types."""
        return {**asdict(self), "path": str(self.path)}


def cached_graph(config: BackboneConfig, cache_dir: Path) -> Path:
    """Returns the path of a backbone's exported graph, and exports it if it isn't there.

    A damaged entry is made again. Two processes may export the same backbone at once: each works
    in a folder of its own, and the first to finish provides the entry.

    Args:
        config: Which backbone.
        cache_dir: The cache folder; made if missing.

    Returns:
        The path of ``model.xml``, with ``model.bin`` beside it.

    Raises:
        WeightsError: The weights are not to be had or don't fit.
        BackboneError: The export failed or the cache can't be written; or it is an int8 graph,
            which only the library it was calibrated for can make again.
    """

    def make(folder: Path) -> None:
        if config.precision == "int8":
            raise BackboneError(
                "the int8 graph of these vectors is no longer in the cache: run 'tagkin embed "
                "--precision int8', which makes it again from the same images of the library"
            )
        # Imported here because it takes Keras with it, which a cached graph doesn't need.
        if config.is_onnx:
            from tagkin.backbones.onnx_files import export_onnx

            export_onnx(Path(config.weights), folder, config.weights_digest)
            return
        from tagkin.backbones.export import export_graph

        export_graph(config, folder)

    return cached_entry(config.graph_key, cache_dir, make)


def cached_entry(key: str, cache_dir: Path, make: Callable[[Path], None]) -> Path:
    """Returns the path of an entry's ``model.xml``; makes the entry if it isn't there whole.

    Args:
        key: Name of the entry.
        cache_dir: The cache folder; made if missing.
        make: Writes ``model.xml`` and ``model.bin``, and what else belongs to it, into a folder.

    Raises:
        BackboneError: The cache can't be written.
    """
    entry = _graphs(cache_dir) / key
    if not _is_whole(entry):
        _make(make, entry)
    return entry / _FILES[0]


def exported_sizes(architecture: str, cache_dir: Path) -> dict[int, Path]:
    """Returns the exported graphs of an architecture, with any weights, by image size.

    int8 graphs are left out. The files are not compared with their checksums, which takes long.
    """
    found = {}
    name = re.compile(rf"{re.escape(architecture)}-(\d+)-[0-9a-f]{{12}}")
    for entry in sorted(_graphs(cache_dir).glob(f"{architecture}-*")):
        matched = name.fullmatch(entry.name)
        if matched and all((entry / file).is_file() for file in (*_FILES, _CHECKSUMS)):
            found[int(matched[1])] = entry / _FILES[0]
    return found


def is_exported(config: BackboneConfig, cache_dir: Path) -> bool:
    """Returns whether a backbone's graph, with these weights, seems to be in the cache."""
    entry = _graphs(cache_dir) / config.graph_key
    return all((entry / file).is_file() for file in (*_FILES, _CHECKSUMS))


def list_cache(cache_dir: Path) -> list[CacheEntry]:
    """Returns what is in the cache, by name; what a killed export left is an entry as well."""
    entries = []
    for folder in sorted(_graphs(cache_dir).glob("*")):
        with suppress(FileNotFoundError, NotADirectoryError):  # another process just cleared it
            if folder.is_dir() and not _is_being_made(folder):
                entries.append(_describe(folder))
    return entries


def clear_cache(cache_dir: Path, keys: Sequence[str] | None = None) -> list[CacheEntry]:
    """Deletes entries of the cache; they are exported again when they are next needed.

    Args:
        cache_dir: The cache folder.
        keys: Names of entries; all if None.

    Returns:
        What was deleted.

    Raises:
        BackboneError: There is no entry of that name, or it can't be deleted.
    """
    entries = list_cache(cache_dir)
    if unknown := set(keys or ()) - {entry.key for entry in entries}:
        raise BackboneError(
            f"the cache has no entry {min(unknown)!r}: 'tagkin cache' lists what it has"
        )
    chosen = [entry for entry in entries if keys is None or entry.key in keys]
    for entry in chosen:
        try:
            shutil.rmtree(entry.path)
        except OSError as error:
            raise BackboneError(f"can't delete {entry.path}: {error}") from error
    return chosen


def _graphs(cache_dir: Path) -> Path:
    return cache_dir / "graphs"


def _is_being_made(folder: Path) -> bool:
    """Whether an export may still be at work there, rather than have been killed."""
    if not folder.name.startswith(_WORKING):
        return False
    newest = max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    return abs(time.time() - newest) < _EXPORT_SECONDS  # a clock may have been wrong


def _describe(folder: Path) -> CacheEntry:
    files = [path.stat() for path in folder.rglob("*") if path.is_file()]
    made = datetime.fromtimestamp(folder.stat().st_mtime, UTC).isoformat(timespec="seconds")
    return CacheEntry(
        folder.name, folder, sum(file.st_size for file in files), made, _is_whole(folder)
    )


def _make(make: Callable[[Path], None], entry: Path) -> None:
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with working_folder(entry.parent, _WORKING) as folder:
            made = folder / entry.name
            made.mkdir()
            make(made)
            sums = {file: checksum(made / file) for file in _FILES}
            (made / _CHECKSUMS).write_text(json.dumps(sums), "utf-8")
            if entry.exists() and not _is_whole(entry):
                shutil.rmtree(entry)
            try:
                os.rename(made, entry)  # noqa: PTH104 - fails if another process was first
            except OSError:
                if not _is_whole(entry):
                    raise
    except (OSError, RuntimeError) as error:  # OpenVINO raises the latter when the disk is full
        raise BackboneError(
            f"can't store the exported backbone in {entry.parent}: {error}. Free some space or "
            "name another folder with TAGKIN_CACHE_DIR"
        ) from error


def _is_whole(entry: Path) -> bool:
    try:
        sums = json.loads((entry / _CHECKSUMS).read_text("utf-8"))
        return all(sums[file] == checksum(entry / file) for file in _FILES)
    except (OSError, ValueError, KeyError, TypeError):
        return False
