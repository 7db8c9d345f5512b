# SPDX-License-Identifier: Apache-2.0
"""What was made of an answer goes when the answer does not stand any more, and each output is counted once."""

from __future__ import annotations

import dataclasses
import json
import time
from datetime import timedelta

import page_site
import page_world as world
import pytest
from review_world import add_items, add_labels, curation_desk

from pilothouse.core.evidence.outcome import OutcomeStatus
from pilothouse.core.evidence.review import Answer, Label, ReviewSource
from pilothouse.core.evidence.task import TaskResult
from pilothouse.errors import LimitExceeded, UsageError
from pilothouse.evals.case import Case, Split
from pilothouse.evals.dataset import load_dataset, read_cases
from pilothouse.evals.dataset import write_cases as write_file
from pilothouse.workflows.curation import fine_tuning
from pilothouse.workflows.curation.few_shot_library import near_judging
from pilothouse.workflows.curation.knowledge_gaps import GapRoom, audit_gaps, case_book
from pilothouse.workflows.gate.datasets import add_cases
from pilothouse.workflows.labels.review_upkeep import reopen_by_rubric
from pilothouse.workflows.review.queue import rubric_of
from pilothouse.workflows.review.second_opinions import again
from pilothouse.workflows.review.trusted_labels import trusted_labels

AGENT, NOW = world.AGENT, world.NOW
SUBJECT = "kim@customer.example"
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def site(tmp_path):
    with page_site.people_site(tmp_path) as opened:
        yield opened


@pytest.fixture
def desk(site):
    return curation_desk(site)


def charter(site):
    return site.sign_in.directory.charter(AGENT)


def say(site, item_id, by, answer, correction=None, *, at=NOW):
    rubric = rubric_of(charter(site), "po_invoice").digest
    site.queue.answer(
        Label(
            item_id=item_id,
            agent=AGENT,
            reviewer=by,
            answer=answer,
            correction=correction,
            rubric=rubric,
            at=at,
        )
    )


def ask_again(site, item_id, *, salt, source=ReviewSource.SAMPLED):
    """Add another opinion on an item, and return its id."""
    other = dataclasses.replace(again(site.queue.record(item_id).item, NOW, salt=salt), source=source)
    site.queue.add([other])
    return other.item_id


def settle(site, item_id, answer, correction=None):
    """Let one more person decide a dispute about an item."""
    third = ask_again(site, item_id, salt="third", source=ReviewSource.DISPUTED)
    say(site, third, "kim", answer, correction, at=LATER)


def cases(path):
    return {case.id: case.expected for case in load_dataset(path).cases}


def test_a_case_follows_the_answer_that_one_more_person_gave(site, desk, tmp_path):
    add_labels(site, 3, answer=Answer.CORRECT, correction="team A")
    folder = tmp_path / "labelled"
    desk.cases(AGENT, folder)
    settle(site, "i0", Answer.CORRECT, "team B")
    settle(site, "i1", Answer.REJECT)
    made = desk.cases(AGENT, folder)
    assert cases(folder) == {"review:i0": "team B", "review:i2": "team A"}
    assert (made.overruled, made.added) == (("review:i0", "review:i1"), ("review:i0",))
    again_made = desk.cases(AGENT, folder)
    assert (again_made.overruled, again_made.added) == ((), ())


def test_while_two_differ_no_case_judges_by_either(site, desk, tmp_path):
    add_labels(site, 2, answer=Answer.CORRECT, correction="team A")
    folder = tmp_path / "labelled"
    desk.cases(AGENT, folder)
    say(site, ask_again(site, "i0", salt="second"), "kim", Answer.ACCEPT)
    desk.cases(AGENT, folder)
    assert set(cases(folder)) == {"review:i1"}


@pytest.mark.parametrize("nothing", ["", "  ", "null", "[]", '""'])
def test_a_task_of_which_nobody_knows_what_was_asked_becomes_no_case(site, desk, tmp_path, nothing):
    folder = tmp_path / "labelled"
    add_labels(site, 1, name="a", text=nothing.replace("{", "{{"), answer=Answer.CORRECT, correction="team A")
    with pytest.raises(UsageError, match="the input is not on record"):
        desk.cases(AGENT, folder)
    add_labels(site, 1, answer=Answer.CORRECT, correction="team A")
    made = desk.cases(AGENT, folder)
    assert (set(cases(folder)), made.unasked) == ({"review:i0"}, ("a0",))
    (file,) = folder.glob("*.jsonl")
    (case,) = read_cases([file], is_bare=False)
    earlier = tmp_path / "earlier.jsonl"
    write_file(earlier, [case.model_copy(update={"id": "review:a0", "input": ""})])
    add_cases(folder, [earlier], owner="lee", population=AGENT)
    desk.cases(AGENT, folder)
    assert set(cases(folder)) == {"review:i0"}, "one that an earlier version made goes"


def test_what_a_person_wrote_into_a_case_since_stays(site, desk, tmp_path):
    add_labels(site, 1, answer=Answer.CORRECT, correction="team A")
    folder = tmp_path / "labelled"
    desk.cases(AGENT, folder)
    (file,) = folder.glob("*.jsonl")
    (case,) = read_cases([file], is_bare=False)
    write_file(file, [case.model_copy(update={"expected": "team A, berth 4"})])
    assert desk.cases(AGENT, folder).overruled == ()
    assert cases(folder) == {"review:i0": "team A, berth 4"}


