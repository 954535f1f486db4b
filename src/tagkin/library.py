"""The library: a folder that holds what Tagkin knows about a collection.

::

    tagkin-library/
      library.json              schema version, active backbone, remembered options
      images.lance/             one row per distinct image content
      vectors-<fingerprint>.lance/  one vector per image and backbone
      problems.lance/           files that could not be used, and why
      decisions.lance/          what the owner decided about tags, append-only
      edits.lance/              tags that the owner added to images or took off, append-only
      proposals.json            the variants last proposed, to decide on
      taggers/<name>/           saved taggers
      backbones/                weights of fine-tuned backbones
      indexes/<fingerprint>/    a search index, once the vectors are many
      fine-tuning/              activations and checkpoints of a fine-tuning that isn't finished
      damaged/                  what ``tagkin check --repair`` put aside

Every write is one atomic step: a process killed at any time leaves the state before or after it.
The folder may be on object storage; what isn't a table is then worked with in a copy in the cache.
"""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tagkin.decision_log import DecisionLog
from tagkin.decisions import Decision, DecisionKind, NewDecision
from tagkin.errors import LibraryError
from tagkin.lance_snapshot import Snapshot
from tagkin.lance_table import LanceTable
from tagkin.library_folder import LibraryFolder, has_library, make_folder, vector_table_name
from tagkin.library_state import LibraryState, change_state_on_store, read_state, write_state
from tagkin.locking import one_at_a_time
from tagkin.problem_list import ProblemList
from tagkin.records import (
    ID_TYPE,
    IMAGES,
    ImageRow,
    Problem,
    columns_of,
    from_image,
    is_in,
    to_ids,
    to_image_rows,
    upgrade_images,
)
from tagkin.remote_paths import RemotePath
from tagkin.stored_vectors import StoredVectors
from tagkin.tag_edits import EditedTags, EditLog, NewTagEdit, TagEdit
from tagkin.vector_table import VectorTable
from tagkin.vocabulary import TagRules

_ROWS_AT_ONCE = 1024
_LOOKED_UP = 2048  # ids that a query names
_SAMPLE = 556  # 300 to calibrate int8 with and 256 to judge it by


