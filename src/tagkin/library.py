"""The library: a folder that holds what Tagkin knows about a collection.

::

    tagkin-library/
      library.json              schema version, active backbone, remembered options
      images.lance/             one row per distinct image content
      vectors-<fingerprint>.lance/  one vector per image and backbone
      problems.lance/           files that could not be used, and why
      decisions.lance/          what the owner decided about tags, append-only
      proposals.json            the variants last proposed, to decide on
      taggers/<name>/           saved taggers
      backbones/                weights of fine-tuned backbones
      fine-tuning/              activations and checkpoints of a fine-tuning that isn't finished

Every write is one atomic step: a process killed at any time leaves the state before or after it.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tagkin.decision_log import DecisionLog
from tagkin.decisions import Decision, DecisionKind, NewDecision
from tagkin.errors import LibraryError
from tagkin.files import atomic_file
from tagkin.lance_table import LanceTable
from tagkin.records import (
    ID_TYPE,
    IMAGES,
    PROBLEMS,
    ImageRow,
    Problem,
    from_image,
    is_in,
    to_image_rows,
    to_matrix,
    upgrade_images,
    vector_schema,
)

SCHEMA_VERSION = 4

_UPGRADABLE = (1, 2, 3)  # earlier schemas, which are brought up to date when a library is opened

_ROWS_AT_ONCE = 1024
_SAMPLE = 556  # 300 to calibrate int8 with and 256 to judge it by


@dataclass(frozen=True)
class LibraryState:
    """The content of ``library.json``.

    Attributes:
        active_backbone: The backbone last embedded, as ``BackboneConfig.to_dict`` gives it.
        remembered: Settings given as options to ``prepare``, which hold for later commands.
        prepared: Whether the last ``prepare`` came to its end.
        sample: Ids of the images by which a precision is judged, once some were needed.
    """

    active_backbone: Mapping[str, Any] | None = None
    remembered: Mapping[str, Any] = field(default_factory=dict)
    prepared: bool = False
    sample: Sequence[str] = field(default_factory=list)


class Library:
    """An open library; see the module's description for its layout."""

    def __init__(self, path: Path, state: LibraryState) -> None:
        self.path = path
        self.state = state
        self._images = LanceTable(path / "images.lance", IMAGES)
        self._problems = LanceTable(path / "problems.lance", PROBLEMS)
        self._decisions = DecisionLog(path / "decisions.lance")

    @classmethod
    def open(cls, path: Path) -> "Library":
        """Opens an existing library, and upgrades that of an older Tagkin in place.

        Raises:
            LibraryError: There is none, it is damaged, or a newer Tagkin made it; or it has to be
                upgraded and can't be written.
        """
        state_file = path / "library.json"
        if not state_file.is_file():
            raise LibraryError(
                f"there is no Tagkin library in {path}: make one with 'tagkin prepare SOURCE "
                f"--library {path}', or name another with --library or TAGKIN_LIBRARY"
            )
        try:
            content = json.loads(state_file.read_text("utf-8"))
            version = content.pop("schema_version")
            readable = version in (*_UPGRADABLE, SCHEMA_VERSION)
            known = LibraryState(**content) if readable else None
            if known and not isinstance(known.remembered, dict):
                raise TypeError("'remembered' is no object")
            if known and not isinstance(known.sample, list):
                raise TypeError("'sample' is no list")
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise LibraryError(
                f"{state_file} is damaged ({error}): delete that one file and run "
                "'tagkin prepare SOURCE' again; images, vectors, decisions and taggers stay"
            ) from error
        if known is None:
            raise LibraryError(
                f"{path} has library schema {version}, and this Tagkin reads schema "
                f"{SCHEMA_VERSION}: install the version of Tagkin that made it, or prepare the "
                "source into a new folder"
            )
        library = cls(path, known)
        if version != SCHEMA_VERSION:
            library._upgrade()
        return library

    @classmethod
    def create_or_open(cls, path: Path) -> "Library":
        """Opens the library in a folder, or makes an empty one.

        Raises:
            LibraryError: The folder holds other things, or can't be written.
        """
        if (path / "library.json").exists():
            return cls.open(path)
        if path.exists() and not path.is_dir():
            raise LibraryError(f"{path} is a file: name a folder for the library")
        library = cls(path, LibraryState())
        try:
            # A killed first run or a deleted library.json leaves only our own folders.
            strangers = [p for p in path.iterdir() if not _is_ours(p)] if path.exists() else []
            if strangers:
                raise LibraryError(
                    f"{path} is not a Tagkin library and is not empty (it holds "
                    f"{strangers[0].name!r}): name a new folder with --library"
                )
            path.mkdir(parents=True, exist_ok=True)
            library._upgrade()  # tables that outlived their library.json may be old
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
            _ids(batch.filter(pc.greater(pc.list_value_length(batch.column("files")), 0)))
            for batch in self._images.batches(["id", "files"])
        ]
        return np.sort(np.concatenate(found)) if found else np.empty(0, ID_TYPE)

    def iter_images(self, ids: NDArray[np.bytes_]) -> Iterator[ImageRow]:
        """Yields some images in the order in which they are stored, in little memory.

        Args:
            ids: Of the wanted images, type S32, in ascending order.
        """
        # A few are looked up; to look up most would be slower than to read all.
        few = len(ids) <= _SAMPLE
        names = ", ".join(f"'{image.decode('ascii')}'" for image in ids.tolist()) if few else ""
        where = f"id IN ({names})" if names else None
        for batch in self._images.batches(IMAGES.names, rows=_ROWS_AT_ONCE, where=where):
            yield from to_image_rows(batch.filter(pa.array(is_in(_ids(batch), ids))))

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

    def tag_counts(self) -> Counter[str]:
        """Returns each raw tag with the number of images that carry it."""
        counts: Counter[str] = Counter()
        for batch in self._images.batches(["files", "tags"]):
            seen = batch.filter(pc.greater(pc.list_value_length(batch.column("files")), 0))
            counts.update(pc.list_flatten(seen.column("tags")).to_pylist())
        return counts

    def upsert_images(self, rows: Sequence[ImageRow]) -> None:
        """Adds images, and replaces those with the same id, in one step."""
        if rows:
            self._images.upsert(pa.Table.from_pylist([from_image(r) for r in rows], IMAGES), "id")
            self._images.tidy()

    def delete_images(self, ids: Sequence[str]) -> None:
        """Forgets images, in one step; their vectors stay, and mean nothing without them."""
        if ids:
            self._images.delete("id", ids)
            self._images.tidy()

    # Problems ----------------------------------------------------------------------------

    def problems(self) -> list[Problem]:
        """Returns the files that could not be used, ordered by path."""
        rows = self._problems.read().to_pylist()
        found = [Problem(Path(os.fsdecode(row["path"])), row["reason"]) for row in rows]
        return sorted(found, key=lambda problem: problem.path)

    def replace_problems(self, problems: Iterable[Problem]) -> None:
        """Replaces the list of problems in one step."""
        rows = [{"path": os.fsencode(p.path), "reason": p.reason} for p in problems]
        self._problems.replace(pa.Table.from_pylist(rows, PROBLEMS))
        self._problems.tidy()

    def add_problems(self, problems: Iterable[Problem]) -> None:
        """Adds problems; new reasons for the same path replace the old ones."""
        new = list(dict.fromkeys(problems))
        paths = {problem.path for problem in new}
        self.replace_problems([*(p for p in self.problems() if p.path not in paths), *new])

    # Vectors -----------------------------------------------------------------------------

    def vector_ids(self, fingerprint: str) -> set[str]:
        """Returns the ids of the images that have a vector of this backbone."""
        table = LanceTable(self._vector_path(fingerprint), vector_schema(1))
        return set(table.read(["id"]).column("id").to_pylist())

    def without_vector(self, ids: NDArray[np.bytes_], fingerprint: str) -> NDArray[np.bytes_]:
        """Returns those of some ids that have no vector of this backbone.

        Args:
            ids: Type S32, in ascending order.
            fingerprint: The backbone's.
        """
        table = LanceTable(self._vector_path(fingerprint), vector_schema(1))
        missing = np.ones(len(ids), bool)
        for batch in table.batches(["id"]):
            present = _ids(batch)
            known = present[is_in(present, ids)]
            missing[np.searchsorted(ids, known)] = False
        return ids[missing]

    def add_vectors(
        self, fingerprint: str, ids: Sequence[str], vectors: NDArray[np.float32]
    ) -> None:
        """Stores vectors in half precision; those of ids already there are left as they are.

        Args:
            fingerprint: The backbone's.
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
        table = LanceTable(self._vector_path(fingerprint), schema)
        table.add_missing(pa.Table.from_arrays(columns, schema=schema), "id")
        table.tidy()

    def vectors(self, fingerprint: str) -> tuple[list[str], NDArray[np.float16]]:
        """Returns ids in ascending order and their vectors.

        Returns:
            Ids, and float16 of shape (images, dimension); (0, 0) if there are none.
        """
        table = LanceTable(self._vector_path(fingerprint), vector_schema(1))
        ids: list[str] = []
        blocks: list[NDArray[np.float16]] = []
        for batch in table.batches(["id", "vector"]):
            ids.extend(batch.column("id").to_pylist())
            blocks.append(to_matrix(batch.column("vector")))
        if not ids:
            return [], np.empty((0, 0), np.float16)
        # Two runs at the same time may both have stored a vector of the same image.
        distinct, first = np.unique(np.array(ids), return_index=True)
        return distinct.tolist(), np.concatenate(blocks)[first]

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

    def _vector_path(self, fingerprint: str) -> Path:
        return self.path / f"vectors-{fingerprint}.lance"

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

    # State and taggers -------------------------------------------------------------------

    @property
    def taggers_path(self) -> Path:
        """The folder of the saved taggers."""
        return self.path / "taggers"

    @property
    def backbones_path(self) -> Path:
        """The folder of the weights of fine-tuned backbones."""
        return self.path / "backbones"

    @property
    def fine_tuning_path(self) -> Path:
        """The folder of what a fine-tuning that isn't finished has stored."""
        return self.path / "fine-tuning"

    def update_state(self, **changes: Any) -> None:
        """Changes entries of ``library.json`` in one step."""
        state = replace(self.state, **changes)
        if state != self.state:
            try:
                self._write_state(state)
            except OSError as error:
                raise LibraryError(f"can't write {self.path}: {error}") from error
            self.state = state

    def _upgrade(self) -> None:
        """Brings the tables up to date, then says so in ``library.json``.

        A process killed in between leaves new tables under the old version, which the next one
        that opens the library finds to be new already.
        """
        if self._images.stored_schema() != self._images.schema:
            self._images.replace(upgrade_images(self._images.read()))
        self._decisions.upgrade()
        try:
            self._write_state(self.state)
        except OSError as error:
            raise LibraryError(f"can't write {self.path}: {error}") from error

    def _write_state(self, state: LibraryState) -> None:
        content = {"schema_version": SCHEMA_VERSION, **state.__dict__}
        with atomic_file(self.path / "library.json") as file:
            file.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def _ids(batch: pa.RecordBatch) -> NDArray[np.bytes_]:
    return np.asarray(batch.column("id").to_pylist(), ID_TYPE)


def _is_ours(path: Path) -> bool:
    folders = {"taggers", "backbones", "fine-tuning"}
    files = (".library.json", "proposals.json", ".proposals.json", ".decisions.lance")
    return path.suffix == ".lance" or path.name in folders or path.name.startswith(files)
