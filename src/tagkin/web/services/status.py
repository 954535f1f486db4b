"""What the library holds, what was measured, and what went wrong."""

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tagkin import __version__
from tagkin.backbones import BackboneConfig
from tagkin.errors import LibraryError, TagkinError
from tagkin.files import printable
from tagkin.locking import running
from tagkin.recommending.stored import load_measurements
from tagkin.records import Problem
from tagkin.tagger import tagger_names
from tagkin.web.loaded import Loaded
from tagkin.web.state import WebState

_MOST_PROBLEMS = 100  # that are named
_LOCKS = {
    "prepare": "'tagkin prepare' reads a source",
    "fine-tuning": "'tagkin train --fine-tune' trains a backbone",
}


@dataclass(frozen=True)
class BackboneStatus:
    """Vectors of one backbone.

    Attributes:
        name: Of the architecture, if it is known.
        fingerprint: That names the vectors.
        vectors: How many there are.
        active: Whether searches use it.
        precision: Arithmetic, if it is known.
        image_size: Pixels a side, if it is known.
    """

    name: str | None
    fingerprint: str
    vectors: int
    active: bool
    precision: str | None
    image_size: int | None


@dataclass(frozen=True)
class SplitScores:
    """What training measured on one split.

    Attributes:
        split: ``validation`` or ``test``.
        images: In it.
        map: Mean average precision over the tags.
        micro_f1: F1 over all decisions.
        macro_f1: Mean F1 of the tags.
    """

    split: str
    images: int | None
    map: float | None
    micro_f1: float | None
    macro_f1: float | None


@dataclass(frozen=True)
class TaggerStatus:
    """A saved tagger.

    Attributes:
        name: Its name.
        created: ISO 8601 time in UTC.
        architecture: Its backbone.
        tags: Tags that it knows.
        active: Whether predictions use it.
        scores: By split.
    """

    name: str
    created: str | None
    architecture: str | None
    tags: int
    active: bool
    scores: tuple[SplitScores, ...]


@dataclass(frozen=True)
class ProblemView:
    """A file that could not be used."""

    name: str
    folder: str
    reason: str


@dataclass(frozen=True)
class MeasuredBackbone:
    """What ``tagkin recommend`` measured on this machine.

    Attributes:
        architecture: Name of the backbone.
        image_size: Pixels a side.
        precision: Arithmetic.
        images_per_second: From files to stored vectors.
        memory: Peak, in bytes.
    """

    architecture: str
    image_size: int
    precision: str
    images_per_second: float
    memory: int


@dataclass(frozen=True)
class Job:
    """Something that runs now, as far as this server can know.

    Attributes:
        name: In words.
        progress: From 0 to 1; None if it isn't known.
    """

    name: str
    progress: float | None


@dataclass(frozen=True)
class Status:
    """The state of the library and the server.

    Attributes:
        version: Of Tagkin.
        library: Name of the library's folder.
        images: With a file.
        tags: Distinct, as the rules see them.
        prepared: Whether the last ``prepare`` came to its end.
        decisions: Entries of the list.
        edits: Entries of the list.
        open_proposals: That wait for a decision.
        backbones: With vectors.
        taggers: Saved ones, the newest first.
        problems: The first of the files that could not be used.
        problem_count: How many there are.
        measured: By ``tagkin recommend``.
        failed: Backbones that could not be run here, with the reason.
        jobs: That run now.
        notes: What to do next, in words, such as to run ``tagkin embed``.
        current: Whether searches see everything that is stored; else it is being read.
    """

    version: str
    library: str
    images: int
    tags: int
    prepared: bool
    decisions: int
    edits: int
    open_proposals: int
    backbones: tuple[BackboneStatus, ...]
    taggers: tuple[TaggerStatus, ...]
    problems: tuple[ProblemView, ...]
    problem_count: int
    measured: tuple[MeasuredBackbone, ...]
    failed: tuple[tuple[str, str], ...]
    jobs: tuple[Job, ...]
    notes: tuple[str, ...]
    current: bool


