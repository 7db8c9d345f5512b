# SPDX-License-Identifier: Apache-2.0
"""Verify one tool against every fault on the wire (tool + server → a row for each fault)."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pilothouse.core.charter.contract import ContractExample, ToolContract
from pilothouse.core.charter.systems import Effect
from pilothouse.core.evidence.certificate import FaultRow
from pilothouse.errors import ToolError
from pilothouse.ports.tools import ToolCall
from pilothouse.runtime.resilience.breaker import BreakerState
from pilothouse.runtime.resilience.rate_limit import RateLimiter
from pilothouse.runtime.tools.door import Door
from pilothouse.runtime.tools.fault_server import FaultServer, Hit, Misbehave, Reply
from pilothouse.runtime.tools.governed import GovernedTool
from pilothouse.runtime.tools.memory_calls import MemoryCalls
from pilothouse.runtime.tools.pipeline import call_through
from pilothouse.runtime.tools.steps import drive, drive_async
from pilothouse.runtime.tools.values import plain

__all__ = ["FAULTS", "Subject", "call_once", "call_together", "run_fault"]

LATE_MAX_S = 0.25
"""How much later than its deadline a call may end: 50 ms of work, the rest is a busy machine."""

OUTAGE_CALLS = 40
AMPLIFICATION_MAX = 1.2

Good = Callable[[], Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A tool under verification.

    Attributes:
        contract: Its contract.
        effect: What a call changes.
        integration: Integration it goes to.
        rate_per_s: Limit that the charter declares, or None.
        function: Its function, without the door.
        server: What stands in for the backend.
    """

    contract: ToolContract
    effect: Effect
    integration: str
    rate_per_s: float | None
    function: Callable[..., Any]
    server: FaultServer

    @property
    def example(self) -> ContractExample | None:
        """The first example that succeeds."""
        return next((one for one in self.contract.examples if one.error is None), None)

    def tool(self) -> GovernedTool:
        """Return the tool as an agent would meet it, with fresh state machines."""
        return GovernedTool(
            name=self.contract.tool,
            integration=self.integration,
            effect=self.effect,
            contract=self.contract,
            digest="",
            limiter=None if self.rate_per_s is None else RateLimiter(self.rate_per_s),
        )


@dataclass(frozen=True, slots=True)
class _Answer:
    result: Any
    error: ToolError | None
    took_s: float

    @property
    def kind(self) -> str:
        return "an answer" if self.error is None else self.error.kind


@contextmanager
def _staying() -> Iterator[None]:
    """A tool that ends the program fails its call: else the verification would end, with the status of a sound one."""
    try:
        yield
    except SystemExit as error:
        raise RuntimeError(f"the tool ended the program with status {error.code}") from error


class _Caller:
    """Calls the tool through a door of its own."""

    def __init__(self, subject: Subject, args: dict[str, Any] | None = None) -> None:
        self.subject, self.governed, self._runs = subject, subject.tool(), itertools.count(1)
        self.door = Door(store=MemoryCalls())
        example = subject.example
        self._args = args if args is not None else ({} if example is None else example.args)

    def __call__(self, *, call_id: str | None = None) -> _Answer:
        """Call once, as the only call of a run of its own unless a call id says that it is the same one."""
        subject, args = self.subject, self._args
        call = ToolCall(
            tool=self.governed.name,
            args=args,
            agent="verification",
            version=None,
            run=(f"{next(self._runs):032x}" if call_id is None else "f" * 32),
            span_id="0" * 16,
            parent_span_id=None,
            call_id=call_id or "1",
            task_type="verification",
            effect=subject.effect,
            integration=subject.integration,
            contract="",
        )
        began = time.monotonic()
        try:
            going = call_through(self.door, self.governed, call)
            if inspect.iscoroutinefunction(subject.function):

                async def attempt() -> Any:
                    with _staying():
                        return plain(await subject.function(**args))

                result = asyncio.run(drive_async(going, attempt))
            else:

                def attempt_plain() -> Any:
                    with _staying():
                        return plain(subject.function(**args))

                result = drive(going, attempt_plain)
        except ToolError as error:
            return _Answer(None, error, time.monotonic() - began)
        return _Answer(result, None, time.monotonic() - began)


def call_once(subject: Subject, args: dict[str, Any] | None = None) -> tuple[Any, ToolError | None]:
    """Call a tool once through the door.

    Args:
        subject: The tool.
        args: Arguments; those of the first example when None.

    Returns:
        Result and error; one of them is None.
    """
    answer = _Caller(subject, args)()
    return answer.result, answer.error


