# SPDX-License-Identifier: Apache-2.0
"""Verdicts over many agents with a year of evidence: processor time of each step, against the limit of two seconds for 100.

Each agent has the example charter and, for every item that the framework asks for, the records of a year that commands and
ticks leave: one in each half of the time for which such a record counts, and never more than one a day.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "stubs"))

from evidence_made import CHARTER, V1, everything_holds, life_of, load_charter  # noqa: E402 - the path above leads there

from pilothouse.core.charter.charter import Charter  # noqa: E402
from pilothouse.core.evidence.admission import admit_evidence  # noqa: E402
from pilothouse.core.evidence.evidence import Evidence  # noqa: E402
from pilothouse.core.verdict.decisive import Decisive  # noqa: E402
from pilothouse.core.verdict.expansion import expand  # noqa: E402
from pilothouse.core.verdict.framework import FRAMEWORK  # noqa: E402
from pilothouse.core.verdict.readiness import decide, verdict_document  # noqa: E402
from pilothouse.core.verdict.verdict import AgentVerdict  # noqa: E402
from pilothouse.ledger.ledger import open_ledger  # noqa: E402

FOLDED = frozenset(
    [
        "completion",
        "cost_per_task",
        "critical",
        "discrepancy",
        "escalation",
        "hosts_observed",
        "latency",
        "quality",
        "sampling",
        "served_model",
        "stability.clock",
        "tools_observed",
        "trace_complete",
        "unknown_task_type",
        "unverifiable",
        "versions_gated",
        "volume",
    ]
)
"""Kinds that are folded from telemetry for each verdict and stored by nobody: there is one record of each."""

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
YEAR = timedelta(days=365)
LIMIT_S = 2.0
LIMIT_AGENTS = 100


def lives(charter: Charter) -> dict[str, timedelta]:
    """Return for how long a record of each kind counts."""
    found: dict[str, timedelta] = {}
    for requirement in FRAMEWORK:
        for part in requirement.parts:
            slots = expand(part, charter, "2")
            if slots:
                life = life_of(part, slots[0], charter)
                found[part.kind] = min(life, found.get(part.kind, life))
    return found


def year_of(records: list[Evidence], charter: Charter) -> Iterator[Evidence]:
    """Yield a year of records, newest first for each item."""
    by_kind = lives(charter)
    for record in records:
        step = YEAR if record.kind in FOLDED else max(timedelta(days=1), by_kind[record.kind] / 2)
        for place in range(int(YEAR / step)):
            back = place * step
            yield record.model_copy(
                update={
                    "window_from": record.window_from - back,
                    "window_to": record.window_to - back,
                    "recorded_at": record.recorded_at - back,
                }
            )


def cpu_ms(work: Callable[[], object], times: int) -> float:
    """Return the processor time of one call, milliseconds."""
    work()
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) * 1_000 / times


def main() -> None:
    """Measure and print one line for each step."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--agents", type=int, default=LIMIT_AGENTS, help="verdicts in the timed run")
    options = parser.parse_args()
    charter = load_charter(CHARTER)
    newest = [one for one in everything_holds(charter, NOW) if one.kind in lives(charter)]
    year = list(year_of(newest, charter))
    verdict = decide(charter, year, NOW, phase="1", version=V1)
    assert verdict_document(verdict) == verdict_document(decide(charter, newest, NOW, phase="1", version=V1))
    frozen = verdict_document(verdict)
    with tempfile.TemporaryDirectory() as folder, open_ledger(f"sqlite:///{folder}/ledger.db") as ledger:
        ledger.add_evidence(year)

        def read_and_decide() -> AgentVerdict:
            standing = ledger.standing_evidence(charter.agent, at=NOW, version=V1, decides=Decisive(charter))
            return decide(charter, standing, NOW, phase="1", version=V1)

        assert verdict_document(read_and_decide()) == frozen
        times = options.agents
        steps = (
            ("read a frozen verdict", cpu_ms(lambda: AgentVerdict.model_validate_json(frozen), times)),
            (
                f"decide on {len(newest):,} folded records",
                cpu_ms(lambda: decide(charter, newest, NOW, phase="1", version=V1), times),
            ),
            (
                f"admit a year, {len(year):,} records",
                cpu_ms(lambda: admit_evidence(year, charter.agent, NOW), times // 10),
            ),
            (
                "decide on a year, in memory",
                cpu_ms(lambda: decide(charter, year, NOW, phase="1", version=V1), times // 10),
            ),
            ("read a year from the ledger, all of it", cpu_ms(lambda: ledger.evidence(charter.agent), 1)),
            ("read what stands of it, and decide", cpu_ms(read_and_decide, times // 5)),
        )
    limit_ms = LIMIT_S * 1_000 / LIMIT_AGENTS
    print(f"{'step, for one agent':<42}{'CPU ms':>10}{'100 agents s':>14}{'of the limit':>14}")
    for name, spent_ms in steps:
        print(
            f"{name:<42}{spent_ms:>10.1f}{spent_ms * LIMIT_AGENTS / 1_000:>14.2f}{spent_ms / limit_ms:>13.1f}x"
        )


if __name__ == "__main__":
    main()
