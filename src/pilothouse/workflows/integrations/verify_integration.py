# SPDX-License-Identifier: Apache-2.0
"""Verify one integration on its own, without the agent: faults on the wire, live probes, a dated certificate."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from pilothouse.connectors.tool_loader import load_tools
from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.contract import ToolContract
from pilothouse.core.charter.systems import Effect, Integration
from pilothouse.core.evidence.certificate import (
    CERTIFICATE,
    Certificate,
    FaultRow,
    ToolMatrix,
    certificate_evidence,
)
from pilothouse.core.evidence.evidence import Evidence, Source
from pilothouse.errors import UnknownName, UsageError
from pilothouse.runtime.tools.fault_server import (
    Backend,
    ExampleBackend,
    FaultServer,
    RealBackend,
    RecordedBackend,
)
from pilothouse.runtime.tools.fault_suite import FAULTS, Subject, run_fault
from pilothouse.workflows.ground.in_force import charter_of, record_in_force
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.integrations.integration_probes import Probes
from pilothouse.workflows.integrations.tool_contracts import read_contracts

__all__ = ["PARTS", "VerifyRequest", "declared_integration", "verify_integration"]

PARTS: Final = ("faults", "credential", "rate", "freshness")
"""What `--only` may name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyRequest:
    """What a verification is to do.

    Attributes:
        agent: Agent with a charter in force.
        integration: Integration.
        use: File or module that marks the tools' functions.
        variable: Environment variable from which the functions take the backend's address.
        url: The real backend's address, or None.
        standin: Recording of it, or None.
        record: Where to keep a recording, or None.
        only: Parts to look at; all when empty.
        on_step: Told what is being done.
    """

    agent: str
    integration: str
    use: str
    variable: str
    url: str | None = None
    standin: Path | None = None
    record: Path | None = None
    only: tuple[str, ...] = ()
    on_step: Callable[[str], None] = lambda _text: None


def declared_integration(charter: Charter, name: str) -> Integration:
    """Return an integration of a charter.

    Args:
        charter: The charter in force.
        name: What was typed.

    Raises:
        UnknownName: The charter declares none of that name.
    """
    found = charter.integration(name)
    if found is None:
        raise UnknownName.among(
            "integration",
            name,
            known(charter.integrations) or (),
            remedy="Run `pilothouse integration list`.",
        )
    return found


def verify_integration(
    installation: Installation, request: VerifyRequest, *, command: str
) -> tuple[Certificate, tuple[Evidence, ...]]:
    """Verify one integration and put what was found on record.

    Args:
        installation: Lake and ledger.
        request: What is to be done.
        command: What the records say they come from.

    Raises:
        UsageError: Something that is needed is not given.
        UnknownName: The charter declares no such integration.
    """
    record = record_in_force(installation.ledger, request.agent)
    charter = charter_of(record)
    declared = declared_integration(charter, request.integration)
    contracts = read_contracts(charter, Path(record.path).parent)
    backend = _backend(request)
    with _redirected(request.variable, backend) as server:
        subjects = _subjects(charter, declared, request, contracts, server)
        certificate = _Verification(charter, request, subjects=subjects, backend=backend, server=server).run(
            installation.clock.now()
        )
    earlier = installation.ledger.evidence(charter.agent, kinds=[CERTIFICATE])
    source = Source(command=command)
    evidence = tuple(certificate_evidence(charter, certificate, source=source, earlier=earlier))
    installation.ledger.add_evidence(evidence)
    installation.ledger.record(
        kind="integration.verified",
        agent=charter.agent,
        at=certificate.issued_at,
        actor=command,
        document=json.dumps(
            {"certificate": certificate.model_dump(mode="json"), "options": _options(request)}
        ),
    )
    return certificate, evidence


def _options(request: VerifyRequest) -> dict[str, str]:
    given = {
        "use": request.use,
        "variable": request.variable,
        "url": request.url,
        "standin": None if request.standin is None else str(request.standin),
    }
    return {name: value for name, value in given.items() if value is not None}


def _backend(request: VerifyRequest) -> RealBackend | RecordedBackend:
    if request.url is not None:
        return RealBackend(request.url, record=request.record)
    if request.standin is not None:
        return RecordedBackend(request.standin)
    raise UsageError(
        "nothing says where good answers come from",
        remedy=f"Add --redirect {request.variable}=https://HOST, or --standin FILE that an earlier --record wrote.",
        subject=request.integration,
    )


