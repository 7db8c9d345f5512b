# SPDX-License-Identifier: Apache-2.0
"""What can be written about a run: one frozen record for each kind of event, and the envelope it is read back in.

A run is one execution of a task as the runtime sees it; its id is the trace id. Bytes in these records are content
(bodies, arguments, results): a log keeps them apart from the event, encrypted, so that erasing content keeps events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

__all__ = [
    "CUT_SHORT",
    "NOT_RECORDED",
    "ContextEdited",
    "Denied",
    "Draw",
    "Event",
    "HostContacted",
    "IdentitySource",
    "LoggedEvent",
    "ModelRequest",
    "ModelResponse",
    "OutputHeld",
    "RecordedRun",
    "Replayable",
    "RunClosed",
    "RunOpened",
    "RunState",
    "RunSummary",
    "Tap",
    "ToolCalled",
    "ToolReturned",
]


class IdentitySource(StrEnum):
    """How a call was linked to its run, in order of trust; the last three are inferred."""

    PATH = "path"
    KEY = "key"
    TRACEPARENT = "traceparent"
    LINKED_ID = "linked_id"
    PREFIX = "prefix"
    NEW = "new"

    @property
    def is_exact(self) -> bool:
        """Whether the client named the run; otherwise it was inferred.

        Example:
            >>> [one.value for one in IdentitySource if one.is_exact]
            ['path', 'key', 'traceparent']
        """
        return self in {IdentitySource.PATH, IdentitySource.KEY, IdentitySource.TRACEPARENT}


class Tap(StrEnum):
    """Where an event was observed."""

    GATEWAY = "gateway"
    TOOLS = "tools"
    LAUNCHER = "launcher"


class RunState(StrEnum):
    """Whether a run is open, or how it ended."""

    OPEN = "open"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"
    CUT = "cut"
    """Whoever recorded it was killed meanwhile or soon after."""


class Replayable(StrEnum):
    """How much of a run can be played again."""

    EXACT = "exact"
    MODEL_SIDE = "model_side"
    NO = "no"
    ERASED = "erased"
    UNRECORDED = "unrecorded"

    @property
    def is_playable(self) -> bool:
        """Whether a replay gives recorded answers back.

        Example:
            >>> [one.value for one in Replayable if one.is_playable]
            ['exact', 'model_side']
        """
        return self in {Replayable.EXACT, Replayable.MODEL_SIDE}


CUT_SHORT = "its gateway was killed meanwhile or soon after, and calls that it answered in its last moment may be missing"
"""What is said of a run that was cut."""

NOT_RECORDED = "off"
"""Tap of a run of which model calls were not recorded, because whoever launched it chose so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOpened:
    """A run begins.

    Attributes:
        agent: Agent that runs.
        version: Version digest, or None when nobody says.
        charter: Digest of the charter in force, or None.
        user_agent: What the framework calls itself, or None.
        identity: How its first call was found to belong to it.
        launch: Launch that the process belongs to, or None.
        environment: Variables of the process by name; a value only where the name is on the list of harmless ones.
        subject: Data subject whose key encrypts its content; the run itself when None.
        taps: Launcher taps that were on: `clock`, `uuid`, `random`, `env`, `egress`; or `NOT_RECORDED`.
    """

    kind: ClassVar[str] = "run.open"
    agent: str
    version: str | None = None
    charter: str | None = None
    user_agent: str | None = None
    identity: IdentitySource = IdentitySource.NEW
    launch: str | None = None
    environment: Mapping[str, str | None] = field(default_factory=dict)
    subject: str | None = None
    taps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """A model was asked.

    Attributes:
        route: Path from `/v1` on, for example `/v1/chat/completions`.
        headers: Headers that change the answer, such as `anthropic-version`; never a credential.
        body: Body as the client sent it.
        sent: Body as the provider got it where a policy changed it, else None.
        opaque: By what its provider may have shortened it, where nobody else sees what.
    """

    kind: ClassVar[str] = "model.request"
    route: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes
    sent: bytes | None = None
    opaque: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelResponse:
    """A model answered, or failed to.

    Attributes:
        status: HTTP status that the client got; 0 when the client had gone.
        headers: Headers that the client needs to read the body, such as `content-type`.
        body: Body that the client got, after content decoding.
        chunk_sizes: Sizes of its pieces, bytes; empty for a body in one piece.
        chunk_ms: When each piece came, milliseconds after the first.
        usage: Token counts by class as the provider reported them, or None.
        model: Model that served, as the provider says, or None.
        attempts: Attempts at providers.
        provider: Who answered, or None.
        fallback: Why a stand-in answered, or None.
        fingerprint: Configuration of the backend that served, as the provider says, or None.
        error: Code of what went wrong (`deadline`, `cancelled`, ...), or None.
    """

    kind: ClassVar[str] = "model.response"
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes
    chunk_sizes: tuple[int, ...] = ()
    chunk_ms: tuple[int, ...] = ()
    usage: Mapping[str, int] | None = None
    model: str | None = None
    attempts: int = 1
    provider: str | None = None
    fallback: str | None = None
    fingerprint: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCalled:
    """A tool is about to be called.

    Attributes:
        tool: `name@version`.
        contract: Digest of the contract, or None.
        args: Arguments as JSON text.
        effect: What the call changes: `read`, `internal`, `external` or `irreversible`.
        idempotency_key: Key that the backend is given, or None.
    """

    kind: ClassVar[str] = "tool.call"
    tool: str
    contract: str | None = None
    args: bytes
    effect: str
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolReturned:
    """A tool call ended.

    Attributes:
        result: Result as JSON text, or None when it failed.
        error: Structured error, or None.
        attempts: Attempts that reached the backend.
        breaker: State of the breaker after it, or None.
    """

    kind: ClassVar[str] = "tool.result"
    result: bytes | None = None
    error: Mapping[str, Any] | None = None
    attempts: int = 1
    breaker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """The process drew a non-deterministic value.

    Attributes:
        source: `clock`, `uuid` or `random`, with the function, for example `clock.time`; or `process.order`: an equal command of the
            run was running when this one came up, and nothing tells which was started first.
        site: Place in the code that read it, `file:line`.
        ordinal: How many times that place had read it before.
        value: What it got, as text that the hook can read back.
    """

    kind: ClassVar[str] = "draw"
    source: str
    site: str
    ordinal: int
    value: str

    @property
    def is_order(self) -> bool:
        """Whether chance decided which of two equal commands is which: the one draw that a replay cannot play."""
        return self.source == "process.order"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostContacted:
    """The process looked up or connected to a host.

    Attributes:
        host: Name or address.
        port: Port, or None for a look-up.
        inside: Whether it was the gateway or loopback, rather than a way around it.
    """

    kind: ClassVar[str] = "egress"
    host: str
    port: int | None = None
    inside: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextEdited:
    """A policy removed something from a request.

    Attributes:
        policy: Name of the policy.
        ledger: One entry for each removed span: digest, tokens, reason, pointer.
        removed: The removed spans as JSON text, in the order of the ledger.
    """

    kind: ClassVar[str] = "edit"
    policy: str
    ledger: tuple[Mapping[str, Any], ...]
    removed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputHeld:
    """An output waits for a person.

    Attributes:
        hold: Id of the hold.
        reason: Why it is held.
    """

    kind: ClassVar[str] = "hold"
    hold: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """A call was refused.

    Attributes:
        code: Code of the refusal, for example `loop_limit`.
        reason: What the caller was told.
    """

    kind: ClassVar[str] = "deny"
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunClosed:
    """A run ended."""

    kind: ClassVar[str] = "run.close"
    state: RunState


