# SPDX-License-Identifier: Apache-2.0
"""The integrations of an agent: declared, seen in telemetry, certified (charter + lake + ledger → one list)."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.tool_names import known_as
from pilothouse.core.evidence.binding import InForce, binding_in_force, first_mismatch
from pilothouse.core.evidence.evidence import Evidence, Scope
from pilothouse.core.evidence.inventory import IntegrationRow, Inventory
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.verdict.integration_order import IntegrationRank, order_integrations
from pilothouse.workflows.gateway.refused_connections import refused_destinations
from pilothouse.workflows.ground.in_force import charter_in_force
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import tasks_between

__all__ = [
    "CERTIFICATE_LIFE",
    "last_options",
    "rollout_order",
    "take_inventory",
]

CERTIFICATE_LIFE = timedelta(days=30)
"""As INT-2 and INT-3 ask."""

SEEN_WINDOW = timedelta(days=14)
"""As INT-1 asks; what was not seen for so long needs no credentials any more."""


def take_inventory(installation: Installation, agent: str, now: datetime) -> Inventory:
    """Hold what the charter declares against what telemetry shows."""
    charter = charter_in_force(installation.ledger, agent)
    tasks = tasks_between(installation.lake, agent, now - SEEN_WINDOW, now)
    records = installation.ledger.evidence(agent, kinds=["integration.certificate"])
    touched = Counter((*task.hosts, *task.tools) for task in tasks)  # the same few things, again and again
    rows: list[IntegrationRow] = []
    all_hosts: set[str] = set()
    for name, declared in (known(charter.integrations) or {}).items():
        hosts = tuple(str(host) for host in known(declared.hosts) or ())
        tools = tuple(
            tool for tool, policy in (known(charter.tools) or {}).items() if policy.integration == name
        )
        all_hosts |= {*hosts, *(host.rpartition(":")[0] for host in hosts)}
        wanted = {*hosts, *(name for tool in tools for name in known_as(tool))}
        seen = sum(count for things, count in touched.items() if not wanted.isdisjoint(things))
        rows.append(
            IntegrationRow(
                name=name,
                kind=str(declared.kind),
                environment=str(declared.environment),
                hosts=hosts,
                tools=tools,
                tasks_seen=seen,
                **_certificate(charter, records, name, now),
            )
        )
    all_tools = {name for tool in known(charter.tools) or {} for name in known_as(tool)}
    return Inventory(
        agent=agent,
        integrations=tuple(rows),
        unknown_hosts=_count(host for task in tasks for host in task.hosts if host not in all_hosts),
        unknown_tools=_count(tool for task in tasks for tool in task.tools if tool not in all_tools),
        refused=refused_destinations(installation.ledger, agent, now - SEEN_WINDOW),
        tasks=len(tasks),
    )


def rollout_order(installation: Installation, agent: str, now: datetime) -> tuple[IntegrationRank, ...]:
    """Propose the order in which integrations join."""
    charter = charter_in_force(installation.ledger, agent)
    records = installation.ledger.evidence(agent, kinds=["integration.certificate"])
    states = {
        name: _certificate(charter, records, name, now)["certificate"]
        for name in known(charter.integrations) or {}
    }
    certified = {name: state == "valid" for name, state in states.items() if state != "none"}
    return order_integrations(charter, certified)


def last_options(installation: Installation, agent: str, integration: str) -> dict[str, str]:
    """Return how an integration was verified last, so that a remedy can be typed as it stands."""
    for decision in installation.ledger.decisions(agent, kind="integration.verified", limit=100):
        document = json.loads(decision.document)
        if document["certificate"]["integration"] == integration:
            return dict(document["options"])
    return {}


def _certificate(charter: Charter, records: Any, name: str, now: datetime) -> dict[str, Any]:
    kind = kind_named("integration.certificate")
    scope = Scope(integration=name)
    own: list[Evidence] = [one for one in records if one.kind == kind.name and one.scope == scope]
    if not own:
        return {"certificate": "none"}
    last = max(own, key=lambda one: one.window_to)
    expires = last.window_to + CERTIFICATE_LIFE
    fields: dict[str, Any] = {"certified_at": last.window_to, "expires_at": expires, "detail": last.detail}
    if first_mismatch(binding_in_force(kind, charter, scope, InForce()), last, kind) is not None:
        return fields | {
            "certificate": "void",
            "detail": "contract, host, sign-in, environment or region changed",
        }
    if expires <= now:
        return fields | {"certificate": "expired"}
    return fields | {"certificate": "valid" if last.passed else "failed"}


def _count(names: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:20])
