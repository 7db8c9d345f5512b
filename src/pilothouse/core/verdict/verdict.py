# SPDX-License-Identifier: Apache-2.0
"""The records of a verdict: status, reason and every number behind it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from pilothouse.core.evidence.evidence import Scope

__all__ = [
    "STOPPING_PARTS",
    "AdditionVerdict",
    "AgentVerdict",
    "DomainVerdict",
    "GateVerdict",
    "ItemVerdict",
    "PartWaiverMark",
    "Reason",
    "RequirementVerdict",
    "Status",
    "WaiverMark",
    "worst_status",
]


class Status(StrEnum):
    """The four words; their order of declaration is from worst to best."""

    BREACHED = "breached"
    NO_EVIDENCE = "no_evidence"
    AT_RISK = "at_risk"
    HOLDS = "holds"


class Reason(StrEnum):
    """Why there is no evidence."""

    MISSING = "missing"
    INSUFFICIENT = "insufficient"
    STALE = "stale"


STOPPING_PARTS = ("critical", "bypass")
"""How the parts of items begin of which a breach stops an agent at once."""

_ORDER = {status: rank for rank, status in enumerate(Status)}


def worst_status(statuses: tuple[Status, ...]) -> Status:
    """Return the worst of some statuses; none at all is no evidence, never a pass.

    Example:
        >>> worst_status((Status.HOLDS, Status.AT_RISK)).value
        'at_risk'
        >>> worst_status(()).value
        'no_evidence'
    """
    return min(statuses, key=_ORDER.__getitem__, default=Status.NO_EVIDENCE)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class WaiverMark(_Frozen):
    """A signed permission to proceed, shown beside the status and never instead of it."""

    signer: str
    reason: str
    until: AwareDatetime


class PartWaiverMark(WaiverMark):
    """A signed permission that stands for what it covers while something beside it is not known.

    Attributes:
        uncovered: Places of the items, among those of the requirement, that nobody knows and no signature covers.
    """

    uncovered: tuple[int, ...]


class ItemVerdict(_Frozen):
    """One requirement for one scope.

    Attributes:
        requirement: Requirement id, for example `MON-7`.
        scope: The part of the agent.
        status: One of four words.
        reason: Why there is no evidence; None otherwise.
        kind: Kind of evidence that decides it, or empty when the charter alone does.
        rule: The rule in words, with its bound.
        sentence: One computed sentence.
        value: Measured value, or None.
        low: Lower end of the shown interval, or None.
        high: Upper end, or None.
        bound: The committed bound, or None.
        unit: `rate`, `usd`, `seconds`, `count`, `days` or empty.
        n: Cases behind it; 0 when there are none.
        n_needed: Cases that would decide it, or None when the rule has no such number.
        window_from: Start of the window, or None.
        window_to: End of the window, or None.
        age_days: Age at the moment of the verdict, or None.
        lapses_at: When the evidence stops counting, or None.
        basis: `measured`, `attested` or `imported`, or None without evidence.
        signer: Who attested it, or None.
        source: The command or query behind the evidence, or empty.
        evidence: Digest of the record that decides it, or None.
        method: How the interval was made, or empty.
        items: Ids of cases that a reader can open.
        remedy: The command that will improve it, typable.
        who: Person ids who must act.
    """

    requirement: str
    scope: Scope
    status: Status
    reason: Reason | None = None
    kind: str = ""
    rule: str
    sentence: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    unit: str = ""
    n: int = 0
    n_needed: int | None = None
    window_from: AwareDatetime | None = None
    window_to: AwareDatetime | None = None
    age_days: float | None = None
    lapses_at: AwareDatetime | None = None
    basis: str | None = None
    signer: str | None = None
    source: str = ""
    evidence: str | None = None
    method: str = ""
    items: tuple[str, ...] = ()
    remedy: str = ""
    who: tuple[str, ...] = ()

    def altered(self, fields: Mapping[str, Any]) -> ItemVerdict:
        """Return the item with other values in some fields, which are not checked.

        `model_copy` does the same for ten times the time, and every verdict alters every item.
        """
        made = ItemVerdict.__new__(ItemVerdict)
        put = object.__setattr__  # the model itself is frozen
        put(made, "__dict__", {**self.__dict__, **fields})
        put(made, "__pydantic_fields_set__", self.__pydantic_fields_set__)
        put(made, "__pydantic_extra__", None)
        put(made, "__pydantic_private__", None)
        return made


class RequirementVerdict(_Frozen):
    """A requirement: the worst of its items.

    Attributes:
        requirement: Requirement id.
        domain: `INT`, `EVAL`, `MON`, `OWN`, `DATA`, `Q` or `PROD`.
        statement: What must hold, in a few words.
        gates: Gates that need it: `1`, `2`, `3`, `R`, `X`.
        status: The worst status of its items.
        reason: Reason of the deciding item.
        deciding: The item that decides it.
        items: Every item, worst first.
        waiver: A waiver beside the status, or None.
        part_waiver: A waiver of every breach, beside which something is not known that it does not cover; or None.
    """

    requirement: str
    domain: str
    statement: str
    gates: tuple[str, ...]
    status: Status
    reason: Reason | None
    deciding: ItemVerdict
    items: tuple[ItemVerdict, ...]
    waiver: WaiverMark | None = None
    part_waiver: PartWaiverMark | None = None

    @property
    def unwaived_status(self) -> Status | None:
        """The status without the waived items; None where all are waived."""
        if self.waiver is not None:
            return None
        return self.status if self.part_waiver is None else Status.NO_EVIDENCE


class DomainVerdict(_Frozen):
    """A domain: the worst requirement that the next gate needs."""

    domain: str
    title: str
    status: Status
    reason: Reason | None
    worst: str


class GateVerdict(_Frozen):
    """A gate: the worst of its requirements, with both kinds of trouble counted.

    A gate beyond the phase asks for more items than the phase does, so a waiver may stand beside a requirement here and not
    there, and the other way round.
    """

    gate: str
    status: Status
    reason: Reason | None
    worst: str
    breached: tuple[str, ...]
    no_evidence: tuple[str, ...]
    at_risk: tuple[str, ...]
    holds: tuple[str, ...]
    waived: tuple[str, ...] = ()

    @property
    def closed(self) -> tuple[str, ...]:
        """The requirements that keep it closed: neither holding nor waived for this gate, breaches first."""
        return tuple(name for name in (*self.breached, *self.no_evidence) if name not in self.waived)


class AdditionVerdict(_Frozen):
    """The verdict about an addition that counts apart.

    Attributes:
        what: `task type`, `integration`, `tool` or `users`.
        name: Its name in the charter.
        phase: The phase it is in by itself.
        since: Since when.
        status: Worst of what its phase asks for, the items of the agent as a whole among them.
        reason: Reason of the deciding requirement.
        word: The word of its own decision.
        sentence: The computed sentence about it.
        breach: Its worst item that speaks of it alone and is breached, or None.
    """

    what: str
    name: str
    phase: str
    since: AwareDatetime
    status: Status
    reason: Reason | None
    word: str
    sentence: str
    breach: ItemVerdict | None = None

    @property
    def label(self) -> str:
        """What it is called, for example `task type refunds`."""
        return f"{self.what} {self.name}"


class AgentVerdict(_Frozen):
    """The verdict about one agent at one moment: everything that holds, is breached, or is unknown.

    There is no sum, no percentage and no grade in it: the worst item decides.

    Attributes:
        agent: Agent id.
        version: Version digest that is judged, or None when no traffic named one.
        phase: Phase the agent is in.
        as_of: The moment, aware UTC.
        charter_digest: Digest of the charter in force.
        status: Worst of the gates of the phase it is in.
        reason: Reason of the deciding requirement.
        deciding: Id of the deciding requirement.
        sentence: The computed first sentence.
        word: `GO`, `GO WITH CONDITIONS`, `NO-GO` or `NOT ENOUGH EVIDENCE`.
        next_gate: The gate beyond those in force, or None in phase 3.
        next_lapse_at: Earliest lapse among the evidence that counts, or None.
        domains: The five domains.
        gates: The gates, the one that decides `status` first; a gate includes those before it.
        requirements: All requirements, in framework order.
        notes: Warnings about the judgement itself, for example a gap in telemetry.
        additions: What came into the scope and counts apart; nothing that speaks of it alone decides `status`.
    """

    agent: str
    version: str | None
    phase: str
    as_of: AwareDatetime
    charter_digest: str
    status: Status
    reason: Reason | None
    deciding: str
    sentence: str
    next_gate: str | None
    word: str
    next_lapse_at: AwareDatetime | None
    domains: tuple[DomainVerdict, ...]
    gates: tuple[GateVerdict, ...]
    requirements: tuple[RequirementVerdict, ...]
    notes: tuple[str, ...] = ()
    additions: tuple[AdditionVerdict, ...] = ()
