# SPDX-License-Identifier: Apache-2.0
"""SVG text of every picture, from places that were computed before.

The pictures stretch with their panel and their text does not: shapes lie in an inner `svg` that scales in
both directions, labels are placed in percent. Classes only, no `style=`, so that the content policy
stays strict; colours come from the one style sheet.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pilothouse.core.verdict.verdict import Status
from pilothouse.reports.charts import BandChart, BandPoint
from pilothouse.reports.pictures import Forest, Picture, Strip, Timeline, Trend

__all__ = [
    "band_line",
    "dot_interval",
    "draw",
    "shape",
    "share_bar",
    "span_bar",
    "sparkline",
]


def _segments(points: Sequence[BandPoint]) -> list[list[BandPoint]]:
    """Split into runs of days with evidence: no line is drawn over days without."""
    runs: list[list[BandPoint]] = [[]]
    for point in points:
        if point.y is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]


def _xy(x: float, y: float | None) -> str:
    return f"{x * 1000:.1f},{(y or 0.0) * 1000:.1f}"


def band_line(chart: BandChart) -> str:
    """Return the picture of a band chart: band, line, dots, dashed bound, change marks, labels."""
    inner, dots = [], []
    for run in _segments(chart.points):
        if len(run) > 1:
            edge = [_xy(p.x, p.top) for p in run] + [_xy(p.x, p.bottom) for p in reversed(run)]
            inner.append(f'<polygon class="band" points="{" ".join(edge)}"/>')
            inner.append(f'<polyline class="line" points="{" ".join(_xy(p.x, p.y) for p in run)}"/>')
        else:
            p = run[0]
            inner.append(
                f'<line class="whisker" x1="{p.x * 1000:.1f}" x2="{p.x * 1000:.1f}" '
                f'y1="{(p.top or 0) * 1000:.1f}" y2="{(p.bottom or 0) * 1000:.1f}"/>'
            )
        dots += [
            f'<circle class="dot" cx="{p.x * 100:.2f}%" cy="{(p.y or 0) * 100:.2f}%" r="2.5"/>' for p in run
        ]
    texts = [
        f'<text class="tick end" x="-6" y="{tick.at * 100:.2f}%" dy="4">{escape(tick.text)}</text>'
        for tick in chart.values
    ]
    for index, tick in enumerate(chart.days):
        anchor = "start" if index == 0 else "end" if index == len(chart.days) - 1 else "middle"
        texts.append(
            f'<text class="tick {anchor}" x="{tick.at * 100:.2f}%" y="100%" dy="18">{escape(tick.text)}</text>'
        )
    if chart.bound:
        y = f"{chart.bound.at * 100:.2f}%"
        texts.append(f'<line class="bound" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
        texts.append(f'<text class="label end" x="100%" y="{y}" dy="14">{escape(chart.bound.text)}</text>')
    for mark in chart.changes:
        x = f"{mark.x * 100:.2f}%"
        texts.append(f'<line class="change" x1="{x}" x2="{x}" y1="0" y2="100%"/>')
        texts.append(f'<text class="tick middle" x="{x}" y="0" dy="-6">{escape(mark.number)}</text>')
    if chart.last:
        texts.append(
            f'<text class="label strong" x="100%" dx="6" y="{chart.last.at * 100:.2f}%" dy="4">{escape(chart.last.text)}</text>'
        )
    return (
        f'<svg class="plot" role="img" width="100%" height="200" overflow="visible"><title>{escape(chart.title)}</title>'
        f"<desc>{escape(chart.description)}</desc>"
        '<svg width="100%" height="100%" viewBox="0 0 1000 1000" preserveAspectRatio="none" overflow="visible">'
        f'<path class="axis" d="M0 0H1000M0 1000H1000"/>{"".join(inner)}</svg>'
        f"{''.join(texts)}{''.join(dots)}</svg>"
    )


def dot_interval(low: float, value: float, high: float, bound: float) -> str:
    """Return a value with its interval against its bound, as a small picture beside its text.

    Args:
        low: Places in [0, 1] from the left.
        value: The dot.
        high: Right end of the whisker.
        bound: The tick.
    """
    x = [f"{2 + place * 136:.1f}" for place in (low, value, high, bound)]
    return (
        '<svg class="dots" width="140" height="20" aria-hidden="true">'
        '<line class="rail" x1="2" x2="138" y1="10" y2="10"/>'
        f'<line class="whisker" x1="{x[0]}" x2="{x[2]}" y1="10" y2="10"/>'
        f'<line class="bound" x1="{x[3]}" x2="{x[3]}" y1="2" y2="18"/>'
        f'<circle class="dot" cx="{x[1]}" cy="10" r="3.5"/></svg>'
    )


def share_bar(shares: Sequence[float]) -> str:
    """Return the bar of a truth line: agrees, contradicts, cannot tell.

    Args:
        shares: Three shares that add up to 1.
    """
    names = (Status.HOLDS.value, Status.BREACHED.value, Status.NO_EVIDENCE.value)
    left, parts = 0.0, []
    for share, name in zip(shares, names, strict=False):
        if share > 0:
            parts.append(
                f'<rect class="fill {name}" x="{left * 100:.2f}%" width="{share * 100:.2f}%" height="8"/>'
            )
        left += share
    return f'<svg class="share" width="100%" height="8" aria-hidden="true">{"".join(parts)}</svg>'


def span_bar(left: float, width: float, kind: str) -> str:
    """Return one bar of a waterfall; at least two pixels wide.

    Args:
        left: Start as a share of the trace.
        width: Length as a share of the trace.
        kind: `model`, `tool`, `agent` or `error`: decides the fill.
    """
    start = min(max(left, 0.0), 1.0)
    extent = min(max(width, 0.0), 1.0 - start)
    shape_ = f'<rect class="span {kind}" x="{start * 100:.2f}%" y="3" width="{extent * 100:.2f}%" height="10" rx="1"/>'
    least = f'<rect class="span {kind}" x="{min(start * 100, 99.4):.2f}%" y="3" width="2" height="10"/>'
    return f'<svg class="fall" width="100%" height="16" aria-hidden="true">{shape_ if extent > 0.004 else least}</svg>'


_SHAPES = {
    Status.HOLDS: '<circle cx="6" cy="6" r="5"/>',
    Status.AT_RISK: '<path d="M6 1 11.5 11H.5z"/>',
    Status.BREACHED: '<path d="M1 1h10v10H1z"/>',
    Status.NO_EVIDENCE: '<circle class="ring" cx="6" cy="6" r="4.25"/>',
}


def shape(status: Status) -> str:
    """Return the shape of a status; its word stands beside it."""
    return f'<svg class="shape {status.value}" width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">{_SHAPES[status]}</svg>'


def sparkline(places: Sequence[float | None], bound: float | None = None) -> str:
    """Return a line of at most thirty days beside words that say the same; a day without a value leaves a gap.

    Args:
        places: Places in [0, 1] from the top, oldest first; None where nothing was measured.
        bound: Place of the bound, or None.
    """
    step = 96 / max(len(places) - 1, 1)
    parts, run = [], []
    for number, place in enumerate((*places, None)):
        if place is not None:
            run.append(f"{2 + number * step:.1f},{2 + place * 16:.1f}")
        elif run:
            one = run[0].split(",")
            parts.append(
                f'<polyline class="line" points="{" ".join(run)}"/>'
                if len(run) > 1
                else f'<circle class="dot" cx="{one[0]}" cy="{one[1]}" r="1.5"/>'
            )
            run = []
    rail = (
        f'<line class="bound" x1="0" x2="100" y1="{2 + bound * 16:.1f}" y2="{2 + bound * 16:.1f}"/>'
        if bound is not None
        else ""
    )
    return f'<svg class="spark" width="100" height="20" aria-hidden="true">{rail}{"".join(parts)}</svg>'


def draw(picture: Picture) -> str:
    """Return a picture of a section."""
    match picture:
        case Forest():
            body, height = _forest(picture), 28 * len(picture.rows) + 8
        case Strip():
            body, height = _strip(picture), 24
        case Timeline():
            body, height = _timeline(picture), 40
        case Trend():
            body, height = _trend(picture), 120
    return (
        f'<svg class="plot {picture.kind}" role="img" width="100%" height="{height}" overflow="visible">'
        f"<title>{escape(picture.title)}</title><desc>{escape(picture.description)}</desc>{body}</svg>"
    )


def _percent(place: float) -> str:
    return f"{place * 100:.2f}%"


def _vertical(name: str, place: float, text: str) -> str:
    x = _percent(place)
    return (
        f'<line class="{name}" x1="{x}" x2="{x}" y1="0" y2="100%"/>'
        f'<text class="tick middle" x="{x}" y="100%" dy="14">{escape(text)}</text>'
    )


def _forest(picture: Forest) -> str:
    parts = [_vertical("axis", picture.zero, "0")]
    if picture.margin is not None:
        parts.append(_vertical("bound", picture.margin, picture.margin_text))
    for number, row in enumerate(picture.rows):
        y = 18 + 28 * number
        parts.append(
            f'<line class="whisker" x1="{_percent(row.low)}" x2="{_percent(row.high)}" y1="{y}" y2="{y}"/>'
            f'<circle class="dot" cx="{_percent(row.value)}" cy="{y}" r="4"/>'
            f'<text class="label" x="0" y="{y - 8}">{escape(row.label)}</text>'
        )
    return "".join(parts)


_CELLS = {
    "counted": '<rect class="counted" x="{x}" width="{w}" y="0" height="24"/>',
    "paused": '<rect class="paused" x="{x}" width="{w}" y="10" height="4"/>',
    "reset": '<rect class="reset" x="{x}" width="{w}" y="0" height="24"/><rect class="notch" x="{x}" width="{w}" y="10" height="4"/>',
    "holds": '<rect class="fill holds" x="{x}" width="{w}" y="12" height="12"/>',
    "at_risk": '<rect class="fill at_risk" x="{x}" width="{w}" y="6" height="18"/>',
    "breached": '<rect class="fill breached" x="{x}" width="{w}" y="0" height="24"/>',
    "no_evidence": '<rect class="hole" x="{x}" width="{w}" y="1" height="22"/>',
}
"""Each state has its own height and fill, so that no reader depends on colour."""


def _strip(picture: Strip) -> str:
    width = 100 / picture.places
    return "".join(
        _CELLS[state].format(x=f"{number * width:.3f}%", w=f"{width * 0.8:.3f}%")
        for number, state in enumerate(picture.states)
    )


def _timeline(picture: Timeline) -> str:
    parts = ['<line class="axis" x1="0" x2="100%" y1="20" y2="20"/>']
    for stop in picture.stops:
        x = _percent(stop.at)
        parts.append(
            f'<circle class="dot{"" if stop.is_loud else " hollow"}" cx="{x}" cy="20" r="5"/>'
            f'<text class="tick middle" x="{x}" y="8">{escape(stop.number)}</text>'
        )
    parts.append(f'<text class="tick start" x="0" y="100%">{escape(picture.begins)}</text>')
    parts.append(f'<text class="tick end" x="100%" y="100%">{escape(picture.ends)}</text>')
    return "".join(parts)


def _trend(picture: Trend) -> str:
    width = 100 / max(len(picture.bars), 1)
    parts = ['<line class="axis" x1="0" x2="100%" y1="100%" y2="100%"/>']
    for number, height in enumerate(picture.bars):
        if height is not None:
            parts.append(
                f'<rect class="bar" x="{number * width:.3f}%" width="{width * 0.7:.3f}%" '
                f'y="{_percent(1 - height)}" height="{_percent(height)}"/>'
            )
    y = _percent(1 - picture.most)
    parts.append(f'<line class="axis" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
    parts.append(f'<text class="tick start" x="0" y="{y}" dy="-4">{escape(picture.most_text)}</text>')
    if picture.bound is not None:
        y = _percent(1 - picture.bound)
        parts.append(f'<line class="bound" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="label end" x="100%" y="{y}" dy="-4">{escape(picture.bound_text)}</text>')
    parts.append(f'<text class="tick start" x="0" y="100%" dy="16">{escape(picture.begins)}</text>')
    parts.append(f'<text class="tick end" x="100%" y="100%" dy="16">{escape(picture.ends)}</text>')
    return "".join(parts)
