"""Inline SVG of one plot: axes, lines, points, bars. Colours are left to the page's style."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

_MARGINS = (14.0, 12.0, 40.0, 46.0)  # top, right, bottom, left


@dataclass
class Plot:
    """A plot in the making; `svg` gives the whole.

    Attributes:
        title: Said by screen readers.
        x_label: Of the axis; none if empty.
        y_label: Of the axis; none if empty.
        x: Least and greatest value.
        y: Least and greatest value.
        size: Width and height in units of the drawing.
        margins: Top, right, bottom, left.
    """

    title: str
    x_label: str
    y_label: str
    x: tuple[float, float] = (0.0, 1.0)
    y: tuple[float, float] = (0.0, 1.0)
    size: tuple[int, int] = (400, 260)
    margins: tuple[float, float, float, float] = _MARGINS
    _parts: list[Markup] = field(default_factory=list)

    def line(self, xs: Iterable[float], ys: Iterable[float], style: str) -> None:
        """Draws a line through the points that are finite."""
        points = " ".join(
            f"{self._left(a):.1f},{self._top(b):.1f}"
            for a, b in zip(xs, ys, strict=True)
            if math.isfinite(a) and math.isfinite(b)
        )
        if points:
            self._add('<polyline class="{}" points="{}"/>', style, points)

    def points(self, xs: Iterable[float], ys: Iterable[float], style: str, words: str) -> None:
        """Draws a dot at each point that is finite, with ``words`` formatted by x and y on it."""
        for a, b in zip(xs, ys, strict=True):
            if math.isfinite(a) and math.isfinite(b):
                self._add(
                    '<circle class="{}" cx="{}" cy="{}" r="3"><title>{}</title></circle>',
                    style,
                    f"{self._left(a):.1f}",
                    f"{self._top(b):.1f}",
                    words.format(x=a, y=b),
                )

    def bar(self, x0: float, x1: float, height: float, style: str, words: str) -> None:
        """Draws a bar from the bottom up."""
        left, top = self._left(x0) + 0.5, self._top(height)
        self._add(
            '<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>',
            style,
            f"{left:.1f}",
            f"{top:.1f}",
            f"{max(0.5, self._left(x1) - left - 0.5):.1f}",
            f"{max(0.0, self._top(self.y[0]) - top):.1f}",
            words,
        )

    def upright(self, x: float, words: str) -> None:
        """Draws a vertical line with a few words at its top."""
        left = self._left(x)
        late = left > self.size[0] * 0.7
        self._add(
            '<line class="mark" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>'
            '<text x="{3}" y="{4}" text-anchor="{5}">{6}</text>',
            f"{left:.1f}",
            f"{self._top(self.y[1]):.1f}",
            f"{self._top(self.y[0]):.1f}",
            f"{left + (-4 if late else 4):.1f}",
            f"{self.margins[0] + 10:.1f}",
            "end" if late else "start",
            words,
        )

    def svg(
        self,
        x_ticks: Sequence[float],
        y_ticks: Sequence[float],
        *,
        x_words: Sequence[str] = (),
        y_words: Sequence[str] = (),
    ) -> Markup:
        """Returns the drawing with its axes.

        Args:
            x_ticks: Where the axis is labelled.
            y_ticks: Where the axis is labelled and a line is drawn across.
            x_words: Labels, if they aren't the numbers.
            y_words: Labels, if they aren't the numbers.
        """
        width, height = self.size
        left, right, bottom = self.margins[3], width - self.margins[1], height - self.margins[2]
        axes = []
        for value, word in zip(y_ticks, y_words or [f"{v:g}" for v in y_ticks], strict=True):
            top = f"{self._top(value):.1f}"
            axes.append(
                Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                    left, right, top, top
                )
                + Markup('<text x="{}" y="{}" dy=".32em" text-anchor="end">{}</text>').format(
                    left - 6, top, word
                )
            )
        axes += [
            Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
                f"{self._left(value):.1f}", bottom + 15, word
            )
            for value, word in zip(x_ticks, x_words or [f"{v:g}" for v in x_ticks], strict=True)
        ]
        axes.append(
            Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                left, right, bottom, bottom
            )
        )
        if self.x_label:
            axes.append(
                Markup('<text class="label" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                    (left + right) / 2, height - 6, self.x_label
                )
            )
        if self.y_label:
            middle = (self.margins[0] + bottom) / 2
            axes.append(
                Markup(
                    '<text class="label" transform="translate(12 {}) rotate(-90)" '
                    'text-anchor="middle">{}</text>'
                ).format(middle, self.y_label)
            )
        return Markup(
            '<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>'
        ).format(width, height, self.title, Markup().join(axes), Markup().join(self._parts))

    def _add(self, template: str, *values: str) -> None:
        self._parts.append(Markup(template).format(*map(escape, values)))  # noqa: S704

    def _left(self, x: float) -> float:
        return _scale(x, self.x, self.margins[3], self.size[0] - self.margins[1])

    def _top(self, y: float) -> float:
        return _scale(y, self.y, self.size[1] - self.margins[2], self.margins[0])


def ticks(least: float, greatest: float, count: int = 5) -> list[float]:
    """Returns round numbers within a range, about as many as asked for."""
    span = greatest - least
    if not span > 0:
        return [least]
    rough = span / count
    power = 10 ** math.floor(math.log10(rough))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(least / step - 1e-9)
    return [round(n * step, 12) for n in range(first, math.floor(greatest / step + 1e-9) + 1)]


def _scale(value: float, source: tuple[float, float], start: float, end: float) -> float:
    span = (source[1] - source[0]) or 1.0
    share = min(1.0, max(0.0, (value - source[0]) / span))
    return start + share * (end - start)
