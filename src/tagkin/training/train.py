"""``train``: vectors and tags of a library into a saved tagger, with or without phase 2."""

import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from tagkin.backbones import BackboneConfig, cached_graph
from tagkin.backbones.sample import Note
from tagkin.backbones.sample import silent as tell_nobody
from tagkin.embeddings import embed
from tagkin.errors import LibraryError
from tagkin.head import Head
from tagkin.images import ImageLimits
from tagkin.library import Library
from tagkin.locking import only_one
from tagkin.progress import Progress, silent
from tagkin.settings import Settings
from tagkin.splits import SPLITS
from tagkin.tagger import Tagger
from tagkin.training.checkpoint import EpochMetrics
from tagkin.training.fit import fit_on
from tagkin.training.judged import Judged, judge
from tagkin.training.learning_set import LearningSet
from tagkin.training.metrics import Scores
from tagkin.training.phase2 import clear_phase2, run_phase2
from tagkin.training.report import REPORT_HTML, Splits, build_report, thumbnail, write_report
from tagkin.training.tensorboard import EpochLog
from tagkin.vocabulary_report import FEW_TRAINING_IMAGES


@dataclass(frozen=True)
class PhaseReport:
    """What one phase came to.

    Attributes:
        phase: 1, a head on the vectors as they are; 2, the last layers of the backbone as well.
        scores: By split.
        best_epoch: The epoch that was kept.
        history: What was measured after each epoch.
        seconds: Time of the phase.
    """

    phase: int
    scores: dict[str, Scores]
    best_epoch: int
    history: tuple[EpochMetrics, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as JSON types."""
        return {
            **self.__dict__,
            "scores": {split: scores.to_dict() for split, scores in self.scores.items()},
            "history": [epoch.to_dict() for epoch in self.history],
        }


@dataclass(frozen=True)
class TrainReport:
    """What ``train`` made.

    Attributes:
        tagger: Its name in the library.
        fingerprint: Of the backbone.
        tags: Tags that the tagger knows.
        images: Images in each split.
        phase: The phase that the tagger is from: 2 only if that was better on validation.
        phases: What each phase came to.
        few_training_images: Kept tags with fewer than 5 images to train on.
        page: Path of its ``report.html``.
    """

    tagger: str
    fingerprint: str
    tags: int
    images: dict[str, int]
    phase: int
    phases: tuple[PhaseReport, ...]
    few_training_images: tuple[str, ...]
    page: Path

    @property
    def kept(self) -> PhaseReport:
        """The phase that the tagger is from."""
        return self.phases[self.phase - 1]

    @property
    def validation(self) -> Scores:
        """Scores on the images that chose the epoch and the thresholds."""
        return self.kept.scores["validation"]

    @property
    def test(self) -> Scores | None:
        """Scores on images that nothing was chosen by; None if there are none."""
        return self.kept.scores.get("test")

    @property
    def seconds(self) -> float:
        """Time of the training itself."""
        return sum(phase.seconds for phase in self.phases)

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as JSON types."""
        return {
            **self.__dict__,
            "phases": [phase.to_dict() for phase in self.phases],
            "validation": self.validation.to_dict(),
            "test": self.test.to_dict() if self.test else None,
            "few_training_images": list(self.few_training_images),
            "page": str(self.page),
        }


@dataclass(frozen=True)
class _Trained:
    """A phase with the backbone and the data that it is about; the head is as it was trained."""

    config: BackboneConfig
    graph: Path
    data: LearningSet
    head: Head
    judged: Judged
    report: PhaseReport


def train(
    library: Library,
    config: BackboneConfig,
    graph: Path,
    settings: Settings,
    *,
    fine_tune: bool = False,
    progress: Progress = silent,
    note: Note = tell_nobody,
) -> TrainReport:
    """Trains a tagger on the vectors that the library has of a backbone, and saves it.

    With ``fine_tune``, phase 2 follows: the last layers of the backbone learn, all images are
    embedded anew, and the better of both taggers by validation mAP is saved. The backbone that the
    library goes on with is the saved tagger's.

    Args:
        library: Prepared, with vectors of the backbone.
        config: The backbone.
        graph: Its exported graph, which the tagger takes along.
        settings: Vocabulary, loss, rates, epochs, seed and so on.
        fine_tune: Whether phase 2 follows.
        progress: Called after every epoch, and in phase 2 after every step and image.
        note: Told what takes room, and which phase was better.

    Raises:
        LibraryError: The library has no vectors of this backbone or can't be written, or is to be
            fine-tuned on object storage.
        VocabularyError: No tag is frequent enough.
        TaggerError: There are no images to train on or to validate with, or the disk is full.
        BackboneError: The backbone can't be fine-tuned.
    """
    if not fine_tune:
        return _train(library, config, graph, settings, False, progress, note)
    if library.is_remote:
        raise LibraryError(
            f"{library.path} is on object storage, and fine-tuning keeps activations and weights "
            "beside the library: copy it to a disk and train there, or leave --fine-tune out"
        )
    with only_one(library.path, "fine-tuning", "'tagkin train --fine-tune'"):
        return _train(library, config, graph, settings, True, progress, note)


def _train(
    library: Library,
    config: BackboneConfig,
    graph: Path,
    settings: Settings,
    fine_tune: bool,
    progress: Progress,
    note: Note,
) -> TrainReport:
    data = LearningSet.read(library, config.fingerprint, settings)
    phases = [_phase_1(config, graph, data, settings, progress)]
    if fine_tune:
        phases.append(_phase_2(library, phases[0], settings, progress, note))
    kept = max(phases, key=lambda p: (p.report.scores["validation"].map, -p.report.phase))
    if fine_tune:
        values = " -> ".join(f"{100 * p.report.scores['validation'].map:.1f}" for p in phases)
        better = "phase 2 is kept" if kept.report.phase == 2 else "not better: phase 1 is kept"
        note(f"validation mAP {values}; {better}")
    tagger = Tagger(
        config=kept.config,
        graph=kept.graph,
        head=kept.judged.head,
        tags=data.vocabulary.tags,
        thresholds=kept.judged.thresholds,
        neighbours=kept.judged.neighbours,
        scores={n: s.to_dict() for n, s in kept.report.scores.items() if s.images},
    )
    folder = tagger.save_in(library.taggers_path)
    counts = data.counts()["train"].tolist()
    report = TrainReport(
        tagger=folder.name,
        fingerprint=kept.config.fingerprint,
        tags=len(tagger.tags),
        images={split: len(data.parts[split]) for split in SPLITS},
        phase=kept.report.phase,
        phases=tuple(phase.report for phase in phases),
        few_training_images=tuple(
            tag for tag, n in zip(tagger.tags, counts, strict=True) if n < FEW_TRAINING_IMAGES
        ),
        page=folder / REPORT_HTML,
    )
    _write_page(library, report, kept, phases, settings)
    library.publish_tagger(folder)
    if fine_tune:
        library.update_state(active_backbone=kept.config.to_dict())
        clear_phase2(library)
    return report


def _phase_1(
    config: BackboneConfig, graph: Path, data: LearningSet, settings: Settings, progress: Progress
) -> _Trained:
    started = time.monotonic()
    log = EpochLog(settings.tensorboard, "phase-1")
    fit = fit_on(data, settings, progress=progress, epoch_done=log)
    seconds = time.monotonic() - started
    judged = judge(fit.head, data, settings)
    report = PhaseReport(1, judged.scores(), fit.best_epoch, fit.history, seconds)
    return _Trained(config, graph, data, fit.head, judged, report)


def _phase_2(
    library: Library, first: _Trained, settings: Settings, progress: Progress, note: Note
) -> _Trained:
    started = time.monotonic()
    done = run_phase2(
        library,
        first.config,
        first.data,
        first.head,
        settings,
        progress=progress,
        note=note,
        epoch_done=EpochLog(settings.tensorboard, "phase-2"),
    )
    seconds = time.monotonic() - started
    result, config = done.result, done.config
    if not result.best_epoch:  # nothing was better than the start, which is phase 1
        report = PhaseReport(2, first.report.scores, 0, result.history, seconds)
        return replace(first, report=report)
    graph = cached_graph(config, settings.cache_dir)
    # A run killed from here on starts again with the old backbone, and finds all that is stored.
    embed(library, config, settings, activate=False, progress=progress)
    data = LearningSet.read(library, config.fingerprint, settings)
    # The head of phase 2 knew the training images by heart in the end, and one view of them only.
    # One that starts again on the new vectors costs seconds and is often better.
    heads = (result.head, fit_on(data, settings).head)
    judged, head = max(
        ((judge(head, data, settings), head) for head in heads),
        key=lambda candidate: candidate[0].scores()["validation"].map,
    )
    report = PhaseReport(2, judged.scores(), result.best_epoch, result.history, seconds)
    return _Trained(config, graph, data, head, judged, report)


def _write_page(
    library: Library,
    report: TrainReport,
    kept: _Trained,
    phases: list[_Trained],
    settings: Settings,
) -> None:
    """Writes ``report.html`` and ``report.json`` into the tagger's folder."""
    data, judged, config = kept.data, kept.judged, kept.config
    ids = data.images.ids[data.parts["validation"]]
    limits = ImageLimits.from_settings(settings)

    @cache
    def path_of(place: int) -> Path:
        row = next(library.iter_images(ids[place : place + 1]), None)
        # One that another process has taken out since is known by its id.
        return row.paths[0] if row and row.files else Path(ids[place].decode("ascii"))

    history = [
        {"phase": phase.report.phase, **epoch.to_dict()}
        for phase in phases
        for epoch in phase.report.history
    ]
    page = build_report(
        report.tagger,
        data.vocabulary,
        Splits(
            judged.validation,
            judged.test,
            phases[0].report.scores if kept.report.phase == 2 else None,
            phases[1].report.scores if kept.report.phase < len(phases) else None,
        ),
        data.counts(),
        facts={
            "backbone": f"{config.architecture}, {config.image_size} px, "
            f"{'+'.join(config.views)}, {config.precision}",
            "fingerprint": config.fingerprint,
            "images": ", ".join(f"{split} {count}" for split, count in report.images.items()),
            "loss": settings.loss,
            "nearest images": "count beside the head"
            if judged.neighbours is not None
            else "not used, since they did not help",
            "tags ranked by": settings.rank,
        },
        history=history,
        best_epochs={phase.report.phase: phase.report.best_epoch for phase in phases},
        calibration=judged.calibration.to_dict(),
        reliability_before=judged.reliability_before,
        names=lambda place: path_of(place).name,
        thumbnails=lambda place: thumbnail(path_of(place), limits),
    )
    write_report(page, report.page.parent)
