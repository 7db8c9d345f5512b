# SPDX-License-Identifier: Apache-2.0
"""What production says about a candidate that serves a share of the traffic: a verdict that is valid at every look."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import Binding, Evidence
from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.recorded import bound_record
from pilothouse.core.evidence.stand_in import is_same_model, stand_ins_of
from pilothouse.core.evidence.standing import standing_outcome
from pilothouse.core.evidence.task import Task, TaskResult
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.statistics.assignment import assignment_p_value, excess_p_value
from pilothouse.core.statistics.canary import CanaryDecision, CanaryReading, CanaryTest
from pilothouse.errors import ExitStatus
from pilothouse.ports.lake import Assigned, TaskFilter
from pilothouse.ports.upkeep import DEFAULT_RULE
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.retention_rule import retention_rule

__all__ = ["DAY_NS", "CanaryReport", "Unit", "canary_evidence", "differences", "read_canary", "units_of"]

BROKEN_BELOW: Final = 0.001
"""p-value of the split below which the assignment is broken: one sound experiment in a thousand is refused."""

BASELINE_UNITS_MAX: Final = 20
"""Baseline units that one candidate unit is held against; more of them sharpen nothing."""

DAY_NS: Final = 86_400 * 10**9
"""Pairs are of one day (UTC), in which traffic is alike for both arms."""

NOT_DONE: Final = frozenset({TaskResult.FAILED, TaskResult.REFUSED, TaskResult.ESCALATED})
"""How tasks end that nobody will verify."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A conversation or a user with its tasks of one task type.

    Attributes:
        name: Its id.
        arm: `candidate` or `baseline`.
        task_type: Task type.
        good: Share of its tasks whose outcome the system of record confirms.
        last_ns: Start of its last task, Unix nanoseconds UTC.
    """

    name: str
    arm: str
    task_type: str
    good: float
    last_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryReport:
    """Where an experiment stands.

    Attributes:
        experiment: Its id.
        agent: Agent.
        since: Where it begins, the same at each look.
        tasks: Tasks in both arms.
        candidate_units: Units of the candidate with an outcome.
        baseline_units: Units of the baseline with an outcome.
        pending: Tasks that wait for their outcome.
        unverifiable: Tasks that nobody can verify, by arm.
        switched: Units seen in both arms; they are left out.
        stood_in: Tasks that another model than the arm's answered, by arm; they are left out.
        others: The models that did, sorted.
        p_value: Chance of a split this uneven, or None without a share.
        reading: What the test says.
        candidate_version: Version that served the candidate, or None.
        exit_status: 0 not worse, 1 harmful, 3 undecided or broken.
        sentence: The verdict in words.
    """

    experiment: str
    agent: str
    since: datetime
    tasks: int
    candidate_units: int
    baseline_units: int
    pending: int
    unverifiable: Mapping[str, int]
    switched: int
    stood_in: Mapping[str, int]
    others: tuple[str, ...]
    p_value: float | None
    reading: CanaryReading
    candidate_version: str | None
    exit_status: ExitStatus
    sentence: str

    def as_record(self) -> dict[str, object]:
        """Return the fields as plain data for JSON."""
        return {**asdict(self), "since": self.since.isoformat(), "exit_status": int(self.exit_status)}


def units_of(
    assigned: Sequence[Assigned], tasks: Sequence[Task], outcomes: Mapping[str, Outcome]
) -> tuple[list[Unit], int, Counter[str], int]:
    """Fold tasks into units; a unit enters when all of its outcomes are in.

    A task that failed, was refused or was given to a person claims nothing, so nobody verifies it: it is not good, and
    its unit does not wait. Left out, a candidate would be judged by the tasks that it survived.

    Args:
        assigned: Arm and unit of each task.
        tasks: Tasks of the window.
        outcomes: Outcome by trace id.

    Returns:
        Units by their last task, tasks that wait, unverifiable tasks by arm, and units seen in both arms.
    """
    by_trace = {one.trace_id: one for one in assigned}
    arms: dict[str, set[str]] = defaultdict(set)
    for one in assigned:
        arms[one.unit].add(one.arm)
    switched = {unit for unit, seen in arms.items() if len(seen) > 1}
    values: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    last: dict[tuple[str, str, str], int] = {}
    waiting: set[tuple[str, str, str]] = set()
    unverifiable: Counter[str] = Counter()
    pending = 0
    for task in tasks:
        mark = by_trace.get(task.trace_id)
        if mark is None or mark.unit in switched:
            continue
        key = (mark.unit, mark.arm, task.task_type)
        last[key] = max(last.get(key, 0), task.start_ns)
        outcome = standing_outcome(task, outcomes.get(task.trace_id))
        if outcome is None and task.result in NOT_DONE:
            values[key].append(False)
        elif outcome is None or outcome.status is OutcomeStatus.PENDING:
            pending += 1
            waiting.add(key)
        elif outcome.status is OutcomeStatus.UNVERIFIABLE:
            unverifiable[mark.arm] += 1
        else:
            values[key].append(outcome.status is OutcomeStatus.VERIFIED)
    units = [
        Unit(name=key[0], arm=key[1], task_type=key[2], good=sum(found) / len(found), last_ns=last[key])
        for key, found in values.items()
        if key not in waiting
    ]
    return sorted(units, key=lambda one: (one.last_ns, one.name)), pending, unverifiable, len(switched)


def differences(units: Sequence[Unit]) -> list[float]:
    """Hold each candidate unit against baseline units of its task type and day that were not used yet.

    Of one day: while a canary pauses, the baseline serves on in a world that may be another one. And a day that is over
    keeps its pairs at each later look, whatever share the candidate has by then.

    Args:
        units: Units of both arms, in the order of their last task.

    Returns:
        Candidate minus the mean of its baseline units, each in [-1, 1], in that order.

    Example:
        >>> def unit(arm, good, at):
        ...     return Unit(name=str(at), arm=arm, task_type="t", good=good, last_ns=at)
        >>> differences([unit("baseline", 1.0, 1), unit("baseline", 0.0, 2), unit("candidate", 1.0, 3)])
        [0.5]
        >>> differences([unit("candidate", 1.0, 1), unit("baseline", 0.0, DAY_NS)])
        []
    """
    strata: dict[tuple[int, str], dict[str, list[Unit]]] = {}
    for one in units:
        arms = strata.setdefault((one.last_ns // DAY_NS, one.task_type), {"candidate": [], "baseline": []})
        arms["candidate" if one.arm == "candidate" else "baseline"].append(one)
    found: list[tuple[int, str, float]] = []
    for arms in strata.values():
        own, others = arms["candidate"], arms["baseline"]
        ratio = max(1, min(BASELINE_UNITS_MAX, len(others) // max(len(own), 1)))
        for place, one in enumerate(own[: len(others) // ratio]):
            held = others[place * ratio : (place + 1) * ratio]
            # A pair is known when the last of its units is.
            at = max(one.last_ns, held[-1].last_ns)
            found.append((at, one.name, one.good - sum(other.good for other in held) / ratio))
    return [difference for _, _, difference in sorted(found)]


def read_canary(
    installation: Installation,
    agent: str,
    experiment: str,
    test: CanaryTest,
    *,
    since: datetime,
    until: datetime | None = None,
    share: float | None = None,
    charter: Charter | None = None,
    candidate_model: str | None = None,
) -> CanaryReport:
    """Read an experiment from what production recorded.

    Args:
        installation: Lake, ledger and clock.
        agent: Agent.
        experiment: Its id.
        test: Margin, tolerance and error.
        since: Start of the window, the same at each look, aware UTC.
        until: Where the experiment ends, decided or not, aware UTC; None for never.
        share: Share that the candidate had all the time, to check the split; None leaves it unchecked.
        charter: The charter in force, or None.
        candidate_model: Model of the candidate; None for the pinned one.
    """
    now = installation.clock.now()
    is_over = until is not None and now >= until
    from_ns, to_ns = unix_ns(since), unix_ns(now if until is None else min(now, until))
    assigned = installation.lake.assigned(experiment, from_ns=from_ns, to_ns=to_ns)
    tasks = installation.lake.window(TaskFilter(agent=agent, from_ns=from_ns, to_ns=to_ns))
    outcomes = {
        one.trace_id: one for one in installation.ledger.outcomes(agent, from_ns=from_ns, to_ns=to_ns)
    }
    others = _stood_in(assigned, tasks, charter, candidate_model)
    own = [task for task in tasks if task.trace_id not in others]
    units, pending, unverifiable, switched = units_of(assigned, own, outcomes)
    seen = Counter(arm for _, arm in {(one.unit, one.arm) for one in assigned})
    blur = _blurred(assigned, tasks)
    p_value = None if share is None else assignment_p_value(seen["candidate"], seen["baseline"], share=share)
    _, reading = test.update(test.start(), differences(units))
    is_broken = p_value is not None and p_value < BROKEN_BELOW
    versions = _versions_of("candidate", assigned, tasks)
    report = CanaryReport(
        experiment=experiment,
        agent=agent,
        since=since,
        tasks=len(assigned),
        candidate_units=sum(one.arm == "candidate" for one in units),
        baseline_units=sum(one.arm == "baseline" for one in units),
        pending=pending,
        unverifiable=dict(unverifiable),
        switched=switched,
        stood_in=dict(Counter(one.arm for one in assigned if one.trace_id in others)),
        others=tuple(sorted(set().union(*others.values()))),
        p_value=p_value,
        reading=reading,
        candidate_version=versions[0] if len(versions) == 1 else None,
        exit_status=ExitStatus.NOT_ENOUGH_EVIDENCE,
        sentence="",
    )
    status, sentence = _verdict(report, test, is_broken=is_broken, is_over=is_over)
    gone = _gone(since, now, charter)
    if gone is not None:
        status, sentence = ExitStatus.NOT_ENOUGH_EVIDENCE, gone
    elif blur is not None:
        status, sentence = ExitStatus.NOT_ENOUGH_EVIDENCE, f"{blur}; nothing can be concluded"
    elif status is ExitStatus.HOLDS and _survived(report.stood_in, assigned):
        status = ExitStatus.NOT_ENOUGH_EVIDENCE
        sentence = (
            "other models answer for the candidate more often than for the baseline; nothing can be concluded"
        )
    return replace(report, exit_status=status, sentence=sentence)


def _stood_in(
    assigned: Sequence[Assigned], tasks: Sequence[Task], charter: Charter | None, candidate_model: str | None
) -> Mapping[str, frozenset[str]]:
    """Return the declared models that answered in place of an arm's own one, by trace: what they did says nothing of a version."""
    if charter is None:
        return {}
    pin, stand_ins = charter.model.pin, stand_ins_of(charter)
    of_candidate = stand_ins
    if candidate_model is not None and not is_same_model(pin, candidate_model):
        of_candidate = (stand_ins | {pin.model, *pin.served_as}) - {candidate_model}
    others = {one.trace_id: of_candidate if one.arm == "candidate" else stand_ins for one in assigned}
    found = {
        task.trace_id: others[task.trace_id].intersection(task.models)
        for task in tasks
        if task.trace_id in others
    }
    return {trace: models for trace, models in found.items() if models}


