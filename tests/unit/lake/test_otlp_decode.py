# SPDX-License-Identifier: Apache-2.0
import json
from decimal import Decimal

import pytest
from otlp_bodies import START_NS, run_spans
from otlp_rows import RECEIVED_NS, decode, decode_spans

from pilothouse.lake import limits, otlp_decode
from pilothouse.lake.columns import (
    COST_OTHERWISE,
    COST_PRICED,
    COST_UNPRICED,
    SPAN_COLUMNS,
    TIME_FUTURE,
    TIME_INVERTED,
    TIME_MISSING,
    TIME_OLD,
)
from pilothouse.lake.otlp_dialect import Encoding
from pilothouse.lake.payload import json_text
from pilothouse.lake.prices import Price
from pilothouse.lake.records import _joined
from pilothouse.lake.scores import EVALUATION_EVENT, read_score
from pilothouse.lake.usage import EXCLUSIVE_SCOPES
from pilothouse.ports.intake import Signal

DAY_NS = 86_400 * 10**9


def one(attributes=None, *, as_json=False, resource=None, received_ns=RECEIVED_NS, prices=None, **span):
    options = {} if prices is None else {"prices": prices}
    given = {"attributes": attributes or {}, **span}
    return decode_spans([given], as_json=as_json, resource=resource, received_ns=received_ns, **options)[0]


@pytest.mark.parametrize(
    ("attributes", "column", "value"),
    [
        ({"gen_ai.system": "az.ai.openai"}, "provider", "azure.ai.openai"),
        ({"gen_ai.provider.name": "new", "gen_ai.system": "old", "llm.provider": "oi"}, "provider", "new"),
        ({"llm.system": "b", "llm.provider": "a"}, "provider", "a"),
        ({"llm.model_name": "m", "llm.request.model_name": "r"}, "request_model", "r"),
        ({"llm.model_name": "m", "llm.request.model_name": "r"}, "response_model", "m"),
        ({"llm.model_name": "m", "gen_ai.response.model": "a"}, "response_model", "a"),
        ({"embedding.model_name": "e"}, "request_model", "e"),
        ({"gen_ai.response.model": "r"}, "response_model", "r"),
        ({"gen_ai.response.time_to_first_chunk": 0.25}, "first_chunk_ns", 250_000_000),
        ({"session.id": "s", "gen_ai.conversation.id": "c"}, "conversation_id", "c"),
        ({"enduser.id": "e"}, "user_id", "e"),
        ({"pilothouse.agent": "p", "gen_ai.agent.name": "g"}, "agent", "p"),
        ({"agent_name": "a"}, "agent", "a"),
        ({}, "agent", "tests"),
        ({"metadata": '{"task_type": "refund"}'}, "task_type", "refund"),
        ({"pilothouse.task.type": "t", "metadata": '{"task_type": "refund"}'}, "task_type", "t"),
        ({"pilothouse.task.confidence": 0.5}, "task_confidence", 0.5),
        ({"pilothouse.task.confidence": "0.5"}, "task_confidence", 0.5),
        ({"pilothouse.task.confidence": 7}, "task_confidence", None),
        ({"pilothouse.task.claim": {"paid": True}}, "task_claim", '{"paid":true}'),
        ({"tool.name": "t"}, "tool_name", "t"),
        ({"server.address": "erp.local", "server.port": 443}, "server", "erp.local:443"),
        ({"server.address": "erp.local"}, "server", "erp.local"),
        ({"gen_ai.usage.cost": 0.5}, "source_cost_usd", 0.5),
        ({"openinference.span.kind": "RETRIEVER"}, "operation", "retrieval"),
        ({"openinference.span.kind": "llm"}, "operation", "chat"),
        ({"gen_ai.operation.name": "brand_new_thing"}, "operation", "brand_new_thing"),
        ({}, "operation", "other"),
        ({"gen_ai.operation.name": "chat", "openinference.span.kind": "TOOL"}, "operation", "chat"),
        ({"gen_ai.response.finish_reasons": ["stop"]}, "finish_reasons", '["stop"]'),
        ({"llm.finish_reason": "stop"}, "finish_reasons", "stop"),
        ({"error.type": "Timeout"}, "error_type", "Timeout"),
        ({"gen_ai.request.model": 17}, "request_model", "17"),
    ],
)
def test_an_alias_fills_its_column(attributes, column, value):
    assert one(attributes)[column] == value


