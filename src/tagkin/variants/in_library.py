"""Variants among the tags of a library."""

import numpy as np
from numpy.typing import NDArray

from tagkin.decisions import links
from tagkin.errors import LibraryError
from tagkin.library import Library
from tagkin.settings import Settings
from tagkin.tag_edits import EditedTags
from tagkin.tagged_images import ResolvedTags, TaggedImages
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
    tags, vectors = _tags_and_vectors(library, fingerprint, rules)
    return find_variants(
        tags,
        vectors,
        method=method,
        min_images=min_images,
        eps=eps,
        min_samples=min_samples,
        seed=settings.seed,
        apart=apart_pairs(links(decisions), rules.resolve),
        synonyms=settings.synonyms,
        dictionaries=settings.dictionaries,
    )


def _tags_and_vectors(
    library: Library, fingerprint: str, rules: TagRules
) -> tuple[ResolvedTags, NDArray[np.float16]]:
    """Returns the tags and the vectors of the images that have a file and a vector, by id."""
    stored = library.stored_vectors(fingerprint)
    images = TaggedImages.read(library.image_table(), EditedTags(library.tag_edits(), rules))
    places = stored.find(images.ids)
    some = np.flatnonzero(places >= 0)
    if not len(some):
        raise LibraryError("the library has no vectors yet: run 'tagkin embed' first")
    return images.some(some).resolved(rules), stored.gather(places[some])
