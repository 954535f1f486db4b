"""What a tagger learns from: the images of a library with vectors, labels and splits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.chosen_rows import ChosenRows, Matrix, StoredRows
from tagkin.embedded_images import EmbeddedImages
from tagkin.errors import LibraryError, TaggerError, VocabularyError
from tagkin.library import Library
from tagkin.settings import Settings
from tagkin.splits import SPLITS, Split
from tagkin.tagged_images import TaggedImages
from tagkin.training.score_blocks import tag_counts
from tagkin.vocabulary import TagRules, Vocabulary


@dataclass(frozen=True)
class LearningSet:
    """Images with vectors and labels.

    Attributes:
        images: The images, by id.
        vectors: float16 of shape (images, dimension), in memory or on disk.
        vocabulary: The tags that are learned.
        labels: ``csr_array``, float32 of shape (images, tags): the weight of each tag that is
            there.
        parts: The places of the images of each split, integers in ascending order.
    """

    images: TaggedImages
    vectors: NDArray[Any] | StoredRows
    vocabulary: Vocabulary
    labels: Any
    parts: Mapping[Split, NDArray[np.intp]]
    _held_out: dict[Split, NDArray[Any]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @classmethod
    def read(cls, library: Library, fingerprint: str, settings: Settings) -> "LearningSet":
        """Reads the images that have a vector of a backbone.

        Raises:
            LibraryError: The library is not prepared, or has no vectors of this backbone.
            VocabularyError: No tag is frequent enough.
            TaggerError: The training or the validation split is empty.
        """
        rules = TagRules.from_settings(settings, library.decisions())
        found = embedded_images(library, fingerprint, rules, settings)
        return cls.of(found.images, found.vectors, rules, settings, counted=found.every)

    @classmethod
    def of(
        cls,
        images: TaggedImages,
        vectors: NDArray[Any] | StoredRows,
        rules: TagRules,
        settings: Settings,
        *,
        counted: TaggedImages | None = None,
    ) -> "LearningSet":
        """Makes the labels of images under given rules.

        Args:
            images: The images, with splits.
            vectors: float16 of shape (images, dimension), in memory or on disk.
            rules: How their raw tags become tags.
            settings: Whose ``min_tag_occurrences`` decides which tags are learned.
            counted: The images whose tags are counted; ``images`` if None.

        Raises:
            VocabularyError: No tag is frequent enough.
            TaggerError: The training or the validation split is empty.
        """
        resolved = images.resolved(rules)
        counts = (resolved if counted is None else counted.resolved(rules)).counts()
        vocabulary = Vocabulary.of_counts(
            counts, min_tag_occurrences=settings.min_tag_occurrences, exclude=rules.excluded
        )
        if not vocabulary.tags:
            most = max(vocabulary.too_rare.values(), default=0)
            raise VocabularyError(
                f"no tag is on {settings.min_tag_occurrences} images or more (the most frequent is "
                f"on {most}): lower --min-tag-occurrences"
            )
        labels = resolved.columns(vocabulary.tags)
        parts = {split: images.places_of(split) for split in SPLITS}
        for split in ("train", "validation"):
            places = parts[split]
            if not len(places) or not labels[places].nnz:
                raise TaggerError(
                    f"no image with a known tag is in the {split} split: the collection is too "
                    "small to train on; add images and run 'tagkin prepare' again"
                )
        return cls(images, vectors, vocabulary, labels, parts)

    def labels_of(self, split: Split) -> Any:
        """Returns the labels of a split, ``csr_array``."""
        return self.labels[self.parts[split]]

    def vectors_of(self, split: Split) -> Matrix:
        """Returns the vectors of a split, which are copied only where they are looked at.

        Those to train on stay on disk if they are there. The others are looked at again and
        again, so they are read into memory.
        """
        places = self.parts[split]
        if not isinstance(self.vectors, StoredRows):
            return ChosenRows(self.vectors, places)
        if split == "train":
            return self.vectors.some(places)
        if split not in self._held_out:
            self._held_out[split] = self.vectors.some(places).read()
        return self._held_out[split]

    def counts(self) -> dict[Split, NDArray[np.int64]]:
        """Returns the images of each tag in each split, int64 of shape (tags,)."""
        return {split: tag_counts(self.labels_of(split)) for split in SPLITS}


def embedded_images(
    library: Library, fingerprint: str, rules: TagRules, settings: Settings
) -> EmbeddedImages:
    """Reads the images of a prepared library that have a vector; see `EmbeddedImages.read`.

    Raises:
        LibraryError: The library is not prepared, or has no vectors of this backbone.
    """
    found = EmbeddedImages.read(library, fingerprint, rules, settings)
    if not library.state.prepared:
        raise LibraryError("the last 'tagkin prepare' did not finish: run it again, it goes on")
    return found
