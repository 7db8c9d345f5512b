# SPDX-License-Identifier: Apache-2.0
"""A record of evidence: what was measured or signed, its source, its subject, and how long it counts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "INCIDENT",
    "REST",
    "REST_BAD",
    "REST_WORTH",
    "UNKNOWN",
    "WARNINGS",
    "WORTH",
    "Basis",
    "Binding",
    "Evidence",
    "Scope",
    "Source",
]

RATE_SUM_TOLERANCE = 1e-9
"""How far a stated value may lie from good/n before the record contradicts itself."""

ITEMS_MAX = 50
"""Examples kept in one record; enough to open a few real cases, small enough to read."""

WARNINGS = "warnings"
"""Name among `counts` of the warnings that a passed fact gives: it holds, and its detail says what is at risk."""

UNKNOWN = "unknown"
"""Name among `counts` of what nobody could tell: a fact with some and without `passed` neither passed nor failed."""

INCIDENT = "incident"
"""Name among `counts` of the number of the incident that is to be replayed, or reviewed, next."""

WORTH = "worth"
"""Name among `counts` of the independent cases that those of a record are worth, where turns of one conversation are among them."""

REST = "rest"
"""Name among `counts` of the cases without the largest conversations, where these let all others be worth too little."""

REST_BAD = "rest_bad"
"""Name among `counts` of the surely bad cases of that rest."""

REST_WORTH = "rest_worth"
"""Name among `counts` of the independent cases that the rest is worth."""


class Basis(StrEnum):
    """The basis of a record: measured, attested or imported; a signature never replaces a measurement."""

    MEASURED = "measured"
    ATTESTED = "attested"
    IMPORTED = "imported"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Binding(_Frozen):
    """What a record was made against; when one of these changes, the record is stale.

    Attributes:
        version: Version digest.
        section: Charter section name, with its digest in `section_digest`.
        section_digest: Digest of that section as it was signed or measured against.
        contract: Digest of the contracts, or of the terms of the charter, that it was measured under.
        dataset: Dataset digest.
        judge: Judge identity digest.
        person: Person id.
    """

    version: str | None = None
    section: str | None = None
    section_digest: str | None = None
    contract: str | None = None
    dataset: str | None = None
    judge: str | None = None
    person: str | None = None


class Scope(_Frozen):
    """The part of the agent that a record or a verdict item speaks of.

    Attributes:
        task_type: Task type, or None for all.
        integration: Integration, or None.
        tool: Tool, or None.
        duty: RACI duty, or None.
        phase: Phase, or None.
        part: Named part of a requirement that has several, for example `rate` or `drill`.
    """

    task_type: str | None = None
    integration: str | None = None
    tool: str | None = None
    duty: str | None = None
    phase: str | None = None
    part: str | None = None

    @property
    def label(self) -> str:
        """The scope in words, `all` when it is everything.

        Example:
            >>> Scope(task_type="po_invoice", part="rate").label
            'po_invoice · rate'
        """
        phase = f"phase {self.phase}" if self.phase else None
        parts = [self.task_type, self.integration, self.tool, self.duty, phase, self.part]
        return " · ".join(part for part in parts if part) or "all"


class Source(_Frozen):
    """The command or query that produced a record, so that it can be reproduced.

    Attributes:
        command: Command or query that made it.
        run_id: Run or pinned table version.
        node: Machine that made it.
    """

    command: str
    run_id: str = ""
    node: str = ""


class Evidence(_Frozen):
    """One measured or signed fact about one agent.

    A rate has `n` and `good` (whole numbers), so every bound can be computed again. A mean or a
    quantile carries `value`, `low` and `high` with its `method`. A fact has `passed`.

    Attributes:
        kind: What was measured, for example `completion` or `outcome`; see `core/evidence/kinds.py`.
        agent: Agent id.
        binds: What the record is about.
        scope: Part of the agent it speaks of.
        window_from: Start of the window, aware UTC, inclusive.
        window_to: End of the window, aware UTC, exclusive; age counts from here.
        n: Cases behind it, at least 1. Nothing measured is no record.
        good: Cases that were good (for rates), or None.
        value: The measured value in the unit of its kind, or None for a pure fact.
        low: Lower end of the 95 % interval, or None.
        high: Upper end, or None.
        method: How the interval was made; of an anchor, the scorers that it is measured by.
        passed: For facts: whether it passed; None otherwise, and for one of which that is not known.
        detail: One short sentence with names and numbers, no payload.
        items: Ids of up to `ITEMS_MAX` cases behind it, worst first.
        counts: Further whole numbers by name, for example `{"unverifiable": 28}`.
        source: What made it.
        basis: Measured, attested or imported.
        signer: Who signed, for attested records.
        recorded_at: When it was written, aware UTC.
        written: Its place in the order in which a ledger wrote records, which no clock moves; None where nobody knows it. It is
            no part of the content.
    """

    kind: str = Field(pattern=r"^[a-z0-9_.-]{2,64}$")
    agent: str
    binds: Binding = Binding()
    scope: Scope = Scope()
    window_from: AwareDatetime
    window_to: AwareDatetime
    n: int = Field(ge=1)
    good: int | None = Field(default=None, ge=0)
    value: float | None = None
    low: float | None = None
    high: float | None = None
    method: str = ""
    passed: bool | None = None
    detail: str = Field(default="", max_length=2000)
    items: tuple[str, ...] = Field(default=(), max_length=ITEMS_MAX)
    counts: dict[str, int] = Field(default_factory=dict)
    source: Source
    basis: Basis = Basis.MEASURED
    signer: str | None = None
    recorded_at: AwareDatetime
    written: int | None = Field(default=None, ge=0, exclude=True, repr=False)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.window_to < self.window_from:
            raise ValueError("window_to lies before window_from")
        if self.good is not None and self.good > self.n:
            raise ValueError(f"good ({self.good}) is larger than n ({self.n})")
        if (
            self.good is not None
            and self.value is not None
            and abs(self.value - self.good / self.n) > RATE_SUM_TOLERANCE
        ):
            raise ValueError(f"value {self.value} is not good/n = {self.good}/{self.n}")
        if self.basis is Basis.ATTESTED and not self.signer:
            raise ValueError("an attested record names its signer")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("low lies above high")
        return self

    def __eq__(self, other: object) -> bool:
        """Equal content is one record, wherever it stands in the order of writing."""
        if not isinstance(other, Evidence):
            return NotImplemented
        return {**self.__dict__, "written": None} == {**other.__dict__, "written": None}

    def __hash__(self) -> int:
        """Equal records have equal hashes."""
        return hash((self.kind, self.scope, self.window_to, self.recorded_at))

    def age_days(self, now: datetime) -> float:
        """Age in days at `now` (aware UTC); never negative."""
        return max(0.0, (now - self.window_to).total_seconds() / 86_400)