def _gone(since: datetime, now: datetime, charter: Charter | None) -> str | None:
    """Say that the first days of an experiment are kept no longer, or None: a window that slides is not valid at every look."""
    kept_days = (DEFAULT_RULE if charter is None else retention_rule(charter)).spans_days
    if now - since <= timedelta(days=kept_days):
        return None
    return (
        f"spans are kept for {kept_days} days, so the first ones of this experiment are gone and nothing can be concluded: begin another "
        "one, and first keep spans for as long as it takes (`retention.spans` in the charter)"
    )


def _survived(stood_in: Mapping[str, int], assigned: Sequence[Assigned]) -> bool:
    """Whether the candidate loses more of its tasks to other models than chance explains: it would be judged by those that are left."""
    share = sum(one.arm == "candidate" for one in assigned) / len(assigned)
    lost = stood_in.get("candidate", 0)
    return excess_p_value(lost, sum(stood_in.values()), share=share) < BROKEN_BELOW


def _blurred(assigned: Sequence[Assigned], tasks: Sequence[Task]) -> str | None:
    """Say why the arms do not tell one version from another, or None: what is concluded would be of no release."""
    mine, theirs = (_versions_of(arm, assigned, tasks) for arm in ("candidate", "baseline"))
    if len(mine) > 1:
        names = ", ".join(one[:12] for one in mine)
        return f"{len(mine)} versions served the candidate ({names}): begin another experiment"
    if set(mine) & set(theirs):
        return f"version {mine[0][:12]} served both arms: give `candidate_version` to `experiment.assign`"
    return None


