# SPDX-License-Identifier: Apache-2.0
"""What the running server says of itself to `pilothouse doctor`: its jobs, its road of telemetry, what providers count."""

from __future__ import annotations

from collections.abc import Iterator

from pilothouse.ports.intake import REFUSED_FOR_GOOD
from pilothouse.settings import Settings
from pilothouse.workflows.server.checkup import Check

__all__ = ["road_checks", "server_checks", "usage_checks"]

ROAD_KEYS = frozenset(
    {"busy_reason", "freshness_s", "gap", "last_error", "open_traces", "pending", "rows", "wal_bytes"}
)
"""What a server of this version tells about its telemetry."""


def server_checks(settings: Settings, told: tuple[str, dict[str, object] | None] | None) -> Iterator[Check]:
    """Say whether the noted server answers, and one line for each of its background jobs that fails.

    Args:
        settings: Values in force.
        told: The noted address and what the server there says, or None without a note.
    """
    start = f"pilothouse up --home {settings.home}"
    if told is None:
        yield Check(
            name="server", state="warning", sentence="No server runs on this data folder.", remedy=start
        )
        return
    url, health = told
    if health is None:
        sentence = f"A server was noted at {url} and does not answer; acknowledged telemetry is replayed at the next start."
        yield Check(name="server", state="failed", sentence=sentence, remedy=start)
        return
    yield Check(name="server", state="ok", sentence=f"{url} answers.")
    ticks = health.get("ticks")
    known = [tick for tick in (ticks if isinstance(ticks, list) else []) if isinstance(tick, dict)]
    failing = [tick for tick in known if tick.get("failures")]
    if known:
        runs = sum(int(tick.get("runs", 0)) for tick in known)
        yield Check(
            name="background work",
            state="warning" if failing else "ok",
            sentence=f"{len(known)} jobs, {runs:,} runs; {len(failing) or 'none'} failing now.",
        )
    for tick in failing:
        yield Check(
            name=f"job {tick['name']}",
            state="warning",
            sentence=str(tick["last_error"]),
            remedy="It is tried again by itself; its trace stands in the terminal of `pilothouse up`.",
        )


def usage_checks(health: dict[str, object] | None) -> Iterator[Check]:
    """Say how often a provider counted what cannot be, so that a budget and a cost are estimates."""
    told = health.get("gateway") if health else None
    absurd = told.get("usage_absurd") if isinstance(told, dict) else None
    if absurd:
        yield Check(
            name="usage of models",
            state="warning",
            sentence=f"{absurd:,} calls came back with a count of tokens that cannot be; they are settled by estimate.",
            remedy="Tell the provider; such a call has no usage in `pilothouse traces`, and its answer is on record.",
        )


def road_checks(health: dict[str, object] | None) -> Iterator[Check]:
    """Say what the running server counts: did everything acknowledged reach the tables, and how fast."""
    told = health.get("telemetry") if health else None
    if not isinstance(told, dict):
        return
    if not told.keys() >= ROAD_KEYS:
        yield Check(
            name="telemetry books",
            state="warning",
            sentence="The running server is of another program version and counts differently.",
            remedy="Stop it and start it again: pilothouse up",
        )
        return
    raw = told.get("counters")
    counted = {str(name): int(value) for name, value in raw} if isinstance(raw, list) else {}
    books = (
        f"{counted.get('received', 0):,} items received, {counted.get('rejected', 0):,} rejected, "
        f"{counted.get('acked', 0):,} acknowledged, {counted.get('replayed', 0):,} replayed, "
        f"{counted.get('deduplicated', 0):,} deduplicated, {told['pending']:,} pending, "
        f"{told['rows']:,} queryable; gap {told['gap']:,}."
    )
    is_open = bool(health and health.get("gap_alert"))
    yield Check(
        name="telemetry books",
        state="failed" if is_open else "warning" if told["gap"] else "ok",
        sentence=books,
        remedy="Keep the lake folder as it is and open /health." if is_open else "",
    )
    refused = {
        one.value: count for one in REFUSED_FOR_GOOD if (count := counted.get(f"refused_{one.value}", 0))
    }
    if refused:
        yield Check(
            name="telemetry refused",
            state="warning",
            sentence="Refused, and not sent again: "
            + ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in refused.items())
            + ".",
            remedy="The log of the exporter says which and why; limits: docs/reference/telemetry.md.",
        )
    if counted.get("secrets_removed"):
        yield Check(
            name="secrets in telemetry",
            state="warning",
            sentence=f"{counted['secrets_removed']:,} requests had a secret in a text; they are stored without it.",
            remedy="Look for [redacted] in the traces: which agent prints a key, and which key to replace.",
        )
    if counted.get("metrics_not_stored"):
        yield Check(
            name="metrics",
            state="ok",
            sentence=f"{counted['metrics_not_stored']:,} metrics came; they are answered and not stored.",
        )
    road = (
        f"queryable {told['freshness_s']:.2f} s after receipt at worst in the last minute, "
        f"{told['wal_bytes'] / (1 << 20):.1f} MiB of log, {told['open_traces']:,} open traces."
    )
    busy = str(told["busy_reason"])
    yield Check(
        name="telemetry road",
        state="failed" if busy else "ok",
        sentence=f"Refused for now: {busy}; {road}" if busy else road[:1].upper() + road[1:],
        remedy="Senders try again by themselves; free the disk if it is full." if busy else "",
    )
    if told["last_error"]:
        yield Check(
            name="telemetry errors",
            state="warning",
            sentence=str(told["last_error"]).strip().splitlines()[-1],
        )
