# SPDX-License-Identifier: Apache-2.0
"""Who is served by an agent in the phase in force: a share of all subjects, and groups of users; the others keep theirs.

A subject is a user or a case, never a request: the same one gets the same answer for ever. A larger share only adds
subjects, so nobody who was served is sent back by a promotion.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import PhaseName
from pilothouse.core.verdict.rollout import BUCKETS, bucket_of

__all__ = ["EVERYBODY", "Reach", "reach_of"]

EVERYBODY: Final = "all"
"""The group of users that everybody is in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Whom an agent serves.

    Attributes:
        agent: Agent id; another agent mixes the subjects anew.
        phase: The phase in force.
        share: Share of subjects in [0, 1], or None while the charter leaves it open, and then nobody is left out by it.
        groups: Groups of users, or None for everybody.
    """

    agent: str
    phase: PhaseName
    share: float | None
    groups: frozenset[str] | None

    def refusal_of(self, subject: str, groups: Collection[str] = ()) -> str | None:
        """Return why a subject keeps its incumbent, one sentence, or None when the agent serves it.

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
        where = "the pilot" if self.phase == "pilot" else f"phase {self.phase}"
        if self.groups is not None and self.groups.isdisjoint(groups):
            return f"{self.agent} serves the users {', '.join(sorted(self.groups))} in {where}"
        if self.share is not None and bucket_of(self.agent, subject) >= round(self.share * BUCKETS):
            share = f"{100 * self.share:g} %"
            return f"{self.agent} serves {share} of subjects in {where}, and this is not one of them"
        return None


def reach_of(charter: Charter, phase: PhaseName) -> Reach:
    """Return whom an agent serves in a phase; what the charter leaves open leaves nobody out.

    Args:
        charter: The charter in force.
        phase: The phase in force.
    """
    terms = charter.phase(phase)
    said = charter.target_volume.share_pilot if phase == "pilot" else (terms.share if terms else None)
    share = None if said is None else known(said)
    groups = None
    if terms is not None:
        users = known(terms.users)
        if users is not None:
            named = frozenset(str(user) for user in users if not is_open(user))
            groups = None if EVERYBODY in named or len(named) < len(users) else named
    return Reach(agent=charter.agent, phase=phase, share=share, groups=groups)
