# SPDX-License-Identifier: Apache-2.0
"""The confidence above which answers go out without a person: chosen from labels, kept as evidence, read by the gateway.

Labels are drawn with a chance that differs from stratum to stratum, and the threshold is only valid for a plain random
sample of all traffic. So each label is kept with the smallest chance among them divided by its own: what is left was
drawn with one chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import Evidence, Scope
from pilothouse.core.evidence.recorded import Found, recorded
from pilothouse.core.evidence.review import ItemState, ReviewSource
from pilothouse.core.statistics.cheapest import NEVER, cheapest_confidence
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.core.statistics.thresholds import CostThreshold, Routing, Threshold, choose_threshold, route
from pilothouse.core.verdict.numbers import percentage
from pilothouse.ports.ledger import Ledger
from pilothouse.ports.review import ItemRecord, ReviewQueue
from pilothouse.workflows.gateway.routing_in_force import THRESHOLD, routed_types
from pilothouse.workflows.labels.routing_audit import RoutingAudit, audit_routing
from pilothouse.workflows.review.label_sampling import sampled_in
from pilothouse.workflows.review.label_thinning import evenly_drawn
from pilothouse.workflows.review.load import reviews_per_day
from pilothouse.workflows.review.trusted_labels import by_rubric_in_force

__all__ = ["LABELS_FROM", "routing_evidence"]

LABELS_FROM = timedelta(days=90)
"""Age of labels that a threshold is chosen from: a version's traffic changes, and fewer days give too few labels."""

ITEMS_NAMED_MAX = 50


def routing_evidence(
    ledger: Ledger, queue: ReviewQueue, charter: Charter, now: datetime
) -> Iterator[Evidence]:
    """Yield the threshold of each routed task type, and how many audited automatic answers were wrong since.

    Too few labels give no record: nothing was shown. Labels by which even the surest answers are too often wrong give
    a threshold that failed, and so does an audit by which the threshold in force breaks its budget.

    Args:
        ledger: Thresholds so far.
        queue: Items and answers.
        charter: The charter in force.
        now: The moment.
    """
    names = routed_types(charter)
    since = now - LABELS_FROM
    records = by_rubric_in_force(
        queue, charter, queue.items(charter.agent, sources=(ReviewSource.SAMPLED,), since=since), since
    )
    before = ledger.evidence(charter.agent, since=now - LABELS_FROM, kinds=[THRESHOLD])
    for name in names:
        routing = charter.task_types[name].routing
        budget, risk = known(routing.wrong_auto_per_100), known(routing.risk)
        own = [one for one in records if one.item.task_type == name and one.item.confidence is not None]
        if budget is None or risk is None or not own:
            continue
        # What a stand-in answered is of no version, and does not take the place of the pinned one.
        named = [one for one in own if one.item.version is not None] or own
        version = max(named, key=lambda one: one.item.created_at).item.version
        audit = audit_routing(
            own,
            before,
            name,
            version,
            silent=[one for one in records if one.item.task_type == name and one.item.confidence is None],
            budget=budget / 100,
            task_types=names,
            now=now,
        )
        say = partial(
            recorded,
            charter=charter,
            now=now,
            command="pilothouse review",
            scope=Scope(task_type=name),
            version=version,
        )
        if audit.alone:
            start = min(one.item.created_at for one in audit.alone)
            yield say("routing.audit", since=start, **_audited(audit))
        kept = evenly_drawn(
            [
                one
                for one in sampled_in(own, name, version)
                if audit.alarmed_on is None or one.item.created_at.date() > audit.alarmed_on
            ]
        )
        guaranteed = choose_threshold(
            [one.item.confidence or 0.0 for one in kept],
            [int(one.state is not ItemState.ACCEPTED) for one in kept],
            budget=budget / 100,
            delta=risk,
            task_types=len(names),
            conversations=[one.item.conversation for one in kept],
        )
        fields = _said(charter, name, guaranteed, kept) or _taken_away(audit, guaranteed)
        if fields is not None:
            yield say(THRESHOLD, since=now - LABELS_FROM, **fields)


