# SPDX-License-Identifier: Apache-2.0
"""What is planted in recorded inputs is asked for behind them; a model that forgets the middle is found."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from recorded_runs import RUN, conversation, record
from tests.stubs.provider_stub import Plan, ProviderStub

from pilothouse.core.evidence.run_log import ModelRequest, ModelResponse
from pilothouse.errors import EvidenceError, UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.scorers.text import contains
from pilothouse.runtime.replay.live import LiveModel
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.workflows.gateway.context_planted import keep_planted, plant, probe_planted

SENTENCE, QUESTION = "The supplier Harbour Ltd must never be paid.", "Which supplier must never be paid?"
CASE = Case(id="p1", task_type="t", input={"plant": SENTENCE, "ask": QUESTION}, expected="Harbour Ltd")


class Ledger:
    """Keeps evidence."""

    def __init__(self):
        self.kept = []

    def add_evidence(self, records):
        self.kept += records


@pytest.fixture
def log(tmp_path):
    with Recorder(tmp_path) as opened:
        record(opened, conversation(3), run=RUN)
        yield opened


def probed(log, stub, cases=(CASE,)):
    return probe_planted(
        log, cases, contains(), LiveModel(stub.origin, None), agent="orders", now=datetime.now(UTC), days=7
    )


def test_a_sentence_never_parts_a_tool_call_from_its_result():
    document, _ = conversation(4)[-1]
    for tenth in range(11):
        items = plant(document, SENTENCE, QUESTION, tenth / 10)["messages"]
        at = next(place for place, one in enumerate(items) if one["content"] == SENTENCE)
        assert items[at + 1]["role"] != "tool"
        assert (items[0]["role"], items[-1]["content"]) == ("system", QUESTION)
        rest = [one for place, one in enumerate(items[:-1]) if place != at]
        assert rest == document["messages"]
    assert "tools" not in plant(document, SENTENCE, QUESTION, 0.5)


def test_what_survives_and_what_is_lost_is_kept_as_evidence(log):
    ledger = Ledger()
    with ProviderStub(default=Plan(text="It is harbour ltd.")) as stub:
        report = probed(log, stub)
        assert (report.asked, report.found, report.refused, report.passed) == (3, 3, 0, True)
        assert all(SENTENCE in json.dumps(seen.json) for seen in stub.seen)
        assert keep_planted(ledger, report, "planted").passed
        stub.plan(Plan(text="Harbour Ltd"), Plan(text="I do not know."), Plan(status=400))
        report = probed(log, stub)
    assert (report.asked, report.found, report.refused, report.passed) == (2, 1, 1, False)
    assert report.lost == (f"p1 in {RUN[:12]} at 0.5",)
    record = keep_planted(ledger, report, "planted")
    assert (record.kind, record.passed, record.n, record.counts) == (
        "probes.context",
        False,
        2,
        {"found": 1, "refused": 1},
    )
    assert record.items == report.lost


def test_one_forgotten_prohibition_fails_what_other_sentences_would_pass(log):
    harmless = [CASE.model_copy(update={"id": f"p{number}"}) for number in range(2, 19)]
    forbids = CASE.model_copy(update={"input": {**CASE.input, "must_not": True}})
    ledger = Ledger()
    for case, passed in ((CASE, True), (forbids, False)):
        with ProviderStub(default=Plan(text="Harbour Ltd")) as stub:
            stub.plan(Plan(text="I do not know."))
            report = probed(log, stub, [case, *harmless])
        assert (report.asked, report.found, report.lost) == (54, 53, (f"p1 in {RUN[:12]} at 0",))
        assert report.passed is passed
        assert keep_planted(ledger, report, "planted").passed is passed
    assert ledger.kept[-1].detail.endswith("of those lost, 1 forbade something")


def test_only_refusals_say_nothing_and_a_case_must_plant_something(log):
    with ProviderStub(default=Plan(status=400)) as stub:
        report = probed(log, stub)
        assert (report.asked, report.refused, report.passed) == (0, 3, False)
        assert keep_planted(Ledger(), report, "planted") is None
        with pytest.raises(UsageError, match="plants nothing"):
            probed(log, stub, [CASE.model_copy(update={"input": "x"})])
        with pytest.raises(EvidenceError, match="no conversation"):
            probe_planted(
                log,
                [CASE],
                contains(),
                LiveModel(stub.origin, None),
                agent="nobody",
                now=datetime.now(UTC),
                days=7,
            )


def test_a_sentence_is_put_into_what_a_model_was_asked_and_not_into_what_was_embedded(log):
    body = json.dumps({"model": "embed-1", "input": ["Where", "is"]}).encode()
    log.append(RUN, ModelRequest(route="/v1/embeddings", body=body), call="e")
    log.append(RUN, ModelResponse(status=200, body=b"{}"), call="e")
    log.flush()
    with ProviderStub(default=Plan(text="The code is K-7.")) as stub:
        report = probed(log, stub)
        assert {seen.path for seen in stub.seen} == {"/v1/chat/completions"}
    assert report.refused == 0
