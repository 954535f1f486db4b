"""Pretrained networks that turn an image into a vector."""

from pathlib import Path

from tagkin.backbones.cache import cached_graph
from tagkin.backbones.catalogue import BACKBONES, OFFLINE_BACKBONE, BackboneSpec, get_spec
from tagkin.backbones.config import BackboneConfig, resolve_backbone
from tagkin.backbones.runtime import Embedder, Runtime

__all__ = [
    "BACKBONES",
    "OFFLINE_BACKBONE",
    "BackboneConfig",
    "BackboneSpec",
    "Embedder",
    "Runtime",
    "cached_graph",
    "get_spec",
    "open_backbone",
    "resolve_backbone",
]


def open_backbone(config: BackboneConfig, cache_dir: Path) -> Runtime:
    """Loads a backbone ready to embed; exports it first if that was never done.

    Raises:
        WeightsError: The weights are not to be had or don't fit.
        BackboneError: The export failed, or the cache can't be written.
    """
    return Runtime(cached_graph(config, cache_dir), config.precision)
