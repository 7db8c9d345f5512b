# SPDX-License-Identifier: Apache-2.0
"""A change of what tools may do: what narrows holds at once, what widens waits for two persons.

While it waits, each tool whose rules got wider keeps the rules it had, and a new tool is not there yet. Everything
else of the new charter is in force.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.diff import Change, Effect, compare_charters
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.charter.powers import Action, may_act
from pilothouse.core.charter.systems import Tool
from pilothouse.errors import CharterError, Denied, UsageError
from pilothouse.ports.ledger import CharterInForce, Ledger
from pilothouse.workflows.ground.in_force import charter_in_force, charter_of

__all__ = [
    "PERSONS_NEEDED",
    "Widening",
    "agree_to_widening",
    "effective_charter",
    "note_widening",
    "waiting_widening",
    "widening_note",
]

PERSONS_NEEDED = 2

WAITS = "policy.widening_waits"
AGREED = "policy.widening_agreed"

NOTES_READ_MAX = 100
"""Notes that are looked through; the one about the charter in force is the newest, or was followed by one that was not accepted."""

AGREEMENTS_READ_MAX = 1_000
"""Agreements that are looked through; each change has two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Widening:
    """A change that waits for persons.

    Attributes:
        agent: Agent id.
        number: Charter that brought it.
        policy: Digest of its tools section, which is what persons agree to.
        base: Digest of the tools section that was wholly in force before.
        base_number: Charter of that section; None when nobody knows it any more, and then nothing of it holds.
        wider: Paths that let the agent do more.
        since: When it began to wait.
        since_note: Sequence of the note with which it began to wait; agreements from before it count no more.
        may_agree: Persons who may agree: owner, sponsor and approvers of the charter before, and those of the new one
            where that names too few.
        agreed: Those who have.
    """

    agent: str
    number: int
    policy: str
    base: str
    base_number: int | None
    wider: tuple[str, ...]
    since: datetime
    since_note: int
    may_agree: tuple[str, ...]
    agreed: tuple[str, ...]

    @property
    def is_settled(self) -> bool:
        """Whether enough persons agreed."""
        return len(self.agreed) >= PERSONS_NEEDED


def note_widening(
    ledger: Ledger, before: CharterInForce, new: Charter, *, digest: str, actor: str, now: datetime
) -> None:
    """Record that a charter widens what tools may do, where it does; it says nothing until that charter is in force.

    Args:
        ledger: Where charters and decisions stand.
        before: The charter in force.
        new: The one that is about to be.
        digest: Its digest.
        actor: Who puts it into force.
        now: The moment, aware UTC.
    """
    earlier = waiting_widening(ledger, before)
    base_record = before if earlier is None else _base_of(ledger, earlier)
    if base_record is None:
        return
    try:
        base = charter_of(base_record)
    except CharterError:
        return  # this program cannot read it, so none of its tools was in force
    wider = _wider(base, new)
    if not wider:
        return
    document = {
        "charter": digest,
        "policy": new.section_digests["tools"],
        "base": base.section_digests["tools"],
        "base_number": base_record.number,
        "wider": list(wider),
        "may_agree": list(_who_may_agree(base, new)),
        "since": now.isoformat(),
        "since_note": None,
    }
    if earlier is not None and (earlier.policy, earlier.base) == (document["policy"], document["base"]):
        # Another charter with the same rules for tools lets this very change wait on.
        document |= {"since": earlier.since.isoformat(), "since_note": earlier.since_note}
    ledger.record(kind=WAITS, agent=before.agent, at=now, actor=actor, document=canonical_json(document))


def waiting_widening(ledger: Ledger, record: CharterInForce) -> Widening | None:
    """Return the change that waits under a charter in force; None when everything of it holds."""
    noted = ledger.decisions(record.agent, kind=WAITS, limit=NOTES_READ_MAX)
    note, said = next(
        ((one, said) for one in noted if _is_about(said := json.loads(one.document), record)), (None, None)
    )
    if note is None or said is None:
        return None
    since = datetime.fromisoformat(said["since"]) if "since" in said else note.at
    since_note = int(said.get("since_note") or note.sequence)
    widening = Widening(
        agent=record.agent,
        number=record.number,
        policy=said["policy"],
        base=said["base"],
        base_number=_number_of_base(ledger, record.agent, said),
        wider=tuple(said["wider"]),
        since=since,
        since_note=since_note,
        may_agree=tuple(said["may_agree"]),
        agreed=tuple(_agreed(ledger, record.agent, said, since_note)),
    )
    return None if widening.is_settled else widening


def _number_of_base(ledger: Ledger, agent: str, said: Mapping[str, Any]) -> int | None:
    """Return which charter a change is compared with; older notes name only when it came, and a clock may go back."""
    if "base_number" in said:
        return int(said["base_number"])
    record = ledger.charter(agent, at=datetime.fromisoformat(said["base_at"]))
    while record is not None and charter_of(record).section_digests["tools"] != said["base"]:
        record = ledger.charter(agent, number=record.number - 1)
    return None if record is None else record.number


def _base_of(ledger: Ledger, waiting: Widening) -> CharterInForce | None:
    return None if waiting.base_number is None else ledger.charter(waiting.agent, number=waiting.base_number)