def _versions_of(arm: str, assigned: Sequence[Assigned], tasks: Sequence[Task]) -> tuple[str, ...]:
    traces = {one.trace_id for one in assigned if one.arm == arm}
    return tuple(
        sorted({one.version_digest for one in tasks if one.trace_id in traces and one.version_digest})
    )


def canary_evidence(report: CanaryReport, *, at: datetime, charter: Charter | None) -> tuple[Evidence, ...]:
    """Turn proved harm into a record: it takes the release verdict of the candidate back.

    A canary that is not worse writes nothing: it looked at outcomes only, the gate at everything else.
    """
    if report.exit_status is not ExitStatus.BREACHED or report.candidate_version is None:
        return ()
    return (
        bound_record(
            "release.verdict",
            report.agent,
            at,
            command=f"pilothouse canary {report.experiment} --agent {report.agent}",
            binds=Binding(version=report.candidate_version),
            charter=charter,
            n=max(report.reading.n, 1),
            passed=False,
            detail=f"canary {report.experiment}: {report.sentence}",
        ),
    )


def _verdict(
    report: CanaryReport, test: CanaryTest, *, is_broken: bool, is_over: bool
) -> tuple[ExitStatus, str]:
    reading = report.reading
    if is_broken:
        return ExitStatus.NOT_ENOUGH_EVIDENCE, (
            f"assignment broken: {report.candidate_units} and {report.baseline_units} units do not fit the share "
            f"(p = {report.p_value:.1g}); nothing can be concluded"
        )
    ends = ""
    if reading.difference is not None:
        one = reading.difference
        ends = f"; {100 * one.value:+.1f} points [{100 * one.low:+.1f}, {100 * one.high:+.1f}] over {reading.n} units"
    if reading.decision is CanaryDecision.HARMFUL:
        return ExitStatus.BREACHED, f"proved worse by more than {100 * test.tolerance:g} points{ends}"
    if reading.decision is CanaryDecision.NOT_WORSE:
        return ExitStatus.HOLDS, f"proved not worse by more than {100 * test.margin:g} points{ends}"
    stands = "ended undecided, begin another experiment" if is_over else "not decided yet"
    return ExitStatus.NOT_ENOUGH_EVIDENCE, (
        f"{stands}: evidence {reading.e_fine:.2g} that it is not worse, {reading.e_harm:.2g} that it is, "
        f"{reading.threshold:g} decides{ends}"
    )
