# SPDX-License-Identifier: Apache-2.0
"""Traffic as chance wants it, and what holds of all of it: one record a call, bytes untouched, money that adds up, runs that replay.

Conversations of every protocol run at once, whole and streamed, with tools, pictures and secrets in them, while providers fail in
every way and clients go away at any byte. Give another seed or more of them to look further: `TRAFFIC=7,500`.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import zlib
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

import pytest
from tests.stubs.gateway_site import AGENT, MODEL, SECRET, SPARE, GatewaySite
from tests.stubs.random_provider import FAILURES, RandomProvider, text_of

from pilothouse.app.opening import SystemClock
from pilothouse.core.evidence.run_log import Denied, ModelRequest, ModelResponse
from pilothouse.core.evidence.task import CostState
from pilothouse.interfaces.http.replay import ReplayServer
from pilothouse.lake.node import open_node
from pilothouse.lake.prices import Price
from pilothouse.ports.intake import IntakeAnswer, Receipt, Signal
from pilothouse.ports.lake import TaskFilter
from pilothouse.runtime.context.conversation import tool_results
from pilothouse.runtime.gateway.call import Ending
from pilothouse.runtime.gateway.policy import AgentPolicy, Budget, Limits, Pin
from pilothouse.runtime.gateway.spans import SpanSink
from pilothouse.runtime.replay.exchange import exchanges
from pilothouse.runtime.replay.mode import ReplayMode
from pilothouse.runtime.replay.session import Live, ReplaySession, Serve
from pilothouse.runtime.replay.substitution import Substitution
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.workflows.replay.run import ReplayRequest, replay_run

SEED, CONVERSATIONS = map(int, os.environ.get("TRAFFIC", "5,40").split(","))
PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/messages")
PROVIDERS = {"acme": MODEL, "acme-spare": SPARE, "anthropic": MODEL, "anthropic-spare": SPARE}
CLASSES = ("input", "cache_read", "cache_creation", "output", "reasoning")
PRICES = {MODEL: 3, SPARE: 1_000}
PICTURE = "iVBORw0KGgo" * 50
UNPACKED = {"": bytes, "gzip": gzip.decompress, "deflate": zlib.decompress}

POLICY = AgentPolicy(
    agent=AGENT,
    charter="c",
    chain=tuple(Pin(provider=name, model=model) for name, model in PROVIDERS.items()),
    limits=Limits(total_s=30, stream_total_s=30, first_byte_s=10, idle_s=10, retry_after_s=1.0),
    budget=Budget(calls_per_run=1_000),
)


def cost(_provider, model, tokens, _at_ns):
    return PRICES[model] * tokens.total


@dataclass
class Asked:
    """One request and what its client got of the answer; `leaves_at` is where it went away, None where it stayed."""

    path: str
    how: str
    nonce: str
    body: bytes
    run: str | None
    leaves_at: int | None = None
    status: int = 0
    headers: dict = field(default_factory=dict)
    got: bytes = b""


async def post(port, path, headers, body, *, leaves_at=None):
    """Return status, headers and bytes of an answer, or what came of it until the client left."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 26)
    try:
        lines = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        await writer.drain()
        if leaves_at == 0:
            return 0, {}, b""
        status, *given = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        told = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in given)}
        if "content-length" in told:
            size = int(told["content-length"])
            got = await reader.readexactly(size if leaves_at is None else min(size, leaves_at))
            return int(status.split()[1]), told, got
        got = b""
        while size := int(await reader.readline(), 16):
            got += await reader.readexactly(size)
            await reader.readline()
            if leaves_at is not None and len(got) >= leaves_at:
                break
        return int(status.split()[1]), told, got
    finally:
        if leaves_at is not None:
            writer.transport.abort()
        writer.close()


