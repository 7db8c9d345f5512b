# SPDX-License-Identifier: Apache-2.0
"""The state machine between one call and the providers that may answer it, the same for streams and whole answers.

Until the first content nothing has been sent, so a failure can still go to the next attempt and still
become a true HTTP status. From then on the answer belongs to one model: it ends, or it ends with an
error event.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Protocol

import msgspec

from pilothouse.ports.gateway import Provider
from pilothouse.runtime.gateway.call import Attempt, Call, Ending
from pilothouse.runtime.gateway.caller import Caller, Headers
from pilothouse.runtime.gateway.event_reader import EventReader
from pilothouse.runtime.gateway.failure import Failure, pause_before_next
from pilothouse.runtime.gateway.policy import Pin
from pilothouse.runtime.gateway.refusal import Refusal, RefusalCode, Refused, error_event
from pilothouse.runtime.gateway.sse import EventCutter, event_data
from pilothouse.runtime.gateway.upstream import UpstreamAnswer, UpstreamFailed
from pilothouse.runtime.gateway.watchdog import Stop, Watchdog
from pilothouse.runtime.gateway.wire import (
    Answer,
    Stage,
    inflate,
    read_answer,
    read_event,
)
from pilothouse.runtime.resilience.breaker import Breaker, Permit, Settled

__all__ = ["Exchange", "Member", "Opener", "Whole"]

ANSWER_BYTES_MAX = 64 << 20
"""Largest answer that is not a stream: it is held until the model that gave it is known."""

HELD_BYTES_MAX = 256 << 10
"""Most bytes of events before the first content; a stream with more is passed on."""

CAPTURED_BYTES_MAX = 32 << 20
"""Most bytes of a stream that are kept for the record; more pass and are counted."""

ERROR_BYTES_MAX = 8 << 20
BAD_STATUS = 400


@dataclass(frozen=True, slots=True)
class Member:
    """One member of the chain, with what it needs to be asked.

    Attributes:
        pin: Which model.
        provider: Where.
        breaker: Whether it is well.
        is_asked: Whether it is the model that the request names; else the name is replaced.
    """

    pin: Pin
    provider: Provider
    breaker: Breaker
    is_asked: bool


@dataclass(slots=True)
class Whole:
    """A whole answer before it is sent.

    Attributes:
        status: HTTP status.
        headers: Of the provider.
        body: Raw bytes.
        encoding: Content encoding, or empty.
    """

    status: int
    headers: Headers
    body: bytes
    encoding: str


class Opener(Protocol):
    """Sends a request to a provider."""

    async def open(
        self,
        provider: Provider,
        *,
        method: str,
        path: str,
        query: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
    ) -> UpstreamAnswer:
        """Send and return once status and headers have come.

        Raises:
            UpstreamFailed: No answer came.
        """
        ...


class _Over(Exception):
    """The call ends here: its time is over, or its client has gone."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.value)
        self.stop = stop


_UNPERMITTED = Permit(epoch=-1, probe=False)
"""Settling it changes no breaker."""


