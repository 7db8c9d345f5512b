# SPDX-License-Identifier: Apache-2.0
"""The port of what the model gateway keeps: virtual keys of agents, providers, and what was spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from pilothouse.ports.runlog import RecordMode

__all__ = [
    "ANSWERS_A_DAY_MAX",
    "ANSWERS_KEPT_DAYS",
    "KEYS_MAX",
    "PROMISES_MAX",
    "PROVIDERS_MAX",
    "REPLAY_ENVIRONMENT",
    "RUNS_LEARNT_MAX",
    "RUN_SPENDING_LIFE",
    "THINGS_MAX",
    "AnswerOwners",
    "GatewayStore",
    "Promise",
    "Promises",
    "Provider",
    "RunSpending",
    "Spent",
    "ThingOwners",
    "VirtualKey",
    "WireProtocol",
]

KEYS_MAX = 10_000
"""Keys of one installation; the gateway holds them in memory, 1 kB each."""

REPLAY_ENVIRONMENT = "replay"
"""Environment of keys by which what was recorded is asked again: pins and budgets hold for them, but their calls are no
work of the agent, so they leave no run, no span, no count and no held answer."""

THINGS_MAX = 100_000
"""Conversations, files and the like that are remembered as one agent's, 200 bytes each: a hundred a day for almost three years."""

ANSWERS_KEPT_DAYS = 31
"""How long it is known whose a stored answer is: providers keep one for thirty days."""

ANSWERS_A_DAY_MAX = 100_000
"""Stored answers and items of one agent and day that are remembered as its own, 60 bytes each: 190 MB in a month of an agent that never rests."""

PROMISES_MAX = 2_000
"""Answers that one agent waits for at once; a row of 1 kB each, and an hour later none."""

PROVIDERS_MAX = 200
"""Providers of one installation."""


