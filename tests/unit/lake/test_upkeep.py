# SPDX-License-Identifier: Apache-2.0
"""Telemetry goes when its time is over, by agent and in three steps; costs come when a price does."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from otlp_bodies import PROTOBUF, START_NS, request, run_spans

from pilothouse.errors import StorageUnavailable
from pilothouse.lake.node import open_node
from pilothouse.lake.prices import Price
from pilothouse.ports.intake import IntakeAnswer, Signal
from pilothouse.ports.lake import TaskFilter
from pilothouse.ports.upkeep import Removed, RetentionRule

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = START_NS // (86_400 * 10**9)
ALL = TaskFilter()


class MovedClock:
    def __init__(self):
        self.days = 0

    def now(self):
        return EPOCH + timedelta(microseconds=START_NS // 1_000 + 10**6, days=self.days)


@pytest.fixture
def clock():
    return MovedClock()


@pytest.fixture
def price():
    """Prices by model; a test adds to them."""
    return {}


@pytest.fixture
def node(tmp_path, clock, price):
    opened = open_node(
        tmp_path / "lake",
        clock,
        prices=lambda _provider, model, _at: price.get(model),
        wal_file_bytes=1 << 16,
        elapsed_s=lambda: clock.days * 86_400,
    )
    yield opened
    opened.stop()


def send(node, trace, *, agent="triage", **marks):
    spans = run_spans(trace)
    for span in spans:
        span["attributes"] = {**span["attributes"], "pilothouse.agent": agent, "mine": "secret", **marks}
    body = request(spans).SerializeToString()
    receipt = node.accept(
        Signal.TRACES, content_type=PROTOBUF, content_encoding="", body=body, source="tests"
    )
    assert receipt.answer is IntakeAnswer.ACCEPTED


def ident(trace):
    return f"{trace:032x}"


def rule(**days):
    return RetentionRule(
        **{"agent": "triage", "payload_days": 30, "spans_days": 90, "tasks_days": 730, **days}
    )


def test_what_was_said_goes_first_then_the_spans_then_the_task(node, clock):
    send(node, 1)
    node.settle()
    assert node.trace(ident(1)).spans[-1].input
    clock.days = 30
    assert node.retain([rule()]) == ()
    clock.days = 31
    assert node.retain([rule()]) == (Removed(agent="triage", what="payload", before_day=DAY + 1, rows=4),)
    view = node.trace(ident(1))
    assert {(span.input, span.output, span.attributes) for span in view.spans} == {("", "", "{}")}
    assert (view.task.input_preview, view.task.output_preview) == ("", "")
    assert view.task.tokens.total == 2_600
    assert node.retain([rule()]) == ()
    clock.days = 91
    assert node.retain([rule()]) == (Removed(agent="triage", what="spans", before_day=DAY + 1, rows=4),)
    assert node.trace(ident(1)) is None
    assert len(node.tasks(ALL).tasks) == 1
    assert node.health().gap == 0
    clock.days = 731
    assert [one.what for one in node.retain([rule()])] == ["tasks"]
    assert node.tasks(ALL).tasks == ()
    assert node.health().gap == 0


def test_the_arm_of_an_experiment_is_known_as_long_as_its_spans_and_goes_with_its_person(node, clock):
    """A canary whose oldest days were forgotten after 30 days looked at a window that slides, and erred far more often than it says."""
    for trace in (1, 2):
        mark = dict(zip(("id", "unit", "arm"), ("exp", f'user "{trace}\\', "candidate"), strict=True))
        send(node, trace, **{f"pilothouse.experiment.{part}": said for part, said in mark.items()})
    send(node, 3, said='"pilothouse.experiment.id":"exp"')
    node.settle()

    def assigned():
        return node.assigned("exp", from_ns=0, to_ns=2**62)

    before = assigned()
    assert sorted(one.unit for one in before) == ['user "1\\', 'user "2\\']
    clock.days = 31
    assert [(one.what, one.rows) for one in node.retain([rule()])] == [("payload", 12)]
    assert assigned() == before
    assert "secret" not in str(node.trace(ident(1)))
    assert {span.attributes for span in node.trace(ident(3)).spans} == {"{}"}
    clock.days = 32
    assert node.retain([rule()]) == (), "nothing is rewritten twice"
    node.erase([ident(1)])
    assert [one.trace_id for one in assigned()] == [ident(2)]
    clock.days = 91
    node.retain([rule()])
    assert assigned() == ()


def test_each_agent_has_its_own_time_and_the_others_the_default(node, clock):
    send(node, 1, agent="brief")
    send(node, 2, agent="it's long")
    send(node, 3, agent="unchartered")
    node.settle()
    clock.days = 100
    rules = [
        rule(agent="brief", payload_days=1, spans_days=2, tasks_days=3),
        rule(agent="it's long", payload_days=365, spans_days=365),
    ]
    removed = node.retain(rules)
    assert [(one.agent, one.what, one.rows) for one in removed] == [
        ("brief", "payload", 4),
        ("brief", "spans", 4),
        ("brief", "tasks", 1),
        ("", "payload", 4),
        ("", "spans", 4),
    ]
    assert sorted(task.agent for task in node.tasks(ALL).tasks) == ["it's long", "unchartered"]
    assert node.trace(ident(2)).spans[-1].input
    assert node.health().gap == 0


def test_what_went_before_a_fault_is_counted_and_told_by_the_next_call(node, clock, monkeypatch):
    """Before, the books told of a loss, and no decision of the removal."""
    send(node, 1, agent="triage")
    send(node, 2, agent="other")
    node.settle()
    clock.days = 100
    rules = [rule(spans_days=20, tasks_days=60), rule(agent="other", spans_days=20, tasks_days=60)]
    with monkeypatch.context() as patched:
        error = StorageUnavailable("injected", remedy="Wait.")

        def fails(*_):
            raise error

        patched.setattr(node._writer._tasks, "remove", fails)
        with pytest.raises(StorageUnavailable):
            node.retain(rules)
    assert (node.health().rows, node.health().gap) == (4, 0)
    removed = [(one.agent, one.what, one.rows) for one in node.retain(rules)]
    assert [one for one in removed if one[1] != "payload"] == [
        ("triage", "spans", 4),
        ("triage", "tasks", 1),
        ("other", "spans", 4),
        ("other", "tasks", 1),
    ]
    assert (node.health().rows, node.health().gap) == (0, 0)
    assert node.retain(rules) == ()


def test_files_that_nobody_needs_are_deleted_within_a_minute_of_a_start(node):
    """Not only after an hour, which a server that is started each morning may never reach."""
    assert node._writer._vacuum_at <= time.monotonic() + 60


def test_what_is_left_survives_a_restart(tmp_path, clock):
    opened = open_node(
        tmp_path / "lake", clock, wal_file_bytes=1 << 16, elapsed_s=lambda: clock.days * 86_400
    )
    send(opened, 1, agent="brief")
    send(opened, 2, agent="other")
    opened.settle()
    clock.days = 50
    opened.retain([rule(agent="brief", payload_days=1, spans_days=2)])
    opened.stop()
    again = open_node(tmp_path / "lake", clock, wal_file_bytes=1 << 16, elapsed_s=lambda: clock.days * 86_400)
    assert again.trace(ident(1)) is None
    assert again.trace(ident(2)).spans_total == 4
    again.stop()


def test_only_tasks_with_a_call_that_has_a_price_now_are_folded_again(node, price, monkeypatch):
    monkeypatch.setattr("pilothouse.lake.node.CORRECTED_AT_ONCE", 1)
    folded = []
    corrections = node._writer._corrections
    monkeypatch.setattr(
        node._writer, "_corrections", lambda *given: folded.append(len(given[0])) or corrections(*given)
    )
    for trace in (1, 2):
        send(node, trace)
    node.settle()
    assert node.reprice(since_ns=0) == 0
    assert folded == []
    models = [span.response_model or span.request_model for span in node.trace(ident(1)).spans]
    price[next(filter(None, models))] = Price(
        price_id="p", input=Decimal(1), output=Decimal(2), cache_read=Decimal(1)
    )
    node.reprice(since_ns=START_NS + 10**15)
    assert folded == []
    node.reprice(since_ns=0)
    assert folded == [1, 1]  # and requests are taken between the two


def test_a_price_that_is_added_later_makes_costs_known_and_a_late_span_keeps_them(node, price):
    send(node, 1)
    node.settle()
    (before,) = node.tasks(ALL).tasks
    assert before.cost_usd is None
    assert node.reprice(since_ns=START_NS + 10**15) == 0
    assert node.reprice(since_ns=0) == 0
    models = {span.response_model or span.request_model for span in node.trace(ident(1)).spans} - {None}
    for model in models:
        price[model] = Price(
            price_id="p", input=Decimal(1), output=Decimal(2), cache_read=Decimal("0.1"),
            cache_creation=Decimal(1), reasoning=Decimal(2),
        )  # fmt: skip
    assert node.reprice(since_ns=0) == 1
    (after,) = node.tasks(ALL).tasks
    assert after.cost_usd > 0
    assert after.revision == before.revision + 1
    assert node.reprice(since_ns=0) == 0
    late = run_spans(1)[0] | {
        "span_id": (99).to_bytes(8, "big"),
        "attributes": {"pilothouse.agent": "triage"},
    }
    body = request([late]).SerializeToString()
    node.accept(Signal.TRACES, content_type=PROTOBUF, content_encoding="", body=body, source="tests")
    node.settle()
    (corrected,) = node.tasks(ALL).tasks
    assert (corrected.spans, corrected.cost_usd) == (5, after.cost_usd)
