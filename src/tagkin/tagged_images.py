"""The tags and the splits of many images as arrays: some 60 bytes an image and 8 for each tag."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tagkin.lance_snapshot import Snapshot
from tagkin.records import ID_TYPE, IMAGES, ImageRow, to_ids, to_image_rows
from tagkin.splits import SPLITS, Split
from tagkin.tag_edits import EditedTags
from tagkin.vocabulary import TagRules

_NO_SPLIT = -1


@dataclass(frozen=True)
class ResolvedTags:
    """The tags of images as some rules see them.

    Attributes:
        names: The tags.
        labels: ``csr_array``, float32 of shape (images, names): the greatest weight of the raw
            tags that are one; columns ascend within an image.
    """

    names: tuple[str, ...]
    labels: Any

    def __len__(self) -> int:
        """Returns the number of images."""
        return int(self.labels.shape[0])

    def counts(self) -> Counter[str]:
        """Returns the number of images of each tag."""
        found = np.bincount(self.labels.indices, minlength=len(self.names))
        return Counter(dict(zip(self.names, found.tolist(), strict=True)))

    def columns(self, names: Sequence[str]) -> Any:
        """Returns the labels of some of the tags in their order: ``csr_array``, (images, some)."""
        place = {name: column for column, name in enumerate(self.names)}
        chosen = self.labels[:, [place[name] for name in names]]
        chosen.sort_indices()
        return chosen


@dataclass(frozen=True)
class TaggedImages:
    """Images that have a file, with their raw tags after the edits.

    Attributes:
        ids: Type S32 of shape (images,), ascending.
        splits: int8 of shape (images,): places in `tagkin.splits.SPLITS`, -1 for none.
        raw_tags: Each raw tag once.
        tags: ``csr_array``, float32 of shape (images, raw tags): the weight of each tag that is
            there, in the order in which an image's tags were read.
    """

    ids: NDArray[np.bytes_]
    splits: NDArray[np.int8]
    raw_tags: tuple[str, ...]
    tags: Any

    @classmethod
    def of(cls, rows: Iterable[ImageRow], edits: EditedTags | None = None) -> "TaggedImages":
        """Collects images that are in memory; those without a file are left out."""
        reader = _Reader(edits or EditedTags(()))
        reader.add_rows([row for row in rows if row.files])
        return reader.images()

    @classmethod
    def read(cls, table: Snapshot | None, edits: EditedTags) -> "TaggedImages":
        """Reads a table of images in one pass.

        Args:
            table: The table; None if there is none yet.
            edits: What was changed on single images.

        Raises:
            LibraryError: The table can't be read.
        """
        reader = _Reader(edits)
        for batch in table.batches(IMAGES.names) if table is not None else ():
            reader.add(batch)
        return reader.images()

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self.ids)

    def some(self, places: NDArray[np.integer[Any]]) -> "TaggedImages":
        """Returns some of the images, given their places in ascending order."""
        return replace(
            self, ids=self.ids[places], splits=self.splits[places], tags=self.tags[places]
        )

    def places_of(self, split: Split) -> NDArray[np.intp]:
        """Returns the places of the images of a split, ascending."""
        return np.flatnonzero(self.splits == SPLITS.index(split))

    def resolved(self, rules: TagRules) -> ResolvedTags:
        """Returns the tags as some rules see them, the implied ones as well."""
        from scipy.sparse import csr_array

        names: dict[str, int] = {}
        # Each raw tag is resolved once; it may imply others.
        becomes = [rules.resolve_all([raw]) for raw in self.raw_tags]
        sizes = np.array([len(tags) for tags in becomes], np.int64)
        flat = [names.setdefault(tag, len(names)) for tags in becomes for tag in tags]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        targets = np.array(flat, np.int32)
        rows = np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.tags.indptr))
        parts = []
        for nth in range(int(sizes.max(initial=0))):
            has = sizes[self.tags.indices] > nth
            of = targets[starts[self.tags.indices[has]] + nth]
            parts.append((rows[has], of, self.tags.data[has]))
        rows, columns, weights = (
            (np.concatenate(part) for part in zip(*parts, strict=True))
            if parts
            else (np.empty(0, np.int32), targets, np.empty(0, np.float32))
        )
        order = np.lexsort((columns, rows))
        rows, columns, weights = rows[order], columns[order], weights[order]
        first = np.ones(len(rows), bool)
        first[1:] = (np.diff(rows) != 0) | (np.diff(columns) != 0)
        if not first.all():  # of raw tags that are one, the greatest weight counts
            weights = np.maximum.reduceat(weights, np.flatnonzero(first))
        ends = np.concatenate([[0], np.cumsum(np.bincount(rows[first], minlength=len(self)))])
        labels = csr_array(
            (weights, columns[first], ends.astype(_index_type(len(weights)))),
            shape=(len(self), len(names)),
        )
        return ResolvedTags(tuple(names), labels)


class _Reader:
    """Collects images in any order, which `images` sorts by id."""

    def __init__(self, edits: EditedTags) -> None:
        self._edits = edits
        self._numbers: dict[str, int] = {}
        self._ids = [np.empty(0, ID_TYPE)]
        self._splits = [np.empty(0, np.int8)]
        self._sizes = [np.empty(0, np.int64)]
        self._tags = [np.empty(0, np.int32)]
        self._weights = [np.empty(0, np.float32)]

    def add(self, batch: pa.RecordBatch) -> None:
        kept = batch.filter(pc.greater(pc.list_value_length(batch.column("files")), 0))
        if not kept.num_rows:
            return
        ids = to_ids(kept.column("id"))
        special = self._with_edits(ids) | _with_weights(kept.column("files"))
        self.add_rows(list(to_image_rows(kept.filter(pa.array(special)))))
        plain = kept.filter(pa.array(~special))
        encoded = plain.column("tags").flatten().dictionary_encode()
        numbers = self._number(encoded.dictionary.to_pylist())
        tags = numbers[encoded.indices.to_numpy(zero_copy_only=False)]
        sizes = pc.list_value_length(plain.column("tags")).to_numpy(zero_copy_only=False)
        codes = pc.index_in(plain.column("split"), pa.array(SPLITS)).fill_null(_NO_SPLIT)
        self._append(
            ids[~special], codes.to_numpy(zero_copy_only=False), sizes, tags, np.ones(len(tags))
        )

    def add_rows(self, rows: Sequence[ImageRow]) -> None:
        edited = [self._edits.row(row) for row in rows]
        weights = [{**dict.fromkeys(row.tags, 1.0), **row.weights} for row in edited]
        self._append(
            np.array([row.id for row in rows], ID_TYPE),
            np.array([SPLITS.index(row.split) if row.split else _NO_SPLIT for row in rows]),
            np.array([len(tags) for tags in weights], np.int64),
            self._number([tag for tags in weights for tag in tags]),
            np.array([weight for tags in weights for weight in tags.values()]),
        )

    def images(self) -> TaggedImages:
        from scipy.sparse import csr_array

        ids, sizes = np.concatenate(self._ids), np.concatenate(self._sizes)
        tags, weights = np.concatenate(self._tags), np.concatenate(self._weights)
        ends = np.concatenate([[0], np.cumsum(sizes)]).astype(_index_type(len(tags)))
        order = np.argsort(ids, kind="stable")
        matrix = csr_array((weights, tags, ends), shape=(len(ids), len(self._numbers)))
        return TaggedImages(
            ids[order], np.concatenate(self._splits)[order], tuple(self._numbers), matrix[order]
        )

    def _append(
        self,
        ids: NDArray[np.bytes_],
        splits: NDArray[Any],
        sizes: NDArray[Any],
        tags: NDArray[np.int32],
        weights: NDArray[Any],
    ) -> None:
        self._ids.append(ids)
        self._splits.append(splits.astype(np.int8))
        self._sizes.append(sizes.astype(np.int64))
        self._tags.append(tags)
        self._weights.append(weights.astype(np.float32))

    def _number(self, raw_tags: Sequence[str]) -> NDArray[np.int32]:
        numbers = self._numbers
        return np.array([numbers.setdefault(tag, len(numbers)) for tag in raw_tags], np.int32)

    def _with_edits(self, ids: NDArray[np.bytes_]) -> NDArray[np.bool_]:
        if not len(self._edits):
            return np.zeros(len(ids), bool)
        return np.isin(ids, np.array(self._edits.images, ID_TYPE))


def _with_weights(files: pa.ListArray) -> NDArray[np.bool_]:
    """Returns which images have a tag that somebody was not sure of."""
    sizes = pc.list_value_length(files).to_numpy(zero_copy_only=False)
    lengths = pc.list_value_length(files.flatten().field("weights")).fill_null(0)
    starts = np.concatenate([[0], np.cumsum(sizes)])[:-1]
    found: NDArray[np.bool_] = np.maximum.reduceat(lengths.to_numpy(), starts) > 0
    return found


def _index_type(entries: int) -> type[np.int32] | type[np.int64]:
    """Returns the shorter type if it can count so many, or SciPy would take room for the longer."""
    return np.int32 if entries <= np.iinfo(np.int32).max else np.int64
