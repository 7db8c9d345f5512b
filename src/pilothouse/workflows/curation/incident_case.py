# SPDX-License-Identifier: Apache-2.0
"""Make a recorded run a case of its charter's labelled dataset, by what a person says on the run's page."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pilothouse.core.charter.answers import known
from pilothouse.core.evidence.run_log import RecordedRun
from pilothouse.errors import UsageError
from pilothouse.ports.curation import CurationStore
from pilothouse.ports.ledger import CharterInForce
from pilothouse.runtime.runlog.redaction import OF_A_RECORD
from pilothouse.workflows.curation.replay_case import CaseOfRun, Expectation, case_of_run, keep_case
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.replay.run import ReplayRequest, replay_run

__all__ = ["is_case", "labelled_dataset", "make_incident_case"]


def labelled_dataset(record: CharterInForce) -> Path:
    """Return the folder of the labelled cases that a charter names.

    Raises:
        UsageError: It names none yet.
    """
    named = known(charter_of(record).datasets.labelled.path)
    if named is None:
        raise UsageError(
            f"the charter of {record.agent} names no folder of labelled cases yet",
            remedy="Write it: `datasets.labelled.path` in the charter, then `pilothouse check`",
            subject="datasets.labelled.path",
        )
    return Path(record.path).parent / named


def is_case(store: CurationStore, run: str) -> bool:
    """Whether a run became a case already."""
    return any(edge.child == f"case:incident:{run}" for edge in store.edges_of(f"trace:{run}"))


def make_incident_case(
    recorded: RecordedRun,
    record: CharterInForce,
    expectation: Expectation,
    store: CurationStore,
    *,
    task_type: str | None,
    now: datetime,
) -> CaseOfRun:
    """Replay the calls of a run, make it a case and keep it.

    Args:
        recorded: The run.
        record: The charter in force of its agent.
        expectation: What a person says would have been right.
        store: Keeps the lineage.
        task_type: Task type, or None where the charter has only one.
        now: The moment, aware UTC.

    Raises:
        UsageError: Something is missing, or the run is a case already.
        EvidenceError: The run cannot be replayed, or a secret stands in what would become the case.
    """
    charter, dataset = charter_of(record), labelled_dataset(record)
    reports = replay_run(recorded, OF_A_RECORD, ReplayRequest(), None)
    made = case_of_run(recorded, reports, expectation, charter, task_type=task_type, now=now)
    owner = known(charter.raci.benchmarks.accountable) or ""
    return keep_case(made, dataset, store, agent=charter.agent, owner=owner, now=now)
