# SPDX-License-Identifier: Apache-2.0
"""Measure what few-shot examples bring: each example asked twice, with the others beside it and without any."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from pilothouse.core.charter.digest import canonical_digest
from pilothouse.core.evidence.evidence import Binding, Evidence
from pilothouse.core.evidence.recorded import bound_record
from pilothouse.core.statistics.noninferiority import PairedNonInferiority
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence
from pilothouse.errors import ProviderError, UsageError
from pilothouse.evals.arms import config_digest
from pilothouse.evals.case import Case
from pilothouse.evals.checks import CheckBook
from pilothouse.evals.journal import Journal
from pilothouse.evals.limits import AdaptiveLimit, Budget
from pilothouse.evals.runner import Outcome, Runner, TrialRequest
from pilothouse.evals.scorers.registry import ScorerRegistry, parse_scorer_text
from pilothouse.evals.targets.address import open_target
from pilothouse.evals.targets.chat_endpoint import ChatEndpoint
from pilothouse.evals.targets.recorded import json_or_text
from pilothouse.evals.targets.target import Target
from pilothouse.evals.trial import TrialStatus
from pilothouse.ports.curation import Example
from pilothouse.workflows.curation.few_shots import ExampleIndex

__all__ = ["Lift", "LiftRequest", "lift_evidence", "measure_lift"]

MARGIN: Final = 0.05
"""Only the interval is read; the margin decides nothing here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftRequest:
    """How the lift is measured.

    Attributes:
        target: Address of the agent; it is given `{"input", "examples"}`, a chat endpoint the turns of a talk.
        version: Version digest that the evidence binds to, or None to take the target's own.
        k: Examples beside each input.
        scorer: Judges the answers: `NAME` or `NAME={"json": "args"}`.
        cases_max: Most examples that are asked.
        deadline_s: Seconds for one answer.
        concurrency: Most calls at once.
        budget_usd: Most money, or None.
        journal: Where trials are kept.
    """

    target: str
    version: str | None = None
    k: int = 5
    scorer: str = "exact"
    cases_max: int = 200
    deadline_s: float = 60.0
    concurrency: int = 16
    budget_usd: float | None = None
    journal: Path = Path(".pilothouse/evals.db")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """What the examples bring.

    Attributes:
        library: Version of the library.
        version: Version digest of the agent.
        n: Examples asked both ways and scored both ways.
        good_with: Good answers with the others beside it.
        good_without: Good answers without any.
        unscored: Examples left out because a side has no score.
        difference: With minus without and its interval, or why there is none.
    """

    library: str
    version: str
    n: int
    good_with: int
    good_without: int
    unscored: int
    difference: Estimate | NotEnoughEvidence


async def measure_lift(
    request: LiftRequest,
    library: str,
    examples: Sequence[Example],
    index: ExampleIndex,
    *,
    journal: Journal,
    at: datetime | None = None,
) -> Lift:
    """Ask for every example twice and compare pair by pair; its own answer is never among those shown.

    Args:
        request: How.
        library: Version of the library.
        examples: The library.
        index: Finds examples like an input.
        journal: Stored trials; what is in it is not asked again.
        at: The moment, aware UTC: so old are its answers.

    Raises:
        UsageError: The library is empty, target or scorer cannot be used, or a budget is set and what a trial costs is not known.
        ProviderError: The target cannot be reached.
    """
    chosen = sorted(examples, key=lambda one: one.example_id)[: request.cases_max]
    if not chosen:
        raise UsageError("there is no library yet", remedy="Build it: `pilothouse curate few-shot`.")
    target = open_target(request.target, version=request.version)
    registry = ScorerRegistry()
    name, arguments = parse_scorer_text(request.scorer)
    book = CheckBook(registry, default=registry.make(name, arguments))
    config = config_digest(
        version=target.spec.version, fingerprint=target.spec.fingerprint, deadline_s=request.deadline_s
    )
    runner = Runner(
        journal,
        book,
        run_id=canonical_digest([library, config, request.k, request.scorer])[:16],
        deadline_s=request.deadline_s,
        limit=AdaptiveLimit(start=min(4, request.concurrency), most=request.concurrency),
        budget=Budget(limit_usd=request.budget_usd),
        at=at,
    )
    cases = [case for one in chosen for case in _both_ways(one, index, target, request.k)]
    # As a gate writes it: whoever is first, the other finds the trials of this version.
    environment = json.dumps({"deadline_s": request.deadline_s})
    journal.put_config(
        config, version=target.spec.version, address=target.spec.address, environment=environment, at=""
    )
    requests = [TrialRequest(case=case, index=0, target=target, config=config) for case in cases]
    try:
        outcomes = await runner.run(requests[:1])  # is it there, and what does one cost?
        _check_reached(outcomes)
        runner.budget.check_priced([one.cost_usd for one in outcomes])
        outcomes += await runner.run(requests[1:])
    finally:
        await target.close()
    return _compared(library, target.spec.version, chosen, outcomes)


