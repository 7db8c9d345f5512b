# SPDX-License-Identifier: Apache-2.0
"""What an agent's code imports: same signatures and exceptions, one trace for a task, refusals it can read."""

from __future__ import annotations

import asyncio
import contextvars
import json
import subprocess
import sys
import threading
import warnings
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tool_world import Kept, governed

import pilothouse
from pilothouse.errors import ToolError, UsageError
from pilothouse.runtime.sdk import opening, recorder
from pilothouse.runtime.sdk.opening import set_runtime
from pilothouse.runtime.tools.door import Door
from pilothouse.runtime.tools.memory_calls import MemoryCalls
from pilothouse.runtime.tools.runtime import ToolRuntime
from pilothouse.runtime.tools.values import plain


class Sink:
    def __init__(self):
        self.spans, self.n = [], 0

    def open(self, name, parent):
        self.n += 1
        trace = parent[0] if parent else f"{self.n:032x}"
        return trace, f"{self.n:016x}", (trace, f"{self.n:016x}", parent[1] if parent else None)

    def close(self, opened, name, *, failed, attributes):
        self.spans.append((name, opened, failed, attributes))


@pytest.fixture
def spans(monkeypatch):
    sink = Sink()
    monkeypatch.setattr(recorder, "_SINK", [sink])
    yield sink.spans
    set_runtime(None)


@pytest.fixture
def world(spans):
    kept = Kept()
    tools = {tool.name: tool for tool in (governed("external"),)}
    set_runtime(
        ToolRuntime(
            agent="triage", version="v1", tools=tools, door=Door(observers=(kept,), store=MemoryCalls())
        )
    )
    return kept


@pilothouse.tool("erp.route@1")
def route(invoice_id: str, queue: str = "approval") -> dict[str, bool]:
    """Put it there."""
    if invoice_id == "broken":
        raise KeyError("secret")
    return {"ok": True, "key": pilothouse.current_call_key()}


@pilothouse.tool("erp.route@1")
async def route_async(invoice_id: str, queue: str) -> dict[str, bool]:
    await asyncio.sleep(0)
    return {"ok": True}


def test_a_task_is_one_trace_with_its_tools_below_it(spans, world):
    @pilothouse.agent(task_type="po_invoice", name="triage")
    def work(number):
        assert route(number)["ok"]
        pilothouse.claim("routed", target=number, expect={"queue": "approval"})
        return number

    assert work("INV-7") == "INV-7"
    (tool_name, tool_ids, _, tool_said), (agent_name, agent_ids, _, agent_said) = spans
    assert (tool_name, agent_name) == ("execute_tool erp.route@1", "invoke_agent triage")
    assert tool_ids[0] == agent_ids[0]
    assert tool_ids[2] == agent_ids[1]
    assert json.loads(tool_said["gen_ai.tool.call.arguments"]) == {
        "invoice_id": "INV-7",
        "queue": "approval",
    }
    assert agent_said["pilothouse.task.result"] == "completed"
    assert json.loads(agent_said["pilothouse.task.claim"]) == {
        "routed": {"target": "INV-7", "queue": "approval"}
    }
    (record,) = world.records
    assert (record.call.run, record.call.task_type, record.call.span_id) == (
        agent_ids[0],
        "po_invoice",
        tool_ids[1],
    )
    assert record.result["key"], "a tool that changes something learns its idempotency key"


def test_signatures_names_and_texts_stay(spans):
    assert (route.__name__, route.__doc__) == ("route", "Put it there.")
    assert asyncio.iscoroutinefunction(route_async)


def test_a_failing_tool_tells_the_agent_and_no_secret(spans, world):
    with pytest.raises(ToolError) as caught:
        route("broken")
    assert caught.value.as_tool_result()["side_effect"] == "unknown"
    assert "secret" not in json.dumps([span[3] for span in spans])
    assert spans[0][3]["error.type"] == "upstream_bug"


def test_a_failing_task_raises_what_it_raised(spans):
    @pilothouse.agent(task_type="po_invoice", name="triage")
    async def work():
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        asyncio.run(work())
    assert spans[0][2] is True
    assert spans[0][3]["pilothouse.task.result"] == "failed"


