# SPDX-License-Identifier: Apache-2.0
"""The state machine between one call and the providers that may answer it, the same for streams and whole answers.

An attempt that fails before the first content goes on to the next; afterwards only the relay can end the answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from random import Random

import msgspec

from pilothouse.runtime.gateway.call import Attempt, Call, Ending
from pilothouse.runtime.gateway.caller import Caller, Headers
from pilothouse.runtime.gateway.chain_member import Member, Opener
from pilothouse.runtime.gateway.failure import REFUSED_STATUSES, Failure, pause_before_next
from pilothouse.runtime.gateway.refusal import Refusal, RefusalCode, Refused
from pilothouse.runtime.gateway.relay import ANSWER_BYTES_MAX, Relay, Whole
from pilothouse.runtime.gateway.upstream import UpstreamAnswer, UpstreamFailed
from pilothouse.runtime.gateway.usage_edit import with_usage
from pilothouse.runtime.gateway.watchdog import Stop, Watchdog
from pilothouse.runtime.resilience.breaker import Permit, Settled

__all__ = ["Exchange"]

ERROR_BYTES_MAX = 8 << 20

SILENT_STATUSES = frozenset({409, 429, *REFUSED_STATUSES})
"""Answers that do not say whether a provider is well."""


class _Over(Exception):
    """The call ends here: its time is over, or its client has gone."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.value)
        self.stop = stop


_UNPERMITTED = Permit(epoch=-1, probe=False)
"""Settling it changes no breaker."""


