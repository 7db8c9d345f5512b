# SPDX-License-Identifier: Apache-2.0
"""The sections of the Controls page: what stops the agent, calls that wait, permissions and their use (facts → sections)."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.systems import Tool
from pilothouse.core.verdict.numbers import short_digest
from pilothouse.core.verdict.verdict import Status
from pilothouse.ports.approvals import Approval
from pilothouse.reports.control_facts import ControlFacts, ToolUse
from pilothouse.reports.domain import shown_names
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.moments import duration_text, moment
from pilothouse.reports.sections import Cell, Field, FormOffer, Row, Section, columns, row
from pilothouse.reports.view_models import Empty, Link, mark_of, shown_text
from pilothouse.reports.words import UNKNOWN

__all__ = ["approvers_section", "denied_section", "permissions_section", "stop_section", "waiting_section"]

VALUE_CHARS_MAX = 400
"""Characters of one argument that an approver is shown before `pilothouse approve show`."""


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
                argument.role
                + (
                    f"; may hold no personal data, and holds: {', '.join(argument.personal)}"
                    if argument.personal
                    else ""
                ),
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


def permissions_section(charter: Charter, facts: ControlFacts, now: datetime) -> Section:
    """Return what each tool may be used for, whether its examples hold, and its use."""
    tools = known(charter.tools) or {}
    span = "in 30 days" if facts.used_since is None else f"since {moment(facts.used_since, now).absolute}"
    return Section(
        anchor="permissions",
        title="Permissions",
        note=f"use through the boundary {span}; examples are run on the compiled policy",
        columns=columns(
            "State", "Tool", "May be used for", "Examples", "#Allowed", "#Asked", "#Denied", "Last allowed"
        ),
        rows=tuple(_permission(name, tool, facts, now) for name, tool in tools.items()),
        more=(
            Link(
                text="Compliance map: GDPR, EU AI Act, SOC 2 and others",
                href=f"/agents/{quote(charter.agent, safe='')}/compliance",
            ),
        ),
        empty=Empty(
            missing="The charter names no tool, so every call is denied.",
            asked_by="INT-8",
            command="pilothouse check",
        ),
    )


def _permission(name: str, tool: Tool, facts: ControlFacts, now: datetime) -> Row:
    use, run = facts.used.get(name, ToolUse()), facts.examples.get(name)
    if run is None:
        mark = mark_of(Status.NO_EVIDENCE, word="Not run")
    elif run.failing:
        mark = mark_of(Status.BREACHED, word="Examples fail")
    elif not facts.any_decided:
        mark = mark_of(Status.NO_EVIDENCE, word="Not known")
    elif not use.allowed:
        mark = mark_of(Status.AT_RISK, word="Unused")
    else:
        mark = mark_of(Status.HOLDS, word="In use")
    examples = f"{run.allow} allow, {run.deny} deny" if run else "none run"
    types = ", ".join(known(tool.task_types) or ()) or "no task type"
    on_fail = "otherwise a person is asked" if known(tool.on_fail) == "ask" else "otherwise denied"
    is_known = facts.any_decided
    counts = [f"{one:,}" if is_known else UNKNOWN for one in (use.allowed, use.asked, use.denied)]
    return row(
        mark,
        Cell(text=shown_text(name), small=f"{known(tool.effect) or 'open'} effect"),
        Cell(text=shown_text(types), small=on_fail),
        Cell(text=examples, small=", ".join(run.failing) if run else ""),
        *counts,
        moment(use.last_at, now) if use.last_at else "never" if is_known else UNKNOWN,
        anchor=f"tool-{name}",
    )


def denied_section(facts: ControlFacts, agent: str, now: datetime) -> Section:
    """Return the newest calls that were not made."""
    return Section(
        anchor="denied",
        title="Denied calls",
        note="newest",
        columns=columns("When", "Tool", "Rule", "Run"),
        rows=tuple(
            row(
                moment(one.at, now),
                shown_text(one.tool),
                shown_text(one.rule),
                Cell(
                    text=shown_text(one.run)[:8],
                    is_code=True,
                    href=f"/agents/{quote(agent, safe='')}/tasks/{quote(one.run, safe='')}",
                ),
            )
            for one in facts.denied
        ),
        empty=Empty(
            missing="No call was denied in the last 30 days."
            if facts.any_decided
            else "No call went through the boundary in 30 days, so nothing is known of what it would deny.",
            command="pilothouse mcp --help",
        ),
    )
