# SPDX-License-Identifier: Apache-2.0
"""The health of the ingestion pipeline, as Prometheus text."""

from __future__ import annotations

from pilothouse.ports.lake import LakeHealth

__all__ = ["metrics_text"]


def metrics_text(health: LakeHealth) -> str:
    """Return the health in Prometheus text format.

    Example:
        >>> text = metrics_text(LakeHealth(counters=(("acked", 3),), rows=3, pending=0, gap=0, open_traces=1,
        ...     waiting_bytes=0, uncommitted_s=0.0, freshness_s=0.0, wal_bytes=0, disk_free_bytes=1, busy_reason="", last_error=""))
        >>> text.splitlines()[1]
        'pilothouse_lake_acked_total 3'
    """
    lines = []
    for name, value in health.counters:
        lines += [f"# TYPE pilothouse_lake_{name}_total counter", f"pilothouse_lake_{name}_total {value}"]
    gauges: dict[str, float] = {
        "rows": health.rows,
        "pending": health.pending,
        "gap": health.gap,
        "open_traces": health.open_traces,
        "waiting_bytes": health.waiting_bytes,
        "uncommitted_seconds": round(health.uncommitted_s, 3),
        "freshness_seconds": round(health.freshness_s, 3),
        "wal_bytes": health.wal_bytes,
        "disk_free_bytes": health.disk_free_bytes,
        "accepting": 0 if health.busy_reason else 1,
    }
    for name, gauge in gauges.items():
        lines += [f"# TYPE pilothouse_lake_{name} gauge", f"pilothouse_lake_{name} {gauge}"]
    return "\n".join(lines) + "\n"