class Traffic:
    """Conversations of one agent."""

    def __init__(self, site, stub, chance):
        self.site, self.stub = site, stub
        self.asked, self.secrets = [], []
        self._chance = chance

    async def run(self, conversations):
        room = asyncio.Semaphore(16)

        async def one(number):
            async with room:
                await self._converse(number, Random(f"{SEED} {number}"))

        await asyncio.gather(*map(one, range(conversations)))

    async def _converse(self, number, chance):
        path, how = chance.choice(PATHS), chance.choice(("path", "traceparent", "none"))
        run = None if how == "none" else f"{chance.getrandbits(128) | 1 << 127:032x}"
        history = [{"role": "user", "content": _question(chance, path, number)}]
        for turn in range(chance.randint(1, 4)):
            secret = f"sk-ant-api03-{chance.getrandbits(192):048x}" if chance.random() < 0.15 else ""
            if secret:
                self.secrets.append(secret)
                history.append({"role": "user", "content": f"use {secret}"})
            body = {"model": MODEL, "input" if path == PATHS[1] else "messages": history}
            if path == PATHS[2]:
                body["max_tokens"] = 5_000
            if chance.random() < 0.5:
                body["stream"] = True
                if path == PATHS[0] and chance.random() < 0.7:
                    body["stream_options"] = {"include_usage": True}
            asked = Asked(path, how, f"{number}-{turn}", _written(chance, body), run)
            if chance.random() < 0.12:
                asked.leaves_at = chance.choice((0, chance.randint(0, 2_000)))
            self.asked.append(asked)
            last = await self._ask(asked, chance, secret)
            if last is None or asked.leaves_at is not None or last.kind != "good":
                return
            run = run or asked.headers["x-pilothouse-run"]
            history = [*history, *last.made]
            if not last.uses:
                history.append({"role": "user", "content": f"and then? {text_of(chance)}"})

    async def _ask(self, asked, chance, secret):
        kinds = [chance.choice(FAILURES) if chance.random() < 0.35 else "good" for _ in range(6)]
        tools = chance.choice((0, 0, 1, 3))
        self.stub.script(asked.nonce, kinds=kinds, tools=tools, secret=secret)
        headers = {"x-nonce": asked.nonce, "content-type": "application/json"}
        if asked.path == PATHS[2]:
            headers |= {"x-api-key": self.site.key, "anthropic-version": "2023-06-01"}
        else:
            headers["authorization"] = f"Bearer {self.site.key}"
        if asked.how == "traceparent":
            headers["traceparent"] = f"00-{asked.run}-{chance.getrandbits(64) | 1 << 63:016x}-01"
        path = f"/gw/r/{asked.run}{asked.path}" if asked.how == "path" else f"/gw{asked.path}"
        with suppress(asyncio.IncompleteReadError if asked.leaves_at is not None else ()):
            answer = await post(self.site.port, path, headers, asked.body, leaves_at=asked.leaves_at)
            asked.status, asked.headers, asked.got = answer
        sent = self.stub.sent[asked.nonce]
        return sent[-1] if sent and asked.status == 200 else None


def _question(chance, path, number):
    text = f"Conversation {number}: {text_of(chance)}"
    if chance.random() < 0.8:
        return text
    if path == PATHS[2]:
        picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}
    elif path == PATHS[1]:
        picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"}
    else:
        picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}
    return [{"type": "input_text" if path == PATHS[1] else "text", "text": text}, picture]


def _written(chance, body):
    separators = chance.choice(((",", ":"), (", ", ": "), (" ,", " : ")))
    return json.dumps(body, ensure_ascii=chance.random() < 0.5, separators=separators).encode()


class Spans:
    """An intake that keeps the spans."""

    def __init__(self):
        self.bodies = []

    def accept(self, signal, *, content_type, content_encoding, body, source):
        del signal, content_type, content_encoding, source
        self.bodies.append(body)
        return Receipt(answer=IntakeAnswer.ACCEPTED)

    def by_id(self):
        """Return them by id, each once."""
        found = {}
        for body in self.bodies:
            for resource in json.loads(body)["resourceSpans"]:
                for span in resource["scopeSpans"][0]["spans"]:
                    assert span["spanId"] not in found, "a span was written twice"
                    found[span["spanId"]] = span
        return found


@dataclass
class World:
    """All that is left of the traffic."""

    traffic: Traffic
    site: GatewaySite
    stub: RandomProvider
    log: Recorder
    calls: dict
    runs: dict
    spans: dict
    bodies: list
    folder: object

    def pairs(self):
        """Yield each request with its call and what the provider sent last for it, None where nobody was asked."""
        for asked in self.traffic.asked:
            call = self.calls.get(asked.nonce)
            if call is not None:
                sent = self.stub.sent[asked.nonce]
                yield asked, call, sent[-1] if sent else None


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder, intake = tmp_path_factory.mktemp("log"), Spans()
    spans = SpanSink(intake)
    with (
        RandomProvider(SEED) as stub,
        Recorder(folder) as log,
        GatewaySite(dict.fromkeys(PROVIDERS, stub.origin), POLICY, log=log, cost_of=cost) as site,
    ):
        site.gateway._sinks = (*site.gateway._sinks, spans)
        traffic = Traffic(site, stub, Random(SEED))
        asyncio.run(traffic.run(CONVERSATIONS))
        stayed = sum(one.leaves_at is None for one in traffic.asked)
        site.wait_for(stayed)
        for _ in range(200):
            if not site.gateway.in_flight:
                break
            spans._stop.wait(0.05)
        spans.stop()
        log.flush()
        by_nonce = {}
        for call in site.kept.calls:
            nonce = dict(call.request_headers)[b"x-nonce"].decode()
            assert nonce not in by_nonce, "a request is two calls"
            by_nonce[nonce] = call
        runs = {run: log.read(run) for run in {call.run for call in site.kept.calls}}
        yield World(traffic, site, stub, log, by_nonce, runs, intake.by_id(), intake.bodies, folder)


