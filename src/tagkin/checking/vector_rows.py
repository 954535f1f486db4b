"""The vectors of one backbone: whether they can be used, and whose they are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagkin.checking.aside import move_aside
from tagkin.checking.copies import delete_vectors, drop_vector_copies
from tagkin.checking.findings import Examples, Finding
from tagkin.progress import Progress
from tagkin.records import ID_TYPE, is_in, to_ids, to_matrix

_EXPONENT = np.uint16(0x7C00)  # the bits of a half that are all set in infinity and NaN
_VALUE = np.uint16(0x7FFF)
_AGAIN = "'tagkin embed' makes them again"


@dataclass
class VectorCheck:
    """Goes through a table of vectors, a fragment at a time.

    Attributes:
        progress: Called after every batch of rows.
        total: Number of rows.
        dimension: Length of the vectors; 0 if there are none.
    """

    progress: Progress
    total: int
    dimension: int = 0
    _ids: list[NDArray[np.bytes_]] = field(default_factory=list)
    _bad: list[str] = field(default_factory=list)
    _examples: Examples = field(default_factory=Examples)

    def take(self, batches: Iterator[pa.RecordBatch]) -> None:
        """Looks at the rows of a fragment; they count if all of them can be read."""
        ids: list[NDArray[np.bytes_]] = []
        bad: list[str] = []
        done = self.rows
        for batch in batches:
            ids.append(to_ids(batch.column("id")))
            column = batch.column("vector")
            self.dimension = column.type.list_size
            if column.null_count:
                useless = column.is_null().to_numpy(zero_copy_only=False)
            else:
                useless = useless_vectors(to_matrix(column))
            bad += batch.column("id").filter(pa.array(useless)).to_pylist()
            done += batch.num_rows
            self.progress("checking vectors", done, self.total)
        self._ids += ids
        self._bad += bad
        for one in bad:
            self._examples.add(one)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(map(len, self._ids))

    def findings(
        self,
        library: Path,
        path: Path,
        images: tuple[NDArray[np.bytes_], NDArray[np.bytes_]] | None,
        dimensions: Mapping[str, int],
        active: str | None,
        *,
        repair: bool,
    ) -> Iterator[Finding]:
        """Yields what is wrong, and mends it if that is wanted.

        Args:
            library: The library's folder.
            path: Of the table.
            images: Ids of the library's images, and of those of them that have no file, both in
                ascending order and of type S32; None if they are not known.
            dimensions: Lengths of vectors that are known, by fingerprint.
            active: Fingerprint of the active backbone.
            repair: Whether to mend it.

        Raises:
            LibraryError: The library can't be written.
        """
        fingerprint = path.name.removeprefix("vectors-").removesuffix(".lance")
        wanted = dimensions.get(fingerprint, self.dimension)
        if self.rows and self.dimension != wanted:
            done = f"kept as {move_aside(library, path)}; {_AGAIN}" if repair else None
            what = f"vectors of {self.dimension} numbers, and the backbone gives {wanted}"
            advice = f"'tagkin check --repair' puts them aside; {_AGAIN}"
            yield Finding("damage", "vectors", path, what, self.rows, (), advice, done)
            return
        ids = np.concatenate([np.empty(0, ID_TYPE), *self._ids])
        self._ids = [ids]
        ids.sort()
        if self._bad:
            if repair:
                delete_vectors(path, self._bad)
            yield Finding(
                *("damage", "vectors", path, "vectors that are not finite, or nothing but zeros"),
                *(len(self._bad), tuple(self._examples.first)),
                f"'tagkin check --repair' deletes them; {_AGAIN}",
                f"deleted; {_AGAIN}" if repair else None,
            )
        twice = np.unique(ids[1:][ids[1:] == ids[:-1]])
        if len(twice):
            names = [one.decode("ascii", "replace") for one in twice.tolist()]
            if repair:
                drop_vector_copies(path, names)
            yield Finding(
                *("damage", "vectors", path, "images with more than one vector"),
                *(len(names), tuple(names[:10]), "'tagkin check --repair' leaves one of each"),
                "one of each was left" if repair else None,
            )
        if images is None:
            return
        orphans = int((~is_in(ids, images[0])).sum())
        if orphans:
            what = "vectors of images that the library no longer has"
            advice = "they take room and do no harm; images that come back find them again"
            yield Finding("note", "vectors", path, what, orphans, (), advice)
        lacking = ~is_in(images[0], ids) & ~is_in(*images)
        if fingerprint == active and lacking.any():
            what = "images without a vector of the active backbone"
            advice = "'tagkin embed' makes those that can be made"
            yield Finding("note", "vectors", path, what, int(lacking.sum()), (), advice)


def useless_vectors(vectors: NDArray[np.float16]) -> NDArray[np.bool_]:
    """Returns which vectors hold a value that is not finite, or nothing but zeros.

    Args:
        vectors: float16 of shape (vectors, dimension).
    """
    bits = np.ascontiguousarray(vectors).view(np.uint16)
    infinite = np.any((bits & _EXPONENT) == _EXPONENT, axis=1)
    return np.asarray(infinite | ~np.any(bits & _VALUE, axis=1), bool)