def test_concurrent_tasks_do_not_mix(spans, world):
    @pilothouse.agent(task_type="po_invoice", name="triage")
    async def work(number):
        await asyncio.sleep(0.001 * (number % 3))
        await route_async(invoice_id=str(number), queue="credit")

    async def main():
        await asyncio.gather(*(work(number) for number in range(20)))

    asyncio.run(main())
    runs = {record.call.args["invoice_id"]: record.call.run for record in world.records}
    assert len(set(runs.values())) == 20


def test_generators_are_tasks_too(spans):
    @pilothouse.agent(task_type="t", name="triage")
    def parts():
        yield 1
        return 2

    @pilothouse.agent(task_type="t", name="triage")
    async def stream():
        yield 1

    async def read():
        return [part async for part in stream()]

    assert list(parts()) == asyncio.run(read()) == [1]
    assert len(spans) == 2


def test_a_thread_started_with_a_copied_context_stays_in_the_task(spans, world):
    @pilothouse.agent(task_type="po_invoice", name="triage")
    def work():
        thread = threading.Thread(target=contextvars.copy_context().run, args=(route, "INV-9"))
        thread.start()
        thread.join()

    work()
    assert world.records[0].call.run == spans[-1][1][0]


def test_a_tool_that_the_charter_does_not_declare_is_refused(spans, world):
    @pilothouse.tool("erp.pay@1")
    def pay():
        raise AssertionError("must not be called")

    with pytest.raises(ToolError) as caught:
        pay()
    assert caught.value.kind == "permission"