Event = (
    RunOpened
    | ModelRequest
    | ModelResponse
    | ToolCalled
    | ToolReturned
    | Draw
    | HostContacted
    | ContextEdited
    | OutputHeld
    | Denied
    | RunClosed
)
"""Everything that can be written about a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """An event as it stands in the log.

    Attributes:
        seq: Its number in the run, from 1.
        at_ns: When, Unix nanoseconds UTC.
        mono_ns: When, on the writer's monotonic clock; differences within one writer are exact.
        tap: Where it was seen.
        call: The call it belongs to; request and response of one call share it. Empty for none.
        digest: Hash over this event and the digest of the one before it, hex.
        event: What happened.
    """

    seq: int
    at_ns: int
    mono_ns: int
    tap: Tap
    call: str
    digest: str
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """The row of a run in a list.

    Attributes:
        run: Run id, 32 hex digits.
        agent: Agent.
        version: Version digest, or None.
        identity: How its calls were found to belong to it; the weakest of all of them.
        state: Whether it goes on, or how it ended.
        opened_ns: First event, Unix nanoseconds UTC.
        last_ns: Last event.
        events: Number of events.
        calls: Number of model calls.
        lost: Events that could not be written.
        replayable: How much of it can be played again.
        subject: Data subject of its content.
        head: Digest of the last event: what evidence refers to.
    """

    run: str
    agent: str
    version: str | None
    identity: IdentitySource
    state: RunState
    opened_ns: int
    last_ns: int
    events: int
    calls: int
    lost: int
    replayable: Replayable
    subject: str
    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """A run read back, up to its last good event.

    Attributes:
        summary: What a list shows.
        events: Events in order.
        damage: What is wrong after the last of them and where, or None.
    """

    summary: RunSummary
    events: tuple[LoggedEvent, ...]
    damage: str | None = None

    @property
    def is_cut(self) -> bool:
        """Whether whoever recorded it was killed, once at least, also where the run went on afterwards."""
        return any(
            isinstance(one.event, RunClosed) and one.event.state is RunState.CUT for one in self.events
        )
