# SPDX-License-Identifier: Apache-2.0
"""The section that stops an agent and lets it act again: what is in force, asked twice, with names (facts → section)."""

from __future__ import annotations

from datetime import datetime

from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.numbers import short_digest
from pilothouse.core.verdict.verdict import Status
from pilothouse.reports.control_facts import ControlFacts
from pilothouse.reports.moments import moment
from pilothouse.reports.sections import Field, FormOffer, Section, columns, row
from pilothouse.reports.view_models import Empty, mark_of, shown_text

__all__ = ["stop_section"]


def stop_section(charter: Charter, facts: ControlFacts, now: datetime, *, base: str, doing: str) -> Section:
    """Return what is paused or rolled back, with the forms that stop an agent and let it act again.

    Args:
        charter: The charter in force.
        facts: What is in force.
        now: The moment, aware UTC.
        base: Address of the page.
        doing: What the visitor asked to do and has not confirmed: `pause`, `rollback` or empty.
    """
    rows, forms = [], []
    for pause in facts.pauses:
        tool = pause.tool or ""
        rows.append(
            row(
                mark_of(Status.BREACHED, word="Paused"),
                shown_text(tool) or "the whole agent",
                moment(pause.at, now),
                shown_text(pause.actor),
                shown_text(pause.reason),
            )
        )
        forms.append(
            _form(
                base,
                (("resume", f"Let {shown_text(tool) or charter.agent} act again"),),
                tool=tool,
                since=pause.at,
            )
        )
    if facts.rollback is not None:
        back = facts.rollback
        rows.append(
            row(
                mark_of(Status.AT_RISK, word="Rolled back"),
                f"to {short_digest(back.to_version)}",
                moment(back.at, now),
                shown_text(back.actor),
                shown_text(back.reason),
            )
        )
        forms.append(_form(base, (("undo", "Let every version serve again"),), since=back.at))
    stops = _stop_forms(charter, facts, base, doing)
    # What the visitor is about to do comes first: another form's field above it would be filled by mistake.
    forms = [*stops, *forms] if doing else [*forms, *stops]
    return Section(
        anchor="stop",
        title="Stop and go back",
        note="gateway and tools obey within 2 seconds",
        columns=columns("State", "What", "Since", "By", "Why"),
        rows=tuple(rows),
        empty=None
        if rows
        else Empty(
            missing="Nothing is paused and nothing is rolled back.",
            command=f"pilothouse pause {charter.agent} --reason WHY",
        ),
        forms=tuple(forms),
    )


def _stop_forms(charter: Charter, facts: ControlFacts, base: str, doing: str) -> list[FormOffer]:
    """What leads to a confirmation first, and the confirmation itself."""
    agent, serving = charter.agent, short_digest(facts.version)
    paused = any(one.tool is None for one in facts.pauses)
    told = "Who holds a duty for it reads the reason here; the audit log keeps who did it."
    if doing == "pause" and not paused:
        warning = (
            f"Pause {agent}, version {serving}? Model calls and tool calls are refused within 2 seconds; a task "
            f"that has begun meets the refusal at its next call. {told}"
        )
        return [_form(base, (("pause", f"Pause {agent} now"),), warning=warning)]
    if doing == "rollback" and facts.earlier:
        warning = (
            f"Roll {agent} back from version {serving}? Every other version is refused within 2 seconds; "
            f"a task under way on one of them meets the refusal at its next call. {told}"
        )
        versions = tuple((one, short_digest(one)) for one in facts.earlier)
        return [_form(base, (("rollback", f"Roll {agent} back now"),), warning=warning, versions=versions)]
    offers = [] if paused else [("ask-pause", f"Pause {agent} …")]
    if facts.earlier and facts.rollback is None:
        offers.append(("ask-rollback", "Roll back …"))
    return [FormOffer(href=base, buttons=tuple(offers))] if offers else []


def _form(
    base: str,
    buttons: tuple[tuple[str, str], ...],
    *,
    warning: str = "",
    tool: str = "",
    versions: tuple[tuple[str, str], ...] = (),
    since: datetime | None = None,
) -> FormOffer:
    fields = [Field(name="reason", label="Why, one sentence", is_required=True)]
    if tool:
        fields.append(Field(name="tool", value=tool))
    if since is not None:
        fields.append(Field(name="since", value=since.isoformat()))
    if versions:
        fields.append(Field(name="version", label="To version", value=versions[0][0], choices=versions))
    return FormOffer(href=base, fields=tuple(fields), buttons=buttons, warning=warning)