@pytest.mark.parametrize(
    ("attributes", "convention"),
    [
        ({"gen_ai.provider.name": "x"}, "otel"),
        ({"gen_ai.request.model": "x"}, "otel"),
        ({"gen_ai.system": "x", "gen_ai.request.model": "x"}, "otel_1_36"),
        ({"llm.model_name": "x"}, "openinference"),
        ({"llm.model_name": "x", "gen_ai.provider.name": "x"}, "otel"),
        ({"http.method": "GET"}, "none"),
    ],
)
def test_the_convention_that_matched_is_noted(attributes, convention):
    assert one(attributes)["convention"] == convention


def test_cache_tokens_that_come_under_two_names_count_once():
    row = one(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 10,
            "gen_ai.usage.cache_read.input_tokens": 40,
            "gen_ai.usage.details.cache_read_tokens": 40,
        }
    )
    assert (row["tokens_input"], row["tokens_cache_read"]) == (60, 40)


CACHED = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "m",
    "gen_ai.usage.input_tokens": 1_000,
    "gen_ai.usage.cache_read.input_tokens": 600,
    "gen_ai.usage.cache_creation.input_tokens": 100,
    "gen_ai.usage.output_tokens": 50,
}


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("instrument", "counted", "basis"),
    [(name, 1_000, 2) for name in sorted(EXCLUSIVE_SCOPES)]
    + [
        (name, 300, 1)
        for name in ("opentelemetry.instrumentation.anthropic", "openinference.instrumentation.anthropic")
    ],
)
def test_an_input_without_its_cached_part_is_whole_where_its_instrumentation_reports_it_so(
    instrument, counted, basis, as_json
):
    price = Price(
        price_id="p", input=Decimal(5), cache_read=Decimal(1), cache_creation=Decimal(6), output=Decimal(25)
    )
    (row,) = decode_spans(
        [{"attributes": CACHED}], instrument=instrument, as_json=as_json, prices=lambda *_: price
    )
    assert (row["tokens_input"], row["tokens_cache_read"], row["tokens_cache_creation"]) == (
        counted,
        600,
        100,
    )
    assert row["tokens_basis"] == basis
    assert row["cost_usd"] == (counted * 5 + 600 + 600 + 50 * 25) * 10**6


def test_written_tokens_under_their_newest_name_are_no_plain_input():
    said = {**CACHED, "gen_ai.usage.cache_write.input_tokens": 100}
    del said["gen_ai.usage.cache_creation.input_tokens"]
    row = one(said)
    assert (row["tokens_input"], row["tokens_cache_creation"]) == (300, 100)


def test_reasoning_that_its_instrumentation_counts_beside_the_output_is_not_taken_out_of_it():
    said = {**CACHED, "gen_ai.usage.reasoning_tokens": 20}
    (row,) = decode_spans([{"attributes": said}], instrument="openlit.instrumentation.google_ai_studio")
    assert (row["tokens_output"], row["tokens_reasoning"]) == (50, 20)
    assert one(said)["tokens_output"] == 30


def test_mapped_attributes_stay_and_payload_moves_out():
    row = one({"gen_ai.operation.name": "chat", "gen_ai.input.messages": "[]", "mine": 1})
    assert json.loads(row["attributes"]) == {"gen_ai.operation.name": "chat", "mine": 1}
    assert row["input"] == "[]"


def test_structured_messages_and_messages_as_json_text_give_the_same_input():
    said = [{"parts": [{"content": "hi", "type": "text"}], "role": "user"}]
    text = json.dumps(said, separators=(",", ":"), sort_keys=True)
    rows = [one({"gen_ai.operation.name": "chat", "gen_ai.input.messages": value}) for value in (said, text)]
    assert rows[0]["input"] == rows[1]["input"] == text
    assert rows[0]["input_preview"] == "hi"


