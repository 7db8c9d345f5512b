# SPDX-License-Identifier: Apache-2.0
"""What each tool may do beside what it did: permissions, their use, and the calls that were denied (facts → sections)."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.systems import Tool
from pilothouse.core.verdict.verdict import Status
from pilothouse.reports.control_facts import ControlFacts, ToolUse
from pilothouse.reports.moments import moment
from pilothouse.reports.sections import Cell, Row, Section, columns, row
from pilothouse.reports.view_models import Empty, mark_of, shown_text

__all__ = ["denied_section", "permissions_section"]


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
    return row(
        mark,
        Cell(text=shown_text(name), small=f"{known(tool.effect) or 'open'} effect"),
        Cell(text=shown_text(types), small=on_fail),
        Cell(text=examples, small=", ".join(run.failing) if run else ""),
        f"{use.allowed:,}",
        f"{use.asked:,}",
        f"{use.denied:,}",
        moment(use.last_at, now) if use.last_at else "never",
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
            missing="No call was denied in the last 30 days, or none went through the boundary.",
            command="pilothouse mcp --help",
        ),
    )