def test_without_a_charter_calls_pass_straight_through_with_one_warning(spans, monkeypatch):
    monkeypatch.setenv("PILOTHOUSE_TOOL_RUNTIME", "test_sdk_nowhere:nothing")
    monkeypatch.setitem(sys.modules, "test_sdk_nowhere", type(sys)("test_sdk_nowhere"))
    sys.modules["test_sdk_nowhere"].nothing = lambda: None
    set_runtime(None)
    with pytest.warns(RuntimeWarning, match="no charter"):
        assert route("INV-7")["ok"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert route("INV-7")["ok"]


def test_a_charter_that_cannot_be_read_denies_everything(spans, monkeypatch):
    def broken():
        raise UsageError("the ledger is away", remedy="Run `pilothouse doctor`.")

    monkeypatch.setitem(sys.modules, "test_sdk_broken", type(sys)("test_sdk_broken"))
    sys.modules["test_sdk_broken"].opener = broken
    monkeypatch.setenv("PILOTHOUSE_TOOL_RUNTIME", "test_sdk_broken:opener")
    set_runtime(None)
    for _ in range(2):
        with pytest.raises(ToolError, match="the ledger is away"):
            route("INV-7")
    assert opening.tool_runtime is not None


def test_mistakes_are_named_where_they_are_made(spans):
    with pytest.raises(UsageError, match="names no version"):
        pilothouse.tool("erp.route")

    with pytest.raises(UsageError, match="generator"):

        @pilothouse.tool("erp.route@1")
        def parts():
            yield 1

    with pytest.raises(UsageError, match="outside a task"):
        pilothouse.claim("routed", target="x")


def test_values_become_plain_data():
    class Colour(Enum):
        RED = "red"

    @dataclass
    class Point:
        x: int

    assert plain({"c": Colour.RED, "p": Point(1), "d": Decimal("1.5"), "s": {1}}) == {
        "c": "red",
        "p": {"x": 1},
        "d": "1.5",
        "s": [1],
    }
    with pytest.raises(TypeError):
        plain(object())


def test_our_own_recorder_sends_what_the_lake_reads(spans, monkeypatch, otlp_server_address):
    out = recorder.Recorder(otlp_server_address.url, {"service.name": "triage"})
    trace, span, opened = out.open("invoke_agent triage", None)
    out.close(
        opened,
        "invoke_agent triage",
        failed=False,
        attributes={"gen_ai.operation.name": "invoke_agent", "n": 1, "text": "x" * 40_000},
    )
    assert out.flush(5.0)
    (body,) = otlp_server_address.bodies
    sent = json.loads(body)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert (sent["traceId"], sent["spanId"]) == (trace, span)
    assert len(sent["attributes"][2]["value"]["stringValue"]) < 20_000


@pytest.fixture
def otlp_server_address():
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    server.bodies = bodies
    yield server
    server.shutdown()
    server.server_close()


def test_a_full_ring_drops_the_newest_and_counts():
    out = recorder.Recorder("http://127.0.0.1:9", {})
    for _ in range(recorder.RING_MAX + 5):
        _, _, opened = out.open("a", None)
        out.close(opened, "a", failed=False, attributes={})
    assert out.dropped == 5


def test_spans_go_through_a_configured_tracer_provider(world):
    code = """
import json
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
out = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(out))
trace.set_tracer_provider(provider)
import pilothouse
@pilothouse.agent(task_type="t", name="triage")
def work():
    with trace.get_tracer("framework").start_as_current_span("chat"):
        pass
work()
chat, agent = out.get_finished_spans()
print(json.dumps([agent.name, chat.parent.span_id == agent.context.span_id, agent.attributes["pilothouse.task.type"]]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["invoke_agent triage", True, "t"]


def test_importing_it_brings_nothing_heavy_along():
    code = "import sys, pilothouse; pilothouse.tool; print(sorted(set(sys.modules) & {'pydantic', 'numpy', 'sqlalchemy', 'aiohttp', 'jsonschema', 'urllib.request', 'asyncio'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_argument_is_hidden_from_the_decision_by_its_name(spans, monkeypatch):
    sent = []

    @pilothouse.tool("erp.route@1")
    def grade(invoice_id: str, cls: str = "low") -> dict[str, bool]:
        sent.append(cls)
        return {"ok": True}

    @pilothouse.tool("erp.route@1")
    def loose(**fields: str) -> dict[str, bool]:
        sent.append(fields)
        return {"ok": True}

    class Desk:
        @pilothouse.tool("erp.route@1")
        def route(self, invoice_id: str) -> dict[str, bool]:
            sent.append(invoice_id)
            return {"ok": True}

    schema = {
        "type": "object",
        "properties": {"invoice_id": {"type": "string"}},
        "additionalProperties": False,
    }
    tool = governed("external", input=schema)
    set_runtime(
        ToolRuntime(agent="triage", version="v1", tools={tool.name: tool}, door=Door(store=MemoryCalls()))
    )
    for made in (
        lambda: grade(invoice_id="INV-7", cls="high"),
        lambda: grade("INV-7", "high"),
        lambda: loose(invoice_id="INV-7", self="high"),
    ):
        with pytest.raises(ToolError, match="was unexpected"):
            made()
    assert sent == []
    assert Desk().route("INV-7") == {"ok": True}
    assert Desk().route(invoice_id="INV-8") == {"ok": True}
    assert sent == ["INV-7", "INV-8"]


def test_what_is_called_is_what_was_decided_although_another_thread_changed_it(spans):
    names, sent = ["ana"], []

    @pilothouse.tool("erp.route@1")
    def write(names: list[str]) -> dict[str, bool]:
        sent.append(list(names))
        return {"ok": True}

    class Changing:
        def check(self, _call):
            names.append("eve")

    tool = governed("external", input={"type": "object"})
    set_runtime(
        ToolRuntime(
            agent="triage",
            version="v1",
            tools={tool.name: tool},
            door=Door(guards=(Changing(),), store=MemoryCalls()),
        )
    )
    with pytest.raises(ToolError, match="changed") as refused:
        write(names)
    assert (refused.value.kind, refused.value.side_effect, sent) == ("conflict", "none", [])


class Refusing:
    """A desk that keeps what it refused."""

    def __init__(self):
        self.refused = []

    def refuse(self, call):
        self.refused.append(call)


@pytest.mark.parametrize("is_async", [False, True])
def test_an_undeclared_tool_is_on_record_as_refused_and_not_called(spans, is_async):
    """A span without a decision would count as a call past the boundary, which pauses the agent."""
    sent, desk = [], Refusing()

    @pilothouse.tool("erp.pay@1")
    def pay(amount: int) -> None:
        sent.append(amount)

    @pilothouse.tool("erp.pay@1")
    async def pay_later(amount: int) -> None:
        sent.append(amount)

    set_runtime(
        ToolRuntime(agent="triage", version="v1", tools={}, door=Door(store=MemoryCalls()), tasks=desk)
    )

    @pilothouse.agent(task_type="po_invoice", name="triage")
    def work():
        with pytest.raises(ToolError, match="is not declared in the charter of triage"):
            asyncio.run(pay_later(7)) if is_async else pay(7)

    work()
    (call,) = desk.refused
    run = next(opened for _, opened, _, _ in spans)
    assert (call.tool, call.args, call.effect, call.task_type) == (
        "erp.pay@1",
        {},
        "irreversible",
        "po_invoice",
    )
    assert call.run
    assert run
    assert sent == []
