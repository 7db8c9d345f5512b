# SPDX-License-Identifier: Apache-2.0
"""Verify one integration on its own, without the agent: faults on the wire, live probes, a dated certificate."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pilothouse.connectors.tool_loader import load_tools
from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.contract import Effect, ToolContract
from pilothouse.core.charter.systems import Integration
from pilothouse.core.evidence.certificate import Certificate, FaultRow, ToolMatrix, certificate_evidence
from pilothouse.core.evidence.evidence import Evidence, Source
from pilothouse.errors import UnknownName, UsageError
from pilothouse.runtime.tools.fault_server import (
    Backend,
    ExampleBackend,
    FaultServer,
    Hit,
    RealBackend,
    RecordedBackend,
    Reply,
)
from pilothouse.runtime.tools.fault_suite import FAULTS, Subject, call_once, call_together, run_fault
from pilothouse.runtime.tools.freshness import read_moment
from pilothouse.workflows.in_force import charter_of
from pilothouse.workflows.installation import Installation
from pilothouse.workflows.tool_contracts import read_contracts

__all__ = ["PARTS", "VerifyRequest", "declared_integration", "verify_integration"]

PARTS: Final = ("faults", "credential", "rate", "freshness")
"""What `--only` may name."""

BUSY_HOURS: Final = 8
"""A day's volume is taken to come within eight hours, evenly; the peak is a fifth above that."""

PEAK: Final = 1.2

RATE_PROBE_S: Final = 2.0


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
    record = installation.ledger.charter(request.agent)
    if record is None:
        raise UsageError(
            f"no charter is in force for {request.agent!r}",
            remedy="Put one into force: `pilothouse verdict --charter charter.yaml`.",
            subject=request.agent,
        )
    charter = charter_of(record)
    declared = declared_integration(charter, request.integration)
    contracts = read_contracts(charter, Path(record.path).parent)
    backend = _backend(request)
    with _redirected(request.variable, backend) as server:
        subjects = _subjects(charter, declared, request, contracts, server)
        certificate = _Verification(charter, request, subjects=subjects, backend=backend, server=server).run(
            installation.clock.now()
        )
    evidence = tuple(certificate_evidence(charter, certificate, source=Source(command=command)))
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
        effect: Effect | None = known(policy.effect)
        if policy.integration != request.integration or effect is None:
            continue
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
        if "rate" in asked:
            probes.append(FaultRow(fault="rate", **self._row(self._rate())))
        if "freshness" in asked and known(self.declared.freshness) is not None:
            probes.append(FaultRow(fault="freshness", **self._row(self._freshness())))
        if "credential" in asked and self.live:
            probes.append(FaultRow(fault="credential", **self._row(self._credential())))
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

    def _readers(self) -> list[Subject]:
        return [one for one in self.subjects if one.effect == "read" and one.example is not None]

    def _rate(self) -> str | None:
        """Hold the declared limit against the planned peak, and the limiter against the wire."""
        self.request.on_step("rate limit")
        limit = known(self.declared.rate_limit.per_s)
        per_day = known(self.charter.target_volume.per_day)
        if limit is None or per_day is None:
            return "the charter leaves the limit or the target volume open"
        needed = PEAK * per_day * len(self.subjects) / (BUSY_HOURS * 3_600)
        if needed > limit:
            return (
                f"{per_day:,.0f} tasks a day with {len(self.subjects)} calls each need {needed:.2f}/s at the peak, "
                f"the declared limit is {limit:g}/s"
            )
        subject = self.subjects[0]
        example = subject.example
        if example is None:
            return f"{subject.contract.tool} has no example of a call that succeeds"
        calls = min(1_000, max(3, math.ceil(PEAK * limit * RATE_PROBE_S)))
        reply = ExampleBackend(example.result)
        self.server.begin(lambda hit, _number, _good: reply(hit))
        began = time.monotonic()
        call_together(subject, min(calls, subject.contract.slots + subject.contract.line))
        took = max(time.monotonic() - began, 1e-3)
        hits = self.server.hits
        self.server.begin(None)
        allowed = limit * took + subject.contract.burst + 1
        return (
            f"{len(hits)} requests in {took:.1f} s with a limit of {limit:g}/s"
            if len(hits) > allowed
            else None
        )

    def _freshness(self) -> str | None:
        """Look at the age of real data, then at what becomes of data that is too old."""
        self.request.on_step("freshness")
        terms = known(self.declared.freshness)
        most = None if terms is None else known(terms.max_age)
        telling = [one for one in self._readers() if one.contract.freshness is not None]
        if most is None or not telling:
            return "no contract of a read says where the age of its data stands (`freshness.at`)"
        for subject in telling:
            freshness = subject.contract.freshness
            assert freshness is not None  # noqa: S101 - the list holds no other
            if freshness.max_age_s > most.total_seconds():
                return f"{subject.contract.tool} accepts {freshness.max_age_s:g} s, the charter {most}"
            result, error = call_once(subject)
            if error is not None:
                return f"{subject.contract.tool}: {error.message}"
            moment = read_moment(result, freshness.at)
            if moment is None or datetime.now(UTC) - moment > most:
                return f"{subject.contract.tool}: data of {moment}, at most {most} old is accepted"
            problem = self._stale(subject, freshness.at, freshness.on_stale)
            if problem is not None:
                return problem
        return None

    def _stale(self, subject: Subject, at: str, on_stale: str) -> str | None:
        old = (datetime.now(UTC) - timedelta(days=3_650)).isoformat()

        def aged(_hit: Hit, _number: int, good: Callable[[], Reply]) -> Reply:
            reply = good()
            document = json.loads(reply.body)
            place = document
            for name in at.split(".")[:-1]:
                place = place[name]
            place[at.rsplit(".", maxsplit=1)[-1]] = old
            return Reply(reply.status, reply.headers, json.dumps(document).encode())

        self.server.begin(aged)
        _, error = call_once(subject)
        self.server.begin(None)
        if on_stale == "error" and (error is None or error.kind != "stale"):
            return (
                f"{subject.contract.tool}: data ten years old came to {error.kind if error else 'an answer'}"
            )
        return None

    def _credential(self) -> str | None:
        """Ask the live system once, read only: let in, in production, and not further than it should be."""
        self.request.on_step("live read-only probe")
        hosts = known(self.declared.hosts) or ()
        if self.backend.host not in hosts:
            return f"{self.backend.host} is no declared host; declared are {', '.join(map(str, hosts))}"
        if self.declared.environment != "production":
            return f"the charter declares environment {self.declared.environment}, not production"
        readers = self._readers()
        if not readers:
            return "no contract of a read has an example that can be asked live"
        told = False
        for subject in readers:
            result, error = call_once(subject)
            if error is not None:
                return f"{subject.contract.tool}: {error.message}"
            at = subject.contract.environment_at
            if at is not None:
                told = True
                found = result.get(at) if isinstance(result, dict) else None
                if found != self.declared.environment:
                    return f"{subject.contract.tool} answers from {found!r}, not from production"
        if not told:
            return "no contract says where a result names its environment (`environment_at`)"
        forbidden = [
            (subject, one)
            for subject in self.subjects
            for one in subject.contract.examples
            if one.error == "permission" and one.live
        ]
        if not forbidden:
            return "no contract has a live example that must be refused (`error: permission`)"
        for subject, one in forbidden:
            _, error = call_once(subject, one.args)
            if error is None or error.kind != "permission":
                return f"{subject.contract.tool}: a forbidden call came to {error.kind if error else 'an answer'}"
        return None
