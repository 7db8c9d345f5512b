# SPDX-License-Identifier: Apache-2.0
"""Write a span for each model call into the lake, so that an agent without telemetry of its own still gets tasks.

Spans say what OpenTelemetry's conventions for generative AI name. A thread of its own makes batches of
them; the call only puts itself into a queue.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.core.evidence.run_log import IdentitySource
from pilothouse.core.evidence.task import TokenCount
from pilothouse.ports.gateway import WireProtocol
from pilothouse.ports.intake import Intake
from pilothouse.runtime.gateway.call import Call, Ending
from pilothouse.runtime.gateway.messages import spoken_input, spoken_output
from pilothouse.runtime.gateway.provider_calls import calls_by_provider
from pilothouse.runtime.gateway.routes import Operation
from pilothouse.runtime.gateway.unsent_spans import UnsentSpans
from pilothouse.runtime.linkage import ASKS
from pilothouse.runtime.random_ids import new_span_id

__all__ = ["SpanSink"]

WAITING_MAX = 20_000
"""Calls that wait to be written; at 3,000 a second more than six seconds of a stuck disk."""

BATCH_MAX = 500
FLUSH_EVERY_S = 1.0

RUN_QUIET_S = 20.0
"""A run without a call for so long is over: its root span is written, and its task is folded."""

TOOL_QUIET_S = 540.0
"""One whose model has asked for a tool goes on when the tool has answered. A root that comes later than ten minutes comes after the
lake has shown its trace as incomplete."""

RUNS_OPEN_MAX = 20_000
CONTENT_CHARACTERS_MAX = 16_000
"""What of input and output a span carries; the whole is in the run log."""

OPERATIONS = {
    Operation.CHAT: "chat",
    Operation.MESSAGES: "chat",
    Operation.RESPONSES: "chat",
    Operation.EMBEDDINGS: "embeddings",
}
"""What is a model call; the rest leaves no span."""


ASKS_OTHERS = frozenset({Operation.RESPONSES, Operation.MESSAGES})
"""Where a provider may call MCP servers by itself."""


@dataclass(slots=True)
class _OpenRun:
    """A run that the gateway itself has begun, until its root span is written."""

    began_ns: int
    ended_ns: int
    seen_s: float
    root_id: str
    resource: tuple[tuple[str, str], ...]
    first_input: str = ""
    last_output: str = ""
    failed: bool = False
    confidence: float | None = None


class SpanSink:
    """Makes spans of calls.

    Args:
        intake: Takes OTLP requests.
        run_quiet_s: Time after which a run counts as over, seconds.
    """

    def __init__(self, intake: Intake, *, run_quiet_s: float = RUN_QUIET_S) -> None:
        self._unsent = UnsentSpans(intake)
        self._run_quiet_s = run_quiet_s
        self._waiting: deque[Call] = deque()
        self._runs: OrderedDict[str, _OpenRun] = OrderedDict()
        self._asking: OrderedDict[str, _OpenRun] = OrderedDict()
        """Runs whose model has asked for a tool last."""
        self._dropped = 0
        self._without_run = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="pilothouse-gateway-spans", daemon=True)

    def problem(self, call: Call) -> str:
        """Telemetry is never a reason to refuse a call."""
        del call
        return ""

    def begin(self, call: Call) -> None:
        """A span is written when its call is over."""

    def keep(self, call: Call) -> None:
        """Take a call that is over; when too many wait, the newest is dropped and counted."""
        if (
            not call.key.spans
            or call.key.is_replay
            or call.route.operation not in OPERATIONS
            or not call.attempts
        ):
            return
        if call.route.operation is Operation.EMBEDDINGS and call.identity == IdentitySource.NEW:
            self._without_run += 1  # alone in a run of its own it would count as a task that nobody gave
            return
        if len(self._waiting) >= WAITING_MAX:
            self._dropped += 1
            return
        self._waiting.append(call)

    def counters(self) -> dict[str, int]:
        """Return spans written, refused by the lake, dropped, and those of embeddings that named no run."""
        return {
            "spans_written": self._unsent.written,
            "spans_refused": self._unsent.refused,
            "spans_dropped": self._dropped + self._unsent.dropped,
            "spans_without_run": self._without_run,
            "runs_open": len(self._runs) + len(self._asking),
        }

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, close every run, and end the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10.0)
        while self._waiting:
            self._try()
        self._try(everything=True)
        self._unsent.give_up()

    def flush(self, *, everything: bool = False) -> None:
        """Write one batch of what waits, and the root spans of runs that are over; what the lake has no room for is sent again.

        Args:
            everything: Close every run.
        """
        groups: dict[tuple[tuple[str, str], ...], list[dict[str, Any]]] = {}
        for _ in range(min(BATCH_MAX, len(self._waiting))):
            call = self._waiting.popleft()
            resource = _resource(call)
            said = (
                spoken_input(call.request, call.route.operation)[:CONTENT_CHARACTERS_MAX],
                # What is held was said all the same: who labels it later must see it, not that it waits.
                (call.proposal or spoken_output(call.plain, call.route.operation))[:CONTENT_CHARACTERS_MAX],
            )
            parent = call.parent if call.identity == "traceparent" else self._note_run(call, resource, said)
            group = groups.setdefault(resource, [])
            group.append(_span(call, parent, said))
            if call.attempts[-1].spent is not None or len(call.attempts) > 1:
                group.extend(_lost(call, parent))
            if call.route.operation in ASKS_OTHERS:
                group.extend(_made_there(call, parent))
        for run, open_run in self._over(everything=everything):
            groups.setdefault(open_run.resource, []).append(_root(run, open_run))
        for named, spans in groups.items():
            self._unsent.add([_text(name, value) for name, value in named], spans)
        self._unsent.send()

    def _loop(self) -> None:
        while not self._stop.wait(0.0 if len(self._waiting) >= BATCH_MAX else FLUSH_EVERY_S):
            self._try()

    def _try(self, *, everything: bool = False) -> None:
        before, refused = len(self._waiting), self._unsent.refused
        try:
            self.flush(everything=everything)
        except Exception:  # noqa: BLE001 - whatever it is, the spans of later calls are written, and the gap is counted
            if self._unsent.refused == refused:
                self._unsent.refused += max(1, before - len(self._waiting))

    def _note_run(self, call: Call, resource: tuple[tuple[str, str], ...], said: tuple[str, str]) -> str:
        found = self._runs.pop(call.run, None) or self._asking.pop(call.run, None)
        if found is None:
            found = _OpenRun(
                began_ns=call.began_ns,
                ended_ns=call.ended_ns,
                seen_s=time.monotonic(),
                root_id=call.run[:16] if call.run[:16].strip("0") else "1" * 16,
                resource=resource,
                first_input=said[0],
            )
        asks = call.ending is Ending.DONE and ASKS.search(call.plain) is not None
        (self._asking if asks else self._runs)[call.run] = found
        found.began_ns = min(found.began_ns, call.began_ns)
        found.ended_ns = max(found.ended_ns, call.ended_ns)
        found.seen_s = time.monotonic()
        found.failed = call.ending is not Ending.DONE
        found.last_output = said[1] or found.last_output
        if said[1] and not asks:  # an answer that nobody could look at is not as sure as the one before it
            found.confidence = call.confidence
        return found.root_id

    def _over(self, *, everything: bool) -> list[tuple[str, _OpenRun]]:
        over = []
        for runs, quiet_s in ((self._runs, self._run_quiet_s), (self._asking, TOOL_QUIET_S)):
            limit = time.monotonic() - quiet_s
            while runs:
                run, oldest = next(iter(runs.items()))
                if not everything and oldest.seen_s > limit and len(runs) <= RUNS_OPEN_MAX:
                    break
                over.append((run, oldest))
                del runs[run]
        return over


def _resource(call: Call) -> tuple[tuple[str, str], ...]:
    named = [("service.name", call.key.agent), ("pilothouse.agent", call.key.agent)]
    if call.policy.version is not None:
        named.append(("pilothouse.version", call.policy.version))
    if call.policy.task_type is not None:
        named.append(("pilothouse.task.type", call.policy.task_type))
    if call.key.environment is not None:
        named.append(("deployment.environment.name", call.key.environment))
    return tuple(named)


def _span(call: Call, parent: str | None, said: tuple[str, str]) -> dict[str, Any]:
    operation = OPERATIONS[call.route.operation]
    attributes = [
        _text("gen_ai.operation.name", operation),
        _text("gen_ai.provider.name", call.served_by or call.attempts[-1].provider),
        _text("gen_ai.request.model", call.model or ""),
        _text("gen_ai.agent.name", call.key.agent),
        _number("pilothouse.gateway.attempts", len(call.attempts)),
        _text("pilothouse.gateway.run_identity", call.identity),
        _number("http.response.status_code", call.status),
    ]
    answered_by = call.served_model or _silent_stand_in(call)
    if answered_by is not None:
        attributes.append(_text("gen_ai.response.model", answered_by))
    if call.answer_id is not None:
        attributes.append(_text("gen_ai.response.id", call.answer_id))
    if call.fingerprint is not None:
        attributes.append(_text("openai.response.system_fingerprint", call.fingerprint))
    if call.fallback != "none":
        attributes.append(_text("pilothouse.gateway.fallback", call.fallback))
    if call.first_content_s is not None:
        attributes.append(_fraction("gen_ai.response.time_to_first_chunk", call.first_content_s))
    if call.usage is not None:
        attributes += _usage(call.usage, call.protocol)
    attributes += _terms(call)
    error = _error(call)
    if error:
        attributes.append(_text("error.type", error))
    asked, answered = said
    if asked:
        attributes.append(_text("gen_ai.input.messages", _messages("user", asked)))
    if answered:
        attributes.append(_text("gen_ai.output.messages", _messages("assistant", answered)))
    span: dict[str, Any] = {
        "traceId": call.run,
        "spanId": call.call_id,
        "name": f"{operation} {call.model or ''}".strip(),
        "kind": 3,
        "startTimeUnixNano": str(call.began_ns),
        "endTimeUnixNano": str(max(call.ended_ns, call.began_ns)),
        "attributes": attributes,
        "status": {"code": 2, "message": error} if error else {},
    }
    if parent is not None:
        span["parentSpanId"] = parent
    return span


def _silent_stand_in(call: Call) -> str | None:
    """Return the stand-in that was asked last: an answer that names no model would pass for one of the pin, whose name nobody may assume."""
    return call.attempts[-1].model if call.is_of_stand_in else None


def _lost(call: Call, parent: str | None) -> Iterator[dict[str, Any]]:
    """Yield a span for each attempt that used tokens and gave no answer: what spends tokens is a call, and what it used may be unknown.

    They stand beside the call's own span: of a call within another one only one counts.
    """
    for attempt in call.attempts:
        if attempt.spent is None:
            continue
        attributes = [
            _text("gen_ai.operation.name", OPERATIONS[call.route.operation]),
            _text("gen_ai.provider.name", attempt.provider),
            _text("gen_ai.request.model", attempt.model),
            _text("gen_ai.agent.name", call.key.agent),
            _text("error.type", attempt.failure),
        ]
        if attempt.status:
            attributes.append(_number("http.response.status_code", attempt.status))
        if attempt.is_counted:
            attributes += [*_usage(attempt.spent, call.protocol), *_terms(call, has_fees=False)]
        span: dict[str, Any] = {
            "traceId": call.run,
            "spanId": new_span_id(),
            "name": f"{OPERATIONS[call.route.operation]} {attempt.model}".strip(),
            "kind": 3,
            "startTimeUnixNano": str(attempt.began_ns),
            "endTimeUnixNano": str(attempt.began_ns + int(attempt.took_s * 1e9)),
            "attributes": attributes,
            "status": {"code": 2, "message": attempt.failure},
        }
        if parent is not None:
            span["parentSpanId"] = parent
        yield span


def _made_there(call: Call, parent: str | None) -> Iterator[dict[str, Any]]:
    """Yield a span for each call of a tool that the provider made by itself, so that inventory and boundary know of it."""
    for made in calls_by_provider(call.request, call.plain):
        attributes = [
            _text("gen_ai.operation.name", "execute_tool"),
            _text("gen_ai.tool.name", made.tool),
            _text("gen_ai.agent.name", call.key.agent),
            _text("pilothouse.gateway.made_by", call.served_by),
        ]
        if made.server is not None:
            attributes.append(_text("server.address", made.server))
        if made.has_failed:
            attributes.append(_text("error.type", "mcp_error"))
        span: dict[str, Any] = {
            "traceId": call.run,
            "spanId": new_span_id(),
            "name": f"execute_tool {made.tool}",
            "kind": 3,
            "startTimeUnixNano": str(call.began_ns),
            "endTimeUnixNano": str(max(call.ended_ns, call.began_ns)),
            "attributes": attributes,
            "status": {"code": 2, "message": "the provider says that it failed"} if made.has_failed else {},
        }
        if parent is not None:
            span["parentSpanId"] = parent
        yield span


def _usage(used: TokenCount, protocol: WireProtocol) -> list[dict[str, Any]]:
    """Say the tokens as the convention wants them: input with everything, cache classes beside it."""
    counted = [
        _number("gen_ai.usage.input_tokens", used.input + used.cache_read + used.cache_creation),
        _number("gen_ai.usage.output_tokens", used.output + used.reasoning),
    ]
    if used.cache_read:
        counted.append(_number("gen_ai.usage.cache_read.input_tokens", used.cache_read))
    if used.cache_creation:
        counted.append(_number("gen_ai.usage.cache_creation.input_tokens", used.cache_creation))
    if used.reasoning and protocol is WireProtocol.OPENAI:
        counted.append(_number("gen_ai.usage.reasoning.output_tokens", used.reasoning))
    return counted


def _terms(call: Call, *, has_fees: bool = True) -> list[dict[str, Any]]:
    """Say what makes a call cost something else than its tokens at the listed price."""
    said = [_text("pilothouse.gateway.service_tier", call.tier)] if call.tier else []
    return [*said, _text("pilothouse.gateway.fees", "true")] if has_fees and call.has_fees else said


def _root(run: str, open_run: _OpenRun) -> dict[str, Any]:
    agent = dict(open_run.resource)["pilothouse.agent"]
    attributes = [
        _text("gen_ai.operation.name", "invoke_agent"),
        _text("gen_ai.agent.name", agent),
        _text("pilothouse.gateway.root", "inferred"),
    ]
    if open_run.first_input:
        attributes.append(_text("gen_ai.input.messages", _messages("user", open_run.first_input)))
    if open_run.last_output:
        attributes.append(_text("gen_ai.output.messages", _messages("assistant", open_run.last_output)))
    if open_run.confidence is not None:
        attributes.append(_fraction("pilothouse.task.confidence", open_run.confidence))
    return {
        "traceId": run,
        "spanId": open_run.root_id,
        "name": f"invoke_agent {agent}",
        "kind": 1,
        "startTimeUnixNano": str(open_run.began_ns),
        "endTimeUnixNano": str(max(open_run.ended_ns, open_run.began_ns)),
        "attributes": attributes,
        "status": {"code": 2, "message": "the last model call failed"} if open_run.failed else {},
    }


def _error(call: Call) -> str:
    if call.refusal is not None:
        return call.refusal.code
    if call.ending is not Ending.DONE:
        return call.stopped or call.attempts[-1].failure or call.ending.value
    return ""


def _messages(role: str, text: str) -> str:
    return msgspec.json.encode([{"role": role, "parts": [{"type": "text", "content": text}]}]).decode()


def _text(name: str, value: str) -> dict[str, Any]:
    return {"key": name, "value": {"stringValue": value}}


def _number(name: str, value: int) -> dict[str, Any]:
    return {"key": name, "value": {"intValue": str(value)}}


def _fraction(name: str, value: float) -> dict[str, Any]:
    return {"key": name, "value": {"doubleValue": value}}
