# SPDX-License-Identifier: Apache-2.0
"""A planted unknown term becomes a gap; with owner and cases the audit passes, and the verdict says so."""

from __future__ import annotations

import dataclasses

import page_site
import page_world as world
import pytest
from review_world import add_items, add_labels, curation_desk

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.review import Answer, Label
from pilothouse.core.evidence.task import TaskResult
from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import UnknownName
from pilothouse.interfaces.cli.gaps import _lines, _record
from pilothouse.workflows.curation.knowledge_gaps import GapRoom
from pilothouse.workflows.verdict.assess import assess

AGENT, NOW = world.AGENT, world.NOW


@pytest.fixture
def site(tmp_path):
    with page_site.people_site(tmp_path) as opened:
        yield opened


@pytest.fixture
def room(site):
    desk = curation_desk(site)
    return GapRoom(
        installation=site.installation,
        queue=site.queue,
        store=desk.store,
        said=desk.said,
        directory=site.sign_in.directory,
    )


def plant(site, room, *, count=40):
    """Add tasks that name an unknown term and that the system of record contradicts."""
    tasks = [
        dataclasses.replace(
            task, trace_id=f"{n + 5_000:032x}", input_preview=f"NTE clause of supplier {n}, see SKU-{n}"
        )
        for n, task in enumerate(world.make_tasks()[-count:])
    ]
    outcomes = [
        dataclasses.replace(one, trace_id=f"{n + 5_000:032x}", status=world.OutcomeStatus.CONTRADICTED)
        for n, one in enumerate(list(world.make_outcomes(world.make_tasks()).values())[-count:])
    ]
    site.installation.lake.add(tasks)
    site.ledger.save_outcomes(tuple(outcomes))


def status(site):
    verdict = assess(site.installation, AGENT, site.clock.now(), freeze=False).verdict
    return next(one.status for one in verdict.requirements if one.requirement == "DATA-7")


def test_a_gap_needs_an_owner_and_cases_and_then_the_verdict_holds(site, room, tmp_path):
    assert status(site) is Status.NO_EVIDENCE
    plant(site, room)
    found = room.audit(None)
    gap = found.gaps.found[0]
    assert {gap.term, *gap.topic} >= {"nte"}
    assert gap.failures == 40
    assert gap in found.open
    assert status(site) is Status.BREACHED
    with pytest.raises(UnknownName, match="person of the charter"):
        room.own(AGENT, gap.term, "nobody", actor="test")
    for one in found.open:
        room.own(AGENT, one.term, "lee", actor="test")
    assert room.audit(AGENT).open, "an owner alone is not enough"
    add_labels(site, 20, text="NTE clause of supplier {n}, see SKU-{n} clause")
    curation_desk(site).cases(AGENT, tmp_path / "labelled")
    site.clock.move(minutes=1)  # of two audits of one moment the worse decides
    again = room.audit(AGENT)
    assert again.gaps.found[0].cases > 0
    assert again.open == ()
    assert status(site) is Status.HOLDS
    shown = "\n".join(_lines(again))
    assert "lee sees to it" in shown
    assert "Each frequent gap has an owner and cases." in shown
    assert _record(again)["gaps"][0]["owner"] == "lee"
    assert "gaps own" in "\n".join(_lines(found))


def test_the_closing_words_of_reviewed_texts_are_no_gap(site, room):
    """Reviewed tasks are mostly wrong ones, and only their whole texts are kept in the queue."""
    right = [task for task in world.make_tasks() if task.result is TaskResult.COMPLETED][:50]
    add_items(site.queue, 1)
    for n, task in enumerate(right):
        one = dataclasses.replace(
            site.queue.record("i0").item, item_id=f"x{n}", trace_id=task.trace_id, call_digest=f"{n}",
            input=f"{task.input_preview} kind regards, accounts payable {n}",
        )  # fmt: skip
        site.queue.add([one])
        answer = Answer.REJECT if n < 25 else Answer.ACCEPT
        site.queue.answer(Label(item_id=one.item_id, agent=AGENT, reviewer="lee", answer=answer, at=NOW))
    assert room.audit(AGENT).gaps.found == ()


def test_a_gap_whose_owner_left_is_nobodys(site, room):
    plant(site, room)
    term = room.audit(AGENT).gaps.found[0].term
    room.own(AGENT, term, "lee", actor="test")
    assert room.audit(AGENT).owners == {term: "lee"}
    document = canonical_json({"gone": ["lee"]})
    site.ledger.record(kind="directory.checked", agent=AGENT, at=NOW, actor="test", document=document)
    assert room.audit(AGENT).owners == {}


def test_where_nothing_was_asked_nothing_is_audited(room, site):
    site.clock.move(days=200)
    found = room.audit(AGENT)
    assert (found.gaps.tasks, found.is_enough) == (0, False)
    assert not [one for one in site.ledger.evidence(AGENT) if one.kind == "gaps.audited"]


def test_the_case_book_holds_corrections_as_text_that_cannot_be_anything_else(room, site):
    add_labels(
        site, 3, text="# not a heading {n}\n<script>x</script>", answer=Answer.CORRECT, correction="right {n}"
    )
    add_labels(site, 2, name="good")
    book = room.case_book(AGENT)
    assert book.startswith(f"# Case book of {AGENT}\n\n3 corrections")
    assert "## po_invoice" in book
    assert "    right 1" in book
    assert not [line for line in book.splitlines() if line.startswith(("# not", "<script"))]
    assert "good" not in book
