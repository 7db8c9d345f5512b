# SPDX-License-Identifier: Apache-2.0
"""Which tasks people are asked about, and what their answers prove."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta

import page_site
import page_world as world
import pytest
from evidence_made import load_charter

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.review import Answer, Label, ReviewSource
from pilothouse.core.evidence.standing import standing_outcome
from pilothouse.core.statistics.intervals import jeffreys_lower, jeffreys_upper
from pilothouse.core.verdict.verdict import Status
from pilothouse.ledger.holds import SqlHolds
from pilothouse.ports.holds import HeldOutput
from pilothouse.testing import example_task
from pilothouse.workflows.ground import newest_tasks
from pilothouse.workflows.labels.label_evidence import label_evidence, record_label_evidence
from pilothouse.workflows.people.people import Directory
from pilothouse.workflows.review import label_sampling
from pilothouse.workflows.review.label_sampling import draw_for_labels
from pilothouse.workflows.review.queue import rubric_of
from pilothouse.workflows.review.strata import STRATA, stratum_of
from pilothouse.workflows.verdict.assess import assess

AGENT, NOW = world.AGENT, world.NOW


@pytest.fixture(autouse=True)
def texts_of_their_own(monkeypatch):
    """The small world has one trace for all tasks; equal texts would be one question."""
    monkeypatch.setattr(
        label_sampling, "task_texts", lambda _lake, task: (f"in {task.trace_id}", f"out {task.trace_id}", ())
    )


@pytest.fixture
def site(tmp_path):
    with page_site.people_site(tmp_path) as opened:
        yield opened


def drawn(site):
    return [one for one in site.queue.items(AGENT, sources=[ReviewSource.SAMPLED]) if not one.item.pair_of]


def draw(site, now=NOW):
    return draw_for_labels(site.installation, site.queue, Directory(site.ledger), now)


def test_a_day_is_drawn_once_with_rates_that_were_fixed_before_and_are_kept(site):
    new = draw(site)
    assert new > 0
    assert draw(site, NOW + timedelta(minutes=1)) <= 3, "what settled since then, and nothing again"
    kept = site.ledger.decisions(AGENT, kind="review.sampling")
    assert len(kept) == 2
    for record in drawn(site):
        assert 0 < record.item.probability <= 1
        assert record.item.error_cost in {400.0, 900.0}


@pytest.mark.parametrize(
    ("model", "version"), [("acme-large-2026-04-12", "v1"), ("acme-medium-2026-02-01", None)]
)
def test_what_people_say_of_the_answer_of_a_stand_in_is_of_no_version(model, version):
    """Its labels would have shown a threshold of the pin valid."""
    task = example_task(trace_id="1" * 32, version_digest="v1", models=(model,))
    item = label_sampling.item_of_task(
        None, load_charter(), task, source=ReviewSource.SAMPLED, why="", now=NOW, due=NOW + timedelta(days=1)
    )
    assert item.version == version


def test_a_question_knows_which_others_are_of_its_conversation_and_never_its_name(monkeypatch):
    def asked_about(conversation):
        task = example_task(trace_id="1" * 32, conversation=conversation)
        given = {"source": ReviewSource.SAMPLED, "why": "", "now": NOW, "due": NOW + timedelta(days=1)}
        return label_sampling.item_of_task(None, load_charter(), task, **given).conversation

    one, again, other = (
        asked_about(name) for name in ("kim@customer.example", "kim@customer.example", "sam")
    )
    assert one == again != other
    assert (len(one), "kim" in one, asked_about(None)) == (64, False, None)


def test_an_agent_that_starts_after_its_server_is_asked_about_on_its_first_day(site):
    empty = dataclasses.replace(site.installation, lake=world.PageLake())
    for minute in (0, 5):
        later = NOW - timedelta(minutes=30 - minute)
        assert draw_for_labels(empty, site.queue, Directory(site.ledger), later) == 0
    fixed = [json.loads(one.document) for one in site.ledger.decisions(AGENT, kind="review.sampling")]
    assert [one["day"] for one in fixed] == ["2026-11-20"], "a day that is over is not looked at for ever"
    assert draw(site) > 0


def test_a_share_that_is_answered_during_the_day_counts_from_that_day_on(site):
    text = world.charter_text()
    unasked = text.replace(
        "reviewers: {pool: ap-reviewers, minutes_per_day: 240",
        "reviewers: {pool: ap-reviewers, minutes_per_day: '?'",
    )
    assert unasked != text
    site.ledger.accept_charter(agent=AGENT, digest="c" * 64, text=unasked, path="c.yaml", at=NOW)
    assert draw(site) == 0
    site.ledger.accept_charter(agent=AGENT, digest="d" * 64, text=text, path="c.yaml", at=NOW)
    assert draw(site, NOW + timedelta(minutes=5)) > 0


def test_who_is_drawn_does_not_depend_on_how_many_tasks_are_read_at_once(site, tmp_path, monkeypatch):
    """Nor is a day ever read whole: beyond a million tasks in a window nobody was asked anything."""
    draw(site)
    whole = {one.item.trace_id: one.item.probability for one in drawn(site)}
    monkeypatch.setattr(newest_tasks, "PAGE_TASKS", 7)
    again = tmp_path / "again"
    again.mkdir()
    with page_site.people_site(again) as other:
        monkeypatch.setattr(other.installation.lake, "window", None)
        draw(other)
        assert {one.item.trace_id: one.item.probability for one in drawn(other)} == whole
        first, second = (
            [one.document for one in place.ledger.decisions(AGENT, kind="review.sampling")]
            for place in (site, other)
        )
        assert first == second


def test_no_more_is_asked_than_reviewers_have_minutes_for(site):
    text = (
        world.charter_text()
        .replace("minutes_per_day: 240", "minutes_per_day: 7")
        .replace("{rate: 0.05", "{rate: 1.0")
    )
    site.ledger.accept_charter(agent=AGENT, digest="c" * 64, text=text, path="c.yaml", at=NOW)
    draw(site)
    # 7 minutes at 0.7 each, half of them for labels: 5 a day, by coins; two days are open.
    assert 1 <= len(drawn(site)) <= 22


def test_a_tenth_goes_to_a_second_person_blind(site):
    text = world.charter_text().replace("sampling: {rate: 0.05", "sampling: {rate: 1.0")
    site.ledger.accept_charter(agent=AGENT, digest="d" * 64, text=text, path="c.yaml", at=NOW)
    for day in range(10):
        draw(site, NOW - timedelta(days=day))
    items = site.queue.items(AGENT, sources=[ReviewSource.SAMPLED])
    seconds = [one for one in items if one.item.pair_of]
    assert 0.02 < len(seconds) / len(items) < 0.2


def test_each_task_that_may_win_is_looked_up_however_many_there_are(site, monkeypatch):
    monkeypatch.setattr(label_sampling, "LOOKED_UP_AT_ONCE_MAX", 7)
    every = {name: dict.fromkeys(STRATA, 1.0) for name in world.charter().task_types}
    monkeypatch.setattr(label_sampling, "rates_of_day", lambda *_fixed: every)
    outcomes = world.make_outcomes(world.make_tasks())
    site.installation.ledger.save_outcomes(tuple(outcomes.values()))
    draw(site)
    tasks = {task.trace_id: task for task in world.make_tasks()}
    assert len(drawn(site)) > 50
    for record in drawn(site):
        trace = record.item.trace_id
        stratum = stratum_of(standing_outcome(tasks[trace], outcomes.get(trace)))
        assert record.item.why.startswith(f"drawn from {stratum} tasks"), (
            "what was not looked up passed for unknown"
        )


def test_where_one_person_reviews_nobody_waits_for_a_second_opinion(site):
    gone = sorted({*world.charter().people} - {"lee"})
    document = canonical_json({"gone": gone})
    site.ledger.record(kind="directory.checked", agent=AGENT, at=NOW, actor="test", document=document)
    text = world.charter_text().replace("sampling: {rate: 0.05", "sampling: {rate: 1.0")
    site.ledger.accept_charter(agent=AGENT, digest="d" * 64, text=text, path="c.yaml", at=NOW)
    for day in range(10):
        draw(site, NOW - timedelta(days=day))
    items = site.queue.items(AGENT, sources=[ReviewSource.SAMPLED])
    assert len(items) > 100
    assert [one for one in items if one.item.pair_of] == []


def test_own_answers_come_back_after_a_week_to_the_same_person_only(site):
    draw(site)
    for record in drawn(site):
        site.queue.answer(
            Label(item_id=record.item.item_id, agent=AGENT, reviewer="lee", answer=Answer.ACCEPT, at=NOW)
        )
    answered = dataclasses.replace(drawn(site)[0].item)
    many = [
        dataclasses.replace(answered, item_id=f"many-{n}", trace_id=f"{n:032x}", input=f"in {n}")
        for n in range(200)
    ]
    site.queue.add(many)
    for one in many:
        site.queue.answer(
            Label(item_id=one.item_id, agent=AGENT, reviewer="lee", answer=Answer.ACCEPT, at=NOW)
        )
    draw(site, NOW + timedelta(days=8))
    again = site.queue.items(AGENT, sources=[ReviewSource.CANARY])
    assert 2 <= len(again) <= 25
    assert {one.item.only_for for one in again} == {"lee"}
    assert all(one.item.pair_of for one in again)


def label_all(site, share_good):
    for n, record in enumerate(drawn(site)):
        answer = Answer.ACCEPT if (n % 100) < share_good * 100 else Answer.REJECT
        site.queue.answer(
            Label(item_id=record.item.item_id, agent=AGENT, reviewer="lee", answer=answer, at=NOW)
        )


def test_labels_become_quality_where_no_system_of_record_says_it(site):
    charter = site.sign_in.directory.charter(AGENT)
    judged = charter.model_copy(
        update={
            "task_types": {
                name: terms.model_copy(update={"verifier": None})
                for name, terms in charter.task_types.items()
            }
        }
    )
    site.ledger.accept_charter(
        agent=AGENT,
        digest="e" * 64,
        text=world.charter_text().replace("{rate: 0.05", "{rate: 1.0"),
        path="c",
        at=NOW,
    )
    for day in (1, 0):
        draw(site, NOW - timedelta(days=day))
    label_all(site, 0.9)
    records = [
        one for one in label_evidence(site.installation, site.queue, judged, NOW) if one.kind == "quality"
    ]
    assert records
    for record in records:
        assert record.good / record.n <= 0.95
        assert record.counts["labels"] <= record.counts["tasks"]
        assert record.n <= 8 * record.counts["labels"]
        assert record.binds.version == world.VERSION


def test_labels_by_a_rubric_that_is_not_in_force_any_more_prove_no_quality(site):
    charter = site.sign_in.directory.charter(AGENT)
    text = world.charter_text().replace("{rate: 0.05", "{rate: 1.0")
    site.ledger.accept_charter(agent=AGENT, digest="e" * 64, text=text, path="c", at=NOW)
    for day in (1, 0):
        draw(site, NOW - timedelta(days=day))
    unverified = {
        name: terms.model_copy(update={"verifier": None}) for name, terms in charter.task_types.items()
    }
    judged = charter.model_copy(update={"task_types": unverified})
    for record in drawn(site):
        site.queue.answer(
            Label(
                item_id=record.item.item_id, agent=AGENT, reviewer="lee", answer=Answer.ACCEPT, at=NOW,
                rubric=rubric_of(judged, record.item.task_type).digest,
            )
        )  # fmt: skip

    def qualities(charter):
        found = label_evidence(site.installation, site.queue, charter, NOW)
        return [one.scope.task_type for one in found if one.kind == "quality"]

    assert len(qualities(judged)) == len(unverified)
    stricter = unverified["po_invoice"].model_copy(update={"critical": ("paid_twice", "sent_to_a_stranger")})
    changed = judged.model_copy(update={"task_types": {**unverified, "po_invoice": stricter}})
    assert sorted(qualities(changed)) == sorted({*unverified} - {"po_invoice"})


@pytest.mark.parametrize(
    ("silent", "answer"), [(0.05, Answer.ACCEPT), (0.4, Answer.ACCEPT), (0.4, Answer.REJECT)]
)
def test_where_people_stay_silent_the_rest_may_be_anything(site, silent, answer):
    charter = site.sign_in.directory.charter(AGENT)
    text = world.charter_text().replace("{rate: 0.05", "{rate: 1.0")
    site.ledger.accept_charter(agent=AGENT, digest="e" * 64, text=text, path="c", at=NOW)
    unverified = {
        name: terms.model_copy(update={"verifier": None}) for name, terms in charter.task_types.items()
    }
    for day in range(3, -1, -1):
        draw(site, NOW - timedelta(days=day))
    for n, record in enumerate(drawn(site)):
        nobody_knows = n % 20 < 20 * silent
        for who, said in (
            (("lee", Answer.UNSURE), ("kim", Answer.UNSURE)) if nobody_knows else (("lee", answer),)
        ):
            site.queue.answer(
                Label(item_id=record.item.item_id, agent=AGENT, reviewer=who, answer=said, at=NOW)
            )
    judged = charter.model_copy(update={"task_types": unverified})
    found = [
        one for one in label_evidence(site.installation, site.queue, judged, NOW) if one.kind == "quality"
    ]
    assert len(found) == len(unverified)
    for record in found:
        low, high = jeffreys_lower(record.good, record.n, 0.95), jeffreys_upper(record.good, record.n, 0.95)
        if answer is Answer.REJECT:
            assert high < 0.9, "what is bad stays bad, however silent some are"
        else:
            assert (low > 0.8) is (silent < 0.1), "and what is good is not shown"
        assert ("may be anything" in record.detail) is (silent > 0.1)


def test_labels_bought_for_some_days_do_not_speak_for_the_others(site):
    charter = site.sign_in.directory.charter(AGENT)
    name = "po_invoice"
    judged = charter.model_copy(
        update={"task_types": {name: charter.task_types[name].model_copy(update={"verifier": None})}}
    )
    start = world.ns(NOW - timedelta(days=7))
    tasks = [
        task
        for task in sorted(world.make_tasks(), key=lambda one: one.start_ns)
        if (task.task_type, task.version_digest) == (name, world.VERSION) and task.start_ns > start
    ]
    before, after = tasks[: len(tasks) // 2 : 4], tasks[len(tasks) // 2 :]
    for chosen, chance, answer in ((before, 0.25, Answer.REJECT), (after, 1.0, Answer.ACCEPT)):
        for task in chosen:
            one = label_sampling.item_of_task(
                site.installation.lake, charter, task, source=ReviewSource.SAMPLED, why="drawn", now=NOW,
                due=NOW, probability=chance,
            )  # fmt: skip
            site.queue.add([one])
            site.queue.answer(Label(item_id=one.item_id, agent=AGENT, reviewer="lee", answer=answer, at=NOW))
    (record,) = (
        one for one in label_evidence(site.installation, site.queue, judged, NOW) if one.kind == "quality"
    )
    assert len(after) > 3 * len(before), "counted plainly nearly all labels are good"
    assert 0.35 < record.good / record.n < 0.65


def test_labels_of_turns_of_one_conversation_count_as_fewer(site, monkeypatch):
    charter = site.sign_in.directory.charter(AGENT)
    name = "po_invoice"
    judged = charter.model_copy(
        update={"task_types": {name: charter.task_types[name].model_copy(update={"verifier": None})}}
    )
    start = world.ns(NOW - timedelta(days=7))
    tasks = [
        task
        for task in sorted(world.make_tasks(), key=lambda one: one.start_ns)
        if (task.task_type, task.version_digest) == (name, world.VERSION) and task.start_ns > start
    ]
    for task in tasks:
        one = label_sampling.item_of_task(
            site.installation.lake, charter, task, source=ReviewSource.SAMPLED, why="drawn", now=NOW,
            due=NOW, probability=1.0,
        )  # fmt: skip
        site.queue.add([one])
        site.queue.answer(
            Label(item_id=one.item_id, agent=AGENT, reviewer="lee", answer=Answer.ACCEPT, at=NOW)
        )

    def measured(turns):
        talks = {task.trace_id: f"talk {number // turns}" for number, task in enumerate(tasks)}
        window = site.installation.lake.window
        with monkeypatch.context() as patched:
            patched.setattr(
                site.installation.lake,
                "window",
                lambda wanted: [
                    dataclasses.replace(one, conversation=talks.get(one.trace_id)) for one in window(wanted)
                ],
            )
            found = label_evidence(site.installation, site.queue, judged, NOW)
            return next((one for one in found if one.kind == "quality"), None)

    alone, in_fours = measured(1), measured(4)
    assert alone.n > 1.5 * in_fours.n
    # Labels that are all good show no correlation of their own: 1 / (1 + 3 x 0.7) of each of four turns.
    assert "those of one conversation count as 0.32" in in_fours.detail
    assert "of one conversation" not in alone.detail
    assert measured(len(tasks)) is None, "a single conversation says nothing of others"


def test_where_the_system_of_record_is_the_metric_labels_do_not_compete_with_it(site):
    draw(site)
    label_all(site, 1.0)
    kinds = {
        one.kind
        for one in label_evidence(site.installation, site.queue, site.sign_in.directory.charter(AGENT), NOW)
    }
    assert "quality" not in kinds


def queue_status(site, now):
    verdict = assess(site.installation, AGENT, now, freeze=False).verdict
    items = next(one for one in verdict.requirements if one.requirement == "EVAL-9").items
    return next(one.status for one in items if one.kind == "review.queue")


def test_held_outputs_decided_in_time_hold_and_one_that_expired_breaches(site):
    holds = SqlHolds(site.ledger.database)

    def hold(n):
        return holds.hold(
            HeldOutput(
                agent=AGENT, task_type="po_invoice", trace_id=f"{n:032x}", call_digest=f"{n:064x}", input="i",
                proposal="p", reason="low", held_at=NOW, deadline=NOW + timedelta(hours=1),
            )
        )  # fmt: skip

    directory = Directory(site.ledger)
    assert queue_status(site, NOW) is Status.NO_EVIDENCE
    first = hold(1)
    site.queue.answer(Label(item_id=first.hold_id, agent=AGENT, reviewer="lee", answer=Answer.ACCEPT, at=NOW))
    record_label_evidence(site.installation, site.queue, directory, NOW)
    assert queue_status(site, NOW) is Status.HOLDS
    hold(2)
    later = NOW + timedelta(hours=2)
    holds.expire(later)
    record_label_evidence(site.installation, site.queue, directory, later)
    assert queue_status(site, later) is Status.BREACHED
