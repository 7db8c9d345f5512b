# SPDX-License-Identifier: Apache-2.0
"""The values of the look, stated once: the colours of the statuses, and the style sheet that everything is shown with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from pilothouse.core.verdict.verdict import Status

__all__ = ["STATUS_COLOURS", "Pair", "stylesheet"]


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


def stylesheet() -> str:
    """Return the one style sheet of pages and report files."""
    return (files("pilothouse.reports") / "templates" / "pilothouse.css").read_text(encoding="utf-8")
