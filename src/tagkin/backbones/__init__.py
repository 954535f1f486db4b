"""Pretrained networks that turn an image into a vector."""

from tagkin.backbones.cache import CacheEntry, cached_graph, clear_cache, list_cache
from tagkin.backbones.catalogue import BACKBONES, OFFLINE_BACKBONE, BackboneSpec, get_spec
from tagkin.backbones.config import BackboneConfig
from tagkin.backbones.opening import open_backbone, resolve_backbone
from tagkin.backbones.runtime import Embedder, Runtime
from tagkin.backbones.sample import ImageSample

__all__ = [
    "BACKBONES",
    "OFFLINE_BACKBONE",
    "BackboneConfig",
    "BackboneSpec",
    "CacheEntry",
    "Embedder",
    "ImageSample",
    "Runtime",
    "cached_graph",
    "clear_cache",
    "get_spec",
    "list_cache",
    "open_backbone",
    "resolve_backbone",
]
