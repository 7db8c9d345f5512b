# SPDX-License-Identifier: Apache-2.0
"""Probe the system behind an integration: its limit against the plan, the age of its data, and who is let in."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.systems import Integration
from pilothouse.runtime.tools.fault_server import ExampleBackend, FaultServer, Hit, Reply
from pilothouse.runtime.tools.fault_suite import Subject, call_once, call_together
from pilothouse.runtime.tools.freshness import read_moment

__all__ = ["Probes"]

BUSY_HOURS: Final = 8
"""A day's volume is taken to come within eight hours, evenly; the peak is a fifth above that."""

PEAK: Final = 1.2

RATE_PROBE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """Looks at one integration; each probe returns what is wrong, or None.

    Attributes:
        charter: The charter in force.
        declared: What it says of the integration.
        subjects: Tools of the integration.
        server: What their functions speak to, with the backend behind it.
        host: `host:port` of that backend.
        on_step: Told what is being done.
    """

    charter: Charter
    declared: Integration
    subjects: Sequence[Subject]
    server: FaultServer
    host: str
    on_step: Callable[[str], None]

    def _readers(self) -> list[Subject]:
        return [one for one in self.subjects if one.effect == "read" and one.example is not None]

    def rate(self) -> str | None:
        """Hold the declared limit against the planned peak, and the limiter against the wire."""
        self.on_step("rate limit")
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

    def freshness(self) -> str | None:
        """Look at the age of real data, then at what becomes of data that is too old."""
        self.on_step("freshness")
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

    def credential(self) -> str | None:
        """Ask the live system once, read only: let in, in production, and not further than it should be."""
        self.on_step("live read-only probe")
        hosts = known(self.declared.hosts) or ()
        if self.host not in hosts:
            return f"{self.host} is no declared host; declared are {', '.join(map(str, hosts))}"
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
