"""The table of the vectors of one backbone: what is added to it and read from it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagkin.errors import LibraryError
from tagkin.lance_table import LanceTable
from tagkin.records import places_in, to_ids, vector_schema
from tagkin.stored_vectors import StoredVectors


class VectorTable:
    """The vectors of one backbone in a library; the table exists from its first vector."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._table = LanceTable(path, vector_schema(1))

    def ids(self) -> set[str]:
        """Returns the ids of the images that have a vector."""
        return set(self._table.read(["id"]).column("id").to_pylist())

    def without(self, ids: NDArray[np.bytes_]) -> NDArray[np.bytes_]:
        """Returns those of some ids that have no vector.

        Args:
            ids: Type S32, in ascending order.
        """
        missing = np.ones(len(ids), bool)
        for batch in self._table.batches(["id"]):
            known = places_in(to_ids(batch.column("id")), ids)
            missing[known[known >= 0]] = False
        return ids[missing]

    def add(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Stores vectors in half precision; those of ids already there are left as they are.

        Args:
            ids: Image ids.
            vectors: float32 of shape (images, dimension), finite.
        """
        schema = vector_schema(vectors.shape[1])
        first = sorted(np.unique(np.array(ids, np.str_), return_index=True)[1])
        flat = pa.array(vectors[first].astype(np.float16).ravel(), pa.float16())
        columns = [
            pa.array([ids[place] for place in first], pa.string()),
            pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        ]
        table = LanceTable(self._path, schema)
        table.add_missing(pa.Table.from_arrays(columns, schema=schema), "id")
        table.tidy()

    def read(self) -> tuple[list[str], NDArray[np.float16]]:
        """Returns ids in ascending order and their vectors.

        Returns:
            Ids, and float16 of shape (images, dimension); (0, 0) if there are none.
        """
        stored = self.stored() if self._table.exists() else None
        if stored is None or not len(stored):
            return [], np.empty((0, 0), np.float16)
        places = stored.first_places
        places = places[np.argsort(stored.ids[places], kind="stable")]
        names = stored.ids[places].tolist()
        return [image.decode("ascii") for image in names], stored.gather(places)

    def stored(self) -> StoredVectors:
        """Returns the vectors as they lie on disk.

        Raises:
            LibraryError: There are none.
        """
        if not self._table.exists():
            raise LibraryError("the library has no vectors yet: run 'tagkin embed' first")
        return StoredVectors(self._path)
