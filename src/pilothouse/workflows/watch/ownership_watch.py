# SPDX-License-Identifier: Apache-2.0
"""Watches people and calendar of a charter: a silent sponsor, lapsed signatures, leavers, a term that ends, a pin that retires, a late game day."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.people import DUTIES
from pilothouse.core.dates import calendar_day, day
from pilothouse.core.evidence.evidence import Basis, Evidence
from pilothouse.core.evidence.kinds import SIGNING_KINDS
from pilothouse.core.evidence.unix_time import midnight
from pilothouse.core.verdict.declared import owner_term, retirements
from pilothouse.core.verdict.sentence import person_names
from pilothouse.core.verdict.signing import Asked, SignatureState, asked_signatures
from pilothouse.errors import CharterError
from pilothouse.ports.ledger import DECISIONS_MAX, CharterInForce, Ledger
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.incidents.alerts import Firing, alert_for_every_agent, said_as
from pilothouse.workflows.people.directory import look_at_directory, people_gone

__all__ = [
    "GAME_DAY_LATE",
    "LEFT",
    "OWNERSHIP_WATCH_EVERY_S",
    "REATTESTATION",
    "RETIREMENT",
    "SPONSOR_SILENT",
    "look_at_ownership",
    "watch_ownership",
]

OWNERSHIP_WATCH_EVERY_S = 3_600.0
"""People leave and signatures lapse by the day; within the hour somebody hears of it."""

SPONSOR_SILENT, REATTESTATION, LEFT, RETIREMENT = "sponsor_silence", "reattestation", "leaver", "retirement"
GAME_DAY_LATE, TERM = "game_day", "term"
"""Metrics by which incidents name these."""

SPONSOR_CADENCE = timedelta(days=30)
"""How often a sponsor shows up where the charter does not say."""

WARNED_AFTER, TOLD_AFTER = 1.5, 2.0
"""Cadences of silence: after 45 days a warning is on record, after 60 it is an incident (OWN-6)."""

AGAIN_AFTER = timedelta(days=7)
"""What lasts for weeks is said once a week; an incident about it that was resolved is not opened again sooner."""

_GAME_DAY = "drill.game-day"

NAMED_MAX = 6
"""Signatures named in one sentence; the Ownership page has all of them."""


def watch_ownership(room: ControlRoom, now: datetime) -> int:
    """Raise an alert for everything that is found; return how many incidents were opened.

    Raises:
        PilothouseError: The first agent for which it failed, after all others have been looked at.
    """
    look_at_directory(room.installation, now)

    def fresh(record: CharterInForce) -> Iterator[Firing]:
        found = look_at_ownership(room.installation.ledger, record, now)
        return (one for one in found if not _is_said(room, one, now))

    return alert_for_every_agent(room, fresh, now)


def look_at_ownership(ledger: Ledger, record: CharterInForce, now: datetime) -> Iterator[Firing]:
    """Yield what is to be said about the people and the calendar of an agent; looking changes nothing.

    Args:
        ledger: Evidence, and who left.
        record: The charter in force.
        now: The moment, aware UTC.
    """
    charter = charter_of(record)
    seen = ledger.evidence(charter.agent, kinds=(*SIGNING_KINDS, "review.held", _GAME_DAY))
    evidence = [one for one in seen if one.recorded_at <= now]
    yield from _sponsor(ledger, record, evidence, now)
    # A signature for one phase has no end by date, so that of another phase needs no look here.
    yield from _lapsed(charter, asked_signatures(charter, evidence, now), now)
    yield from _game_day(charter, evidence, now)
    yield from _left(charter, people_gone(ledger, charter.agent))
    term = owner_term(charter, now.date())
    dated = [
        *((TERM, one) for one in (term,) if one),
        *((RETIREMENT, one) for one in retirements(charter, now.date())),
    ]
    for metric, one in dated:
        layer: Literal["warning", "verdict"] = "verdict" if one.breaches else "warning"
        yield Firing(agent=charter.agent, metric=metric, sentence=one.sentence, layer=layer)


def _sponsor(
    ledger: Ledger, record: CharterInForce, evidence: Sequence[Evidence], now: datetime
) -> Iterator[Firing]:
    """Whatever a sponsor signs, and each review with a sponsor, is a sign of life."""
    charter = charter_of(record)
    sponsor = known(charter.sponsor.person)
    if sponsor is None:
        return
    cadence = known(charter.sponsor.review) or SPONSOR_CADENCE
    signs = [one.recorded_at for one in evidence if _is_by(one, sponsor)]
    last = max(signs) if signs else _named_since(ledger, record, sponsor)
    silent = now - last
    if silent <= WARNED_AFTER * cadence:
        return
    name = person_names(charter).get(sponsor, sponsor)
    said = "has signed nothing and held no review" if signs else "has never signed or reviewed anything"
    yield Firing(
        agent=charter.agent,
        metric=SPONSOR_SILENT,
        # Its day and not its length, so that the same silence is one incident however long it lasts.
        sentence=f"The sponsor {name} {said} since {day(last)}; every {cadence.days} days are agreed.",
        layer="verdict" if silent > TOLD_AFTER * cadence else "warning",
        onset=last,
    )


def _named_since(ledger: Ledger, record: CharterInForce, sponsor: str) -> datetime:
    """Return since when charters have named a sponsor: a change of anything else is no sign of life."""
    since = record.accepted_at
    while (before := ledger.charter(record.agent, at=since - timedelta.resolution)) is not None:
        try:
            if known(charter_of(before).sponsor.person) != sponsor:
                break
        except CharterError:
            break  # an older program wrote it: whom it names, nobody knows
        since = before.accepted_at
    return since


def _is_by(record: Evidence, sponsor: str) -> bool:
    if record.basis is Basis.ATTESTED:
        return record.signer == sponsor
    return record.kind == "review.held" and record.scope.part == "sponsor"


def _lapsed(charter: Charter, asked: Iterable[Asked], now: datetime) -> Iterator[Firing]:
    """Signatures that stood and ran out; one that was never given is work for the plan."""
    lapsed = [one for one in asked if one.state is SignatureState.LAPSED and one.requirement != "OWN-6"]
    if not lapsed:
        return
    lapsed.sort(key=lambda one: (one.lapses_at or now, one.requirement))
    named = dict.fromkeys(
        f"{one.requirement} by {one.person} ({day(one.lapses_at or now)})" for one in lapsed
    )
    listed = list(named)
    shown = ", ".join(listed[:NAMED_MAX])
    more = f" and {len(listed) - NAMED_MAX} more" if len(listed) > NAMED_MAX else ""
    first = lapsed[0]
    yield Firing(
        agent=charter.agent,
        metric=REATTESTATION,
        sentence=f"Signatures have lapsed and were not given again: {shown}{more}. "
        f"`pilothouse evidence attest {first.requirement} --as {first.person}`.",
        onset=first.lapses_at,
    )


def _game_day(charter: Charter, evidence: Iterable[Evidence], now: datetime) -> Iterator[Firing]:
    """The day by which operations had to show that they can run the agent alone, when it is over and they have not."""
    by = known(charter.handoff.game_day_by)
    if by is None or now.date() <= by or any(one.kind == _GAME_DAY and one.passed for one in evidence):
        return
    yield Firing(
        agent=charter.agent,
        metric=GAME_DAY_LATE,
        sentence=f"The game day was due by {calendar_day(by)}, and none was passed: nobody has shown that operations run this agent "
        "alone (OWN-8). `pilothouse drill game-day`.",
        onset=midnight(by),
    )


def _left(charter: Charter, gone: Sequence[str]) -> Iterator[Firing]:
    """People of the charter who are not in the directory any more, with what they leave behind."""
    names = person_names(charter)
    for person in gone:
        if person not in charter.people:
            continue
        duties = [duty for duty in DUTIES if person == known(charter.raci.row(duty).accountable)]
        roles = [
            word
            for word, holder in (("owner", charter.owner.person), ("sponsor", charter.sponsor.person))
            if known(holder) == person
        ]
        held = [
            *(f"its {one}" for one in roles),
            *(f"accountable for {one.replace('_', ' ')}" for one in duties),
        ]
        entry = charter.people[person].substitute
        stands_in = None if entry is None else known(entry)
        instead = (
            f"{names.get(stands_in, stands_in)} stands in"
            if stands_in and stands_in not in gone
            else "nobody stands in"
        )
        yield Firing(
            agent=charter.agent,
            metric=f"{LEFT}.{person}",
            sentence=f"{names.get(person, person)} is not in the directory any more"
            f"{' and was ' + ', '.join(held) if held else ''}; {instead}. Name somebody in the charter.",
        )


def _is_said(room: ControlRoom, firing: Firing, now: datetime) -> bool:
    """Whether the very sentence was said within `AGAIN_AFTER`: as a warning, or in an incident, resolved or not."""
    since, sentence = now - AGAIN_AFTER, said_as(firing.sentence)
    if firing.layer == "warning":
        warned = room.installation.ledger.decisions(firing.agent, kind="alert.warning", limit=DECISIONS_MAX)
        return any(one.at > since and json.loads(one.document)["sentence"] == sentence for one in warned)
    return any(
        event.at > since and sentence in event.text
        for incident in room.incidents.incidents(agent=firing.agent)
        for event in room.incidents.events(incident.number)
    )