def status(state: WebState) -> Status:
    """Returns the state of the library and the server."""
    loaded, live = state.loaded(), state.live()
    library = loaded.library
    problems = state.problems()
    measured = load_measurements(state.settings.cache_dir)
    taggers = _taggers(library.taggers_path, loaded.predictor.name if loaded.predictor else None)
    return Status(
        version=__version__,
        library=printable(library.path.absolute().name),
        images=len(loaded.collection),
        tags=len(loaded.collection.tags),
        prepared=library.state.prepared,
        decisions=len(live.decisions),
        edits=len(live.edits),
        open_proposals=len(state.queue().ids("variant", False)),
        backbones=_backbones(loaded),
        taggers=taggers,
        problems=tuple(_problem(one) for one in problems[:_MOST_PROBLEMS]),
        problem_count=len(problems),
        measured=tuple(
            MeasuredBackbone(
                one.architecture,
                one.image_size,
                one.precision,
                one.images_per_second,
                one.resident,
            )
            for one in measured.rows
        ),
        failed=tuple(sorted(measured.failed.items())),
        jobs=_jobs(state),
        notes=_notes(state, loaded),
        current=state.is_current,
    )


def _backbones(loaded: Loaded) -> tuple[BackboneStatus, ...]:
    library = loaded.library
    configs = [loaded.config] if loaded.config else []
    for name in tagger_names(library.taggers_path):
        content = _facts(library.taggers_path / name)
        with suppress(TagkinError, KeyError, TypeError, ValueError):
            configs.append(BackboneConfig.from_dict(content["backbone"]))
    known = {config.fingerprint: config for config in reversed(configs)}
    active = loaded.config.fingerprint if loaded.config else None
    found = []
    for fingerprint in library.fingerprints():
        try:
            vectors = len(library.stored_vectors(fingerprint))
        except LibraryError:
            continue
        config = known.get(fingerprint)
        found.append(
            BackboneStatus(
                name=config.architecture if config else None,
                fingerprint=fingerprint,
                vectors=vectors,
                active=fingerprint == active,
                precision=config.precision if config else None,
                image_size=config.image_size if config else None,
            )
        )
    return tuple(sorted(found, key=lambda one: (not one.active, one.fingerprint)))


def _taggers(folder: Path, active: str | None) -> tuple[TaggerStatus, ...]:
    found = []
    for name in reversed(tagger_names(folder)):
        content = _facts(folder / name)
        scores = content.get("scores")
        found.append(
            TaggerStatus(
                name=name,
                created=content.get("created"),
                architecture=name.rpartition("-")[0] or None,
                tags=len(content.get("tags", ())),
                active=name == active,
                scores=tuple(
                    SplitScores(
                        split,
                        one.get("images"),
                        *(_number(one.get(name)) for name in ("map", "micro_f1", "macro_f1")),
                    )
                    for split, one in (scores or {}).items()
                ),
            )
        )
    return tuple(found)


def _number(value: float | None) -> float | None:
    """Returns a score; None for a mean over nothing, which JSON has no number for."""
    return value if value is not None and math.isfinite(value) else None


@lru_cache(64)
def _facts(folder: Path) -> Mapping[str, Any]:
    """Returns what a saved tagger says of itself, which never changes; nothing if damaged."""
    try:
        content = json.loads((folder / "tagger.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _problem(problem: Problem) -> ProblemView:
    path = problem.path
    return ProblemView(printable(path.name), printable(path.parent), printable(problem.reason))


def _jobs(state: WebState) -> tuple[Job, ...]:
    jobs = [Job(_LOCKS[name], None) for name in running(state.path) if name in _LOCKS]
    if (progress := state.suspects.working) is not None:
        jobs.append(Job("looking for suspects", progress))
    if not state.is_current:
        jobs.append(Job("reading what has changed in the library", None))
    return tuple(jobs)


def _notes(state: WebState, loaded: Loaded) -> tuple[str, ...]:
    notes = list(loaded.problems)
    if not loaded.library.state.prepared:
        notes.insert(0, "the last 'tagkin prepare' did not finish: run it again, it goes on")
    if loaded.searcher and (missing := len(loaded.collection) - loaded.searched):
        notes.append(f"{missing:,} images have no vector yet: run 'tagkin embed'")
    if state.proposals() is None and loaded.searcher:
        notes.append("no variants were looked for yet: run 'tagkin variants' to review them here")
    return tuple(notes)
