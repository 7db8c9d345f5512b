# SPDX-License-Identifier: Apache-2.0
"""Where an agent's calls went, against where they may go; and each control of each regulation with its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import UNKNOWN, Evidence, Scope
from pilothouse.core.evidence.recorded import recorded
from pilothouse.core.evidence.task import Task
from pilothouse.core.verdict.verdict import AgentVerdict, Status
from pilothouse.ports.ledger import CharterInForce
from pilothouse.reports.context import Framework, control_map
from pilothouse.workflows.ground.every_agent import for_every_agent
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import tasks_between
from pilothouse.workflows.verdict.assess import assess

__all__ = [
    "RESIDENCY_LOOK_EVERY_S",
    "Contact",
    "ControlState",
    "Residency",
    "measure_residency",
    "renew_residency",
]

WINDOW = timedelta(days=14)
"""As the inventory looks back."""

RESIDENCY_LOOK_EVERY_S = 3_600.0
"""The record of regions lapses after a day: a server that was down for a night has it again within the hour."""

RENEWED_AFTER = timedelta(hours=6)
"""The same record as before is written again when it is this old."""

NOWHERE = "unknown"
"""Region of what the charter does not declare: nowhere, and nowhere is not allowed."""

OPEN = "not said yet"
"""Region of what the charter declares and leaves open with "?": neither inside nor outside."""

HOLDING = frozenset({Status.HOLDS, Status.AT_RISK})
OWN = "INT-9"
"""The requirement that rests on these records; no control waits for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A place that calls went to.

    Attributes:
        place: `host:port` of a tool's call, or the model that answered.
        region: Its region as the charter declares it, `unknown` or `not said yet`.
        is_allowed: Whether the charter allows calls there.
        is_open: Whether nobody can say: the charter leaves this region or the allowed ones open.
        calls: Calls: tasks that touched the host, or model calls.
    """

    place: str
    region: str
    is_allowed: bool
    is_open: bool
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlState:
    """One regulation of the charter.

    Attributes:
        regulation: As the charter names it.
        controls: Controls that the map knows of; 0 when no map speaks of it.
        missing: Those without evidence that holds now, with the requirement that is missing.
        is_breached: Whether a requirement of one of them is breached, which is more than missing.
    """

    regulation: str
    controls: int
    missing: tuple[str, ...]
    is_breached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Residency:
    """What is known about where data goes.

    Attributes:
        agent: Agent id.
        regions: Regions that the charter allows; None while it is open.
        contacts: Places, the forbidden ones first.
        controls: Regulations of the charter.
        evidence: The same as records.
    """

    agent: str
    regions: tuple[str, ...] | None
    contacts: tuple[Contact, ...]
    controls: tuple[ControlState, ...]
    evidence: tuple[Evidence, ...]


def measure_residency(
    installation: Installation, charter: Charter, verdict: AgentVerdict, now: datetime
) -> Residency:
    """Return where calls went, and how each regulation stands.

    A region is what the charter declares for a host; a host or model that it does not declare is nowhere, and nowhere
    is not allowed. A region that the charter leaves open is no evidence, neither for nor against.
    """
    tasks = tasks_between(installation.lake, charter.agent, now - WINDOW, now)
    said = known(charter.residency.regions)
    regions = None if said is None or any(is_open(one) for one in said) else tuple(str(one) for one in said)
    contacts = _contacts(charter, tasks, regions)
    controls = tuple(_controls(charter, verdict))
    return Residency(
        agent=charter.agent,
        regions=regions,
        contacts=contacts,
        controls=controls,
        evidence=(
            *_regions_record(charter, now, tasks=tasks, contacts=contacts, regions=regions),
            *_control_records(charter, now, controls, _regulations_on_record(installation, charter)),
        ),
    )


def _regulations_on_record(installation: Installation, charter: Charter) -> set[str | None]:
    """Return the regulations of which something was said before: what they said then may stand no more."""
    return {one.scope.part for one in installation.ledger.evidence(charter.agent, kinds=["control"])}


def renew_residency(installation: Installation, now: datetime) -> int:
    """Put on record for every agent where its calls went, when that changed or will lapse; return new records.

    Raises:
        PilothouseError: The first agent for which it failed, after all others have been looked at.
    """

    def renew(record: CharterInForce) -> int:
        found = assess(installation, record.agent, now, freeze=False)
        seen = measure_residency(installation, found.charter, found.verdict, now)
        stored = installation.ledger.evidence(record.agent, kinds={one.kind for one in seen.evidence})
        kept = {(one.kind, one.scope): one for one in sorted(stored, key=_at)}
        due = [
            one
            for one in seen.evidence
            if (last := kept.get((one.kind, one.scope))) is None
            or now - last.window_to >= RENEWED_AFTER
            or (last.passed, last.detail, last.binds) != (one.passed, one.detail, one.binds)
        ]
        return installation.ledger.add_evidence(due)

    return for_every_agent(installation.ledger, renew)


def _at(record: Evidence) -> datetime:
    return record.window_to


def _contacts(
    charter: Charter, tasks: Sequence[Task], allowed: tuple[str, ...] | None
) -> tuple[Contact, ...]:
    of_hosts, of_models = _regions_of_hosts(charter), _regions_of_models(charter)
    calls: Counter[tuple[str, str]] = Counter()
    for task in tasks:
        for host in task.hosts:
            calls[(host, of_hosts.get(host, NOWHERE))] += 1
        # A task says which models answered, and how often in all: the calls count for the worst of them.
        places = [(model, of_models.get(model, NOWHERE)) for model in task.models]
        if places:
            calls[min(places, key=lambda one: _standing(one[1], allowed))] += task.model_calls
    found = [
        Contact(
            place=place,
            region=region,
            is_allowed=_standing(region, allowed) == _ALLOWED,
            is_open=_standing(region, allowed) == _UNSAID,
            calls=count,
        )
        for (place, region), count in calls.items()
    ]
    return tuple(sorted(found, key=lambda one: (_standing(one.region, allowed), -one.calls, one.place)))


_OUTSIDE, _UNSAID, _ALLOWED = range(3)


def _standing(region: str, allowed: tuple[str, ...] | None) -> int:
    """Return how a region stands, worst first."""
    if allowed is None or region == OPEN:
        return _UNSAID
    return _ALLOWED if region in allowed else _OUTSIDE


def _regions_of_hosts(charter: Charter) -> Mapping[str, str]:
    found = {}
    for declared in (known(charter.integrations) or {}).values():
        for host in known(declared.hosts) or ():
            region = known(declared.region) or OPEN
            found[str(host)] = found[str(host).rpartition(":")[0] or str(host)] = region
    return found


def _regions_of_models(charter: Charter) -> Mapping[str, str]:
    pins = (charter.model.pin, *(known(charter.model.fallback) or ()))
    return {
        name: known(pin.region) or OPEN
        for pin in pins
        if not is_open(pin.model)
        for name in (pin.model, *pin.served_as)
    }


def _controls(charter: Charter, verdict: AgentVerdict) -> Iterator[ControlState]:
    by_id = {one.requirement: one.status for one in verdict.requirements}
    for regulation in known(charter.regulations) or ():
        if is_open(regulation):
            continue
        name = str(regulation)
        rows = [one for one in control_map().framework if name.lower() in one.names]
        missing = [gap for framework in rows for gap in _missing(framework, by_id)]
        needed = {wanted for one in rows for control in one.control for wanted in control.evidence} - {OWN}
        yield ControlState(
            regulation=name,
            controls=sum(len(one.control) for one in rows),
            missing=tuple(missing),
            is_breached=any(by_id.get(wanted) is Status.BREACHED for wanted in needed),
        )


def _missing(framework: Framework, by_id: Mapping[str, Status]) -> Iterator[str]:
    for control in framework.control:
        needed = [name for name in control.evidence if name != OWN]
        if not control.evidence:
            yield f"{control.id} (nothing here produces evidence for it)"
            continue
        wanting = [name for name in needed if by_id.get(name) not in HOLDING]
        if wanting:
            yield f"{control.id} ({', '.join(wanting)})"


def _regions_record(
    charter: Charter,
    now: datetime,
    *,
    tasks: Sequence[Task],
    contacts: Sequence[Contact],
    regions: tuple[str, ...] | None,
) -> Iterator[Evidence]:
    calls = sum(one.calls for one in contacts)
    outside = [one for one in contacts if not (one.is_allowed or one.is_open)]
    # What the charter leaves open keeps the rest from being proved; a call outside is one all the same.
    if not calls or regions is None or (not outside and any(one.is_open for one in contacts)):
        return
    places = {one.place for one in outside}
    yield recorded(
        "regions_observed",
        charter,
        now,
        command=f"pilothouse report residency {charter.agent}",
        since=now - WINDOW,
        n=calls,
        good=calls - sum(one.calls for one in outside),
        detail="; ".join(f"{one.place} in {one.region}" for one in outside[:5])
        or f"all in {', '.join(regions)}",
        items=tuple(task.trace_id for task in tasks if places & {*task.hosts, *task.models}),
    )


def _control_records(
    charter: Charter, now: datetime, controls: Sequence[ControlState], on_record: Collection[str | None]
) -> Iterator[Evidence]:
    for one in controls:
        is_lacking = bool(one.missing) and not one.is_breached
        # What nobody has shown is no evidence, neither for nor against; it ends what was said before.
        if not one.controls or (is_lacking and one.regulation not in on_record):
            continue
        yield recorded(
            "control",
            charter,
            now,
            command=f"pilothouse report residency {charter.agent}",
            scope=Scope(part=one.regulation),
            n=one.controls,
            passed=None if is_lacking else not one.missing,
            counts={UNKNOWN: len(one.missing)} if is_lacking else {},
            detail=f"{one.controls - len(one.missing)} of {one.controls} controls of {one.regulation} have evidence that "
            f"holds{'; not ' + ', '.join(one.missing[:5]) if one.missing else ''}",
        )
