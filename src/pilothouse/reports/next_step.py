# SPDX-License-Identifier: Apache-2.0
"""The one thing that a verdict asks for, the same on every page of an agent (verdict → action)."""

from __future__ import annotations

from urllib.parse import quote

from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.remediation import Step, plan_steps
from pilothouse.core.verdict.sentence import person_names
from pilothouse.core.verdict.verdict import AgentVerdict, Status
from pilothouse.reports.view_models import ActionOffer, shown_text
from pilothouse.reports.words import plural

__all__ = ["make_sure", "next_step"]


def next_step(verdict: AgentVerdict, charter: Charter) -> ActionOffer | None:
    """Return the step that settles what decides the verdict; None when everything holds."""
    steps = plan_steps(verdict, charter).steps
    if verdict.status is Status.HOLDS or not steps:
        return None
    deciding = [step for step in steps if any(_requirement(item) == verdict.deciding for item in step.items)]
    step = (deciding or list(steps))[0]
    names = person_names(charter)
    return ActionOffer(
        label=_label(step, verdict),
        command=step.command,
        href=f"/agents/{quote(verdict.agent, safe='')}/readiness#{verdict.deciding}",
        who=tuple(names.get(person, person) for person in step.who),
    )


def _label(step: Step, verdict: AgentVerdict) -> str:
    """Say what is to be made sure of, and why, unless the page's first sentence has just said it."""
    more = f", and {plural(len(step.items) - 1, 'more part')}" if len(step.items) > 1 else ""
    # One command may settle many: what the page opens on is named, whichever of them comes first.
    named = next((item for item in step.items if _requirement(item) == verdict.deciding), step.items[0])
    name, _, part = named.removesuffix(" all").partition(" ")
    statement = next((one.statement for one in verdict.requirements if one.requirement == name), "")
    settled = make_sure(name, statement, part + more)
    is_said = step.sentence.removesuffix(".") in verdict.sentence or named != step.items[0]
    return shown_text(settled if is_said else f"{step.sentence} {settled}")


def _requirement(item: str) -> str:
    """Return `MON-7` of `MON-7 po_invoice · contradicted`."""
    return item.partition(" ")[0]


def make_sure(requirement: str, statement: str, part: str = "") -> str:
    """Ask for what a requirement lacks, in the same words on every page: its words first, its id behind them.

    Args:
        requirement: Its id.
        statement: What must be true.
        part: The part of the agent that is meant, or empty for all of it.

    Example:
        >>> make_sure("DATA-4", "Wrong outputs find their way back", "credit_note, and 1 more part")
        'Make sure: wrong outputs find their way back (DATA-4, credit_note, and 1 more part)'
    """
    words = f"{statement[:1].lower()}{statement[1:]}"
    return f"Make sure: {words} ({', '.join(filter(None, (requirement, part.removeprefix(', '))))})"
