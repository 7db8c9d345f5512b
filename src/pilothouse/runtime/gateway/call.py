# SPDX-License-Identifier: Apache-2.0
"""One model call as the gateway saw it: what the record, the span, the budget and the counters are made of."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus

from pilothouse.core.evidence.stand_in import is_same_model
from pilothouse.core.evidence.task import TokenCount
from pilothouse.core.evidence.trial_trace import is_load, is_trial
from pilothouse.ports.gateway import Promise, VirtualKey, WireProtocol
from pilothouse.runtime.context.edits import Removed
from pilothouse.runtime.gateway.policy import AgentPolicy
from pilothouse.runtime.gateway.refusal import RefusalCode
from pilothouse.runtime.gateway.routes import Operation, Route
from pilothouse.runtime.gateway.wire import inflate
from pilothouse.runtime.linkage import Conversation
from pilothouse.runtime.random_ids import new_span_id

__all__ = ["UNDONE", "Attempt", "Call", "Ending"]


EDIT_KEYS = {"duplicate": "duplicates", "large": "large", "old": "keep_last"}
"""Reason in the ledger → key of `context.edits` in the charter."""


UNDONE = frozenset({"queued", "in_progress"})
"""What a response says of itself while its model works."""


HEADER_CHARACTERS_MAX = 200
"""Of a model's name in a header; the record has it whole."""


class Ending(StrEnum):
    """How a call ended."""

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    CLIENT_SLOW = "client_slow"
    CUT = "cut"
    """The stream failed after its first content."""


@dataclass(slots=True)
class Attempt:
    """One try at one provider.

    Attributes:
        provider: Name of the provider.
        model: Model that was asked for.
        began_ns: When, Unix nanoseconds.
        status: HTTP status, or 0 without an answer.
        failure: Why it failed, or empty.
        took_s: How long it took, seconds.
        spent: Tokens that it used although it gave no answer; None of one that did, and of one that never reached a model.
        is_counted: Whether its provider counted them, rather than we estimated.
    """

    provider: str
    model: str
    began_ns: int
    status: int = 0
    failure: str = ""
    took_s: float = 0.0
    spent: TokenCount | None = None
    is_counted: bool = False