def _is_about(said: Mapping[str, Any], record: CharterInForce) -> bool:
    """Whether a note is about this charter; older notes name its number, newer ones stand before it has one."""
    if "charter" in said:
        return bool(said["charter"] == record.digest)
    return bool(said["number"] == record.number)


def agree_to_widening(ledger: Ledger, agent: str, person: str, now: datetime) -> Widening:
    """Let a person agree to the change that waits; the second one puts it into force.

    Raises:
        UsageError: Nothing waits.
        Denied: This person may not agree, or has agreed already.
    """
    charter_in_force(ledger, agent)
    record = ledger.charter(agent)
    waiting = None if record is None else waiting_widening(ledger, record)
    if waiting is None:
        raise UsageError(
            f"no change of what the tools of {agent} may do waits for anybody",
            remedy=f"See what is in force: `pilothouse policy check {agent}`.",
            subject=agent,
        )
    if person not in waiting.may_agree or person in waiting.agreed:
        why = "has agreed already" if person in waiting.agreed else "may not agree to it"
        others = [one for one in waiting.may_agree if one not in waiting.agreed]
        raise Denied(f"{person or 'nobody'} {why}", remedy=_whom_to_ask(agent, others), subject=person)
    document = {"policy": waiting.policy, "base": waiting.base, "person": person}
    ledger.record(kind=AGREED, agent=agent, at=now, actor=person, document=canonical_json(document))
    return replace(waiting, agreed=(*waiting.agreed, person))


def effective_charter(ledger: Ledger, record: CharterInForce, charter: Charter) -> Charter:
    """Return a charter with the tools that are in force: what waits is as it was before."""
    waiting = waiting_widening(ledger, record)
    if waiting is None:
        return charter
    base_record = _base_of(ledger, waiting)
    base = {} if base_record is None else known(charter_of(base_record).tools) or {}
    return Charter.model_construct(
        **{name: getattr(charter, name) for name in Charter.model_fields if name != "tools"},
        tools=_merged(base, known(charter.tools) or {}, waiting.wider),
    )


def widening_note(ledger: Ledger, record: CharterInForce) -> str | None:
    """Return what a verdict says while a change waits, or None."""
    waiting = waiting_widening(ledger, record)
    if waiting is None:
        return None
    missing = PERSONS_NEEDED - len(waiting.agreed)
    others = [one for one in waiting.may_agree if one not in waiting.agreed]
    shown, more = ", ".join(waiting.wider[:3]), len(waiting.wider) - 3
    return (
        f"Charter {waiting.number} lets tools do more ({shown}{f' and {more} more' if more > 0 else ''}); until "
        f"{missing} more persons agree, those tools keep their old rules. {_whom_to_ask(waiting.agent, others)}"
    )


def _whom_to_ask(agent: str, others: Sequence[str]) -> str:
    if not others:
        return "No charter names anybody who may agree: name an owner and a sponsor in `charter.yaml` first."
    return f"One of {', '.join(others)}: `pilothouse policy agree {agent} --as {others[0]}`."


def _agreed(ledger: Ledger, agent: str, said: Mapping[str, Any], since_note: int) -> Iterable[str]:
    """Persons who agreed to exactly this change while it waited, each once, in their order.

    What was agreed to once and taken back since is agreed to again: whoever took it back had a reason. What came first is
    told by the order of the ledger, since a clock may go back.
    """
    persons: dict[str, None] = {}
    for decision in reversed(ledger.decisions(agent, kind=AGREED, limit=AGREEMENTS_READ_MAX)):
        document = json.loads(decision.document)
        is_this = (document["policy"], document["base"]) == (said["policy"], said["base"])
        if is_this and decision.sequence > since_note:
            persons[document["person"]] = None
    return persons


def _wider(base: Charter, new: Charter) -> tuple[str, ...]:
    return tuple(one.path for one in compare_charters(base, new).changes if _is_wider_rule(one))


def _is_wider_rule(change: Change) -> bool:
    return change.effect is Effect.WIDER and change.path.startswith("tools.")


def _merged(base: Mapping[str, Tool], new: Mapping[str, Tool], wider: Sequence[str]) -> dict[str, Tool]:
    merged = {}
    for name, tool in new.items():
        here = f"tools.{name}"
        waits = any(path == here or path.startswith((f"{here}.", f"{here}[")) for path in wider)
        kept = base.get(name) if waits else tool
        if kept is not None:
            merged[name] = kept
    return merged


def _who_may_agree(base: Charter, new: Charter) -> tuple[str, ...]:
    """Return who is asked; a draft that names nobody yet cannot keep its tools closed for ever."""
    asked = _persons(base)
    return asked if len(asked) >= PERSONS_NEEDED else tuple(dict.fromkeys((*asked, *_persons(new))))


def _persons(base: Charter) -> tuple[str, ...]:
    roles = [
        name for name, person in (known(base.people) or {}).items() if person.role in ("owner", "approver")
    ]
    found = (known(base.owner.person), known(base.sponsor.person), *roles)
    persons = dict.fromkeys(str(one) for one in found if one is not None and not is_open(one))
    # A `role` of the charter limits and does not make: whoever may approve nothing else does not agree here either.
    return tuple(one for one in persons if may_act(base, one, Action.APPROVE))