def test_flattened_messages_are_rebuilt_and_not_repeated():
    row = one(
        {
            "openinference.span.kind": "LLM",
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": "hi",
            "llm.tools.0.tool.json_schema": '{"name":"t"}',
        }
    )
    assert json.loads(row["input"]) == [{"role": "user", "content": "hi"}]
    assert json.loads(row["tool_definitions"]) == [{"json_schema": '{"name":"t"}'}]
    assert "llm.input_messages" not in row["attributes"]


def test_messages_in_span_events_of_the_older_convention_are_the_content():
    row = one(
        {"gen_ai.operation.name": "chat", "gen_ai.system": "openai"},
        events=[
            ("gen_ai.user.message", {"content": "question"}),
            ("gen_ai.choice", {"finish_reason": "stop", "message": '{"content":"answer"}'}),
        ],
    )
    assert (row["input_preview"], row["output_preview"]) == ("question", "answer")


def test_an_exception_event_names_the_error_and_a_failed_span_without_one_is_other():
    assert one(status=2, events=[("exception", {"exception.type": "KeyError"})])["error_type"] == "KeyError"
    assert one(status=2)["error_type"] == "_OTHER"


def test_a_resource_speaks_for_spans_that_do_not():
    resource = {
        "service.name": "svc",
        "service.version": "1.2",
        "deployment.environment.name": "prod",
        "pilothouse.agent": "fleet-name",
        "pilothouse.version": "v" * 64,
        "pilothouse.task.type": "refund",
    }
    row = one({"gen_ai.agent.name": "inner"}, resource=resource)
    assert row["agent"] == "fleet-name"
    assert (row["environment"], row["agent_version"], row["version_digest"]) == ("prod", "1.2", "v" * 64)
    assert one({"pilothouse.task.type": "own"}, resource=resource)["task_type"] == "own"


def test_a_price_makes_an_exact_cost_and_a_missing_class_none_at_all():
    usage = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "m",
        "gen_ai.usage.input_tokens": 1_000,
        "gen_ai.usage.output_tokens": 10,
    }
    price = Price(price_id="p1", input=Decimal("0.15"), output=Decimal("0.6"))
    row = one(
        usage, prices=lambda provider, model, at_ns: price if (provider, model) == ("openai", "m") else None
    )
    assert (row["cost_usd"], row["price_id"]) == (156_000_000, "p1")
    cached = {**usage, "gen_ai.usage.cache_read.input_tokens": 1}
    assert one(cached, prices=lambda *_: price)["cost_usd"] is None
    assert one(usage)["cost_usd"] is None


@pytest.mark.parametrize(
    ("said", "cost", "state"),
    [
        ({"openai.response.service_tier": "default"}, 150_000_000, COST_PRICED),
        ({"gen_ai.openai.response.service_tier": "flex"}, 75_000_000, COST_PRICED),
        ({"pilothouse.gateway.service_tier": "priority"}, None, COST_OTHERWISE),
        ({"pilothouse.gateway.fees": "true"}, None, COST_OTHERWISE),
        ({"gen_ai.response.model": "unpriced"}, None, COST_UNPRICED),
    ],
)
def test_a_service_tier_has_a_price_of_its_own_or_none(said, cost, state):
    """Flex costs half and priority twice as much: all three had one price, and what a search cost beside was no part of it."""
    full = Price(price_id="p1", input=Decimal("0.15"), output=Decimal("0.6"))
    half = Price(price_id="p2", input=Decimal("0.075"), output=Decimal("0.3"))
    usage = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "m",
        "gen_ai.usage.input_tokens": 1_000,
        "gen_ai.usage.output_tokens": 0,
    }
    row = one(
        {**usage, **said}, prices=lambda _provider, model, _at: {"m": full, "m (flex)": half}.get(model)
    )
    assert (row["cost_usd"], row["cost_state"]) == (cost, state)


