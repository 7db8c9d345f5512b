# SPDX-License-Identifier: Apache-2.0
"""Outcome metrics: sealed before the first task counts, then measured against what was committed."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.charter.value import Outcome
from pilothouse.core.evidence.evidence import UNKNOWN, WARNINGS, Scope
from pilothouse.core.evidence.recorded import recorded
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.evidence.work import PRODUCTION
from pilothouse.core.statistics.effect import relative_change
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence
from pilothouse.core.verdict.expansion import people_in_role
from pilothouse.core.verdict.numbers import percent_range, percentage
from pilothouse.errors import Denied, MalformedRecord, Place, UnknownName, UsageError
from pilothouse.ports.lake import TaskFilter
from pilothouse.ports.ledger import DECISIONS_MAX, Ledger
from pilothouse.workflows.ground.in_force import charter_in_force
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.phase_log import phase_events

__all__ = ["ROWS_MAX", "WEAK", "Effect", "Sealed", "measure_effect", "read_seals", "seal_outcomes"]

SEALED = "outcomes.sealed"

VALUE_MAX = 1e12
"""The largest value of an outcome: a million million of any unit; the squares of what is far larger leave a computer's numbers."""

DECIMAL = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
"""A number as everybody writes it: Python alone reads `1_0` as ten."""

ROWS_MAX = 1_000_000
"""Rows of one measurement; a year of 2,700 cases a day."""

_COMPARED = {"holdout": "holdout", "before_after": "before"}
"""The arm that the agent's is compared with, by the kind of control."""

WEAK = "weak: other causes than the agent are possible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """One seal over the outcomes.

    Attributes:
        digest: Digest of the charter's section as it was sealed.
        at: When.
        by: Person id.
        in_time: Whether no task had counted yet.
    """

    digest: str
    at: datetime
    by: str
    in_time: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A measured outcome against what was committed.

    Attributes:
        outcome: Name of the metric.
        committed: Committed relative change.
        found: The measured change; or why there is none.
        proven: True, False (proved short of it), or None while neither is proved.
        is_weak: Whether it is held against what was before, which other causes may have changed too.
    """

    outcome: str
    committed: float
    found: Estimate | NotEnoughEvidence
    proven: bool | None
    is_weak: bool = False


def seal_outcomes(installation: Installation, agent: str, person: str, now: datetime) -> Sealed:
    """Seal the outcome metrics of the charter in force: from now on what was committed cannot be moved.

    Args:
        installation: Lake and ledger.
        agent: Agent with a charter in force.
        person: Who seals: the owner, or whoever is accountable for outcome reporting.
        now: The moment, aware UTC.

    Raises:
        Denied: The person may not.
        UsageError: No charter is in force, or an outcome has an open question.
    """
    charter = charter_in_force(installation.ledger, agent)
    allowed = {*people_in_role(charter, "owner", {}), *people_in_role(charter, "A:outcome_reporting", {})}
    if person not in allowed:
        raise Denied(
            f"{person!r} may not seal the outcomes of {agent!r}: {' or '.join(sorted(allowed)) or 'an owner'} may",
            remedy="Name yourself with --as: `pilothouse value seal --as PERSON`.",
            subject=person,
        )
    if is_open(charter.outcomes) or not charter.outcomes or any(_is_open(one) for one in charter.outcomes):
        raise UsageError(
            "the outcomes have open questions; what is open cannot be committed",
            remedy="Answer them, then `pilothouse check`.",
            subject=agent,
        )
    counted = TaskFilter(agent=agent, environment=PRODUCTION, to_ns=unix_ns(now))
    in_time = not installation.lake.tasks(counted, limit=1).tasks  # tasks of a pilot do not count
    # Agents that name no environment have served all the same since their pilot ended.
    served = [event.at for event in phase_events(installation.ledger, agent) if event.phase != "pilot"]
    if served:
        since = TaskFilter(agent=agent, from_ns=unix_ns(min(served)), to_ns=unix_ns(now))
        in_time = in_time and not installation.lake.tasks(since, limit=1).tasks
    sealed = Sealed(digest=charter.section_digests["outcomes"], at=now, by=person, in_time=in_time)
    document = {"digest": sealed.digest, "in_time": sealed.in_time}
    installation.ledger.record(
        kind=SEALED, agent=agent, at=now, actor=person, document=canonical_json(document)
    )
    detail = f"Sealed {'before' if in_time else 'after'} the first task counted in production."
    _write(installation.ledger, charter, "outcome.seal", Scope(), now, passed=in_time, detail=detail)
    return sealed


def read_seals(ledger: Ledger, agent: str) -> tuple[Sealed, ...]:
    """Return the seals over an agent's outcomes, oldest first."""
    rows = ledger.decisions(agent, kind=SEALED, limit=DECISIONS_MAX)
    found = []
    for row in reversed(rows):
        document = json.loads(row.document)
        found.append(Sealed(digest=document["digest"], at=row.at, by=row.actor, in_time=document["in_time"]))
    return tuple(found)


