# SPDX-License-Identifier: Apache-2.0
"""Verdicts and plans as text that a reviewer reads like code."""

from __future__ import annotations

import textwrap
from datetime import datetime
from pathlib import Path

from evidence_made import load_charter

from pilothouse.core.action.demotion import plan_demotion
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.verdict.readiness import decide, exit_status
from pilothouse.core.verdict.remediation import plan_steps
from pilothouse.core.verdict.waiver import Waiver

WIDTH = 110
STEPS_SHOWN = 12
ORDER = ("breached", "no_evidence", "at_risk")


def read_story(folder: Path):
    """Return the arguments of `decide` that a folder holds."""
    head, *rest = (folder / "now.txt").read_text(encoding="utf-8").splitlines()
    said = dict(line.split(": ") for line in rest)
    waivers = folder / "waivers.jsonl"
    lines = waivers.read_text(encoding="utf-8").splitlines() if waivers.exists() else []
    return {
        "charter": load_charter(folder / "charter.yaml"),
        "evidence": [
            Evidence.model_validate_json(line)
            for line in (folder / "evidence.jsonl").read_text(encoding="utf-8").splitlines()
        ],
        "now": datetime.fromisoformat(head),
        "phase": said["phase"],
        "version": None if said["version"] == "unnamed" else said["version"],
        "waivers": tuple(Waiver.model_validate_json(line) for line in lines),
    }


def decide_story(story):
    options = dict(story)
    return decide(options.pop("charter"), options.pop("evidence"), options.pop("now"), **options)


def wrapped(text, indent):
    return textwrap.fill(
        text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * indent, break_on_hyphens=False
    )


def verdict_text(verdict):
    """Return what a verdict says, worst first."""
    lines = [
        f"{verdict.agent} · phase {verdict.phase} · version {(verdict.version or 'unnamed')[:7]} · {verdict.as_of:%Y-%m-%d %H:%M} UTC",
        f"{verdict.word} · {verdict.status.value}{reason_of(verdict)} · exit {int(exit_status(verdict))}",
        wrapped(verdict.sentence, 0),
        f"next lapse: {verdict.next_lapse_at:%Y-%m-%d %H:%M}"
        if verdict.next_lapse_at
        else "next lapse: nothing counts yet",
        "",
    ]
    for gate in verdict.gates:
        counts = f"breached {len(gate.breached)}, no evidence {len(gate.no_evidence)}, at risk {len(gate.at_risk)}, holds {len(gate.holds)}"
        lines.append(f"gate {gate.gate}  {gate.status.value:<12} worst {gate.worst:<8} {counts}")
    lines += [f"{one.domain:<6}  {one.status.value:<12} worst {one.worst}" for one in verdict.domains]
    for status in ORDER:
        found = [one for one in verdict.requirements if one.status.value == status and asked(one)]
        if found:
            lines += ["", f"{status} ({len(found)})"]
        for one in found:
            decided_by = (
                "" if one.deciding.requirement == one.requirement else f" (see {one.deciding.requirement})"
            )
            lines.append(f"  {one.requirement} {one.statement}{reason_of(one)}{decided_by}")
            items = [
                item
                for item in one.items
                if item.status.value == status and item.requirement == one.requirement
            ]
            for item in items[:2]:
                lines.append(wrapped(f"{item.scope.label}: {item.sentence}", 4))
                lines.append(wrapped(f"→ {item.remedy} ({', '.join(item.who) or 'nobody named'})", 6))
            if len(items) > 2:
                lines.append(f"    and {len(items) - 2} more of this kind")
            if one.waiver:
                lines.append(
                    wrapped(
                        f"waived until {one.waiver.until:%Y-%m-%d} by {one.waiver.signer}: {one.waiver.reason}",
                        4,
                    )
                )
    holding = [one.requirement for one in verdict.requirements if one.status.value == "holds"]
    lines += ["", f"holds ({len(holding)})", wrapped(" ".join(holding) or "nothing", 2)]
    silent = [one.requirement for one in verdict.requirements if not asked(one)]
    lines += ["", f"not asked by this charter: {' '.join(silent)}"] if silent else []
    lines += ["", *(f"note: {note}" for note in verdict.notes)] if verdict.notes else []
    return "\n".join(lines) + "\n"


def asked(one):
    return bool(one.gates) or one.domain == "Q"


def reason_of(one):
    return f" ({one.reason.value})" if one.reason else ""


def plan_text(verdict, charter):
    """Return what to do and what happens otherwise."""
    plan = plan_steps(verdict, charter)
    steps = plan.steps
    lines = [f"{len(steps)} steps" + (f", the first {STEPS_SHOWN}:" if len(steps) > STEPS_SHOWN else "")]
    for number, step in enumerate(steps[:STEPS_SHOWN], start=1):
        settled = step.items[0] if len(step.items) == 1 else f"{step.items[0]} and {len(step.items) - 1} more"
        lines.append(
            f"{number:>2}. {step.command} · {', '.join(step.who) or 'nobody named'} · {step.status.value} · {settled}"
        )
        lines.append(wrapped(step.sentence, 4))
        cost = "cost unknown" if step.cost is None else f"{step.cost[0]:.0f} to {step.cost[1]:.0f}"
        lines.append(
            f"    saves {step.days_saved:.2f} d · work {step.work_days:.2f} d · wait {step.wait_days:.1f} d · {cost}"
        )
    if plan.days is not None:
        lines.append(
            f"gate {plan.gate} in {plan.days[0]:.1f} to {plan.days[1]:.1f} days: {' > '.join(plan.critical)}"
        )
    lines += ["", "moves"]
    moves = plan_demotion(verdict)
    lines += ["  none"] if not moves else []
    for move in moves:
        lines.append(
            f"  {move.move.value} · {move.requirement} · phase {move.phase or 'as it is'} · {move.due_at:%Y-%m-%d} · {move.remedy}"
        )
        lines.append(wrapped(move.sentence, 4))
    return "\n".join(lines) + "\n"
