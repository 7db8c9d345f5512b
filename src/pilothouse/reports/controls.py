# SPDX-License-Identifier: Apache-2.0
"""The Controls page: what the agent may do, what was used and denied, what waits for a person, and how to stop it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.systems import Tool
from pilothouse.core.verdict.numbers import short_digest
from pilothouse.core.verdict.verdict import Status
from pilothouse.ports.approvals import Approval, ApproverRecord
from pilothouse.ports.controls import Pause, Rollback
from pilothouse.reports.domain import shown_names
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.moments import duration_text, moment
from pilothouse.reports.sections import Cell, Field, FormOffer, Row, Section, SectionsPage, columns
from pilothouse.reports.view_models import (
    ActionOffer,
    Empty,
    Sentence,
    StatusMark,
    page_moment,
    shown_text,
)
from pilothouse.reports.words import SHAPES, plural

__all__ = ["ControlFacts", "DeniedCall", "ExamplesRun", "ToolUse", "build_controls"]

WAITING_MAX = 20
"""Calls shown at once; the rest stands in `pilothouse approve list`."""

VALUE_CHARS_MAX = 400
"""Characters of one argument that an approver is shown before `pilothouse approve show`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """How a tool was used in the last 30 days."""

    allowed: int = 0
    asked: int = 0
    denied: int = 0
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamplesRun:
    """How the examples of a tool went on its compiled policy; `allow` and `deny` count those that hold."""

    allow: int = 0
    deny: int = 0
    failing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeniedCall:
    """One call that was not made."""

    at: datetime
    tool: str
    run: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlFacts:
    """What is in force and on record for an agent.

    Attributes:
        pauses: Pauses in force.
        rollback: Rollback in force, or None.
        version: Version that serves, or None.
        earlier: Versions that passed the release gate before, newest first.
        waiting: Calls that wait for a person, oldest first.
        used: Use of each tool.
        examples: Examples of each tool.
        problem: Why examples could not be run, or empty.
        denied: Newest denied calls.
        approvers: How people answered.
    """

    pauses: Sequence[Pause]
    rollback: Rollback | None
    version: str | None
    earlier: Sequence[str]
    waiting: Sequence[Approval]
    used: Mapping[str, ToolUse]
    examples: Mapping[str, ExamplesRun]
    problem: str = ""
    denied: Sequence[DeniedCall] = ()
    approvers: Sequence[ApproverRecord] = ()


def build_controls(
    charter: Charter, facts: ControlFacts, now: datetime, *, person: str = "", doing: str = ""
) -> SectionsPage:
    """Build the page.

    Args:
        charter: The charter in force.
        facts: What is in force and on record.
        now: The moment, aware UTC.
        person: Person id of who looks at it, or empty.
        doing: What the visitor asked to do and has not confirmed: `pause`, `rollback` or empty.
    """
    mark, plain = _state(charter, facts, now)
    base = f"/agents/{quote(charter.agent, safe='')}/controls"
    return SectionsPage(
        name="controls",
        title=f"{mark.word} · controls of {charter.agent}",
        heading="Controls",
        agent=charter.agent,
        as_of=page_moment(now),
        mark=mark,
        sentence=Sentence(plain=plain),
        action=_action(charter, facts, person),
        notices=(shown_text(facts.problem),) if facts.problem else (),
        sections=(
            _stop(charter, facts, now, base=base, doing=doing),
            *(_waiting(one, now, base, person) for one in facts.waiting[:WAITING_MAX]),
            _permissions(charter, facts, now),
            _denied(facts, charter.agent, now),
            _approvers(charter, facts),
        ),
    )


def _mark(status: Status, word: str) -> StatusMark:
    return StatusMark(status=status, word=word, shape=SHAPES[status])


