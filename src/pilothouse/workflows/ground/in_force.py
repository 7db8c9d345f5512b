# SPDX-License-Identifier: Apache-2.0
"""Read the charter that is in force, and the newest verdict by it, back from the ledger's text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from pydantic import ValidationError

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.same_person import forms_of, names_of
from pilothouse.core.verdict.verdict import AgentVerdict
from pilothouse.errors import CharterInvalid, UnknownName
from pilothouse.ports.ledger import CharterInForce, Ledger

__all__ = [
    "charter_if_any",
    "charter_in_force",
    "charter_of",
    "newest_verdict",
    "people_named",
    "record_in_force",
    "verdict_of",
]

CHARTERS_KEPT = 128
"""Charters that were read stay in memory: a large fleet's, some hundred kilobytes each; every tick and page asks again."""


def charter_in_force(ledger: Ledger, agent: str) -> Charter:
    """Return the charter of an agent that is in force now.

    Raises:
        UnknownName: There is none; says the nearest agent that has one.
        CharterInvalid: This program cannot read it.
    """
    return charter_of(record_in_force(ledger, agent))


def record_in_force(ledger: Ledger, agent: str) -> CharterInForce:
    """Return the charter of an agent that is in force now, as it was accepted.

    Raises:
        UnknownName: There is none; says the nearest agent that has one.
    """
    record = ledger.charter(agent)
    if record is None:
        raise UnknownName.among(
            "agent with a charter",
            agent,
            [one.agent for one in ledger.charters()],
            remedy="Put its charter into force: `pilothouse verdict --charter charter.yaml`.",
        )
    return record


def charter_if_any(ledger: Ledger, agent: str) -> Charter | None:
    """Return the charter of an agent that is in force now; None where there is none yet.

    Raises:
        CharterInvalid: This program cannot read it.
    """
    record = ledger.charter(agent)
    return None if record is None else charter_of(record)


@lru_cache(maxsize=CHARTERS_KEPT)
def charter_of(record: CharterInForce) -> Charter:
    """Return the charter that was accepted.

    Its form is checked again, its rules are not: what was in order when it came into force stays in
    force, even when the world has changed since and a new check would refuse it.

    Raises:
        CharterInvalid: This program cannot read the form of it, which an older program accepted.
    """
    tree = read_charter_text(record.text, file=record.path)
    try:
        charter = Charter.model_validate(tree.value)
    except ValidationError as error:
        lines = tuple(
            f"{'.'.join(str(step) for step in one['loc'])}: {one['msg']}"
            for one in error.errors(include_url=False)
        )
        raise CharterInvalid(
            f"charter {record.number} of {record.agent!r} is in force, but this version of Pilothouse cannot read it",
            remedy=f"Correct the file and put it into force: `pilothouse verdict {record.agent} --charter {record.path}`.",
            findings=lines,
            subject=record.agent,
        ) from error
    return charter.with_files(None if record.files is None else dict(record.files))


def people_named(ledger: Ledger) -> Callable[[str, str], frozenset[str]]:
    """Return what gives every form by which a person of an agent's charter may be called, by agent and person id.

    Args:
        ledger: Where the charters in force stand.
    """

    def named(agent: str, person: str) -> frozenset[str]:
        charter = charter_if_any(ledger, agent)
        return forms_of(person) if charter is None else names_of(charter, person)

    return named


def newest_verdict(ledger: Ledger, agent: str, *, at: datetime | None = None) -> AgentVerdict | None:
    """Return the newest verdict of an agent; None when there is none that this program can read.

    Args:
        ledger: Where verdicts stand.
        agent: Agent id.
        at: The moment until which verdicts count, aware UTC; None for all.
    """
    text = ledger.latest_verdict(agent, at=at)
    return None if text is None else verdict_of(text)


def verdict_of(text: str) -> AgentVerdict | None:
    """Return a verdict of its text in the ledger; None for one that this program cannot read."""
    try:
        return AgentVerdict.model_validate_json(text)
    except ValidationError:
        return None  # an older program wrote it; the next one is ours
