"""Variants among the tags of a library."""

from tagkin.library import Library
from tagkin.settings import Settings
from tagkin.variants import Proposals, find_variants
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
    the alias table and the decisions taken so far.

    Raises:
        LibraryError: The library is not embedded with that backbone.
        SettingsError: The method is unknown or a number is out of range.
    """
    rows, vectors = library.embedded_images(fingerprint)
    rules = TagRules.from_settings(settings, library.decisions())
    return find_variants(
        [rules.resolve_all(row.tags) for row in rows],
        vectors,
        method=method,
        min_images=min_images,
        eps=eps,
        min_samples=min_samples,
        seed=settings.seed,
    )
