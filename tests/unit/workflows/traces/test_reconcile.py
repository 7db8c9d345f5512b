# SPDX-License-Identifier: Apache-2.0
"""A gap that lasts is an alert, recorded once, shown, and closed when the books close."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from control_rooms import NOW, control_room_at

from pilothouse.core.verdict.verdict import Status
from pilothouse.ports.lake import LakeHealth
from pilothouse.ports.work import TickState
from pilothouse.reports.health import build_health
from pilothouse.testing import EXAMPLE_NOW, MemoryLedger
from pilothouse.workflows.server.doctor import _gap_checks
from pilothouse.workflows.server.doctor_server import road_checks, usage_checks
from pilothouse.workflows.traces.agent_names import NamesWatch
from pilothouse.workflows.traces.reconcile import (
    GAP_KIND,
    INSTALLATION,
    GapAlert,
    GapWatch,
    gap_alerts,
    open_gap_incidents,
)

HEALTH = LakeHealth(
    counters=(("acked", 10), ("received", 11), ("rejected", 1)),
    rows=10, pending=0, gap=0, open_traces=1, waiting_bytes=0, uncommitted_s=0.0, freshness_s=0.2,
    wal_bytes=1 << 20, disk_free_bytes=1 << 33, busy_reason="", last_error="",
)  # fmt: skip


class Books:
    def __init__(self):
        self.gap, self.at, self.notes, self.alerts = 0, 0.0, [], []
        self.ledger = MemoryLedger()
        self.watch = GapWatch(
            lambda: replace(HEALTH, gap=self.gap),
            self.ledger,
            self.notes.append,
            lambda alert, _: self.alerts.append(alert.items),
            lambda: self.at,
        )

    def look(self, at, gap):
        self.at, self.gap = at, gap
        self.watch.look(EXAMPLE_NOW)


def test_an_instant_of_disagreement_is_no_alert():
    books = Books()
    for at, gap in ((0, 3), (59, 3), (61, 0), (62, 3), (120, 3)):
        books.look(at, gap)
    assert not books.watch.is_open
    assert not gap_alerts(books.ledger)


def test_a_gap_of_more_than_a_minute_is_recorded_once_and_closed():
    books = Books()
    for at in (0, 30, 61, 66, 71):
        books.look(at, 3)
    assert books.watch.is_open
    assert len(books.ledger.decisions(INSTALLATION, kind=GAP_KIND)) == 1
    (alert,) = gap_alerts(books.ledger)
    assert (alert.items, alert.closed_at) == (3, None)
    books.look(80, 0)
    assert not books.watch.is_open
    (alert,) = gap_alerts(books.ledger)
    assert alert.closed_at == EXAMPLE_NOW
    assert len(books.notes) == 2
    assert books.alerts == [3]
    assert json.loads(books.ledger.decisions(INSTALLATION)[-1].document)["counters"]["acked"] == 10


def test_a_gap_opens_one_incident_for_each_agent_in_force(tmp_path):
    with control_room_at(tmp_path) as room:
        alert = GapAlert(opened_at=NOW, items=3)
        for _ in range(2):
            open_gap_incidents(room, alert, NOW)
        agents = {record.agent for record in room.installation.ledger.charters()}
        opened = room.incidents.incidents()
        assert {one.agent for one in opened} == agents
        assert len(opened) == len(agents)
        assert all("3 acknowledged items" in one.title for one in opened)


def test_more_agent_names_than_a_day_may_have_call_people_once_a_day(tmp_path):
    counted, notes = {}, []
    with control_room_at(tmp_path) as room:
        watch = NamesWatch(lambda: replace(HEALTH, counters=tuple(counted.items())), room, notes.append)
        watch.look(NOW)
        assert notes == []
        for items in (2, 2, 5):
            counted["over_agent_names"] = items
            watch.look(NOW)
        assert len(notes) == 1
        agents = {record.agent for record in room.installation.ledger.charters()}
        assert {one.agent for one in room.incidents.incidents()} == agents
        watch.look(NOW + timedelta(days=1))
        assert len(notes) == 1, "nothing came since"
        counted["over_agent_names"] = 6
        watch.look(NOW + timedelta(days=1))
        assert len(notes) == 2


def test_a_restart_explains_nothing():
    books = Books()
    for at in (0, 61):
        books.look(at, 3)
    again = GapWatch(lambda: HEALTH, books.ledger)
    again.look(EXAMPLE_NOW)
    again.look(EXAMPLE_NOW)
    (alert,) = gap_alerts(books.ledger)
    assert alert.began_anew
    assert "never explained" in alert.sentence
    assert [check.state for check in _gap_checks(books.ledger)] == ["warning"]


def test_rows_that_nobody_sent_are_an_alert_too():
    books = Books()
    for at in (0, 61):
        books.look(at, -2)
    assert "more often" in gap_alerts(books.ledger)[0].sentence


def test_an_open_alert_fails_doctor_and_the_page():
    books = Books()
    for at in (0, 61):
        books.look(at, 3)
    assert [check.state for check in _gap_checks(books.ledger)] == ["failed"]
    page = build_health(replace(HEALTH, gap=3), (), ("lost",), EXAMPLE_NOW, is_alert_open=True)
    assert page.mark.status is Status.BREACHED
    assert page.title.startswith(page.mark.word)


def test_doctor_says_the_counters_of_the_server():
    record = {
        "telemetry": {
            "counters": [["acked", 10], ["received", 11], ["refused_too_large", 2], ["metrics_not_stored", 3], ["secrets_removed", 4]], "rows": 10, "pending": 0, "gap": 0, "open_traces": 1,
            "freshness_s": 0.2, "wal_bytes": 0, "busy_reason": "", "last_error": "",
        },
        "gap_alert": False,
    }  # fmt: skip
    books, refused, secrets, metrics, road = road_checks(record)
    assert (secrets.state, "4 requests" in secrets.sentence) == ("warning", True)
    assert (refused.state, "2 too large" in refused.sentence, "3 metrics" in metrics.sentence) == (
        "warning",
        True,
        True,
    )
    assert books.state == road.state == "ok"
    assert "11 items received" in books.sentence
    record["gap_alert"] = True
    assert next(iter(road_checks(record))).state == "failed"
    assert not list(road_checks(None))


def test_a_provider_that_counts_what_cannot_be_is_told():
    (told,) = usage_checks({"gateway": {"usage_absurd": 3}})
    assert (told.state, told.sentence[:7]) == ("warning", "3 calls")
    assert not [*usage_checks(None), *usage_checks({"gateway": {"usage_absurd": 0}}), *usage_checks({})]


def test_the_page_names_failing_work_and_a_full_disk():
    work = (TickState(name="verify", runs=3, failures=1, last_error="boom"),)
    page = build_health(HEALTH, work, (), EXAMPLE_NOW)
    assert page.mark.status is Status.AT_RISK
    assert "verify" in page.sentence.plain
    full = build_health(replace(HEALTH, busy_reason="the disk is full"), (), (), EXAMPLE_NOW)
    assert "the disk is full" in full.sentence.plain
    assert build_health(None, (), (), EXAMPLE_NOW).mark.status is Status.NO_EVIDENCE
    assert build_health(HEALTH, (), (), EXAMPLE_NOW).mark.status is Status.HOLDS
