"""Tries what merging tags buys: better predictions, and images that a search by tag finds as well.

A head is trained on the tags as they are and on the merged ones, from the same images, vectors,
split, settings and seed. Both are judged by one truth, on test images, which neither saw: an image
shows a concept if it carries any of the tags that become one. Of the tags as they are, two ways
to look for the concept are judged: by the canonical tag alone, as somebody does who doesn't know
the other spellings, and by all of them, where the greatest of their probabilities ranks an image
and any of them above its threshold finds it.

The truth takes the merges to be right, so the canonical tag alone looks poor beside any merge, a
wrong one included. Whether the model *learns* more is told by the gain over all spellings. Where
all spellings find far more than the canonical tag alone, though it had most of the images, the
others look different, which is a reason to look at that merge again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tagkin.chosen_rows import StoredRows
from tagkin.errors import TaggerError, VocabularyError
from tagkin.library import Library
from tagkin.progress import Progress, silent
from tagkin.settings import Settings
from tagkin.tagged_images import TaggedImages
from tagkin.training.fit import fit_on
from tagkin.training.judged import judge
from tagkin.training.learning_set import LearningSet, embedded_images
from tagkin.training.merge_gain import WAYS, ConceptGain, MergeGain, Quality
from tagkin.training.merged_concepts import MergedConcept, find_merged_concepts
from tagkin.training.metrics import Evaluation, tag_f1
from tagkin.training.rankings import TagRanking
from tagkin.vocabulary import TagRules

_SEEDS = 2**32  # a seed is below

Floats = NDArray[np.float64]


def try_merges_in_library(
    library: Library,
    fingerprint: str,
    settings: Settings,
    *,
    merges: Mapping[str, str] | None = None,
    repeats: int = 3,
    progress: Progress = silent,
) -> MergeGain:
    """Measures what merging buys in a library, which is only read; see `try_merges`.

    Args:
        library: Prepared, with vectors of the backbone. Only images with a vector count.
        fingerprint: Of the backbone.
        settings: Vocabulary, loss, rates, epochs and seed.
        merges: Proposed merges, each tag with its canonical one, which are measured on top of the
            accepted ones. None measures the accepted ones themselves.
        repeats: Trainings of each kind.
        progress: Called after every training.

    Raises:
        LibraryError: The library is not prepared, or has no vectors of this backbone.
        VocabularyError, TaggerError: See `try_merges`.
    """
    accepted = TagRules.from_settings(settings, library.decisions())
    found = embedded_images(library, fingerprint, accepted, settings)
    if merges is None:
        before, after = replace(accepted, merges={}), accepted
    else:
        before, after = accepted, replace(accepted, merges={**accepted.merges, **merges})
    return try_merges(
        found.images, found.vectors, before, after, settings, repeats=repeats, progress=progress
    )


def try_merges(
    images: TaggedImages,
    vectors: NDArray[Any] | StoredRows,
    before: TagRules,
    after: TagRules,
    settings: Settings,
    *,
    repeats: int = 3,
    progress: Progress = silent,
) -> MergeGain:
    """Trains and judges heads without and with some merges; the module says how.

    If no concept can be judged, nothing is trained and the figures of quality are NaN; what a
    search gains is known all the same.

    Args:
        images: The images, with splits.
        vectors: float16 or float32 of shape (images, dimension), in memory or on disk.
        before: The rules without the merges.
        after: The same rules with the merges.
        settings: Vocabulary, loss, rates, epochs and seed.
        repeats: Trainings of each kind, with ``settings.seed`` and the seeds that follow.
        progress: Called after every training.

    Raises:
        VocabularyError: The merges change no tag of an image, or no tag is frequent enough.
        TaggerError: An image to train on, to validate with or to judge by is missing.
        ValueError: ``repeats`` is below 1, or ``after`` parts what is one tag under ``before``.
    """
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; it must be 1 or more")
    concepts = find_merged_concepts(images, before, after)
    if not concepts:
        raise VocabularyError(
            "there is no merge to measure: no image carries a tag that is merged into another; "
            "run 'tagkin variants' and accept some of its proposals first"
        )
    test = images.places_of("test")
    if not len(test):
        raise TaggerError(
            "no image is in the test split, so nothing can be judged fairly: prepare a new library "
            "with the setting test_fraction above 0"
        )
    trial = _Trial(
        LearningSet.of(images, vectors, before, settings),
        LearningSet.of(images, vectors, after, settings),
        tuple(concepts),
        tuple(np.flatnonzero(np.isin(test, concept.places)) for concept in concepts),
    )
    runs = range(repeats if trial.judged else 0)
    quality = np.empty((len(runs), len(WAYS), len(trial.judged), 2))
    untouched = np.empty((len(runs), 2, 2))
    for run in runs:
        same = settings.model_copy(update={"seed": (settings.seed + run) % _SEEDS})
        tests = []
        for data in (trial.before, trial.after):
            tests.append(_train(data, same))
            progress("training without and with the merges", 2 * run + len(tests), 2 * repeats)
        quality[run] = trial.quality(*tests)
        untouched[run] = trial.untouched(*tests)
    return trial.outcome(quality, untouched)


@dataclass(frozen=True)
class _Trial:
    """The two learning sets, the concepts, and for each its places among the test images."""

    before: LearningSet
    after: LearningSet
    concepts: tuple[MergedConcept, ...]
    truths: tuple[NDArray[np.intp], ...]

    @property
    def judged(self) -> list[int]:
        """The concepts, by number, that are learnt when merged and are on a test image."""
        return [
            number
            for number, concept in enumerate(self.concepts)
            if len(self.truths[number]) and concept.canonical in self.after.vocabulary.index
        ]

    @property
    def others(self) -> list[str]:
        """Tags that are learnt without and with the merges, and that no merge touches."""
        touched = {tag for c in self.concepts for tag in (c.canonical, *c.members)}
        both = self.before.vocabulary.index.keys() & self.after.vocabulary.index.keys()
        return [tag for tag in self.after.vocabulary.tags if tag in both - touched]

    def quality(self, before: Evaluation, after: Evaluation) -> Floats:
        """Returns average precision and F1 of shape (ways, judged concepts, 2)."""
        found = np.empty((len(WAYS), len(self.judged), 2))
        for place, number in enumerate(self.judged):
            concept, truth = self.concepts[number], self.truths[number]
            found[0, place] = _look_for((concept.canonical,), self.before, before, truth)
            found[1, place] = _look_for(concept.members, self.before, before, truth)
            found[2, place] = _look_for((concept.canonical,), self.after, after, truth)
        return found

    def untouched(self, before: Evaluation, after: Evaluation) -> Floats:
        """Returns mAP and macro F1 of the other tags, without and with the merges: (2, 2)."""
        found = np.full((2, 2), np.nan)
        for row, data, test in ((0, self.before, before), (1, self.after, after)):
            columns = [data.vocabulary.index[tag] for tag in self.others]
            columns = [c for c in columns if test.rankings.positives[c]]
            if columns:
                precision, f1 = test.rankings.average_precision, tag_f1(test.counts)
                found[row] = precision[columns].mean(), f1[columns].mean()
        return found

    def outcome(self, quality: Floats, untouched: Floats) -> MergeGain:
        """Sums up what `quality` and `untouched` gave, stacked over the repeats."""
        means = quality.mean(axis=2) if self.judged else np.empty((0, len(WAYS), 2))
        place_of = {number: place for place, number in enumerate(self.judged)}
        known, known_after = self.before.vocabulary.index, self.after.vocabulary.index
        concepts = [
            ConceptGain(
                canonical=concept.canonical,
                members=concept.members,
                learnt_before=tuple(tag for tag in concept.members if tag in known),
                learnt_after=concept.canonical in known_after,
                images_before=concept.images_before,
                images_after=concept.images_after,
                test_images=len(self.truths[number]),
                quality={
                    name: Quality.of(quality[:, way, place_of[number]])
                    for way, name in enumerate(WAYS)
                    if number in place_of
                },
            )
            for number, concept in enumerate(self.concepts)
        ]
        return MergeGain(
            concepts=tuple(concepts),
            repeats=len(quality),
            test_images=len(self.after.parts["test"]),
            quality={name: Quality.of(means[:, way]) for way, name in enumerate(WAYS)},
            gain_over_canonical=Quality.of(means[:, 2] - means[:, 0]),
            gain_over_spellings=Quality.of(means[:, 2] - means[:, 1]),
            untouched_before=Quality.of(untouched[:, 0]),
            untouched_after=Quality.of(untouched[:, 1]),
        )


def _train(data: LearningSet, settings: Settings) -> Evaluation:
    """Trains and judges a head as ``train`` does, and returns what it does on the test images."""
    fit = fit_on(data, settings)
    return cast(Evaluation, judge(fit.head, data, settings).test)  # there are test images


def _look_for(
    tags: Sequence[str], data: LearningSet, test: Evaluation, truth: NDArray[np.intp]
) -> tuple[float, float]:
    """Looks for a concept by some tags, of which those that aren't learnt find nothing.

    Args:
        tags: What is looked for.
        data: Whose vocabulary is known.
        test: The predictions for the test images.
        truth: The places of the test images that show the concept; at least one.

    Returns:
        Average precision and F1.
    """
    # Without a learnt tag all images are in one tie, whose average precision is that of chance.
    scores = np.zeros(test.labels.shape[0], np.float32)
    predicted = np.zeros(len(scores), bool)
    for tag in tags:
        column = data.vocabulary.index.get(tag)
        if column is not None:
            probabilities = test.probabilities.of_tag(column)
            scores = np.maximum(scores, probabilities)
            predicted |= probabilities >= test.thresholds[column]
    precision = TagRanking.of(scores, truth).average_precision
    hits, named = int(predicted[truth].sum()), int(predicted.sum())
    return precision, 2 * hits / (named + len(truth))
