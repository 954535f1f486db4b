"""Tagkin: kin of your tags, kin of your images.

Learns a collection's own tags, finds similar images, and discovers tags that mean the same. The
names below are the public API; each is imported when it is first used, so that ``import tagkin``
costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tagkin.backbones import BackboneConfig, open_backbone, resolve_backbone
    from tagkin.embeddings import embed, export_vectors
    from tagkin.errors import TagkinError
    from tagkin.library import Library
    from tagkin.preparing import prepare
    from tagkin.settings import Settings, load_settings
    from tagkin.similarity import Collection, Searcher, parse_query
    from tagkin.sources import open_source
    from tagkin.tagger import Tagger
    from tagkin.training.train import train
    from tagkin.variants import find_variants
    from tagkin.variants.deciding import TagDecisions
    from tagkin.vocabulary import TagRules, Vocabulary

__version__ = "0.1.0"

_HOMES = {
    "BackboneConfig": "tagkin.backbones",
    "Collection": "tagkin.similarity",
    "Library": "tagkin.library",
    "Searcher": "tagkin.similarity",
    "Settings": "tagkin.settings",
    "TagDecisions": "tagkin.variants.deciding",
    "TagRules": "tagkin.vocabulary",
    "Tagger": "tagkin.tagger",
    "TagkinError": "tagkin.errors",
    "Vocabulary": "tagkin.vocabulary",
    "embed": "tagkin.embeddings",
    "export_vectors": "tagkin.embeddings",
    "find_variants": "tagkin.variants",
    "load_settings": "tagkin.settings",
    "open_backbone": "tagkin.backbones",
    "open_source": "tagkin.sources",
    "parse_query": "tagkin.similarity",
    "prepare": "tagkin.preparing",
    "resolve_backbone": "tagkin.backbones",
    "train": "tagkin.training.train",
}

__all__ = [
    "BackboneConfig",
    "Collection",
    "Library",
    "Searcher",
    "Settings",
    "TagDecisions",
    "TagRules",
    "Tagger",
    "TagkinError",
    "Vocabulary",
    "embed",
    "export_vectors",
    "find_variants",
    "load_settings",
    "open_backbone",
    "open_source",
    "parse_query",
    "prepare",
    "resolve_backbone",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tagkin' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
