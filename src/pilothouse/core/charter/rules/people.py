# SPDX-License-Identifier: Apache-2.0
"""Rules about the people of a charter: owner, sponsor, and every id that must be a person."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import timedelta

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.facts import CharterFacts
from pilothouse.core.charter.located import Path
from pilothouse.core.charter.rules.rule import Check, Hit, Rule, error, warning
from pilothouse.core.charter.same_person import mailbox_of
from pilothouse.errors import nearest_name

__all__ = ["CHECKS", "NO_OWNER", "OWNER_NOT_PERSON", "RULES"]

TERM_MIN = timedelta(days=183)
"""Six months: an agent must have an owner at the end of the next stability window."""

NO_OWNER = error("no-owner", "`owner` is missing", 'Name one person under `people`, or write `person: "?"`.')
OWNER_NOT_PERSON = error(
    "owner-not-person", "owner {owner} is a team, alias or list", "Name one person; teams go to `operations`."
)
OWNER_TERM_SHORT = warning(
    "owner-term-short",
    "owner's term ends {ends}, under 6 months away",
    "Extend `owner.term_ends`, or name the successor.",
)
OWNER_IN_IT = warning(
    "owner-in-it",
    "owner's unit {unit} differs from business unit {business_unit}",
    "Move ownership to {business_unit}, or keep it with a reason in `change_plan`.",
)
SPONSOR_IS_OWNER = error(
    "sponsor-is-owner", "sponsor and owner are the same person, {person}", "Name another sponsor."
)
PERSON_UNKNOWN = error(
    "person-unknown", "{path}: {person} is not under `people`, nor a group", "{hint} under `people`."
)
PERSON_TWICE = error(
    "person-twice",
    "{person} and {other} sign in by one identity, {identity}, and would agree with themselves",
    "Leave one of them; one person may have several duties.",
)
PERSON_ALIAS = warning(
    "person-alias",
    "{person} and {other} sign in by addresses of one mailbox, {mailbox}",
    "Leave one of them if that is one person, who would agree with themselves.",
)

RULES: tuple[Rule, ...] = (
    NO_OWNER,
    OWNER_NOT_PERSON,
    OWNER_TERM_SHORT,
    OWNER_IN_IT,
    SPONSOR_IS_OWNER,
    PERSON_UNKNOWN,
    PERSON_TWICE,
    PERSON_ALIAS,
)


def _check_owner(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield what is wrong with the owner and the sponsor."""
    owner = known(charter.owner.person)
    ends = known(charter.owner.term_ends)
    if ends is not None and ends - facts.today < TERM_MIN:
        yield OWNER_TERM_SHORT.at(("owner", "term_ends"), ends=ends.isoformat())
    if owner is None:
        return
    if owner == charter.sponsor.person:
        yield SPONSOR_IS_OWNER.at(("sponsor", "person"), person=owner)
    if owner not in charter.people and owner in _groups(charter, facts):
        yield OWNER_NOT_PERSON.at(("owner", "person"), owner=owner)
    person = charter.people.get(owner)
    unit, business_unit = known(person.unit) if person else None, known(charter.business_unit)
    if unit and business_unit and unit != business_unit:
        yield OWNER_IN_IT.at(("owner", "person"), unit=unit, business_unit=business_unit)


def _check_references(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield every id that stands for a person and is none."""
    groups = _groups(charter, facts)
    for path, name, may_be_group in _references(charter):
        if is_open(name) or name in charter.people or (may_be_group and name in groups):
            continue
        if path == ("owner", "person") and name in groups:
            continue  # owner-not-person says it better
        near = nearest_name(name, charter.people)
        yield PERSON_UNKNOWN.at(
            path, person=name, hint=f"Did you mean {near}? Or add it" if near else "Add it"
        )


def _check_identities(charter: Charter, _facts: CharterFacts) -> Iterator[Hit]:
    """Yield every person who is written a second time: what needs two persons would need one."""
    seen: dict[str, str] = {}
    mailboxes: dict[str, str] = {}
    for person, entry in charter.people.items():
        identity = known(entry.identity)
        if identity is None:
            continue
        path, mailbox = ("people", person, "identity"), mailbox_of(identity)
        other = seen.setdefault(unicodedata.normalize("NFKC", identity).casefold().strip(), person)
        alias = mailboxes.setdefault(mailbox, person)
        if other != person:
            yield PERSON_TWICE.at(path, person=person, other=other, identity=identity)
        elif alias != person and "@" in mailbox:
            yield PERSON_ALIAS.at(path, person=person, other=alias, mailbox=mailbox)


def _references(charter: Charter) -> Iterator[tuple[Path, str, bool]]:
    """Yield each place that names a person: path, id, and whether a group may stand there."""
    yield ("owner", "person"), charter.owner.person, False
    yield ("sponsor", "person"), charter.sponsor.person, False
    yield ("budgets", "pilot", "approved_by"), charter.budgets.pilot.approved_by, False
    yield ("budgets", "production", "approved_by"), charter.budgets.production.approved_by, False
    for name, person in charter.people.items():
        if person.substitute is not None:
            yield ("people", name, "substitute"), person.substitute, False
    yield from _each(("operations", "team"), charter.operations.team, may_be_group=False)
    for duty, row in charter.raci.rows().items():
        if row.accountable != "none":  # raci-no-accountable says it better
            yield ("raci", duty, "A"), row.accountable, False
        for letter, names in (("R", row.responsible), ("C", row.consulted), ("I", row.informed)):
            yield from _each(("raci", duty, letter), names, may_be_group=True)
    for index, level in enumerate(known(charter.escalation) or ()):
        yield from _each(("escalation", index, "to"), level.to, may_be_group=False)
    for name, integration in (known(charter.integrations) or {}).items():
        yield ("integrations", name, "owner"), integration.owner, False
    for name, tool in (known(charter.tools) or {}).items():
        yield from _each(("tools", name, "approvers"), tool.approvers, may_be_group=True)
    yield from _each(("model", "upgrade", "approve"), charter.model.upgrade.approve, may_be_group=False)
    for index, source in enumerate(known(charter.sources) or ()):
        yield ("sources", index, "owner"), source.owner, False
    for name, runbook in (known(charter.runbooks) or {}).items():
        if runbook.reviewed_by != "all_owners":
            yield from _each(("runbooks", name, "reviewed_by"), runbook.reviewed_by, may_be_group=False)


def _each(path: Path, names: object, *, may_be_group: bool) -> Iterator[tuple[Path, str, bool]]:
    if isinstance(names, tuple):
        for index, name in enumerate(names):
            yield (*path, index), str(name), may_be_group


def _groups(charter: Charter, facts: CharterFacts) -> frozenset[str]:
    pool = known(charter.reviewers.pool)
    return facts.groups | ({pool} if pool else frozenset())


CHECKS: tuple[Check, ...] = (_check_owner, _check_references, _check_identities)
