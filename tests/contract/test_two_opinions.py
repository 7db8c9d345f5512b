# SPDX-License-Identifier: Apache-2.0
"""Two opinions on one output are two people's, whatever way an item takes, and no answer wipes another one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fresh_ledger import ledger_url
from sqlalchemy import event

from pilothouse.core.evidence.review import Answer, ItemState, Label, ReviewItem, ReviewSource
from pilothouse.errors import Conflict
from pilothouse.ledger.curation import SqlCuration
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.review_queue import SqlReviewQueue
from pilothouse.ports.review import CLAIM_LIFE

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AGENT = "ap-invoice-triage"
SECOND = timedelta(seconds=1)

FIRST = ReviewItem(
    item_id="first",
    agent=AGENT,
    task_type="po_invoice",
    trace_id="1" * 32,
    source=ReviewSource.SAMPLED,
    why="drawn",
    input="kim@customer.example asks",
    proposal="out",
    call_digest="c",
    created_at=NOW,
    due_at=NOW + timedelta(days=1),
)
OTHER = replace(FIRST, item_id="second", pair_of="first")
THIRD = replace(FIRST, item_id="third", pair_of="first", source=ReviewSource.DISPUTED)


@pytest.fixture
def database(tmp_path):
    with open_ledger(ledger_url(tmp_path)) as opened:
        yield opened.database


@pytest.fixture
def queue(database):
    return SqlReviewQueue(database)


def say(queue, item_id, by, answer=Answer.ACCEPT, at=NOW):
    return queue.answer(Label(item_id=item_id, agent=AGENT, reviewer=by, answer=answer, at=at))


def test_who_answers_the_second_opinion_first_is_not_given_the_first(queue):
    queue.add([FIRST, OTHER])
    say(queue, "second", "kim")
    assert queue.claim_next("kim", [AGENT], NOW) is None
    with pytest.raises(Conflict, match="not for you"):
        queue.claim("first", "kim", NOW)
    with pytest.raises(Conflict, match="not for you"):
        say(queue, "first", "kim")
    assert queue.claim_next("lee", [AGENT], NOW).item.item_id == "first"


@pytest.mark.parametrize(
    ("answered", "given"), [("first", "second"), ("second", "first"), ("second", "third")]
)
def test_nobody_is_given_another_opinion_on_what_they_have_answered(queue, answered, given):
    queue.add([FIRST, OTHER, THIRD])
    say(queue, answered, "kim")
    with pytest.raises(Conflict, match="another person's opinion"):
        queue.assign(given, "kim", actor="dana", now=NOW)
    assert queue.assign(given, "lee", actor="dana", now=NOW).item.only_for == "lee"


def test_of_two_opinions_given_to_one_person_the_other_is_free_once_one_is_answered(queue):
    queue.add([FIRST, OTHER])
    for name in ("first", "second"):
        queue.assign(name, "kim", actor="dana", now=NOW)
    say(queue, queue.claim_next("kim", [AGENT], NOW).item.item_id, "kim")
    assert queue.claim_next("kim", [AGENT], NOW) is None
    assert queue.claim_next("lee", [AGENT], NOW) is not None


def test_an_equal_output_shares_no_answer_with_who_gave_the_other_opinion_on_it(queue):
    queue.add([FIRST, OTHER, replace(FIRST, item_id="equal", trace_id="2" * 32)])
    say(queue, "second", "kim")
    _, others = say(queue, "equal", "kim")
    assert others == 0
    assert queue.record("first").state is ItemState.WAITING


def test_an_item_given_to_one_person_who_cannot_say_goes_back_to_everybody(queue):
    queue.add([FIRST])
    queue.assign("first", "kim", actor="dana", now=NOW)
    say(queue, "first", "kim", Answer.NOT_MY_FIELD)
    assert queue.claim_next("lee", [AGENT], NOW).item.item_id == "first"


def test_a_repetition_of_which_its_person_is_unsure_waits_for_nobody(queue):
    queue.add([FIRST])
    say(queue, "first", "kim")
    queue.add([replace(OTHER, source=ReviewSource.CANARY, only_for="kim")])
    record, _ = say(queue, "second", "kim", Answer.UNSURE)
    assert record.state is ItemState.UNSURE
    assert queue.counts([AGENT], NOW) == ()


def test_taking_an_answer_back_leaves_what_another_person_answered_since(queue):
    queue.add([FIRST])
    say(queue, "first", "kim", Answer.UNSURE)
    say(queue, "first", "lee", at=NOW + 3 * SECOND)
    with pytest.raises(Conflict, match="gone on"):
        queue.undo("kim", NOW + 5 * SECOND)
    record = queue.record("first")
    assert (record.state, record.decided_by) == (ItemState.ACCEPTED, "lee")
    assert [one.reviewer for one in queue.labels(AGENT)] == ["lee", "kim"], "neither answer was taken back"


def test_taking_an_answer_back_takes_nothing_from_who_has_the_item_open(queue):
    queue.add([FIRST])
    say(queue, "first", "kim", Answer.HAND_BACK)
    queue.claim_next("lee", [AGENT], NOW + SECOND)
    with pytest.raises(Conflict, match="gone on"):
        queue.undo("kim", NOW + 5 * SECOND)
    assert queue.record("first").holder == "lee"
    say(queue, "first", "lee", at=NOW + 6 * SECOND)
    assert queue.undo("lee", NOW + 7 * SECOND).holder == "lee"
    assert queue.record("first").held_until == NOW + 7 * SECOND + CLAIM_LIFE


def test_nobody_is_asked_about_a_text_that_was_erased(queue, database):
    queue.add([FIRST, OTHER])
    say(queue, "second", "lee")
    queue.claim_next("kim", [AGENT], NOW)
    SqlCuration(database).erase("kim@customer.example", actor="dana", at=NOW + SECOND)
    assert queue.claim_next("kim", [AGENT], NOW + SECOND) is None
    with pytest.raises(Conflict, match="unsure already"):
        say(queue, "first", "kim", at=NOW + 2 * SECOND)
    with pytest.raises(Conflict, match="gone on"):
        queue.undo("lee", NOW + 3 * SECOND)
    assert queue.record("first").note == "its texts were erased"
    assert queue.counts([AGENT], NOW + timedelta(days=30)) == ()


def steps_of(database, do):
    """Count what SQLite does for a call, in hundreds of its steps: the same on every machine, busy or not."""
    counted = []

    def watch(connection, *_):
        connection.set_progress_handler(lambda: counted.append(1), 100)

    event.listen(database.engine, "checkout", watch)
    try:
        do()
    finally:
        event.remove(database.engine, "checkout", watch)
    return len(counted)


def test_finding_the_next_item_costs_in_proportion_to_what_one_has_answered(queue, database):
    count = 100
    if database.engine.dialect.name != "sqlite":
        pytest.skip("counts the steps of SQLite")
    steps = []
    for several in (1, 4):
        items = [
            replace(
                FIRST,
                item_id=f"{kind}-{several}-{n}",
                input=f"{kind} {several} {n}",
                source=source,
            )
            for kind, source in (("old", ReviewSource.FLAGGED), ("new", ReviewSource.SAMPLED))
            for n in range(several * count)
        ]
        queue.add(items)
        for n in range(several * count):
            say(queue, f"old-{several}-{n}", f"kim {several}")
        steps.append(steps_of(database, lambda by=several: queue.claim_next(f"kim {by}", [AGENT], NOW)))
    assert steps[1] < 8 * steps[0], "each waiting item asked for all answers: sixteen times as much"
