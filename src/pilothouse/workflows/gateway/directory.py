# SPDX-License-Identifier: Apache-2.0
"""Compile what the gateway must obey from charters, keys and providers, and keep it in memory while it serves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.models import AlertLimits, CallLimits, FallbackPin
from pilothouse.core.evidence.binding import terms_digest
from pilothouse.core.evidence.evidence import Evidence, Scope
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.evidence.releases import RELEASE_VERDICT, standing_releases
from pilothouse.core.verdict.routing import reach_of
from pilothouse.errors import CharterError
from pilothouse.ports.gateway import GatewayStore
from pilothouse.ports.ledger import CharterInForce, Ledger
from pilothouse.runtime.context.edits import EditPolicy
from pilothouse.runtime.gateway.policy import (
    HOLD_LIFE,
    AgentPolicy,
    Budget,
    ConfidenceRule,
    Directory,
    Guard,
    Limits,
    Pin,
)
from pilothouse.workflows.gateway.launch import stand_in_version, summarize_charter
from pilothouse.workflows.gateway.recording import record_demanded
from pilothouse.workflows.gateway.routing_in_force import FRESH, THRESHOLD, routed_types, threshold_in_force
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.phase_log import additions_of, phase_now
from pilothouse.workflows.ground.renewed import Renewed

__all__ = ["DirectoryCache", "compile_policy", "versions_that_hold"]

REPAIRS_MAX = 3
"""A model that breaks its schema four times in a row is not repaired by asking."""

VERSION_EVERY_S = 30.0
"""Files beside a charter are read again this often, of one agent at each look: git takes some 50 ms, and a revoked key waits
for the same look. So long at most are calls by a key without a version taken for the version of before."""

PROOF_EVERY_S = 30.0
"""A release verdict or a threshold is found within half a minute; looking reads all evidence of an agent."""

SILENT_SHARE = 0.5
"""Of a deadline that the charter says, how long a stream may say nothing: a model that thinks for minutes often does, and the
other half is left for a stand-in."""

REFRESH_EVERY_S = 1.0
"""A revoked key stops within two seconds; a look that finds the ledger as it was costs one small query."""


def compile_policy(charter: Charter, record: CharterInForce) -> AgentPolicy:
    """Compile a charter into what the gateway checks on every call.

    What is still open in the charter binds nobody: without a pin there is no chain.
    """
    pin = charter.model.pin
    chain = []
    if not is_open(pin.model) and not is_open(pin.provider):
        window = None if charter.model.limits is None else charter.model.limits.window_tokens
        chain.append(replace(_pin(pin), window_tokens=window))
        asks = known(charter.model.require_evidence) is not False
        chain += [
            _stand_in(_pin(stand_in), Path(record.path), asks=asks)
            for stand_in in known(charter.model.fallback) or ()
            if not is_open(stand_in.model) and not is_open(stand_in.provider)
        ]
    regions = known(charter.residency.regions)
    only = next(iter(charter.task_types)) if len(charter.task_types) == 1 else None
    return AgentPolicy(
        agent=record.agent,
        charter=record.digest,
        chain=tuple(chain),
        regions=None if regions is None or any(is_open(region) for region in regions) else frozenset(regions),
        limits=_limits(charter),
        budget=_budget(charter),
        guard=_guard(charter, record),
        confidence=_confidence(charter),
        hold_life=_hold_life(charter),
        edits=_edits(charter),
        inject_usage=charter.model.inject_usage,
        fallback_when_refused=charter.model.fallback_when_refused,
        alert=_alert(charter),
        refuses_provider_edits=charter.context.provider_edits == "refuse",
        version=summarize_charter(Path(record.path)).version,
        answers_under=terms_digest(charter, kind_named("output_schema"), Scope()),
        task_type=only,
    )


def _pin(said: FallbackPin) -> Pin:
    return Pin(
        provider=said.provider,
        model=said.model,
        region=known(said.region),
        served_as=frozenset(said.served_as),
        fingerprint=said.fingerprint,
        fingerprints=frozenset(said.fingerprints),
    )


def _stand_in(pin: Pin, path: Path, *, asks: bool) -> Pin:
    said = {"provider": pin.provider, "model": pin.model, "region": pin.region}
    return replace(pin, proven=not asks, asks=asks, version=stand_in_version(path, said))


def versions_that_hold(
    records: Sequence[Evidence], age_max: timedelta | None, now: datetime
) -> frozenset[str]:
    """Return the versions whose newest release verdict passed and is not too old.

    Args:
        records: Evidence of one agent.
        age_max: `release.verdict_max_age` of its charter, or None for any age.
        now: The moment, aware UTC.

    Example:
        >>> from datetime import UTC
        >>> versions_that_hold((), None, datetime(2026, 1, 1, tzinfo=UTC))
        frozenset()
    """
    return frozenset(
        version
        for version, record in standing_releases(records).items()
        if record.passed and (age_max is None or now - record.window_to <= age_max)
    )


def _limits(charter: Charter) -> Limits:
    said = charter.model.limits
    if said is None or said.deadline is None:
        return Limits()
    seconds, usual = said.deadline.total_seconds(), Limits()
    silent_s = seconds * SILENT_SHARE
    return Limits(
        total_s=seconds,
        stream_total_s=seconds,
        first_byte_s=max(usual.first_byte_s, silent_s),
        idle_s=max(usual.idle_s, silent_s),
    )


def _budget(charter: Charter) -> Budget:
    said = charter.model.limits
    if said is None:
        return Budget()
    calls = Budget().calls_per_run if said.calls_per_run is None else said.calls_per_run
    return replace(_spending(said), calls_per_run=calls)


def _alert(charter: Charter) -> Budget | None:
    said = charter.model.limits
    if said is None or said.alert is None:
        return None
    return replace(_spending(said.alert), calls_per_run=_budget(charter).calls_per_run)


def _spending(said: CallLimits | AlertLimits) -> Budget:
    return Budget(
        usd_per_run=None if said.usd_per_run is None else Decimal(str(said.usd_per_run)),
        usd_per_day=None if said.usd_per_day is None else Decimal(str(said.usd_per_day)),
        tokens_per_run=said.tokens_per_run,
        tokens_per_day=said.tokens_per_day,
    )


def _guard(charter: Charter, record: CharterInForce) -> Guard | None:
    """Return the guard of final answers; None while the charter leaves it open.

    A schema that is lost meanwhile is one that no answer has: what the charter asks for is not dropped with a file.
    """
    schema, action = known(charter.guardrails.schema_path), known(charter.guardrails.on_invalid)
    if schema is None or action is None:
        return None
    try:
        text = (Path(record.path).parent / schema).read_text(encoding="utf-8")
    except (OSError, ValueError):  # not there, not ours to read, no text, or no name of a file
        text = ""
    return Guard(
        schema=text,
        on_invalid="reject" if action == "reject" else "hold",
        repairs=min(known(charter.guardrails.repair) or 0, REPAIRS_MAX),
    )


def _confidence(charter: Charter) -> ConfidenceRule | None:
    """Return the rule for unsure answers, its threshold still unknown; None unless the charter asks for it."""
    field = charter.guardrails.confidence
    return ConfidenceRule(field=field) if field is not None and routed_types(charter) else None


def _hold_life(charter: Charter) -> timedelta:
    """Return the shortest time that a type gives people for a held answer: a call does not say its type."""
    lives = [known(terms.routing.hold_deadline) for terms in charter.task_types.values()]
    return min((life for life in lives if life is not None), default=HOLD_LIFE)


def _edits(charter: Charter) -> EditPolicy | None:
    """Return what is taken out of long requests; None unless the charter says so by policy and by edit."""
    edits = charter.context.edits
    if charter.context.policy != "shorten_visibly" or edits is None or edits.is_empty:
        return None
    return EditPolicy(
        from_share=EditPolicy().from_share if edits.from_share is None else edits.from_share,
        drop_duplicates=edits.duplicates,
        externalize_characters=edits.large,
        keep_last=edits.keep_last,
        pinned=edits.pinned,
    )


class DirectoryCache(Renewed[Directory]):
    """Keys, providers and policies in memory, kept up to date by a thread of its own.

    Args:
        ledger: Where charters stand.
        store: Where keys and providers stand.
        now: Tells the time, aware UTC: a release verdict gets old.
        state: Returns a text that is another one once the ledger has changed; None to read everything at each look.
        compiled: Compiles a charter.
        every_s: Pause between two looks, seconds.
        on_note: Told when they cannot be read, and when they can again.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: GatewayStore,
        *,
        now: Callable[[], datetime],
        state: Callable[[], str] | None = None,
        compiled: Callable[[Charter, CharterInForce], AgentPolicy] = compile_policy,
        every_s: float = REFRESH_EVERY_S,
        on_note: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._now = now
        self._compiled = compiled
        self._known: dict[str, tuple[str, Charter, AgentPolicy]] = {}
        self._compiled_at: dict[str, float] = {}
        self._shown: dict[str, tuple[float, frozenset[str], float | None]] = {}
        super().__init__(
            self._read,
            what="keys and charters of the gateway",
            every_s=every_s,
            state=state,
            is_due=self._is_due,
            on_note=on_note,
        )

    def directory(self) -> Directory:
        """Return what is in force, at most a refresh old."""
        return self.value

    def _is_due(self) -> bool:
        now = time.monotonic()
        return any(now - looked >= PROOF_EVERY_S for looked, _, _ in self._shown.values()) or (
            now - min(self._compiled_at.values(), default=now) >= VERSION_EVERY_S
        )

    def _read(self) -> Directory:
        return Directory(
            keys=MappingProxyType({key.prefix: key for key in self._store.list_keys()}),
            providers=MappingProxyType({one.name: one for one in self._store.providers()}),
            policies=MappingProxyType(dict(self._policies())),
        )

    def _policies(self) -> Mapping[str, AgentPolicy]:
        found = {}
        oldest = min(self._compiled_at, key=self._compiled_at.__getitem__, default=None)
        for record in self._ledger.charters():
            known_before = self._known.get(record.agent)
            if known_before is None or known_before[0] != record.digest:
                try:
                    charter = charter_of(record)
                except CharterError as error:  # of one agent, and no other waits for it
                    self._compiled_at.pop(record.agent, None)
                    found[record.agent] = AgentPolicy(
                        agent=record.agent, charter=record.digest, problem=error.message
                    )
                    continue
                known_before = (record.digest, charter, self._compiled(charter, record))
                self._known[record.agent] = known_before
                self._compiled_at[record.agent] = time.monotonic()
                self._shown.pop(record.agent, None)  # shown under another charter
            elif record.agent == oldest:
                self._look_at_files(known_before, record)
            _, charter, compiled = self._known[record.agent]
            policy = self._proven(compiled, charter)
            additions, phase = additions_of(self._ledger, record.agent), phase_now(self._ledger, record.agent)
            found[record.agent] = replace(
                policy,
                reach=reach_of(charter, phase, additions),
                record_demanded=record_demanded(charter, phase),
            )
        return found

    def _look_at_files(self, known_before: tuple[str, Charter, AgentPolicy], record: CharterInForce) -> None:
        """Take prompts and code that changed beside the same charter for the other version that they are."""
        if time.monotonic() - self._compiled_at[record.agent] < VERSION_EVERY_S:
            return
        digest, charter, policy = known_before
        present = self._compiled(charter, record)
        self._compiled_at[record.agent] = time.monotonic()
        # A folder that is away is no other version.
        if present.version is not None and present.version != policy.version:
            policy = replace(policy, version=present.version, chain=present.chain)
            self._known[record.agent] = (digest, charter, policy)
            self._shown.pop(record.agent, None)  # a threshold was proven for the version before

    def _proven(self, policy: AgentPolicy, charter: Charter) -> AgentPolicy:
        """Let those stand in whose own release gate holds now, and answers go out alone from a proven confidence on."""
        if policy.confidence is None and not any(pin.asks for pin in policy.chain):
            self._shown.pop(policy.agent, None)
            return policy
        looked, held, threshold = self._shown.get(policy.agent, (float("-inf"), frozenset(), None))
        if time.monotonic() - looked >= PROOF_EVERY_S:
            now, age_max = self._now(), known(charter.release.verdict_max_age)
            gates = self._ledger.evidence(
                policy.agent, since=None if age_max is None else now - age_max, kinds=(RELEASE_VERDICT,)
            )
            held = versions_that_hold(gates, age_max, now)
            records = self._ledger.evidence(policy.agent, since=now - FRESH, kinds=(THRESHOLD,))
            threshold = threshold_in_force(records, charter, policy.version, now)
            self._shown[policy.agent] = (time.monotonic(), held, threshold)
        chain = tuple(replace(pin, proven=pin.version in held) if pin.asks else pin for pin in policy.chain)
        rule = None if policy.confidence is None else replace(policy.confidence, threshold=threshold)
        return replace(policy, chain=chain, confidence=rule)
