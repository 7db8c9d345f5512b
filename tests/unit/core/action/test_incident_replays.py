# SPDX-License-Identifier: Apache-2.0
"""MON-13 asks for the last five incidents: one replay of any run said of all of them that they could be replayed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pilothouse.core.action.incident import Incident, IncidentState
from pilothouse.core.action.incident_replays import REPLAYED_RUN, fold_replays
from pilothouse.core.evidence.evidence import INCIDENT, UNKNOWN, Basis
from pilothouse.core.evidence.recorded import bound_record
from pilothouse.core.verdict.requirement import Fact
from pilothouse.core.verdict.rules import assess

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AGENT = "orders"


def incident(number, *traces, days=10, **fields):
    return Incident(
        number=number,
        agent=AGENT,
        group="g",
        rule="quality",
        task_type=None,
        severity="sev2",
        state=IncidentState.RESOLVED,
        title="Quality fell.",
        opened_at=NOW - timedelta(days=days),
        level=1,
        traces=traces,
        **fields,
    )


def replayed(subject, passed=True, days=1, **fields):
    word = {True: "was equal", False: "differed", None: "has no run"}[passed]
    counts = {UNKNOWN: 1} if passed is None else {}
    at = NOW - timedelta(days=days)
    return bound_record(
        REPLAYED_RUN, AGENT, at, command="replay", n=1, passed=passed, detail=f"{subject} {word}", items=(subject,),
        counts=counts, **fields,
    )  # fmt: skip


def folded(incidents, *records, now=NOW):
    newest_first = sorted(incidents, key=lambda one: one.number, reverse=True)
    return fold_replays(AGENT, newest_first, records, now)


def test_a_replay_of_any_run_says_nothing_of_an_incident():
    found = folded([incident(4, "a1", "a2")], replayed("ff"))
    assert (found.passed, found.counts, found.items) == (None, {UNKNOWN: 1, INCIDENT: 4}, ("a1",))
    assert found.detail == "INC-4 has not been replayed yet"


def test_each_of_the_last_five_is_asked_for_newest_first_and_the_sixth_is_not():
    seven = [incident(number, f"t{number}") for number in range(1, 8)]
    found = folded(seven, *(replayed(f"t{number}") for number in (3, 4, 5, 6)))
    assert (found.passed, found.n, found.counts[INCIDENT]) == (None, 5, 7)
    found = folded(seven, *(replayed(f"t{number}", days=number) for number in (3, 4, 5, 6, 7)))
    assert (found.passed, found.n, found.counts) == (True, 5, {})
    assert found.window_to == NOW - timedelta(days=7), "it lapses with the oldest of the replays"


def test_a_run_that_was_not_reproduced_breaks_it_whatever_other_runs_say_until_its_newest_replay_passes():
    one = [incident(4, "a1", "a2"), incident(5, "b1")]
    found = folded(one, replayed("a1", passed=False, days=3), replayed("a2"))
    assert (found.passed, found.counts, found.detail) == (False, {INCIDENT: 4}, "INC-4, a1 differed")
    later = folded(one, replayed("a1"), replayed("a2", passed=False, days=3))
    assert assess(Fact(), 0.0, later).remedy.startswith("pilothouse replay a2 --exec"), "that run, not INC-4"
    again = folded(one, replayed("a1", passed=False, days=3), replayed("a1", days=2), replayed("b1"))
    assert again.passed is True


@pytest.mark.parametrize(
    "others",
    [(), [incident(4, days=1)], [incident(4, "t", drill="quality-drop")], [incident(4, "t", days=91)]],
)
def test_without_an_incident_that_has_a_task_the_newest_drill_decides(others):
    assert folded(others) is None
    assert folded(others, replayed("INC-9", passed=None)) is None
    assert folded(others, replayed("f1", passed=False, days=3), replayed("f2", days=2)).passed is True
    assert folded(others, replayed("f1", days=3), replayed("f2", passed=False, days=2)).passed is False


def test_where_the_run_log_has_no_run_of_an_incident_only_a_drill_since_stands_in():
    one = [incident(4, "a1", days=10)]
    gone = replayed("INC-4", passed=None, days=5)
    before = folded(one, gone, replayed("ff", days=11))
    assert (before.passed, before.counts) == (None, {UNKNOWN: 1}), (
        "to replay the incident again would not help"
    )
    assert before.detail == "INC-4 has no run, and no other run has been replayed since"
    since = folded(one, gone, replayed("ff", days=9))
    assert (since.passed, since.detail) == (True, "INC-4 has no run, and since then ff was equal")
    assert folded(one, gone, replayed("ff", passed=False, days=9)).passed is None
    assert folded(one, gone, replayed("ff", days=9), replayed("a1", passed=False, days=8)).passed is False


def test_what_was_imported_or_is_still_to_come_proves_nothing():
    one = [incident(4, "a1")]
    assert folded(one, replayed("a1", basis=Basis.IMPORTED)).passed is None
    past = NOW - timedelta(days=3)
    assert folded(one, replayed("a1", days=1), now=past).passed is None
    assert folded([incident(4, "a1", days=1)], now=past) is None


def test_an_incident_whose_lead_nobody_knows_is_reviewed_next_and_not_replayed():
    said = {UNKNOWN: 1, INCIDENT: 4}
    lead = bound_record("alert.lead", AGENT, NOW, command="incident review", n=2, passed=None, counts=said)
    assert assess(Fact(), 0.0, lead).remedy == "pilothouse incident review 4"
