# SPDX-License-Identifier: Apache-2.0
"""The drill of a correction walks the whole way on a real task and decides DATA-4; each way it can end short is told."""

from __future__ import annotations

import page_site
import page_world as world
import pytest
from control_rooms import room_over
from review_world import curation_desk

from pilothouse.core.evidence.review import Answer, Label
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import UsageError
from pilothouse.testing import MemoryLake
from pilothouse.workflows.drills.correction import dataset_of_corrections, drill_correction
from pilothouse.workflows.drills.waiting import Pace
from pilothouse.workflows.review import label_sampling
from pilothouse.workflows.review.queue import rubric_of


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setattr(
        label_sampling, "task_texts", lambda _lake, task: (f"route {task.trace_id}", "wrong team", ())
    )
    with page_site.people_site(tmp_path) as opened:
        yield opened


@pytest.fixture
def room(site):
    return room_over(site.installation, site.ledger.database, site.clock.now)


def drill(site, room, into, answer=None, correction=None):
    """Run the drill; a reviewer answers what it flags at its first pause."""
    desk = curation_desk(site)
    rubric = rubric_of(desk.directory.charter(world.AGENT), "po_invoice").digest

    def sleep(seconds):
        site.clock.move(seconds=seconds)
        for record in desk.queue.items(world.AGENT):
            if record.state.is_open and answer is not None:
                label = Label(
                    item_id=record.item.item_id,
                    agent=world.AGENT,
                    reviewer="lee",
                    answer=answer,
                    correction=correction,
                    rubric=rubric,
                    at=site.clock.now(),
                )
                desk.queue.answer(label)

    pace = Pace(monotonic=lambda: site.clock.now().timestamp(), sleep=sleep)
    return drill_correction(room, desk, world.AGENT, into, wait_s=5.0, tell=lambda _text: None, pace=pace)


def data_4(site):
    charter = site.sign_in.directory.charter(world.AGENT)
    verdict = decide(charter, site.ledger.evidence(world.AGENT), site.clock.now())
    return next(one for one in verdict.requirements if one.requirement == "DATA-4").status


def test_a_correction_that_goes_the_whole_way_decides_data_4(site, room, tmp_path):
    assert data_4(site) is Status.NO_EVIDENCE
    done = drill(site, room, tmp_path / "cases", Answer.CORRECT, "team tax")
    assert done.passed, done.sentence
    assert done.sentence.startswith("flagged, corrected after 0 s, and a case of ")
    assert data_4(site) is Status.HOLDS
    said = curation_desk(site).said.of(world.AGENT)
    assert [(one.via, one.kind.value) for one in said] == [("drill", "thumb")], "which no rate counts"


def test_a_queue_that_nobody_reads_and_an_answer_that_corrects_nothing_fail(site, room, tmp_path):
    silent = drill(site, room, tmp_path / "cases")
    assert (silent.passed, silent.sentence) == (
        False,
        "flagged and in the queue, but nobody has answered within 5 s",
    )
    agreed = drill(site, room, tmp_path / "cases", Answer.ACCEPT)
    assert "was accepted, which corrects nothing" in agreed.sentence
    assert data_4(site) is Status.NO_EVIDENCE


def test_without_a_finished_task_or_a_dataset_it_says_what_is_missing(site, room):
    object.__setattr__(site.installation, "lake", MemoryLake())
    with pytest.raises(UsageError, match="no finished task that could be flagged"):
        drill(site, room, None)
    folder = dataset_of_corrections(room, site.sign_in.directory.charter(world.AGENT))
    assert folder.name == "labelled"
