# SPDX-License-Identifier: Apache-2.0
"""Look at each final answer before it is sent: valid and sure enough, repaired, held for a person, or rejected.

A request for tools is a step and not an answer, so it passes. A stream is not checked: what it says is out
before it is whole; its share is counted and shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from pilothouse.core.evidence.evidence import ITEMS_MAX
from pilothouse.core.evidence.task import TokenCount
from pilothouse.ports.holds import Holds
from pilothouse.runtime.gateway.call import Call
from pilothouse.runtime.gateway.exchange import Exchange
from pilothouse.runtime.gateway.holding import HoldDesk
from pilothouse.runtime.gateway.messages import FinalAnswer, final_answers, is_step
from pilothouse.runtime.gateway.policy import ConfidenceRule, Guard
from pilothouse.runtime.gateway.refusal import Refusal, RefusalCode, Refused
from pilothouse.runtime.gateway.relay import Whole
from pilothouse.runtime.gateway.routes import Operation
from pilothouse.runtime.gateway.wire import inflate, read_answer
from pilothouse.schemas.process import SchemaProcesses
from pilothouse.schemas.strict_json import strict_json
from pilothouse.schemas.text_check import text_problem
from pilothouse.schemas.weight import is_quick

__all__ = ["AnswerCount", "CountedBy", "Guardian", "stated_confidence"]


CountedBy = tuple[str, str | None, str | None]
"""Agent, version, and digest of the terms of the charter under which answers were guarded."""


@dataclass(slots=True)
class AnswerCount:
    """Final answers of one agent and version that were delivered under one guard.

    Attributes:
        delivered: Checked and delivered.
        invalid: Delivered although they break the schema.
        repaired: Delivered after a repair.
        stopped: Held or rejected.
        unchecked: Delivered as a stream, which nobody looked at.
        runs: Runs of invalid delivered ones, the latest.
    """

    delivered: int = 0
    invalid: int = 0
    repaired: int = 0
    stopped: int = 0
    unchecked: int = 0
    runs: tuple[str, ...] = ()

    def plus(self, later: AnswerCount) -> AnswerCount:
        """Return the count of both, with the newest runs first."""
        return AnswerCount(
            delivered=self.delivered + later.delivered,
            invalid=self.invalid + later.invalid,
            repaired=self.repaired + later.repaired,
            stopped=self.stopped + later.stopped,
            unchecked=self.unchecked + later.unchecked,
            runs=(*later.runs, *self.runs)[:ITEMS_MAX],
        )


class Guardian:
    """Checks answers against the output schema and the confidence threshold of their charter.

    Args:
        holds: Where answers are held; None where nobody reviews, and then they are rejected.

    Attributes:
        desk: Holds answers and gives decisions out.
    """

    def __init__(self, holds: Holds | None) -> None:
        self.desk = HoldDesk(holds)
        self._processes = SchemaProcesses()
        self._counts: dict[CountedBy, AnswerCount] = {}
        self.counters: Counter[str] = Counter()

    async def check(self, call: Call, exchange: Exchange, whole: Whole) -> Whole:
        """Return what to send in place of a whole good answer.

        Raises:
            Refused: The answer is invalid or held by nobody, and may not be delivered.
        """
        # What cannot be read is not known to be valid or sure.
        answers = final_answers(inflate(whole.body, whole.encoding) or b"", call.route.operation)
        finals = [one for one in answers if not one.calls_tools]
        if not finals:
            return whole
        if call.policy.guard is not None:
            whole, finals = await self._check_schema(call, call.policy.guard, exchange, whole, finals)
        if call.hold_id is None and call.policy.confidence is not None:
            whole = await self._check_confidence(call, call.policy.confidence, whole, finals)
        if call.checked and call.hold_id is None:
            self._count_delivered(call)
        return whole

    async def _check_schema(
        self, call: Call, guard: Guard, exchange: Exchange, whole: Whole, finals: list[FinalAnswer]
    ) -> tuple[Whole, list[FinalAnswer]]:
        call.checked = True
        problem, answer = await self._first_problem(guard.schema, finals)
        while problem and call.repairs < guard.repairs:
            call.repairs += 1
            again = await self._repair(call, exchange, answer, problem)
            if again is None:
                break
            whole, finals = again
            problem, answer = await self._first_problem(guard.schema, finals)
        return await self._decide(call, guard, whole, answer, problem), finals

    async def _first_problem(self, schema: str, finals: list[FinalAnswer]) -> tuple[str, FinalAnswer]:
        """Return what is wrong with the first of several choices that breaks the schema, or nothing and the first one."""
        for number, answer in enumerate(finals, 1):
            problem = await self._schema_problem(schema, answer)
            if problem:
                return f"choice {number}: {problem}" if len(finals) > 1 else problem, answer
        return "", finals[0]

    async def _schema_problem(self, schema: str, answer: FinalAnswer) -> str:
        """Return what is wrong with an answer, with its JSON path, or empty."""
        if not answer.is_whole:
            return "$: the model did not come to its end"
        if is_quick(schema, answer.text):
            return text_problem(schema, answer.text)
        return await self._processes.problem(schema, answer.text)

    async def _check_confidence(
        self, call: Call, rule: ConfidenceRule, whole: Whole, finals: list[FinalAnswer]
    ) -> Whole:
        """Hold an answer whose confidence is under the threshold, is not said, or has no valid threshold to be held to.

        Of several choices the least sure one counts: nobody knows which the agent takes. A threshold is proven with the answers of
        the pin, so those of a stand-in have none.
        """
        stated = [(stated_confidence(one, rule.field), one) for one in finals]
        call.confidence, answer = min(stated, key=lambda each: -1.0 if each[0] is None else each[0])
        if call.confidence is None:
            doubt = f"says no confidence in {rule.field!r}"
        elif rule.threshold is None:
            doubt = f"has confidence {call.confidence:.2f}, and no threshold is shown valid yet"
        elif call.is_of_stand_in:
            doubt = f"has confidence {call.confidence:.2f}, and the threshold is the pin's: {call.attempts[-1].model} answered"
        elif call.confidence < rule.threshold:
            doubt = f"has confidence {call.confidence:.2f}, under the threshold {rule.threshold:.2f}"
        else:
            self.counters["answers_sure"] += 1
            return whole
        self.counters["answers_unsure"] += 1
        if call.checked:
            self._count(call).stopped += 1
        held = await self.desk.hold(call, answer, doubt)
        self.counters["answers_held"] += 1
        return held

    def note_streamed(self, call: Call) -> None:
        """Count a final answer that was delivered as a stream: of it nobody knows whether it is valid.

        Args:
            call: The call, its stream at its end.
        """
        if call.policy.guard is not None and not is_step(call.plain, call.route.operation):
            self._count(call).unchecked += 1

    def close(self) -> None:
        """End what answers are checked with."""
        self._processes.close()

    def take_counts(self) -> Mapping[CountedBy, AnswerCount]:
        """Return what was delivered since the last time, by agent, version and terms of the charter."""
        taken, self._counts = self._counts, {}
        return taken

    def _count(self, call: Call) -> AnswerCount:
        return self._counts.setdefault(
            (call.key.agent, call.version, call.policy.answers_under), AnswerCount()
        )

    def _count_delivered(self, call: Call) -> None:
        """Count an answer that passed every check; one that a person decides about was not delivered by us."""
        count = self._count(call)
        count.delivered += 1
        if call.invalid:
            count.invalid += 1
            count.runs = (call.run, *count.runs)[:10]
        else:
            count.repaired += call.repairs > 0

    async def _repair(
        self, call: Call, exchange: Exchange, answer: FinalAnswer, problem: str
    ) -> tuple[Whole, list[FinalAnswer]] | None:
        body = _asking_again(call, answer, problem)
        again = None if body is None else await exchange.ask_again(body)
        plain = None if again is None else inflate(again.body, again.encoding)
        if again is None or plain is None:
            return None
        self.counters["answers_asked_again"] += 1
        said = read_answer(plain)
        call.usage = _sum(call.usage, said.usage)
        # Tokens of two tiers have two prices.
        call.has_fees = call.has_fees or said.has_fees or said.tier not in {None, call.tier}
        if said.model is not None and said.model != call.served_model:
            return None  # the answer of a model that nobody looked at mends nothing
        call.sent, call.answer_id = body, said.ident or call.answer_id
        return again, final_answers(plain, call.route.operation)

    async def _decide(
        self, call: Call, guard: Guard, whole: Whole, answer: FinalAnswer, problem: str
    ) -> Whole:
        call.invalid = problem
        if not problem:
            self.counters["answers_repaired" if call.repairs else "answers_valid"] += 1
            return whole
        self.counters["answers_invalid"] += 1
        if guard.on_invalid == "pass":
            return whole
        self._count(call).stopped += 1
        if guard.on_invalid == "hold":
            held = await self.desk.hold(call, answer, f"breaks the output schema: {problem}")
            self.counters["answers_held"] += 1
            return held
        raise Refused(
            Refusal(
                RefusalCode.OUTPUT_INVALID,
                f"the answer breaks the output schema: {problem}",
                f"Look at its task: `pilothouse traces --agent {call.key.agent}`.",
            )
        )


def stated_confidence(answer: FinalAnswer, field: str) -> float | None:
    """Return the confidence in [0, 1] that an answer states about itself, or None.

    Args:
        answer: What the model says, a JSON object.
        field: Name of the field.

    Example:
        >>> stated_confidence(FinalAnswer('{"sure": 0.8}', calls_tools=False, is_whole=True), "sure")
        0.8
        >>> stated_confidence(FinalAnswer('{"sure": 80}', calls_tools=False, is_whole=True), "sure") is None
        True
    """
    try:
        value = strict_json(answer.text)
    except (ValueError, RecursionError):
        return None
    said = value.get(field) if isinstance(value, dict) else None
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    return float(said) if 0.0 <= said <= 1.0 else None


def _asking_again(call: Call, answer: FinalAnswer, problem: str) -> bytes | None:
    """Return the request with the answer and what is wrong with it, or None when it cannot be extended.

    It asks for the model that answered, which a stand-in's provider knows by another name than the pin.
    """
    asked = msgspec.json.decode(call.asked)
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
    return msgspec.json.encode({**asked, "model": call.attempts[-1].model, name: [*given, *told]})


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