def test_nothing_is_learned_of_what_was_erased_and_nobody_is_asked_about_it_again(site, desk):
    add_labels(site, 3, text=f"pay {SUBJECT} for {{n}}")
    assert len(trusted_labels(site.queue, charter(site), NOW)) == 3
    desk.erase(SUBJECT, [], actor="test")
    assert trusted_labels(site.queue, charter(site), NOW) == ()
    text = world.charter_text().replace("Route each incoming", "Route every incoming")
    site.ledger.accept_charter(agent=AGENT, digest="f" * 64, text=text, path="c.yaml", at=NOW)
    assert reopen_by_rubric(site.queue, site.sign_in.directory, LATER) == 0


def test_an_output_is_corrected_once_however_many_say_so(site, desk):
    add_labels(site, 1, answer=Answer.CORRECT, correction="team A")
    say(site, ask_again(site, "i0", salt="second"), "kim", Answer.CORRECT, "team A")
    repetition = again(site.queue.record("i0").item, NOW, salt="repeat", only_for="lee")
    site.queue.add([repetition])
    say(site, repetition.item_id, "lee", Answer.CORRECT, "team A")
    assert desk.week(AGENT).corrections == 1


def test_the_case_book_holds_what_the_last_word_corrected(site):
    add_labels(site, 2, answer=Answer.CORRECT, correction="team A")
    add_labels(site, 3, name="a", text="another question {n}")
    settle(site, "i0", Answer.ACCEPT)
    settle(site, "a2", Answer.CORRECT, "team C")
    book = case_book(site.queue, charter(site), LATER)
    assert "2 corrections" in book
    assert "team C" in book
    assert "supplier 0" not in book, "the agent was right, said the last word"


def test_a_repetition_that_its_person_never_answers_holds_no_correction_up(site, desk, tmp_path):
    add_labels(site, 1, answer=Answer.CORRECT, correction="team A", source=ReviewSource.FLAGGED)
    site.queue.add([again(site.queue.record("i0").item, NOW, salt="repeat", only_for="who left")])
    site.clock.move(days=30)
    desk.cases(AGENT, tmp_path / "labelled")
    (record,) = site.ledger.evidence(AGENT, kinds=["correction"])
    assert record.passed


def test_one_text_that_thousands_send_is_looked_at_once():
    began = time.process_time()
    leaking, repeated = near_judging((), ["please pay the invoice of May and tell the supplier"] * 4_000)
    assert (leaking, repeated) == (set(), {*range(1, 4_000)})
    assert time.process_time() - began < 2, "each with each other 3,000 took 9.5 s"
    case = Case(
        id="c", task_type="po_invoice", input="a text of a case that judges, of ten words", split=Split.GATE
    )
    leaking, repeated = near_judging((case,), [case.input, "another text altogether", case.input])
    assert (leaking, repeated) == ({0, 2}, set())


def failures(site, desk):
    room = GapRoom(
        installation=site.installation, queue=site.queue, store=desk.store, said=desk.said,
        directory=site.sign_in.directory,
    )  # fmt: skip
    return audit_gaps(room, charter(site), LATER).gaps.failures


def test_a_task_with_several_items_is_wrong_once_and_never_forgotten(site, desk):
    outcomes = world.make_outcomes(world.make_tasks())
    site.installation.ledger.save_outcomes(tuple(outcomes.values()))
    right = [
        task.trace_id
        for task in world.make_tasks()
        if task.result is TaskResult.COMPLETED
        and task.trace_id in outcomes
        and outcomes[task.trace_id].status is OutcomeStatus.VERIFIED
    ]
    before = failures(site, desk)
    add_items(site.queue, 2)
    for n in range(2):
        base = dataclasses.replace(site.queue.record(f"i{n}").item, trace_id=right[n])
        flagged = dataclasses.replace(
            base, item_id=f"f{n}", source=ReviewSource.FLAGGED, proposal="as the user has it"
        )
        site.queue.add(
            [dataclasses.replace(base, item_id=f"s{n}", created_at=NOW - LATER.resolution), flagged]
        )
        say(site, f"s{n}", "lee", Answer.ACCEPT)
        say(site, f"f{n}", "dana", Answer.REJECT)
    assert failures(site, desk) == before + 2, "an older answer hid the newer one"
    settle(site, "f0", Answer.ACCEPT)
    assert failures(site, desk) == before + 1


def test_nearly_equal_answers_are_one_row_of_training(site, desk, tmp_path, monkeypatch):
    monkeypatch.setattr(fine_tuning, "ROWS_MIN", 20)
    for name in ("i", "j"):
        add_labels(site, 60, name=name)
    made = desk.export(AGENT, tmp_path / "rows", "contract")
    rows = [
        json.loads(line)["messages"][1]["content"]
        for part in ("train", "validation")
        for line in (tmp_path / "rows" / f"{part}.jsonl").read_text().splitlines()
    ]
    assert len(rows) == len(set(rows)) == made.train + made.validation == made.repeated
    about = json.loads((tmp_path / "rows" / "provenance.json").read_text())
    assert made.leaking is about["left_out_leaking"] is None, "without a dataset nothing is known of leaks"
    monkeypatch.setattr(fine_tuning, "ROWS_MIN", len(rows) + 1)
    with pytest.raises(LimitExceeded, match=f"{len(rows)} nearly repeat another"):
        desk.export(AGENT, tmp_path / "few", "contract")
