# SPDX-License-Identifier: Apache-2.0
"""Scores of external evaluators, and the evidence folded from them.

An external score is evidence of its source, never of our scorers: its record is marked as imported, so it can
show a breach and never prove that a promise holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import Basis, Evidence, Scope
from pilothouse.core.evidence.fold import Window
from pilothouse.core.evidence.recorded import recorded
from pilothouse.core.evidence.task import Task

__all__ = ["Score", "fold_scores"]

GOOD_LABELS = frozenset({"correct", "good", "pass", "passed", "true", "yes"})
BAD_LABELS = frozenset({"bad", "fail", "failed", "false", "incorrect", "no", "wrong"})
"""Labels that say plainly whether an answer was good; any other word is not guessed at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One evaluation of one task, as its evaluator sent it.

    Attributes:
        trace_id: The task.
        span_id: The span it speaks of, or empty for the whole task.
        name: What was evaluated, for example `groundedness`.
        value: The number, or None.
        label: The word, or empty.
        explanation: Why, as the evaluator said, or empty.
        source: Ingest key or place it came from.
        at_ns: When, Unix nanoseconds UTC.
    """

    trace_id: str
    span_id: str
    name: str
    value: float | None
    label: str
    explanation: str
    source: str
    at_ns: int

    @property
    def has_plain_word(self) -> bool:
        """Whether its label alone tells how good the answer is."""
        return self.label.strip().lower() in GOOD_LABELS | BAD_LABELS

    @property
    def is_good(self) -> bool | None:
        """Whether it rates the answer good; None when neither label nor number is unambiguous.

        Example:
            >>> score = Score(trace_id="t", span_id="", name="n", value=0.7, label="pass", explanation="",
            ...     source="otlp", at_ns=0)
            >>> score.is_good
            True
        """
        word = self.label.strip().lower()
        if word in GOOD_LABELS:
            return True
        if word in BAD_LABELS:
            return False
        return None if self.value not in {0.0, 1.0} else self.value == 1.0


def fold_scores(
    charter: Charter,
    tasks: Iterable[Task],
    scores: Iterable[Score],
    windows: Mapping[str, Window],
    now: datetime,
) -> tuple[Evidence, ...]:
    """Fold external scores under the name of a task type's metric into one record of its quality a version.

    The newest plain score of a source about a span, or about the whole task, counts; a task is good when all of them are.
    A number beyond 0 and 1 shows that its source scores on another scale: its 1 may be the worst of five. What a judge of the
    charter says is no record at all: a judge that errs five times in a hundred would breach a floor that labels of people prove.
    Labels make quality of its verdicts.

    Args:
        charter: The charter in force.
        tasks: Tasks of the agent.
        scores: Scores of any task, any order.
        windows: Window of each task type.
        now: When the fold is made, aware UTC.

    Returns:
        Records of kind `quality`, marked as imported, by task type and version.
    """
    judges = {str(judge.name) for judge in known(charter.model.judges) or ()}
    metrics = {
        name: terms.metric for name, terms in charter.task_types.items() if str(terms.metric) not in judges
    }
    said: dict[str, dict[str, dict[tuple[str, str], Score]]] = {}
    ordered_scores = sorted(scores, key=lambda one: (one.at_ns, one.span_id))
    scaled = {
        (one.source, one.name)
        for one in ordered_scores
        if one.value is not None and not 0.0 <= one.value <= 1.0
    }
    for score in ordered_scores:
        is_plain = score.has_plain_word or (score.source, score.name) not in scaled
        if is_plain and score.is_good is not None:
            by_name = said.setdefault(score.trace_id, {})
            by_name.setdefault(score.name, {})[score.source, score.span_id] = score
    judged: dict[tuple[str, str | None], dict[str, list[Score]]] = {}
    for task in tasks:
        window = windows.get(task.task_type)
        found = said.get(task.trace_id, {}).get(str(metrics.get(task.task_type)))
        if window is not None and found and window.holds(task.start_ns):
            key = (task.task_type, task.version_digest)
            judged.setdefault(key, {})[task.trace_id] = list(found.values())
    ordered = sorted(judged.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    return tuple(
        _record(found, windows[name], now, charter=charter, task_type=name, version=version)
        for (name, version), found in ordered
    )


def _record(
    judged: Mapping[str, Sequence[Score]],
    window: Window,
    now: datetime,
    *,
    charter: Charter,
    task_type: str,
    version: str | None,
) -> Evidence:
    bad = [trace_id for trace_id, scores in judged.items() if not all(score.is_good for score in scores)]
    named = ", ".join(sorted({score.source for scores in judged.values() for score in scores}))
    name = next(iter(judged.values()))[0].name
    return recorded(
        "quality",
        charter,
        now,
        command=f"POST /v1/logs gen_ai.evaluation.result from {named}",
        scope=Scope(task_type=task_type),
        version=version,
        since=window.start,
        until=window.end,
        n=len(judged),
        good=len(judged) - len(bad),
        detail=f"{name} as {named} scored it",
        items=tuple(sorted(bad)),
        basis=Basis.IMPORTED,
    )
