# SPDX-License-Identifier: Apache-2.0
"""Every kind of evidence, a closed list: a record of any other kind is refused."""

from __future__ import annotations

from pilothouse.core.evidence.kind import Kind
from pilothouse.core.evidence.kinds_evaluation import EVALUATION
from pilothouse.core.evidence.kinds_people import PEOPLE, SIGNATURES
from pilothouse.core.evidence.kinds_systems import SYSTEMS
from pilothouse.core.evidence.kinds_traffic import TRAFFIC
from pilothouse.errors import MalformedRecord, nearest_name

__all__ = ["FOLDED_KINDS", "KINDS", "SIGNATURE_KINDS", "SIGNING_KINDS", "kind_named"]

KINDS: dict[str, Kind] = {kind.name: kind for kind in (*TRAFFIC, *EVALUATION, *SYSTEMS, *PEOPLE, *SIGNATURES)}
"""The closed list, by name."""

FOLDED_KINDS = frozenset(
    {
        "completion", "escalation", "critical", "discrepancy", "unverifiable", "cost_per_task", "latency", "trace_complete",
        "served_model", "hosts_observed", "tools_observed", "unknown_task_type", "versions_gated", "volume", "stability.clock",
        "replay.incidents",
    }
)  # fmt: skip
"""Made anew of telemetry for each verdict, by the charter that is in force then: no edit can leave an old one behind."""

SIGNATURE_KINDS = tuple(kind.name for kind in SIGNATURES)
"""What people sign."""

SIGNING_KINDS = (*SIGNATURE_KINDS, "dataset.labelled")
"""Kinds that say which signatures stand: some are for results on the cases in force."""


def kind_named(name: str) -> Kind:
    """Return a kind by its name.

    Raises:
        MalformedRecord: Nothing is called that.

    Example:
        >>> kind_named("completion").unit
        'rate'
    """
    kind = KINDS.get(name)
    if kind is None:
        near = nearest_name(name, KINDS)
        hint = f" Did you mean {near!r}?" if near else ""
        raise MalformedRecord(
            f"no kind of evidence {name!r}.{hint}",
            remedy="Write one of the kinds in docs/reference/requirements.md.",
            subject=name,
        )
    return kind
