"""Variants among the tags of a library."""

from tagkin.decisions import links
from tagkin.embedded_images import EmbeddedImages
from tagkin.library import Library
from tagkin.settings import Settings
from tagkin.variants import Proposals, find_variants
from tagkin.variants.apart import apart_pairs
from tagkin.vocabulary import TagRules


def find_in_library(
    library: Library,
    fingerprint: str,
    settings: Settings,
    *,
    method: str = "evidence",
    min_images: int = 3,
    eps: float = 0.3,
    min_samples: int = 2,
) -> Proposals:
    """Proposes groups of tags that mean the same; see `tagkin.variants.find_variants`.

    All tags count, not only those frequent enough for the vocabulary, and tags are seen through
    the alias table and the decisions taken so far. Pairs that were rejected, or decided to be
    related or an implication, are kept apart.

    Raises:
        LibraryError: The library is not embedded with that backbone.
        SettingsError: The method is unknown, a number is out of range, or the synonyms can't be
            read.
    """
    decisions = library.decisions()
    rules = TagRules.from_settings(settings, decisions)
    found = EmbeddedImages.read(library, fingerprint, rules, settings)
    return find_variants(
        found.images.resolved(rules),
        found.vectors,
        method=method,
        min_images=min_images,
        eps=eps,
        min_samples=min_samples,
        seed=settings.seed,
        apart=apart_pairs(links(decisions), rules.resolve),
        synonyms=settings.synonyms,
        dictionaries=settings.dictionaries,
    )
