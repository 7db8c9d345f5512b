# SPDX-License-Identifier: Apache-2.0
"""Whether the cases of a dataset look like the traffic of the last weeks (dataset + lake -> evidence)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.evidence import Binding, Evidence
from pilothouse.core.evidence.recorded import bound_record
from pilothouse.core.evidence.task import Task
from pilothouse.core.statistics.drift import CASES_MIN, feature_drift
from pilothouse.core.verdict.numbers import percentage
from pilothouse.evals.case import Case
from pilothouse.evals.dataset import Dataset
from pilothouse.evals.targets.recorded import json_or_text, root_span
from pilothouse.workflows.gate.traffic import TRAFFIC_WINDOW
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import tasks_between
from pilothouse.workflows.ground.opened_traces import with_traces

__all__ = ["Likeness", "likeness_evidence", "measure_likeness"]

OPENED_PER_TYPE_MAX: Final = 100
"""Tasks of a task type that are opened for their inputs, the newest ones: some hundred kilobytes of texts."""

COVERED_MIN: Final = 0.8
"""Least share of the traffic whose task types could be tested; below it a clean test says too little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """What a comparison of cases and traffic found.

    Attributes:
        inputs: Recorded inputs that were compared.
        covered: Share of the traffic whose task types were tested.
        untested: Task types with fewer than 50 inputs on one side.
        differing: Features in which cases and traffic differ, surest first, as `length · refund`.
        sentence: The result in words.
    """

    inputs: int
    covered: float
    untested: tuple[str, ...]
    differing: tuple[str, ...]
    sentence: str

    @property
    def is_enough(self) -> bool:
        """Whether enough of the traffic was tested for a result."""
        return self.covered >= COVERED_MIN


def measure_likeness(installation: Installation, dataset: Dataset, agent: str, now: datetime) -> Likeness:
    """Compare length and shape of inputs, task type by task type, all tests together at 5 %.

    The mix of task types is not compared: a set holds rare types more often on purpose.

    Args:
        installation: Lake and ledger.
        dataset: The dataset; attacks and synthetic cases are not meant to look like traffic.
        agent: Agent id.
        now: The moment, aware UTC.
    """
    tasks = tasks_between(installation.lake, agent, now - TRAFFIC_WINDOW, now)
    mix = Counter(task.task_type for task in tasks)
    cases = _inputs_of_cases(dataset.cases)
    recorded = _recorded_inputs(installation, tasks, cases)
    tested = [name for name in cases if min(len(cases[name]), len(recorded.get(name, ()))) >= CASES_MIN]
    untested = tuple(sorted(set(mix) - set(tested)))
    covered = sum(mix[name] for name in tested) / len(tasks) if tasks else 0.0
    inputs = sum(len(recorded[name]) for name in tested)
    differing: tuple[str, ...] = ()
    if tested:
        differing = feature_drift(_features(recorded, tested), _features(cases, tested)).flagged
    about = f"{inputs} recorded inputs of {len(tested)} task types against the cases"
    if covered < COVERED_MIN:
        sentence = (
            f"too little of the traffic can be compared ({percentage(covered, decimals=0)}, at least {percentage(COVERED_MIN, decimals=0)}): "
            f"{', '.join(untested) or 'no task'} needs {CASES_MIN} recorded inputs and cases"
        )
    elif differing:
        sentence = f"{about}: they differ in {', '.join(differing)}"
    else:
        sentence = f"{about}: no difference in length or shape"
    return Likeness(inputs=inputs, covered=covered, untested=untested, differing=differing, sentence=sentence)


def likeness_evidence(
    found: Likeness, dataset: Dataset, *, agent: str, now: datetime, charter: Charter | None = None
) -> tuple[Evidence, ...]:
    """Turn a comparison into a record; one that saw too little gives none.

    Args:
        found: The comparison.
        dataset: The dataset.
        agent: Agent id.
        now: The moment, aware UTC.
        charter: The charter that names the dataset, or None.
    """
    if not found.is_enough:
        return ()
    return (
        bound_record(
            "dataset.distance",
            agent,
            now,
            command=f"pilothouse dataset show {dataset.path} --record {agent}",
            binds=Binding(dataset=dataset.digest),
            charter=charter,
            since=now - TRAFFIC_WINDOW,
            n=found.inputs,
            passed=not found.differing,
            detail=found.sentence,
        ),
    )


def _inputs_of_cases(cases: Sequence[Case]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for case in cases:
        if case.family is None and case.source != "synthetic":
            found[case.task_type].append(case.input)
    return dict(found)


def _recorded_inputs(
    installation: Installation, tasks: Sequence[Task], wanted: Mapping[str, Sequence[Any]]
) -> dict[str, list[Any]]:
    opened: Counter[str] = Counter()
    newest: list[Task] = []
    for task in sorted(tasks, key=lambda task: -task.start_ns):
        if task.task_type in wanted and opened[task.task_type] < OPENED_PER_TYPE_MAX:
            opened[task.task_type] += 1
            newest.append(task)
    found: dict[str, list[Any]] = defaultdict(list)
    for task, view in with_traces(installation.lake, newest):
        root = root_span(view) if view is not None else None
        if root is not None and root.input and not root.cut_bytes:
            found[task.task_type].append(json_or_text(root.input))
    return dict(found)


def _features(
    inputs: Mapping[str, Sequence[Any]], types: Sequence[str]
) -> dict[str, list[float] | list[str]]:
    features: dict[str, list[float] | list[str]] = {}
    for name in types:
        features[f"length · {name}"] = [float(len(canonical_json(one))) for one in inputs[name]]
        features[f"shape · {name}"] = [_shape(one) for one in inputs[name]]
    return features


def _shape(value: Any) -> str:
    """Return which fields an input has, or what it is when it has none."""
    if isinstance(value, dict):
        return "{" + ",".join(sorted(map(str, value))) + "}"
    return type(value).__name__
