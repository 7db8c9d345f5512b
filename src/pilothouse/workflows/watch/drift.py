# SPDX-License-Identifier: Apache-2.0
"""The weekly look at drift: inputs, words and tool use of a week against the first week; a reason to label, nothing more."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pilothouse.core.evidence.task import Task
from pilothouse.core.statistics.drift import feature_drift
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.core.statistics.sessions import sequence_drift
from pilothouse.core.statistics.texts import text_drift
from pilothouse.ports.lake import Lake
from pilothouse.workflows.ground.opened_traces import with_traces

__all__ = [
    "ALARM_P",
    "DETECTORS",
    "FEATURES",
    "P_LEAST",
    "DriftLook",
    "WeekSample",
    "drift_traces",
    "look_at_drift",
]

ALARM_P = 1 / (3 * 52)
"""P-value of one week at which inputs have changed: three tests of 52 weeks together raise one false alarm a year when nothing did.

Each week by itself: all are held against the same first week, so what is odd about that by chance is odd in each of them.
"""

DETECTORS: Mapping[str, tuple[str, ...]] = {
    "Drift of inputs": ("inputs", "words"),
    "Drift of behaviour": ("tools",),
}
"""What people call the tests: what comes in has changed, or what the agent does with it."""

FEATURES = 7
"""Features that the test of inputs compares together."""

P_LEAST: Mapping[str, float] = {"inputs": 1e-12, "words": 1 / 200, "tools": 1 / 300}
"""Least p-value of one week by test; a test by permutation cannot give less than one in its permutations."""

CASES_MAX = 5_000
"""Tasks of a week that are compared, evenly spread: a third of a standard deviation is seen long before."""

TEXTS_MAX = 1_000
"""Texts of a week that are compared: about a second of work, once a week."""

TRACES_NAMED = 20
"""Traces that a warning names: whoever looks opens a few."""

SESSIONS_MAX = 120
"""Tasks whose tool calls are read from their traces, evenly spread: one query a look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftLook:
    """What one week's tests say.

    Attributes:
        p_values: One for each test that could run: `inputs`, `words`, `tools`.
        changed: Tests whose p-value is `ALARM_P` at most.
        detail: What changed most, or what is missing, in words.
        compared: Tasks of the reference and of the week that were compared, one of each conversation.
    """

    p_values: dict[str, float]
    changed: tuple[str, ...]
    detail: str
    compared: tuple[int, int]


class WeekSample:
    """Tasks of a week in the order of their start, thinned evenly, so that a week of millions takes little memory.

    Attributes:
        n: Tasks that were offered.
        kept: Those that are kept; all while they are few.
    """

    def __init__(self) -> None:
        self.n = 0
        self.kept: list[Task] = []
        self._step = 1

    def add(self, tasks: Iterable[Task]) -> None:
        """Offer the next tasks.

        Args:
            tasks: In the order of their start.
        """
        for task in tasks:
            if self.n % self._step == 0:
                self.kept.append(task)
            self.n += 1
            if len(self.kept) > 2 * CASES_MAX:
                self.kept = self.kept[::2]
                self._step *= 2


def look_at_drift(lake: Lake, reference: Sequence[Task], current: Sequence[Task]) -> DriftLook:
    """Compare a week with the reference.

    Args:
        lake: For the tool calls.
        reference: Tasks of the first week.
        current: Tasks of this week.
    """
    reference, current = _one_of_each_conversation(reference), _one_of_each_conversation(current)
    seed = hashlib.sha256("".join(task.trace_id for task in current[:50]).encode()).digest()
    rng = np.random.Generator(np.random.PCG64(int.from_bytes(seed[:8])))
    p_values: dict[str, float] = {}
    said: list[str] = []
    for name, p, text in _tests(lake, reference, current, rng):
        if p is not None:
            p_values[name] = max(p, P_LEAST[name])
        if text:
            said.append(f"{name}: {text}")
    return DriftLook(
        p_values=p_values,
        changed=tuple(name for name, p in p_values.items() if p <= ALARM_P),
        detail="; ".join(said),
        compared=(min(len(reference), CASES_MAX), min(len(current), CASES_MAX)),
    )