@pytest.mark.parametrize(
    ("span", "flags", "duration"),
    [
        ({"start": START_NS, "end": START_NS + 5}, 0, 5),
        ({"start": START_NS, "end": START_NS - 5}, TIME_INVERTED, None),
        ({"start": 0, "end": START_NS}, TIME_MISSING, None),
        ({"start": START_NS, "end": 0}, TIME_MISSING, None),
        ({"start": RECEIVED_NS + 301 * 10**9, "end": RECEIVED_NS + 302 * 10**9}, TIME_FUTURE, 10**9),
        ({"start": RECEIVED_NS - 14 * DAY_NS, "end": RECEIVED_NS - 14 * DAY_NS + 1}, TIME_OLD, 1),
    ],
)
def test_odd_times_are_kept_and_flagged(span, flags, duration):
    row = one(**span)
    assert (row["time_flags"], row["duration_ns"]) == (flags, duration)


def test_old_spans_lie_in_their_own_day_and_future_ones_in_the_day_of_receipt():
    assert one(start=RECEIVED_NS - 14 * DAY_NS)["day"] == (RECEIVED_NS - 14 * DAY_NS) // DAY_NS
    assert one(start=RECEIVED_NS + 3 * DAY_NS)["day"] == RECEIVED_NS // DAY_NS


@pytest.mark.parametrize("as_json", [False, True])
def test_limits_cut_values_keys_and_counts_and_say_so(as_json, monkeypatch):
    monkeypatch.setattr(limits, "ATTRIBUTES_MAX", 3)
    monkeypatch.setattr(limits, "VALUE_CHARS_MAX", 100)
    attributes = {f"k{number:03d}": number for number in range(70)}
    row = one({"long": "x" * 150, "k" * 300: 1, **attributes}, as_json=as_json)
    kept = json.loads(row["attributes"])
    assert len(kept) == 3
    assert len(kept["long"]) == 100
    assert row["cut_bytes"] == 50
    assert row["dropped_attributes"] == 69


def test_a_value_nested_too_deep_is_cut_there_and_the_span_kept():
    value: object = "bottom"
    for _ in range(40):
        value = [value]
    text = one({"deep": value})["attributes"]
    assert "nested too deep" in text
    assert "bottom" not in text


@pytest.mark.parametrize("as_json", [False, True])
def test_a_nul_goes_no_further_for_no_ledger_on_postgresql_holds_one(as_json):
    """A claim that ends in one was asked about in every round, and its answer was never kept."""
    keys = ("pilothouse.version", "pilothouse.task.type", "pilothouse.agent", "user.id", "error.type")
    attributes = dict.fromkeys(keys, "a\0b") | {"pilothouse.task.claim": "paid\0", "gen_ai.tool.name": "t\0"}
    resource = dict.fromkeys(("service.name", "pilothouse.task.type"), "a\0b")
    for said, of in ((attributes, None), ({}, resource | attributes)):
        (row,) = decode_spans([{"attributes": said}], as_json=as_json, resource=of)
        assert row["task_claim"] == "paid\\u0000"
        assert (row["task_type"], row["version_digest"]) == ("a\ufffdb", "a\ufffdb")
        assert not [name for name, value in row.items() if isinstance(value, str) and "\0" in value]


def test_a_repeated_key_takes_the_last_value_and_is_counted():
    body = {
        "resourceSpans": [
            {"scopeSpans": [{"spans": [{"traceId": "1" * 32, "spanId": "2" * 16, "attributes": [
                {"key": "k", "value": {"stringValue": "first"}}, {"key": "k", "value": {"stringValue": "last"}}]}]}]}
        ]
    }  # fmt: skip
    row = dict(zip(SPAN_COLUMNS, decode(json.dumps(body).encode(), encoding=Encoding.JSON)[0], strict=True))
    assert json.loads(row["attributes"]) == {"k": "last"}
    assert row["dropped_attributes"] == 1


@pytest.mark.parametrize("convention", ["otel", "otel_1_36", "openinference"])
def test_protobuf_and_json_decode_to_equal_rows(convention):
    spans = run_spans(convention=convention)
    spans[0]["events"] = [("exception", {"exception.type": "E", "nested": {"a": [1, 2.5, True, None or ""]}})]
    spans[1]["attributes"]["odd"] = [float("nan"), float("inf"), b"\x00\xff", -5, 2**62, [], {}]
    assert decode_spans(spans) == decode_spans(spans, as_json=True)


