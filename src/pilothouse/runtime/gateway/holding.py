# SPDX-License-Identifier: Apache-2.0
"""Hold an answer for a person, and give the client what the person decided; a restart between the two loses nothing.

The hold is a row of the review queue. The client is told its id and asks again with `x-pilothouse-hold`; with
`x-pilothouse-hold-wait-ms` it waits for the decision within the deadline of its call.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from datetime import UTC, datetime, timedelta

from pilothouse.core.evidence.task import UNDECLARED_TASK_TYPE
from pilothouse.errors import PilothouseError
from pilothouse.ports.holds import HeldOutput, Hold, Holds, HoldState
from pilothouse.runtime.gateway.call import Call
from pilothouse.runtime.gateway.messages import FinalAnswer, question_asked
from pilothouse.runtime.gateway.refusal import Refusal, RefusalCode, Refused
from pilothouse.runtime.gateway.relay import Whole
from pilothouse.runtime.gateway.synthetic_answer import answer_with

__all__ = ["HOLD_LIFE_MAX", "HoldDesk"]

HOLD_LIFE_MAX = timedelta(days=30)
"""As long as the content of a run is kept: later nobody could see what the answer was about."""

LOOK_EVERY_S = 0.5
"""Pause between two looks for a decision; a person takes seconds at least, and a look costs one small query."""

HELD_TEXT = "This answer waits for a person. Ask again with the header x-pilothouse-hold: {hold} to learn the decision."


class HoldDesk:
    """Holds answers and gives decisions out.

    Args:
        holds: Where they are kept; None where nobody reviews, and then what would be held is rejected.
    """

    def __init__(self, holds: Holds | None) -> None:
        self._holds = holds

    async def hold(self, call: Call, answer: FinalAnswer, reason: str) -> Whole:
        """Hold an answer and return what the client is told in its place.

        Args:
            call: The call; its `hold_id`, `proposal` and `held_for` are set.
            answer: What the model says.
            reason: Why it is held; a reviewer sees it after the answer.

        Raises:
            Refused: It cannot be held, so it is rejected.
        """
        now = datetime.now(UTC)
        output = HeldOutput(
            agent=call.key.agent,
            task_type=call.policy.task_type or UNDECLARED_TASK_TYPE,
            trace_id=call.run,
            version=call.version,
            call_digest=hashlib.sha256(call.request + b"\0" + answer.text.encode()).hexdigest(),
            input=question_asked(call.request, call.route.operation),
            proposal=answer.text,
            reason=reason,
            confidence=call.confidence,
            held_at=now,
            deadline=now + min(call.policy.hold_life, HOLD_LIFE_MAX),
        )
        try:
            hold = None if self._holds is None else await asyncio.to_thread(self._holds.hold, output)
        except PilothouseError as error:
            raise Refused(
                Refusal(
                    RefusalCode.OUTPUT_INVALID, f"the answer cannot be held: {error.message}", error.remedy
                )
            ) from error
        if hold is None:
            raise _rejected(f"the answer {reason}, and nobody reviews here")
        if not hold.state.is_final:
            call.hold_id, call.proposal, call.held_for = hold.hold_id, answer.text, reason
            return _waiting(call, hold)
        if hold.output is None:
            raise _rejected(f"the answer {reason}, and it is {hold.state.value}: {hold.note or _NO_REASON}")
        call.hold_id = hold.hold_id  # a person has decided this very answer to this very request already
        return answer_with(call, hold.output)

    async def decision(self, call: Call, hold_id: str, *, wait_s: float = 0.0) -> Whole:
        """Return the answer that a person released or corrected, or that it still waits.

        Args:
            call: The call that asks for it.
            hold_id: Id of the held answer.
            wait_s: How long to wait for the decision, seconds; the deadline of the call ends it too.

        Raises:
            Refused: It is another agent's, unknown, or rejected.
        """
        until = time.monotonic() + wait_s
        while True:
            hold = None
            if self._holds is not None:
                hold = await self._read(self._holds, hold_id)
            if hold is None or hold.agent != call.key.agent:
                raise Refused(
                    Refusal(
                        RefusalCode.ROUTE_UNKNOWN,
                        f"no held answer {hold_id[:64]!r}",
                        "Ask without x-pilothouse-hold.",
                    )
                )
            if hold.state.is_final or time.monotonic() + LOOK_EVERY_S > until:
                break
            await asyncio.sleep(LOOK_EVERY_S)
        call.hold_id = hold.hold_id
        if not hold.state.is_final:
            return _waiting(call, hold)
        if hold.output is None or hold.state in {HoldState.REJECTED, HoldState.EXPIRED}:
            raise Refused(
                Refusal(
                    RefusalCode.OUTPUT_REJECTED,
                    f"the held answer is {hold.state.value}: {hold.note or _NO_REASON}",
                    "Give the task to a person, or start again.",
                )
            )
        return answer_with(call, hold.output)

    async def _read(self, holds: Holds, hold_id: str) -> Hold | None:
        try:
            return await asyncio.to_thread(holds.read, hold_id, datetime.now(UTC))
        except PilothouseError as error:
            raise Refused(
                Refusal(
                    RefusalCode.RECORD_REQUIRED,
                    f"the held answer cannot be read: {error.message}",
                    error.remedy or "",
                )
            ) from error


_NO_REASON = "no reason was written"


def _rejected(why: str) -> Refused:
    return Refused(Refusal(RefusalCode.OUTPUT_REJECTED, why, "Decide what waits: `pilothouse review`."))


def _waiting(call: Call, hold: Hold) -> Whole:
    return answer_with(call, HELD_TEXT.format(hold=hold.hold_id))