class Exchange:
    """One call's way to an answer.

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
        self._attempts = attempts
        self._chance = chance
        self.check_whole: Callable[[Whole], Awaitable[Whole]] | None = None
        """Looks at a whole good answer before it is sent, and returns what to send."""
        self._is_committed = False
        self._captured: list[bytes] = []
        self._captured_bytes = 0
        self._encoding = ""
        self._began = time.monotonic()

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
            if self._captured:
                self._finish_stream(Answer())
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
        """Ask the member that answered once more, for a repair; None when no good answer comes.

        Args:
            body: The new request.
        """
        member = next(one for one in self._chain if one.provider.name == self._call.served_by)
        attempt = self._begin(member)
        try:
            answer = await self._open(member, body)
            whole = await answer.read_all(ANSWER_BYTES_MAX)
        except UpstreamFailed as failed:
            self._end(attempt, failed.kind)
            return None
        attempt.status = answer.status
        self._end(attempt, "" if answer.status < BAD_STATUS else f"status_{answer.status}")
        if answer.status >= BAD_STATUS:
            return None
        return Whole(answer.status, answer.headers, whole, answer.encoding)

    async def _try_all(self) -> Failure | None:
        limits = self._call.policy.limits
        failure: Failure | None = None
        for index, member in enumerate(self._chain):
            tries, is_last = 0, index == len(self._chain) - 1
            while len(self._call.attempts) < self._attempts:
                if index and failure is not None and self._call.fallback == "none":
                    self._call.fallback = failure.reason
                failure = await self._try_one(member, is_last=is_last)
                if failure is None or failure.is_final:
                    return failure
                tries += 1
                if len(self._call.attempts) >= self._attempts:
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
        self._dog.limit(Stop.DEADLINE, self._dog.left_s)
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
            self._attempts, permit = len(self._call.attempts), _UNPERMITTED
        if not isinstance(permit, Permit):
            self._end(attempt, "breaker_open")
            return Failure(
                "breaker_open", detail=f"{member.provider.name} fails too often; it is not asked now"
            )
        answer: UpstreamAnswer | None = None
        outcome = Settled.SILENT
        try:
            limits = self._call.policy.limits
            self._dog.limit(
                Stop.FIRST_BYTE if self._call.is_stream else Stop.DEADLINE,
                limits.first_byte_s if self._call.is_stream else self._dog.left_s,
            )
            answer = await self._open(member, self._body_for(member))
            attempt.status = answer.status
            failure = await self._take(member, answer)
            outcome = Settled.GOOD if failure is None or failure.is_final else Settled.BAD
            if failure is not None and failure.status in {409, 429}:
                outcome = Settled.SILENT
        except UpstreamFailed as failed:
            outcome = Settled.BAD if failed.kind != "credential" else Settled.SILENT
            failure = Failure(failed.kind, detail=failed.detail)
        except asyncio.CancelledError:
            stop = self._dog.go_on()
            if stop is None:
                raise
            outcome = Settled.BAD if stop in {Stop.FIRST_BYTE, Stop.IDLE, Stop.DEADLINE} else Settled.SILENT
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
            if self._is_committed:
                await self._break_off(failure)
                return None
        return failure

    def _stopped(self, stop: Stop) -> Failure:
        """Turn the watchdog's cancellation into a failure of the attempt, or end the call."""
        if self._is_committed and stop in {Stop.IDLE, Stop.DEADLINE}:
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
        if member.is_asked or not self._call.route.names_model:
            return self._call.asked
        fields = msgspec.json.decode(self._call.asked, type=dict[str, msgspec.Raw])
        fields["model"] = msgspec.Raw(msgspec.json.encode(member.pin.model))
        self._call.sent = msgspec.json.encode(fields)
        return self._call.sent

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
        if answer.status >= BAD_STATUS:
            body = await answer.read_all(ERROR_BYTES_MAX)
            return Failure.of_status(answer.status, answer.headers, body, datetime.now(UTC))
        if answer.is_events:
            return await self._take_stream(member, answer)
        whole = Whole(answer.status, answer.headers, await answer.read_all(ANSWER_BYTES_MAX), answer.encoding)
        plain = inflate(whole.body, whole.encoding)
        said = Answer() if plain is None or not self._call.route.names_model else read_answer(plain)
        self._note(member, said)
        self._check_model(member)
        if self.check_whole is not None:
            whole = await self.check_whole(whole)
        await self.send_whole(whole)
        return None

    async def send_whole(self, whole: Whole) -> None:
        """Send a whole answer to the client, and be done.

        Args:
            whole: The answer.
        """
        self._dog.limit(Stop.CLIENT_SLOW, self._call.policy.limits.client_s)
        self._call.response = whole.body
        await self._commit(whole.status, _sized(whole.headers, len(whole.body)))
        await self._caller.send(whole.body, more=False)
        self._call.ending = Ending.DONE

    async def _take_stream(self, member: Member, answer: UpstreamAnswer) -> Failure | None:
        limits = self._call.policy.limits
        said, held = Answer(), bytearray()
        cutter = EventCutter() if answer.encoding in {"", "identity"} else None
        reader = EventReader(answer.encoding)
        self._encoding = answer.encoding
        while chunk := await answer.read_some():
            self._call.chunks.append((len(chunk), int((time.monotonic() - self._began) * 1e6)))
            ready = chunk if cutter is None else cutter.feed(chunk)
            if self._is_committed:
                if ready:
                    await self._pass_on(ready)
                    self._dog.limit(Stop.IDLE, limits.idle_s)
                continue
            held += ready
            stage = reader.stage(ready, self._call.route.operation, said)
            if stage == Stage.ERROR:
                return Failure("error_event", status=answer.status, headers=answer.headers, body=bytes(held))
            if stage == Stage.CONTENT or len(held) > HELD_BYTES_MAX:
                await self._begin_stream(member, answer, said, bytes(held))
                self._dog.limit(Stop.IDLE, limits.idle_s)
        rest = b"" if cutter is None else cutter.rest()
        if not self._is_committed:
            if not held and not rest:
                raise UpstreamFailed("cut", "the stream ended before it began", was_sent=True)
            await self._begin_stream(member, answer, said, bytes(held))
        elif rest:
            self._capture(rest)
        self._dog.limit(Stop.CLIENT_SLOW, limits.client_s)
        await self._caller.send(rest, more=False)
        self._call.ending = Ending.DONE
        self._finish_stream(said)
        return None

    async def _begin_stream(self, member: Member, answer: UpstreamAnswer, said: Answer, held: bytes) -> None:
        self._note(member, said)
        self._check_model(member)
        self._call.first_content_s = (time.time_ns() - self._call.began_ns) / 1e9
        await self._commit(answer.status, [pair for pair in answer.headers if pair[0] != b"content-length"])
        await self._pass_on(held)

    async def _pass_on(self, part: bytes) -> None:
        self._dog.limit(Stop.CLIENT_SLOW, self._call.policy.limits.client_s)
        self._capture(part)
        await self._caller.send(part, more=True)

    def _capture(self, part: bytes) -> None:
        self._captured_bytes += len(part)
        if self._captured_bytes <= CAPTURED_BYTES_MAX:
            self._captured.append(part)

    def _finish_stream(self, said: Answer) -> None:
        """Keep what was passed on, and read the usage, which stands in one of the last events."""
        call = self._call
        call.response = b"".join(self._captured)
        plain = inflate(call.response, self._encoding)
        at = -1 if plain is None else plain.rfind(b'"usage"')
        if plain is not None and at >= 0:
            for data in event_data(
                plain[max(plain.rfind(b"\n\n", 0, at), plain.rfind(b"\r\n\r\n", 0, at), 0) :]
            ):
                read_event(data, call.route.operation, said)
        call.usage = said.usage or call.usage
        call.answer_id = call.answer_id or said.ident

    def _note(self, member: Member, said: Answer) -> None:
        call = self._call
        call.served_by = member.provider.name
        call.served_model = said.model
        call.fingerprint = said.fingerprint
        call.answer_id = said.ident
        call.usage = said.usage

    def _check_model(self, member: Member) -> None:
        call = self._call
        if call.served_model is None or not call.route.names_model or call.served_model == member.pin.model:
            return
        call.mismatch = True
        call.attempts[-1].failure = "model_mismatch"
        if call.policy.refuse_mismatch and call.key.environment != "pilot":
            raise Refused(
                Refusal(
                    RefusalCode.MODEL_MISMATCH,
                    f"{member.pin.model} was asked for and {call.served_model} answered; its answer is withheld",
                    f"Pin what really answers, after `pilothouse gate`: `model: {call.served_model}` in the charter.",
                )
            )

    async def _commit(self, status: int, headers: Headers) -> None:
        call = self._call
        self._is_committed = True
        call.status = status
        call.response_headers = headers
        own = call.own_headers()
        edits = [b"fallback_model"] if call.sent is not None and call.fallback != "none" else []
        if call.repairs:
            edits.append(b"repair")
        edits += [name.encode() for name in call.context_edits]
        if edits:
            own.append((b"x-pilothouse-edited", b",".join(edits)))
        if call.hold_id is not None:
            own.append((b"x-pilothouse-held", call.hold_id.encode("ascii", "replace")))
        await self._caller.start(status, [*headers, *own])

    async def _break_off(self, failure: Failure) -> None:
        """End a stream that had begun: one error event, never `[DONE]`."""
        call = self._call
        call.ending = Ending.CUT
        call.stopped = failure.reason
        self._finish_stream(Answer())
        code = RefusalCode.DEADLINE if failure.reason == Stop.DEADLINE else RefusalCode.UPSTREAM_UNAVAILABLE
        call.refusal = code
        refusal = Refusal(
            code,
            f"the stream of {call.served_by} broke off ({failure.reason}); what came before is not whole",
            "Ask again.",
        )
        event = error_event(call.protocol, call.route.operation, refusal)
        self._dog.limit(Stop.CLIENT_SLOW, call.policy.limits.client_s)
        try:
            await self._caller.send(event, more=False)
        except asyncio.CancelledError:
            stop = self._dog.go_on()
            if stop is None:
                raise
            call.stopped = stop.value

    async def _give_up(self, failure: Failure) -> None:
        """Pass on the last true answer; without one say that none came."""
        call = self._call
        retried = self._attempts > 1 and not failure.is_final
        if failure.status and not (failure.reason == "error_event" and retried):
            call.ending = Ending.FAILED
            call.served_by = call.attempts[-1].provider
            call.response = failure.body
            headers = _sized(failure.headers, len(failure.body))
            if retried:
                headers = [
                    *(pair for pair in headers if pair[0] != b"x-should-retry"),
                    (b"x-should-retry", b"false"),
                ]
            self._dog.limit(Stop.CLIENT_SLOW, call.policy.limits.client_s)
            try:
                await self._commit(failure.status, headers)
                await self._caller.send(failure.body, more=False)
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


def _sized(headers: Headers, size: int) -> Headers:
    """Return the headers with the length of the body that follows."""
    return [
        *(pair for pair in headers if pair[0] != b"content-length"),
        (b"content-length", str(size).encode()),
    ]
