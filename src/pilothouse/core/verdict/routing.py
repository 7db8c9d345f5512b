# SPDX-License-Identifier: Apache-2.0
"""Whom an agent serves in its phase: a share of all subjects, and groups of users.

A subject is a user or a case, never a request: the same one gets the same answer for ever. A larger share only adds
subjects, so nobody who was served is sent back by a promotion.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import PhaseName, phase_in_words
from pilothouse.core.verdict.addition import Addition, AdditionKind
from pilothouse.core.verdict.rollout import BUCKETS, bucket_of

__all__ = ["EVERYBODY", "AddedUsers", "Reach", "reach_of"]

EVERYBODY: Final = "all"
"""The group of users that everybody is in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedUsers:
    """A group of users that came into the scope after phase 3.

    Attributes:
        name: The group.
        phase: The phase that it is in by itself; in the pilot it is not served.
        share: Share of its subjects in [0, 1], or None while the charter leaves it open.
    """

    name: str
    phase: PhaseName
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Whom an agent serves.

    Attributes:
        agent: Agent id; another agent mixes the subjects anew.
        phase: The phase in force.
        share: Share of subjects in [0, 1], or None while the charter leaves it open, and then nobody is left out by it.
        groups: Groups of users, or None for everybody.
        added: Groups that go through the phases by themselves.
    """

    agent: str
    phase: PhaseName
    share: float | None
    groups: frozenset[str] | None
    added: tuple[AddedUsers, ...] = ()

    def refusal_of(self, subject: str, groups: Collection[str] = ()) -> str | None:
        """Return why the agent does not serve a subject, one sentence, or None when it does.

        Args:
            subject: Id of the user or case.
            groups: Groups that the subject is in, as whoever routes says.

        Example:
            >>> reach = Reach(agent="triage", phase="1", share=0.1, groups=frozenset({"ap-team-a"}))
            >>> reach.refusal_of("user-1", ["ap-team-a"]), reach.refusal_of("user-1")
            (None, 'triage serves the users ap-team-a in phase 1')
            >>> reach.refusal_of("user-2", ["ap-team-a"])
            'triage serves 10 % of subjects in phase 1, and this is not one of them'
        """
        if self.groups is None or not self.groups.isdisjoint(groups):
            return self._left_out(subject, self.phase, self.share, "subjects")
        for one in self.added:
            if one.name == EVERYBODY or one.name in groups:
                if one.phase == "pilot":
                    return f"{self.agent} does not serve the users {one.name} yet"
                return self._left_out(subject, one.phase, one.share, f"the users {one.name}")
        return (
            f"{self.agent} serves the users {', '.join(sorted(self.groups))} in {phase_in_words(self.phase)}"
        )

    def _left_out(self, subject: str, phase: PhaseName, share: float | None, whom: str) -> str | None:
        if share is None or bucket_of(self.agent, subject) < round(share * BUCKETS):
            return None
        return f"{self.agent} serves {100 * share:g} % of {whom} in {phase_in_words(phase)}, and this is not one of them"


def reach_of(charter: Charter, phase: PhaseName, additions: Sequence[Addition] = ()) -> Reach:
    """Return which subjects an agent serves in a phase; an open question in the charter excludes nobody.

    Args:
        charter: The charter in force.
        phase: The phase in force.
        additions: What came into the scope; groups of users among it have a phase of their own until they join.
    """
    terms = charter.phase(phase)
    added = tuple(
        AddedUsers(name=one.name, phase=one.state.phase, share=_share(charter, one.state.phase))
        for one in additions
        if one.what is AdditionKind.USERS and one.joined_at is None
    )
    groups = None
    if terms is not None:
        users = known(terms.users)
        if users is not None:
            named = frozenset(str(user) for user in users if not is_open(user))
            own = named - {one.name for one in added}
            groups = None if EVERYBODY in own or any(map(is_open, users)) else own
    return Reach(agent=charter.agent, phase=phase, share=_share(charter, phase), groups=groups, added=added)


def _share(charter: Charter, phase: PhaseName) -> float | None:
    terms = charter.phase(phase)
    said = charter.target_volume.share_pilot if phase == "pilot" else (terms.share if terms else None)
    return None if said is None else known(said)
