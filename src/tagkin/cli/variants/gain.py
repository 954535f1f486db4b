"""``tagkin variants --evaluate``: what merging buys."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tagkin.cli.session import Output, Session
    from tagkin.library import Library
    from tagkin.progress import Progress
    from tagkin.training.merge_gain import MergeGain, Repeated
    from tagkin.variants import Proposals

_SHOWN = 20


def measure(
    library: "Library",
    fingerprint: str,
    session: "Session",
    proposals: "Proposals",
    progress: "Progress",
) -> "tuple[str, MergeGain]":
    """Measures the accepted merges, or the safe groups if none is accepted yet.

    Returns:
        What was measured, in words, and the outcome.
    """
    from tagkin.decisions import accepted_merges
    from tagkin.errors import VocabularyError
    from tagkin.training.merge_trial import try_merges_in_library

    merges: dict[str, str] | None = None
    what = "the accepted merges"
    if not accepted_merges(library.decisions()):
        what = "the safe groups"
        merges = {
            member: group.canonical
            for group in proposals.groups
            if group.tier == "safe"
            for member in group.members
            if member != group.canonical
        }
        if not merges:
            raise VocabularyError(
                "there is no merge to measure: none is accepted and no group is safe. Accept some "
                "with 'tagkin variants accept GROUP' first"
            )
    gain = try_merges_in_library(
        library, fingerprint, session.settings, merges=merges, progress=progress
    )
    return what, gain


def print_gain(output: "Output", what: str, gain: "MergeGain") -> None:
    """Prints the means, and the concepts on the most images."""
    from rich.markup import escape

    from tagkin.cli.session import table

    output.print(
        f"What {what} buy: {len(gain.concepts)} concepts, of which {len(gain.judged)} can be "
        f"judged on {gain.test_images} test images; {gain.repeats} trainings each way"
    )
    if gain.judged:
        means = table("looked for by", "mAP", "macro F1", title="images of the merged tags found")
        names = {
            "canonical": "the kept tag alone, before",
            "spellings": "all spellings, before",
            "merged": "the merged tag",
        }
        for way, quality in gain.quality.items():
            means.add_row(names[way], _figure(quality.average_precision), _figure(quality.f1))
        over = gain.gain_over_spellings
        means.add_row(
            "gain over all spellings",
            _figure(over.average_precision, "+"),
            _figure(over.f1, "+"),
        )
        output.print(means)
        before, after = gain.untouched_before, gain.untouched_after
        output.print(
            f"Better for {gain.better} and worse for {gain.worse} of them. Tags that no merge "
            f"touches: mAP {_figure(before.average_precision)} before, "
            f"{_figure(after.average_precision)} after",
            markup=False,
        )
    found = table("tag", "merged from", "images before", "after", title="a search by tag finds")
    for concept in gain.concepts[:_SHOWN]:
        others = ", ".join(tag for tag in concept.members if tag != concept.canonical)
        found.add_row(
            escape(concept.canonical),
            escape(others),
            str(concept.images_before),
            str(concept.images_after),
        )
    output.print(found)
    if len(gain.concepts) > _SHOWN:
        output.print(f"and {len(gain.concepts) - _SHOWN} more, all of them with --json")
    output.print(f"{gain.images_gained:,} images more in all")


def _figure(value: "Repeated", form: str = "") -> str:
    if math.isnan(value.mean):
        return "-"
    spread = "" if math.isnan(value.spread) else f" ± {100 * value.spread:.1f}"
    return f"{100 * value.mean:{form}.1f}{spread}"