def test_each_request_is_one_call_with_one_record(world):
    told = defaultdict(list)
    for run, recorded in world.runs.items():
        assert recorded.damage is None
        for logged in recorded.events:
            told[logged.call].append((run, logged.event))
    for asked in world.traffic.asked:
        call = world.calls.get(asked.nonce)
        if call is None:
            assert asked.leaves_at is not None, "who stays is answered"
            assert not world.stub.asked[asked.nonce], "whoever was asked is on record"
            continue
        (run, request), *rest = told[call.call_id]
        assert run == call.run
        assert isinstance(request, ModelRequest)
        assert request.body == world.log.redaction.apply(asked.body)
        assert [type(event) in {ModelResponse, Denied} for _, event in rest] == [True]
    gateway = world.site.gateway
    assert (gateway.in_flight, gateway._upstream._pool._used) == (0, 0)
    assert gateway.counters["calls"] == len(world.calls)
    assert gateway.counters["attempts"] == sum(len(call.attempts) for call in world.calls.values())


def test_bytes_go_through_as_they_are(world):
    whole = 0
    for asked, call, sent in world.pairs():
        for seen in world.stub.asked[asked.nonce]:
            assert world.site.key not in repr(seen.headers)
            assert "traceparent" not in seen.headers
            assert seen.body == asked.body or json.loads(seen.body)["model"] == SPARE
        if asked.leaves_at is not None:
            continue
        if call.ending is Ending.DONE or (sent and sent.kind == "late_error" and asked.status == 200):
            assert (asked.status, asked.got) == (sent.status, sent.body)
            whole += 1
        elif call.ending is Ending.CUT:
            assert asked.status == 200
            assert call.stopped in {"cut", "error_event"}
        elif call.refusal is None:
            assert (asked.status, asked.got) == (sent.status, sent.body), "the last true answer of a provider"
    assert whole > len(world.calls) // 2


def test_the_record_has_what_the_client_got(world):
    redaction = world.log.redaction
    responses = {
        logged.call: logged.event
        for recorded in world.runs.values()
        for logged in recorded.events
        if isinstance(logged.event, ModelResponse)
    }
    for asked, call, sent in world.pairs():
        kept = responses.get(call.call_id)
        if call.ending is Ending.DONE and asked.leaves_at is None:
            plain = UNPACKED[asked.headers.get("content-encoding", "")](asked.got)
            assert kept.body == redaction.apply(plain)
            assert sum(kept.chunk_sizes) in {0, len(asked.got)}
        elif call.ending is Ending.CANCELLED and kept is not None and call.first_content_s is not None:
            plain = UNPACKED[dict(sent.headers).get("content-encoding", "")](sent.body)
            if redaction.apply(plain) == plain and "content-encoding" not in dict(sent.headers):
                assert plain.startswith(kept.body)
                assert kept.body.startswith(asked.got)


def test_usage_and_money_add_up(world):
    for _, call, sent in world.pairs():
        if call.ending is Ending.DONE and sent.kind == "good":
            assert (None if call.usage is None else call.usage.total) == sent.tokens
            if sent.tokens is not None and len(call.attempts) == 1:
                assert call.cost_pico == sent.tokens * PRICES[call.served_model]
    meter = world.site.gateway.meter
    (spent,) = meter.take_unsaved().values()
    assert meter._reserved == {}
    table = meter._runs
    days, runs = list(meter._days.values()), [*table._old.values(), *table._young.values()]
    assert {(one.reserved_pico, one.reserved_tokens) for one in (*days, *runs)} == {(0, 0)}
    assert sum(one.usd_pico for one in runs) == sum(one.usd_pico for one in days) == spent.usd_pico
    assert sum(one.tokens for one in runs) == sum(one.tokens for one in days) == spent.tokens
    assert spent.calls == sum(one.calls for one in runs) == len(world.calls)
    assert spent.usd_pico >= sum(call.cost_pico or 0 for call in world.calls.values())


def test_each_call_is_in_its_own_run_and_trace(world):
    for asked, call, _ in world.pairs():
        assert asked.run in {None, call.run}, "a run was split or merged"
        if not call.attempts:
            continue
        span = world.spans[call.call_id]
        assert span["traceId"] == call.run
        assert span["parentSpanId"] == call.parent or span["parentSpanId"] in world.spans
        said = {one["key"]: one["value"] for one in span["attributes"]}
        if call.usage is not None:
            counted = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
            assert sum(int(said[name]["intValue"]) for name in counted) == call.usage.total


