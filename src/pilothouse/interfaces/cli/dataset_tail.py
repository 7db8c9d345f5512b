# SPDX-License-Identifier: Apache-2.0
"""`pilothouse dataset tail`: which kinds of input an agent is asked, how rare each is, and which has no case."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.core.verdict.numbers import percentage
from pilothouse.interfaces.cli.consoles import print_json, say
from pilothouse.interfaces.cli.controls import command_line_actor
from pilothouse.interfaces.cli.options import AgentOption, AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.core.evidence.input_kinds import InputKind
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.workflows.reports.inputs import InputAnalysis
    from pilothouse.workflows.reports.inputs_week import WeekOfInputs

__all__ = ["add_tail"]

KINDS_SHOWN_MAX = 25
WIDTH = 46


def add_tail(group: typer.Typer, services: Services) -> None:
    """Add `tail` to the group `dataset`."""

    @group.command("tail")
    def tail(
        *,
        agent: AgentOption = None,
        offer: Annotated[
            Path | None,
            typer.Option(metavar="FILE", help="Write inputs of untested kinds to a file, to be labelled."),
        ] = None,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Divide the inputs of 28 days into kinds, name the rare ones, and look for new ones; goes on record."""
        from pilothouse.workflows.reports.inputs import offer_cases
        from pilothouse.workflows.reports.inputs_week import look_at_inputs

        with services.open_installation(load_settings(home=home)) as installation:
            now, actor = installation.clock.now(), command_line_actor()
            found, week, kept = look_at_inputs(installation, agent, now, actor=actor)
            offered = offer_cases(installation.lake, found, offer) if offer is not None else 0
        if as_json:
            print_json(_record(found, week))
            return
        for line in (*_lines(found, is_kept=bool(kept)), *_week(week)):
            say(line)
        if offer is not None:
            say(f"{offer}: {offered} inputs; give each an expectation and a label, then")
            say(f"  pilothouse dataset add FOLDER {offer}")


def _record(found: InputAnalysis, week: WeekOfInputs) -> dict[str, object]:
    kinds = found.kinds.kinds
    return {
        "tasks": found.read.tasks,
        "inputs": len(found.listed),
        "is_enough": found.read.is_enough,
        "kinds": [
            {
                "name": kind.name,
                "inputs": len(kind.inputs),
                "share": kind.share,
                "cases": cases if found.labelled is not None else None,
                "is_rare": kind in found.rare,
                "is_untested": kind in found.untested,
                "traces": found.traces(kind),
            }
            for kind, cases in zip(kinds, found.cases, strict=True)
        ],
        "week": {
            "inputs": week.inputs,
            "compared_with": week.compared_with,
            "is_enough": week.is_enough,
            "new": [
                {"name": kind.name, "share": kind.share, "cases": cases, "is_harmful": kind in week.harmful}
                for kind, cases in zip(week.kinds, week.cases, strict=True)
            ],
        },
    }


def _lines(found: InputAnalysis, *, is_kept: bool) -> list[str]:
    kinds = found.kinds.kinds
    lines = [
        f"{len(found.listed):,} inputs of {found.read.tasks:,} tasks in 28 days, {len(kinds)} kinds, {len(found.rare)} rare."
    ]
    if kinds:
        lines.append(f"   {'kind':<{WIDTH}}  inputs   share  cases")
    for kind, cases in list(zip(kinds, found.cases, strict=True))[:KINDS_SHOWN_MAX]:
        lines.append(_line(kind, cases, found))
    if len(kinds) > KINDS_SHOWN_MAX:
        lines.append(f"   and {len(kinds) - KINDS_SHOWN_MAX} smaller kinds; --json has all")
    if not is_kept:
        lines.append(
            "Too little for a record: 1,000 inputs with a text are needed, or all of 28 days and at least 200."
        )
    elif found.labelled is None:
        lines.append(
            "No labelled dataset can be read, so no kind has a case: `pilothouse dataset add FOLDER FILE`."
        )
    elif found.untested:
        lines.append(
            f"{len(found.untested)} kinds of 1 % or more have fewer than 3 labelled cases (marked !)."
        )
        lines.append("  pilothouse dataset tail --offer tail.jsonl")
    else:
        lines.append("Each kind of 1 % of the inputs or more has 3 labelled cases or more.")
    return lines


def _line(kind: InputKind, cases: int, found: InputAnalysis) -> str:
    name = kind.name if len(kind.name) <= WIDTH else f"{kind.name[: WIDTH - 1]}…"
    mark = "!" if kind in found.untested else "~" if kind in found.rare else " "
    count = f"{cases:>5,}" if found.labelled is not None else "    ?"
    return f" {mark} {name:<{WIDTH}}  {len(kind.inputs):>6,}  {percentage(kind.share):>7}  {count}"


def _week(week: WeekOfInputs) -> list[str]:
    if week.compared_with is None:
        return [
            "New kinds: nothing to compare this week with; an analysis counts from a week after it was made."
        ]
    if not week.is_enough:
        return [f"New kinds: {week.inputs:,} inputs of this week are too few to look at; 100 are needed."]
    if not week.kinds:
        return [f"New kinds: none among {week.inputs:,} inputs of this week."]
    lines = [f"New kinds among {week.inputs:,} inputs of this week:"]
    for kind, cases in zip(week.kinds, week.cases, strict=True):
        mark = "!" if kind in week.harmful else "~"
        lines.append(f" {mark} {kind.name}: {percentage(kind.share)} of inputs, {cases:,} labelled cases")
    return lines
