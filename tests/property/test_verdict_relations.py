# SPDX-License-Identifier: Apache-2.0
"""What a change of the evidence about any requirement may do to a verdict, asked of every item of the framework in turn."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from evidence_made import V1, V2, asked_records, edited_charter

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.admission import admit_evidence
from pilothouse.core.evidence.evidence import Basis
from pilothouse.core.evidence.kind import Bind, Form
from pilothouse.core.evidence.kinds import KINDS
from pilothouse.core.verdict.docket import judge_again, judge_all
from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.core.verdict.requirement import Count
from pilothouse.core.verdict.verdict import Status

# Unit tests cover these branches; measuring them here again would only take time.
pytestmark = pytest.mark.no_cover

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ORDER = {status: rank for rank, status in enumerate(Status)}
TEXT = edited_charter(("metric: routed_correctly", "metric: rubric-v3"))  # a judge, so that EVAL-11 is asked


def charter_of(text):
    return Charter.model_validate(read_charter_text(text, file="charter.yaml").value)


CHARTER = charter_of(TEXT)
HELD = tuple(
    record.model_copy(update={"written": place})
    for place, (_, record) in enumerate(asked_records(CHARTER, NOW, phase="3"), start=1_000)
)
DOCKET = judge_all(CHARTER, admit_evidence(HELD, CHARTER.agent, NOW).records, version=V1)
COUNTED = {
    part.kind for requirement in FRAMEWORK for part in requirement.parts if isinstance(part.rule, Count)
}
OK = {Status.HOLDS, Status.AT_RISK}


def records_of(kind, changed=()):
    return [one for one in HELD if one.kind == kind and one not in changed]


def statuses(kind, records, *, now=NOW, charter=CHARTER, docket=DOCKET, version=V1):
    """Return the status of each item that some records of one kind decide, beside everything else as it was."""
    admitted = admit_evidence(records, charter.agent, now).records
    found = judge_again(docket, charter, admitted, {kind})
    if found is None:  # another dataset is in force
        others = [one for one in HELD if one.kind != kind]
        everything = admit_evidence([*others, *records], charter.agent, now).records
        found = judge_all(charter, everything, version=version)
    return {
        key: ruling.at(now).item.status
        for key, ruling in zip(found.keys, found.rulings, strict=True)
        if ruling.item.kind == kind
    }


def never_better(before, after):
    return all(ORDER[after[key]] <= ORDER[status] for key, status in before.items())


def moved(record, hours, written, **changes):
    """Return a record with other windows and another place in the order of writing; its own clock wrote it."""
    shift = hours * HOUR
    change = {
        "window_from": record.window_from + shift,
        "window_to": record.window_to + shift,
        "recorded_at": record.recorded_at + shift,
        "written": written,
        "detail": "another one",
    }
    return record.model_copy(update=change | changes)


def failing(record):
    """Return ways in which a record is as bad as can be."""
    form = KINDS[record.kind].form
    if form is Form.FACT:
        return ({"passed": False},)
    if form is Form.RATE:
        return ({"good": 0},)
    if form is Form.AMOUNT:
        return tuple({"value": end, "low": end - 1, "high": end + 1} for end in (-1e6, 1e6))
    return ()


def breachable():
    return [one for one in HELD if failing(one) and one.kind not in COUNTED]


@cache
def held_statuses(kind):
    return statuses(kind, records_of(kind))


def test_every_requirement_with_a_part_is_asked_here():
    asked = {name for name, _ in asked_records(CHARTER, NOW, phase="3")}
    shared = {one.id for one in FRAMEWORK if {part.kind for part in one.parts} & {r.kind for r in HELD}}
    assert {one.id for one in FRAMEWORK if one.parts} == asked | shared
    assert all(set(held_statuses(kind).values()) <= OK for kind in {one.kind for one in HELD})


# hours by which the window of what is added lies later, and its place in the order of writing
NEWER = ((0, 5_000), (1, 5_000), (-1, 5_000), (-5_000, 5_000), (0, None))
OLDER = ((-1, 5), (-5_000, 5), (-1, None))


@pytest.mark.parametrize(("hours", "written"), [*NEWER, *OLDER])
def test_one_failure_more_never_makes_an_item_better(hours, written):
    for record in breachable():
        before, others = held_statuses(record.kind), records_of(record.kind)
        found = []
        for bad in failing(record):
            after = statuses(record.kind, [*others, moved(record, hours, written, **bad)])
            assert never_better(before, after), (record.kind, record.scope, hours)
            found.append(after)
        if (hours, written) in NEWER and KINDS[record.kind].form is not Form.AMOUNT:
            worse = [after for after in found if after != before]
            assert worse, (record.kind, record.scope, hours, written)


@pytest.mark.parametrize(("hours", "written"), [*NEWER, *OLDER])
def test_one_pass_more_never_makes_an_item_worse(hours, written):
    for record in HELD:
        before, others = held_statuses(record.kind), records_of(record.kind)
        late = moved(
            record, hours, written, recorded_at=record.recorded_at + HOUR
        )  # an older window, measured late
        after = statuses(record.kind, [*others, late])
        assert never_better(after, before), (record.kind, record.scope, hours)


def test_no_item_is_well_without_its_record():
    for record in HELD:
        after = statuses(record.kind, records_of(record.kind, (record,)))
        lost = {key for key, status in after.items() if status not in OK}
        assert lost, (record.kind, record.scope)
        assert not {after[key] for key in lost} & {Status.BREACHED}


def foreign(record):
    """Yield the record as another agent's, version's, section's, contract's, dataset's or person's."""
    yield record.model_copy(update={"agent": "another-agent"})
    binds, kind = record.binds, KINDS[record.kind].binds
    others = {
        Bind.VERSION: {"version": V2},
        Bind.SECTION: {"section_digest": "00" * 32},
        Bind.CONTRACT: {"contract": "00" * 32},
        Bind.TERMS: {"contract": "00" * 32},
        Bind.PERSON: {"person": "nobody"},
    }
    for bind in kind & others.keys():
        yield record.model_copy(update={"binds": binds.model_copy(update=others[bind])})
        missing = dict.fromkeys(others[bind])
        yield record.model_copy(update={"binds": binds.model_copy(update=missing)})
    if kind & {Bind.LABELLED, Bind.ADVERSARIAL} and record.kind not in {
        "dataset.labelled",
        "dataset.adversarial",
    }:
        yield record.model_copy(update={"binds": binds.model_copy(update={"dataset": "00" * 32})})
    if KINDS[record.kind].form is Form.SIGNATURE:
        yield record.model_copy(update={"signer": "nobody"})
    else:
        yield record.model_copy(update={"basis": Basis.ATTESTED, "signer": "dana"})
        yield record.model_copy(update={"basis": Basis.IMPORTED})


def test_nothing_of_another_agent_version_section_contract_dataset_or_person_counts():
    for record in HELD:
        others = records_of(record.kind, (record,))
        lost = {key for key, status in statuses(record.kind, others).items() if status not in OK}
        for other in foreign(record):
            after = statuses(record.kind, [*others, other])
            assert not {after[key] for key in lost} & OK, (record.kind, record.scope, other.binds)


def spoilt(records, seed):
    """Return a history in which every record is followed by some that are worse, thin, or well again."""
    rng = random.Random(seed)
    found = []
    for record in records:
        found.append(record)
        for turn in range(rng.randrange(4)):
            bad = rng.choice([{}, *failing(record), {"n": 1, "good": 1 if record.good is not None else None}])
            hours = rng.choice([-400, -30, -2, 0, 2])
            found.append(moved(record, hours, rng.choice([1, 1_500, 5_000]) + turn, **bad))
    return found


def all_statuses(records, charter, now):
    docket = judge_all(charter, admit_evidence(records, charter.agent, now).records, version=V1)
    return [ruling.at(now).item for ruling in docket.rulings]


@pytest.mark.parametrize("seed", range(2))
def test_time_alone_never_makes_an_item_better(seed):
    history = spoilt(HELD, seed)
    admitted = admit_evidence(history, CHARTER.agent, NOW + 3 * HOUR).records
    docket = judge_all(CHARTER, admitted, version=V1)
    moments = [NOW + hours * HOUR for hours in (3, 4, 24, 24 * 7, 24 * 31, 24 * 400)]
    looks = [[ruling.at(moment).item.status for ruling in docket.rulings] for moment in moments]
    for before, after in pairwise(looks):
        assert all(ORDER[late] <= ORDER[early] for early, late in zip(before, after, strict=True))


@pytest.mark.parametrize("days", [1, 26, 129])
def test_a_history_moved_by_days_says_the_same_also_in_a_zone_of_summer_time(days):
    """From 30 September over 25 October, and over 28 March."""
    zone = ZoneInfo("Europe/Berlin")
    first, shift = NOW - timedelta(days=51), timedelta(days=days)
    history = [moved(one, -51 * 24, one.written) for one in spoilt(HELD, 7)]
    later = [
        one.model_copy(
            update={
                name: (getattr(one, name) + shift).astimezone(zone)
                for name in ("window_from", "window_to", "recorded_at")
            }
        )
        for one in history
    ]
    before = all_statuses(history, CHARTER, first)
    for moment in (first + shift, (first + shift).astimezone(zone)):
        after = all_statuses(later, CHARTER, moment)
        assert [one.status for one in after] == [one.status for one in before]
        for old, new in zip(before, after, strict=True):
            assert old.age_days == new.age_days
            if old.lapses_at is not None:
                assert (new.lapses_at - old.lapses_at.astimezone(UTC)) == shift, (old.requirement, old.scope)


NAMES = (
    ("ap-invoice-triage", "zz-0"),
    ("po_invoice", "all"),
    ("non_po_invoice", "critical"),
    ("credit_note", "rate"),
)


def test_other_names_of_agent_and_task_types_change_no_status():
    text = TEXT
    for old, new in NAMES:
        text = re.sub(rf"(?<![\w.-]){old}(?![\w-])", new, text)
    renamed = charter_of(text)
    assert renamed.agent == "zz-0"
    held = [one for _, one in asked_records(renamed, NOW, phase="3")]
    held = [one.model_copy(update={"written": place}) for place, one in enumerate(held, start=1_000)]
    for seed in range(2):
        before = all_statuses(spoilt(HELD, seed), CHARTER, NOW)
        after = all_statuses(spoilt(held, seed), renamed, NOW)
        assert [(one.requirement, one.status) for one in after] == [
            (one.requirement, one.status) for one in before
        ]


def test_the_order_of_writing_at_one_moment_changes_nothing():
    for record in breachable():
        others = records_of(record.kind)
        for bad in failing(record):
            ways = [
                statuses(record.kind, [*others, moved(record, 1, first), moved(record, 1, second, **bad)])
                for first, second in ((5_000, 5_001), (5_001, 5_000), (5_000, 5_000), (None, None))
            ]
            assert all(one == ways[0] for one in ways), (record.kind, record.scope)
