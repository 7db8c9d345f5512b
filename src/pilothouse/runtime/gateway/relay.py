# SPDX-License-Identifier: Apache-2.0
"""What the client gets of a provider's answer: whole or event by event, checked for its model first, kept for the record.

Until the first content nothing has been sent, so a failure can still become a true HTTP status. From then on the answer
belongs to one model: it ends, or it ends with an error event.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from pilothouse.core.evidence.task import TokenCount
from pilothouse.runtime.gateway.call import UNDONE, Call, Ending
from pilothouse.runtime.gateway.caller import Caller, Headers
from pilothouse.runtime.gateway.chain_member import Member
from pilothouse.runtime.gateway.failure import UNHEARD, Failure
from pilothouse.runtime.gateway.messages import written_tokens
from pilothouse.runtime.gateway.passage import Passage
from pilothouse.runtime.gateway.pictures import read_tokens
from pilothouse.runtime.gateway.policy import Pin
from pilothouse.runtime.gateway.refusal import Refusal, RefusalCode, Refused, error_event
from pilothouse.runtime.gateway.signs import FINGERPRINT_CHARACTERS_MAX
from pilothouse.runtime.gateway.upstream import UpstreamAnswer
from pilothouse.runtime.gateway.watchdog import Stop, Watchdog
from pilothouse.runtime.gateway.wire import Answer, inflate, read_answer

__all__ = ["ANSWER_BYTES_MAX", "Relay", "Whole"]

ANSWER_BYTES_MAX = 64 << 20
"""Largest answer that is not a stream: it is held until the model that gave it is known."""


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


class Relay:
    """The way of one call's answer to its client.

    Attributes:
        check_whole: Looks at a whole good answer before it is sent, and returns what to send.
        promised: Told of an answer that says that it comes later, before the client is.
        given: Told of an answer that its provider keeps, before the client is: its body without content encoding, empty of a stream.
        is_committed: Whether status and headers have gone out.

    Args:
        call: The call, filled on the way.
        caller: The client.
        dog: Guards the task.
    """

    def __init__(self, call: Call, caller: Caller, dog: Watchdog) -> None:
        self._call = call
        self._caller = caller
        self._dog = dog
        self.check_whole: Callable[[Whole], Awaitable[Whole]] | None = None
        self.promised: Callable[[], Awaitable[None]] | None = None
        self.given: Callable[[bytes], Awaitable[None]] | None = None
        self.is_committed = False
        self._passage: Passage | None = None
        self._opened: Passage | None = None
        self._began = time.monotonic()

    async def take(self, member: Member, answer: UpstreamAnswer, *, began: float) -> Failure | None:
        """Take a good answer, whole or as events, and pass it on.

        Args:
            member: Who answered.
            answer: Its body is still to be read.
            began: When the attempt began, on the monotonic clock; chunks are timed from there.

        Returns:
            Why another attempt may be made, or None.

        Raises:
            Refused: The answer must not reach the client.
            UpstreamFailed: It broke off before the client got anything.
        """
        self._began, self._opened = began, None
        if answer.is_events:
            return await self._take_stream(member, answer)
        whole = Whole(answer.status, answer.headers, await answer.read_all(ANSWER_BYTES_MAX), answer.encoding)
        plain = inflate(whole.body, whole.encoding)
        said = Answer() if plain is None or not self._call.route.names_model else read_answer(plain)
        self._note(member, said)
        self._check_model(member)
        if self.check_whole is not None:
            whole = await self.check_whole(whole)
        if self._call.answer_state in UNDONE and self.promised is not None:
            await self.promised()
        if self.given is not None:
            await self.given(inflate(whole.body, whole.encoding) or b"")
        await self.send_whole(whole)
        return None

    async def send_whole(self, whole: Whole) -> None:
        """Send a whole answer to the client, and be done.

        Args:
            whole: The answer.
        """
        self._dog.limit(Stop.CLIENT_SLOW, self._call.policy.limits.client_s)
        self._call.response = whole.body
        headers = self._committed(whole.status, _sized(whole.headers, len(whole.body)))
        await self._caller.answer(whole.status, headers, whole.body)
        self._call.ending = Ending.DONE

    async def pass_failure(self, failure: Failure, *, retried: bool) -> None:
        """Pass on the last true answer of a provider, which was an error.

        Args:
            failure: The answer.
            retried: Whether we asked more than once; then nobody should ask again.
        """
        call = self._call
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
        await self._caller.answer(failure.status, self._committed(failure.status, headers), failure.body)

    async def break_off(self, failure: Failure) -> None:
        """End a stream that had begun: one error event, never `[DONE]`.

        Args:
            failure: Why.
        """
        call = self._call
        call.ending = Ending.CUT
        call.stopped = failure.reason
        self.close()
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

    def spent(self, failure: Failure) -> tuple[TokenCount | None, bool]:
        """Return what an attempt used that gave no answer, and whether its provider counted it.

        Args:
            failure: Why; nothing of the attempt went to the client.
        """
        said, held = (
            (Answer(), b"") if self._opened is None else (self._opened.said, bytes(self._opened.held))
        )
        self._opened = None
        if b'"usage"' in failure.body:
            said.usage = said.usage or read_answer(failure.body).usage
        if said.usage is not None:
            return said.usage, True
        if said.begun is None and failure.reason not in UNHEARD:
            return (
                None,
                False,
            )  # refused, failed by its own word, or never asked: providers take nothing for that
        begun = said.begun or TokenCount(input=read_tokens(self._call.asked))
        written = written_tokens(held, self._call.route.operation) if held else 0
        return replace(begun, output=max(begun.output, written)), False

    def close(self) -> None:
        """Keep of a stream what was passed on until it ended, broke off or its client went."""
        if self._passage is not None:
            self._passage.finish()
        elif self._opened is not None:
            self._call.begun = self._opened.said.begun

    async def _take_stream(self, member: Member, answer: UpstreamAnswer) -> Failure | None:
        call = self._call
        call.chunks = []  # those of an attempt before went to nobody
        passage = self._opened = Passage(call, self._caller, self._dog, answer, began=self._began)
        held, is_error = await passage.open()
        if is_error:
            return Failure("error_event", status=answer.status, headers=answer.headers, body=held)
        self._note(member, passage.said)
        self._check_model(member)
        if call.answer_state in UNDONE and self.promised is not None:
            await self.promised()
        if self.given is not None:
            await self.given(b"")
        call.first_content_s = (time.time_ns() - call.began_ns) / 1e9
        self._passage = passage
        headers = self._committed(
            answer.status, [pair for pair in answer.headers if pair[0] != b"content-length"]
        )
        await self._caller.start(answer.status, headers)
        await passage.run(held)
        self.close()
        call.ending = Ending.CUT if passage.has_failed else Ending.DONE
        if passage.has_failed:
            call.stopped = call.attempts[-1].failure = "error_event"
        return None

    def _note(self, member: Member, said: Answer) -> None:
        call = self._call
        call.served_by = member.provider.name
        call.served_model = said.model
        call.fingerprint = said.fingerprint
        call.answer_id, call.answer_state = said.ident, said.state
        call.begun, call.has_fees, call.is_absurd = said.begun, said.has_fees, said.is_absurd
        call.usage = None if said.is_absurd else said.usage
        call.tier = call.tier if said.tier is None else said.tier

    def _check_model(self, member: Member) -> None:
        call, pin = self._call, member.pin
        if pin.fingerprint == "refuse" and call.fingerprint is not None:
            self._check_backend(pin, call.fingerprint)
        if call.served_model is None or not call.route.names_model or call.served_model == pin.model:
            return
        if call.served_model in pin.served_as:
            return
        call.mismatch = True
        call.attempts[-1].failure = "model_mismatch"
        if call.policy.refuse_mismatch and call.key.environment != "pilot":
            raise Refused(
                Refusal(
                    RefusalCode.MODEL_MISMATCH,
                    f"{pin.model} was asked for and {call.served_model} answered; its answer is withheld",
                    f"Pin what really answers, after `pilothouse gate`: `model: {call.served_model}` in the charter. "
                    "Another name of the same model stands in `served_as` of its pin.",
                )
            )

    def _check_backend(self, pin: Pin, fingerprint: str) -> None:
        """Refuse an answer of a backend that the agent was not tested on, where the charter says so of the pin."""
        if fingerprint in pin.fingerprints:
            return
        self._call.attempts[-1].failure = "fingerprint"
        raise Refused(
            Refusal(
                RefusalCode.MODEL_MISMATCH,
                f"{pin.model} answered from backend {fingerprint[:FINGERPRINT_CHARACTERS_MAX]!r}, which is not among `fingerprints` "
                "of its pin; its answer is withheld",
                "After `pilothouse gate`, add it to `fingerprints` in the charter; `fingerprint: alert` lets it answer and tells you.",
            )
        )

    def _committed(self, status: int, headers: Headers) -> Headers:
        """Note that the answer goes out, and return its headers with ours."""
        call = self._call
        self.is_committed = True
        call.status = status
        call.response_headers = headers
        own = call.own_headers()
        edits = []
        if call.sent is not None:
            edits = [b"fallback_model"] if call.attempts[-1].model != call.model else []
            edits += [b"inject_usage"] if call.adds_usage else []
            edits += [b"inject_usage_left"] if call.is_usage_left else []
        if call.repairs:
            edits.append(b"repair")
        edits += [name.encode() for name in call.context_edits]
        if edits:
            own.append((b"x-pilothouse-edited", b",".join(edits)))
        if call.hold_id is not None:
            own.append((b"x-pilothouse-held", call.hold_id.encode("ascii", "replace")))
        return [*headers, *own]


def _sized(headers: Headers, size: int) -> Headers:
    """Return the headers with the length of the body that follows."""
    sized = [pair for pair in headers if pair[0] != b"content-length"]
    sized.append((b"content-length", b"%d" % size))
    return sized
