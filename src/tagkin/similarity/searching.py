"""Nearest images by cosine, the tags that go with them, and the nearest tags.

The pipeline: a tag -> its images -> similar images -> the tags that go with those.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tagkin.errors import LibraryError
from tagkin.library import Library
from tagkin.recent import Recent
from tagkin.records import places_in
from tagkin.similarity.collection import Collection
from tagkin.similarity.query import Query
from tagkin.similarity.results import SimilarImage, SimilarResult, TagScore
from tagkin.similarity.vector_index import VectorIndex
from tagkin.tagger import Tagger
from tagkin.unit_vectors import unit

#: How a tag becomes a direction: the mean of its images, or what a tagger has learned.
Direction = Literal["mean", "learned"]

_IMAGES_OF_TAG = 2000  # by which the direction of a tag is known
_IMAGES_OF_OTHER = 100  # the same for each of the tags that it is compared with
_TAGS_COMPARED = 2000  # more are compared only if images near the tag carry them
_NEAR_IMAGES = 500
_LEAST_IMAGES = 3  # of a tag that is named as near
_SMALLEST_RANKING = 64
_RANKINGS = 64  # that are remembered, so that the pages of one fit together
_MASKS = 16  # of queries: a million images take a megabyte each


class Searcher:
    """Searches a collection by its vectors; safe to be used by several threads.

    Args:
        collection: Images and tags.
        index: Their vectors.
        learned: For tags that a tagger has learned, their direction: float32 of shape (dimension,).
    """

    def __init__(
        self,
        collection: Collection,
        index: VectorIndex,
        learned: "dict[str, NDArray[np.float32]] | None" = None,
    ) -> None:
        self.collection = collection
        self.index = index
        self._learned = learned or {}
        #: Position in the collection of each vector; -1 if the image has no file any more.
        self._positions = places_in(index.stored.ids, collection.ids)
        self._rankings: Recent[tuple[NDArray[np.int64], NDArray[np.float32]]] = Recent(_RANKINGS)
        self._masks: Recent[NDArray[np.bool_]] = Recent(_MASKS)
        self._kin: Recent[tuple[TagScore, ...]] = Recent(_RANKINGS)

    @classmethod
    def open(
        cls,
        library: Library,
        fingerprint: str,
        collection: Collection,
        learned: "dict[str, NDArray[np.float32]] | None" = None,
    ) -> "Searcher":
        """Opens the vectors of a backbone.

        Raises:
            LibraryError: There are none, or the index is damaged.
        """
        return cls(collection, VectorIndex.open(library, fingerprint), learned)

    def by_vector(
        self,
        vector: NDArray[np.float32],
        name: str,
        *,
        limit: int = 10,
        offset: int = 0,
        exclude: Iterable[str] = (),
        where: Query | None = None,
        distinct: bool = False,
    ) -> SimilarResult:
        """Finds the images nearest to a vector.

        Args:
            vector: float32 of shape (dimension,).
            name: What the result calls it.
            limit: Number of images.
            offset: Number of nearer images to leave out: those of the pages before.
            exclude: Ids of images to leave out, such as the query's own.
            where: What images have to be like.
            distinct: Whether one image of each group of near-duplicates is enough, and none of the
                groups of ``exclude``.

        Raises:
            UnknownTagError: ``where`` asks for a tag that no image carries.
            LibraryError: The library can't be read.
        """
        left_out = self._known(exclude)
        positions, cosines = self._ranked(vector, offset + limit, left_out, where, distinct)
        positions, cosines = positions[offset:][:limit], cosines[offset:][:limit]
        images = self._images(positions, cosines)
        return SimilarResult(name, images, self._carried_tags(images))

    def by_images(
        self,
        ids: Sequence[str],
        *,
        limit: int = 10,
        offset: int = 0,
        where: Query | None = None,
        distinct: bool = False,
    ) -> SimilarResult:
        """Finds the images nearest to the mean of some of the library's own.

        Raises:
            LibraryError: The library has no such image, or no vector of it.
        """
        if not ids:
            raise LibraryError("name an image to search with")
        vector = unit(np.stack([self.vector_of(image) for image in ids])).mean(axis=0)
        name = f"{len(ids)} images"
        if len(ids) == 1:
            shown = self.collection.pictures([self.collection.position(ids[0])])
            name = str(shown[0].paths[0]) if shown else ids[0]
        return self.by_vector(
            vector, name, limit=limit, offset=offset, exclude=ids, where=where, distinct=distinct
        )

    def vector_of(self, image: str) -> NDArray[np.float32]:
        """Returns the vector of an image, float32 of shape (dimension,).

        Raises:
            LibraryError: The library has no such image, or no vector of it.
        """
        place = self._place[self.collection.position(image)]
        if place < 0:
            raise LibraryError(
                f"the library has no vector of the image {image}: run 'tagkin embed'"
            )
        vector: NDArray[np.float32] = self.index.stored.take(np.array([place]))[0].astype(
            np.float32
        )
        return vector

    def by_tag(
        self,
        tag: str,
        *,
        limit: int = 10,
        offset: int = 0,
        where: Query | None = None,
        distinct: bool = False,
        use: Direction = "mean",
    ) -> SimilarResult:
        """Finds the images nearest to the direction of a tag, and its kin.

        Args:
            tag: In any spelling that the rules read as the same.
            limit: Number of images and of tags.
            offset: Number of nearer images to leave out.
            where: What images have to be like.
            distinct: Whether one image of each group of near-duplicates is enough.
            use: ``mean`` of the tag's images, or what the tagger has ``learned``.

        Raises:
            UnknownTagError: No image carries the tag, or no tagger has learned it.
            LibraryError: None of its images has a vector.
        """
        name = self.collection.canonical(tag)
        places = self._places_with(name, _IMAGES_OF_TAG)
        if not len(places):
            raise LibraryError(f"no image with the tag {name!r} has a vector: run 'tagkin embed'")
        mean = self._mean(places)
        direction = mean if use == "mean" else self._learned.get(name)
        if direction is None:
            raise LibraryError(
                f"no tagger has learned the tag {name!r}: run 'tagkin train', or search by the "
                "mean of its images"
            )
        result = self.by_vector(
            direction, name, limit=limit, offset=offset, where=where, distinct=distinct
        )
        kin = self._kin.get((name, limit), partial(self._nearest_tags, name, mean, limit))
        return SimilarResult(name, result.images, result.tags, kin)

    # Images ----------------------------------------------------------------------------------

    def _ranked(
        self,
        vector: NDArray[np.float32],
        wanted: int,
        left_out: frozenset[int],
        where: Query | None,
        distinct: bool,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Returns at least so many positions and cosines, if there are as many, nearest first."""
        size = _SMALLEST_RANKING
        while size < wanted + len(left_out):
            size *= 4
        key = (vector.tobytes(), str(where) if where else "")
        while True:
            positions, cosines = self._rankings.get(
                (*key, size), partial(self._ranking, vector, size, where)
            )
            exhausted = len(positions) < size
            keep = self._kept(positions, left_out, distinct)
            if exhausted or keep.sum() >= wanted:
                return positions[keep], cosines[keep]
            size *= 4

    def _ranking(
        self, vector: NDArray[np.float32], size: int, where: Query | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        places, cosines = self.index.search(vector, size, self._allowed(where))
        positions = self._positions[places]
        # By id where cosines are equal, so that an answer never depends on the order of storage.
        order = np.lexsort((positions, -cosines))[:size]
        return positions[order], cosines[order]

    def _allowed(self, where: Query | None) -> NDArray[np.bool_] | None:
        """Returns for each vector whether its image may be found; None if all may."""
        gone = self._gone
        if not where:
            return None if gone is None else ~gone
        return self._masks.get(str(where), partial(self._mask, where))

    def _mask(self, where: Query) -> NDArray[np.bool_]:
        chosen = np.zeros(len(self.collection) + 1, bool)
        chosen[self.collection.select(where)] = True
        allowed: NDArray[np.bool_] = chosen[self._positions]  # -1 is the last, which is not chosen
        return allowed

    @cached_property
    def _gone(self) -> NDArray[np.bool_] | None:
        gone = self._positions < 0
        return gone if gone.any() else None

    def _kept(
        self, positions: NDArray[np.int64], left_out: frozenset[int], distinct: bool
    ) -> NDArray[np.bool_]:
        keep = ~np.isin(positions, list(left_out)) if left_out else np.ones(len(positions), bool)
        if distinct:
            groups = self.collection.columns.groups
            own = groups[list(left_out)] if left_out else groups[:0]
            found = groups[positions]
            keep &= ~np.isin(found, own)
            first = np.zeros(len(positions), bool)
            first[np.unique(found, return_index=True)[1]] = True
            keep &= first
        return keep

    def _known(self, ids: Iterable[str]) -> frozenset[int]:
        found = (self.collection.find(image) for image in ids)
        return frozenset(position for position in found if position is not None)

    def _images(
        self, positions: NDArray[np.int64], cosines: NDArray[np.float32]
    ) -> tuple[SimilarImage, ...]:
        pictures = {one.id: one for one in self.collection.pictures(positions)}
        found = []
        for position, cosine in zip(positions.tolist(), cosines.tolist(), strict=True):
            one = pictures.get(self.collection.ids[position].decode("ascii"))
            if one is not None:  # or it was deleted meanwhile
                tags = self.collection.tags_at(position)
                found.append(SimilarImage(one.id, one.paths, cosine, tags, one.width, one.height))
        return tuple(found)

    # Tags ------------------------------------------------------------------------------------

    def _carried_tags(self, nearest: Sequence[SimilarImage]) -> tuple[TagScore, ...]:
        weights: dict[str, float] = {}
        for image in nearest:
            for tag in image.tags:
                weights[tag] = weights.get(tag, 0.0) + max(image.score, 0.0)
        total = sum(max(image.score, 0.0) for image in nearest)
        if not total:
            return ()
        index, counts = self.collection.columns.tags.index, self.collection.counts
        scores = [
            TagScore(tag, weight / total - int(counts[index[tag]]) / len(self.collection))
            for tag, weight in weights.items()
        ]
        ranked = sorted(scores, key=lambda score: (-score.score, score.tag))
        return tuple(score for score in ranked if score.score > 0)

    def _nearest_tags(
        self, name: str, mean: NDArray[np.float32], limit: int
    ) -> tuple[TagScore, ...]:
        """Ranks tags by the cosine of the means of their images, less the mean of all."""
        others = {tag: self._places_with(tag, _IMAGES_OF_OTHER) for tag in self._compared(name)}
        others = {tag: places for tag, places in others.items() if len(places) >= _LEAST_IMAGES}
        if not others:
            return ()
        means = np.stack([self._mean(places) for places in others.values()]) - self._centre
        own = mean - self._centre
        norms = np.linalg.norm(means, axis=1) * np.linalg.norm(own)
        cosines = (means @ own) / np.maximum(norms, 1e-12)
        ranked = sorted(zip(others, cosines.tolist(), strict=True), key=lambda t: (-t[1], t[0]))
        return tuple(TagScore(tag, score) for tag, score in ranked[:limit])

    def _compared(self, name: str) -> list[str]:
        """Returns the other tags that are compared: all, or those of images near the tag's."""
        tags = self.collection.tags
        if len(tags) > _TAGS_COMPARED:
            mean = self._mean(self._places_with(name, _IMAGES_OF_TAG))
            positions, _ = self._ranked(mean, _NEAR_IMAGES, frozenset(), None, distinct=False)
            near = {tag for place in positions.tolist() for tag in self.collection.tags_at(place)}
            tags = tuple(sorted(near))
        counts, index = self.collection.counts, self.collection.columns.tags.index
        return [tag for tag in tags if tag != name and counts[index[tag]] >= _LEAST_IMAGES]

    def _places_with(self, tag: str, most: int) -> NDArray[np.int64]:
        """Returns where the vectors of some images with a tag are, evenly chosen."""
        places = self._place[self.collection.with_tag(tag)]
        return _evenly(places[places >= 0], most)

    def _mean(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        mean: NDArray[np.float32] = self.index.rough(places).mean(axis=0)
        return mean

    @cached_property
    def _place(self) -> NDArray[np.int64]:
        """Where the vector of each position is; -1 if there is none."""
        place = np.full(len(self.collection) + 1, -1, np.int64)
        place[self._positions[::-1]] = np.arange(len(self._positions))[::-1]  # the first of doubles
        return place[:-1]

    @cached_property
    def _centre(self) -> NDArray[np.float32]:
        places = self._place[self._place >= 0]
        return self._mean(_evenly(np.sort(places), 5 * _IMAGES_OF_TAG))


def learned_directions(tagger: Tagger) -> dict[str, NDArray[np.float32]]:
    """Returns the direction of each tag that a tagger has learned: float32 of shape (dimension,).

    Tags have the names by which they go now; of several with one name, the first counts.
    """
    directions: dict[str, NDArray[np.float32]] = {}
    for tag, direction in zip(tagger.names, tagger.head.kernel.T, strict=True):
        directions.setdefault(tag, direction)
    return directions


def _evenly(places: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    if len(places) <= most:
        return places
    return places[np.linspace(0, len(places) - 1, most).astype(np.int64)]
