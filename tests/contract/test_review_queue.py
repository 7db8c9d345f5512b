# SPDX-License-Identifier: Apache-2.0
"""What `ports.ReviewQueue` promises: one holder for each item, every answer kept, nothing decided twice."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fresh_ledger import ledger_url
from sqlalchemy import event

from pilothouse.core.evidence.review import Answer, ItemState, Label, ReviewItem, ReviewSource
from pilothouse.errors import Conflict, LimitExceeded, UnknownName
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.review_queue import SqlReviewQueue
from pilothouse.ports.review import CLAIM_LIFE

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AGENT = "ap-invoice-triage"
HOUR = timedelta(hours=1)


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(ledger_url(tmp_path)) as opened:
        yield opened


@pytest.fixture
def queue(ledger):
    return SqlReviewQueue(ledger.database)


def item(n, **fields):
    base = {
        "item_id": f"item-{n}",
        "agent": AGENT,
        "task_type": "po_invoice",
        "trace_id": f"{n:032x}",
        "source": ReviewSource.SAMPLED,
        "why": "drawn",
        "input": f"in {n}",
        "proposal": f"out {n}",
        "call_digest": f"{n:064x}",
        "probability": 0.05,
        "created_at": NOW,
        "due_at": NOW + 24 * HOUR,
    }
    return ReviewItem(**base | fields)


def label(n, answer=Answer.ACCEPT, *, by="kim", at=NOW, **fields):
    return Label(item_id=f"item-{n}", agent=AGENT, reviewer=by, answer=answer, at=at, **fields)


def ids(records):
    return [record.item.item_id for record in records]


STATEMENTS_OF_AN_ANSWER_MAX = 20
"""Of one answer to one item that nobody else was asked about; what there is nothing to free for is not written."""


def test_an_answer_frees_nothing_where_nothing_is_to_be_freed(ledger, queue):
    queue.add([item(1)])
    queue.claim("item-1", "kim", NOW)
    said = []
    event.listen(ledger.database.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    queue.answer(label(1))
    assert len(said) <= STATEMENTS_OF_AN_ANSWER_MAX
    assert [one.partition(" SET ")[2][:6] for one in said if one.startswith("UPDATE review_items")] == [
        "state="
    ]


def test_an_item_comes_back_as_it_was_added_and_only_once(queue):
    one = item(1, version="v1", used=("erp.lookup: PO-1",), confidence=0.61, error_cost=400.5, known="{}")
    assert queue.add([one, one]) == 1
    assert queue.add([one]) == 0
    assert queue.record("item-1").item == one
    assert queue.record("item-2") is None


def test_the_most_urgent_comes_first_by_cost_for_each_minute_left(queue):
    queue.add(
        [
            item(1, error_cost=400.0, due_at=NOW + 24 * HOUR),
            item(2, error_cost=40.0, due_at=NOW + HOUR),
            item(3, error_cost=10.0, due_at=NOW - HOUR),
            item(4),
        ]
    )
    order = []
    for who in ("a", "b", "c", "d"):
        order += ids([queue.claim_next(who, [AGENT], NOW)])
    assert order == ["item-3", "item-2", "item-1", "item-4"]


def test_a_claim_from_before_the_clock_went_back_keeps_an_item_from_nobody(queue):
    queue.add([item(1), item(2)])
    ahead = NOW + timedelta(hours=1)
    for one in ("item-1", "item-2"):
        assert queue.claim(one, "kim", ahead).holder == "kim"
    assert queue.claim("item-1", "lee", NOW).holder == "lee"
    assert queue.claim_next("lee", [AGENT], NOW).item.item_id == "item-1", "it is open for them now"
    queue.answer(label(1, by="lee"))
    assert queue.claim_next("lee", [AGENT], NOW + timedelta(seconds=1)).item.item_id == "item-2"
    with pytest.raises(Conflict, match="lee has this item open"):
        queue.claim("item-2", "kim", NOW - timedelta(minutes=5))  # a server whose clock is behind


def test_a_person_goes_on_with_what_is_open_and_a_lapsed_claim_goes_to_the_next(queue):
    queue.add([item(1)])
    assert ids([queue.claim_next("kim", [AGENT], NOW)]) == ids([queue.claim_next("kim", [AGENT], NOW)])
    assert queue.claim_next("lee", [AGENT], NOW) is None
    assert queue.claim_next("lee", [AGENT], NOW + CLAIM_LIFE).holder == "lee"
    with pytest.raises(Conflict, match="lee has this item open"):
        queue.answer(label(1, at=NOW + CLAIM_LIFE))


def test_many_at_once_never_get_the_same_item(queue):
    queue.add([item(n) for n in range(24)])
    got, failures = [], []

    def review(who):
        try:
            while (record := queue.claim_next(who, [AGENT], NOW)) is not None:
                got.append((record.item.item_id, who))
                queue.answer(
                    Label(
                        item_id=record.item.item_id, agent=AGENT, reviewer=who, answer=Answer.ACCEPT, at=NOW
                    )
                )
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=review, args=(f"r{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(name for name, _ in got) == sorted(f"item-{n}" for n in range(24))


def test_a_second_opinion_goes_to_another_person_and_a_test_of_consistency_to_the_same(queue):
    queue.add([item(1), item(2, input="in 1", proposal="out 1", pair_of="item-1", due_at=NOW + 25 * HOUR)])
    assert ids([queue.claim_next("kim", [AGENT], NOW)]) == ["item-1"]
    queue.answer(label(1))
    assert queue.record("item-2").state is ItemState.WAITING, "a pair shares no answer"
    assert queue.claim_next("kim", [AGENT], NOW) is None
    with pytest.raises(Conflict, match="not for you"):
        queue.claim("item-2", "kim", NOW)
    assert ids([queue.claim_next("lee", [AGENT], NOW)]) == ["item-2"]
    queue.add([item(3, pair_of="item-1", only_for="kim", source=ReviewSource.CANARY)])
    assert ids([queue.claim_next("kim", [AGENT], NOW)]) == ["item-3"]


def test_duplicates_that_are_only_to_be_labelled_share_one_answer(queue):
    same = {"input": "in 1", "proposal": "out 1"}
    queue.add(
        [
            item(1),
            item(2, **same),
            item(3, **same, source=ReviewSource.FLAGGED),
            item(4, **same, source=ReviewSource.HELD),
        ]
    )
    record, others = queue.answer(label(1, Answer.CORRECT, correction="right"))
    assert (record.state, record.correction, others) == (ItemState.CORRECTED, "right", 2)
    assert queue.record("item-3").correction == "right"
    assert queue.record("item-4").state is ItemState.WAITING
    assert len(queue.labels(AGENT)) == 3
    queue.undo("kim", NOW)
    assert queue.labels(AGENT) == ()
    assert queue.record("item-3").state is ItemState.WAITING


def test_an_answer_that_is_taken_back_takes_nobody_elses_with_it(queue):
    queue.add([item(n) for n in range(1, 4)])
    queue.answer(label(1, by="lee"))
    queue.answer(label(2, at=NOW - timedelta(seconds=1)))
    queue.answer(label(3))
    assert queue.undo("kim", NOW).item.item_id == "item-3"
    assert {(one.item_id, one.reviewer) for one in queue.labels(AGENT)} == {
        ("item-1", "lee"),
        ("item-2", "kim"),
    }
    assert [queue.record(f"item-{n}").state for n in (1, 2, 3)] == [
        ItemState.ACCEPTED,
        ItemState.ACCEPTED,
        ItemState.CLAIMED,
    ]


def test_the_same_form_twice_is_one_answer_and_another_answer_is_a_conflict(queue):
    queue.add([item(1)])
    queue.answer(label(1))
    assert queue.answer(label(1))[0].state is ItemState.ACCEPTED
    assert len(queue.labels(AGENT)) == 1
    with pytest.raises(Conflict, match="accepted already by kim"):
        queue.answer(label(1, Answer.REJECT, by="lee"))


def test_two_who_are_unsure_close_an_item_that_nobody_can_answer(queue):
    queue.add([item(1)])
    queue.answer(label(1, Answer.UNSURE))
    record, _ = queue.answer(label(1, Answer.UNSURE, by="lee"))
    assert record.state is ItemState.UNSURE


def test_what_was_typed_survives_a_restart_and_goes_with_the_answer(queue, ledger):
    queue.add([item(1)])
    queue.save_draft("item-1", "kim", "pay 7", NOW)
    queue.save_draft("item-1", "kim", "pay 70", NOW)
    assert SqlReviewQueue(ledger.database).draft("item-1", "kim") == "pay 70"
    assert queue.draft("item-1", "lee") == ""
    queue.answer(label(1))
    assert queue.draft("item-1", "kim") == ""


def test_counts_say_what_waits_and_what_is_late(queue):
    queue.add([item(1), item(2, due_at=NOW - HOUR), item(3, source=ReviewSource.FLAGGED)])
    counts = {one.source: one for one in queue.counts([AGENT], NOW)}
    assert (counts[ReviewSource.SAMPLED].waiting, counts[ReviewSource.SAMPLED].overdue) == (2, 1)
    assert counts[ReviewSource.SAMPLED].next_due == NOW - HOUR
    assert counts[ReviewSource.FLAGGED].waiting == 1


def test_items_and_labels_can_be_asked_for_by_what_they_are(queue):
    queue.add([item(1), item(2, source=ReviewSource.FLAGGED, created_at=NOW - 2 * HOUR)])
    queue.answer(label(1))
    assert ids(queue.items(AGENT)) == ["item-1", "item-2"]
    assert ids(queue.items(AGENT, states=[ItemState.WAITING])) == ["item-2"]
    assert ids(queue.items(AGENT, sources=[ReviewSource.FLAGGED])) == ["item-2"]
    assert ids(queue.items(AGENT, since=NOW)) == ["item-1"]
    assert [one.item_id for one in queue.labels(reviewer="kim", since=NOW)] == ["item-1"]
    assert queue.labels(reviewer="lee") == ()


def test_each_answer_is_recorded_without_what_was_written(queue, ledger):
    queue.add([item(1)])
    queue.answer(label(1, Answer.CORRECT, correction="secret text"))
    (decision,) = ledger.decisions(AGENT, kind="review.answered")
    assert decision.actor == "kim"
    assert json.loads(decision.document)["answer"] == "correct"
    assert "secret" not in decision.document


def test_what_does_not_exist_or_is_too_long_is_refused(queue):
    with pytest.raises(UnknownName):
        queue.claim("nothing", "kim", NOW)
    with pytest.raises(UnknownName):
        queue.save_draft("nothing", "kim", "x", NOW)
    queue.add([item(1)])
    for wrong in (replace(label(1), correction="x" * 65_537), replace(label(1), note="x" * 4_001)):
        with pytest.raises(LimitExceeded):
            queue.answer(wrong)
    with pytest.raises(LimitExceeded):
        queue.add([item(2, input="x" * 65_537)])
