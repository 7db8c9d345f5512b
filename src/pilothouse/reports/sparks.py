# SPDX-License-Identifier: Apache-2.0
"""A daily rate as a line in a table row, with the words that say the same (chart → places)."""

from __future__ import annotations

from pilothouse.reports.charts import BandChart
from pilothouse.reports.view_models import Frozen

__all__ = ["SPARK_DAYS", "Spark", "spark_of"]

SPARK_DAYS = 30
"""Days of one line: a row has room for no more."""


class Spark(Frozen):
    """A line of days, oldest first.

    Attributes:
        places: Place of each day in [0, 1] from the top; None where nothing was measured.
        bound: Place of the committed value, or None.
        words: The same for who does not see it, and for who wants the numbers.
    """

    places: tuple[float | None, ...]
    bound: float | None
    words: str


def spark_of(chart: BandChart | None) -> Spark | None:
    """Return the last days of a chart as a line; None with fewer than two measured days."""
    points = chart.points[-SPARK_DAYS:] if chart else ()
    measured = [point for point in points if point.y is not None]
    if chart is None or len(measured) < 2:
        return None
    first, last = measured[0], measured[-1]
    return Spark(
        places=tuple(point.y for point in points),
        bound=chart.bound.at if chart.bound else None,
        words=f"{first.shown} agreed on {first.day_shown}, {last.shown} on {last.day_shown}",
    )
