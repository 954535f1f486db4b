"""What a tagger learns from: the images of a library with vectors, labels and splits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.chosen_rows import ChosenRows
from tagkin.errors import LibraryError, TaggerError, VocabularyError
from tagkin.library import Library
from tagkin.preparing import vocabulary_of
from tagkin.records import ImageRow
from tagkin.settings import Settings
from tagkin.splits import SPLITS, Split
from tagkin.tag_edits import EditedTags
from tagkin.training.score_blocks import tag_counts
from tagkin.vocabulary import TagRules, Vocabulary


@dataclass(frozen=True)
class LearningSet:
    """Images with vectors and labels.

    Attributes:
        rows: The images, by id.
        vectors: float16 of shape (images, dimension).
        vocabulary: The tags that are learned.
        labels: ``csr_array``, float32 of shape (images, tags): the weight of each tag that is
            there.
        parts: The places of the images of each split, integers in ascending order.
    """

    rows: list[ImageRow]
    vectors: NDArray[Any]
    vocabulary: Vocabulary
    labels: Any
    parts: Mapping[Split, NDArray[np.intp]]

    @classmethod
    def read(cls, library: Library, fingerprint: str, settings: Settings) -> "LearningSet":
        """Reads the images that have a vector of a backbone.

        Raises:
            LibraryError: The library is not prepared, or has no vectors of this backbone.
            VocabularyError: No tag is frequent enough.
            TaggerError: The training or the validation split is empty.
        """
        rows, vectors = embedded_rows(library, fingerprint)
        rules = TagRules.from_settings(settings, library.decisions())
        edits = EditedTags(library.tag_edits(), rules)
        edited = [edits.row(row) for row in rows]
        counted = map(edits.row, library.images())
        return cls.of(edited, vectors, rules, settings, counted=counted)

    @classmethod
    def of(
        cls,
        rows: list[ImageRow],
        vectors: NDArray[Any],
        rules: TagRules,
        settings: Settings,
        *,
        counted: Iterable[ImageRow] | None = None,
    ) -> "LearningSet":
        """Makes the labels of images under given rules.

        Args:
            rows: The images, by id, with splits.
            vectors: float16 of shape (images, dimension).
            rules: How their raw tags become tags.
            settings: Whose ``min_tag_occurrences`` decides which tags are learned.
            counted: The images whose tags are counted; ``rows`` if None.

        Raises:
            VocabularyError: No tag is frequent enough.
            TaggerError: The training or the validation split is empty.
        """
        vocabulary = vocabulary_of(rows if counted is None else counted, rules, settings)
        if not vocabulary.tags:
            most = max(vocabulary.too_rare.values(), default=0)
            raise VocabularyError(
                f"no tag is on {settings.min_tag_occurrences} images or more (the most frequent is "
                f"on {most}): lower --min-tag-occurrences"
            )
        labels = vocabulary.multi_hot(rules.resolve_weighted(row) for row in rows)
        found = cls(rows, vectors, vocabulary, labels, split_places(rows))
        for split in ("train", "validation"):
            places = found.parts[split]
            if not len(places) or not labels[places].nnz:
                raise TaggerError(
                    f"no image with a known tag is in the {split} split: the collection is too "
                    "small to train on; add images and run 'tagkin prepare' again"
                )
        return found

    def labels_of(self, split: Split) -> Any:
        """Returns the labels of a split, ``csr_array``."""
        return self.labels[self.parts[split]]

    def vectors_of(self, split: Split) -> ChosenRows:
        """Returns the vectors of a split, which are copied only where they are looked at."""
        return ChosenRows(self.vectors, self.parts[split])

    def counts(self) -> dict[Split, NDArray[np.int64]]:
        """Returns the images of each tag in each split, int64 of shape (tags,)."""
        return {split: tag_counts(self.labels_of(split)) for split in SPLITS}


def embedded_rows(library: Library, fingerprint: str) -> tuple[list[ImageRow], NDArray[np.float16]]:
    """Returns the images of a prepared library that have a vector of a backbone, with the vectors.

    Raises:
        LibraryError: The library is not prepared, or has no vectors of this backbone.
    """
    rows, vectors = library.embedded_images(fingerprint)
    if not library.state.prepared:
        raise LibraryError("the last 'tagkin prepare' did not finish: run it again, it goes on")
    return rows, vectors


def split_places(rows: Sequence[ImageRow]) -> dict[Split, NDArray[np.intp]]:
    """Returns the places of the images of each split, integers in ascending order."""
    return {s: np.array([i for i, r in enumerate(rows) if r.split == s], int) for s in SPLITS}
