# SPDX-License-Identifier: Apache-2.0
"""What the gateway must obey for one agent, compiled from its charter, and everything it looks up by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from pilothouse.core.verdict.routing import Reach
from pilothouse.ports.gateway import Provider, VirtualKey
from pilothouse.runtime.context.edits import EditPolicy

__all__ = ["PICO", "AgentPolicy", "Budget", "ConfidenceRule", "Directory", "Guard", "Limits", "Pin"]


PICO = 10**12
"""Pico-dollars in a dollar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One exact model at one provider.

    Attributes:
        provider: Name of the provider.
        model: Exact id.
        region: Region that the charter says, or None.
        proven: Whether it may stand in: it passed the release gate, or nobody asks for that.
        asks: Whether it may stand in only while its own version holds at the release gate.
        version: Version digest of the agent with this pin in place of its own, or None for its own and where nothing can be read.
        window_tokens: Tokens that it reads and writes together, as the charter says, or None.
        served_as: Other names under which its provider says that it answered.
        fingerprint: What an answer of a backend does that is not among `fingerprints`.
        fingerprints: Backends that it was tested on.
    """

    provider: str
    model: str
    region: str | None = None
    proven: bool = True
    asks: bool = False
    version: str | None = None
    window_tokens: int | None = None
    served_as: frozenset[str] = frozenset()
    fingerprint: Literal["alert", "refuse", "ignore"] = "alert"
    fingerprints: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long and how often; each has the default that the reference names.

    Attributes:
        total_s: Whole call without streaming.
        stream_total_s: Whole call with streaming.
        first_byte_s: How long a stream may say nothing before its first content.
        idle_s: Between two chunks of a stream.
        client_s: How long a client may take nothing.
        attempts: Attempts in all.
        member_attempts: Attempts at one member of the chain while another is left.
        retry_after_s: Longest `Retry-After` that is waited for at the same member while another is left.
    """

    total_s: float = 120.0
    stream_total_s: float = 600.0
    first_byte_s: float = 60.0
    idle_s: float = 30.0
    client_s: float = 60.0
    attempts: int = 4
    member_attempts: int = 2
    retry_after_s: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent, or from where on somebody is told of it; None is no limit.

    Attributes:
        usd_per_run: US dollars of one run.
        usd_per_day: US dollars of the agent on one day (UTC).
        tokens_per_run: Tokens of one run.
        tokens_per_day: Tokens of the agent on one day (UTC).
        calls_per_run: Model calls of one run: a loop without end stops there.
    """

    usd_per_run: Decimal | None = None
    usd_per_day: Decimal | None = None
    tokens_per_run: int | None = None
    tokens_per_day: int | None = None
    calls_per_run: int = 50
    pico_per_run: int | None = field(init=False, repr=False, compare=False)
    """`usd_per_run` in pico-dollars, as spending is counted: each call is held against it."""
    pico_per_day: int | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pico_per_run", _pico(self.usd_per_run))
        object.__setattr__(self, "pico_per_day", _pico(self.usd_per_day))

    @property
    def needs_price(self) -> bool:
        """Whether a price must be known before a call."""
        return self.usd_per_run is not None or self.usd_per_day is not None


def _pico(usd: Decimal | None) -> int | None:
    return None if usd is None else int(usd * PICO)


HOLD_LIFE = timedelta(hours=24)
"""How long a held answer waits for a person where the charter leaves it open; afterwards it is rejected by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What happens to a final answer that breaks the output schema.

    Attributes:
        schema: JSON Schema, as text.
        on_invalid: What happens to one that no repair cured.
        repairs: Times the model is asked again with the error.
    """

    schema: str
    on_invalid: Literal["hold", "reject", "pass"]
    repairs: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceRule:
    """From which confidence a final answer goes out without a person.

    Attributes:
        field: Field of the answer, a JSON object, in which the model states its confidence.
        threshold: Lowest confidence of an automatic answer; None while none is shown valid, and then all are held.
    """

    field: str
    threshold: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPolicy:
    """What holds for one agent.

    Attributes:
        agent: Agent id.
        charter: Digest of the charter in force, or None without one.
        chain: The pin, then its stand-ins; empty without a charter.
        refuse_mismatch: Whether an answer of another model is refused; in the environment `pilot` it is only told.
        regions: Regions that calls may go to, or None for any.
        limits: Deadlines and attempts.
        budget: What may be spent.
        guard: What happens to invalid answers, or None.
        confidence: What happens to answers of low confidence, or None.
        hold_life: How long a person may take for an answer that is held, whatever it is held for.
        version: Version digest that serves, or None when unknown.
        answers_under: Digest of what the charter says of guarding answers: a count under other terms is another one.
        task_type: The only task type, or None.
        edits: What is taken out of a long request, or None for nothing.
        inject_usage: Whether chat streams are asked for their usage where their client does not.
        fallback_when_refused: Whether a stand-in answers when a provider refuses the credential.
        alert: Lower limits at which somebody is told and nothing is refused, or None.
        refuses_provider_edits: Whether a request that lets its provider shorten it is refused.
        reach: Whom the agent serves in the phase in force, or None for everybody.
        record_demanded: Why every call must be recorded, whatever its key says, or empty.
        problem: Why no call may be made, or empty: a charter that cannot be read forbids everything, not nothing.
    """

    agent: str
    charter: str | None = None
    chain: tuple[Pin, ...] = ()
    refuse_mismatch: bool = True
    regions: frozenset[str] | None = None
    limits: Limits = field(default_factory=Limits)
    budget: Budget = field(default_factory=Budget)
    guard: Guard | None = None
    confidence: ConfidenceRule | None = None
    hold_life: timedelta = HOLD_LIFE
    version: str | None = None
    answers_under: str | None = None
    task_type: str | None = None
    edits: EditPolicy | None = None
    inject_usage: bool = False
    fallback_when_refused: bool = False
    alert: Budget | None = None
    refuses_provider_edits: bool = False
    reach: Reach | None = None
    record_demanded: str = ""
    problem: str = ""

    @property
    def looks_at_answers(self) -> bool:
        """Whether final answers are looked at before they are sent."""
        return self.guard is not None or self.confidence is not None

    def of_version(self, version: str | None) -> AgentPolicy:
        """Return the same terms for a version that was launched before, or elsewhere: which ones its stand-ins are nobody knows."""
        if version == self.version:
            return self
        return replace(self, version=version, chain=tuple(replace(pin, version=None) for pin in self.chain))


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Keys, providers and policies at one moment; replaced as a whole when one of them changes.

    Attributes:
        keys: Keys by prefix.
        providers: Providers by name.
        policies: Policies by agent.
    """

    keys: Mapping[str, VirtualKey]
    providers: Mapping[str, Provider]
    policies: Mapping[str, AgentPolicy]

    def policy_of(self, key: VirtualKey) -> AgentPolicy:
        """Return the policy of a key: its agent's terms, for the version that was launched with it.

        What lies beside the charter by now is another version than a process that was started before, or elsewhere. A
        threshold was proven for the version beside the charter alone, so another one's answers wait for a person.
        """
        policy = self.policies.get(key.agent) or AgentPolicy(agent=key.agent)
        if key.version is None or key.version == policy.version:
            return policy
        rule = None if policy.confidence is None else replace(policy.confidence, threshold=None)
        return replace(policy.of_version(key.version), confidence=rule)
