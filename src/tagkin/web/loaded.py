"""What is read of a library once and serves many requests: columns, vectors, a tagger."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.backbones import BackboneConfig
from tagkin.errors import LibraryError, TaggerError
from tagkin.library import Library
from tagkin.near_duplicates import several_of
from tagkin.recent import Recent
from tagkin.records import ImageRow
from tagkin.settings import Settings
from tagkin.similarity import Collection, Query, Searcher, VectorIndex, learned_directions
from tagkin.stored_vectors import StoredVectors
from tagkin.tagger import Tagger, find_tagger, tagger_names
from tagkin.web.problems import NotFoundError, NotReadyError

_SELECTIONS = 32  # that are remembered, so that the pages of one needn't choose and sort again
_SELECTED = 20_000_000  # images in all of them: 160 MB

NO_VECTORS = "the library has no vectors yet: run 'tagkin embed', and searches by likeness work"
NO_TAGGER = "the library has no tagger yet: run 'tagkin train', and tags are predicted"


@dataclass(frozen=True)
class Predictor:
    """A tagger with the vectors that it judges images of the library by.

    Attributes:
        name: Of the tagger.
        saved: The tagger as it was saved, which keeps its backbone loaded.
        tagger: The same, seen through the decisions taken since.
        report: What training measured of each tag.
        stored: Vectors of its backbone; None if there are none.
    """

    name: str
    saved: Tagger
    tagger: Tagger
    report: Mapping[str, Mapping[str, Any]]
    stored: StoredVectors | None

    def vector(self, image: str) -> NDArray[np.float32] | None:
        """Returns the vector of an image, float32 of shape (dimension,); None if there is none."""
        if self.stored is None:
            return None
        places = self.stored.find(np.array([image.encode("ascii")]))
        if places[0] < 0:
            return None
        found = self.stored.take(places)[0].astype(np.float32)
        return found if found.any() else None

    @cached_property
    def measured(self) -> Mapping[str, tuple[float, Mapping[str, Any]]]:
        """For each tag, as it is called now, its threshold and what training measured of it.

        Of tags that have become one, the more frequent speaks.
        """
        tagger = self.tagger
        found: dict[str, tuple[float, Mapping[str, Any]]] = {}
        for tag, name, threshold in zip(
            tagger.tags, tagger.names, tagger.thresholds.tolist(), strict=True
        ):
            found.setdefault(name, (threshold, self.report.get(tag, {})))
        return found


@dataclass(frozen=True)
class Loaded:
    """A library as it was when it was read.

    Attributes:
        library: The library.
        collection: Its images and tags.
        config: The active backbone; None if nothing was embedded yet.
        searcher: Searches by likeness; None if there are no vectors.
        predictor: The newest tagger of that backbone; None if there is none.
        problems: Why there is no searcher or predictor, in words.
        marker: What changes when any of this does; see `marker`.
    """

    library: Library
    collection: Collection
    config: BackboneConfig | None
    searcher: Searcher | None
    predictor: Predictor | None
    problems: tuple[str, ...]
    marker: tuple[Any, ...]
    _selections: Recent[NDArray[np.int64]] = field(
        default_factory=lambda: Recent(_SELECTIONS, heaviest=_SELECTED, weigh=len), repr=False
    )

    @classmethod
    def read(cls, path: Path, settings: Settings, before: "Loaded | None" = None) -> "Loaded":
        """Reads a library.

        Args:
            path: Its folder.
            settings: With what the library remembers.
            before: What was read of it earlier: vectors and taggers that are the same are kept.

        Raises:
            LibraryError: There is none, or it is damaged.
        """
        library = Library.open(path)
        known = marker(library)
        same = before if before and before.marker[1:] == known[1:] else None
        collection = Collection.open(library, settings)
        active = library.state.active_backbone
        config = BackboneConfig.from_dict(active) if active else None
        problems: list[str] = []
        predictor = _read_predictor(library, config, collection, problems, same)
        searcher = None
        try:
            if config is None:
                raise LibraryError(NO_VECTORS)
            index = (
                same.searcher.index
                if same and same.searcher
                else VectorIndex.open(library, config.fingerprint)
            )
            searcher = Searcher(collection, index, _learned(predictor, config))
        except LibraryError as error:
            problems.append(str(error))
        return cls(library, collection, config, searcher, predictor, tuple(problems), known)

    def need_searcher(self) -> Searcher:
        """Returns the searcher.

        Raises:
            NotReadyError: The library has no vectors yet.
        """
        if self.searcher is None:
            raise NotReadyError(NO_VECTORS)
        return self.searcher

    def need_config(self) -> BackboneConfig:
        """Returns the backbone by which images are searched for.

        Raises:
            NotReadyError: The library has no vectors yet.
        """
        if self.searcher is None or self.config is None:
            raise NotReadyError(NO_VECTORS)
        return self.config

    def need_predictor(self) -> Predictor:
        """Returns the tagger.

        Raises:
            NotReadyError: The library has no tagger yet.
        """
        if self.predictor is None:
            raise NotReadyError(NO_TAGGER)
        return self.predictor

    def has(self, image: str) -> bool:
        """Returns whether the collection has an image."""
        return self.collection.find(image) is not None

    def need_position(self, image: str) -> int:
        """Returns the place of an image in the collection.

        Raises:
            NotFoundError: There is no such image.
        """
        position = self.collection.find(image)
        if position is None:
            raise NotFoundError(f"the library has no image {image!r}")
        return position

    def places(self, tag: str) -> NDArray[np.int64]:
        """Returns the positions of a tag's images, ascending; of a tag unknown to it, none.

        A tag that was merged since has the images of the tag that it became.
        """
        place = self.collection.columns.tags.index.get(self.collection.rules.resolve(tag))
        if place is None:
            return np.empty(0, np.int64)
        return self.collection.columns.tags.places_of(place)

    def count(self, tag: str) -> int:
        """Returns the number of images with a tag, as it is called in the collection."""
        place = self.collection.columns.tags.index.get(tag)
        return 0 if place is None else int(self.collection.counts[place])

    def rows_of(self, ids: Sequence[str]) -> list[ImageRow]:
        """Returns some images in that order; those that are gone are left out.

        Raises:
            NotFoundError: There is no such image.
        """
        return self.collection.rows([self.need_position(image) for image in ids])

    def chosen(self, query: Query, sort: str) -> NDArray[np.int64]:
        """Returns the positions that a query chooses, in the order in which they are shown.

        Raises:
            UnknownTagError: It asks for a tag that no image carries.
        """
        return self._selections.get((str(query), sort), partial(self._choose, query, sort))

    def _choose(self, query: Query, sort: str) -> NDArray[np.int64]:
        found = self.collection.select(query)
        return self.collection.newest_first(found) if sort == "newest" else found

    @cached_property
    def tag_counts(self) -> dict[str, int]:
        """The number of images with each tag."""
        return dict(zip(self.collection.tags, self.collection.counts.tolist(), strict=True))

    @cached_property
    def tags_by_name(self) -> list[str]:
        """All tags in the order of their letters."""
        return sorted(self.collection.tags)

    @cached_property
    def tags_by_score(self) -> list[str]:
        """All tags, that with the worst F1 first, and those without a score last."""
        measured = self.predictor.measured if self.predictor else {}

        def key(tag: str) -> tuple[bool, float, str]:
            f1 = measured[tag][1].get("f1") if tag in measured else None
            return f1 is None, f1 or 0.0, tag

        return sorted(self.collection.tags, key=key)

    @cached_property
    def duplicates(self) -> list[NDArray[np.int64]]:
        """The positions of each group of near-duplicates, the largest first."""
        groups = several_of(self.collection.columns.groups)
        return sorted(groups, key=lambda group: (-len(group), group[0]))

    @cached_property
    def searched(self) -> int:
        """The number of images that have a vector."""
        if self.searcher is None:
            return 0
        return int(np.isin(self.collection.ids, self.searcher.index.stored.ids).sum())


def marker(library: Library) -> tuple[Any, ...]:
    """Returns what changes when images, decisions, edits, vectors or taggers do."""
    active = Library.open(library.path).state.active_backbone
    fingerprint = BackboneConfig.from_dict(active).fingerprint if active else ""
    vectors, index = 0, 0
    if fingerprint:
        with suppress(LibraryError):
            vectors = library.stored_vectors(fingerprint).version
        with suppress(OSError):
            index = library.index_path(fingerprint).stat().st_mtime_ns
    taggers = tuple(tagger_names(library.taggers_path))
    return library.versions(), fingerprint, vectors, index, taggers


def _read_predictor(
    library: Library,
    config: BackboneConfig | None,
    collection: Collection,
    problems: list[str],
    same: Loaded | None,
) -> Predictor | None:
    if same and same.predictor:
        return replace(same.predictor, tagger=same.predictor.saved.seen_through(collection.rules))
    if config is None:
        problems.append(NO_TAGGER)
        return None
    try:
        folder = find_tagger(library.taggers_path, None, config.architecture)
        saved = Tagger.load(folder)
    except TaggerError as error:
        problems.append(f"no tags are predicted: {error}")
        return None
    stored = None
    with suppress(LibraryError):
        stored = library.stored_vectors(saved.config.fingerprint)
    tagger = saved.seen_through(collection.rules)
    return Predictor(folder.name, saved, tagger, _read_report(folder), stored)


def _read_report(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Returns the figures of each tag; none if the tagger has no report that is understood."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        content = json.loads((folder / "report.json").read_text("utf-8"))
        return {str(row["tag"]): row for row in content["tags"]}
    return {}


def _learned(
    predictor: Predictor | None, config: BackboneConfig
) -> dict[str, NDArray[np.float32]] | None:
    if predictor is None or predictor.tagger.config.fingerprint != config.fingerprint:
        return None
    return learned_directions(predictor.tagger)
