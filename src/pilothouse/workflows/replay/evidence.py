# SPDX-License-Identifier: Apache-2.0
"""Keep as evidence whether an incident could be replayed: the agent's own code against the record, nothing changed."""

from __future__ import annotations

from datetime import datetime

from pilothouse.core.action.incident import Incident
from pilothouse.core.action.incident_replays import REPLAYED_RUN
from pilothouse.core.evidence.evidence import UNKNOWN, Evidence
from pilothouse.core.evidence.recorded import bound_record
from pilothouse.errors import EvidenceError, UsageError
from pilothouse.ports.ledger import Ledger
from pilothouse.runtime.replay.mode import ReplayMode
from pilothouse.workflows.replay.run import ReplayReport

__all__ = ["keep_no_run", "keep_reproduction"]


def keep_no_run(ledger: Ledger, incident: Incident, why: str, now: datetime) -> Evidence:
    """Write a record that says that an incident has no run, so that a drill since may stand in for it.

    Args:
        ledger: Where it is kept.
        incident: The incident; the run log was asked for its tasks.
        why: What the run log says of them.
        now: The moment, aware UTC.
    """
    record = bound_record(
        REPLAYED_RUN,
        incident.agent,
        now,
        command=f"pilothouse replay {incident.name} --exec --evidence",
        n=1,
        passed=None,
        detail=why,
        items=(incident.name,),
        counts={UNKNOWN: 1},
    )
    ledger.add_evidence([record])
    return record


def keep_reproduction(ledger: Ledger, reports: tuple[ReplayReport, ...], now: datetime) -> Evidence:
    """Write a record that says whether a run was reproduced, every time it was tried.

    Args:
        ledger: Where it is kept.
        reports: Strict replays of one run with the agent's code and nothing changed.
        now: The moment, aware UTC.

    Raises:
        UsageError: They were something else, so they prove nothing about reproducing an incident.
        EvidenceError: They differ, and perhaps only because equal commands changed places.
    """
    first = reports[0]
    if first.mode is not ReplayMode.STRICT or first.grain != "code" or first.change != "nothing":
        raise UsageError(
            "only a strict replay with the agent's code and nothing changed shows that an incident can be reproduced",
            remedy=f"Type it: `pilothouse replay {first.run[:12]} --exec 'python agent.py' --evidence`",
            subject=first.run,
        )
    if any(each.is_undecided for each in reports):
        raise EvidenceError(
            f"whether run {first.run} can be reproduced is not known: equal commands of it ran at once, and nothing tells which is which",
            remedy="Start them from Python, one after the other, and record the run anew: `pilothouse run --taps clock,uuid,random -- CMD`",
            subject=first.run,
        )
    equal = sum(each.is_equal for each in reports)
    detail = f"run {first.run}: {equal} of {len(reports)} replays with the agent's code were equal"
    divergence = next((each.divergence for each in reports if each.divergence is not None), None)
    if divergence is not None:
        detail += f"; first divergence at call {divergence.call}: {divergence.kind} at {divergence.path}"
    if first.covered:
        masks = sorted({each.mask.ident for report in reports for each in report.covered})
        detail += f"; equal but for masks {', '.join(masks)} (version {first.masks.version})"
    record = bound_record(
        REPLAYED_RUN,
        first.agent,
        now,
        command=f"pilothouse replay {first.run} --exec --evidence",
        run_id=first.head,
        n=len(reports),
        passed=equal == len(reports),
        detail=detail,
        items=(first.run,),
        counts={
            "calls": first.calls,
            "refused": sum(len(each.refusals) for each in reports),
            "masked": sum(len(each.covered) for each in reports),
        },
    )
    ledger.add_evidence([record])
    return record
