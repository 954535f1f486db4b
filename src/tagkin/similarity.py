"""Nearest images by cosine, the tags that go with them, and the nearest tags.

The pipeline: a tag -> its images -> similar images -> the tags that go with those.
"""

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.errors import LibraryError, UnknownTagError
from tagkin.library import Library
from tagkin.records import ImageRow
from tagkin.vocabulary import TagRules

_BLOCK = 65536  # rows scored at once, which bounds the memory of float32 copies


@dataclass(frozen=True)
class SimilarImage:
    """An image near the query: its cosine similarity in -1..1, and its tags but excluded ones."""

    id: str
    paths: tuple[Path, ...]
    score: float
    tags: tuple[str, ...]


@dataclass(frozen=True)
class TagScore:
    """A tag and how strongly it belongs to the query."""

    tag: str
    score: float


@dataclass(frozen=True)
class SimilarResult:
    """The answer to one query.

    Attributes:
        query: The path or the tag that was asked for.
        images: Nearest first.
        tags: Tags that these images carry. The score is the share of the images with the tag,
            weighted by similarity, less the share of the whole collection with it: 0.5 means that
            the tag is 50 points more usual here.
        nearest_tags: For a tag, the tags whose images look most alike (cosine of the mean
            vectors, the mean of the collection taken off); empty for an image.
    """

    query: str
    images: tuple[SimilarImage, ...]
    tags: tuple[TagScore, ...]
    nearest_tags: tuple[TagScore, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns the result as JSON types."""
        result: dict[str, Any] = {
            "query": self.query,
            "images": [
                {**i.__dict__, "paths": [str(p) for p in i.paths], "tags": list(i.tags)}
                for i in self.images
            ],
            "tags": [t.__dict__ for t in self.tags],
        }
        if self.nearest_tags:
            result["nearest_tags"] = [t.__dict__ for t in self.nearest_tags]
        return result


class SimilarityIndex:
    """All vectors of a library in memory, with the tags of their images.

    Args:
        rows: Images.
        vectors: float16 or float32 of shape (images, dimension), row by row those of ``rows``.
        rules: How raw tags are read.
    """

    def __init__(self, rows: Sequence[ImageRow], vectors: NDArray[Any], rules: TagRules) -> None:
        self.rows = rows
        self.vectors = vectors
        self.rules = rules
        self.tags = [rules.wanted(row.tags) for row in rows]
        self.images_of: dict[str, list[int]] = {}
        for image, tags in enumerate(self.tags):
            for tag in tags:
                self.images_of.setdefault(tag, []).append(image)
        norms = self._map_blocks(lambda block: np.linalg.norm(block, axis=1))
        self._norms = np.maximum(norms, np.float32(1e-12))

    @classmethod
    def open(cls, library: Library, fingerprint: str, rules: TagRules) -> "SimilarityIndex":
        """Loads the vectors of a backbone from a library.

        Raises:
            LibraryError: There are none.
        """
        return cls(*library.embedded_images(fingerprint), rules)

    def similar_to_vector(
        self,
        vector: NDArray[np.float32],
        query: str,
        *,
        limit: int = 10,
        exclude: Iterable[str] = (),
    ) -> SimilarResult:
        """Finds the images nearest to a vector.

        Args:
            vector: float32 of shape (dimension,).
            query: What the result calls it.
            limit: Number of images.
            exclude: Ids of images to leave out, such as the query's own.
        """
        nearest = self._nearest(vector, limit, frozenset(exclude))
        return SimilarResult(query, nearest, self._carried_tags(nearest))

    def similar_to_image(self, image: str, *, limit: int = 10) -> SimilarResult:
        """Finds the images nearest to one of the library's own.

        Raises:
            LibraryError: The library has no such image, or no vector of it.
        """
        place = next((i for i, row in enumerate(self.rows) if row.id == image), None)
        if place is None:
            raise LibraryError(f"the library has no vector of an image {image}")
        vector = self.vectors[place].astype(np.float32)
        query = str(self.rows[place].paths[0])
        return self.similar_to_vector(vector, query, limit=limit, exclude=[image])

    def similar_to_tag(self, tag: str, *, limit: int = 10) -> SimilarResult:
        """Finds the images nearest to the mean direction of a tag's images, and its kin.

        Raises:
            UnknownTagError: No image carries the tag; the message names the nearest spellings.
        """
        name = self.rules.resolve(tag)
        if name not in self.images_of:
            close = difflib.get_close_matches(name, self.images_of, 3)
            hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
            raise UnknownTagError(f"no image carries the tag {tag!r}{hint}")
        result = self.similar_to_vector(self._direction(self.images_of[name]), name, limit=limit)
        return SimilarResult(name, result.images, result.tags, self._nearest_tags(name, limit))

    def _nearest(
        self, vector: NDArray[np.float32], limit: int, exclude: frozenset[str]
    ) -> tuple[SimilarImage, ...]:
        unit = (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
        scores = (self._map_blocks(lambda block: block @ unit) / self._norms).clip(-1, 1)
        wanted = min(len(scores), limit + len(exclude))
        best = np.flatnonzero(scores >= np.partition(scores, -wanted)[-wanted])
        # By id where scores are equal, so that an answer never depends on the order of storage.
        ranked = sorted(best.tolist(), key=lambda i: (-scores[i], self.rows[i].id))
        return tuple(
            SimilarImage(self.rows[i].id, self.rows[i].paths, float(scores[i]), self.tags[i])
            for i in ranked
            if self.rows[i].id not in exclude
        )[:limit]

    def _carried_tags(self, nearest: Sequence[SimilarImage]) -> tuple[TagScore, ...]:
        weights: dict[str, float] = {}
        for image in nearest:
            for tag in image.tags:
                weights[tag] = weights.get(tag, 0.0) + max(image.score, 0.0)
        total = sum(max(image.score, 0.0) for image in nearest)
        if not total:
            return ()
        scores = [
            TagScore(tag, weight / total - len(self.images_of[tag]) / len(self.rows))
            for tag, weight in weights.items()
        ]
        ranked = sorted(scores, key=lambda score: (-score.score, score.tag))
        return tuple(score for score in ranked if score.score > 0)

    def _nearest_tags(self, name: str, limit: int) -> tuple[TagScore, ...]:
        """Ranks the tags with at least three images by the cosine of centred mean vectors."""
        names = [t for t, images in self.images_of.items() if len(images) >= 3 and t != name]
        if not names:
            return ()
        centre = self._direction(range(len(self.rows)))
        means = np.stack([self._direction(self.images_of[tag]) for tag in names]) - centre
        own = self._direction(self.images_of[name]) - centre
        norms = np.linalg.norm(means, axis=1) * np.linalg.norm(own)
        cosines = (means @ own) / np.maximum(norms, 1e-12)
        ranked = sorted(zip(names, cosines.tolist(), strict=True), key=lambda t: (-t[1], t[0]))
        return tuple(TagScore(tag, score) for tag, score in ranked[:limit])

    def _direction(self, images: Sequence[int]) -> NDArray[np.float32]:
        """Returns the mean of the unit vectors of some images, float32 of shape (dimension,)."""
        total = np.zeros(self.vectors.shape[1], np.float32)
        for start in range(0, len(images), _BLOCK):
            some = np.asarray(images[start : start + _BLOCK])
            total += (self.vectors[some].astype(np.float32) / self._norms[some, None]).sum(axis=0)
        return total / np.float32(max(1, len(images)))

    def _map_blocks(
        self, function: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Applies a function from rows to numbers, block by block, to the stored vectors."""
        return np.concatenate(
            [
                function(self.vectors[start : start + _BLOCK].astype(np.float32))
                for start in range(0, len(self.vectors), _BLOCK)
            ]
        )