def log_rows(**record):
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    rows = decode(json.dumps(body).encode(), encoding=Encoding.JSON, signal=Signal.LOGS)
    return [dict(zip(SPAN_COLUMNS, row, strict=True)) for row in rows]


def test_a_log_record_is_a_row_with_an_id_of_its_content():
    ids = {"traceId": "1" * 32, "spanId": "2" * 16, "timeUnixNano": str(START_NS)}
    first, again, other = (
        log_rows(**ids, eventName="gen_ai.evaluation.result", body={"stringValue": text})[0]
        for text in ("a", "a", "b")
    )
    assert first["record"] == "log"
    assert first["event_name"] == "gen_ai.evaluation.result"
    assert first["record_id"] == again["record_id"] != other["record_id"]
    assert first["output"] == "a"


def test_a_message_event_as_a_log_record_is_the_input():
    body = {"kvlistValue": {"values": [{"key": "content", "value": {"stringValue": "question"}}]}}
    row = log_rows(eventName="gen_ai.user.message", body=body)[0]
    assert row["input_preview"] == "question"
    assert row["trace_id"] == ""


@pytest.mark.parametrize("time", ["17952u0", "-4", "", str(2**70)])
def test_an_event_without_a_readable_time_does_not_spoil_its_span(time):
    span = {
        "traceId": "1" * 32,
        "spanId": "2" * 16,
        "droppedAttributesCount": 10**12,
        "droppedLinksCount": -3,
        "events": [{"name": "e", "timeUnixNano": time}],
    }
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    row = dict(zip(SPAN_COLUMNS, decode(json.dumps(body).encode(), encoding=Encoding.JSON)[0], strict=True))
    assert json.loads(row["events"])[0]["time_unix_nano"] == 0
    assert (row["dropped_attributes"], row["dropped_links"]) == (2**31 - 1, 0)


def test_a_message_of_a_thousand_brackets_is_stored_as_the_text_it_is():
    said = '{"a":' + "[" * 30_000
    row = one(events=[("gen_ai.choice", {"message": said})])
    assert json.loads(row["output"]) == [{"role": "assistant", "content": said}]
    assert _joined([said, '["b"]']) == json_text([said, "b"])


@pytest.mark.parametrize("as_json", [False, True])
def test_evaluations_on_a_span_are_records_of_their_own(as_json):
    said = {
        "evaluations.0.evaluation.name": "tone",
        "evaluations.0.evaluation.score": 0.5,
        "evaluations.0.evaluation.metadata": "{}",
        "annotations.10.annotation.name": "truth",
        "annotations.10.annotation.score": float("nan"),
        "annotations.10.annotation.label": "wrong",
        "trace.evaluations.0.evaluation.name": "tone",
        "trace.evaluations.0.evaluation.score": 1,
        "trace.evaluations.0.evaluation.explanation": "because",
        "session.evaluations.0.evaluation.name": "of no single task",
        "evaluations.1.evaluation.label": "of nothing",
    }
    span, *rows = decode_spans([{"attributes": said}, {"attributes": {}}], as_json=as_json)
    assert span["record"] == rows.pop(0)["record"] == "span"
    assert "evaluations.0.evaluation.name" in span["attributes"]
    scores = [read_score(row) for row in rows]
    assert [(one.name, one.value, one.label, one.explanation) for one in scores] == [
        ("tone", 0.5, "", ""),
        ("truth", None, "wrong", ""),
        ("tone", 1.0, "", "because"),
    ]
    assert {one.trace_id for one in scores} == {span["trace_id"]}
    assert [one.span_id for one in scores] == [span["span_id"], span["span_id"], ""]
    assert {one.at_ns for one in scores} == {span["end_ns"]}
    assert {row["event_name"] for row in rows} == {EVALUATION_EVENT}
    assert len({row["record_id"] for row in rows}) == 3


def test_no_more_evaluations_of_a_request_than_records_become_records(monkeypatch):
    monkeypatch.setattr(otlp_decode, "EVALUATIONS_MAX", 2)
    said = {f"evaluations.{number}.evaluation.name": "tone" for number in range(3)}
    assert len(decode_spans([{"attributes": said}])) == 3
