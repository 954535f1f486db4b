"""The report as one HTML page: nothing is loaded, and nothing in it but its own script runs."""

import base64
import hashlib
import json
import math
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from tagkin.templates import page_environment
from tagkin.training.report import charts
from tagkin.training.report.content import TaggerReport
from tagkin.training.tag_table import FREQUENT_FROM, RARE_BELOW

_MOST_LISTED = 400  # tags in a list; the JSON file has all

# Names of scores and what they mean, in the order in which they are shown.
_SCORES = (
    ("map", "mAP", "mean over tags of the average precision"),
    ("micro_f1", "Micro F1", "F1 over all decisions, each tag at its threshold"),
    ("macro_f1", "Macro F1", "mean over tags of F1 at the threshold"),
    ("example_f1", "F1 per image", "mean over images of F1 at the thresholds"),
    ("image_map", "mAP per image", "mean over images of the average precision of their tag list"),
    ("precision_at_1", "Precision at 1", "share of images whose first tag is right"),
    ("precision_at_5", "Precision at 5", "share of right tags among an image's first 5"),
    ("precision_at_10", "Precision at 10", "share of right tags among an image's first 10"),
    ("recall_at_1", "Recall at 1", "share of an image's tags that its first is"),
    ("recall_at_5", "Recall at 5", "share of an image's tags among its first 5"),
    ("recall_at_10", "Recall at 10", "share of an image's tags among its first 10"),
    ("words_precision", "P, 5 words", "5 tags an image: mean over tags of precision"),
    ("words_recall", "R, 5 words", "5 tags an image: mean over tags of recall"),
    ("words_f1", "F1, 5 words", "harmonic mean of those two"),
    ("words_found", "N+, 5 words", "5 tags an image: tags found at least once"),
    ("tag_coverage", "Tags predicted", "share of all tags that some image gets"),
    ("image_coverage", "Images tagged", "share of images that get at least one tag"),
    ("tags", "Tags in the split", "over which means are taken"),
    ("images", "Images in the split", ""),
)


def render_html(report: TaggerReport) -> str:
    """Returns the page; whatever text a tag or a file name holds, it is shown as that text."""
    script, style = _asset("report.js"), _asset("report.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            # Hashed, so that even a script that got past the escaping would not run.
            policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
            f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            rows=_embedded(_table(report)),
            score_names=_SCORES,
            charts=charts,
            rare_below=RARE_BELOW,
            frequent_from=FREQUENT_FROM,
            most_listed=_MOST_LISTED,
        )
    )


@cache
def _environment() -> Environment:
    environment = page_environment("tagkin.training.report")
    environment.filters |= {"score": _score, "fact": _fact}
    return environment


def _asset(name: str) -> str:
    return (files("tagkin.training.report") / "templates" / name).read_text("utf-8")


def _embedded(content: Any) -> Markup:
    """Returns JSON that can't end the element it is in, and that holds no NaN."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - what could end the element is replaced above


def _table(report: TaggerReport) -> list[list[Any]]:
    """Returns the rows of the table of tags, as short as they can be: there may be thousands."""

    def short(value: float) -> float | None:
        return round(value, 3) if math.isfinite(value) else None

    return [
        [
            *(row.tag, row.images, row.train, row.validation, row.test),
            *map(
                short,
                (
                    row.average_precision,
                    row.chance,
                    row.precision,
                    row.recall,
                    row.f1,
                    row.threshold,
                    row.test_average_precision,
                    row.test_f1,
                ),
            ),
            int(row.within_chance),
            # Eleven precisions in steps of a hundredth, two digits each.
            "".join(f"{min(99, round(value * 100)):02d}" for value in row.curve)
            if all(map(math.isfinite, row.curve))
            else "",
        ]
        for row in report.tags
    ]


def _score(value: Any) -> str:
    """Returns a number as it is shown; a dash for what is unknown."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _fact(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_fact(item) for item in value) or "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