class Exchange:
    """One call's way to an answer.

    Attributes:
        relay: The answer's way to the client.

    Args:
        call: The call, filled on the way.
        chain: Who may answer, first choice first; at least one.
        caller: The client.
        upstream: Connections.
        headers: Headers that go to the provider.
        dog: Guards this task.
        attempts: Most attempts.
        chance: Draws pauses.
    """

    def __init__(
        self,
        call: Call,
        chain: Sequence[Member],
        caller: Caller,
        upstream: Opener,
        *,
        headers: Headers,
        dog: Watchdog,
        attempts: int,
        chance: Random,
    ) -> None:
        self._call = call
        self._chain = chain
        self._caller = caller
        self._upstream = upstream
        self._headers = headers
        self._dog = dog
        self._attempts = self._left = attempts
        self._chance = chance
        self.relay = Relay(call, caller, dog)
        self._began = self._since = time.monotonic()

    async def run(self) -> None:
        """Get an answer to the client.

        Raises:
            Refused: The client is to be told an error of ours; nothing was sent yet.
        """
        try:
            failure = await self._try_all()
            if failure is not None:
                await self._give_up(failure)
        except _Over as over:
            self._call.stopped = over.stop.value
            self.relay.close()
            if over.stop is Stop.CLIENT_GONE:
                self._call.ending = Ending.CANCELLED
            elif over.stop is Stop.CLIENT_SLOW:
                self._call.ending = Ending.CLIENT_SLOW
            else:
                raise Refused(
                    Refusal(
                        RefusalCode.DEADLINE,
                        "no answer came within the call's deadline",
                        "Raise `model.limits` in the charter, or ask for less.",
                    )
                ) from None

    async def ask_again(self, body: bytes) -> Whole | None:
        """Ask the member that answered once more, for a repair; None when no good answer comes."""
        asked = self._call.attempts[-1]
        member = next(
            one for one in self._chain if (one.provider.name, one.pin.model) == (asked.provider, asked.model)
        )
        attempt = self._begin(member)
        answer: UpstreamAnswer | None = None
        try:
            answer = await self._open(member, body)
            whole = await answer.read_all(ANSWER_BYTES_MAX)
        except UpstreamFailed as failed:
            self._end(attempt, failed.kind)
            attempt.spent, attempt.is_counted = self.relay.spent(Failure(failed.kind))
            return None
        finally:
            if answer is not None:
                answer.close()
        attempt.status = answer.status
        self._end(attempt, "" if answer.status < HTTPStatus.BAD_REQUEST else f"status_{answer.status}")
        if answer.status >= HTTPStatus.BAD_REQUEST:
            return None
        return Whole(answer.status, answer.headers, whole, answer.encoding)

    async def _try_all(self) -> Failure | None:
        limits = self._call.policy.limits
        failure: Failure | None = None
        for index, member in enumerate(self._chain):
            tries, is_last = 0, index == len(self._chain) - 1
            while self._left > 0:
                if index and failure is not None and self._call.fallback == "none":
                    self._call.fallback = failure.reason
                failure = await self._try_one(member, is_last=is_last)
                if failure is None or failure.is_final:
                    return failure
                tries += 1
                if self._left <= 0:
                    return failure
                pause = pause_before_next(
                    failure,
                    limits,
                    tries=tries,
                    is_last=is_last,
                    left_s=self._dog.left_s,
                    chance=self._chance.random(),
                )
                if pause is None:
                    break
                await self._sleep(pause)
        return failure

    async def _sleep(self, pause_s: float) -> None:
        self._dog.lift()
        try:
            await asyncio.sleep(pause_s)
        except asyncio.CancelledError:
            stop = self._dog.go_on()
            if stop is None:
                raise
            raise _Over(stop) from None

    async def _try_one(self, member: Member, *, is_last: bool) -> Failure | None:
        attempt = self._begin(member)
        permit = member.breaker.admit(time.monotonic())
        if not isinstance(permit, Permit) and is_last:
            # Nobody else can answer, so it is asked all the same, but only once: no retries in an outage.
            self._attempts, self._left, permit = len(self._call.attempts), 1, _UNPERMITTED
        if not isinstance(permit, Permit):
            self._end(attempt, "breaker_open")
            return Failure(
                "breaker_open", detail=f"{member.provider.name} fails too often; it is not asked now"
            )
        self._left -= 1  # who was not asked has used up none
        answer: UpstreamAnswer | None = None
        outcome = Settled.SILENT
        try:
            limits = self._call.policy.limits
            if self._call.is_stream:
                self._dog.limit(Stop.FIRST_BYTE, limits.first_byte_s)
            else:
                self._dog.lift()
            answer = await self._open(member, self._body_for(member))
            attempt.status = answer.status
            failure = await self._take(member, answer)
            outcome = Settled.GOOD if failure is None or failure.is_final else Settled.BAD
            if failure is not None and failure.status in SILENT_STATUSES:
                outcome = Settled.SILENT
            elif self._call.ending is Ending.CUT:
                outcome = Settled.BAD
        except UpstreamFailed as failed:
            outcome = Settled.BAD if failed.kind != "credential" else Settled.SILENT
            failure = Failure(failed.kind, detail=failed.detail)
        except asyncio.CancelledError:
            stop = self._dog.go_on()
            if stop is None:
                raise
            is_slow = stop in {Stop.FIRST_BYTE, Stop.IDLE} or (
                stop is Stop.DEADLINE and self._is_deadline_ours()
            )
            outcome = Settled.BAD if is_slow else Settled.SILENT
            failure = self._stopped(stop)
        finally:
            if answer is not None:
                answer.close()
            attempt.took_s = time.monotonic() - self._began
            member.breaker.settle(
                permit,
                outcome,
                took_s=attempt.took_s,
                now_s=time.monotonic(),
                chance=self._chance.random(),
            )
        if failure is not None:
            attempt.failure = failure.reason
            if self.relay.is_committed:
                await self.relay.break_off(failure)
                return None
            attempt.spent, attempt.is_counted = self.relay.spent(failure)
        return failure

    def _is_deadline_ours(self) -> bool:
        """Whether the call had the time that the charter gives: a client in more of a hurry says nothing about a provider."""
        return time.monotonic() - self._since >= 0.95 * self._call.given_s

    def _stopped(self, stop: Stop) -> Failure:
        """Turn the watchdog's cancellation into a failure of the attempt, or end the call."""
        if self.relay.is_committed and stop in {Stop.IDLE, Stop.DEADLINE}:
            return Failure(stop.value, detail="the stream stopped")
        if stop not in {Stop.FIRST_BYTE, Stop.IDLE}:
            self._call.attempts[-1].failure = stop.value
            raise _Over(stop)
        return Failure(stop.value, detail=f"{self._call.attempts[-1].provider} said nothing in time")

    def _begin(self, member: Member) -> Attempt:
        attempt = Attempt(member.provider.name, member.pin.model, time.time_ns())
        self._call.attempts.append(attempt)
        self._began = time.monotonic()
        return attempt

    def _end(self, attempt: Attempt, failure: str) -> None:
        attempt.failure = failure
        attempt.took_s = time.monotonic() - self._began

    def _body_for(self, member: Member) -> bytes:
        call = self._call
        if (member.is_asked and not call.adds_usage) or not call.route.names_model:
            call.sent = None
            return call.asked
        fields = msgspec.json.decode(call.asked, type=dict[str, msgspec.Raw])
        if not member.is_asked:
            fields["model"] = msgspec.Raw(msgspec.json.encode(member.pin.model))
        if call.adds_usage:
            with_usage(fields)
        call.sent = msgspec.json.encode(fields)
        return call.sent

    async def _open(self, member: Member, body: bytes) -> UpstreamAnswer:
        return await self._upstream.open(
            member.provider,
            method=self._caller.method,
            path=self._call.route.path,
            query=self._caller.query,
            headers=self._headers,
            body=body,
        )

    async def _take(self, member: Member, answer: UpstreamAnswer) -> Failure | None:
        if answer.status >= HTTPStatus.BAD_REQUEST:
            body = await answer.read_all(ERROR_BYTES_MAX)
            return Failure.of_status(
                answer.status,
                answer.headers,
                body,
                datetime.now(UTC),
                refused_goes_on=self._call.policy.fallback_when_refused,
            )
        return await self.relay.take(member, answer, began=self._began)

    async def _give_up(self, failure: Failure) -> None:
        """Pass on the last true answer; without one say that none came."""
        call = self._call
        retried = self._attempts > 1 and not failure.is_final
        if failure.status and not (failure.reason == "error_event" and retried):
            try:
                await self.relay.pass_failure(failure, retried=retried)
            except asyncio.CancelledError:
                stop = self._dog.go_on()
                if stop is None:
                    raise
                raise _Over(stop) from None
            return
        tried = ", ".join(dict.fromkeys(one.provider for one in call.attempts))
        raise Refused(
            Refusal(
                RefusalCode.UPSTREAM_UNAVAILABLE,
                f"no answer from {tried} in {len(call.attempts)} attempts: {failure.detail or failure.reason}",
                "Look at the provider: `pilothouse provider list`.",
            )
        )