class WireProtocol(StrEnum):
    """The two protocols that the gateway speaks; it never translates one into the other."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualKey:
    """A key that an agent shows to the gateway instead of a provider's.

    Attributes:
        prefix: What it is called and looked up by; stands in clear in the key.
        digest: SHA-256 of the whole key, hex; the key itself is shown once and kept nowhere.
        agent: The agent that it stands for.
        environment: Deployment environment, for example `pilot`, or None.
        models: Exact models it may ask for; empty for those that the charter pins.
        spans: Whether the gateway writes a span for each call; off for an agent that sends its own.
        created_at: When it was made, aware UTC.
        created_by: Who made it.
        expires_at: When it stops working, or None.
        revoked_at: When it was revoked, or None.
        version: Version that was launched with it, or None: then the files beside the charter say which one calls.
        record: Whether its calls must be recorded, as whoever launched it chose, or None for what is usual. It binds where
            the charter demands nothing else.
        used_at: Its last use, at most an hour before the last one, aware UTC; None when none was noted.
        is_followed: Whether every use was noted since it was made; of other keys nobody knows that they were never used.
    """

    prefix: str
    digest: str
    agent: str
    environment: str | None = None
    models: tuple[str, ...] = ()
    spans: bool = True
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    version: str | None = None
    record: RecordMode | None = None
    used_at: datetime | None = None
    is_followed: bool = True

    @property
    def is_replay(self) -> bool:
        """Whether its calls only ask again what was recorded."""
        return self.environment == REPLAY_ENVIRONMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Where models are served, and where its credential is found; the credential itself is kept nowhere.

    Attributes:
        name: As a charter says it in `model.pin.provider`.
        url: Base address; a trailing `/v1` makes no difference.
        protocol: Which protocol it speaks.
        credential_variable: Environment variable of the server that holds the credential, or None.
        credential_file: File that holds it, or None.
        region: Where it answers, or None when unknown.
    """

    name: str
    url: str
    protocol: WireProtocol
    credential_variable: str | None = None
    credential_file: Path | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What the calls of one agent cost on one day (UTC).

    Attributes:
        usd_pico: Known cost in whole pico-dollars.
        tokens: All tokens.
        calls: Model calls.
        estimated: Calls among them whose tokens the provider did not report, or whose model has no price: they cost what was
            reserved for them.
    """

    usd_pico: int = 0
    tokens: int = 0
    calls: int = 0
    estimated: int = 0


@runtime_checkable
class GatewayStore(Protocol):
    """What the gateway keeps; durable when a method returns."""

    def add_key(self, key: VirtualKey) -> None:
        """Store a key; a prefix that is taken is a conflict."""
        ...

    def list_keys(self) -> Sequence[VirtualKey]:
        """Return every key, revoked and expired ones too, by agent and creation."""
        ...

    def revoke_key(self, prefix: str, at: datetime, *, actor: str) -> VirtualKey | None:
        """Revoke a key and return it; None when no key has that prefix."""
        ...

    def note_uses(self, uses: Mapping[str, datetime]) -> None:
        """Keep when keys were last used, by prefix; an earlier moment than is kept changes nothing."""
        ...

    def save_provider(self, provider: Provider, *, at: datetime, actor: str) -> None:
        """Store a provider, replacing an earlier one of that name."""
        ...

    def providers(self) -> Sequence[Provider]:
        """Return every provider, by name."""
        ...

    def remove_provider(self, name: str, *, at: datetime, actor: str) -> bool:
        """Delete a provider; return whether there was one."""
        ...

    def add_spent(self, day: date, spent: Mapping[str, Spent]) -> None:
        """Add to what agents spent on a day."""
        ...

    def spent(self, day: date) -> Mapping[str, Spent]:
        """Return what each agent spent on a day."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A call that a provider has accepted and will answer later: what fetching and accounting for the answer takes, and no content.

    Attributes:
        answer_id: Id by which the answer is fetched.
        agent: Who asked.
        key: Prefix of the key that was shown.
        run: Run id.
        call_id: Id of the call.
        identity: Where the run id came from.
        parent: Span that the call belongs to, or None.
        launch: Launch that its process belongs to, or None.
        asked: Model that was asked for.
        provider: Who took the call.
        model: Model that it was asked for.
        fallback: Why a stand-in took it, or `none`.
        attempts: Attempts until somebody took it.
        is_stream: Whether events were asked for.
        began_ns: When it was asked for, Unix nanoseconds.
        version: Version digest that served, or None.
        charter: Digest of the charter in force, or None.
        task_type: The only task type, or None.
        day: Day (UTC) to whose spending it belongs.
        usd_pico: What it is charged with until its answer says what it cost, pico-dollars.
        tokens: The same in tokens.
    """

    answer_id: str
    agent: str
    key: str
    run: str
    call_id: str
    identity: str
    parent: str | None = None
    launch: str | None = None
    asked: str
    provider: str
    model: str
    fallback: str = "none"
    attempts: int = 1
    is_stream: bool = False
    began_ns: int
    version: str | None = None
    charter: str | None = None
    task_type: str | None = None
    day: date
    usd_pico: int
    tokens: int


RUNS_LEARNT_MAX = 20_000
"""Runs of other gateways that are known: as many as a gateway counts by itself."""

RUN_SPENDING_LIFE = timedelta(days=1)
"""How long it is remembered what a run has spent that nobody adds to."""


@runtime_checkable
class RunSpending(Protocol):
    """What runs have spent at all gateways together, as far as they told; durable when a method returns."""

    def add(self, spent: Mapping[tuple[str, str], Spent], at: datetime) -> None:
        """Add to what runs have spent, by agent and run; forget those that nobody has added to for `RUN_SPENDING_LIFE`."""
        ...

    def since(self, at: datetime) -> Mapping[tuple[str, str], Spent]:
        """Return what runs have spent that somebody added to since a moment, at most the latest `RUNS_LEARNT_MAX`."""
        ...


@runtime_checkable
class Promises(Protocol):
    """Answers that come later, whichever process is asked for them; durable when a method returns.

    A promise is spent, by estimate, as long as it stands. Who ends it is the only one who does.
    """

    def keep(self, promise: Promise) -> Promise | None:
        """Store a promise and add its charge to its day; return the one of the same agent and id that it replaces.

        Raises:
            LimitExceeded: The agent waits for `PROMISES_MAX` already.
        """
        ...

    def find(self, answer_id: str) -> Sequence[Promise]:
        """Return the promises of an id, of whichever agents."""
        ...

    def end(self, promise: Promise, used: Spent | None) -> bool:
        """Remove a promise and replace its charge by what its call used; with None, usage unknown, the charge stays.

        Returns:
            Whether it still stood: else somebody else has ended it, and nothing was changed.
        """
        ...

    def take_overdue(self, before_ns: int) -> Sequence[Promise]:
        """Remove and return the promises of calls that began before a moment, at most a thousand; their charges stay."""
        ...


@runtime_checkable
class ThingOwners(Protocol):
    """Whose a conversation is that a provider keeps, a file, a container, a vector store, a prompt: the agent's that used it first.

    Durable when a method returns.
    """

    def owners(self, idents: Sequence[str]) -> Mapping[str, str]:
        """Return whose things are, by their ids, without those that nobody has used."""
        ...

    def claim(self, ident: str, agent: str, at: datetime) -> str:
        """Make something an agent's where it is nobody's, and return whose it is.

        Raises:
            LimitExceeded: The agent has `THINGS_MAX` already.
        """
        ...


@runtime_checkable
class AnswerOwners(Protocol):
    """Whose the answers are that providers keep, and their items: the agent's that was given them first. Durable when a method returns."""

    def owners(self, idents: Sequence[str]) -> Mapping[str, str]:
        """Return whose answers are, by their ids, without those that nobody is known to have been given."""
        ...

    def claim(self, given: Sequence[tuple[str, str]], at: datetime) -> int:
        """Assign answers, given by id and agent, unless they have an owner; delete those that no provider keeps any more.

        Returns:
            How many were one too many of their agent and day, and stay nobody's.
        """
        ...