class Library(LibraryFolder):
    """An open library; see the module's description for its layout."""

    def __init__(self, path: Path, state: LibraryState) -> None:
        super().__init__(path)
        self.state = state
        self._images = LanceTable(path / "images.lance", IMAGES)
        self._problems = ProblemList(path / "problems.lance")
        self._decisions = DecisionLog(path / "decisions.lance")
        self._edits = EditLog(path / "edits.lance")

    @classmethod
    def open(cls, path: Path) -> "Library":
        """Opens an existing library, and upgrades that of an older Tagkin in place.

        Raises:
            LibraryError: There is none, it is damaged, or a newer Tagkin made it; or it has to be
                upgraded and can't be written.
        """
        state, current = read_state(path)
        library = cls(path, state)
        if not current:
            library.upgrade()
        return library

    @classmethod
    def create_or_open(cls, path: Path) -> "Library":
        """Opens the library in a folder, or makes an empty one.

        Raises:
            LibraryError: The folder holds other things, or can't be written.
        """
        if has_library(path):
            return cls.open(path)
        library = cls(path, LibraryState())
        try:
            make_folder(path)
            library.upgrade()  # tables that outlived their library.json may be old
        except OSError as error:
            raise LibraryError(f"can't make a library in {path}: {error}") from error
        return library

    # Images ------------------------------------------------------------------------------

    def images(self) -> list[ImageRow]:
        """Returns all images, ordered by id."""
        rows = self._images.read().sort_by("id")
        return [row for batch in rows.to_batches() for row in to_image_rows(batch)]

    def image_ids(self) -> NDArray[np.bytes_]:
        """Returns the ids of the images that have a file, in ascending order, as type S32."""
        found = [
            to_ids(_with_a_file(batch).column("id"))
            for batch in self._images.batches(["id", "files"])
        ]
        return np.sort(np.concatenate(found)) if found else np.empty(0, ID_TYPE)

    def image_table(self) -> Snapshot | None:
        """Returns the table of images as it is now, to read columns and look rows up; or none.

        Raises:
            LibraryError: It can't be read.
        """
        return Snapshot(self._images.path) if self._images.exists() else None

    def versions(self) -> tuple[int, ...]:
        """Returns numbers that change when images, decisions or edits of tags do."""
        return (self._images.version(), self._decisions.version(), self._edits.version())

    def iter_images(self, ids: NDArray[np.bytes_]) -> Iterator[ImageRow]:
        """Yields some images in the order in which they are stored, in little memory.

        Args:
            ids: Of the wanted images, type S32, in ascending order.
        """
        # A few are looked up; to look up most would be slower than to read all.
        few = len(ids) <= _LOOKED_UP
        names = ", ".join(f"'{image.decode('ascii')}'" for image in ids.tolist()) if few else ""
        where = f"id IN ({names})" if names else None
        for batch in self._images.batches(IMAGES.names, rows=_ROWS_AT_ONCE, where=where):
            yield from to_image_rows(batch.filter(pa.array(is_in(to_ids(batch.column("id")), ids))))

    def sample_ids(self) -> list[str]:
        """Returns the ids of up to 556 images that stay the same while the library grows.

        Ids are hashes, so the smallest are a random choice. A choice of fewer, for want of more,
        is made again when the library has twice as many images or enough of them.
        """
        chosen = list(self.state.sample)
        if len(chosen) < _SAMPLE:
            ids = self.image_ids()
            if len(ids) >= min(_SAMPLE, 2 * len(chosen)):
                chosen = [image.decode("ascii") for image in ids[:_SAMPLE].tolist()]
                self.update_state(sample=chosen)
        return chosen

    def tag_counts(self, rules: TagRules | None = None) -> Counter[str]:
        """Returns each raw tag with the number of images that carry it after the edits.

        Args:
            rules: By whose folding edits find the tags of an image; see `EditedTags`.
        """
        counts: Counter[str] = Counter()
        for batch in self._images.batches(["tags"], rows=65536):  # without a file there are none
            found = pc.value_counts(pc.list_flatten(batch.column("tags")))
            numbers = found.field("counts").to_numpy(zero_copy_only=False).tolist()
            for tag, number in zip(found.field("values").to_pylist(), numbers, strict=True):
                counts[tag] += number
        edits = EditedTags(self.tag_edits(), rules)
        for row in self.iter_images(np.array(sorted(edits.images), ID_TYPE)) if edits else ():
            if row.files:
                counts.subtract(row.tags)
                counts.update(edits.apply(row.id, row.tags))
        return +counts

    def upsert_images(self, rows: Sequence[ImageRow]) -> None:
        """Adds images, and replaces those with the same id, in one step."""
        if rows:
            self._images.upsert(pa.Table.from_pylist([from_image(r) for r in rows], IMAGES), "id")
            self._images.tidy()

    def upsert_image_table(self, rows: pa.Table) -> None:
        """Does what `upsert_images` does with rows of the table, whose columns are `IMAGES`."""
        self._images.upsert(rows, "id")
        self._images.tidy()

    def rewrite_images(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Replaces all images in one step, a batch in memory at a time."""
        self._images.replace(pa.RecordBatchReader.from_batches(IMAGES, iter(batches)))
        self._images.tidy()

    def delete_images(self, ids: Sequence[str]) -> None:
        """Forgets images, in one step; their vectors stay, and mean nothing without them."""
        if ids:
            self._images.delete("id", ids)
            self._images.tidy()

    # Problems ----------------------------------------------------------------------------

    def problems(self) -> list[Problem]:
        """Returns the files that could not be used, ordered by path."""
        return self._problems.read()

    def replace_problems(self, problems: Iterable[Problem]) -> None:
        """Replaces the list of problems in one step."""
        self._problems.replace(problems)

    def add_problems(self, problems: Iterable[Problem]) -> None:
        """Adds problems; new reasons for the same path replace the old ones."""
        self._problems.add(problems)

    def settle_problems(self, paths: Iterable[Path]) -> None:
        """Takes out the problems of files that could be used after all."""
        self._problems.settle(paths)

    # Vectors -----------------------------------------------------------------------------

    def vector_ids(self, fingerprint: str) -> set[str]:
        """Returns the ids of the images that have a vector of this backbone."""
        return self._vectors(fingerprint).ids()

    def without_vector(self, ids: NDArray[np.bytes_], fingerprint: str) -> NDArray[np.bytes_]:
        """Returns those of some ids that have no vector of this backbone.

        Args:
            ids: Type S32, in ascending order.
            fingerprint: The backbone's.
        """
        return self._vectors(fingerprint).without(ids)

    def add_vectors(
        self, fingerprint: str, ids: Sequence[str], vectors: NDArray[np.float32]
    ) -> None:
        """Stores vectors in half precision; those of ids already there are left as they are.

        Args:
            fingerprint: The backbone's.
            ids: Image ids.
            vectors: float32 of shape (images, dimension), finite.
        """
        self._vectors(fingerprint).add(ids, vectors)

    def vectors(self, fingerprint: str) -> tuple[list[str], NDArray[np.float16]]:
        """Returns ids in ascending order and their vectors.

        Returns:
            Ids, and float16 of shape (images, dimension); (0, 0) if there are none.
        """
        return self._vectors(fingerprint).read()

    def embedded_images(self, fingerprint: str) -> tuple[list[ImageRow], NDArray[np.float16]]:
        """Returns the images that have a file and a vector of a backbone, by id, with the vectors.

        Raises:
            LibraryError: There are none.
        """
        ids, vectors = self.vectors(fingerprint)
        by_id = {row.id: row for row in self.images() if row.files}
        keep = [place for place, image in enumerate(ids) if image in by_id]
        if not keep:
            raise LibraryError("the library has no vectors yet: run 'tagkin embed' first")
        rows = [by_id[ids[place]] for place in keep]
        # Most often all are kept, and then the vectors needn't be copied.
        return rows, vectors if len(keep) == len(ids) else vectors[keep]

    def stored_vectors(self, fingerprint: str) -> StoredVectors:
        """Returns the vectors of a backbone as they lie on disk.

        Raises:
            LibraryError: There are none.
        """
        return self._vectors(fingerprint).stored()

    def _vectors(self, fingerprint: str) -> VectorTable:
        return VectorTable(self.path / vector_table_name(fingerprint))

    # Decisions ---------------------------------------------------------------------------

    def decisions(self) -> list[Decision]:
        """Returns all decisions in the order in which they were taken."""
        return self._decisions.read()

    def decide(
        self,
        kind: DecisionKind,
        tags: Sequence[str] = (),
        *,
        canonical: str | None = None,
        undoes: int | None = None,
        evidence: str = "",
        probability: float | None = None,
    ) -> Decision:
        """Appends a decision and returns it; see `decide_all`."""
        new = NewDecision(kind, tuple(tags), canonical, undoes, evidence, probability)
        return self.decide_all([new])[0]

    def decide_all(self, decisions: Sequence[NewDecision]) -> list[Decision]:
        """Appends decisions, all or none, and returns them with their numbers.

        They are taken as they are; `tagkin.TagDecisions` checks them against what was decided
        before.

        Raises:
            LibraryError: One would undo what was never decided, or the library can't be written.
        """
        return self._decisions.append(decisions)

    # Edits of tags -----------------------------------------------------------------------

    def tag_edits(self) -> list[TagEdit]:
        """Returns all edits of tags on single images, in the order in which they were made."""
        return self._edits.read()

    def edit_tags(self, edits: Sequence[NewTagEdit]) -> list[TagEdit]:
        """Appends edits, all or none, and returns them with their numbers.

        Raises:
            LibraryError: One would undo what was never edited, or the library can't be written.
        """
        return self._edits.append(edits)

    # State -------------------------------------------------------------------

    def update_state(self, **changes: Any) -> None:
        """Changes entries of ``library.json`` in one step, and leaves the others as they are now.

        Raises:
            LibraryError: The library can't be written.
        """
        if self._with_changes(changes) == self.state:
            return  # a library that can't be written can still be used
        if isinstance(self.path, RemotePath):
            self.state = change_state_on_store(self.path, changes)
            return
        with one_at_a_time(self.path, "state"):
            state = self._with_changes(changes)
            write_state(self.path, state)
            self.state = state

    def _with_changes(self, changes: Mapping[str, Any]) -> LibraryState:
        """Returns the state on disk with some changes; another process may have written it."""
        with contextlib.suppress(LibraryError):  # it is gone: what is known of it is written anew
            self.state = read_state(self.path)[0]
        return replace(self.state, **changes)

    def upgrade(self) -> None:
        """Brings the tables up to date, then says so in ``library.json``.

        A process killed in between leaves new tables under the old version, which the next one
        that opens the library finds to be new already.
        """
        if columns_of(self._images.stored_schema()) != columns_of(self._images.schema):
            self._images.replace(upgrade_images(self._images.read()))
        self._decisions.upgrade()
        write_state(self.path, self.state)


def _with_a_file(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.filter(pc.greater(pc.list_value_length(batch.column("files")), 0))
