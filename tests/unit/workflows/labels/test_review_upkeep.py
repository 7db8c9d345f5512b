# SPDX-License-Identifier: Apache-2.0
"""The queue stays true: disputes go to a third person, absent people's items on, old rubrics are asked again, late calls."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import control_rooms
import page_site
import page_world as world
import pytest
from review_world import add_items, add_labels, curation_desk
from sqlalchemy import update

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.review import Answer, ItemState, Label, ReviewSource
from pilothouse.core.evidence.score import Score
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import Conflict, UnknownName
from pilothouse.ledger.review_queue import SqlReviewQueue
from pilothouse.ledger.review_tables import review_items, review_labels
from pilothouse.workflows.incidents.alerts import alert_on_verdicts
from pilothouse.workflows.labels.label_evidence import record_queue_evidence
from pilothouse.workflows.labels.review_upkeep import hand_to_substitutes, reopen_by_rubric
from pilothouse.workflows.people.people import Directory
from pilothouse.workflows.review.label_sampling import draw_for_labels
from pilothouse.workflows.review.load import load_in_words
from pilothouse.workflows.review.queue import rubric_of
from pilothouse.workflows.review.trusted_labels import trusted_labels
from pilothouse.workflows.verdict.assess import assess

AGENT, NOW = world.AGENT, world.NOW
TICK = timedelta(minutes=5)
OPEN = (ItemState.WAITING, ItemState.CLAIMED)


@pytest.fixture
def site(tmp_path):
    with page_site.people_site(tmp_path) as opened:
        yield opened


def answer(site, item_id, by, said=Answer.ACCEPT, correction=None):
    rubric = rubric_of(site.sign_in.directory.charter(AGENT), "po_invoice").digest
    site.queue.answer(
        Label(
            item_id=item_id, agent=AGENT, reviewer=by, answer=said, correction=correction, rubric=rubric,
            at=site.clock.now(),
        )
    )  # fmt: skip


def second_opinion(site, item_id, by, said):
    """Let a second person answer an item blind."""
    first = site.queue.record(item_id).item
    site.queue.add([dataclasses.replace(first, item_id=f"second-{item_id}", pair_of=item_id)])
    answer(site, f"second-{item_id}", by, said)


def disputed(site):
    return site.queue.items(AGENT, sources=[ReviewSource.DISPUTED], states=OPEN)


def look(site):
    draw_for_labels(site.installation, site.queue, site.sign_in.directory, site.clock.now())


def test_where_two_differ_a_third_decides_and_only_then_it_is_trusted(site):
    add_labels(site, 2)
    second_opinion(site, "i0", "dana", Answer.REJECT)
    second_opinion(site, "i1", "dana", Answer.ACCEPT)
    charter = site.sign_in.directory.charter(AGENT)
    assert [one.record.item.item_id for one in trusted_labels(site.queue, charter, NOW)] == ["i1"]
    look(site)
    look(site)
    (third,) = disputed(site)
    assert third.item.pair_of == "i0"
    for known_already in ("lee", "dana"):
        with pytest.raises(Conflict, match="not for you"):
            site.queue.claim(third.item.item_id, known_already, NOW)
    site.queue.claim(third.item.item_id, "kim", NOW)
    answer(site, third.item.item_id, "kim", Answer.CORRECT, "another team")
    found = {one.record.item.item_id: one for one in trusted_labels(site.queue, charter, NOW)}
    assert (found["i0"].output, found["i0"].label.reviewer, found["i0"].second) == (
        "another team",
        "kim",
        None,
    )
    assert found["i1"].second.reviewer == "dana"


def test_where_judge_and_person_differ_one_more_person_settles_it(site):
    add_labels(site, 4)
    charter = site.sign_in.directory.charter(AGENT)
    metric = str(charter.task_type("po_invoice").metric)
    at_ns = int(site.clock.now().timestamp()) * 10**9 - 10**9
    site.installation.lake._scores = tuple(
        Score(
            trace_id=f"{n:032x}", name=metric, label=word, at_ns=at_ns, value=None, explanation="", span_id="",
            source="judge",
        )
        for n, word in enumerate(("fail", "fail", "pass"))
    )  # fmt: skip
    look(site)
    look(site)
    asked = {one.item.pair_of: one.item for one in disputed(site)}
    assert set(asked) == {"i0", "i1"}, "what the judge passes or never saw is nobody's dispute"
    assert {one.why for one in asked.values()} == {"the judge and a person answered it differently"}
    assert len(trusted_labels(site.queue, charter, NOW)) == 4, "a judge alone takes no answer away"
    with pytest.raises(Conflict, match="not for you"):
        site.queue.claim(asked["i0"].item_id, "lee", site.clock.now())
    answer(site, asked["i0"].item_id, "kim", Answer.ACCEPT)
    answer(site, asked["i1"].item_id, "kim", Answer.REJECT)
    assert [one.record.item.item_id for one in trusted_labels(site.queue, charter, NOW)] == ["i0", "i2", "i3"]
    look(site)
    assert disputed(site) == ()


def alone(site, *people):
    """Let only some people of the charter review: all others are gone."""
    charter = site.sign_in.directory.charter(AGENT)
    gone = sorted({*charter.people} - {*people})
    site.ledger.record(
        kind="directory.checked", agent=AGENT, at=NOW, actor="test", document=canonical_json({"gone": gone})
    )
    return [site.sign_in.directory.find(person).identity for person in people]


def test_where_no_third_person_is_nobody_is_asked_what_nobody_may_answer(site):
    lee, dana = alone(site, "lee", "dana")
    add_labels(site, 2, by=lee)
    second_opinion(site, "i0", dana, Answer.REJECT)
    second_opinion(site, "i1", "who left since", Answer.REJECT)
    look(site)
    assert [one.item.pair_of for one in disputed(site)] == ["i1"], "of i1 dana has said nothing yet"


def test_an_agreement_of_one_person_with_that_person_is_none(site):
    add_labels(site, 35)
    by_hand = update(review_labels).where(review_labels.c.reviewer == "dana").values(reviewer="lee")
    items = update(review_items).where(review_items.c.decided_by == "dana").values(decided_by="lee")
    for n in range(35):
        second_opinion(site, f"i{n}", "dana", Answer.ACCEPT)
    charter = site.sign_in.directory.charter(AGENT)
    assert site.bench.loads([AGENT])[0].agreement.n == 35
    with site.ledger.database.write() as connection:
        for change in (by_hand, items):
            connection.execute(change)
    found = site.bench.loads([AGENT])[0].agreement
    assert isinstance(found, NotEnoughEvidence)
    assert found.have == 0
    assert {one.second for one in trusted_labels(site.queue, charter, NOW)} == {None}


def test_what_a_person_who_left_was_given_goes_to_everybody_when_the_substitute_has_answered_it(site):
    add_items(site.queue, 1)
    dana, lee = (site.sign_in.directory.find(person).identity for person in ("dana", "lee"))
    first = site.queue.record("i0").item
    site.queue.add([dataclasses.replace(first, item_id="second-i0", pair_of="i0")])
    answer(site, "i0", lee)
    site.queue.assign("second-i0", dana, actor="test", now=NOW)
    site.ledger.record(
        kind="directory.checked",
        agent=AGENT,
        at=NOW,
        actor="test",
        document=canonical_json({"gone": ["dana"]}),
    )
    assert hand_to_substitutes(site.ledger, site.queue, site.sign_in.directory, NOW) == 1
    assert site.queue.record("second-i0").item.only_for is None


def test_a_third_who_rejects_leaves_nothing_to_learn(site):
    add_labels(site, 1)
    second_opinion(site, "i0", "dana", Answer.REJECT)
    look(site)
    answer(site, disputed(site)[0].item.item_id, "kim", Answer.REJECT)
    assert trusted_labels(site.queue, site.sign_in.directory.charter(AGENT), NOW) == ()


def test_an_assigned_item_is_for_one_person_and_goes_to_the_substitute_when_that_one_is_gone(site):
    add_items(site.queue, 2)
    directory, bench = site.sign_in.directory, site.bench
    lee = directory.find("lee")
    record = bench.assign("i0", "lee", actor="test")
    assert record.item.only_for == lee.identity
    with pytest.raises(Conflict, match="not for you"):
        site.queue.claim("i0", "somebody", NOW)
    assert hand_to_substitutes(site.ledger, site.queue, directory, NOW) == 0
    site.ledger.record(
        kind="directory.checked",
        agent=AGENT,
        at=NOW,
        actor="test",
        document=canonical_json({"gone": ["lee"]}),
    )
    assert hand_to_substitutes(site.ledger, site.queue, directory, NOW) == 1
    substitute = directory.charter(AGENT).people["lee"].substitute
    expected = directory.find(substitute).identity if substitute else None
    assert site.queue.record("i0").item.only_for == expected
    assert bench.assign("i0", None, actor="test").item.only_for is None
    with pytest.raises(UnknownName, match="review queue"):
        bench.assign("nothing", "lee", actor="test")
    answer(site, "i1", "kim")
    with pytest.raises(Conflict, match="answered"):
        bench.assign("i1", "lee", actor="test")
    with pytest.raises(UnknownName, match="person with an identity"):
        bench.assign("i0", "nobody", actor="test")


def test_who_had_it_open_loses_an_item_that_is_given_away(site):
    add_items(site.queue, 1)
    site.queue.claim("i0", "kim", NOW)
    site.queue.assign("i0", "lee", actor="test", now=NOW)
    with pytest.raises(Conflict, match="not for you"):
        site.queue.claim("i0", "kim", NOW)
    assert site.queue.claim("i0", "lee", NOW).holder == "lee"


def test_a_changed_rubric_takes_its_cases_out_and_asks_again(site, tmp_path):
    add_labels(site, 6)
    desk = curation_desk(site)
    before = desk.cases(AGENT, tmp_path / "labelled")
    assert reopen_by_rubric(site.queue, site.sign_in.directory, NOW) == 0
    text = world.charter_text().replace("metric: routed_correctly", "metric: routed_well", 1)
    assert text != world.charter_text()
    site.ledger.accept_charter(agent=AGENT, digest="f" * 64, text=text, path="c.yaml", at=NOW)
    changed = rubric_of(site.sign_in.directory.charter(AGENT), "po_invoice")
    assert reopen_by_rubric(site.queue, site.sign_in.directory, NOW) == 6
    assert reopen_by_rubric(site.queue, site.sign_in.directory, NOW) == 0, "asked once"
    after = desk.cases(AGENT, tmp_path / "labelled")
    assert set(after.reopened) == set(before.added)
    again = disputed(site)
    answer(site, again[0].item.item_id, "lee")
    assert desk.cases(AGENT, tmp_path / "labelled").added == (f"review:{again[0].item.item_id}",)
    assert (
        trusted_labels(site.queue, site.sign_in.directory.charter(AGENT), NOW)[0].label.rubric
        == changed.digest
    )


def test_agreement_comes_with_its_interval_and_the_load_with_the_time_there_is(site):
    add_labels(site, 40)
    for n in range(40):
        second_opinion(site, f"i{n}", "dana", Answer.REJECT if n < 4 else Answer.ACCEPT)
    (load,) = site.bench.loads([AGENT])
    observed = load.agreement.observed
    assert (observed.value, load.agreement.n) == (0.9, 40)
    assert observed.low < 0.9 < observed.high
    assert load.capacity_per_day > 300
    words = " ".join(load_in_words(load))
    assert "Two people agree on 90 % of 40 items" in words
    assert "there is time for" in words
    slow = dataclasses.replace(load, capacity_per_day=1.0, waiting=9)
    assert "reviewers are missing" in load_in_words(slow)[0]
    silent = dataclasses.replace(
        load,
        capacity_per_day=None,
        agreement=NotEnoughEvidence(reason="few", have=0, need=30, unit="items", remedy="r"),
    )
    assert "does not say" in load_in_words(silent)[0]
    assert "few" in load_in_words(silent)[1]


def test_a_late_queue_breaches_opens_an_incident_and_calls_people(tmp_path):
    with control_rooms.control_room_at(tmp_path, control_rooms.Hands()) as room:
        ledger, now = room.installation.ledger, control_rooms.NOW
        queue, directory = SqlReviewQueue(ledger.database), Directory(ledger)
        add_items(queue, 1, source=ReviewSource.FLAGGED)
        late = world.NOW + timedelta(days=6)
        assert record_queue_evidence(room.installation, queue, directory, now) == 0
        assert record_queue_evidence(room.installation, queue, directory, late) == 1
        assert record_queue_evidence(room.installation, queue, directory, late) == 0, "said once"
        add_items(queue, 2, name="second", source=ReviewSource.FLAGGED, text="another {n}")
        looks = [record_queue_evidence(room.installation, queue, directory, late + n * TICK) for n in (1, 2)]
        assert looks == [1, 0], "what is later now is said once as well"
        months_later = late + timedelta(days=60)
        assert record_queue_evidence(room.installation, queue, directory, months_later) == 1
        newest = room.installation.ledger.evidence(AGENT, kinds=["review.queue"])[-1]
        assert (newest.passed, newest.n) == (False, 3), "what nobody ever answered does not become on time"
        found = assess(room.installation, AGENT, late).verdict
        items = next(one for one in found.requirements if one.requirement == "EVAL-9").items
        assert next(one.status for one in items if one.kind == "review.queue") is Status.BREACHED
        assert alert_on_verdicts(room, late) >= 1
        incident = next(one for one in room.incidents.incidents() if one.rule == "review_queue")
        assert "held, flagged or disputed outputs" in incident.title
