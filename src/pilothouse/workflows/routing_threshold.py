# SPDX-License-Identifier: Apache-2.0
"""The confidence above which answers go out without a person: chosen from labels, kept as evidence, read by the gateway.

Labels are drawn with a chance that differs from stratum to stratum, and the threshold is only valid for a plain random
sample of all traffic. So each label is kept with the smallest chance among them divided by its own: what is left was
drawn with one chance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import Evidence, Scope
from pilothouse.core.evidence.review import ItemState, ReviewSource
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.core.statistics.thresholds import Threshold, choose_threshold
from pilothouse.ports.ledger import Ledger
from pilothouse.ports.review import ItemRecord, ReviewQueue
from pilothouse.workflows.label_records import label_record
from pilothouse.workflows.label_sampling import sampled_in
from pilothouse.workflows.routing_in_force import routed_types

__all__ = ["LABELS_FROM", "routing_evidence"]

LABELS_FROM = timedelta(days=90)
"""Age of labels that a threshold is chosen from: a version's traffic changes, and fewer days give too few labels."""

ITEMS_NAMED_MAX = 50


def routing_evidence(
    ledger: Ledger, queue: ReviewQueue, charter: Charter, now: datetime
) -> Iterator[Evidence]:
    """Yield the threshold of each routed task type, and how many audited automatic answers were wrong since.

    Too few labels give no record: nothing was shown. Labels by which even the surest answers are too often wrong give
    a threshold that failed.

    Args:
        ledger: Thresholds so far.
        queue: Items and answers.
        charter: The charter in force.
        now: The moment.
    """
    names = routed_types(charter)
    records = queue.items(charter.agent, sources=(ReviewSource.SAMPLED,), since=now - LABELS_FROM)
    for name in names:
        budget, risk = (
            known(charter.task_types[name].routing.wrong_auto_per_100),
            known(charter.task_types[name].routing.risk),
        )
        own = [one for one in records if one.item.task_type == name and one.item.confidence is not None]
        if budget is None or risk is None or not own:
            continue
        version = max(own, key=lambda one: one.item.created_at).item.version
        labelled = sampled_in(own, name, version)
        yield from _audit(ledger, charter, name, version, labelled, now=now)
        kept = _evenly_drawn(labelled)
        if not kept:
            continue
        chosen = choose_threshold(
            [one.item.confidence or 0.0 for one in kept],
            [int(one.state is not ItemState.ACCEPTED) for one in kept],
            budget=budget / 100,
            delta=risk,
            task_types=len(names),
        )
        fields = _said(chosen, kept)
        if fields is not None:
            yield label_record(
                "routing.threshold",
                charter=charter,
                scope=Scope(task_type=name),
                version=version,
                now=now,
                start=now - LABELS_FROM,
                **fields,
            )


def _evenly_drawn(records: Sequence[ItemRecord]) -> list[ItemRecord]:
    """Thin the labels to those that one chance would have drawn; the coin is the item's own id, so looks agree."""
    chances = [one.item.probability for one in records if one.item.probability]
    if not chances:
        return []
    least = min(chances)
    return [
        one
        for one in records
        if one.item.probability and _coin(one.item.item_id) * one.item.probability < least
    ]


def _coin(item_id: str) -> float:
    drawn = hashlib.sha256(f"routing {item_id}".encode()).digest()
    return int.from_bytes(drawn[:8], "big") / 2**64


def _said(chosen: Threshold | NotEnoughEvidence, kept: Sequence[ItemRecord]) -> dict[str, object] | None:
    wrong = [one.item.trace_id for one in kept if one.state is not ItemState.ACCEPTED]
    shared = {"n": len(kept), "items": tuple(wrong[:ITEMS_NAMED_MAX]), "counts": {"wrong": len(wrong)}}
    if isinstance(chosen, Threshold):
        detail = f"from confidence {chosen.tau:.3f} on {100 * chosen.automation.value:.0f} % go out alone. {chosen.guarantee}"
        return {**shared, "passed": True, "value": chosen.tau, "detail": detail}
    if chosen.need is None:
        return {**shared, "passed": False, "detail": f"{chosen.reason}; everything is held. {chosen.remedy}"}
    return None


def _audit(
    ledger: Ledger,
    charter: Charter,
    name: str,
    version: str | None,
    labelled: Sequence[ItemRecord],
    *,
    now: datetime,
) -> Iterator[Evidence]:
    """Yield the answers that went out alone and were labelled afterwards; none of them chose their own threshold."""
    before = [
        one
        for one in ledger.evidence(charter.agent, since=now - LABELS_FROM, kinds=["routing.threshold"])
        if one.scope.task_type == name
        and one.binds.version == version
        and one.passed
        and one.value is not None
    ]
    alone = []
    for record in labelled:
        earlier = [one for one in before if one.window_to <= record.item.created_at]
        newest = max(earlier, key=lambda one: one.window_to, default=None)
        if newest is not None and (record.item.confidence or 0.0) >= (newest.value or 0.0):
            alone.append(record)
    if not alone:
        return
    wrong = [one.item.trace_id for one in alone if one.state is not ItemState.ACCEPTED]
    yield label_record(
        "routing.audit",
        charter=charter,
        scope=Scope(task_type=name),
        version=version,
        now=now,
        start=min(one.item.created_at for one in alone),
        n=len(alone),
        good=len(alone) - len(wrong),
        items=tuple(wrong[:ITEMS_NAMED_MAX]),
        detail=f"{len(wrong)} of {len(alone)} audited answers that no person saw before were wrong",
    )
