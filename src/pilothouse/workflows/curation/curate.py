# SPDX-License-Identifier: Apache-2.0
"""Turn trusted answers into cases of a dataset, each with its lineage, and show that corrections arrive."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.recorded import recorded
from pilothouse.core.evidence.review import ItemState, ReviewSource
from pilothouse.errors import UsageError
from pilothouse.evals.case import Case, CaseLabel, Split
from pilothouse.evals.dataset import Dataset, load_dataset, read_cases, write_cases
from pilothouse.evals.dataset_checks import comparable_text, copies_of, near_pairs
from pilothouse.evals.targets.recorded import json_or_text
from pilothouse.ports.curation import CurationStore
from pilothouse.ports.review import ReviewQueue
from pilothouse.workflows.curation.case_form import asked_as, forms_of
from pilothouse.workflows.curation.lineage import link_made
from pilothouse.workflows.gate.datasets import add_cases, remove_cases
from pilothouse.workflows.review.trusted_labels import NEAR, Trusted, by_another_rubric, standing_answers

__all__ = ["Curated", "case_of_label", "correction_evidence", "curate_cases"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curated:
    """What came of the labels.

    Attributes:
        dataset: The dataset with its new version.
        added: Ids of new cases.
        repeated: Items whose input a case has already.
        leaks: Items left out because another split, or an example that agents are shown, has nearly the same input.
        reopened: Cases taken out because their answer was given by another rubric; their items are asked again.
        overruled: Cases taken out because their answer does not stand any more; one with another answer is among the new.
        unasked: Items left out because it is not on record what was asked: a case of nothing can be answered by nobody.
        by_week: New labels by ISO week: the growth curve.
    """

    dataset: Dataset
    added: tuple[str, ...]
    repeated: tuple[str, ...]
    leaks: tuple[str, ...]
    reopened: tuple[str, ...]
    overruled: tuple[str, ...]
    unasked: tuple[str, ...]
    by_week: dict[str, int]


def _case_id(trusted: Trusted) -> str:
    return f"review:{trusted.record.item.item_id}"


def case_of_label(trusted: Trusted) -> Case:
    """Return the case that asks what a person was shown, and expects what the person said is right.

    Args:
        trusted: A label that may be learned from.
    """
    item, label = trusted.record.item, trusted.label
    expected = json_or_text(trusted.output)
    return Case(
        id=_case_id(trusted),
        task_type=item.task_type,
        input=json_or_text(item.input),
        expected=expected,
        cluster=item.trace_id,
        source=f"production:{item.trace_id}",
        label=CaseLabel(
            by=label.reviewer,
            at=label.at,
            value=expected,
            second_by=trusted.second.reviewer if trusted.second else None,
            second_value=expected if trusted.second else None,
        ),
        risk_cost=item.error_cost,
        split=trusted.split,
    )


def curate_cases(
    queue: ReviewQueue, store: CurationStore, charter: Charter, path: Path, now: datetime
) -> Curated:
    """Turn trusted labels into cases of a dataset, each input once and none of them in two splits.

    Args:
        queue: Items and answers.
        store: Keeps the lineage.
        charter: The charter in force.
        path: Folder of the dataset; made if it is missing.
        now: The moment.

    Raises:
        UsageError: There is no label to learn from.
    """
    standing = standing_answers(queue, charter, now)
    stands = [one for one in standing.values() if one is not None]
    trusted = [one for one in stands if one.has_input]
    unasked = tuple(one.record.item.item_id for one in stands if not one.has_input)
    found = read_cases(sorted(path.glob("*.jsonl")), is_bare=False) if path.is_dir() else ()
    outdated = {f"review:{record.item.item_id}" for record in by_another_rubric(queue, charter, now)}
    overruled = {case.id for case in found if _is_overruled(case, standing)} - outdated
    empty = {
        case.id for case in found if case.id in {f"review:{item}" for item in unasked} and not case.input
    }
    kept = [case for case in found if case.id not in outdated | overruled | empty]
    if not trusted and not found:
        raise _nothing_to_add(charter.agent, unasked)
    known_ids = {case.id for case in kept}
    forms = forms_of(kept)
    fresh = [asked_as(case_of_label(one), forms) for one in trusted if _case_id(one) not in known_ids]
    _, shown = store.examples(charter.agent)
    repeated, leaks = _not_new(kept, fresh, [one.input for one in shown])
    added = [case for case in fresh if case.id not in (*repeated, *leaks)]
    owner = known(charter.raci.benchmarks.accountable) or ""
    if len(kept) < len(found):
        remove_cases(path, {case.id for case in found} - {case.id for case in kept})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "labels.jsonl"
        write_cases(file, added)
        files = [file] if added else []
        dataset = (
            add_cases(path, files, owner=owner, population=charter.agent)
            if files or kept
            else load_dataset(path)
        )
    _link(store, charter.agent, [one for one in trusted if _case_id(one) in {case.id for case in added}], now)
    weeks = Counter(
        f"{one.label.at.isocalendar().year}-W{one.label.at.isocalendar().week:02}" for one in trusted
    )
    return Curated(
        dataset=dataset,
        added=tuple(case.id for case in added),
        repeated=repeated,
        leaks=leaks,
        reopened=tuple(case.id for case in found if case.id in outdated),
        overruled=tuple(case.id for case in found if case.id in overruled),
        unasked=unasked,
        by_week=dict(sorted(weeks.items())),
    )


def _nothing_to_add(agent: str, unasked: Sequence[str]) -> UsageError:
    if not unasked:
        return UsageError(
            "no answer of a person can become a case yet",
            remedy="Review some outputs first: `pilothouse review`.",
            subject=agent,
        )
    return UsageError(
        f"no answer of a person can become a case yet: of the tasks of all {len(unasked):,} the input is not on record",
        remedy="Write what was asked by hand: `pilothouse dataset add DATASET CASES.jsonl`; an agent that is started with "
        "`pilothouse run` says it.",
        subject=agent,
    )


def _is_overruled(case: Case, standing: Mapping[str, Trusted | None]) -> bool:
    """Whether a case rests on an answer that does not stand any more. What people wrote into a case since stays theirs."""
    item_id = case.id.removeprefix("review:")
    if item_id == case.id or item_id not in standing:
        return False
    one = standing[item_id]
    return one is None or (case.label is not None and case.label.value != json_or_text(one.output))


def _not_new(
    kept: Sequence[Case], fresh: Sequence[Case], shown: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return new cases whose input a case has already, and those that another split or an example has."""
    everything = [*kept, *fresh]
    texts = [
        *(comparable_text(text) for text in shown),
        *(comparable_text(case.input) for case in everything),
    ]
    splits = [*(Split.DEV for _ in shown), *(case.split for case in everything)]
    copies = copies_of([(text, place >= len(shown) and splits[place]) for place, text in enumerate(texts)])
    places = [place for place in range(len(texts)) if place not in copies]
    near = near_pairs([texts[place] for place in places], similarity_min=NEAR)
    pairs = [
        *((places[one], places[other]) for one, other, _ in near),
        *((one, at) for at, one in copies.items()),
    ]
    repeated: dict[str, None] = {}
    leaks: dict[str, None] = {}
    for one, other in pairs:
        if other < len(shown) + len(kept):
            continue
        case = everything[other - len(shown)]
        if splits[one] is not case.split:
            leaks[case.id] = None
        elif one >= len(shown):
            repeated[case.id] = None
    return tuple(repeated), tuple(leaks)