def call_together(subject: Subject, calls: int) -> list[ToolError | None]:
    """Call a tool many times at once.

    Args:
        subject: The tool.
        calls: How many, at most 1,000.

    Returns:
        The error of each call, or None.
    """
    caller, errors = _Caller(subject), list[ToolError | None]()
    threads = [threading.Thread(target=lambda: errors.append(caller().error)) for _ in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def run_fault(fault: str, subject: Subject) -> FaultRow:
    """Run a tool against one fault.

    Returns:
        Whether it did what must be seen, and what it did.
    """
    if subject.example is None:
        return FaultRow(fault=fault, passed=False, seen="the contract has no example of a call that succeeds")
    seen = FAULTS[fault](subject)
    subject.server.begin(None)
    return FaultRow(fault=fault, passed=seen is None, seen=seen or "as it must be")


def _always(reply: Reply) -> Misbehave:
    return lambda _hit, _number, _good: reply


def _expect(subject: Subject, misbehave: Misbehave, kinds: tuple[str, ...]) -> str | None:
    """Call once under a fault; return what came instead of the expected kind of error."""
    subject.server.begin(misbehave)
    answer = _Caller(subject)()
    if answer.error is None:
        return f"answered {_short(answer.result)} as if nothing had happened"
    if answer.kind not in kinds:
        return f"told the agent {answer.kind!r}, expected {' or '.join(kinds)}"
    return None


def _timeout(subject: Subject) -> str | None:
    limit = subject.contract.timeout_s
    subject.server.begin(_always(Reply(wait_s=limit * 3 + 1)))
    caller = _Caller(subject)
    answer = caller()
    if answer.error is None:
        return f"answered {_short(answer.result)} although nothing was said"
    if answer.kind != "timeout":
        return f"told the agent {answer.kind!r}, expected timeout"
    if answer.took_s > limit + LATE_MAX_S:
        return f"ended after {answer.took_s:.2f} s, its limit is {limit:g} s"
    if caller.governed.gate.inside:
        return "its slot was not left"
    return None


def _too_many(subject: Subject) -> str | None:
    subject.server.begin(
        lambda _hit, number, good: Reply(429, {"retry-after": "1"}) if number == 1 else good()
    )
    answer = _Caller(subject)()
    hits = subject.server.hits
    if answer.error is None and (len(hits) < 2 or hits[1].at_s - hits[0].at_s < 0.95):
        return "asked again before the time that `Retry-After` named"
    if answer.error is not None and answer.kind != "rate_limited":
        return f"told the agent {answer.kind!r}, expected rate_limited"
    subject.server.begin(_always(Reply(429, {"retry-after": "1000000000"})))
    answer = _Caller(subject)()
    if answer.kind != "rate_limited" or answer.took_s > 1.0 + LATE_MAX_S:
        return f"an absurd `Retry-After` came to {answer.kind} after {answer.took_s:.1f} s"
    return _amplification(subject, Reply(429))


def _server_error(subject: Subject) -> str | None:
    problem = _expect(subject, _always(Reply(500)), ("unavailable", "upstream_bug", "timeout"))
    problem = problem or _expect(
        subject, _always(Reply(reset=True)), ("unavailable", "upstream_bug", "timeout")
    )
    problem = problem or _amplification(subject, Reply(503))
    if problem:
        return problem
    subject.server.begin(lambda _hit, number, good: Reply(500) if number % 2 else good())
    caller = _Caller(subject)
    for _ in range(20):
        caller()
    if caller.governed.gate.breaker_state(time.monotonic()) is BreakerState.CLOSED:
        return "20 calls with every second attempt failing did not open the breaker"
    return None


def _amplification(subject: Subject, reply: Reply) -> str | None:
    subject.server.begin(_always(reply))
    caller = _Caller(subject)
    for _ in range(OUTAGE_CALLS):
        caller()
    hits = len(subject.server.hits)
    if hits > OUTAGE_CALLS * AMPLIFICATION_MAX:
        return f"{OUTAGE_CALLS} calls became {hits} requests while every answer was {reply.status}"
    return None


def _malformed(subject: Subject) -> str | None:
    kinds = ("contract_violation", "upstream_bug", "unavailable", "invalid_input")
    as_json = {"content-type": "application/json"}
    for what, reply in (
        ("truncated JSON", Reply(200, as_json, b'{"a": [1, 2')),
        (
            "a page of HTML with status 200",
            Reply(200, {"content-type": "text/html"}, b"<html>Sign in</html>"),
        ),
        ("a number instead of the answer", Reply(200, as_json, b"7")),
        ("an answer of 10 MB", Reply(200, as_json, b'{"a": "' + b"x" * 10_000_000 + b'"}')),
    ):
        problem = _expect(subject, _always(reply), kinds)
        if problem:
            return f"{what}: {problem}"
    return None


def _slow(subject: Subject) -> str | None:
    terms, limit = subject.contract.breaker, subject.contract.timeout_s
    if terms.slow_after_s is None:
        return "the contract names no `breaker.slow_after_s`, so a crawling system is never cut off"
    if terms.slow_after_s >= limit:
        return f"`breaker.slow_after_s` {terms.slow_after_s:g} lies beyond the limit of {limit:g} s"
    caller, wait = _Caller(subject), terms.slow_after_s * 1.05
    subject.server.begin(
        lambda _hit, _number, good: (time.sleep(wait), good())[1]  # type: ignore[func-returns-value]  # wait, then answer
    )
    threads = [threading.Thread(target=caller) for _ in range(terms.window)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if caller.governed.gate.breaker_state(time.monotonic()) is BreakerState.CLOSED:
        return f"{terms.window} answers after {wait:.2g} s each did not open the breaker"
    dripping = Reply(200, {"content-type": "application/json"}, b" " * 1_000, drip_s=1.0)
    subject.server.begin(_always(dripping))
    answer = _Caller(subject)()
    if answer.kind != "timeout" or answer.took_s > limit + LATE_MAX_S:
        return f"one byte a second came to {answer.kind} after {answer.took_s:.1f} s"
    return None


def _schema_change(subject: Subject) -> str | None:
    def renamed(_hit: Hit, _number: int, good: Good) -> Reply:
        reply = good()
        try:
            document = json.loads(reply.body)
        except ValueError:
            return reply
        return Reply(reply.status, reply.headers, json.dumps(_rename(document)).encode())

    return _expect(subject, renamed, ("contract_violation", "upstream_bug"))


def _rename(document: Any) -> Any:
    """Rename every field, as a careless new version does."""
    if isinstance(document, dict):
        return {f"{name}_v2": _rename(part) for name, part in document.items()}
    if isinstance(document, list):
        return [_rename(part) for part in document]
    return document


def _expired(subject: Subject) -> str | None:
    subject.server.begin(lambda _hit, number, good: Reply(401) if number == 1 else good())
    answer = _Caller(subject)()
    if answer.error is not None and answer.kind != "auth":
        return f"one 401 came to {answer.kind!r}, expected a refreshed credential or auth"
    subject.server.begin(_always(Reply(401)))
    answer = _Caller(subject)()
    if answer.kind != "auth":
        return f"told the agent {answer.kind!r} while signing in failed, expected auth"
    if len(subject.server.hits) > 3:
        return f"asked {len(subject.server.hits)} times with a credential that had expired"
    return None


def _duplicate(subject: Subject) -> str | None:
    if subject.effect == "read":
        return None
    caller = _Caller(subject)
    subject.server.begin(None)
    first, second = caller(call_id="same"), caller(call_id="same")
    if first.error is not None:
        return f"the example itself came to {first.kind!r}"
    if second.result != first.result or len(subject.server.hits) != 1:
        return f"the same call twice became {len(subject.server.hits)} requests"

    def lost(_hit: Hit, number: int, good: Good) -> Reply:
        reply = good()
        return Reply(reset=True) if number == 1 else reply

    subject.server.begin(lost)
    answer = _Caller(subject)()
    hits = subject.server.hits
    if caller.governed.repeatable == "none":
        if len(hits) != 1:
            return f"a lost answer led to {len(hits)} requests, and the backend takes no key"
        if answer.error is None or answer.error.side_effect != "unknown":
            return "a lost answer was not told as doubt"
        return None
    if caller.governed.repeatable == "key":
        keys = {_key_of(hit) for hit in hits}
        if len(keys) != 1 or None in keys:
            return "no idempotency key was on the wire: hand `pilothouse.current_call_key()` to the backend"
    return None


def _key_of(hit: Hit) -> str | None:
    """Find the key, 64 hex digits, in headers or body."""
    for name, value in hit.headers.items():
        if "idempotency" in name or "request-id" in name:
            return value
    words = hit.body.decode("utf-8", "replace").replace('"', " ").split()
    return next((word for word in words if len(word) == 64 and set(word) <= set("0123456789abcdef")), None)


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


FAULTS: dict[str, Callable[[Subject], str | None]] = {
    "timeout": _timeout,
    "429": _too_many,
    "5xx": _server_error,
    "malformed": _malformed,
    "slow": _slow,
    "schema change": _schema_change,
    "expired credential": _expired,
    "duplicate": _duplicate,
}
"""Rows of the matrix of each tool; each function says what was wrong, or None."""
