# SPDX-License-Identifier: Apache-2.0
"""Look at each final answer before it is sent: valid, repaired, held for a person, or rejected.

A request for tools is a step and not an answer, so it passes. A stream is not checked: what it says is out
before it is whole; its share is counted and shown.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from pilothouse.core.evidence.task import UNDECLARED_TASK_TYPE, TokenCount
from pilothouse.errors import PilothouseError
from pilothouse.ports.holds import HeldOutput, Hold, Holds, HoldState
from pilothouse.runtime.gateway.call import Call
from pilothouse.runtime.gateway.exchange import Exchange, Whole
from pilothouse.runtime.gateway.messages import FinalAnswer, final_answer, spoken_input
from pilothouse.runtime.gateway.refusal import Refusal, RefusalCode, Refused
from pilothouse.runtime.gateway.routes import Operation
from pilothouse.runtime.gateway.wire import inflate, read_answer

__all__ = ["AnswerCount", "Guardian", "schema_problem"]

HOLD_LIFE = timedelta(hours=24)
"""Within it a person decides; afterwards the answer is rejected by itself."""

PROBLEM_CHARACTERS_MAX = 400
HELD_TEXT = "This answer waits for a person. Ask again with the header x-pilothouse-hold: {hold} to learn the decision."


@dataclass(slots=True)
class AnswerCount:
    """Final answers of one agent and version that were delivered.

    Attributes:
        delivered: Checked and delivered.
        invalid: Delivered although they break the schema.
        repaired: Delivered after a repair.
        stopped: Held or rejected.
        runs: Runs of invalid delivered ones, the latest.
    """

    delivered: int = 0
    invalid: int = 0
    repaired: int = 0
    stopped: int = 0
    runs: tuple[str, ...] = ()


class Guardian:
    """Checks answers against the output schema of their charter.

    Args:
        holds: Where answers are held; None where nobody reviews, and then they are rejected.
    """

    def __init__(self, holds: Holds | None) -> None:
        self._holds = holds
        self._counts: dict[tuple[str, str | None], AnswerCount] = {}
        self.counters: Counter[str] = Counter()

    async def check(self, call: Call, exchange: Exchange, whole: Whole) -> Whole:
        """Return what to send in place of a whole good answer.

        Args:
            call: The call.
            exchange: Asks the model again.
            whole: Its answer.

        Raises:
            Refused: The answer is invalid and may not be delivered.
        """
        guard = call.policy.guard
        plain = inflate(whole.body, whole.encoding)
        if guard is None or plain is None:
            return whole
        answer = final_answer(plain, call.route.operation)
        if answer.calls_tools:
            return whole
        call.checked = True
        problem = schema_problem(guard.schema, answer)
        while problem and call.repairs < guard.repairs:
            call.repairs += 1
            again = await self._repair(call, exchange, answer, problem)
            if again is None:
                break
            whole, answer = again
            problem = schema_problem(guard.schema, answer)
        return await self._decide(call, whole, answer, problem)

    async def answer_of_hold(self, call: Call, hold_id: str) -> Whole:
        """Return the answer that a person released or corrected.

        Args:
            call: The call that asks for it.
            hold_id: Id of the held answer.

        Raises:
            Refused: It is another agent's, unknown, or rejected.
        """
        hold = None
        if self._holds is not None:
            hold = await asyncio.to_thread(self._holds.read, hold_id, datetime.now(UTC))
        if hold is None or hold.agent != call.key.agent:
            raise Refused(
                Refusal(
                    RefusalCode.ROUTE_UNKNOWN,
                    f"no held answer {hold_id[:64]!r}",
                    "Ask without x-pilothouse-hold.",
                )
            )
        call.hold_id = hold.hold_id
        if not hold.state.is_final:
            return self._waiting(call, hold)
        if hold.output is None or hold.state in {HoldState.REJECTED, HoldState.EXPIRED}:
            raise Refused(
                Refusal(
                    RefusalCode.OUTPUT_REJECTED,
                    f"the held answer is {hold.state.value}: {hold.note or 'no reason was written'}",
                    "Give the task to a person, or start again.",
                )
            )
        return _spoken(call, hold.output)

    def take_counts(self) -> Mapping[tuple[str, str | None], AnswerCount]:
        """Return what was delivered since the last time, by agent and version."""
        taken, self._counts = self._counts, {}
        return taken

    async def _repair(
        self, call: Call, exchange: Exchange, answer: FinalAnswer, problem: str
    ) -> tuple[Whole, FinalAnswer] | None:
        body = _asking_again(call, answer, problem)
        again = None if body is None else await exchange.ask_again(body)
        plain = None if again is None else inflate(again.body, again.encoding)
        if again is None or plain is None:
            return None
        self.counters["answers_asked_again"] += 1
        said = read_answer(plain)
        call.usage = _sum(call.usage, said.usage)
        call.sent = body
        return again, final_answer(plain, call.route.operation)

    async def _decide(self, call: Call, whole: Whole, answer: FinalAnswer, problem: str) -> Whole:
        guard = call.policy.guard
        count = self._counts.setdefault((call.key.agent, call.policy.version), AnswerCount())
        call.invalid = problem
        if not problem:
            count.delivered += 1
            count.repaired += call.repairs > 0
            self.counters["answers_repaired" if call.repairs else "answers_valid"] += 1
            return whole
        self.counters["answers_invalid"] += 1
        if guard is not None and guard.on_invalid == "pass":
            count.delivered += 1
            count.invalid += 1
            count.runs = (call.run, *count.runs)[:10]
            return whole
        count.stopped += 1
        if guard is not None and guard.on_invalid == "hold" and self._holds is not None:
            return await self._hold(call, answer, problem)
        raise Refused(
            Refusal(
                RefusalCode.OUTPUT_INVALID,
                f"the answer breaks the output schema: {problem}",
                "Look at it in the run log: `pilothouse runs`.",
            )
        )

    async def _hold(self, call: Call, answer: FinalAnswer, problem: str) -> Whole:
        now = datetime.now(UTC)
        output = HeldOutput(
            agent=call.key.agent,
            task_type=call.policy.task_type or UNDECLARED_TASK_TYPE,
            trace_id=call.run,
            version=call.policy.version,
            call_digest=hashlib.sha256(call.request + b"\0" + answer.text.encode()).hexdigest(),
            input=spoken_input(call.request, call.route.operation),
            proposal=answer.text,
            reason=f"breaks the output schema: {problem}",
            held_at=now,
            deadline=now + HOLD_LIFE,
        )
        holds = self._holds
        try:
            hold = None if holds is None else await asyncio.to_thread(holds.hold, output)
        except PilothouseError as error:
            raise Refused(
                Refusal(
                    RefusalCode.OUTPUT_INVALID, f"the answer cannot be held: {error.message}", error.remedy
                )
            ) from error
        if hold is None or hold.state.is_final:
            raise Refused(
                Refusal(
                    RefusalCode.OUTPUT_REJECTED,
                    "the answer breaks the output schema and the queue of reviewers is full",
                    "Decide what waits: `pilothouse review`.",
                )
            )
        self.counters["answers_held"] += 1
        call.hold_id = hold.hold_id
        return self._waiting(call, hold)

    def _waiting(self, call: Call, hold: Hold) -> Whole:
        return _spoken(call, HELD_TEXT.format(hold=hold.hold_id))


def schema_problem(schema: str, answer: FinalAnswer) -> str:
    """Return what is wrong with an answer, with its JSON path, or empty.

    Args:
        schema: JSON Schema as text.
        answer: What the model says.

    Example:
        >>> said = FinalAnswer('{"a": "x"}', calls_tools=False, is_whole=True)
        >>> schema_problem('{"properties": {"a": {"type": "integer"}}}', said)
        "$.a: 'x' is not of type 'integer'"
        >>> schema_problem("{}", said)
        ''
    """
    if not answer.is_whole:
        return "$: the model did not come to its end"
    try:
        value = json.loads(answer.text)
    except (ValueError, RecursionError) as error:
        return f"$: no JSON ({str(error)[:80]})"
    errors = sorted(_validator(schema).iter_errors(value), key=lambda one: (len(one.path), one.json_path))
    return f"{errors[0].json_path}: {errors[0].message}"[:PROBLEM_CHARACTERS_MAX] if errors else ""


@lru_cache(maxsize=256)
def _validator(schema: str) -> Validator:
    document = json.loads(schema)
    return validator_for(document)(document)


def _asking_again(call: Call, answer: FinalAnswer, problem: str) -> bytes | None:
    """Return the request with the answer and what is wrong with it, or None when it cannot be extended."""
    asked = msgspec.json.decode(call.request)
    told = [
        {"role": "assistant", "content": answer.text or "(nothing)"},
        {
            "role": "user",
            "content": f"Your answer is not valid: {problem}. Answer again with nothing but the corrected JSON.",
        },
    ]
    name = "input" if call.route.operation is Operation.RESPONSES else "messages"
    given = asked.get(name)
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if not isinstance(given, list):
        return None
    return msgspec.json.encode({**asked, name: [*given, *told]})


def _spoken(call: Call, text: str) -> Whole:
    """Return an answer of the protocol in use that says a text: the gateway's, or a person's."""
    ident = call.hold_id or call.call_id
    body: dict[str, Any]
    model = call.served_model or call.model
    if call.route.operation is Operation.MESSAGES:
        body = {
            "id": f"msg_{ident}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
    elif call.route.operation is Operation.RESPONSES:
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        body = {
            "id": f"resp_{ident}",
            "object": "response",
            "created_at": call.began_ns // 10**9,
            "status": "completed",
            "model": model,
            "output": [
                {
                    "type": "message",
                    "id": f"msg_{ident}",
                    "role": "assistant",
                    "status": "completed",
                    "content": [part],
                }
            ],
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }
    else:
        body = {
            "id": f"chatcmpl-{ident}",
            "object": "chat.completion",
            "created": call.began_ns // 10**9,
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": "stop",
                    "logprobs": None,
                }
            ],
        }
    return Whole(200, [(b"content-type", b"application/json")], json.dumps(body).encode(), "")


def _sum(one: TokenCount | None, other: TokenCount | None) -> TokenCount | None:
    if one is None or other is None:
        return None
    return replace(
        one,
        input=one.input + other.input,
        cache_read=one.cache_read + other.cache_read,
        cache_creation=one.cache_creation + other.cache_creation,
        output=one.output + other.output,
        reasoning=one.reasoning + other.reasoning,
    )
