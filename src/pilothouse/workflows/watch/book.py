# SPDX-License-Identifier: Apache-2.0
"""What one agent's detectors remember and say in one tick, until it is stored in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from pydantic import TypeAdapter

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.statistics.rates import RateState
from pilothouse.ports.watch import WatchReading, WatchState, WatchStep, WatchStore
from pilothouse.workflows.watch.judge import JudgeState
from pilothouse.workflows.watch.quality import QualityState

__all__ = ["JUDGE_STATE", "QUALITY_STATE", "RATE_STATES", "WatchBook"]

RATE_STATES: TypeAdapter[dict[str, RateState]] = TypeAdapter(dict[str, RateState])
JUDGE_STATE: TypeAdapter[JudgeState] = TypeAdapter(JudgeState)
QUALITY_STATE: TypeAdapter[QualityState] = TypeAdapter(QualityState)


class WatchBook:
    """States and readings of one agent; cursors stand under an empty task type."""

    def __init__(
        self,
        store: WatchStore,
        agent: str,
        now: datetime,
        states: Mapping[tuple[str, str], WatchState] | None = None,
    ) -> None:
        self._store = store
        self._agent = agent
        self._now = now
        self._states: Mapping[tuple[str, str], WatchState] = states or {}
        self._documents: dict[tuple[str, str], Any] = {}
        self._readings: list[WatchReading] = []

    def open(self) -> None:
        """Read what is remembered."""
        self._states = self._store.states(self._agent)

    def kept(self, name: str, detector: str) -> WatchState | None:
        """Return a state as it was stored last, or None.

        Args:
            name: Task type, or empty.
            detector: Detector or closing.
        """
        return self._states.get((name, detector))

    def recall(self, name: str, detector: str, adapter: TypeAdapter[Any]) -> Any:
        """Return a state as this tick has left it, or None when there is none yet.

        Args:
            name: Task type.
            detector: Detector or closing.
            adapter: Reads it.
        """
        if (name, detector) in self._documents:
            return self._documents[name, detector]
        kept = self._states.get((name, detector))
        return None if kept is None else adapter.validate_json(kept.document)

    def remember(self, name: str, detector: str, document: Any) -> None:
        """Keep a state until it is stored.

        Args:
            name: Task type, or empty for a cursor.
            detector: Detector or closing.
            document: The state.
        """
        self._documents[name, detector] = document

    def say(
        self, name: str, detector: str, day: date, document: Mapping[str, object], layer: str = "quiet"
    ) -> None:
        """Keep a reading until it is stored.

        Args:
            name: Task type.
            detector: Detector.
            day: The day that was counted.
            document: Its numbers.
            layer: `quiet`, `warning` or `verdict`.
        """
        self._readings.append(
            WatchReading(
                agent=self._agent,
                task_type=name,
                detector=detector,
                day=day,
                at=self._now,
                layer=layer,
                settled=layer == "quiet",
                document=canonical_json(document),
            )
        )

    def store(self, closes: str) -> None:
        """Store what moved in one transaction, and go on from it.

        Args:
            closes: The cursor that moved; the readings ride on its step, for they belong to the days it moved over.

        Raises:
            Conflict: Another process stored the same days.
        """
        steps = []
        for key, document in self._documents.items():
            kept = self._states.get(key)
            steps.append(
                WatchStep(
                    task_type=key[0],
                    detector=key[1],
                    before=0 if kept is None else kept.version,
                    document=_text(document),
                    readings=tuple(self._readings) if key == ("", closes) else (),
                )
            )
        self._store.advance(self._agent, steps)
        moved = {
            (step.task_type, step.detector): WatchState(version=step.before + 1, document=step.document)
            for step in steps
        }
        self._states = {**self._states, **moved}
        self._documents.clear()
        self._readings.clear()


def _text(document: Any) -> str:
    if isinstance(document, QualityState):
        return QUALITY_STATE.dump_json(document).decode()
    if isinstance(document, JudgeState):
        return JUDGE_STATE.dump_json(document).decode()
    if document and all(isinstance(one, RateState) for one in document.values()):
        return RATE_STATES.dump_json(document).decode()
    return canonical_json(document)
