# SPDX-License-Identifier: Apache-2.0
"""The Controls page: its sentence, its one action, and its sections in order (facts → page)."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.numbers import short_digest
from pilothouse.core.verdict.verdict import Status
from pilothouse.reports.control_facts import ControlFacts, ToolUse
from pilothouse.reports.control_sections import (
    approvers_section,
    denied_section,
    permissions_section,
    stop_section,
    waiting_section,
)
from pilothouse.reports.domain import shown_names
from pilothouse.reports.moments import moment
from pilothouse.reports.sections import SectionsPage
from pilothouse.reports.view_models import ActionOffer, Sentence, StatusMark, mark_of, page_moment, shown_text
from pilothouse.reports.words import plural

__all__ = ["build_controls"]

WAITING_MAX = 20
"""Calls shown at once; the rest stands in `pilothouse approve list`."""


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
            stop_section(charter, facts, now, base=base, doing=doing),
            *(waiting_section(one, now, base, person) for one in facts.waiting[:WAITING_MAX]),
            permissions_section(charter, facts, now),
            denied_section(facts, charter.agent, now),
            approvers_section(charter, facts),
        ),
    )


def _state(charter: Charter, facts: ControlFacts, now: datetime) -> tuple[StatusMark, str]:
    agent = charter.agent
    whole = next((one for one in facts.pauses if one.tool is None), None)
    if whole is not None:
        since = moment(whole.at, now)
        return mark_of(Status.BREACHED, word="Paused"), shown_text(
            f"{agent} has been paused since {since.absolute} by {whole.actor}: {whole.reason.removeprefix(f'{whole.actor}: ')}"
        )
    if facts.rollback is not None:
        return mark_of(Status.AT_RISK, word="Rolled back"), shown_text(
            f"Only version {short_digest(facts.rollback.to_version)} of {agent} may serve: {facts.rollback.reason}"
        )
    failing = [tool for tool, run in facts.examples.items() if run.failing]
    if failing:
        return mark_of(Status.BREACHED, word="Breached"), shown_text(
            f"The permissions of {', '.join(failing)} do not do what their examples say."
        )
    if facts.waiting:
        first = moment(min(one.expires_at for one in facts.waiting), now)
        return mark_of(Status.AT_RISK, word="Waiting"), (
            f"{plural(len(facts.waiting), 'call waits', 'calls wait')} for a person; the first lapses {first.shown}, and lapsing is a no."
        )
    tools = known(charter.tools) or {}
    if not tools:
        return mark_of(Status.NO_EVIDENCE), "The charter does not say what any tool may do."
    if not facts.any_decided:
        return mark_of(Status.NO_EVIDENCE, word="No call decided"), (
            f"No call was decided in 30 days, so nothing is known of the use of {plural(len(tools), 'tool')}; "
            "nothing is paused and nothing waits."
        )
    unused = [name for name in tools if not facts.used.get(name, ToolUse()).allowed]
    plain = f"{plural(len(tools), 'tool')} may be used; nothing is paused and nothing waits."
    if unused:
        span = "for 30 days"
        if facts.used_since is not None:
            span = f"since {moment(facts.used_since, now).absolute}, which is as far as a page counts"
        plain = (
            f"{len(unused)} of {plural(len(tools), 'tool')} were not used through the boundary {span}; "
            "nothing is paused and nothing waits."
        )
        return mark_of(Status.AT_RISK, word="Unused permissions"), plain
    return mark_of(Status.HOLDS, word="In force"), plain


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
    tools = known(charter.tools) or {}
    if tools and not facts.any_decided:
        return ActionOffer(
            label="Let it call its tools through the boundary", command="pilothouse mcp --help"
        )
    if any(not facts.used.get(name, ToolUse()).allowed for name in tools):
        return ActionOffer(
            label="Remove permissions that nobody uses, or say why they stay",
            command=f"pilothouse policy check {agent}",
        )
    return None
