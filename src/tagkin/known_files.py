"""The files that a library knows, in some 40 bytes each, and which of them a source has named.

A path is known by a 64-bit hash of it, which is the process's own, and so are the tags of a file.
"""

import os
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tagkin.lance_snapshot import Snapshot
from tagkin.records import ID_TYPE, to_ids


class KnownFiles:
    """The images and files of a library as they are when this is made, and what a run adds.

    Args:
        table: The table of images; None if there is none yet.
        source: The folder or file that is about to be read. Of its files, and of those alone, it
            is remembered which tags they had.

    Raises:
        LibraryError: The table can't be read.
    """

    def __init__(self, table: Snapshot | None, source: Path) -> None:
        self._codes: dict[str, int] = {}
        reader = _Reader(os.fsencode(source), self._codes)
        for batch in table.batches(["id", "files"]) if table is not None else ():
            reader.add(batch)
        self._ids = np.concatenate(reader.ids)
        paths = np.concatenate(reader.paths)
        order = np.argsort(paths, kind="stable")
        self._images = np.concatenate(reader.images)[order]
        self._bytes, self._times, self._own, self._tags, self._present = (
            np.concatenate([part[number] for part in reader.facts])[order] for number in range(5)
        )
        self._seen = np.zeros(len(paths), bool)
        self._new: set[int] = set()
        # Python looks a number up in a view quicker than NumPy does in an array.
        self._paths: memoryview[int] = paths[order].data
        self._sorted_ids: memoryview[int] = np.sort(id_numbers(self._ids)).data

    def find(self, path: Path) -> int:
        """Returns the place of a file that the library had; -1 if it didn't."""
        key = path_number(path)
        place = bisect_left(self._paths, key)
        return place if place < len(self._paths) and self._paths[place] == key else -1

    def image(self, place: int) -> str:
        """Returns the id of the image whose file that was."""
        return str(self._ids[self._images[place]].decode("ascii"))

    def has_image(self, image: str) -> bool:
        """Returns whether the library had an image."""
        number = int(image[:16], 16)
        place = bisect_left(self._sorted_ids, number)
        return place < len(self._sorted_ids) and self._sorted_ids[place] == number

    def had_images(self, ids: NDArray[np.bytes_]) -> NDArray[np.bool_]:
        """Returns which of some images, type S32, the library had."""
        numbers, known = id_numbers(ids), np.asarray(self._sorted_ids)
        if not len(known):
            return np.zeros(len(ids), bool)
        places = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
        return np.asarray(known[places] == numbers)

    def has_content(self, place: int, size: int, mtime_ns: int) -> bool:
        """Returns whether a file has the size and the time that it had."""
        return bool(self._bytes[place] == size and self._times[place] == mtime_ns)

    def has_tags(self, place: int, tags: Sequence[str], weights: Sequence[float]) -> bool:
        """Returns whether this source gave a file these tags before, and still had it then."""
        if not (self._own[place] and self._present[place]):
            return False
        codes = array("i", [self._codes.get(tag, -1) for tag in tags])
        return bool(_number(codes.tobytes(), array("f", weights).tobytes()) == self._tags[place])

    def see(self, path: Path, place: int) -> bool:
        """Notes that the source named a file, and returns whether it had done so before.

        Args:
            path: Of the file.
            place: What `find` said of it.
        """
        if place >= 0:
            before = bool(self._seen[place])
            self._seen[place] = True
            return before
        key = path_number(path)
        before = key in self._new
        self._new.add(key)
        return before

    def was_seen(self, path: Path) -> bool:
        """Returns whether the source named a file."""
        place = self.find(path)
        return bool(self._seen[place]) if place >= 0 else path_number(path) in self._new

    @property
    def added(self) -> int:
        """How many files the source named that the library didn't have."""
        return len(self._new)

    @property
    def seen(self) -> int:
        """How many files the source named."""
        return int(np.count_nonzero(self._seen)) + len(self._new)

    def images_of_unseen(self) -> NDArray[np.bytes_]:
        """Returns the images of this source's files that it did not name, ascending, type S32."""
        return np.unique(self._ids[self._images[self._own & ~self._seen]])


class _Reader:
    """Collects what is in batches of images."""

    def __init__(self, source: bytes, codes: dict[str, int]) -> None:
        self._source = source
        self._codes = codes
        self._rows = 0
        self.ids = [np.empty(0, ID_TYPE)]
        self.paths = [np.empty(0, np.int64)]
        self.images = [np.empty(0, np.int32)]
        none, no = np.empty(0, np.int64), np.empty(0, bool)
        self.facts = [(none, none, no, none, no)]

    def add(self, batch: pa.RecordBatch) -> None:
        files = batch.column("files")
        sizes = pc.list_value_length(files).to_numpy(zero_copy_only=False)
        flat = files.flatten()
        own = pc.fill_null(pc.equal(flat.field("source"), self._source), False)
        is_own = own.to_numpy(zero_copy_only=False)
        tags = np.zeros(len(flat), np.int64)
        tags[is_own] = list(self._tags(flat.filter(own)))
        self.ids.append(to_ids(batch.column("id")))
        hashes = map(hash, flat.field("path").to_pylist())
        self.paths.append(np.fromiter(hashes, np.int64, len(flat)))
        rows = np.arange(self._rows, self._rows + batch.num_rows, dtype=np.int32)
        self.images.append(np.repeat(rows, sizes))
        self.facts.append(
            (
                flat.field("bytes").to_numpy(zero_copy_only=False),
                flat.field("mtime_ns").to_numpy(zero_copy_only=False),
                is_own,
                tags,
                ~flat.field("missing").to_numpy(zero_copy_only=False),
            )
        )
        self._rows += batch.num_rows

    def _tags(self, files: pa.StructArray) -> Iterator[int]:
        """Yields a number for the tags and weights of each file."""
        encoded = files.field("tags").flatten().dictionary_encode()
        codes = self._codes
        numbers = [codes.setdefault(tag, len(codes)) for tag in encoded.dictionary.to_pylist()]
        of_each = np.array(numbers, np.int32)[encoded.indices.to_numpy(zero_copy_only=False)]
        weights = files.field("weights")
        values = weights.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
        parts = [
            (_ends(lists), memoryview(content.tobytes()))
            for lists, content in ((files.field("tags"), of_each), (weights, values))
        ]
        (tag_ends, tag_bytes), (weight_ends, weight_bytes) = parts
        for n in range(len(files)):
            yield _number(
                bytes(tag_bytes[tag_ends[n] : tag_ends[n + 1]]),
                bytes(weight_bytes[weight_ends[n] : weight_ends[n + 1]]),
            )


def path_number(path: Path) -> int:
    """Returns the number by which a path is known."""
    return hash(os.fsencode(path))


def id_numbers(ids: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    """Returns the first 16 of the 32 hexadecimal digits of ids, type S32, as numbers."""
    digits = np.ascontiguousarray(ids).view(np.uint8).reshape(-1, 32)[:, :16]
    # The digits 0 to 9 have the codes 48 to 57, a to f 97 to 102.
    values = (digits & 15) + 9 * (digits >> 6)
    pairs = values[:, 0::2] << 4 | values[:, 1::2]
    return np.ascontiguousarray(pairs).view(">u8").ravel().astype(np.uint64)


def _number(tags: bytes, weights: bytes) -> int:
    return hash((tags, weights))


def _ends(lists: pa.ListArray) -> list[int]:
    """Returns where the 4-byte values of each list begin, and the last of them ends."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    ends: list[int] = (4 * np.concatenate([[0], np.cumsum(lengths)])).tolist()
    return ends
