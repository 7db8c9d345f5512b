# SPDX-License-Identifier: Apache-2.0
"""What only the next gate asks for stands on its pages: a requirement may hold here and not there."""

from __future__ import annotations

from datetime import UTC, datetime

from evidence_made import V1, everything_holds, load_charter

from pilothouse.core.verdict.docket import judge_all
from pilothouse.core.verdict.readiness import conclude
from pilothouse.core.verdict.verdict import Status
from pilothouse.reports.rollout_next import blocking_next
from pilothouse.reports.waivers import build_waivers, waivable

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()


def in_phase_1():
    """Phase 1 asks for the ERP alone, phase 2 for the mail as well, whose certificate failed."""
    records = [
        one.model_copy(update={"passed": False})
        if (one.kind, one.scope.integration) == ("integration.certificate", "mail")
        else one
        for one in everything_holds(CHARTER, NOW)
    ]
    return conclude(judge_all(CHARTER, records, version=V1), CHARTER, NOW, phase="1")


def test_what_stands_in_the_way_of_the_next_phase_is_said_as_that_phase_asks_for_it():
    found = in_phase_1()
    here = next(one for one in found.verdict.requirements if one.requirement == "INT-2")
    assert here.status is Status.HOLDS
    (blocking,) = [
        one for one in blocking_next(found.verdict, found.ahead, "2") if one.requirement == "INT-2"
    ]
    assert (blocking.status, blocking.deciding.scope.integration) == (Status.BREACHED, "mail")


def test_what_only_the_next_gate_asks_for_may_be_waived_on_the_page():
    found = in_phase_1()
    (offered,) = [one for one in waivable(found.verdict, found.ahead) if one.requirement == "INT-2"]
    assert (offered.status, offered.deciding.scope.integration) == (Status.BREACHED, "mail")
    page = build_waivers(found.verdict, CHARTER, NOW, ahead=found.ahead, person="vp", item="INT-2")
    assert page.sections[0].anchor == "confirm"
    assert "INT-2 stays breached" in page.sections[0].forms[0].warning