def _state(charter: Charter, facts: ControlFacts, now: datetime) -> tuple[StatusMark, str]:
    agent = charter.agent
    whole = next((one for one in facts.pauses if one.tool is None), None)
    if whole is not None:
        since = moment(whole.at, now)
        return _mark(Status.BREACHED, "Paused"), shown_text(
            f"{agent} has been paused since {since.absolute} by {whole.actor}: {whole.reason.removeprefix(f'{whole.actor}: ')}"
        )
    if facts.rollback is not None:
        return _mark(Status.AT_RISK, "Rolled back"), shown_text(
            f"Only version {short_digest(facts.rollback.to_version)} of {agent} may serve: {facts.rollback.reason}"
        )
    failing = [tool for tool, run in facts.examples.items() if run.failing]
    if failing:
        return _mark(Status.BREACHED, "Breached"), shown_text(
            f"The permissions of {', '.join(failing)} do not do what their examples say."
        )
    if facts.waiting:
        first = moment(min(one.expires_at for one in facts.waiting), now)
        return _mark(Status.AT_RISK, "Waiting"), (
            f"{plural(len(facts.waiting), 'call waits', 'calls wait')} for a person; the first lapses {first.shown}, and lapsing is a no."
        )
    tools = known(charter.tools) or {}
    if not tools:
        return _mark(Status.NO_EVIDENCE, "No evidence"), "The charter does not say what any tool may do."
    unused = [name for name in tools if not facts.used.get(name, ToolUse()).allowed]
    plain = f"{plural(len(tools), 'tool')} may be used; nothing is paused and nothing waits."
    if unused:
        plain = f"{len(unused)} of {plural(len(tools), 'tool')} were not used through the boundary for 30 days; nothing is paused and nothing waits."
        return _mark(Status.AT_RISK, "Unused permissions"), plain
    return _mark(Status.HOLDS, "In force"), plain


def _action(charter: Charter, facts: ControlFacts, person: str) -> ActionOffer | None:
    agent = charter.agent
    for one in facts.waiting:
        names = shown_names(charter)
        return ActionOffer(
            label=f"Answer for {shown_text(one.tool)}",
            command="" if person in one.approvers else f"pilothouse approve show {one.id[:12]}",
            href=f"#call-{one.id[:12]}",
            who=tuple(names.get(who, who) for who in one.approvers),
        )
    for pause in facts.pauses:
        tool = f" --tool {pause.tool}" if pause.tool else ""
        return ActionOffer(
            label="Let it act again when the reason is gone", command=f"pilothouse resume {agent}{tool}"
        )
    if facts.rollback is not None:
        return ActionOffer(
            label="Let every version serve again when the cause is mended",
            command=f"pilothouse rollback {agent} --undo",
        )
    if any(run.failing for run in facts.examples.values()):
        return ActionOffer(label="Mend the examples or the policy", command="pilothouse policy test")
    unused = any(not facts.used.get(name, ToolUse()).allowed for name in known(charter.tools) or {})
    if unused:
        return ActionOffer(
            label="Remove permissions that nobody uses, or say why they stay",
            command=f"pilothouse policy check {agent}",
        )
    return None


def _stop(charter: Charter, facts: ControlFacts, now: datetime, *, base: str, doing: str) -> Section:
    rows, forms = [], []
    for pause in facts.pauses:
        tool = pause.tool or ""
        rows.append(
            Row(
                cells=(
                    Cell(mark=_mark(Status.BREACHED, "Paused")),
                    Cell(text=shown_text(tool) or "the whole agent"),
                    Cell(when=moment(pause.at, now)),
                    Cell(text=shown_text(pause.actor)),
                    Cell(text=shown_text(pause.reason)),
                )
            )
        )
        forms.append(
            _form(base, (("resume", f"Let {shown_text(tool) or charter.agent} act again"),), tool=tool)
        )
    if facts.rollback is not None:
        back = facts.rollback
        rows.append(
            Row(
                cells=(
                    Cell(mark=_mark(Status.AT_RISK, "Rolled back")),
                    Cell(text=f"to {short_digest(back.to_version)}"),
                    Cell(when=moment(back.at, now)),
                    Cell(text=shown_text(back.actor)),
                    Cell(text=shown_text(back.reason)),
                )
            )
        )
        forms.append(_form(base, (("undo", "Let every version serve again"),)))
    forms.extend(_stop_forms(charter, facts, base, doing))
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
) -> FormOffer:
    fields = [Field(name="reason", label="Why, one sentence", is_required=True)]
    if tool:
        fields.append(Field(name="tool", value=tool))
    if versions:
        fields.append(Field(name="version", label="To version", value=versions[0][0], choices=versions))
    return FormOffer(href=base, fields=tuple(fields), buttons=buttons, warning=warning)


