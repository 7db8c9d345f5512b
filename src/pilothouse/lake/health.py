# SPDX-License-Identifier: Apache-2.0
"""How the telemetry road is doing, as one record, and the same as Prometheus text."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LakeHealth", "metrics_text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeHealth:
    """The state of one node at one moment; counts are in items since the process started.

    Attributes:
        counters: Everything that is counted, by name.
        rows: Rows of `spans` that a query can see, counted in files and memory.
        pending: Acknowledged items that no query can see yet.
        gap: Acknowledged items that are nowhere; anything but 0 for more than a minute is a loss.
        open_traces: Traces that are still gathered.
        waiting_bytes: Inflated bytes that wait for flattening.
        uncommitted_s: Age of the oldest row that is in no file, seconds.
        wal_bytes: Bytes of the write-ahead log on the disk.
        disk_free_bytes: Free space where the lake lies.
        busy_reason: Why nothing is accepted now, or empty.
        last_error: What last went wrong, or empty.
    """

    counters: tuple[tuple[str, int], ...]
    rows: int
    pending: int
    gap: int
    open_traces: int
    waiting_bytes: int
    uncommitted_s: float
    wal_bytes: int
    disk_free_bytes: int
    busy_reason: str
    last_error: str


def metrics_text(health: LakeHealth) -> str:
    """Return the record in the text format that Prometheus reads.

    Args:
        health: The state of a node.

    Example:
        >>> text = metrics_text(LakeHealth(counters=(("acked", 3),), rows=3, pending=0, gap=0, open_traces=1,
        ...     waiting_bytes=0, uncommitted_s=0.0, wal_bytes=0, disk_free_bytes=1, busy_reason="", last_error=""))
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
        "wal_bytes": health.wal_bytes,
        "disk_free_bytes": health.disk_free_bytes,
        "accepting": 0 if health.busy_reason else 1,
    }
    for name, gauge in gauges.items():
        lines += [f"# TYPE pilothouse_lake_{name} gauge", f"pilothouse_lake_{name} {gauge}"]
    return "\n".join(lines) + "\n"