@contextmanager
def _redirected(variable: str, backend: Backend) -> Iterator[FaultServer]:
    """Let the tools' functions speak to our server as long as the verification runs."""
    before, server = os.environ.get(variable), FaultServer(backend)
    os.environ[variable] = server.url
    try:
        yield server
    finally:
        server.stop()
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before


def _subjects(
    charter: Charter,
    declared: Integration,
    request: VerifyRequest,
    contracts: Mapping[str, tuple[ToolContract, str]],
    server: FaultServer,
) -> list[Subject]:
    """Join the tools of the integration with their contracts and functions."""
    functions = load_tools(request.use)
    subjects, missing = [], []
    for name, policy in (known(charter.tools) or {}).items():
        if policy.integration != request.integration:
            continue
        effect: Effect | None = known(policy.effect)
        if effect is None:
            raise UsageError(
                f"the charter leaves open what a call of {name} changes, so it cannot be verified and the rest is no "
                "whole",
                remedy=f"Answer `tools.{name}.effect`, then `pilothouse check`.",
                subject=request.integration,
            )
        if name not in contracts or name not in functions:
            missing.append(name)
            continue
        subjects.append(
            Subject(
                contract=contracts[name][0],
                effect=effect,
                integration=request.integration,
                rate_per_s=known(declared.rate_limit.per_s),
                function=functions[name],
                server=server,
            )
        )
    if missing or not subjects:
        what = ", ".join(missing) or "any tool"
        raise UsageError(
            f"integration {request.integration!r}: no function or no contract file for {what}",
            remedy="Mark the function with @pilothouse.tool, keep the contract beside the charter, or name "
            "another module with --use.",
            subject=request.integration,
        )
    return subjects


class _Verification:
    """One run over the tools of one integration."""

    def __init__(
        self,
        charter: Charter,
        request: VerifyRequest,
        *,
        subjects: Sequence[Subject],
        backend: RealBackend | RecordedBackend,
        server: FaultServer,
    ) -> None:
        self.charter, self.request = charter, request
        self.declared = declared_integration(charter, request.integration)
        self.subjects, self.backend, self.server = subjects, backend, server
        self.live = isinstance(backend, RealBackend)

    def run(self, issued_at: datetime) -> Certificate:
        asked = self.request.only or PARTS
        matrices = tuple(self._matrix(subject) for subject in self.subjects) if "faults" in asked else ()
        probes = []
        self.server.backend = self.backend
        self.server.begin(None)
        ask = Probes(
            charter=self.charter,
            declared=self.declared,
            subjects=self.subjects,
            server=self.server,
            host=self.backend.host,
            on_step=self.request.on_step,
        )
        if "rate" in asked:
            probes.append(FaultRow(fault="rate", **self._row(ask.rate())))
        if "freshness" in asked and known(self.declared.freshness) is not None:
            probes.append(FaultRow(fault="freshness", **self._row(ask.freshness())))
        if "credential" in asked and self.live:
            probes.append(FaultRow(fault="credential", **self._row(ask.credential())))
        return Certificate(
            agent=self.charter.agent,
            integration=self.request.integration,
            backend=self.backend.host,
            environment=str(self.declared.environment),
            matrices=matrices,
            probes=tuple(probes),
            # A recording proves what the tools do, not that production lets us in.
            whole=set(asked) == set(PARTS) and self.live,
            issued_at=issued_at,
        )

    def _row(self, problem: str | None) -> dict[str, Any]:
        return {"passed": problem is None, "seen": problem or "as it must be"}

    def _matrix(self, subject: Subject) -> ToolMatrix:
        example = subject.example
        guarded = subject.effect != "read" and self.live and self.declared.environment == "production"
        # What changes something never reaches production: the example's own result answers instead.
        self.server.backend = (
            ExampleBackend(example.result) if guarded and example is not None else self.backend
        )
        rows = []
        for fault in FAULTS:
            self.request.on_step(f"{subject.contract.tool}: {fault}")
            rows.append(run_fault(fault, subject))
        return ToolMatrix(tool=subject.contract.tool, rows=tuple(rows))
