# SPDX-License-Identifier: Apache-2.0
"""The tour: five people, what each opens, and what the page says today (sentences of the pages → page)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote

from pilothouse.reports.sections import Cell, Section, SectionsPage, columns, row
from pilothouse.reports.view_models import ActionOffer, Sentence, page_moment, shown_text

__all__ = ["JOURNEYS", "build_tour"]

JOURNEYS: Mapping[str, tuple[str, tuple[tuple[str, str, str], ...]]] = {
    "An engineer, on the first day": (
        "does it hold, and what is the next thing to type",
        (
            ("fleet", "Fleet", "the agents, worst first"),
            ("agent", "Agent", "what it says it did beside what the system of record says"),
            ("readiness", "Readiness", "every requirement; follow Proof to the one that decides"),
            ("tasks", "Tasks", "type result:failed since:7d into the query line, open a task, open a span"),
            ("watch", "Watch", "how many days a fall of five points would go unnoticed"),
            ("evals", "Evals", "what the release gate would need to decide"),
        ),
    ),
    "The owner, ten minutes a week": (
        "what waits for me, and how do I stop it",
        (
            ("ownership", "Ownership", "who answers for what, and what is not accepted yet"),
            ("controls", "Controls", "sign in, then pause: it asks first and names the version"),
            ("rollout", "Rollout", "how far it is, and why a day did not count"),
        ),
    ),
    "A reviewer, twenty cases a day": (
        "what is mine, and what does an error cost",
        (("review", "Review", "sign in as lee; 1 to 5 choose, Ctrl+Enter sends"),),
    ),
    "Security and compliance, every quarter": (
        "what may it do, and can I prove what it did",
        (
            ("integrations", "Integrations", "what was seen and never declared"),
            ("controls", "Controls", "each tool's rule, its examples, its use"),
            ("compliance", "Compliance map", "which requirement proves what of each law or standard"),
            ("audit", "Audit", "what is on record, and how to verify it without us"),
        ),
    ),
    "An executive, once a quarter": (
        "go or no-go, and what it rests on",
        (
            ("value", "Value", "three numbers as ranges, each with its sources"),
            ("executive", "One sheet", "print it; what is unknown stands on it"),
        ),
    ),
}
"""Who → what they ask, and page, name and what to look at, in order."""

_HOUSE = {"fleet": "/", "review": "/review", "audit": "/audit"}


def build_tour(agent: str, says: Mapping[str, str], now: datetime) -> SectionsPage:
    """Build the tour of one agent.

    Args:
        agent: The agent it leads through.
        says: First sentence of each page that was made, by its name.
        now: The moment, aware UTC.
    """
    base = f"/agents/{quote(agent, safe='')}"
    return SectionsPage(
        name="tour",
        title="Tour",
        heading="Tour",
        as_of=page_moment(now),
        sentence=Sentence(
            plain=f"{len(JOURNEYS)} people open these pages; this is what each finds on {shown_text(agent)} now."
        ),
        action=ActionOffer(
            label="Begin as the engineer: open the agent and follow Proof",
            command=f"pilothouse verdict {agent}",
            href=f"{base}/agent",
        ),
        sections=tuple(
            Section(
                anchor=f"journey-{number}",
                title=who,
                note=asks,
                columns=columns("Step", "Open", "Now it says"),
                rows=tuple(
                    row(
                        str(step),
                        Cell(text=title, href=_HOUSE.get(name, f"{base}/{name}"), small=look),
                        shown_text(says.get(name, "")),
                    )
                    for step, (name, title, look) in enumerate(steps, 1)
                ),
            )
            for number, (who, (asks, steps)) in enumerate(JOURNEYS.items(), 1)
        ),
    )