def measure_effect(installation: Installation, agent: str, name: str, file: Path, now: datetime) -> Effect:
    """Hold a measurement of one outcome against what was committed, and keep what it proves.

    Before and after alone prove nothing where a holdout was feasible, which is so until the charter says why not; then what
    they prove is at risk.

    Args:
        installation: Lake and ledger.
        agent: Agent with a charter in force.
        name: Outcome metric of the charter.
        file: CSV with the columns `unit`, `arm` (`agent`, and `holdout` or `before` as the charter's control says) and `value`.
        now: The moment, aware UTC.

    Raises:
        UnknownName: The charter has no such outcome.
        MalformedRecord: A row cannot be read; names its line.
        UsageError: No charter is in force, or the commitment is an open question.
    """
    charter = charter_in_force(installation.ledger, agent)
    outcome = _outcome(charter, name)
    committed, direction = known(outcome.commit.change), known(outcome.direction)
    if committed is None or direction is None:
        raise UsageError(
            f"what outcome {name!r} shall become is an open question", remedy="Answer it: `pilothouse check`."
        )
    control = known(outcome.control.kind)
    if control is None:
        raise UsageError(
            f"what outcome {name!r} is compared with is an open question",
            remedy="Answer it: `pilothouse check`.",
        )
    compared, is_weak = _COMPARED[control], control == "before_after"
    groups = _read_groups(file, compared)
    found = relative_change(list(groups["agent"].values()), list(groups[compared].values()))
    proven = _proven(found, committed, direction)
    if proven and is_weak and outcome.control.because is None:
        proven = None
    effect = Effect(outcome=name, committed=committed, found=found, proven=proven, is_weak=is_weak)
    if isinstance(found, Estimate):
        # One that decides nothing is kept too: else who measures again and again would keep the luckiest of all looks.
        word = {True: "proven", False: "proved short of it", None: "neither proven nor proved short of it"}[
            effect.proven
        ]
        detail = (
            f"{name}: {percentage(found.value, signed=True)} {percent_range(found.low, found.high, signed=True)} against the {compared} arm, "
            f"committed {percentage(committed, decimals=0, signed=True)}: {word}{f', {WEAK}' if is_weak else ''}."
        )
        _write(
            installation.ledger,
            charter,
            "outcome.effect",
            Scope(part=name),
            now,
            passed=effect.proven,
            detail=detail,
            n=found.n,
            is_weak=is_weak,
        )
    return effect


def _proven(found: Estimate | NotEnoughEvidence, committed: float, direction: str) -> bool | None:
    if isinstance(found, NotEnoughEvidence):
        return None
    reached, short = (
        (found.high <= committed, found.low > committed)
        if direction == "down"
        else (found.low >= committed, found.high < committed)
    )
    return True if reached else False if short else None


def _read_groups(file: Path, compared: str) -> Mapping[str, dict[str, list[float]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:  # spreadsheets write a BOM
            groups = _grouped(stream, file, compared)
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}",
            remedy="Give a CSV file: `pilothouse value measure --help`.",
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise MalformedRecord(
            f"no CSV file in UTF-8: {error}", remedy="Export it as CSV in UTF-8.", place=Place(str(file))
        ) from error
    both = groups["agent"].keys() & groups[compared].keys()
    if both and compared == "holdout":
        raise MalformedRecord(
            f"unit {min(both)!r} stands in both arms, so the holdout is no holdout",
            remedy="Leave out units that changed sides, and say how many.",
            place=Place(str(file)),
        )
    return groups


def _grouped(stream: Iterable[str], file: Path, compared: str) -> dict[str, dict[str, list[float]]]:
    """Return the values of each unit by arm."""
    groups: dict[str, dict[str, list[float]]] = {arm: {} for arm in ("agent", compared)}
    rows = csv.DictReader(stream)
    missing = {"unit", "arm", "value"} - set(rows.fieldnames or ())
    if missing:
        raise MalformedRecord(
            f"the column {min(missing)!r} is missing",
            remedy="The first line is `unit,arm,value`, with commas between, and a number has a decimal point.",
            place=Place(str(file)),
        )
    for number, row in enumerate(rows, start=2):
        if number - 1 > ROWS_MAX:  # the first line names the columns
            raise MalformedRecord(
                f"more than {ROWS_MAX:,} rows",
                remedy="Aggregate by unit first.",
                place=Place(str(file), number),
            )
        unit, arm = (row["unit"] or "").strip(), (row["arm"] or "").strip()
        value = _number(row["value"], file, number)
        if not unit:
            raise MalformedRecord(
                "no unit is named, and rows without one would count as one together",
                remedy="Name the unit, or leave out this line.",
                place=Place(str(file), number),
            )
        if arm not in groups:
            raise MalformedRecord(
                f"arm {arm!r} is neither `agent` nor `{compared}`",
                remedy="Correct this line.",
                place=Place(str(file), number),
            )
        groups[arm].setdefault(unit, []).append(value)
    return groups


def _number(text: str | None, file: Path, line: int) -> float:
    said = (text or "").strip()
    value = float(said) if DECIMAL.fullmatch(said) else math.nan
    if not abs(value) <= VALUE_MAX:
        raise MalformedRecord(
            f"{text!r} is no number up to {VALUE_MAX:,.0f}",
            remedy="Correct this line.",
            place=Place(str(file), line),
        )
    return value


def _outcome(charter: Charter, name: str) -> Outcome:
    declared = {one.name: one for one in known(charter.outcomes) or ()}
    if name not in declared:
        raise UnknownName.among("outcome", name, declared, remedy="The charter lists them under `outcomes`.")
    return declared[name]


def _is_open(outcome: Outcome) -> bool:
    said = (
        outcome.direction,
        outcome.baseline.value,
        outcome.baseline.n,
        outcome.commit.change,
        outcome.commit.by,
    )
    return any(is_open(value) for value in said) or not outcome.baseline.n


def _write(
    ledger: Ledger,
    charter: Charter,
    kind: str,
    scope: Scope,
    now: datetime,
    *,
    passed: bool | None,
    detail: str,
    n: int = 1,
    is_weak: bool = False,
) -> None:
    warnings = {WARNINGS: 1} if is_weak and passed else {}
    record = recorded(
        kind,
        charter,
        now,
        command=f"pilothouse value show {charter.agent}",
        scope=scope,
        n=n,
        passed=passed,
        counts={UNKNOWN: 1} if passed is None else warnings,
        detail=detail,
    )
    ledger.add_evidence([record])