def _link(store: CurationStore, agent: str, chosen: Sequence[Trusted], now: datetime) -> None:
    items = [(one.record.item, f"case:{_case_id(one)}") for one in chosen]
    link_made(store, agent, ((item.trace_id, item.item_id, case) for item, case in items), now)


def correction_evidence(
    queue: ReviewQueue, charter: Charter, curated: Curated, now: datetime
) -> Evidence | None:
    """Return the record that a correction went the whole way from a user's flag to a case, or None."""
    added = set(curated.added)
    whole = [
        record
        for record in queue.items(charter.agent, sources=(ReviewSource.FLAGGED,))
        if f"review:{record.item.item_id}" in added and record.state is ItemState.CORRECTED
    ]
    if not whole:
        return None
    hours = sorted((now - record.item.created_at).total_seconds() / 3_600 for record in whole)
    late = queue.counts([charter.agent], now)
    # A repetition is for one person, who may have left: nobody else can see to it, and no correction waits for it.
    overdue = sum(count.overdue for count in late if count.source is not ReviewSource.CANARY)
    return recorded(
        "correction",
        charter,
        now,
        command="pilothouse curate cases",
        since=min(record.item.created_at for record in whole),
        n=len(whole),
        passed=overdue == 0,
        detail=f"{len(whole)} corrections went from flag to case, the middle one in {hours[len(hours) // 2]:.1f} h; "
        f"{overdue} items of the queue are late",
        items=tuple(record.item.trace_id for record in whole),
    )
