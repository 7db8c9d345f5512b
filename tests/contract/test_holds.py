# SPDX-License-Identifier: Apache-2.0
"""What `ports.Holds` promises: durable, bound to one call, never delivered without a person."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from fresh_ledger import ledger_url

from pilothouse.core.evidence.review import Answer, Label, ReviewItem, ReviewSource
from pilothouse.errors import Conflict, LimitExceeded
from pilothouse.ledger.curation import SqlCuration
from pilothouse.ledger.holds import SqlHolds
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.review_queue import SqlReviewQueue
from pilothouse.ports.holds import HeldOutput, Holds, HoldState
from pilothouse.ports.review import ReviewQueue

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AGENT = "ap-invoice-triage"
SECOND = timedelta(seconds=1)


@pytest.fixture
def file(tmp_path):
    return ledger_url(tmp_path)


@pytest.fixture
def ledger(file):
    with open_ledger(file) as opened:
        yield opened


@pytest.fixture
def holds(ledger):
    return SqlHolds(ledger.database)


@pytest.fixture
def queue(ledger):
    return SqlReviewQueue(ledger.database)


def output(n=1, **fields):
    base = {
        "agent": AGENT,
        "task_type": "po_invoice",
        "trace_id": f"{n:032x}",
        "call_digest": f"{n:064x}",
        "input": f"invoice {n}",
        "proposal": f"pay {n}",
        "reason": "confidence 0.61 below 0.78",
        "held_at": NOW,
        "deadline": NOW + timedelta(hours=4),
    }
    return HeldOutput(**base | fields)


ITEM = ReviewItem(
    item_id="sampled",
    agent=AGENT,
    task_type="po_invoice",
    trace_id="1" * 32,
    source=ReviewSource.SAMPLED,
    why="drawn",
    input="in",
    proposal="out",
    call_digest="1" * 64,
    probability=0.05,
    created_at=NOW,
    due_at=NOW + timedelta(hours=24),
)


def label(hold, answer=Answer.ACCEPT, *, by="kim", at=NOW, correction=None):
    return Label(item_id=hold.hold_id, agent=AGENT, reviewer=by, answer=answer, correction=correction, at=at)


def test_both_classes_are_what_the_ports_ask(holds, queue):
    assert isinstance(holds, Holds)
    assert isinstance(queue, ReviewQueue)


def test_the_same_call_of_the_same_task_is_held_once(holds):
    first = holds.hold(output())
    assert (first.state, first.output) == (HoldState.HELD, None)
    assert holds.hold(output(held_at=NOW + SECOND)) == first
    assert holds.hold(output(call_digest="f" * 64)).hold_id != first.hold_id
    assert holds.hold(output(trace_id="f" * 32)).hold_id != first.hold_id
    assert holds.hold(output(agent="another")).hold_id != first.hold_id


def test_what_is_held_and_what_expires_is_decided_on_record(holds, ledger):
    held = holds.hold(output())
    holds.expire(NOW + timedelta(hours=4))
    assert [(one.kind, one.document) for one in ledger.decisions(AGENT)] == [
        ("output.expired", f'{{"item":"{held.hold_id}"}}'),
        ("output.held", f'{{"item":"{held.hold_id}"}}'),
    ]


def test_an_item_that_is_drawn_from_a_sample_is_no_held_output(holds, queue):
    queue.add([ITEM])
    assert holds.read(ITEM.item_id, NOW) is None


@pytest.mark.parametrize(
    ("answer", "state", "delivered"),
    [
        (Answer.ACCEPT, HoldState.RELEASED, "pay 1"),
        (Answer.CORRECT, HoldState.CORRECTED, "pay 7"),
        (Answer.REJECT, HoldState.REJECTED, None),
    ],
)
def test_a_decision_counts_when_it_can_no_longer_be_taken_back(holds, queue, answer, state, delivered):
    held = holds.hold(output())
    correction = delivered if answer is Answer.CORRECT else None
    queue.answer(label(held, answer, correction=correction))
    assert holds.read(held.hold_id, NOW + 9 * SECOND).output is None
    final = holds.read(held.hold_id, NOW + 10 * SECOND)
    assert (final.state, final.output, final.decided_by) == (state, delivered, "kim")
    assert final.call_digest == output().call_digest


def test_an_answer_taken_back_opens_the_item_for_the_same_person(holds, queue):
    held = holds.hold(output())
    queue.answer(label(held, Answer.REJECT))
    again = queue.undo("kim", NOW + 5 * SECOND)
    assert (again.item.item_id, again.holder) == (held.hold_id, "kim")
    assert holds.read(held.hold_id, NOW + 60 * SECOND).state is HoldState.CLAIMED
    assert queue.undo("kim", NOW + 6 * SECOND) is None
    queue.answer(label(held, at=NOW + 20 * SECOND))
    assert queue.undo("kim", NOW + 30 * SECOND) is None
    assert holds.read(held.hold_id, NOW + 30 * SECOND).output == "pay 1"


@pytest.mark.parametrize("answer", [Answer.UNSURE, Answer.NOT_MY_FIELD, Answer.HAND_BACK])
def test_who_cannot_say_leaves_it_to_another_person(holds, queue, answer):
    held = holds.hold(output())
    queue.answer(label(held, answer))
    assert holds.read(held.hold_id, NOW + 60 * SECOND).state is HoldState.HELD
    assert queue.claim_next("kim", [AGENT], NOW) is None
    assert queue.claim_next("lee", [AGENT], NOW).item.item_id == held.hold_id


def test_a_held_output_that_was_erased_is_never_delivered(holds, queue, ledger):
    waits, released = (
        holds.hold(output(1, proposal="pay kim@corp 1")),
        holds.hold(output(2, proposal="pay kim@corp 2")),
    )
    queue.answer(label(released))
    SqlCuration(ledger.database).erase("kim@corp", actor="dana", at=NOW + SECOND)
    with pytest.raises(Conflict, match="unsure already"):
        queue.answer(label(waits, at=NOW + SECOND))
    for one in (waits, released):
        gone = holds.read(one.hold_id, NOW + 60 * SECOND)
        assert (gone.state, gone.output) == (HoldState.REJECTED, None)
    assert holds.hold(output(2, proposal="pay kim@corp 2", held_at=NOW + 60 * SECOND)).output is None


def test_nobody_in_time_means_expired_and_a_late_answer_is_refused(holds, queue):
    held = holds.hold(output())
    late = held.deadline
    with pytest.raises(Conflict, match="rejected, not delivered"):
        queue.answer(label(held, at=late))
    gone = holds.read(held.hold_id, late)
    assert (gone.state, gone.output, gone.note) == (HoldState.EXPIRED, None, "nobody decided in time")
    assert queue.claim_next("kim", [AGENT], late) is None
    assert holds.expire(late) == ()


def test_the_sweep_ends_all_that_are_late_and_only_those(holds):
    late = [holds.hold(output(n, deadline=NOW + SECOND)) for n in (1, 2)]
    kept = holds.hold(output(3))
    assert {one.hold_id for one in holds.expire(NOW + SECOND)} == {one.hold_id for one in late}
    assert holds.read(kept.hold_id, NOW + SECOND).state is HoldState.HELD


def test_a_full_queue_rejects_and_says_so(ledger):
    holds = SqlHolds(ledger.database, open_max=1)
    assert holds.hold(output(1)).state is HoldState.HELD
    refused = holds.hold(output(2))
    assert (refused.state, refused.output) == (HoldState.REJECTED, None)
    assert refused.note == "the review queue is full: 1 outputs wait already"


def test_what_no_person_can_be_shown_is_not_held(holds):
    with pytest.raises(LimitExceeded, match="a reviewer is shown 65,536"):
        holds.hold(output(proposal="x" * 65_537))


def test_duplicates_of_a_held_call_are_each_decided_on_their_own(holds, queue):
    first, second = holds.hold(output(1)), holds.hold(output(1, trace_id="f" * 32))
    queue.answer(label(first))
    assert holds.read(second.hold_id, NOW + 60 * SECOND).state is HoldState.HELD


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_ever_released_without_the_answer_of_a_person(file, seed):
    """Random answers, restarts, expiries and a full queue against a plain model of what was said."""
    dice, said, ids, now = random.Random(seed), {}, {}, NOW
    for _round in range(4):
        with open_ledger(file) as ledger:  # a restart
            holds, queue = SqlHolds(ledger.database, open_max=20), SqlReviewQueue(ledger.database)
            for _step in range(25):
                now += timedelta(seconds=dice.randint(1, 40))
                n = dice.randint(1, 60)
                roll = dice.random()
                if roll < 0.5:
                    deadline = now + timedelta(seconds=dice.randint(5, 400))
                    ids.setdefault(holds.hold(output(n, held_at=now, deadline=deadline)).hold_id, n)
                elif roll < 0.9:
                    record = queue.claim_next(dice.choice(("kim", "lee")), [AGENT], now)
                    if record is not None:
                        answer = dice.choice(tuple(Answer))
                        correction = "other" if answer is Answer.CORRECT else None
                        queue.answer(
                            Label(
                                item_id=record.item.item_id,
                                agent=AGENT,
                                reviewer=record.holder,
                                answer=answer,
                                correction=correction,
                                at=now,
                            )
                        )
                        said[record.item.item_id] = (answer, correction)
                else:
                    holds.expire(now)
    with open_ledger(file) as ledger:
        holds = SqlHolds(ledger.database)
        later = now + timedelta(hours=1)
        found = {one: holds.read(one, later) for one in ids}
    assert any(one is not None and one.output for one in found.values())
    for hold_id, hold in found.items():
        if hold is None:
            continue  # the queue was full
        answer, correction = said.get(hold_id, (None, None))
        expected = {Answer.ACCEPT: f"pay {ids[hold_id]}", Answer.CORRECT: correction}.get(answer)
        assert hold.state.is_final
        assert hold.output == expected
