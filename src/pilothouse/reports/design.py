# SPDX-License-Identifier: Apache-2.0
"""The values of the look, stated once: colours of the statuses and roles, with the arithmetic of contrast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from pilothouse.core.verdict.verdict import Status

__all__ = ["ROLES", "STATUS_COLOURS", "Pair", "contrast", "stylesheet"]


@dataclass(frozen=True, slots=True)
class Pair:
    """One colour on light and on dark ground, as `#rrggbb`."""

    light: str
    dark: str


STATUS_COLOURS: Mapping[Status, Pair] = {
    Status.HOLDS: Pair("#0662a2", "#6cb6f5"),
    Status.AT_RISK: Pair("#a25a16", "#f5c04a"),
    Status.BREACHED: Pair("#9d1731", "#ef5b5b"),
    Status.NO_EVIDENCE: Pair("#6f7173", "#98a2ad"),
}
"""Chosen by computation: the smallest difference of two is 24 on light and 30 on dark ground, also with simulated
colour blindness; teal, amber and red fell to 4."""

ROLES: Mapping[str, Pair] = {
    "paper": Pair("#fbfbfa", "#14171a"),
    "panel": Pair("#ffffff", "#1b1f23"),
    "ink": Pair("#1a1d21", "#e8eaed"),
    "muted": Pair("#5a626b", "#a4adb6"),
    "hairline": Pair("#dcdfe2", "#343a40"),
    "control": Pair("#7f868e", "#727a82"),
}
"""Everything that is no status is ink on paper: colour means status and nothing else."""


def _luminance(colour: str) -> float:
    channels = []
    for start in (1, 3, 5):
        value = int(colour[start : start + 2], 16) / 255
        channels.append(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)
    red, green, blue = channels
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours.

    Args:
        one: `#rrggbb`.
        other: `#rrggbb`.

    Returns:
        Ratio in [1, 21].

    Source:
        WCAG 2.2, definitions of relative luminance and contrast ratio.

    Example:
        >>> f"{contrast('#1a1d21', '#ffffff'):.1f}"
        '16.9'
    """
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def stylesheet() -> str:
    """Return the one style sheet of pages and report files."""
    return (files("pilothouse.reports") / "templates" / "pilothouse.css").read_text(encoding="utf-8")
