# SPDX-License-Identifier: Apache-2.0
"""A planted trace takes the road of every trace, and its evidence says when it came out, or that it did not."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from evidence_made import load_charter

from pilothouse.app.opening import open_intake, open_stores
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.verdict import Status
from pilothouse.ports.intake import IntakeAnswer, Receipt
from pilothouse.ports.ledger import CharterInForce
from pilothouse.settings import load_settings
from pilothouse.workflows.drills.canary_trace import plant_canary, record_canary
from pilothouse.workflows.drills.waiting import Pace

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()


class Steps:
    """Seconds that pass only while somebody sleeps, a second at a time."""

    def __init__(self):
        self.now_s = 0.0
        self.pace = Pace(monotonic=lambda: self.now_s, sleep=self.sleep)

    def sleep(self, _seconds):
        self.now_s += 1.0


class Road:
    """An intake that takes everything, and a lake that shows it after some looks."""

    def __init__(self, looks=0, receipt=None):
        self.looks, self.receipt, self.kept = (
            looks,
            receipt or Receipt(answer=IntakeAnswer.ACCEPTED, items=1),
            [],
        )

    def accept(self, *_signal, **_request):
        return self.receipt

    def trace(self, _trace_id):
        self.looks -= 1
        return None if self.looks >= 0 else object()

    def charters(self):
        return [
            CharterInForce(agent=agent, digest="d", text="", path="c", accepted_at=NOW, number=1)
            for agent in (CHARTER.agent, "another")
        ]

    def add_evidence(self, records):
        self.kept += records


def mon_6(records):
    verdict = decide(CHARTER, records, NOW)
    found = next(one for one in verdict.requirements if one.requirement == "MON-6")
    return next(item for item in found.items if item.scope.part == "canary")


@pytest.mark.parametrize(
    ("looks", "passed", "status"),
    [(3, True, Status.HOLDS), (10, True, Status.HOLDS), (11, False, Status.BREACHED)],
)
def test_the_seconds_decide_and_one_canary_speaks_for_every_agent(looks, passed, status):
    road, steps = Road(looks), Steps()
    installation = SimpleNamespace(lake=road, ledger=road)
    found = record_canary(installation, road, NOW, pace=steps.pace)
    assert found.seconds == (looks if passed else None)
    assert [(one.agent, one.passed) for one in road.kept] == [(CHARTER.agent, passed), ("another", passed)]
    assert mon_6(road.kept).status is status
    assert mon_6([]).status is Status.NO_EVIDENCE


def test_a_road_that_refuses_is_told_with_its_reason():
    refusing = Road(receipt=Receipt(answer=IntakeAnswer.BUSY, reason="the disk is full"))
    found = plant_canary(refusing, refusing, NOW, Steps().pace)
    assert found.seconds is None
    assert found.sentence == "a planted trace was not taken in: the disk is full"


def test_through_the_real_lake_it_can_be_read_and_is_no_agent(tmp_path):
    settings = load_settings({"PILOTHOUSE_HOME": str(tmp_path)})
    with open_intake(settings) as intake, open_stores(settings) as (installation, _):
        found = plant_canary(intake, installation.lake, datetime.now(UTC))
        assert found.seconds is not None
        view = installation.lake.trace(found.trace_id)
        assert [span.operation for span in view.spans] == ["invoke_agent"]
        intake.settle()
        assert installation.lake.agents() == ()
