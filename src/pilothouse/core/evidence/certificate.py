# SPDX-License-Identifier: Apache-2.0
"""The findings of verifying one integration, and its evidence (certificate → evidence)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import minute
from pilothouse.core.evidence.binding import InForce, binding_in_force
from pilothouse.core.evidence.evidence import WARNINGS, Evidence, Scope, Source
from pilothouse.core.evidence.kinds import kind_named

__all__ = ["CERTIFICATE", "PROBES", "Certificate", "FaultRow", "ToolMatrix", "certificate_evidence"]

PROBES = {
    "credential": "integration.sign_in",
    "rate": "integration.rate",
    "freshness": "integration.freshness",
}
"""Probes of a whole integration and the kind of evidence each becomes."""


CERTIFICATE = "integration.certificate"
"""The kind that says of an integration that all of it was looked at."""

STABLE = timedelta(days=7)
"""So long an integration stands alone before its certificate is without a warning: as long as an agent stands still after a change of one."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FaultRow(_Frozen):
    """One injected fault and the observed behaviour.

    Attributes:
        fault: Its name.
        passed: Whether it was what must be seen.
        seen: In words.
    """

    fault: str
    passed: bool
    seen: str


class ToolMatrix(_Frozen):
    """Every fault of one tool.

    Attributes:
        tool: `name@version`.
        rows: One for each fault.
    """

    tool: str
    rows: tuple[FaultRow, ...]

    @property
    def failed(self) -> tuple[FaultRow, ...]:
        """Rows with an unexpected behaviour."""
        return tuple(row for row in self.rows if not row.passed)


class Certificate(_Frozen):
    """The result of one verification.

    Attributes:
        agent: Agent id.
        integration: Integration.
        backend: Host that good answers came from, or `recording`.
        environment: Environment that the charter declares.
        matrices: Fault matrix of each tool.
        probes: Probes of the whole integration.
        whole: Whether everything was looked at; a part of it makes no certificate.
        issued_at: When, aware UTC.
    """

    agent: str
    integration: str
    backend: str
    environment: str
    matrices: tuple[ToolMatrix, ...] = ()
    probes: tuple[FaultRow, ...] = Field(default=())
    whole: bool
    issued_at: datetime

    @property
    def findings(self) -> tuple[str, ...]:
        """All failures, one line each."""
        return (
            *(f"{matrix.tool}: {row.fault}: {row.seen}" for matrix in self.matrices for row in matrix.failed),
            *(f"{self.integration}: {row.fault}: {row.seen}" for row in self.probes if not row.passed),
        )

    @property
    def passed(self) -> bool:
        """Whether there are no findings."""
        return not self.findings


def certificate_evidence(
    charter: Charter, certificate: Certificate, *, source: Source, earlier: Iterable[Evidence] = ()
) -> Iterator[Evidence]:
    """Yield the evidence of a verification.

    Args:
        charter: The charter in force; records are bound to the contracts it pins.
        certificate: What was found.
        source: Command that found it.
        earlier: Certificates of before, of any integration and in any order.
    """

    def record(kind: str, scope: Scope, *, passed: bool, n: int, detail: str, **more: Any) -> Evidence:
        return Evidence(
            kind=kind,
            agent=charter.agent,
            binds=binding_in_force(kind_named(kind), charter, scope, InForce()),
            scope=scope,
            window_from=certificate.issued_at,
            window_to=certificate.issued_at,
            n=n,
            passed=passed,
            detail=detail[:2_000],
            source=source,
            recorded_at=certificate.issued_at,
            **more,
        )

    whole = Scope(integration=certificate.integration)
    for matrix in certificate.matrices:
        found = "; ".join(f"{row.fault}: {row.seen}" for row in matrix.failed)
        yield record(
            "tool.faults",
            Scope(tool=matrix.tool),
            passed=not matrix.failed,
            n=len(matrix.rows),
            detail=found or f"{len(matrix.rows)} faults, against {certificate.backend}",
        )
    for row in certificate.probes:
        yield record(PROBES[row.fault], whole, passed=row.passed, n=1, detail=row.seen)
    rows = sum(len(matrix.rows) for matrix in certificate.matrices) + len(certificate.probes)
    if certificate.whole and rows:
        found = "; ".join(certificate.findings) or f"{rows} checks, against {certificate.backend}"
        last = record(CERTIFICATE, whole, passed=certificate.passed, n=rows, detail=found)
        since = _stands_since(last, earlier)
        if certificate.passed and last.window_to - since < STABLE:
            young = (
                f"it has stood for {(last.window_to - since).days} of {STABLE.days} days;"
                f" verify it again from {minute(since + STABLE)} on"
            )
            last = last.model_copy(update={"detail": f"{young}; {found}"[:2_000], "counts": {WARNINGS: 1}})
        yield last


def _stands_since(last: Evidence, earlier: Iterable[Evidence]) -> datetime:
    """Return the moment of the first of the certificates that passed one after the other, up to the last one, under the same contracts."""
    own = (
        one
        for one in earlier
        if (one.kind, one.scope, one.binds, one.basis) == (last.kind, last.scope, last.binds, last.basis)
        and one.window_to <= last.window_to
    )
    since = last.window_to
    for one in sorted(own, key=lambda one: one.window_to, reverse=True):
        if not one.passed:
            break
        since = one.window_to
    return since
