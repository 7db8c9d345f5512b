# SPDX-License-Identifier: Apache-2.0
"""Telemetry is kept as the charter says, regulations raise it, and every removal is written down."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import evidence_made
from fresh_ledger import ledger_url

from pilothouse.core.charter.quantities import parse_duration
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.upkeep import Removed
from pilothouse.workflows.ground.retention_rule import retention_rule
from pilothouse.workflows.server.doctor import _retention_checks
from pilothouse.workflows.traces.retention import RETENTION_KIND, apply_retention, reprice
from pilothouse.workflows.verdict.accept import accept_file

NOW = datetime(2026, 11, 6, tzinfo=UTC)
CHARTER = evidence_made.load_charter()


class KeptLake:
    """Remembers what it was asked and removes what a test says."""

    def __init__(self, *removed):
        self.removed = removed
        self.rules = ()
        self.since_ns = 0

    def retain(self, rules):
        self.rules = tuple(rules)
        return self.removed

    def reprice(self, *, since_ns):
        self.since_ns = since_ns
        return 3


def kept(payload, spans, tasks, *regulations):
    retention = CHARTER.retention.model_copy(
        update={
            name: parse_duration(text)
            for name, text in {"payload": payload, "spans": spans, "tasks": tasks}.items()
        }
    )
    rule = retention_rule(CHARTER.model_copy(update={"retention": retention, "regulations": regulations}))
    return rule.payload_days, rule.spans_days, rule.tasks_days


def test_the_charter_decides_and_parts_of_a_day_count_as_one():
    assert kept("30d", "90d", "2y") == (30, 90, 730)
    assert kept("36h", "7d", "7d") == (2, 7, 7)


def test_a_task_outlives_its_spans_and_they_what_was_said():
    assert kept("60d", "30d", "10d") == (60, 60, 60)


def test_a_regulation_raises_spans_and_tasks_but_not_what_was_said():
    assert kept("30d", "90d", "120d", "gdpr", "eu-ai-act") == (30, 183, 183)


def test_the_rules_of_all_charters_are_applied_and_what_went_is_written_down(tmp_path):
    with open_ledger(ledger_url(tmp_path)) as ledger:
        accept_file(ledger, evidence_made.CHARTER, NOW, actor="tests")
        lake = KeptLake(Removed(agent=CHARTER.agent, what="payload", before_day=20_000, rows=7))
        assert apply_retention(lake, ledger, NOW) == 7
        assert [rule.agent for rule in lake.rules] == [CHARTER.agent]
        (decision,) = ledger.decisions(CHARTER.agent, kind=RETENTION_KIND)
        assert json.loads(decision.document) == {"what": "payload", "before": "2024-10-04", "rows": 7}
        told = {check.name: check for check in _retention_checks(ledger)}
    check = told[f"retention {CHARTER.agent}"]
    assert check.state == "ok"
    assert f"spans for {lake.rules[0].spans_days:,}" in check.sentence
    assert "payload of 7 rows before 4 Oct 2024" in check.sentence


def test_prices_count_for_the_open_windows():
    lake = KeptLake()
    assert reprice(lake, NOW) == 3
    assert lake.since_ns == int((NOW - timedelta(days=31)).timestamp()) * 10**9
