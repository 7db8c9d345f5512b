# SPDX-License-Identifier: Apache-2.0
"""Five things that a pilot hides, each looked for in what production leaves behind (Readiness page → rows).

A pilot is small, friendly and watched. What it therefore never shows is asked of the requirements that see it; the
probes decide nothing of their own.
"""

from __future__ import annotations

from pilothouse.reports.readiness import ReadinessPage
from pilothouse.reports.view_models import Frozen, StatusMark

__all__ = ["PROBES", "ProbeRow", "probe_rows"]

PROBES = {
    "DATA-3": "how different inputs really are",
    "EVAL-6": "what breaks at ten times the volume",
    "INT-1": "how many systems it touches",
    "MON-12": "whether it is there when it is needed",
    "INT-8": "what people and texts try with it",
}
"""What a pilot hides, by the requirement that looks for it."""


class ProbeRow(Frozen):
    """One probe.

    Attributes:
        requirement: Requirement that looks for it.
        hides: What a pilot hides.
        mark: Status of the requirement.
        sentence: What was found.
        command: The next step, typable.
    """

    requirement: str
    hides: str
    mark: StatusMark
    sentence: str
    command: str


def probe_rows(page: ReadinessPage) -> tuple[ProbeRow, ...]:
    """Return what the five probes found."""
    rows = {row.id: row for section in page.domains for row in (*section.requirements, *section.later)}
    return tuple(
        ProbeRow(
            requirement=name,
            hides=hides,
            mark=rows[name].mark,
            sentence=rows[name].deciding.sentence,
            command=rows[name].deciding.command,
        )
        for name, hides in PROBES.items()
    )
