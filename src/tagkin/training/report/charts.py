"""The charts of a report, as inline SVG."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from tagkin.reliability import BINS, Reliability
from tagkin.training.report.content import Curve
from tagkin.training.report.plot import Plot, ticks

_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_ENDS = (0.0, 0.5, 1.0)


def training_charts(
    history: Sequence[Mapping[str, Any]], best_epochs: Mapping[int, int]
) -> list[Markup]:
    """Returns charts of loss and validation mAP by epoch, phase 2 behind phase 1."""
    if not history:
        return []
    phases = sorted({entry["phase"] for entry in history})
    offsets = dict.fromkeys(phases, 0)
    for earlier, later in pairwise(phases):
        last = max(e["epoch"] for e in history if e["phase"] == earlier)
        offsets[later] = offsets[earlier] + last
    places = [offsets[entry["phase"]] + entry["epoch"] for entry in history]
    charts = []
    for title, lines in (
        ("Loss", {"loss": "first", "validation_loss": "second"}),
        ("Validation mAP", {"validation_map": "first"}),
    ):
        series = {key: [_number(entry.get(key)) for entry in history] for key in lines}
        known = [v for values in series.values() for v in values if math.isfinite(v)]
        if not known:
            continue
        # A loss falls by orders at the start and by little at the end: not from zero.
        low = min(known) if title == "Loss" else 0.0
        high = max(known)
        room = (high - low or abs(high) or 1.0) * 0.08
        bottom = max(0.0, low - room) if low >= 0 else low - room
        span = (min(places), max(max(places), min(places) + 1))
        plot = Plot(f"{title} by epoch", "epoch", title, span, (bottom, high + room))
        for phase in phases[1:]:
            plot.upright(offsets[phase], f"phase {phase}")
        for key, style in lines.items():
            for phase in phases:  # the phases are not joined: their losses are not the same
                own = [i for i, entry in enumerate(history) if entry["phase"] == phase]
                xs, ys = [places[i] for i in own], [series[key][i] for i in own]
                plot.line(xs, ys, style)
                if len(own) == 1:
                    plot.points(xs, ys, style, "epoch {x:g}: {y:.4g}")
        if title != "Loss":
            for phase, epoch in best_epochs.items():
                kept = [
                    i
                    for i, entry in enumerate(history)
                    if (entry["phase"], entry["epoch"]) == (phase, epoch)
                ]
                xs, ys = [places[i] for i in kept], [series["validation_map"][i] for i in kept]
                plot.points(xs, ys, "first", "kept, {y:.4f}")
        whole = [tick for tick in ticks(*span) if tick == int(tick)]
        charts.append(plot.svg(whole, ticks(bottom, high + room)))
    return charts


def micro_chart(curves: Sequence[Curve]) -> Markup:
    """Returns precision over recall of all decisions, a line for each split."""
    plot = Plot("Precision and recall over all decisions", "recall", "precision")
    for curve, style in zip(curves, ("first", "second"), strict=False):
        plot.line(curve.recall, curve.precision, style)
    return plot.svg(_SHARES, _SHARES)


def tag_chart(curve: Curve) -> Markup:
    """Returns precision over recall of one tag, small."""
    plot = Plot(
        f"Precision and recall of {curve.name}",
        "recall",
        "precision",
        size=(200, 150),
        margins=(8, 10, 34, 40),
    )
    # From the left edge on, where the first step's precision holds.
    plot.line((0.0, *curve.recall), (*curve.precision[:1], *curve.precision), "first")
    if len(curve.recall) == 1:
        plot.points(curve.recall, curve.precision, "first", "recall {x:.2f}, precision {y:.2f}")
    return plot.svg(_ENDS, _ENDS)


def reliability_chart(now: Reliability, before: Reliability | None) -> Markup:
    """Returns the share that came true over the predicted probability, by bins."""
    plot = Plot("Reliability of the probabilities", "predicted probability", "share that is right")
    plot.line((0, 1), (0, 1), "ideal")
    if before is not None:
        plot.line(before.predicted, before.observed, "second")
        plot.points(before.predicted, before.observed, "second", "{x:.2f} said, {y:.2f} true")
    plot.line(now.predicted, now.observed, "first")
    plot.points(now.predicted, now.observed, "first", "{x:.2f} said, {y:.2f} true")
    return plot.svg(_SHARES, _SHARES)


def count_chart(found: Reliability) -> Markup:
    """Returns how many pairs have which probability, on a logarithmic scale."""
    top = max(1, math.ceil(math.log10(max(10, int(found.counts.max(initial=1))))))
    plot = Plot(
        "How many pairs of image and tag have which probability",
        "predicted probability",
        "pairs",
        y=(0.0, float(top)),
        size=(400, 150),
    )
    for place, count in enumerate(found.counts.tolist()):
        # One pair is to be seen as well, though its logarithm is 0.
        height = max(0.08 * top / 3, math.log10(count)) if count else 0.0
        words = f"{place / BINS:.2f} to {(place + 1) / BINS:.2f}: {count:,} pairs"
        plot.bar(place / BINS, (place + 1) / BINS, height, "bar", words)
    powers = range(0, top + 1, max(1, -(-top // 4)))
    return plot.svg(_SHARES, list(powers), y_words=[_short(10**power) for power in powers])


def _short(count: int) -> str:
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count // size}{letter}"
    return str(count)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