def _waiting(one: Approval, now: datetime, base: str, person: str) -> Section:
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
            Row(
                cells=(
                    Cell(text=shown_text(argument.name)),
                    Cell(text=foreign_line(argument.value, chars_max=VALUE_CHARS_MAX), is_code=True),
                    Cell(text=argument.role),
                    Cell(text=", ".join(argument.origins)),
                    Cell(text=shown_text(argument.source or "")),
                )
            )
            for argument in one.arguments
        ),
        empty=Empty(missing="The call has no arguments.", command=f"pilothouse approve show {one.id[:12]}"),
        forms=forms,
    )


def _permissions(charter: Charter, facts: ControlFacts, now: datetime) -> Section:
    tools = known(charter.tools) or {}
    return Section(
        anchor="permissions",
        title="Permissions",
        note="use through the boundary in 30 days; examples are run on the compiled policy",
        columns=columns(
            "State", "Tool", "May be used for", "Examples", "#Allowed", "#Asked", "#Denied", "Last allowed"
        ),
        rows=tuple(_permission(name, tool, facts, now) for name, tool in tools.items()),
        empty=Empty(
            missing="The charter names no tool, so every call is denied.",
            asked_by="INT-8",
            command="pilothouse check",
        ),
    )


def _permission(name: str, tool: Tool, facts: ControlFacts, now: datetime) -> Row:
    use, run = facts.used.get(name, ToolUse()), facts.examples.get(name)
    if run is None:
        mark = _mark(Status.NO_EVIDENCE, "Not run")
    elif run.failing:
        mark = _mark(Status.BREACHED, "Examples fail")
    elif not use.allowed:
        mark = _mark(Status.AT_RISK, "Unused")
    else:
        mark = _mark(Status.HOLDS, "In use")
    examples = f"{run.allow} allow, {run.deny} deny" if run else "none run"
    types = ", ".join(known(tool.task_types) or ()) or "no task type"
    on_fail = "otherwise a person is asked" if known(tool.on_fail) == "ask" else "otherwise denied"
    return Row(
        anchor=f"tool-{name}",
        cells=(
            Cell(mark=mark),
            Cell(text=shown_text(name), small=f"{known(tool.effect) or 'open'} effect"),
            Cell(text=shown_text(types), small=on_fail),
            Cell(text=examples, small=", ".join(run.failing) if run else ""),
            Cell(text=f"{use.allowed:,}"),
            Cell(text=f"{use.asked:,}"),
            Cell(text=f"{use.denied:,}"),
            Cell(when=moment(use.last_at, now) if use.last_at else None, text="" if use.last_at else "never"),
        ),
    )


def _denied(facts: ControlFacts, agent: str, now: datetime) -> Section:
    return Section(
        anchor="denied",
        title="Denied calls",
        note="newest",
        columns=columns("When", "Tool", "Rule", "Run"),
        rows=tuple(
            Row(
                cells=(
                    Cell(when=moment(one.at, now)),
                    Cell(text=shown_text(one.tool)),
                    Cell(text=shown_text(one.rule)),
                    Cell(
                        text=shown_text(one.run)[:8],
                        is_code=True,
                        href=f"/agents/{quote(agent, safe='')}/tasks/{quote(one.run, safe='')}",
                    ),
                )
            )
            for one in facts.denied
        ),
        empty=Empty(
            missing="No call was denied in the last 30 days, or none went through the boundary.",
            command="pilothouse mcp --help",
        ),
    )


def _approvers(charter: Charter, facts: ControlFacts) -> Section:
    names = shown_names(charter)
    return Section(
        anchor="approvers",
        title="How people answered",
        note="a known-bad call is asked now and then; who agrees to everything is no control",
        columns=columns("Who", "#Answered", "#Agreed", "#Median time", "#Within 3 s", "#Known-bad refused"),
        rows=tuple(
            Row(
                cells=(
                    Cell(text=names.get(one.actor, shown_text(one.actor))),
                    Cell(text=f"{one.answered:,}"),
                    Cell(text=f"{one.allowed:,}"),
                    Cell(text=duration_text(one.median_s)),
                    Cell(text=f"{one.under_3_s:,}"),
                    Cell(text=f"{one.caught:,} of {one.canaries:,}"),
                )
            )
            for one in facts.approvers
        ),
        empty=Empty(missing="Nobody has answered for a call yet.", command="pilothouse approve list"),
    )
