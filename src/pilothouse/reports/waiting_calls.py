# SPDX-License-Identifier: Apache-2.0
"""Calls that wait for a person, and how people have answered so far (approvals → sections)."""

from __future__ import annotations

from datetime import datetime

from pilothouse.core.charter.charter import Charter
from pilothouse.ports.approvals import Approval
from pilothouse.reports.control_facts import ControlFacts
from pilothouse.reports.domain import shown_names
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.moments import duration_text, moment
from pilothouse.reports.sections import Cell, Field, FormOffer, Section, columns, row
from pilothouse.reports.view_models import Empty, shown_text

__all__ = ["approvers_section", "waiting_section"]

VALUE_CHARS_MAX = 400
"""Characters of one argument that an approver is shown before `pilothouse approve show`."""


def waiting_section(one: Approval, now: datetime, base: str, person: str) -> Section:
    """Return one call that waits: each argument with where it comes from, and the form of whoever is asked.

    Args:
        one: The call.
        now: The moment, aware UTC.
        base: Address of the page.
        person: Person id of who looks at it, or empty.
    """
    may = person in one.approvers and all(vote.actor != person for vote in one.votes)
    given = f"{sum(vote.allows for vote in one.votes)} of {one.needs} agreed"
    forms: tuple[FormOffer, ...] = ()
    if may:
        forms = (
            FormOffer(
                href=f"{base}/answer",
                fields=(
                    Field(name="approval", value=one.id),
                    Field(name="reason", label="Why, one sentence", is_required=True),
                ),
                buttons=(("deny", "Deny"), ("allow", "Allow this one call")),
                warning=f"{shown_text(one.effect).capitalize()} effect. Asked by {shown_text(one.requester) or 'nobody named'}; "
                f"not proven: {', '.join(shown_text(rule) for rule in one.failed) or 'nothing'}.",
            ),
        )
    return Section(
        anchor=f"call-{one.id[:12]}",
        title=f"Waiting: {shown_text(one.tool)}",
        note=f"lapses {moment(one.expires_at, now).shown} as a no; {given}; run {one.run[:8]}"
        + ("; something untrusted was read before" if one.tainted else ""),
        columns=columns("Argument", "Value", "Role", "Comes from", "Found in"),
        rows=tuple(
            row(
                shown_text(argument.name),
                Cell(text=foreign_line(argument.value, chars_max=VALUE_CHARS_MAX), is_code=True),
                argument.role,
                ", ".join(argument.origins),
                shown_text(argument.source or ""),
            )
            for argument in one.arguments
        ),
        empty=Empty(missing="The call has no arguments.", command=f"pilothouse approve show {one.id[:12]}"),
        forms=forms,
    )


def approvers_section(charter: Charter, facts: ControlFacts) -> Section:
    """Return how people answered, so that who agrees to everything is seen."""
    names = shown_names(charter)
    return Section(
        anchor="approvers",
        title="How people answered",
        note="a known-bad call is asked now and then; who agrees to everything is no control",
        columns=columns("Who", "#Answered", "#Agreed", "#Median time", "#Within 3 s", "#Known-bad refused"),
        rows=tuple(
            row(
                names.get(one.actor, shown_text(one.actor)),
                f"{one.answered:,}",
                f"{one.allowed:,}",
                duration_text(one.median_s),
                f"{one.under_3_s:,}",
                f"{one.caught:,} of {one.canaries:,}",
            )
            for one in facts.approvers
        ),
        empty=Empty(missing="Nobody has answered for a call yet.", command="pilothouse approve list"),
    )
