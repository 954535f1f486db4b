"""What the tags of the nearest training images say about an image.

A linear head can't learn that a picture is nearly one it has seen; its neighbours tell (Makadia et
al. 2008, "A New Baseline for Image Annotation"; Guillaumin et al. 2009, "TagProp").
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.chosen_rows import Matrix
from tagkin.unit_vectors import unit

#: Of nearest images that count. Corel-5K: 100 and 20 hardly differ.
NEIGHBOURS = 100

_TEMPERATURE = 0.05  # an image whose cosine is 0.05 less counts 1/e of the nearer one
_SMOOTHING = 0.1  # how much of the collection's own share every image gets
_SAME = 0.9999  # cosine of a vector and itself, of which one was rounded to half precision
_QUERIES = 1024  # at once, which bounds the memory of their cosines


@dataclass(frozen=True)
class Neighbours:
    """Training images that a tagger remembers.

    Attributes:
        centre: float32 of shape (dimension,), the mean of their vectors, which is taken off before
            cosines are taken.
        units: float16 of shape (images, dimension), centred vectors of length 1.
        row_ends: int64 of shape (images + 1,): the tags of image i are
            ``columns[row_ends[i]:row_ends[i + 1]]``.
        columns: int32, places of tags.
        tags: Number of tags.
        weight: Of the neighbours' log odds beside the head's.
    """

    centre: NDArray[np.float32]
    units: NDArray[np.float16]
    row_ends: NDArray[np.int64]
    columns: NDArray[np.int32]
    tags: int
    weight: float = 1.0

    @classmethod
    def of(cls, vectors: NDArray[Any], labels: Any) -> "Neighbours":
        """Remembers images.

        Args:
            vectors: float16 or float32 of shape (images, dimension).
            labels: ``csr_array`` of shape (images, tags); a stored entry means that the tag is
                there.
        """
        centre = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        return cls(
            centre=centre,
            units=_units(vectors, centre).astype(np.float16),
            row_ends=labels.indptr.astype(np.int64),
            columns=labels.indices.astype(np.int32),
            tags=labels.shape[1],
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Returns the fields as arrays, by name."""
        return {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Neighbours":
        """Reads what `to_arrays` gave.

        Raises:
            KeyError, ValueError: It is something else.
        """
        found = cls(
            centre=arrays["centre"],
            units=arrays["units"],
            row_ends=arrays["row_ends"],
            columns=arrays["columns"],
            tags=int(arrays["tags"]),
            weight=float(arrays["weight"]),
        )
        images, dimension = found.units.shape
        fits = found.centre.shape == (dimension,) and found.row_ends.shape == (images + 1,)
        if not fits or (len(found.columns) and found.columns.max() >= found.tags):
            raise ValueError("the neighbours' arrays don't fit each other")
        return found

    def logits(self, vectors: Matrix, *, without_itself: bool = False) -> NDArray[np.float32]:
        """Returns log shares of the tags among the nearest images, times the weight.

        Args:
            vectors: float16 or float32 of shape (images, dimension).
            without_itself: Whether remembered images with the same vector don't count.

        Returns:
            float32 of shape (images, tags).
        """
        result = np.empty((len(vectors), self.tags), np.float32)
        row = 0
        for places, weights in self.nearest(vectors, without_itself=without_itself):
            for some, weight in zip(places, weights, strict=True):
                of = [slice(self.row_ends[place], self.row_ends[place + 1]) for place in some]
                columns = np.concatenate([self.columns[tags] for tags in of])
                spread = np.repeat(weight, [tags.stop - tags.start for tags in of])
                result[row] = self.log(np.bincount(columns, spread, self.tags))
                row += 1
        return np.float32(self.weight) * result

    def nearest(
        self, vectors: Matrix, *, without_itself: bool = False
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Yields, for up to 1,024 vectors at a time, the nearest images and how much each counts.

        Args:
            vectors: float16 or float32 of shape (images, dimension).
            without_itself: Whether remembered images with the same vector don't count.

        Yields:
            Places and float32 weights that sum to 1, both of shape (vectors, neighbours).
        """
        count = min(NEIGHBOURS, len(self.units))
        for start in range(0, len(vectors), _QUERIES):
            cosines = _units(vectors[start : start + _QUERIES], self.centre) @ self._units.T
            if without_itself:
                cosines[cosines > _SAME] = -1
            places = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
            near = np.take_along_axis(cosines, places, axis=1)
            weights = np.exp((near - near.max(axis=1, keepdims=True)) / _TEMPERATURE)
            yield places, weights / weights.sum(axis=1, keepdims=True)

    def log(self, shares: NDArray[Any], tags: slice = slice(None)) -> NDArray[np.float32]:
        """Returns log shares that are never infinite, of some tags: (tags,) or (images, tags)."""
        return np.log(shares + self._least[tags]).astype(np.float32)

    @cached_property
    def _units(self) -> NDArray[np.float32]:
        return self.units.astype(np.float32)

    @cached_property
    def _least(self) -> NDArray[np.float64]:
        share = np.bincount(self.columns, minlength=self.tags) / max(len(self.units), 1)
        return _SMOOTHING * share + 1e-7


def _units(vectors: NDArray[Any], centre: NDArray[np.float32]) -> NDArray[np.float32]:
    return unit(vectors.astype(np.float32) - centre)
