# SPDX-License-Identifier: Apache-2.0
"""Recorded runs and reports of replays as plain text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pilothouse.core.dates import second
from pilothouse.core.evidence.run_log import (
    CUT_SHORT,
    ContextEdited,
    ModelRequest,
    ModelResponse,
    RecordedRun,
    RunSummary,
)
from pilothouse.reports.words import plural
from pilothouse.runtime.context.edits import recall_id
from pilothouse.runtime.replay.masks import tokens_apart

if TYPE_CHECKING:
    from pilothouse.workflows.replay.run import ReplayReport

__all__ = ["list_text", "recorded_text", "reports_text"]

REFUSALS_SHOWN = 10
COMPARISONS_SHOWN = 20

NOTHING_RECORDED = """\
No run is recorded yet: the gateway records a run when it passes on the model calls of an agent.
$ pilothouse provider add NAME URL --credential-env VARIABLE    once: where calls go, and with whose key
$ pilothouse run -- python agent.py"""
"""What to type until there is something to replay, in order."""


def list_text(runs: Sequence[RunSummary]) -> str:
    """Return recorded runs, one a line.

    Args:
        runs: Newest first.
    """
    if not runs:
        return NOTHING_RECORDED
    lines = ["RUN       AGENT                 CALLS  STATE       REPLAYABLE  OPENED"]
    lines += [
        f"{each.run[:8]}  {each.agent[:20]:<20}  {each.calls:>5}  {each.state:<10}  {each.replayable:<10}  {_moment(each.opened_ns)}"
        for each in runs
    ]
    return "\n".join(lines)


def recorded_text(recorded: RecordedRun) -> str:
    """Return what was recorded of a run, one event a line."""
    summary = recorded.summary
    lines = [
        f"run {summary.run} of {summary.agent}: {summary.state}, {summary.calls} model calls, replayable {summary.replayable}",
        f"identity {summary.identity}{'' if summary.identity.is_exact else ' (inferred)'}, chain head {summary.head[:16]}",
    ]
    for each in recorded.events:
        event = each.event
        detail = ""
        if isinstance(event, ModelRequest):
            detail = f"{event.route} {len(event.body)} bytes"
            detail += (
                f", opaque: its provider may shorten it ({', '.join(event.opaque)})" if event.opaque else ""
            )
        elif isinstance(event, ModelResponse):
            stand_in = f" of a stand-in after {event.fallback}" if event.fallback else ""
            detail = f"{event.status} {event.model or ''} {len(event.body)} bytes{stand_in}"
        elif isinstance(event, ContextEdited):
            detail = f"{event.policy} took out {plural(len(event.ledger), 'result')}"
        lines.append(
            f"{each.seq:>5}  {_moment(each.at_ns):>25}  {each.tap:<8}  {event.kind:<14}  {detail}".rstrip()
        )
        if isinstance(event, ContextEdited):
            lines += [f"{'':>7}{line}" for line in _removed_lines(summary.run, event)]
    if recorded.is_cut:
        lines.append(f"it may be shorter than what happened: {CUT_SHORT}")
    if recorded.damage:
        lines.append(f"the record ends here: {recorded.damage}")
    return "\n".join(lines)


def _removed_lines(run: str, event: ContextEdited) -> list[str]:
    """Return what was taken out, one result a line, and how it is read."""
    return [
        f"{entry['reason']:<9}  {entry['characters']:>9,} characters, about {entry['tokens']:,} tokens, at {entry['path']}: "
        f"pilothouse context recall {recall_id(run, str(entry['digest']))}"
        for entry in event.ledger
    ]


def _report_text(report: ReplayReport) -> str:
    """Return what came of a replay."""
    counts = report.counts
    lines = [
        f"replay of run {report.run[:8]} of {report.agent}: {report.mode}, {report.grain}, changed: {report.change}"
    ]
    beside = f" ({counts.compared} asked live beside it)" if counts.compared else ""
    lines.append(
        f"  {plural(report.calls, 'recorded call')}: {counts.served} served{beside}, {counts.live} live; "
        f"tools: {counts.pinned} put back, {counts.simulated} run inside, {counts.blocked} blocked"
    )
    divergence = report.divergence
    if report.is_equal:
        but = ", but for what masks cover" if report.covered else ""
        lines.append(f"  = every call was the recorded one{but}")
    elif divergence is not None:
        tool = f"({divergence.tool})" if divergence.tool else ""
        lines.append(
            f"  ≠ first divergence: call {divergence.call}, {divergence.kind}{tool} at {divergence.path}"
        )
        if divergence.recorded or divergence.found:
            lines += [
                f"      recorded: {_on_one_line(divergence.recorded)}",
                f"      replayed: {_on_one_line(divergence.found)}",
            ]
        lines += [f"      also {path}" for path in divergence.further]
        if report.grain == "code" and tokens_apart(divergence.recorded, divergence.found):
            lines.append(
                f"  there, only times, ids or numbers differ. What of it means nothing: pilothouse replay {report.run[:8]} --learn --exec CMD"
            )
    if report.is_cut:
        lines.append(f"  the run may be shorter than what happened: {CUT_SHORT}")
    if report.is_undecided:
        lines.append(
            f"  it may be none: {plural(report.twins, 'command')} of the run came up while an equal one was running, and nothing "
            "tells which was started first. A replay may give one what the other drew."
        )
    lines += _mask_lines(report)
    if report.counterfactual != "none":
        lines.append(f"  counterfactual: {report.counterfactual}")
    lines += _live_lines(report)
    for refusal in report.refusals[:REFUSALS_SHOWN]:
        lines.append(f"  refused: {refusal.what} {refusal.target} at {refusal.site}")
    if report.exit_status is not None:
        lines.append(f"  the agent ended with status {report.exit_status}")
    return "\n".join(lines)


def _mask_lines(report: ReplayReport) -> list[str]:
    """Return each mask in force, and what it covered."""
    counted = Counter(each.mask for each in report.covered)
    return [
        f"  mask {mask.ident} (version {report.masks.version}): {mask.sentence()}, covered {plural(counted[mask], 'difference')}"
        for mask in report.masks.masks
    ]


def _on_one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _live_lines(report: ReplayReport) -> list[str]:
    """Return how many live answers say the same, and each of the first ones."""
    asked = report.comparisons
    if not asked:
        return []
    failed = sum(each.has_failed for each in asked)
    lines = [f"  live answers: {sum(each.is_same for each in asked)} of {len(asked)} the same"]
    lines[0] += f", {failed} failed" if failed else ""
    for each in report.comparisons[:COMPARISONS_SHOWN]:
        sign = "=" if each.is_same else "≠"
        lines.append(
            f"  {sign} call {each.call or 'new'}: {each.live}"
            + ("" if each.is_same else f"   (recorded: {each.recorded})")
        )
    if len(report.comparisons) > COMPARISONS_SHOWN:
        lines.append(
            f"  and {len(report.comparisons) - COMPARISONS_SHOWN} more live answers; all of them: --json"
        )
    return lines


def reports_text(reports: Sequence[ReplayReport]) -> str:
    """Return what came of one or several replays; equal ones once, with their number."""
    counted = Counter(map(_report_text, reports))
    return "\n".join(
        text if len(reports) == 1 else f"{text}\n  {times} of {len(reports)} replays were like this"
        for text, times in counted.items()
    )


def _moment(ns: int) -> str:
    return second(datetime.fromtimestamp(ns / 1e9, UTC))
