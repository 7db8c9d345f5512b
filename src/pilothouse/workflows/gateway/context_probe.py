# SPDX-License-Identifier: Apache-2.0
"""Look through recorded calls for inputs that a server read less of than was sent, and keep the count as evidence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pilothouse.core.evidence.evidence import Binding, Evidence
from pilothouse.core.evidence.recorded import bound_record
from pilothouse.core.evidence.unix_time import moment_of, unix_ns
from pilothouse.errors import UsageError
from pilothouse.ports.ledger import Ledger
from pilothouse.ports.runlog import RUNS_PAGE_MAX, RunLog
from pilothouse.runtime.context.counting import ContextCounter
from pilothouse.workflows.gateway.context_reading import NO_TERMS, ContextCount, CountedUnder, read_run

__all__ = ["ContextReport", "keep_truncation", "probe_context"]

CUT_SHOWN_MAX = 50
"""Runs named in a report and in its evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextReport:
    """What recorded calls say about their inputs.

    Attributes:
        agent: Agent.
        version: Version digest of the newest run; only its runs are looked at.
        since: Start of the window, aware UTC.
        until: End of it.
        inputs: Inputs whose size the provider reported.
        unknown: Inputs whose size it did not.
        edited: Inputs that the charter's own edits shortened, each with its ledger in the run log.
        cut: Inputs of which clearly less was read than was sent.
        opaque: Inputs that their provider was let shorten, where nobody sees what is lost.
        fired: Edits of the charter that took something out, by name.
        runs: Runs with such an input.
        error_share: 95 % quantile of the error of the estimate, from the second call of a run on; None without any.
    """

    agent: str
    version: str | None
    since: datetime
    until: datetime
    inputs: int
    unknown: int
    edited: int
    cut: int
    opaque: int
    fired: tuple[str, ...]
    runs: tuple[str, ...]
    error_share: float | None


def probe_context(
    log: RunLog, agent: str, now: datetime, *, days: int, since: datetime | None = None
) -> ContextReport:
    """Read the recorded runs of an agent's newest version, oldest first.

    Args:
        log: The run log.
        agent: Agent.
        now: The moment, aware UTC.
        days: How far back.
        since: No further than this moment, aware UTC.

    Raises:
        UsageError: No run of the agent is recorded in that time.
    """
    first = now - timedelta(days=days)
    since = first if since is None else max(since, first)
    summaries = log.runs(agent=agent, since_ns=unix_ns(since), limit=RUNS_PAGE_MAX)
    if not summaries:
        raise UsageError(
            f"no run of {agent!r} was recorded in the last {days} days",
            remedy="Send its model calls through the gateway: `pilothouse run -- CMD`",
            subject=agent,
        )
    if len(summaries) == RUNS_PAGE_MAX:  # what lies before the oldest was not looked at
        since = moment_of(summaries[-1].opened_ns)
    version = summaries[0].version
    counter = ContextCounter()
    whole, errors = ContextCount(), list[float]()
    runs: dict[str, None] = {}
    for summary in reversed([each for each in summaries if each.version == version]):
        found, missed_by = read_run(counter, log.read(summary.run))
        whole = whole.plus(found)
        errors += missed_by
        if found.cut:
            runs[summary.run] = None
    errors.sort()
    return ContextReport(
        agent=agent,
        version=version,
        since=since,
        until=now,
        inputs=whole.inputs,
        unknown=whole.unknown,
        edited=whole.edited,
        cut=whole.cut,
        opaque=whole.opaque,
        fired=tuple(sorted(whole.fired)),
        runs=tuple(runs)[:CUT_SHOWN_MAX],
        error_share=errors[int(len(errors) * 0.95)] if errors else None,
    )


def keep_truncation(ledger: Ledger, report: ContextReport, terms: CountedUnder = NO_TERMS) -> Evidence | None:
    """Keep the count as evidence; None when no provider reported a size, because unknown is not zero.

    Args:
        ledger: Where it is kept.
        report: What was found.
        terms: What the charter said while the inputs were sent.
    """
    if report.inputs == 0:
        return None
    record = bound_record(
        "truncation",
        report.agent,
        report.until,
        command=f"pilothouse context probe {report.agent}",
        binds=Binding(version=report.version, contract=terms.digest),
        since=report.since,
        n=report.inputs,
        good=report.inputs - report.cut,
        detail=f"{report.cut} of {report.inputs} inputs were read short; {report.unknown} more without a reported size; {report.edited} were shortened visibly, {report.opaque} more by their provider if it liked.",
        items=report.runs,
        counts={"unreported": report.unknown, "edited": report.edited, "opaque": report.opaque},
    )
    ledger.add_evidence([record])
    return record
