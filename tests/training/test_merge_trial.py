"""What merges buy, where it is known: planted spellings, and tags that only chance merges."""

import json
from typing import Any

import numpy as np
import pytest
from conftest import Demo
from helpers_merging import made, rows_of
from variants.made import SUBJECTS

from tagkin.errors import TaggerError, VocabularyError
from tagkin.settings import Settings
from tagkin.tagged_images import TaggedImages
from tagkin.training.merge_gain import WAYS, MergeGain
from tagkin.training.merge_trial import try_merges, try_merges_in_library
from tagkin.vocabulary import TagRules

SPLIT = SUBJECTS[:8]  # each in two spellings, two thirds and one third of its images
SPELLINGS = {subject: (subject, subject, f"{subject}s") for subject in SPLIT}
RIGHT = {f"{subject}s": subject for subject in SPLIT}
WRONG = dict(zip(SUBJECTS[1:8:2], SUBJECTS[0:8:2], strict=True))


@pytest.fixture(scope="module")
def settings(lite0_settings: Settings) -> Settings:
    return lite0_settings.model_copy(update={"max_epochs": 10})


def run(made_up: Any, merges: dict[str, str], settings: Settings, **options: Any) -> MergeGain:
    rows, vectors = made_up
    return try_merges(
        TaggedImages.of(rows), vectors, TagRules(), TagRules(merges=merges), settings, **options
    )


@pytest.fixture(scope="module")
def right(settings: Settings) -> MergeGain:
    return run(made(SPELLINGS, noise=1.5), RIGHT, settings, repeats=2)


def test_merging_planted_spellings_is_measured_as_a_gain(right: MergeGain) -> None:
    assert len(right.judged) == len(SPLIT)
    assert right.too_rare == 0
    assert right.gain_over_canonical.average_precision.mean > 0
    assert right.gain_over_spellings.average_precision.mean > 0
    assert right.gain_over_canonical.f1.mean > 0
    assert right.better > 2 * right.worse


def test_means_and_gains_are_those_of_the_concepts(right: MergeGain) -> None:
    for way in WAYS:
        of_concepts = [c.quality[way].average_precision.mean for c in right.judged]
        assert right.quality[way].average_precision.mean == pytest.approx(np.mean(of_concepts))
    merged, spellings = right.quality["merged"], right.quality["spellings"]
    gain = merged.average_precision.mean - spellings.average_precision.mean
    assert right.gain_over_spellings.average_precision.mean == pytest.approx(gain)


def test_search_gains_are_exact(right: MergeGain) -> None:
    assert {c.canonical: c.members for c in right.concepts} == {
        subject: (subject, f"{subject}s") for subject in SPLIT
    }
    for concept in right.concepts:
        assert (concept.images_before, concept.images_after) == (27, 40)
        assert concept.images_gained == 13
        assert concept.learnt_before == concept.members
    assert right.images_gained == 13 * len(SPLIT)


def test_untouched_tags_hardly_change(right: MergeGain) -> None:
    before, after = right.untouched_before, right.untouched_after
    assert 0.1 < before.average_precision.mean < 1
    assert after.average_precision.mean == pytest.approx(before.average_precision.mean, abs=0.05)


def test_merging_different_things_does_not_help(settings: Settings) -> None:
    wrong = run(made(noise=1.5), WRONG, settings, repeats=2)
    assert len(wrong.judged) == 4
    assert wrong.gain_over_spellings.average_precision.mean < 0
    # The sign to look for: the name alone finds far fewer than all the names together.
    name, names = (wrong.quality[way].average_precision.mean for way in WAYS[:2])
    assert names - name > 0.1


def test_the_same_seed_gives_the_same_figures(right: MergeGain, settings: Settings) -> None:
    again = run(made(SPELLINGS, noise=1.5), RIGHT, settings, repeats=2).to_dict()
    assert again == right.to_dict()
    assert again["repeats"] == 2
    assert again["quality"]["merged"]["average_precision"]["spread"] > 0


def test_the_seed_after_the_last_is_the_first(settings: Settings) -> None:
    last = settings.model_copy(update={"seed": 2**32 - 1, "max_epochs": 1})
    assert run(made(SPELLINGS, noise=1.5), RIGHT, last, repeats=2).repeats == 2


def test_a_name_that_was_too_rare_counts_as_chance(settings: Settings) -> None:
    spellings = {"elephant": ("elephant", *("elephants",) * 5)}  # 7 images of the name: not learnt
    gain = run(made(spellings), {"elephants": "elephant"}, settings, repeats=1)
    (concept,) = gain.judged
    assert concept.learnt_before == ("elephants",)
    name = concept.quality["canonical"]
    share = concept.test_images / gain.test_images
    assert name.average_precision.mean == pytest.approx(share)
    assert name.f1.mean == 0
    assert concept.quality["merged"].average_precision.mean > 0.9
    assert gain.to_dict()["gain_over_spellings"]["f1"]["spread"] is None  # of one training


def test_concepts_too_rare_to_judge_are_said(settings: Settings) -> None:
    rows, vectors = made(SPELLINGS)
    everywhere = rows_of([[*row.tags, "picture"] for row in rows], "tttveee")
    few = settings.model_copy(update={"min_tag_occurrences": 200})
    stages: list[str] = []
    gain = run((everywhere, vectors), RIGHT, few, progress=lambda stage, *_: stages.append(stage))
    assert stages == []  # nothing to judge, nothing trained
    assert (len(gain.judged), gain.too_rare, gain.repeats) == (0, len(SPLIT), 0)
    assert gain.images_gained == 13 * len(SPLIT)
    told = gain.to_dict()
    assert told["quality"]["merged"]["average_precision"] == {"mean": None, "spread": None}
    json.dumps(told, allow_nan=False)
    with pytest.raises(VocabularyError, match="lower --min-tag-occurrences"):
        run((rows, vectors), RIGHT, few)


def test_what_is_missing_is_named(settings: Settings) -> None:
    with pytest.raises(VocabularyError, match="tagkin variants"):
        run(made(), {"lake": "pond"}, settings)
    with pytest.raises(TaggerError, match="test_fraction"):
        run(made(SPELLINGS, splits="ttv"), RIGHT, settings)
    with pytest.raises(TaggerError, match="validation"):
        run(made(SPELLINGS, splits="tte"), RIGHT, settings)
    with pytest.raises(ValueError, match="repeats"):
        run(made(SPELLINGS), RIGHT, settings, repeats=0)


def test_in_a_library_accepted_merges_or_given_ones(demo_copy: Demo) -> None:
    settings = demo_copy.settings.model_copy(update={"max_epochs": 3})
    library, fingerprint = demo_copy.library, demo_copy.config.fingerprint
    with pytest.raises(VocabularyError, match="accept"):
        try_merges_in_library(library, fingerprint, settings)
    library.decide("merge", ["flag", "flags"], canonical="flag")
    stages: list[tuple[int, int]] = []
    accepted = try_merges_in_library(
        library, fingerprint, settings, repeats=1, progress=lambda _, *of: stages.append(of)
    )
    assert stages == [(1, 2), (2, 2)]
    assert [c.canonical for c in accepted.concepts] == ["flag"]
    given = try_merges_in_library(
        library, fingerprint, settings, merges={"icons": "icon"}, repeats=1
    )
    assert [c.canonical for c in given.concepts] == ["icon"]
    (icon,) = given.concepts
    rows = [set(row.tags) for row in library.images()]
    assert icon.images_before == sum("icon" in tags for tags in rows)
    assert icon.images_after == sum(bool(tags & {"icon", "icons"}) for tags in rows)
