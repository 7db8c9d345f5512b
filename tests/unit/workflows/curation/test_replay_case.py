# SPDX-License-Identifier: Apache-2.0
"""A run becomes a case only with what is known: replayed equal, an expectation by a person, no secret, its fixtures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from recorded_runs import RUN, conversation, record

from pilothouse.connectors.charter_file import read_charter_file
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.run_log import ModelRequest, ModelResponse, RunClosed, RunState
from pilothouse.errors import EvidenceError, UsageError
from pilothouse.evals.dataset import load_dataset
from pilothouse.runtime.replay.mode import ReplayMode
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.workflows.curation.replay_case import Expectation, case_of_run, keep_case
from pilothouse.workflows.gate.datasets import add_cases
from pilothouse.workflows.replay.run import ReplayRequest, replay_run

NOW = datetime(2026, 11, 20, tzinfo=UTC)
DEMO = Path(__file__).parents[4] / "src/pilothouse/demo/charter/charter.yaml"
RIGHT = Expectation(by="dana", answer="It is in Lyon.", forbidden=("refund",))


class Lineage:
    """Keeps edges."""

    def __init__(self):
        self.edges = []

    def link(self, edges):
        self.edges += edges


@pytest.fixture(scope="module")
def charter():
    return Charter.model_validate(read_charter_file(DEMO).value)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    with Recorder(tmp_path_factory.mktemp("runs")) as log:
        record(log, conversation(3))
        recorded = log.read(RUN)
        return recorded, replay_run(recorded, log.redaction, ReplayRequest(), None)


def made(played, charter, expectation=RIGHT, task_type="po_invoice", **changes):
    recorded, reports = played
    reports = tuple(replace(report, **changes) for report in reports)
    return case_of_run(recorded, reports, expectation, charter, task_type=task_type, now=NOW)


def test_the_case_asks_what_was_asked_and_keeps_what_tools_said(played, charter, tmp_path):
    found, store = made(played, charter), Lineage()
    assert found.case.input == [{"role": "user", "content": "Where is 7?"}]
    assert (found.case.source, found.case.stratum) == (f"production:{RUN}", "incident_model_side")
    assert (found.case.label.by, found.case.expected) == ("dana", "It is in Lyon.")
    assert found.case.asserts[0].args == {"tools": ["refund"]}
    assert found.case.asserts[0].must_not
    assert sorted(found.case.fixtures) == ["look_up#1", "look_up#2"]
    assert set(found.fixtures.values()) == {"order 7 is in Lyon", "order 7.1 is in Lyon"}
    kept = keep_case(found, tmp_path / "cases", store, agent="orders", owner="dana", now=NOW)
    assert load_dataset(tmp_path / "cases").cases == (found.case,) == kept.dataset.cases
    assert {file.read_text() for file in (tmp_path / "cases/fixtures").iterdir()} == set(
        found.fixtures.values()
    )
    assert [(edge.parent, edge.child) for edge in store.edges] == [(f"trace:{RUN}", f"case:incident:{RUN}")]
    with pytest.raises(UsageError, match="already"):
        keep_case(found, tmp_path / "cases", store, agent="orders", owner="dana", now=NOW)


def test_an_incident_asks_in_the_form_of_the_cases_that_people_wrote(played, charter, tmp_path):
    folder, written = tmp_path / "cases", tmp_path / "written.jsonl"
    written.write_text('{"id": "a", "task_type": "po_invoice", "input": "Where is 1?", "expected": "?"}\n')
    add_cases(folder, [written], owner="dana", population="orders")
    kept = keep_case(made(played, charter), folder, Lineage(), agent="orders", owner="dana", now=NOW)
    assert kept.case.input == "Where is 7?"
    assert kept.case in load_dataset(folder).cases


def test_the_agents_own_code_replayed_equal_is_a_reproduced_incident(played, charter):
    assert made(played, charter, grain="code").case.stratum == "incident"


@pytest.mark.parametrize(
    ("expectation", "task_type", "told"),
    [
        (replace(RIGHT, by="nobody"), "po_invoice", "no person of the charter"),
        (Expectation(by="dana"), "po_invoice", "what would have been right"),
        (RIGHT, None, "has the task types"),
        (RIGHT, "other", "none of them"),
    ],
)
def test_what_is_missing_is_said(played, charter, expectation, task_type, told):
    with pytest.raises(UsageError, match=told):
        made(played, charter, expectation, task_type)


def test_a_run_that_was_not_reproduced_or_was_changed_is_no_case(played, charter):
    _, reports = played
    counts = replace(reports[0].counts, live=1)
    with pytest.raises(EvidenceError, match="was not reproduced"):
        made(played, charter, counts=counts)
    for changes in ({"mode": ReplayMode.FORK}, {"change": "model m-2"}):
        with pytest.raises(UsageError, match="nothing changed"):
            made(played, charter, **changes)


def test_a_secret_in_the_expectation_stops_it(played, charter):
    with pytest.raises(EvidenceError, match="holds a secret"):
        made(played, charter, replace(RIGHT, answer="use sk-ant-0123456789abcdef0123"))


def test_a_run_that_searched_before_it_asked_is_the_case_of_what_it_asked(charter, tmp_path):
    with Recorder(tmp_path) as log:
        embed = b'{"model": "embed-1", "input": "7 where"}'
        log.append(RUN, ModelRequest(route="/v1/embeddings", body=embed), call="e")
        log.append(RUN, ModelResponse(status=200, body=b'{"object": "list"}'), call="e")
        record(log, conversation(2))
        recorded = log.read(RUN)
        found = made((recorded, replay_run(recorded, log.redaction, ReplayRequest(), None)), charter)
    assert found.case.input == [{"role": "user", "content": "Where is 7?"}]


def test_half_a_letter_is_told_and_no_case(charter, tmp_path):
    with Recorder(tmp_path) as log:
        record(log, conversation(2, order="7\ud83d"))
        recorded = log.read(RUN)
        with pytest.raises(EvidenceError, match="half a letter"):
            made((recorded, replay_run(recorded, log.redaction, ReplayRequest(), None)), charter)


def test_a_run_that_nobody_ended_is_as_old_as_what_happened_in_it(played, charter):
    recorded, reports = played
    last = recorded.events[-1]
    closed = replace(
        last, seq=last.seq + 1, at_ns=last.at_ns + 3_600 * 10**9, event=RunClosed(state=RunState.ABANDONED)
    )
    late = replace(
        recorded,
        events=(*recorded.events, closed),
        summary=replace(recorded.summary, last_ns=closed.at_ns),
    )
    waited = made((late, reports), charter).waited
    assert waited == NOW - datetime.fromtimestamp(last.at_ns / 1e9, UTC)
