"""Exported graphs in the user's cache folder, each made once."""

import json
import os
import shutil
from pathlib import Path

from tagkin.backbones.config import BackboneConfig
from tagkin.errors import BackboneError
from tagkin.files import checksum, working_folder

_FILES = ("model.xml", "model.bin")


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
        BackboneError: The export failed or the cache can't be written.
    """
    entry = cache_dir / "graphs" / config.graph_key
    if not _is_whole(entry):
        _make(config, entry)
    return entry / _FILES[0]


def _make(config: BackboneConfig, entry: Path) -> None:
    # Imported here because it takes Keras with it, which a cached graph doesn't need.
    from tagkin.backbones.export import export_graph

    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with working_folder(entry.parent, ".export-") as folder:
            made = folder / config.graph_key
            made.mkdir()
            export_graph(config, made)
            sums = {file: checksum(made / file) for file in _FILES}
            (made / "checksums.json").write_text(json.dumps(sums), "utf-8")
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
        sums = json.loads((entry / "checksums.json").read_text("utf-8"))
        return all(sums[file] == checksum(entry / file) for file in _FILES)
    except (OSError, ValueError, KeyError, TypeError):
        return False