def test_each_run_replays_equal_and_says_the_same(world):
    sessions = {
        run: ReplaySession(calls, ReplayMode.STRICT, world.log.redaction)
        for run, calls in ((run, exchanges(recorded)) for run, recorded in world.runs.items())
        if calls
    }

    async def again():
        for asked, call, _ in world.pairs():
            if call.run not in sessions or call.ending is Ending.CANCELLED:
                continue
            path = f"/gw/r/{call.run}{asked.path}"
            status, _, got = await post(server.port, path, {"content-type": "application/json"}, asked.body)
            if asked.leaves_at is None and call.ending is Ending.DONE:
                plain = UNPACKED[asked.headers.get("content-encoding", "")](asked.got)
                assert (status, got) == (asked.status, world.log.redaction.apply(plain))
            elif asked.leaves_at is None and call.ending is not Ending.CUT:
                assert (status, got) == (asked.status, asked.got)

    with ReplayServer(sessions) as server:
        asyncio.run(again())
    for run in sessions:
        (report,) = replay_run(
            world.runs[run], world.log.redaction, ReplayRequest(mode=ReplayMode.STRICT), None
        )
        assert report.is_equal
        assert report.counts.served == report.calls


def test_tasks_have_the_tokens_and_the_cost_of_their_calls(world, tmp_path):
    """One task for each run, its cost that of the calls whose tokens a provider counted, and known only where it counted all."""
    found = {
        name: Price(price_id=name, **dict.fromkeys(CLASSES, Decimal(cost) / 10**6))
        for name, cost in PRICES.items()
    }
    node = open_node(tmp_path / "lake", SystemClock(), prices=lambda _provider, model, _at: found[model])
    try:
        for body in world.bodies:
            receipt = node.accept(
                Signal.TRACES, content_type="application/json", content_encoding="", body=body, source="t"
            )
            assert (receipt.answer, receipt.rejected) == (IntakeAnswer.ACCEPTED, 0)
        node.settle(also_rootless=True)
        tasks = {task.trace_id: task for task in node.tasks(TaskFilter(), limit=10_000).tasks}
    finally:
        node.stop()
    expected = defaultdict(list)
    for call in world.calls.values():
        if call.attempts:
            expected[call.run].append((call.served_model, call.usage))
            expected[call.run] += [
                (one.model, one.spent if one.is_counted else None)
                for one in call.attempts
                if one.spent is not None
            ]
    assert set(tasks) == set(expected)
    for run, used in expected.items():
        task, counted = tasks[run], [(model, one) for model, one in used if one is not None]
        assert task.tokens.total == sum(one.total for _, one in counted)
        known = sum(one.total * PRICES[model] for model, one in counted)
        assert task.cost_known_usd * 10**12 == known if counted else not task.cost_known_usd
        assert (task.cost_state is CostState.KNOWN) == (len(counted) == len(used))


def test_only_what_a_changed_result_reaches_is_asked_live(world):
    """Nothing before the change leaves the record, and nothing behind it stays in it; without a change nothing leaves it."""
    asked_live = 0
    for recorded in world.runs.values():
        calls = exchanges(recorded)
        results = [one.call_id for call in calls for one in tool_results(call.document or {})]
        for changed in dict.fromkeys(results):
            change = Substitution(tool_results={changed: "another result"})
            session = ReplaySession(calls, ReplayMode.FORK, world.log.redaction, substitution=change)
            for call in calls:
                is_reached = any(one.call_id == changed for one in tool_results(call.document))
                decision = session.take(call.route, call.body)
                assert isinstance(decision, Live if is_reached else Serve)
                assert not is_reached or b"another result" in decision.body
                asked_live += is_reached
            assert (session.counts.pinned, session.counts.blocked, session.unchanged) == (0, 0, 0)
        session = ReplaySession(calls, ReplayMode.FORK, world.log.redaction)
        assert all(isinstance(session.take(call.route, call.body), Serve) for call in calls)
    assert asked_live


def test_no_key_and_no_secret_is_anywhere(world):
    stored = b"".join(path.read_bytes() for path in world.folder.rglob("*") if path.is_file())
    read_back = repr([recorded.events for recorded in world.runs.values()])
    assert world.traffic.secrets
    for secret in (SECRET, world.site.key, *world.traffic.secrets):
        assert secret.encode() not in stored
        assert secret not in read_back
    assert world.site.key not in repr(world.spans)
    assert SECRET not in repr(world.spans)