def drift_traces(tasks: Sequence[Task]) -> tuple[str, ...]:
    """Return some traces of a week, evenly spread, for who wants to see what changed."""
    return tuple(task.trace_id for task in _spread(tasks, TRACES_NAMED))


def _tests(
    lake: Lake, reference: Sequence[Task], current: Sequence[Task], rng: np.random.Generator
) -> Iterator[tuple[str, float | None, str]]:
    old, new = _spread(reference, CASES_MAX), _spread(current, CASES_MAX)
    found = feature_drift(_features(old), _features(new))
    tested = [one for one in found.features if not isinstance(one.result, NotEnoughEvidence)]
    if tested:
        least = min(
            tested, key=lambda one: one.result.p_value if not isinstance(one.result, NotEnoughEvidence) else 1
        )
        p = 1.0 if isinstance(least.result, NotEnoughEvidence) else least.result.p_value
        yield "inputs", p, f"{least.name} differs most ({_p_text(p)})"
    else:
        reasons = {one.result.reason for one in found.features if isinstance(one.result, NotEnoughEvidence)}
        yield "inputs", None, "; ".join(sorted(reasons))
    words = text_drift(
        [task.input_preview for task in _spread(old, TEXTS_MAX)],
        [task.input_preview for task in _spread(new, TEXTS_MAX)],
        rng,
    )
    if isinstance(words, NotEnoughEvidence):
        yield "words", None, words.reason
    else:
        yield "words", words.p_value, _p_text(words.p_value)
    tools = sequence_drift(_sessions(lake, old), _sessions(lake, new), rng)
    if isinstance(tools, NotEnoughEvidence):
        yield "tools", None, tools.reason
    else:
        yield "tools", tools.p_value, f"{tools.notes[0]} ({_p_text(tools.p_value)})"


def _one_of_each_conversation(tasks: Sequence[Task]) -> Sequence[Task]:
    """One turn of each conversation, whichever has the least trace id; a task without one is its own.

    Turns of a conversation resemble each other. Compared one by one, other conversations looked like another week: texts of five
    turns on one topic differed in every quiet week (docs/decisions/0225).
    """
    least: dict[str, str] = {}
    for task in tasks:
        if task.conversation is not None:
            least[task.conversation] = min(least.get(task.conversation, task.trace_id), task.trace_id)
    return [task for task in tasks if task.conversation is None or least[task.conversation] == task.trace_id]


def _p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p {p:.3f}"


def _features(tasks: Sequence[Task]) -> dict[str, list[float] | list[str]]:
    return {
        "seconds": [(task.duration_ns or 0) / 1e9 for task in tasks],
        "tokens": [float(task.tokens.total) for task in tasks],
        "model calls": [float(task.model_calls) for task in tasks],
        "tool calls": [float(task.tool_calls) for task in tasks],
        "length of the input": [float(len(task.input_preview)) for task in tasks],
        "task type": [task.task_type for task in tasks],
        "model": [" ".join(task.models) or "none" for task in tasks],
    }


def _sessions(lake: Lake, tasks: Sequence[Task]) -> list[list[str]]:
    sessions = []
    called = _spread([task for task in tasks if task.tool_calls], SESSIONS_MAX)
    for _, view in with_traces(lake, called):
        names = [span.tool_name for span in view.spans if span.tool_name] if view else []
        if names:
            sessions.append(names)
    return sessions


def _spread(tasks: Sequence[Task], limit: int) -> Sequence[Task]:
    if len(tasks) <= limit:
        return tasks
    step = len(tasks) / limit
    return [tasks[int(index * step)] for index in range(limit)]