def _both_ways(example: Example, index: ExampleIndex, target: Target, k: int) -> tuple[Case, Case]:
    beside = index.find(example.input, task_type=example.task_type, k=k, without=example.item_id)
    expected = json_or_text(example.output)

    def case(name: str, shown: Sequence[Example]) -> Case:
        return Case(
            id=f"{name}:{example.example_id}",
            task_type=example.task_type,
            input=_asked(example, shown, target),
            expected=expected,
        )

    return case("with", beside), case("without", ())


def _asked(example: Example, shown: Sequence[Example], target: Target) -> Any:
    """Return what the target is given: turns of a talk for a chat endpoint, otherwise input and examples by name."""
    if isinstance(target, ChatEndpoint):
        turns = [
            {"role": role, "content": text}
            for one in shown
            for role, text in (("user", one.input), ("assistant", one.output))
        ]
        return [*turns, {"role": "user", "content": example.input}]
    beside = [{"input": json_or_text(one.input), "output": json_or_text(one.output)} for one in shown]
    return {"input": json_or_text(example.input), "examples": beside}


def _check_reached(outcomes: Sequence[Outcome]) -> None:
    if outcomes and all(one.status is TrialStatus.INFRA_ERROR for one in outcomes):
        raise ProviderError(
            f"the target cannot be reached: {outcomes[0].error}.",
            remedy="Start it, then run the same command.",
        )


def _compared(library: str, version: str, chosen: Sequence[Example], outcomes: Sequence[Outcome]) -> Lift:
    good = {
        one.case_id: one.success.value >= 1.0
        for one in outcomes
        if one.success is not None and one.success.value is not None
    }
    pairs = [
        (good[f"with:{one.example_id}"], good[f"without:{one.example_id}"])
        for one in chosen
        if f"with:{one.example_id}" in good and f"without:{one.example_id}" in good
    ]
    wins = sum(a and not b for a, b in pairs)
    losses = sum(b and not a for a, b in pairs)
    decided = PairedNonInferiority(MARGIN).decide(wins, losses, len(pairs))
    return Lift(
        library=library,
        version=version,
        n=len(pairs),
        good_with=sum(a for a, _ in pairs),
        good_without=sum(b for _, b in pairs),
        unscored=len(chosen) - len(pairs),
        difference=decided if isinstance(decided, NotEnoughEvidence) else decided.difference,
    )


def lift_evidence(agent: str, lift: Lift, request: LiftRequest, now: datetime) -> Evidence | None:
    """Return the record of a lift, or None where there is no interval."""
    found = lift.difference
    if isinstance(found, NotEnoughEvidence):
        return None
    return bound_record(
        "few_shot.lift",
        agent,
        now,
        command=f"pilothouse curate lift {request.target}",
        binds=Binding(version=lift.version, dataset=lift.library),
        n=lift.n,
        value=found.value,
        low=found.low,
        high=found.high,
        method=f"leave-one-out, {request.k} examples beside each input, paired ({found.method.value})",
        detail=f"library {lift.library[:12]}: {lift.good_with} of {lift.n} good with examples, "
        f"{lift.good_without} without",
    )
