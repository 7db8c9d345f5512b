# SPDX-License-Identifier: Apache-2.0
"""Take OpenTelemetry evaluation events that are what a user said: feedback like any other, by task id."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

from pilothouse.core.evidence.score import Score
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.errors import LimitExceeded
from pilothouse.ports.feedback import FEEDBACK_TEXT_CHARS_MAX, Feedback, FeedbackKind
from pilothouse.ports.lake import Lake
from pilothouse.workflows.traces.feedback import ACTOR_CHARS_MAX, Desk

__all__ = ["USER_FEEDBACK", "Evaluations", "feedback_of"]

USER_FEEDBACK = "user_feedback"
"""Name of an event that is a thumb; the names of our kinds are the others. All further names are evaluators'."""

LOOKED_BACK = timedelta(hours=6)
"""How far back a look goes: a server that was down for half a night loses none."""

TAKEN_MAX = 500
"""Events of one look: each one reads a trace, and a flood of them must not hold up the other ticks."""

_RATED = (FeedbackKind.THUMB, FeedbackKind.SATISFACTION)
_STARS = (1.0, 2.0, 3.0, 4.0, 5.0)


class Evaluations:
    """Takes events that are feedback, each once in the life of a process.

    Args:
        lake: Where events arrive.
        desk: Where feedback is handed in.
    """

    def __init__(self, lake: Lake, desk: Desk) -> None:
        self._lake = lake
        self._desk = desk
        self._looks: dict[Score, int] = {}
        self._settled: set[Score] = set()

    def take(self, now: datetime) -> int:
        """Take the events of the last hours; those that were looked at least often come first, so that none waits for ever.

        Returns:
            How many were new.
        """
        scores = self._lake.scores(from_ns=unix_ns(now - LOOKED_BACK), to_ns=unix_ns(now))
        told = {score for score in scores if _kind(score) is not None}
        self._settled &= told
        self._looks = {score: self._looks.get(score, 0) for score in told - self._settled}
        turn = sorted(self._looks, key=lambda score: (self._looks[score], score.at_ns, score.trace_id))
        new = 0
        for score in turn[:TAKEN_MAX]:
            self._looks[score] += 1
            found = self._desk.task_of(score.trace_id)
            if found is None:
                continue  # its task may not be folded yet
            said = feedback_of(score, found[0])
            if said is not None:
                with contextlib.suppress(
                    LimitExceeded
                ):  # of twenty things said about one task: a flood, no opinion
                    new += self._desk.keep(said, *found)
            self._settled.add(score)
        return new


def feedback_of(score: Score, task: Task) -> Feedback | None:
    """Return what a user said by an event, or None when it does not say it plainly.

    Args:
        score: The event.
        task: The task it speaks of.
    """
    kind = _kind(score)
    if kind is None:
        return None
    value, text = _value(kind, score), score.explanation
    if kind not in _RATED:
        text = text or score.label
    if (kind in _RATED and value is None) or (kind is FeedbackKind.CORRECTION and not text.strip()):
        return None
    return Feedback(
        agent=task.agent,
        trace_id=task.trace_id,
        kind=kind,
        value=value,
        text=text[:FEEDBACK_TEXT_CHARS_MAX],
        actor=score.source[:ACTOR_CHARS_MAX],
        via="otel",
        at=datetime.fromtimestamp(score.at_ns / 1e9, UTC),
    )


def _kind(score: Score) -> FeedbackKind | None:
    name = score.name.strip().lower()
    return (
        FeedbackKind.THUMB
        if name == USER_FEEDBACK
        else next((one for one in FeedbackKind if one == name), None)
    )


def _value(kind: FeedbackKind, score: Score) -> float | None:
    if kind is FeedbackKind.SATISFACTION:
        return score.value if score.value in _STARS else None
    if kind is not FeedbackKind.THUMB:
        return None
    is_good = False if score.value is not None and score.value < 0 else score.is_good
    return None if is_good is None else 1.0 if is_good else -1.0
