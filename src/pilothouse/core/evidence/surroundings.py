# SPDX-License-Identifier: Apache-2.0
"""Compare the hosts, tools, models and versions of tasks with the charter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.tool_names import known_as
from pilothouse.core.dates import minute
from pilothouse.core.evidence.measurement import Measurement
from pilothouse.core.evidence.stand_in import stand_ins_of
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.unix_time import moment_of, unix_ns

__all__ = ["measure_hosts", "measure_models", "measure_tools", "measure_versions"]

NAMES_SHOWN_MAX = 3
"""Names in one sentence; the tasks behind the rest are in `items`."""


def _undeclared(
    kind: str, tasks: Sequence[Task], seen: Callable[[Task], Sequence[str]], declared: Callable[[str], bool]
) -> Measurement | None:
    """Count tasks that used something undeclared, among those that report what they used."""
    telling = [task for task in tasks if seen(task)]
    if not telling:
        return None
    first: dict[str, int] = {}
    count: dict[str, int] = {}
    strange: list[str] = []
    undeclared: dict[tuple[str, ...], tuple[str, ...]] = {}  # tasks of a window touch the same few things
    for task in telling:
        touched = tuple(seen(task))
        names = undeclared.get(touched)
        if names is None:
            names = undeclared[touched] = tuple(name for name in touched if not declared(name))
        if names:
            strange.append(task.trace_id)
        for name in names:
            first.setdefault(name, task.start_ns)
            count[name] = count.get(name, 0) + 1
    words = [
        f"{name} in {count[name]:,} tasks since {minute(moment_of(first[name]))}"
        for name in sorted(count, key=lambda name: (-count[name], name))
    ]
    more = f", and {len(words) - NAMES_SHOWN_MAX} more" if len(words) > NAMES_SHOWN_MAX else ""
    return Measurement(
        kind=kind,
        n=len(telling),
        good=len(telling) - len(strange),
        detail=", ".join(words[:NAMES_SHOWN_MAX]) + more,
        items=tuple(strange),
    )


def measure_hosts(charter: Charter, tasks: Sequence[Task]) -> Measurement | None:
    """Count tasks that contacted an undeclared host.

    A span that names no port matches every declared port of its host.
    """
    integrations = (known(charter.integrations) or {}).values()
    hosts = {host for integration in integrations for host in known(integration.hosts) or ()}
    names = {host.rpartition(":")[0] or host for host in hosts}
    return _undeclared(
        "hosts_observed",
        tasks,
        lambda task: task.hosts,
        lambda host: host in hosts or (":" not in host and host in names),
    )


def measure_tools(charter: Charter, tasks: Sequence[Task]) -> Measurement | None:
    """Count tasks that called an undeclared tool.

    Spans seldom name the version of a tool, so a name without `@` matches every declared version.
    """
    names = {name for tool in known(charter.tools) or {} for name in known_as(tool)}
    return _undeclared("tools_observed", tasks, lambda task: task.tools, lambda tool: tool in names)


def measure_models(charter: Charter, tasks: Sequence[Task]) -> Measurement | None:
    """Count tasks answered by a model that is neither pinned nor a fallback, in model calls.

    A task says which models answered, not how often, so each strange task counts as one call. A task that a stand-in
    answered shows nothing good of the pin, so it counts only where it is strange, and then as that one call.
    """
    pins = (charter.model.pin, *(known(charter.model.fallback) or ()))
    if is_open(pins[0].model):
        return None
    allowed = {name for pin in pins for name in (pin.model, *pin.served_as)}
    stand_ins = stand_ins_of(charter)
    counted = [
        task for task in tasks if stand_ins.isdisjoint(task.models) or not allowed.issuperset(task.models)
    ]
    found = _undeclared("served_model", counted, lambda task: task.models, lambda model: model in allowed)
    if found is None or found.good is None:
        return None
    calls = sum(
        max(1, task.model_calls - task.model_errors) if stand_ins.isdisjoint(task.models) else 1
        for task in counted
        if task.models
    )
    return Measurement(
        kind=found.kind,
        n=calls,
        good=calls - (found.n - found.good),
        detail=found.detail,
        items=found.items,
    )


def measure_versions(tasks: Sequence[Task], released: Mapping[str, datetime]) -> Measurement | None:
    """Count tasks of versions that never passed the release gate; None while no version has.

    What served before the first one passed went around nothing.

    Args:
        tasks: Tasks of a window.
        released: Versions that passed, and when each did first.
    """
    if not released:
        return None
    gated_from_ns = unix_ns(min(released.values()))
    return _undeclared(
        "versions_gated",
        [task for task in tasks if task.version_digest in released or task.start_ns >= gated_from_ns],
        lambda task: (task.version_digest or "an unnamed version",),
        lambda version: version in released,
    )
