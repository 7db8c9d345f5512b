# SPDX-License-Identifier: Apache-2.0
"""Which answers of people may be learned from, and which of them judge and are never shown to a model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.review import ItemState, Label, ReviewSource
from pilothouse.evals.case import Split
from pilothouse.evals.targets.recorded import json_or_text
from pilothouse.ports.curation import ERASED
from pilothouse.ports.review import ItemRecord, ReviewQueue
from pilothouse.workflows.review.queue import rubric_of
from pilothouse.workflows.review.second_opinions import agree

__all__ = ["NEAR", "Trusted", "by_another_rubric", "by_rubric_in_force", "standing_answers", "trusted_labels"]

NEAR = 0.9
"""Share of common word 5-grams from which two inputs are the same question, as in the checks of datasets."""

GATE_SHARE = 0.5
"""Share of labels that become cases of the gate; the rest may be shown to the model and never judges it."""

LEARNED_FROM = timedelta(days=365)
"""Age up to which an answer counts: older ones tell how things were done."""

_LEARNABLE = (ItemState.ACCEPTED, ItemState.CORRECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """An answer that may be learned from.

    Attributes:
        record: The item.
        label: The answer.
        output: What is right: the proposal, or its correction.
        second: A second person's equal answer, or None.
    """

    record: ItemRecord
    label: Label
    output: str
    second: Label | None = None

    @property
    def is_correction(self) -> bool:
        """Whether something else than the agent's answer is right, whoever had the last word."""
        return self.output != self.record.item.proposal

    @property
    def has_input(self) -> bool:
        """Whether it is on record what was asked: a task that failed early, or whose telemetry has no content, has none."""
        return json_or_text(self.record.item.input.strip()) not in (None, "", [], {})

    @property
    def split(self) -> Split:
        """Gate or dev, by a coin on what was asked, so that equal questions never lie on both sides."""
        digest = hashlib.sha256(f"split {self.record.item.input}".encode()).digest()
        return Split.GATE if digest[0] / 256 < GATE_SHARE else Split.DEV


def by_another_rubric(queue: ReviewQueue, charter: Charter, now: datetime) -> tuple[ItemRecord, ...]:
    """Return decided items whose answer was given by a rubric that is not in force any more.

    Args:
        queue: Items and answers.
        charter: The charter in force.
        now: The moment; answers of the last year count.
    """
    since = now - LEARNED_FROM
    records = {record.item.item_id: record for record in queue.items(charter.agent, since=since)}
    newest: dict[str, Label] = {}
    for label in queue.labels(charter.agent, since=since):
        newest.setdefault(label.item_id, label)
    return tuple(
        records[item_id]
        for item_id, label in sorted(newest.items())
        if item_id in records
        and records[item_id].state in (*_LEARNABLE, ItemState.REJECTED)
        and label.rubric
        and records[item_id].item.input != ERASED
        and label.rubric != rubric_of(charter, records[item_id].item.task_type).digest
    )


def by_rubric_in_force(
    queue: ReviewQueue, charter: Charter, records: Sequence[ItemRecord], since: datetime
) -> list[ItemRecord]:
    """Return the items without those that were answered by a rubric that is not in force any more.

    Args:
        queue: Has the answers.
        charter: The charter in force.
        records: Items.
        since: No item is older, so no answer either.
    """
    rubrics = {label.item_id: label.rubric for label in reversed(queue.labels(charter.agent, since=since))}
    return [
        one
        for one in records
        if rubrics.get(one.item.item_id, "") in {"", rubric_of(charter, one.item.task_type).digest}
    ]


def trusted_labels(queue: ReviewQueue, charter: Charter, now: datetime) -> tuple[Trusted, ...]:
    """Return answers that may be learned from: decided, by the rubric in force, and by one more person in a dispute.

    Args:
        queue: Items and answers.
        charter: The charter in force.
        now: The moment; answers of the last year count.
    """
    return tuple(one for one in standing_answers(queue, charter, now).values() if one is not None)


def standing_answers(queue: ReviewQueue, charter: Charter, now: datetime) -> Mapping[str, Trusted | None]:
    """Return what stands of each item that was answered, by its id: None where nothing may be learned from it any more.

    An answer was taken back, people differ about it, one more person overruled it, its rubric changed, its texts were erased.

    Args:
        queue: Items and answers.
        charter: The charter in force.
        now: The moment; answers of the last year count.
    """
    labels = {
        label.item_id: label for label in reversed(queue.labels(charter.agent, since=now - LEARNED_FROM))
    }
    records = {record.item.item_id: record for record in queue.items(charter.agent, since=now - LEARNED_FROM)}
    others: dict[ReviewSource, dict[str, ItemRecord]] = {ReviewSource.SAMPLED: {}, ReviewSource.DISPUTED: {}}
    for record in records.values():
        if record.item.pair_of and not record.item.only_for and not record.state.is_open:
            others.setdefault(record.item.source, {})[record.item.pair_of] = record
    found: dict[str, Trusted | None] = {}
    for item_id, record in sorted(records.items()):
        label = labels.get(item_id)
        if record.item.pair_of or record.item.source is ReviewSource.CANARY:
            continue
        if label is None and record.state in _LEARNABLE:
            continue  # its answer is older than those that were read
        found[item_id] = None
        if label is None or record.state not in _LEARNABLE or not label.answer.decides:
            continue
        if label.rubric and label.rubric != rubric_of(charter, record.item.task_type).digest:
            continue
        second = others[ReviewSource.SAMPLED].get(item_id)
        third = others[ReviewSource.DISPUTED].get(item_id)
        last = labels.get(third.item.item_id) if third is not None else None
        decided, said = record, label
        if third is not None and last is not None:  # whoever was asked about a dispute settles it
            if third.state not in _LEARNABLE:
                continue
            second, decided, said = None, third, last
        elif second is not None and not agree(second, record):
            continue
        elif second is not None and second.decided_by == record.decided_by:
            second = None  # one person twice is no second opinion
        corrected = decided.state is ItemState.CORRECTED
        output = (decided.correction if corrected else record.item.proposal) or ""
        if ERASED not in {record.item.input, output}:
            found[item_id] = Trusted(
                record=record,
                label=said,
                output=output,
                second=labels.get(second.item.item_id) if second else None,
            )
    return found
