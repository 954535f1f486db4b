"""``train``: vectors and tags of a library into a saved tagger."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tagkin.backbones import BackboneConfig
from tagkin.errors import LibraryError, TaggerError, VocabularyError
from tagkin.library import Library
from tagkin.preparing import vocabulary_of
from tagkin.progress import Progress, silent
from tagkin.settings import Settings
from tagkin.splits import SPLITS
from tagkin.tagger import Tagger
from tagkin.training.fit import fit_head
from tagkin.training.metrics import Scores, score_split
from tagkin.training.thresholds import choose_thresholds
from tagkin.vocabulary import TagRules


@dataclass(frozen=True)
class TrainReport:
    """What ``train`` made.

    Attributes:
        tagger: Its name in the library.
        fingerprint: Of the backbone.
        tags: Tags that the tagger knows.
        images: Images in each split.
        validation: Scores on the images that chose the epoch and the thresholds.
        test: Scores on images that nothing was chosen by; None if there are none.
        best_epoch: The epoch that was kept.
        epochs: Epochs that were trained.
        seconds: Time of the training itself.
        few_training_images: Kept tags with fewer than 5 images to train on.
    """

    tagger: str
    fingerprint: str
    tags: int
    images: dict[str, int]
    validation: Scores
    test: Scores | None
    best_epoch: int
    epochs: int
    seconds: float
    few_training_images: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as JSON types."""
        return {
            **self.__dict__,
            "validation": self.validation.to_dict(),
            "test": self.test.to_dict() if self.test else None,
            "few_training_images": list(self.few_training_images),
        }


def train(
    library: Library,
    config: BackboneConfig,
    graph: Path,
    settings: Settings,
    *,
    progress: Progress = silent,
) -> TrainReport:
    """Trains a head on the library's vectors of a backbone and saves a tagger.

    Args:
        library: Prepared and embedded.
        config: The backbone whose vectors are used.
        graph: The backbone's exported graph, which the tagger takes along.
        settings: Vocabulary and training settings.
        progress: Called after every epoch.

    Raises:
        LibraryError: The library isn't prepared or embedded.
        VocabularyError: No tag is on enough images.
        TaggerError: There are no images to train on or to validate with.
    """
    rows, vectors = library.embedded_images(config.fingerprint)
    if not library.state.prepared or any(row.split is None for row in rows):
        raise LibraryError("'tagkin prepare' did not finish: run it again, it goes on")
    rules = TagRules.from_settings(settings, library.decisions())
    vocabulary = vocabulary_of(library.images(), rules, settings)
    if not vocabulary.tags:
        most = max(vocabulary.too_rare.values(), default=0)
        raise VocabularyError(
            f"no tag is on {settings.min_tag_occurrences} images or more (the most frequent is on "
            f"{most}): lower --min-tag-occurrences"
        )
    labels = vocabulary.multi_hot(rules.resolve_all(row.tags) for row in rows)
    part = {s: np.array([i for i, r in enumerate(rows) if r.split == s], int) for s in SPLITS}
    for split in ("train", "validation"):
        if not len(part[split]) or not labels[part[split]].sum():
            raise TaggerError(
                f"no image with a known tag is in the {split} split: the collection is too small "
                "to train on; add images and run 'tagkin prepare' again"
            )
    started = time.monotonic()
    fit = fit_head(
        vectors[part["train"]],
        labels[part["train"]],
        vectors[part["validation"]],
        labels[part["validation"]],
        settings,
        progress=progress,
    )
    seconds = time.monotonic() - started
    scores = {s: fit.head.scores(vectors[part[s]]) for s in SPLITS if s != "train"}
    thresholds = choose_thresholds(labels[part["validation"]], scores["validation"])
    measured = {s: score_split(labels[part[s]], scores[s], thresholds) for s in scores}
    tagger = Tagger(
        config=config,
        graph=graph,
        head=fit.head,
        tags=vocabulary.tags,
        thresholds=thresholds,
        scores={name: score.to_dict() for name, score in measured.items() if score.images},
    )
    trained_on = np.asarray(labels[part["train"]].sum(axis=0)).ravel()
    return TrainReport(
        tagger=tagger.save_in(library.taggers_path).name,
        fingerprint=config.fingerprint,
        tags=len(vocabulary.tags),
        images={split: len(part[split]) for split in SPLITS},
        validation=measured["validation"],
        test=measured["test"] if len(part["test"]) else None,
        best_epoch=fit.best_epoch,
        epochs=len(fit.history),
        seconds=seconds,
        few_training_images=tuple(
            tag for tag, n in zip(vocabulary.tags, trained_on, strict=True) if n < 5
        ),
    )
