"""What merges bring together, and what a search by tag gains: tags only, nothing is trained."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagkin.tagged_images import TaggedImages
from tagkin.vocabulary import TagRules


@dataclass(frozen=True)
class MergedConcept:
    """Tags that were several and are one after the merges, or one that changes its name.

    Attributes:
        canonical: The tag after the merges.
        members: The tags before that become it, on the most images first; the canonical one is
            among them if an image carries it.
        places: The images that carry any of them, integers in ascending order.
        images_before: Images that a search for the canonical tag finds by tag before the merges.
    """

    canonical: str
    members: tuple[str, ...]
    places: NDArray[np.intp]
    images_before: int

    @property
    def images_after(self) -> int:
        """Images that a search for the canonical tag finds by tag after the merges."""
        return len(self.places)


def find_merged_concepts(
    images: TaggedImages, before: TagRules, after: TagRules
) -> list[MergedConcept]:
    """Returns what some merges change on some images, what is on the most images first.

    A merge of tags that no image carries changes nothing and is left out, as are tags that the
    owner excludes.

    Args:
        images: The images.
        before: The rules without the merges.
        after: The same rules with the merges.

    Raises:
        ValueError: ``after`` parts images that have one tag under ``before``.
    """
    used = np.unique(images.tags.indices).tolist()
    becomes = _renames((images.raw_tags[tag] for tag in used), before, after)
    sources = defaultdict(set)
    for old, new in becomes.items():
        sources[new].add(old)
    changed = {
        new for new, olds in sources.items() if new and olds != {new} and new not in after.excluded
    }
    counts, merged = images.resolved(before).counts(), images.resolved(after)
    names = [name for name in merged.names if name in changed]
    carried = merged.columns(names).tocsc()
    found = [
        MergedConcept(
            new,
            tuple(sorted((o for o in sources[new] if counts[o]), key=lambda o: (-counts[o], o))),
            carried.indices[carried.indptr[column] : carried.indptr[column + 1]].astype(np.intp),
            counts[new] if new in sources[new] else 0,
        )
        for column, new in enumerate(names)
    ]
    return sorted(found, key=lambda concept: (-concept.images_after, concept.canonical))


def _renames(raw_tags: Iterable[str], before: TagRules, after: TagRules) -> dict[str, str]:
    """Returns each tag of before, the implied ones as well, with the tag after."""
    becomes: dict[str, str] = {}
    for raw in raw_tags:
        old, new = before.resolve(raw), after.resolve(raw)
        if becomes.setdefault(old, new) != new:
            raise ValueError(f"{old!r} is one tag before and two after: that is no merge")
        for implied in before.resolve_all([raw])[1:]:
            becomes.setdefault(implied, after.resolve(implied))
    return becomes