def _said(
    charter: Charter, name: str, guaranteed: Threshold | NotEnoughEvidence, kept: Sequence[ItemRecord]
) -> Found | None:
    """Return what the labels say of a threshold: the stricter of what is guaranteed and what is cheaper."""
    wrong = [one.item.trace_id for one in kept if one.state is not ItemState.ACCEPTED]
    shared: Found = {"n": len(kept), "items": tuple(wrong[:ITEMS_NAMED_MAX]), "counts": {"wrong": len(wrong)}}
    if isinstance(guaranteed, NotEnoughEvidence):
        if guaranteed.need is not None:
            return None
        detail = f"{guaranteed.reason}; everything is held. {guaranteed.remedy}"
        return {**shared, "passed": False, "detail": detail}
    cost = _cost(charter, name, kept)
    routing = route(
        guaranteed,
        cost,
        [one.item.confidence or 0.0 for one in kept],
        tasks_per_day=_tasks_per_day(charter, name),
        reviews_per_day=reviews_per_day(charter),
    )
    assert isinstance(routing, Routing), "there are labels"  # noqa: S101 - a fact for the type checker
    if cost is not None and cost.tau == NEVER:
        return {**shared, "passed": False, "detail": f"{cost.sentence} Everything is held."}
    detail = f"from confidence {routing.tau:.3f} on {percentage(routing.automation.value, decimals=0)} go out alone. {guaranteed.guarantee}"
    if cost is not None and cost.tau > guaranteed.tau:
        detail += f" Costs ask for more than the guarantee ({guaranteed.tau:.3f}): {cost.sentence}"
    said = " ".join([detail, *(f"{note[:1].upper()}{note[1:]}." for note in routing.notes)])
    return {**shared, "passed": True, "value": routing.tau, "detail": said}


def _cost(charter: Charter, name: str, kept: Sequence[ItemRecord]) -> CostThreshold | None:
    terms = charter.task_types[name]
    wrong, review = known(terms.cost_of_error), known(terms.cost_of_review)
    if not wrong or review is None:
        return None
    found = cheapest_confidence(
        [one.item.confidence or 0.0 for one in kept],
        [int(one.state is ItemState.ACCEPTED) for one in kept],
        cost_wrong=float(wrong),
        cost_review=float(review),
    )
    return found if isinstance(found, CostThreshold) else None


def _tasks_per_day(charter: Charter, name: str) -> float:
    share = known(charter.task_types[name].share)
    return float(known(charter.target_volume.per_day) or 0) * float(share or 0)


def _audited(audit: RoutingAudit) -> Found:
    detail = (
        f"{len(audit.wrong)} of {len(audit.alone)} audited answers that no person saw before were wrong; of {audit.evenly} tasks "
        f"that one chance would have drawn {len(audit.wrong_evenly)} were answered so"
    )
    unknown = len(audit.wrong_silent)
    if unknown:
        detail += f", and {unknown} wrong ones say no confidence, so that nobody knows whether a person saw them before"
    if audit.alarmed_on is not None and audit.alarm is not None:
        detail += f"; on {audit.alarmed_on} this broke the budget. {audit.alarm.guarantee}"
    elif audit.latest is not None:
        detail += f"; evidence against the budget {audit.latest.e_value:.2g} of {audit.latest.threshold:.0f}"
    return {
        "n": audit.evenly,
        "good": audit.evenly - len(audit.wrong_evenly) - unknown,
        "counts": {"unknown": unknown} if unknown else {},
        "items": tuple(one.item.trace_id for one in audit.wrong[:ITEMS_NAMED_MAX]),
        "detail": detail,
    }


def _taken_away(audit: RoutingAudit, missing: Threshold | NotEnoughEvidence) -> Found | None:
    """Return what ends a threshold that broke its budget while there are too few labels since for another one."""
    if audit.alarmed_on is None or not isinstance(missing, NotEnoughEvidence):
        return None
    return {
        "n": len(audit.alone),
        "items": tuple(one.item.trace_id for one in audit.wrong[:ITEMS_NAMED_MAX]),
        "counts": {"wrong": len(audit.wrong)},
        "passed": False,
        "detail": f"answers that went out alone broke the budget on {audit.alarmed_on}; everything is held until labels "
        f"from after that day show another threshold ({missing.have} of {missing.need}). {missing.remedy}",
    }
