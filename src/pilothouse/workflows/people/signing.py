# SPDX-License-Identifier: Apache-2.0
"""Sign what must be signed, and waive what may be waived: a named person, the exact text, a date at which it ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import ValidationError

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_digest, canonical_json
from pilothouse.core.charter.powers import Action, may_act
from pilothouse.core.dates import day
from pilothouse.core.evidence.evidence import Source
from pilothouse.core.evidence.kinds import SIGNING_KINDS
from pilothouse.core.verdict.framework import requirement_named
from pilothouse.core.verdict.signing import (
    SIGNED_ITEMS,
    Asked,
    SignatureState,
    asked_signatures,
    signature_record,
)
from pilothouse.core.verdict.verdict import AgentVerdict, RequirementVerdict, Status, worst_status
from pilothouse.core.verdict.waiver import WAIVER_MAX, Waiver, unwaivable, waived_items
from pilothouse.errors import Conflict, Denied, UnknownName, UsageError
from pilothouse.ports.ledger import DECISIONS_MAX, Ledger
from pilothouse.workflows.ground.decision_log import newest_sequence
from pilothouse.workflows.ground.in_force import charter_in_force
from pilothouse.workflows.ground.phase_log import phase_at

__all__ = [
    "REASON_CHARS_MAX",
    "asked_of",
    "sign",
    "signatures",
    "waivable_state",
    "waive",
    "waivers_of",
]

WAIVED = "waiver.signed"
"""Kind of the decision that keeps a waiver."""

REASON_CHARS_MAX = 500
"""Characters of the reason of a waiver."""

RENEWALS_MAX = 1
"""How often a waiver of one requirement can be renewed for one version and one set of thresholds."""


def signatures(ledger: Ledger, agent: str, now: datetime, item: str | None = None) -> tuple[Asked, ...]:
    """Return every signature that is asked of an agent's people, with its state.

    Args:
        ledger: Charter and evidence.
        agent: Agent id.
        now: The moment.
        item: One requirement, or None for all.

    Raises:
        UnknownName: No such agent, or the requirement asks for no signature.
    """
    if item is not None and item not in SIGNED_ITEMS:
        requirement_named(item)
        raise UnknownName.among(
            "requirement that asks for a signature",
            item,
            SIGNED_ITEMS,
            remedy="Run `pilothouse evidence list` to see what is to be signed.",
        )
    return asked_signatures(
        charter_in_force(ledger, agent),
        ledger.evidence(agent, kinds=SIGNING_KINDS),
        now,
        item,
        phase=phase_at(ledger, agent, now).phase,
    )


def asked_of(charter: Charter, asked: Asked, person: str) -> bool:
    """Return whether a person may give this signature: who is named, or the substitute."""
    return person in {asked.person, charter.substitute_of(asked.person)}


def sign(
    ledger: Ledger,
    agent: str,
    item: str,
    *,
    person: str,
    actor: str,
    source: str,
    now: datetime,
    keys: Sequence[str] | None = None,
) -> tuple[Asked, ...]:
    """Sign for a person everything that a requirement asks of this person.

    Args:
        ledger: Where signatures are kept.
        agent: Agent id.
        item: Requirement id.
        person: Person id of who signs.
        actor: Who acts, as the decision names it: the identity, or the account of a command line.
        source: Page or command.
        now: The moment.
        keys: `Asked.key` of what was shown, or None to sign the text in force unseen by a form.

    Returns:
        What is signed now; signing twice on one day changes nothing but the date.

    Raises:
        Denied: The requirement asks nothing of this person, or the charter lets the person sign nothing.
        Conflict: The text has changed since it was shown.
    """
    charter = charter_in_force(ledger, agent)
    all_asked = signatures(ledger, agent, now, item)
    mine = [one for one in all_asked if asked_of(charter, one, person)]
    if not mine:
        who = " and ".join(dict.fromkeys(charter.name_of(one.person) for one in all_asked)) or "nobody yet"
        raise Denied(
            f"{item} asks for no signature of {charter.name_of(person)}; it asks {who}",
            remedy=f"Run `pilothouse evidence list {agent}` to see who signs what.",
            subject=item,
        )
    _need_power(charter, person)
    if keys is not None and not set(keys) & {one.key for one in mine}:
        raise Conflict(
            f"what {item} asks to be signed has changed since it was shown",
            remedy="Open the page again and read the text that is in force now.",
            subject=item,
        )
    chosen = [one for one in mine if keys is None or one.key in keys]
    # A substitute who signs an own part has not been asked for the one that its person has signed.
    chosen = [
        one for one in chosen if one.person == person or one.state is not SignatureState.SIGNED
    ] or chosen
    ledger.add_evidence([signature_record(one, agent, person, now, Source(command=source)) for one in chosen])
    ledger.record(
        kind="evidence.signed",
        agent=agent,
        at=now,
        actor=actor,
        document=canonical_json(
            {
                "requirement": item,
                "signer": person,
                "sections": {one.section or "": one.binds.section_digest or "" for one in chosen},
            }
        ),
    )
    return tuple(chosen)


def waivers_of(ledger: Ledger, agent: str) -> tuple[Waiver, ...]:
    """Return every waiver that was ever signed for an agent, newest first; one that cannot be read is none."""
    found = []
    for decision in ledger.decisions(agent, kind=WAIVED, limit=DECISIONS_MAX):
        try:
            found.append(Waiver.model_validate_json(decision.document))
        except ValidationError:
            continue
    return tuple(found)


def waivable_state(
    ledger: Ledger, verdict: AgentVerdict, item: str, further: Sequence[RequirementVerdict]
) -> str:
    """Return what is equal as long as a waiver of a requirement is about the same: what a form carries that shows it.

    Which items do not hold, of which version, by which thresholds, and how often it was waived. Values may move while
    somebody reads; the waiver keeps those at which it is signed, and ends when they get worse.

    Args:
        ledger: Where waivers are kept.
        verdict: The agent as it is judged now.
        item: The requirement.
        further: Requirements as they are asked for beyond the verdict.
    """
    thresholds = charter_in_force(ledger, verdict.agent).section_digests["thresholds"]
    items = [each for one in _asked_for(verdict, item, further) for each in one.items]
    said = {
        "version": verdict.version,
        "thresholds": thresholds,
        "waived": len(_waived_before(ledger, verdict, item, thresholds)),
        "items": sorted(one.model_dump_json(exclude={"value"}) for one in dict.fromkeys(waived_items(items))),
    }
    return canonical_digest(said)


def waive(
    ledger: Ledger,
    verdict: AgentVerdict,
    item: str,
    *,
    further: Sequence[RequirementVerdict],
    person: str,
    actor: str,
    reason: str,
    until: datetime,
    now: datetime,
    seen: str | None = None,
) -> Waiver:
    """Sign that an agent may proceed although a requirement does not hold; its status stays what it is.

    What is signed is what is seen now, wherever it is asked for: in the phase, at the next gate, and of what came into the
    scope and counts apart.

    Args:
        ledger: Where waivers are kept.
        verdict: The agent as it is judged now.
        item: The requirement.
        further: Requirements as they are asked for beyond the verdict, which may be with other parts.
        person: Person id of who signs; only the sponsor can.
        actor: Who acts, as the decision names it.
        reason: Why.
        until: Its end.
        now: The moment.
        seen: `waivable_state` of what was shown, or None where nothing was shown before.

    Raises:
        UnknownName: There is no such requirement.
        Denied: Another person than the sponsor, a sponsor whom the charter lets sign nothing, or a requirement that no
            signature lets pass.
        UsageError: Nothing to waive, no reason, or an end that is not within 30 days.
        Conflict: It was renewed once already, or it is not as it was shown.
    """
    agent, version, requirement = verdict.agent, verdict.version, requirement_named(item)
    charter = charter_in_force(ledger, agent)
    asked = _asked_for(verdict, item, further)
    items = [each for one in asked for each in one.items]
    worst = worst_status(tuple(one.status for one in asked))
    deciding = next(one.deciding for one in asked if one.status is worst)
    sponsor = known(charter.sponsor.person)
    if person != sponsor:
        raise Denied(
            f"only the sponsor waives, which is {charter.name_of(sponsor or '') or 'nobody yet'}",
            remedy="Ask the sponsor; `sponsor` of the charter names the person.",
            subject=item,
        )
    _need_power(charter, person)
    if deciding.status in {Status.HOLDS, Status.AT_RISK}:
        raise UsageError(
            f"{item} holds; there is nothing to waive", remedy=f"Run `pilothouse verdict {agent}`."
        )
    unbearable = unwaivable(item, (deciding, *items))
    if unbearable is not None:
        raise Denied(
            f"no signature lets {item} pass: {unbearable.sentence}",
            remedy=f"Make it hold: `{unbearable.remedy}`.",
            subject=item,
        )
    if not now < until <= now + WAIVER_MAX:
        raise UsageError(
            f"a waiver ends within {WAIVER_MAX.days} days, not on {day(until)}"
            + (", which is past" if until <= now else ""),
            remedy=f"Write a day that comes by then, for example `--until {now + WAIVER_MAX:%Y-%m-%d}`.",
        )
    if not reason.strip() or len(reason) > REASON_CHARS_MAX:
        raise UsageError(
            f"a waiver needs a reason of 1 to {REASON_CHARS_MAX} characters",
            remedy="Say why, for example `--reason 'the vendor fixes it by Friday'`.",
        )
    # Before anything is compared: of two forms that are sent at once only one is done.
    after = newest_sequence(ledger, agent, WAIVED)
    if seen is not None and seen != waivable_state(ledger, verdict, item, further):
        raise Conflict(
            f"{item} is not as it was shown: it was waived meanwhile, or other parts of it do not hold",
            remedy="Open the page again and read what a waiver would cover now.",
            subject=item,
        )
    thresholds = charter.section_digests["thresholds"]
    if len(_waived_before(ledger, verdict, item, thresholds)) > RENEWALS_MAX:
        raise Conflict(
            f"the waiver of {item} was renewed already; after {RENEWALS_MAX + 1} it must hold or the charter must change",
            remedy=f"Make it hold: `{requirement.remedy}`.",
            subject=item,
        )
    waiver = Waiver(
        requirement=item,
        signer=person,
        reason=reason.strip(),
        signed_at=now,
        until=until,
        version=version,
        thresholds_digest=thresholds,
        value=deciding.value,
        status=deciding.status,
        items=tuple(dict.fromkeys(waived_items(items))),
    )
    document = waiver.model_dump_json()
    ledger.record(kind=WAIVED, agent=agent, at=now, actor=actor, document=document, after=after)
    return waiver


def _asked_for(
    verdict: AgentVerdict, item: str, further: Sequence[RequirementVerdict]
) -> list[RequirementVerdict]:
    return [one for one in (*verdict.requirements, *further) if one.requirement == item]


def _waived_before(ledger: Ledger, verdict: AgentVerdict, item: str, thresholds: str) -> list[Waiver]:
    """Return the waivers of a requirement for this version by these thresholds."""
    about = (item, verdict.version, thresholds)
    return [
        one
        for one in waivers_of(ledger, verdict.agent)
        if (one.requirement, one.version, one.thresholds_digest) == about
    ]


def _need_power(charter: Charter, person: str) -> None:
    """Refuse whom a page would refuse: a role in the charter limits what duties give.

    Raises:
        Denied: The person may not sign.
    """
    if not may_act(charter, person, Action.SIGN):
        raise Denied(
            f"{charter.name_of(person)} may sign nothing for {charter.agent}: a role in the charter limits the person",
            remedy=f"Ask the owner; `people.{person}.role` of the charter says it.",
            subject=person,
        )
