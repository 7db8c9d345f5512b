# SPDX-License-Identifier: Apache-2.0
"""Who people are and what they may do, read from the charters in force: the only directory there is."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.powers import Action, may_act, people_who_may
from pilothouse.errors import Conflict, Denied, PilothouseError, UnknownName, UsageError
from pilothouse.ports.ledger import Ledger
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.people.directory import people_gone

__all__ = ["Directory", "Visitor", "reviewer_of"]

GONE_KEPT_S = 5.0
"""How long it is believed who has left: a request asks for it once for each agent, and whoever leaves is out this soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody whose identity is proven.

    Attributes:
        identity: Sign-in identity.
        name: Name as the charters write it.
        persons: Person id in each agent's charter.
    """

    identity: str
    name: str
    persons: Mapping[str, str]

    def person(self, agent: str) -> str:
        """Return the person id in an agent's charter.

        Raises:
            Denied: The charter does not name this person.
        """
        found = self.persons.get(agent)
        if found is None:
            raise Denied(
                f"the charter of {agent} does not name {self.name}",
                remedy="Ask its owner to add you under `people`, then `pilothouse check charter.yaml`.",
                subject=agent,
            )
        return found


def reviewer_of(identity: str) -> str:
    """Return how the review queue knows a person: the identity, or its digest when it is long.

    Example:
        >>> reviewer_of("oidc:lee@corp.example")
        'oidc:lee@corp.example'
    """
    return identity if len(identity) <= 64 else hashlib.sha256(identity.encode()).hexdigest()


class Directory:
    """The people of all charters in force."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[str, Charter]] = {}
        self._gone: dict[str, tuple[float, frozenset[str]]] = {}
        self._look: ContextVar[Mapping[str, Charter] | None] = ContextVar("look", default=None)

    @contextmanager
    def one_look(self) -> Iterator[None]:
        """See the charters of one moment for the time of a block: a request asks a dozen times who may do what."""
        token = self._look.set(self.charters())
        try:
            yield
        finally:
            self._look.reset(token)

    def charters(self) -> Mapping[str, Charter]:
        """Return the charters in force by agent; one that cannot be read names nobody."""
        seen = self._look.get()
        if seen is not None:
            return seen
        found = {}
        for record in self._ledger.charters():
            with self._lock:
                kept = self._kept.get(record.agent)
            if kept is None or kept[0] != record.digest:
                try:
                    kept = (record.digest, charter_of(record))
                except PilothouseError:
                    continue
                with self._lock:
                    self._kept[record.agent] = kept
            found[record.agent] = kept[1]
        return found

    def charter(self, agent: str) -> Charter:
        """Return the charter of one agent.

        Raises:
            UnknownName: No charter that can be read is in force for it.
        """
        charters = self.charters()
        if agent not in charters:
            raise UnknownName.among(
                "agent with a charter", agent, charters, remedy="Run `pilothouse verdict` to list agents."
            )
        return charters[agent]

    def one(self, agent: str | None) -> Charter:
        """Return the charter of an agent, or of the only one when none is named.

        Raises:
            UsageError: None is in force, or there are several and none was named.
            UnknownName: No charter that can be read is in force for it.
        """
        if agent is not None:
            return self.charter(agent)
        charters = self.charters()
        if len(charters) != 1:
            raise UsageError(
                f"{len(charters)} agents have a charter, and none was named",
                remedy="Name one, `--agent NAME`, or put one into force: `pilothouse verdict --charter charter.yaml`.",
            )
        return next(iter(charters.values()))

    def has_left(self, agent: str, person: str) -> bool:
        """Return whether somebody has left, as the organisation's directory says.

        Args:
            agent: Agent id.
            person: Person id in its charter.
        """
        now_s = time.monotonic()
        kept = self._gone.get(agent)
        if kept is None or now_s - kept[0] >= GONE_KEPT_S:
            kept = (now_s, frozenset(people_gone(self._ledger, agent)))
            self._gone[agent] = kept
        return person in kept[1]

    def visitor(self, identity: str) -> Visitor | None:
        """Return who an identity is, or None when no charter names it, or the person has left.

        Args:
            identity: As a charter writes it, or without its scheme as a proxy hands it on; then it is nobody where two
                charters mean different people by it.
        """
        persons, names, meant = {}, [], set()
        if not identity:
            return None  # an identity without a scheme has nothing behind it that would be equal
        for agent, charter in self.charters().items():
            for person, entry in charter.people.items():
                said = known(entry.identity)
                if (
                    said is not None
                    and identity in {said, said.partition(":")[2]}
                    and not self.has_left(agent, person)
                ):
                    persons[agent] = person
                    names.append(known(entry.name) or person)
                    meant.add(said)
        if len(meant) != 1:
            return None
        return Visitor(identity=meant.pop(), name=names[0], persons=persons)

    def find(self, who: str) -> Visitor:
        """Return the person with an id or an identity.

        Args:
            who: Person id in any charter, or identity.

        Raises:
            UnknownName: No charter names such a person.
            Conflict: Two charters call two people by this id.
            Denied: The person has left.
        """
        entries = [
            (person, known(entry.identity))
            for charter in self.charters().values()
            for person, entry in charter.people.items()
        ]
        identities = {said for person, said in entries if said is not None and who in {person, said}}
        if len(identities) > 1:
            raise Conflict(
                f"{who!r} is {len(identities)} people: {', '.join(sorted(identities))}",
                remedy=f"Give the identity, for example `pilothouse sign-in {min(identities)}`.",
                subject=who,
            )
        visitor = self.visitor(min(identities)) if identities else None
        if visitor is None and identities:
            raise Denied(
                f"{who} has left, as the directory says",
                remedy="`pilothouse people check --directory people.csv`, with an export that has the person, takes it back.",
                subject=who,
            )
        if visitor is None:
            raise UnknownName.among(
                "person with an identity in a charter in force",
                who,
                sorted({person for person, _ in entries}),
                remedy="`people` of a charter names them; put it into force with `pilothouse verdict --charter FILE`.",
            )
        return visitor

    def may(self, visitor: Visitor, agent: str | None, action: Action) -> bool:
        """Return whether a person may do something with an agent, or with any when it is None."""
        charters = self.charters()
        agents = charters if agent is None else (agent,)
        return any(
            name in charters
            and name in visitor.persons
            and not self.has_left(name, visitor.persons[name])
            and may_act(charters[name], visitor.persons[name], action)
            for name in agents
        )

    def agents_for(self, visitor: Visitor, action: Action) -> tuple[str, ...]:
        """Return the agents with which a person may do something, by name."""
        return tuple(sorted(agent for agent in visitor.persons if self.may(visitor, agent, action)))

    def need(self, visitor: Visitor, agent: str, action: Action) -> str:
        """Return the person id of somebody who may do something.

        Raises:
            Denied: The person may not; says who may.
        """
        if self.may(visitor, agent, action):
            return visitor.person(agent)
        raise Denied(
            f"{visitor.name} may not {action.value} for {agent}",
            remedy=f"Ask {self.who_may(agent, action)}; `raci` of the charter gives duties.",
            subject=agent,
        )

    def who_may(self, agent: str, action: Action) -> str:
        """Return the names of those who may do something with an agent, in words."""
        charter = self.charters().get(agent)
        if charter is None:
            return "whoever owns the agent"
        names = [
            charter.name_of(one) for one in people_who_may(charter, action) if not self.has_left(agent, one)
        ]
        return " or ".join(names) or "the owner"
