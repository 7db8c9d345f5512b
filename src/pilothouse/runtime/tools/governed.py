# SPDX-License-Identifier: Apache-2.0
"""A governed tool: policy, contract, compiled checks and the resilience state that its calls share."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.contract import ToolContract
from pilothouse.core.charter.systems import EFFECTS, Effect, Tool
from pilothouse.errors import CharterInvalid
from pilothouse.runtime.resilience.breaker import BreakerPolicy
from pilothouse.runtime.resilience.gate import Gate, GatePolicy
from pilothouse.runtime.resilience.rate_limit import RateLimiter
from pilothouse.runtime.resilience.retry import RetryPolicy
from pilothouse.runtime.tools.schema import check_of
from pilothouse.runtime.tools.workers import Workers
from pilothouse.settings import LOOPBACK_HOSTS

__all__ = ["GovernedTool", "governed_tools"]


class GovernedTool:
    """A tool with everything its calls share.

    Args:
        name: `name@version` as the charter has it.
        integration: Integration it goes to.
        effect: What a call changes.
        contract: Its contract.
        digest: Digest of the contract file.
        limiter: The integration's rate limit, for a contract that names none of its own.
        hides: Whether names stand for untrusted fields of its results.
        hosts: Hosts that its integration declares, with or without a port.
    """

    def __init__(
        self,
        *,
        name: str,
        integration: str,
        effect: Effect,
        contract: ToolContract,
        digest: str,
        limiter: RateLimiter | None = None,
        hides: bool = False,
        hosts: frozenset[str] = frozenset(),
    ) -> None:
        self.name = name
        self.hosts = hosts
        self.hides = hides
        self.integration = integration
        self.effect: Effect = effect
        self.contract = contract
        self.digest = digest
        self.repeatable = contract.repeatable(effect)
        if contract.rate_per_s is not None:
            limiter = RateLimiter(contract.rate_per_s, burst=contract.burst)
        self.gate = Gate(_gate_policy(contract, effect), limiter)
        self.arguments = check_of(contract.input, where=f"arguments of {name}")
        self.results = check_of(contract.output, where=f"result of {name}")
        self._workers: Workers | None = None
        self._lock = threading.Lock()

    def may_reach(self, host: str | None) -> bool:
        """Return whether the tool may be called at a host: a program that we start, this machine, or a declared host.

        Args:
            host: `host:port`; None for a program that we start.
        """
        if host is None:
            return True
        name = host.lower().rpartition(":")[0]
        return name in LOOPBACK_HOSTS or not self.hosts.isdisjoint((host.lower(), name))

    @property
    def workers(self) -> Workers:
        """Threads for blocking functions; made when the first one is called."""
        if self._workers is None:
            with self._lock:
                if self._workers is None:
                    self._workers = Workers(f"tool-{self.name}", left_behind_max=self.contract.slots)
        return self._workers


def _gate_policy(contract: ToolContract, effect: Effect) -> GatePolicy:
    """Return the limits that a contract asks for.

    Args:
        contract: The contract.
        effect: What a call changes; only a read is ever hedged.
    """
    terms = contract.breaker
    return GatePolicy(
        slots=contract.slots,
        line=contract.line,
        breaker=BreakerPolicy(
            window=terms.window,
            minimum=terms.minimum,
            failure_rate=terms.failure_rate,
            slow_rate=terms.slow_rate,
            slow_after_s=terms.slow_after_s,
        ),
        retry=RetryPolicy(attempts=contract.attempts),
        hedge=contract.hedge and effect == "read",
    )


def _stronger(one: Effect, other: Effect | None) -> Effect:
    return one if other is None else max(one, other, key=EFFECTS.index)


def governed_tools(
    charter: Charter,
    contracts: Mapping[str, tuple[ToolContract, str]],
    *,
    agreed: Mapping[str, Tool] | None = None,
) -> dict[str, GovernedTool]:
    """Join the tools of a charter with their contracts.

    Args:
        charter: The charter in force.
        contracts: Contract and digest of its file, by tool as the charter names it.
        agreed: Tools as persons have agreed to them; while less of an effect waits for them, a call counts as the stronger.

    Returns:
        Tools by name. One whose contract is not there cannot be called.

    Raises:
        CharterInvalid: A contract is not the one that the charter pins, or belongs to another tool.
    """
    tools: dict[str, GovernedTool] = {}
    findings: list[str] = []
    limiters = {
        name: RateLimiter(per_s)
        for name, declared in (known(charter.integrations) or {}).items()
        if (per_s := known(declared.rate_limit.per_s)) is not None
    }
    hosts = {
        name: frozenset(str(host).lower() for host in known(declared.hosts) or ())
        for name, declared in (known(charter.integrations) or {}).items()
    }
    for name, policy in (known(charter.tools) or {}).items():
        effect: Effect | None = known(policy.effect)
        integration = known(policy.integration)
        if name not in contracts or effect is None or integration is None:
            continue
        contract, digest = contracts[name]
        before = (agreed or {}).get(name)
        if policy.manifest_hash != digest:
            findings.append(f"tools.{name}: the contract file is {digest}, pinned is {policy.manifest_hash}")
        findings.extend(f"tools.{name}: {fault}" for fault in contract.misfits(name, effect))
        tools[name] = GovernedTool(
            name=name,
            integration=integration,
            effect=_stronger(effect, known(before.effect) if before is not None else None),
            contract=contract,
            digest=digest,
            limiter=limiters.get(integration),
            hides=policy.untrusted == "hide",
            hosts=hosts.get(integration, frozenset()),
        )
    if findings:
        raise CharterInvalid(
            "charter and tool contracts do not agree",
            remedy="Look at the difference; then pin it with what `sha256sum CONTRACT` prints, and `pilothouse check`.",
            findings=tuple(findings),
            subject=charter.agent,
        )
    return tools
