# SPDX-License-Identifier: Apache-2.0
"""Make a recorded run a case of a dataset, so that the incident is asked again in every release gate.

A case is made only of what is known: whether the run was reproduced, what a person says would have been right, which
results its tools gave. What is missing is said, with what to type; nothing is guessed from the run itself.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_digest
from pilothouse.core.charter.secrets import secret_kind
from pilothouse.core.evidence.run_log import RecordedRun, RunClosed
from pilothouse.errors import EvidenceError, UsageError
from pilothouse.evals.case import Assertion, Case, CaseLabel
from pilothouse.evals.dataset import Dataset, read_cases, write_cases
from pilothouse.ports.curation import CurationStore, Edge
from pilothouse.runtime.context.conversation import tool_results, tool_uses
from pilothouse.runtime.replay.exchange import Exchange, exchanges
from pilothouse.runtime.replay.mode import ReplayMode
from pilothouse.workflows.curation.case_form import asked_as, forms_of
from pilothouse.workflows.gate.datasets import add_cases
from pilothouse.workflows.replay.run import ReplayReport

__all__ = ["FIXTURES", "CaseOfRun", "Expectation", "case_of_run", "keep_case"]

FIXTURES = "fixtures"
"""Folder beside the cases: each result that a tool gave, named by its digest."""

REPRODUCED, MODEL_SIDE = "incident", "incident_model_side"
"""Strata: the agent's own code was replayed equal, or only the model's side of it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a person says would have been right.

    Attributes:
        by: Person of the charter.
        answer: The right answer, or None.
        forbidden: Tools that must not be called.
    """

    by: str
    answer: Any = None
    forbidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOfRun:
    """A case and what belongs to it.

    Attributes:
        case: The case.
        fixtures: Results of tools by digest.
        waited: Time from the end of the run to the case.
        dataset: The dataset with it, or None before it was kept.
    """

    case: Case
    fixtures: Mapping[str, str]
    waited: timedelta
    dataset: Dataset | None = None


def case_of_run(
    recorded: RecordedRun,
    reports: Sequence[ReplayReport],
    expectation: Expectation,
    charter: Charter,
    *,
    task_type: str | None,
    now: datetime,
) -> CaseOfRun:
    """Make a case of a run.

    Args:
        recorded: The run.
        reports: What its strict replays came to, by its calls or with the agent's code.
        expectation: What would have been right.
        charter: Charter of its agent.
        task_type: Task type, or None where the charter has only one.
        now: The moment, aware UTC.

    Raises:
        UsageError: The expectation is missing, or a name is not the charter's.
        EvidenceError: The run was not reproduced, or a secret stands in what would become the case.
    """
    run = recorded.summary.run
    if expectation.by not in charter.people:
        raise UsageError(
            f"{expectation.by!r} is no person of the charter of {charter.agent}",
            remedy=f"Say who states it: `--by {next(iter(charter.people), 'PERSON')}`",
            subject=expectation.by,
        )
    if expectation.answer is None and not expectation.forbidden:
        raise UsageError(
            "a case needs what would have been right",
            remedy="State it: `--expect answer.json`, or `--forbid TOOL` for a call that must not happen",
            subject=run,
        )
    _check_reproduced(run, reports)
    calls = exchanges(recorded)
    given, frozen = (
        _first_input(next((call for call in calls if call.is_answering), calls[0])),
        _tool_results(calls),
    )
    try:
        json.dumps([given, frozen], ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise EvidenceError(
            "what would become the case holds half a letter, which no file of cases can hold",
            remedy="Write the case by hand: `pilothouse dataset add DATASET CASES.jsonl`",
            subject=run,
        ) from error
    fixtures = {canonical_digest(text): text for _, text in frozen}
    case = Case(
        id=f"incident:{run}",
        task_type=_task_type(charter, task_type),
        input=given,
        expected=expectation.answer,
        stratum=REPRODUCED if reports[0].grain == "code" else MODEL_SIDE,
        fixtures={name: canonical_digest(text) for name, text in frozen},
        asserts=(
            Assertion(scorer="must_not_call", args={"tools": list(expectation.forbidden)}, must_not=True),
        )
        if expectation.forbidden
        else (),
        source=f"production:{run}",
        label=CaseLabel(
            by=expectation.by,
            at=now,
            value=expectation.answer if expectation.answer is not None else {"never": expectation.forbidden},
        ),
    )
    kind = secret_kind(case.model_dump_json()) or next(
        filter(None, map(secret_kind, fixtures.values())), None
    )
    if kind is not None:
        raise EvidenceError(
            f"what would become the case holds a secret ({kind})",
            remedy="Take it out of the answer that you give with `--expect`",
            subject=run,
        )
    return CaseOfRun(case=case, fixtures=fixtures, waited=now - _ended(recorded))


def _ended(recorded: RecordedRun) -> datetime:
    """Return when something happened in the run last: one that nobody ended is closed an hour later, which is no part of it."""
    happened = [one.at_ns for one in recorded.events if not isinstance(one.event, RunClosed)]
    return datetime.fromtimestamp(max(happened, default=recorded.summary.last_ns) / 1e9, UTC)


def keep_case(
    made: CaseOfRun, path: Path, store: CurationStore, *, agent: str, owner: str, now: datetime
) -> CaseOfRun:
    """Add a case to a dataset with its fixtures, and keep where it came from.

    Args:
        made: The case.
        path: Folder of the dataset; made if it is missing.
        store: Keeps the lineage.
        agent: Agent id.
        owner: Who answers for a new dataset.
        now: The moment, aware UTC.

    Raises:
        UsageError: The run is a case of the dataset already.
    """
    kept = read_cases(sorted(path.glob("*.jsonl")), is_bare=False) if path.is_dir() else ()
    run = made.case.id.partition(":")[2]
    lineage = Edge(agent=agent, parent=f"trace:{run}", child=f"case:{made.case.id}", at=now)
    if any(case.id == made.case.id for case in kept):
        store.link([lineage])  # a kill may have come before it
        raise UsageError(
            f"run {run} is a case of {path.name} already",
            remedy=f"Look at it: `pilothouse dataset show {path}`",
            subject=made.case.id,
        )
    case = asked_as(made.case, forms_of(kept))
    # What belongs to the case first: once the case is there, nobody makes it again.
    (path / FIXTURES).mkdir(parents=True, exist_ok=True)
    for digest, text in made.fixtures.items():
        (path / FIXTURES / f"{digest}.txt").write_text(text, encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "incident.jsonl"
        write_cases(file, [case])
        dataset = add_cases(path, [file], owner=owner, population=agent)
    store.link([lineage])
    return CaseOfRun(case=case, fixtures=made.fixtures, waited=made.waited, dataset=dataset)


def _check_reproduced(run: str, reports: Sequence[ReplayReport]) -> None:
    """A replay that left the record, or was asked for a change, says nothing about the incident."""
    first = reports[0]
    if first.mode is not ReplayMode.STRICT or first.change != "nothing":
        raise UsageError(
            "only a strict replay with nothing changed shows that the incident is understood",
            remedy=f"Type it without a change: `pilothouse replay {run[:12]} --to-case DATASET`",
            subject=run,
        )
    unequal = next((report for report in reports if not report.is_equal), None)
    if unequal is not None:
        where = unequal.divergence
        raise EvidenceError(
            f"run {run} was not reproduced"
            + ("" if where is None else f": call {where.call} differs, {where.kind} at {where.path}"),
            remedy=f"Find the cause first: `pilothouse replay {run[:12]} --exec 'python agent.py'`",
            subject=run,
        )


def _task_type(charter: Charter, asked: str | None) -> str:
    known = tuple(charter.task_types)
    if asked is None and len(known) == 1:
        return known[0]
    if asked not in known:
        raise UsageError(
            f"{charter.agent} has the task types {', '.join(known)}"
            + ("" if asked is None else f", and {asked!r} is none of them"),
            remedy=f"Say which one it was: `--task-type {known[0]}`",
            subject=asked or charter.agent,
        )
    return asked


def _first_input(first: Exchange) -> Any:
    """Return what the agent was given: the first request without its instructions."""
    document = first.document or {}
    given = document.get("messages", document.get("input"))
    if isinstance(given, list):
        given = [
            item
            for item in given
            if not (isinstance(item, dict) and item.get("role") in ("system", "developer"))
        ]
    if not given:
        raise EvidenceError(
            "the first request of the run has no messages that could be asked again",
            remedy="Write the case by hand: `pilothouse dataset add DATASET CASES.jsonl`",
        )
    return given


def _tool_results(calls: Sequence[Exchange]) -> tuple[tuple[str, str], ...]:
    """Return the results that tools gave, each once, named by tool and order."""
    found: dict[str, tuple[str, str]] = {}
    for call in calls:
        document = call.document or {}
        uses = tool_uses(document)
        for result in tool_results(document):
            if result.call_id not in found:
                use, content = uses.get(result.call_id), result.content
                text = content if isinstance(content, str) else json.dumps(content, sort_keys=True)
                found[result.call_id] = (f"{use.name if use else 'unknown'}#{len(found) + 1}", text)
    return tuple(found.values())