@dataclass(slots=True)
class Call:
    """One call, filled while it runs; exactly one record is made of it, whatever happens.

    Attributes:
        run: Run id, 32 hex digits.
        call_id: Its own id, 16 hex digits; also the id of its span.
        route: What was asked for.
        key: The key that was shown.
        policy: What holds for the agent.
        protocol: The protocol in use.
        identity: Where the run id came from.
        parent: Span that it belongs to, or None.
        launch: Launch that its process belongs to, or None.
        said: The request as linkage reads it; None where the client said which run it is.
        request: Body as received.
        shortened: Body without what the charter's edits took out of a long request, or None.
        removed: What they took out.
        opaque: By what its provider may shorten it, where nobody else sees what.
        sent: Body as the provider got it where a policy changed it, else None.
        adds_usage: Whether its provider is asked for the usage of the stream in place of the client.
        is_usage_left: Whether the event that says it stays in the answer, because that came encoded.
        request_headers: Headers as received, without credentials.
        model: Model that was asked for, or None.
        is_stream: Whether events were asked for.
        output_max: Most output tokens that were asked for, or None.
        is_background: Whether the answer was to be made without anybody who waits for it.
        began_ns: When it came in, Unix nanoseconds.
        ended_ns: When it was over, or 0.
        attempts: Tries, in order.
        status: HTTP status that the client got, or 0.
        ending: How it ended.
        refusal: Code of our own refusal, or None.
        told: What the client was told with it, or empty.
        stopped: Limit that stopped it, or empty.
        served_by: Provider that answered, or empty.
        served_model: Model that answered, or None.
        fingerprint: Configuration of the backend, or None.
        answer_id: Id of the answer, or None.
        answer_state: How far the answer says that it is, or None.
        fallback: Why a stand-in answered, or `none`.
        mismatch: Whether another model answered than was pinned.
        usage: Tokens, or None when the provider did not report them.
        begun: Tokens that a stream counted before its content, or None.
        has_fees: Whether the answer cost something besides its tokens, as its provider says.
        is_absurd: Whether its provider counted what cannot be; the usage is unknown then.
        tier: Service tier with a price of its own that answered, or that was asked for where no answer says; empty for the standard one.
        cost_pico: Cost in pico-dollars, or None when unknown.
        response: Body as sent on.
        inflated: The same without its content encoding, once somebody asked for it; ask `plain`.
        response_headers: Headers of the answer, names in lower case.
        chunks: Size and time since the start of each chunk, microseconds.
        first_content_s: Time to the first content, or None.
        repairs: Times the model was asked again because its answer broke the schema.
        checked: Whether the answer was checked against the output schema.
        invalid: What is wrong with it, or empty.
        hold_id: Id of the held output, or None.
        confidence: What the answer states about itself, in [0, 1], or None.
        proposal: The answer that is held, or empty.
        held_for: Why it is, or empty.
        context: Share of the window that input and output can fill at most, or `unknown`.
        is_counted: Whether the input came so near the window that its tokens were counted.
        is_begun: Whether the record has its request already.
        uses: What it goes on with of what its provider keeps: a conversation, files and the like, by their ids.
        adopts: Answers and items that it names of which nobody knows whose they are.
        is_kept: Whether its provider keeps the answer, to be asked for again or gone on from by its id.
        promise: Its own promise, where its answer comes later, or that of the call whose answer it fetches, or None.
    """

    run: str
    route: Route
    key: VirtualKey
    policy: AgentPolicy
    protocol: WireProtocol
    identity: str
    parent: str | None = None
    call_id: str = field(default_factory=new_span_id)
    launch: str | None = None
    said: Conversation | None = None
    request: bytes = b""
    shortened: bytes | None = None
    removed: tuple[Removed, ...] = ()
    opaque: tuple[str, ...] = ()
    sent: bytes | None = None
    adds_usage: bool = False
    is_usage_left: bool = False
    request_headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    model: str | None = None
    is_stream: bool = False
    output_max: int | None = None
    is_background: bool = False
    began_ns: int = field(default_factory=time.time_ns)
    ended_ns: int = 0
    attempts: list[Attempt] = field(default_factory=list)
    status: int = 0
    ending: Ending = Ending.FAILED
    refusal: RefusalCode | None = None
    told: str = ""
    stopped: str = ""
    served_by: str = ""
    served_model: str | None = None
    fingerprint: str | None = None
    answer_id: str | None = None
    answer_state: str | None = None
    fallback: str = "none"
    mismatch: bool = False
    usage: TokenCount | None = None
    begun: TokenCount | None = None
    has_fees: bool = False
    is_absurd: bool = False
    tier: str = ""
    cost_pico: int | None = None
    response: bytes = b""
    inflated: bytes | None = None
    response_headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    chunks: list[tuple[int, int]] = field(default_factory=list)
    first_content_s: float | None = None
    repairs: int = 0
    checked: bool = False
    invalid: str = ""
    hold_id: str | None = None
    confidence: float | None = None
    proposal: str = ""
    held_for: str = ""
    context: str = "unknown"
    is_counted: bool = False
    is_begun: bool = False
    uses: tuple[str, ...] = ()
    adopts: tuple[str, ...] = ()
    is_kept: bool = False
    promise: Promise | None = None

    @property
    def given_s(self) -> float:
        """Time that the charter gives the whole call, seconds."""
        limits = self.policy.limits
        return limits.stream_total_s if self.is_stream else limits.total_s

    @property
    def is_unanswered(self) -> bool:
        """Whether a provider has taken the call and will have its answer later: its client has what there is so far."""
        if self.answer_id is None or self.route.operation is not Operation.RESPONSES or self.key.is_replay:
            return False
        if self.status >= HTTPStatus.BAD_REQUEST:
            return False
        # A stream that was not asked to go on alone ends with its client, whatever it last said of itself.
        return self.answer_state in UNDONE and (self.is_background or not self.is_stream)

    @property
    def is_of_stand_in(self) -> bool:
        """Whether another model than the pinned one was asked last, be it after a failure or because the agent named it."""
        chain = self.policy.chain
        return bool(chain) and not is_same_model(chain[0], self.attempts[-1].model)

    @property
    def needs_its_model(self) -> bool:
        """Whether it is asked to find out what one model does, so that no stand-in may answer: in a replay, or a trial.

        A load run finds out what users get: its calls have stand-ins, where its trace says so.
        """
        return (self.key.is_replay or is_trial(self.run)) and not is_load(self.run)

    @property
    def version(self) -> str | None:
        """The version that it is work of: that of the stand-in where one was asked last, or None where nobody knows it."""
        if not self.attempts or not self.is_of_stand_in:
            return self.policy.version
        last = self.attempts[-1]
        asked = (pin for pin in self.policy.chain if (pin.provider, pin.model) == (last.provider, last.model))
        return next((pin.version for pin in asked), None)

    @property
    def asked(self) -> bytes:
        """The body that providers are asked with: as received, or shortened."""
        return self.request if self.shortened is None else self.shortened

    @property
    def plain(self) -> bytes:
        """The answer of a call that is over without its content encoding, or as it is where it cannot be inflated."""
        if self.inflated is None:
            encoding = next(
                (value for name, value in self.response_headers if name == b"content-encoding"), b""
            )
            plain = inflate(self.response, encoding.decode("latin-1").strip().lower()) if encoding else None
            self.inflated = self.response if plain is None else plain
        return self.inflated

    @property
    def context_edits(self) -> tuple[str, ...]:
        """Keys of `context.edits` in the charter that took something out of the request."""
        return tuple(dict.fromkeys(f"context.{EDIT_KEYS[entry.reason]}" for entry in self.removed))

    def own_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that every answer of the gateway carries."""
        return [
            (b"x-pilothouse-run", self.run.encode()),
            (b"x-pilothouse-call", self.call_id.encode()),
            (b"x-pilothouse-model", _header(self.served_model or "none")),
            (b"x-pilothouse-deployment", (self.served_by or "none").encode("ascii", "replace")),
            (b"x-pilothouse-attempts", str(len(self.attempts)).encode()),
            (b"x-pilothouse-fallback", self.fallback.encode("ascii", "replace")),
            (b"x-pilothouse-context", self.context.encode()),
        ]


def _header(text: str) -> bytes:
    """Return a text of a provider as the value of a header, which ends at a line's end."""
    return text[:HEADER_CHARACTERS_MAX].encode("ascii", "replace") if text.isprintable() else b"unprintable"
