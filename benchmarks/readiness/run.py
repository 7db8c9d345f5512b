# SPDX-License-Identifier: Apache-2.0
"""Verdicts over many agents with a year of evidence: processor time against the limit of two seconds for 100.

Each agent has the example charter under its own id and, for every item that the framework asks for, the records of a year that
commands and ticks leave: one in each half of the time for which such a record counts, and never more than one a day. What
telemetry folds is handed in as it is folded, and does not change between two verdicts.

Every figure is of a new process, so that nothing is warm but the file of the ledger.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "stubs"))

from evidence_made import CHARTER, V1, everything_holds, life_of, load_charter  # noqa: E402 - the path above leads there

from pilothouse.app.deciding_code import deciding_code  # noqa: E402
from pilothouse.app.opening import SystemClock  # noqa: E402
from pilothouse.connectors.charter_file import read_charter_text  # noqa: E402
from pilothouse.core.charter.charter import Charter  # noqa: E402
from pilothouse.core.evidence.evidence import Evidence, Source  # noqa: E402
from pilothouse.core.verdict.expansion import expand  # noqa: E402
from pilothouse.core.verdict.framework import FRAMEWORK  # noqa: E402
from pilothouse.core.verdict.readiness import conclude, decide, verdict_document  # noqa: E402
from pilothouse.core.verdict.rules import LEVEL  # noqa: E402
from pilothouse.core.verdict.verdict import AgentVerdict  # noqa: E402
from pilothouse.ledger.dockets import SqlDockets  # noqa: E402
from pilothouse.ledger.ledger import SqlLedger, open_ledger  # noqa: E402
from pilothouse.ports.ledger import CharterInForce  # noqa: E402
from pilothouse.settings import load_settings  # noqa: E402
from pilothouse.testing import MemoryLake  # noqa: E402
from pilothouse.workflows.ground.installation import Installation  # noqa: E402
from pilothouse.workflows.verdict.docket import decided_items, open_sitting  # noqa: E402

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


def charter_text(number: int) -> str:
    """Return the example charter of one of many agents."""
    return CHARTER.read_text(encoding="utf-8").replace(
        "agent: ap-invoice-triage", f"agent: ap-invoice-triage-{number:03}"
    )


def made_of(text: str) -> Charter:
    """Return the charter that a text holds."""
    return Charter.model_validate(read_charter_text(text, file="charter.yaml").value)


def fill(url: str, agents: int) -> None:
    """Write charters and a year of evidence."""
    template = load_charter(CHARTER)
    kinds = lives(template)
    newest = [one for one in everything_holds(template, NOW) if one.kind in kinds]
    year = [one for one in year_of(newest, template) if one.kind not in FOLDED]
    with open_ledger(url) as ledger:
        for number in range(agents):
            text = charter_text(number)
            charter = made_of(text)
            ledger.accept_charter(
                agent=charter.agent, digest=charter.digest, text=text, path="charter.yaml", at=NOW - YEAR
            )
            ledger.add_evidence([one.model_copy(update={"agent": charter.agent}) for one in year])


def place(url: str) -> Iterator[Installation]:
    """Open the ledger as a command does."""
    with open_ledger(url) as ledger:
        yield Installation(
            settings=load_settings({}, home=Path(url.removeprefix("sqlite:///")).parent),
            clock=SystemClock(),
            lake=MemoryLake(),
            ledger=ledger,
            dockets=SqlDockets(ledger.database, deciding_code),
        )


def judge(
    installation: Installation, record: CharterInForce, at: datetime, *, all_of_it: bool = False
) -> AgentVerdict:
    """Judge one agent on folded telemetry and the ledger, as `workflows.verdict.assess` does."""
    if all_of_it:
        charter = made_of(record.text)
        return decide(
            charter,
            [*folded(record.agent), *installation.ledger.evidence(record.agent)],
            at,
            phase="1",
            version=V1,
        )
    sitting = open_sitting(installation, record, at)
    docket, refused = decided_items(installation, sitting, folded(record.agent), version=V1, level=LEVEL)
    return conclude(docket, sitting.charter, at, phase="1", refused=refused).verdict


@cache
def _template() -> tuple[Evidence, ...]:
    charter = load_charter(CHARTER)
    return tuple(one for one in everything_holds(charter, NOW) if one.kind in FOLDED)


def folded(agent: str) -> list[Evidence]:
    """Return what telemetry says of an agent."""
    return [one.model_copy(update={"agent": agent}) for one in _template()]


def arrive(ledger: SqlLedger, agents: Sequence[str], at: datetime) -> None:
    """Let one more record come in about each agent: today's look at the audit log."""
    for agent in agents:
        ledger.add_evidence(
            [
                Evidence(
                    kind="audit.verified",
                    agent=agent,
                    window_from=at,
                    window_to=at,
                    n=1,
                    passed=True,
                    source=Source(command="pilothouse audit verify"),
                    recorded_at=at,
                )
            ]
        )


def measure(what: str, url: str) -> None:
    """Measure one thing over all agents in this process, and print its seconds of processor time."""
    for installation in place(url):
        records = installation.ledger.charters()
        _template()
        moments = {"anew": NOW, "nothing": NOW + timedelta(hours=1), "one": NOW + timedelta(hours=2)}
        at = moments.get(what, NOW)
        if what == "one":
            arrive(installation.ledger, [one.agent for one in records], at)
        if what == "frozen":
            texts = [verdict_document(judge(installation, one, at)) for one in records]
            began = time.process_time()
            for text in texts:
                AgentVerdict.model_validate_json(text)
        else:
            began = time.process_time()
            found = [judge(installation, one, at) for one in records]
        spent_s = time.process_time() - began
        if what in {"nothing", "one"}:  # the very bytes of a verdict on every record
            whole = judge(installation, records[0], at, all_of_it=True)
            assert verdict_document(found[0]) == verdict_document(whole)
        if what == "anew":
            began = time.process_time()
            judge(installation, records[0], at, all_of_it=True)
            print(json.dumps({"history": time.process_time() - began, "spent": spent_s}))
        else:
            print(json.dumps({"spent": spent_s}))


STEPS = (
    ("anew", "everything decided anew, the items kept"),
    ("nothing", "nothing new since"),
    ("one", "one record each since"),
    ("frozen", "read from a frozen verdict"),
)


def main() -> None:
    """Measure and print one line for each step."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "--agents", type=int, default=LIMIT_AGENTS, help="agents, each with a year of evidence"
    )
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "LEDGER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(*options.measure)
        return
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/ledger.db"
        fill(url, options.agents)
        print(f"{options.agents} agents, each step a new process")
        print(f"{'step':<46}{'CPU s':>8}{'an agent, ms':>14}{'100 of them, of 2 s':>22}")
        for what, name in STEPS:
            told = json.loads(
                subprocess.run(
                    [sys.executable, __file__, "--measure", what, url],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
            )
            show(name, told["spent"], options.agents)
            if "history" in told:
                show("everything read and decided, one agent", told["history"], 1)


def show(name: str, spent_s: float, agents: int) -> None:
    """Print one line."""
    each_s = spent_s / agents
    print(f"{name:<46}{spent_s:>8.2f}{each_s * 1_000:>14.1f}{each_s * LIMIT_AGENTS / LIMIT_S:>21.2f}x")


if __name__ == "__main__":
    main()
