# SPDX-License-Identifier: Apache-2.0
"""Choose the agent's name for a draft: the one in its telemetry before that of its folder."""

from __future__ import annotations

import re

from pilothouse.core.charter.sighting import RepositoryReport, Sighting, SightingKind

__all__ = ["agent_id", "agent_of"]

NAMES_SHOWN_MAX = 3
"""Other names that a draft lists: more agents than that are no narrow one."""


def agent_id(name: str) -> str:
    """Return an agent id made from the name of a project.

    Example:
        >>> agent_id("Invoice_Triage (v2)"), agent_id("ai")
        ('invoice-triage-v2', 'ai-agent')
    """
    cleaned = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:48].strip("-")
    return cleaned if len(cleaned) >= 3 else f"{cleaned}-agent".strip("-")


def agent_of(report: RepositoryReport) -> tuple[str, str]:
    """Return the agent's id and where it comes from, for a comment; empty when it is the folder's name.

    What the code writes into its spans comes first, then the name of its only agent. A name that is no id
    is not bent into one: the spans would go on saying the other.

    Example:
        >>> seen = Sighting(kind=SightingKind.AGENT, value="orders", file="a.py", line=7, detail="span")
        >>> agent_of(RepositoryReport(name="src", sightings=(seen,), files_read=1, notes=()))
        ('orders', 'as its spans say: a.py:7')
    """
    named = report.of_kind(SightingKind.AGENT)
    in_spans = tuple(one for one in named if one.detail == "span")
    for found, words in ((in_spans, "as its spans say"), (named, "as the code names it")):
        values = {one.value for one in found}
        if len(values) == 1 and agent_id(found[0].value) == found[0].value:
            return found[0].value, f"{words}: {found[0].place}"
    return agent_id(report.name), _others(named)


def _others(named: tuple[Sighting, ...]) -> str:
    first = {one.value: one for one in reversed(named)}
    shown = [f"{value!r} at {first[value].place}" for value in sorted(first)[:NAMES_SHOWN_MAX]]
    return f"the folder's name; the code says {', '.join(shown)}" if shown else ""
