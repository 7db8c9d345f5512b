# SPDX-License-Identifier: Apache-2.0
"""An evaluator sends `gen_ai.evaluation.result` to /v1/logs, or writes on the span; a breach it shows is a breach in the verdict."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import evidence_made
import pytest
from fresh_ledger import ledger_url
from openinference.semconv.trace import AnnotationAttributes, EvaluationAttributes, SpanAttributes
from otlp_bodies import JSON

from pilothouse.app import SystemClock
from pilothouse.core.verdict.verdict import Status
from pilothouse.lake.node import open_node
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.intake import IntakeAnswer, Signal
from pilothouse.settings import load_settings
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.assess import assess

pytestmark = pytest.mark.slow

CHARTER = evidence_made.load_charter()
TYPE = next(iter(CHARTER.task_types))
TASKS = 200
EVALUATIONS, ANNOTATIONS = SpanAttributes.EVALUATIONS, SpanAttributes.ANNOTATIONS


def pairs(**values):
    return [
        {"key": key.replace("__", "."), "value": value if isinstance(value, dict) else {"stringValue": value}}
        for key, value in values.items()
    ]


def post(node, signal, body):
    receipt = node.accept(
        signal, content_type=JSON, content_encoding="", body=json.dumps(body).encode(), source="otlp:judge"
    )
    assert (receipt.answer, receipt.rejected) == (IntakeAnswer.ACCEPTED, 0)


def run(number, start_ns):
    return {
        "traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "run",
        "startTimeUnixNano": start_ns, "endTimeUnixNano": start_ns + 10**9,
        "attributes": pairs(
            gen_ai__operation__name="invoke_agent", gen_ai__agent__name=CHARTER.agent,
            pilothouse__task__type=TYPE, pilothouse__task__result="completed", pilothouse__version="v1",
        ),
    }  # fmt: skip


def evaluation(number, at_ns, label):
    return {
        "traceId": f"{number:032x}", "spanId": f"{number:016x}", "timeUnixNano": at_ns,
        "eventName": "gen_ai.evaluation.result",
        "attributes": pairs(
            gen_ai__evaluation__name=CHARTER.task_types[TYPE].metric,
            gen_ai__evaluation__score__label=label,
            gen_ai__evaluation__score__value={"doubleValue": "NaN"},
            gen_ai__evaluation__explanation="because",
        ),
    }  # fmt: skip


def test_an_event_without_a_trace_is_about_the_task_that_has_its_response(tmp_path):
    """Such events were stored and about nothing; one id that two tasks have says nothing of either."""
    node = open_node(tmp_path / "lake", SystemClock(), wal_file_bytes=1 << 20)
    now_ns = int((datetime.now(UTC) - timedelta(hours=1)).timestamp()) * 10**9
    try:
        spans = [run(number, now_ns) for number in (1, 2, 3)]
        for span, response in zip(spans, ("one", "same", "same"), strict=True):
            span["attributes"] += pairs(gen_ai__response__id=response)
        post(node, Signal.TRACES, {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
        events = [evaluation(0, now_ns + 10**9 + place, "bad") for place in range(3)]
        for event, response in zip(events, ("one", "same", "nobody"), strict=True):
            del event["traceId"], event["spanId"]
            event["attributes"] += pairs(gen_ai__response__id=response)
        for _ in range(2):
            post(node, Signal.LOGS, {"resourceLogs": [{"scopeLogs": [{"logRecords": events}]}]})
        node.settle()
        scores = node.scores(from_ns=now_ns, to_ns=now_ns + 60 * 10**9)
    finally:
        node.stop()
    assert [(score.trace_id, score.span_id, score.label) for score in scores] == [
        (f"{1:032x}", f"{1:016x}", "bad")
    ]


def on_span(span, number, word):
    """Write an evaluation on a span as OpenInference does, and one of its session, which speaks of no single task."""
    scope = ("", "trace.")[number % 2]
    kind, part = (EVALUATIONS, EvaluationAttributes) if number % 3 else (ANNOTATIONS, AnnotationAttributes)
    of_part = {name.rpartition("_")[2]: value for name, value in vars(part).items() if name.isupper()}
    for where, said in ((scope + kind, word), (SpanAttributes.SESSION_EVALUATIONS, "fail")):
        span["attributes"] += pairs(**{
            f"{where}.0.{of_part['NAME']}": CHARTER.task_types[TYPE].metric,
            f"{where}.0.{of_part['LABEL']}": said,
            f"{where}.0.{of_part['SCORE']}": {"doubleValue": 0.9},
            f"{where}.0.{of_part['METADATA']}": "{}",
        })  # fmt: skip
    return span


def quality_after(tmp_path, bad_of_ten: int, *, is_on_spans: bool = False):
    """Quality of the task type in the verdict after an evaluator has scored every task, and sent it twice."""
    now = datetime.now(UTC)
    start_ns = int((now - timedelta(hours=2)).timestamp()) * 10**9
    settings = load_settings({"PILOTHOUSE_HOME": str(tmp_path)})
    node = open_node(settings.lake_folder, SystemClock(), wal_file_bytes=1 << 20)
    try:
        spans = [run(number, start_ns + number * 10**9) for number in range(1, TASKS + 1)]
        words = ["fail" if number % 10 < bad_of_ten else "pass" for number in range(1, TASKS + 1)]
        if is_on_spans:
            spans = [on_span(span, *said) for span, said in zip(spans, enumerate(words), strict=True)]
        records = [evaluation(number, start_ns + 10**12, word) for number, word in enumerate(words, 1)]
        for _ in range(2):
            post(node, Signal.TRACES, {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
            if not is_on_spans:
                post(node, Signal.LOGS, {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})
        node.settle()
        assert len(node.scores(from_ns=start_ns, to_ns=start_ns + 10**13)) == TASKS
        with open_ledger(ledger_url(tmp_path)) as ledger:
            accept_file(ledger, evidence_made.CHARTER, now, actor="tests")
            installation = Installation(settings=settings, clock=SystemClock(), lake=node, ledger=ledger)
            assessed = assess(installation, CHARTER.agent, now + timedelta(minutes=1), freeze=False)
    finally:
        node.stop()
    return [
        item
        for requirement in assessed.verdict.requirements
        if requirement.requirement == "MON-2"
        for item in requirement.items
        if item.kind == "quality" and item.scope.task_type == TYPE
    ]


@pytest.mark.parametrize("is_on_spans", [False, True])
def test_an_evaluators_breach_reaches_the_verdict(tmp_path, is_on_spans):
    (item,) = quality_after(tmp_path, bad_of_ten=4, is_on_spans=is_on_spans)
    assert item.status is Status.BREACHED


def test_an_evaluators_praise_proves_nothing(tmp_path):
    (item,) = quality_after(tmp_path, bad_of_ten=0)
    assert item.status is Status.NO_EVIDENCE
