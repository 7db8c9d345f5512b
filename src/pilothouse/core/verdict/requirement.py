# SPDX-License-Identifier: Apache-2.0
"""What a requirement is, as data: its parts, the rule of each part, and how far each part expands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from pilothouse.core.charter.operations import PhaseName

__all__ = [
    "AtLeast",
    "Bound",
    "Ceiling",
    "Census",
    "Committed",
    "Count",
    "Derived",
    "Fact",
    "Floor",
    "MeanMax",
    "Paired",
    "Part",
    "Per",
    "Quantile",
    "Requirement",
    "Rule",
    "Zero",
]


@dataclass(frozen=True, slots=True)
class Committed:
    """A bound that stands in the charter.

    Attributes:
        path: Dotted path; `{task_type}` and the like are filled from the scope.
        scale: Factor between the charter's number and the rule's unit.
        otherwise: The bound where the charter may say nothing at that path and does so.
        cap: Path of a further ceiling: where a number stands there, the smaller of both is the bound.
    """

    path: str
    scale: float = 1.0
    otherwise: float | None = None
    cap: str = ""


Bound = float | Committed
"""A fixed number of the framework, or one that the charter commits to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """A rate of good cases must be at least `bound`, proved one-sided at 95 %.

    Attributes:
        bound: Least rate.
        stream: Whether it is looked at again and again; then only an anytime bound breaches.
    """

    bound: Bound
    stream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """A rate of bad cases must be at most `bound`; a bound of 0 is the rule `Zero`.

    Attributes:
        bound: Largest rate.
        stream: As in `Floor`.
    """

    bound: Bound
    stream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """A share of which every member was counted: no sampling, so no interval.

    Attributes:
        bound: Least share.
        harm: Whether a smaller share is a breach, or only not enough yet.
        least: How many must be good besides, or all where there are fewer; None for any number.
    """

    bound: Bound
    harm: bool = True
    least: Bound | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """The 95 % quantile must be at most `bound`; below 59 cases it has no upper bound."""

    bound: Bound


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanMax:
    """A mean must be at most `bound`, over at least 100 cases."""

    bound: Bound


@dataclass(frozen=True, slots=True, kw_only=True)
class AtLeast:
    """The lower end of a measured amount must reach `bound`.

    Attributes:
        bound: Least amount.
        n: Least cases behind it.
        harm: Whether an amount proved to be lower is a breach, or only not enough yet.
        beyond: Whether the bound itself is too little: "more than half" is not "half or more".
    """

    bound: Bound
    n: int = 1
    harm: bool = True
    beyond: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Zero:
    """No bad case among at least `n`; one is a breach."""

    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """At least `bound` cases exist; too few is lack, not harm."""

    bound: Bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """The newest record passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived(Fact):
    """The same of a fact that follows from what stands elsewhere: its newest record alone speaks.

    The breach that it follows from has its own row and its own proof of the opposite; that it ended is all there is to say.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Not worse than the other side by more than `bound` points.

    Attributes:
        bound: Accepted difference, points.
        least: Times the other side's volume at which it was compared; None where volume is not the question.
    """

    bound: Bound
    least: Bound | None = None


Rule = Floor | Ceiling | Census | Quantile | MeanMax | AtLeast | Zero | Count | Fact | Paired


class Per(StrEnum):
    """The set over which a part expands: one item for each member."""

    AGENT = "agent"
    TASK_TYPE = "task type"
    ROUTED_TYPE = "task type with routing"
    INTEGRATION = "integration"
    FRESH_INTEGRATION = "integration with freshness"
    CRITICAL_INTEGRATION = "integration of high criticality"
    TOOL = "tool"
    DUTY = "duty"
    FAMILY = "family of attacks"
    ALERT = "alert that promises"
    RUNBOOK = "runbook"
    READER = "runbook and owner"
    JUDGE = "judge"
    DEPLOYMENT = "declared deployment"
    REGULATION = "regulation"
    SOURCE = "knowledge source"
    REVIEW = "kind of review"
    OUTCOME = "outcome metric"
    SIGNER = "section and signer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a requirement, which expands into items.

    Attributes:
        name: Short name, empty when the requirement has only this part.
        kind: Kind of evidence that decides it.
        rule: How.
        per: Into how many items it expands.
        fresh: How long evidence counts: a duration, a path in the charter, or None for ever.
        otherwise: How long where the charter may say nothing at that path and does so.
        grace: Share of this by which it counts longer: what recurs may come a little late.
        early: Whether the last quarter of its life warns in full, also where that is longer than a week.
        remedy: Command that produces it; the requirement's when empty.
        cure: Command that ends a breach, where it differs from the remedy.
        again: Command that measures anew what lapses or is of something else, where it differs from the remedy.
        ease: Command that ends what its record warns of, where it differs from the remedy.
        sections: Charter sections that are signed, for signatures.
        signers: Roles that sign, for signatures.
        answered: Paths in the charter that may hold no open question.
        since: First phase that asks for it; None for each.
        each_phase: Whether each phase asks for evidence of its own, made for it.
    """

    name: str = ""
    kind: str
    rule: Rule
    per: Per = Per.AGENT
    fresh: timedelta | str | None
    otherwise: timedelta | None = None
    grace: float = 0.0
    early: bool = False
    remedy: str = ""
    cure: str = ""
    again: str = ""
    ease: str = ""
    sections: tuple[str, ...] = ()
    signers: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()
    since: PhaseName | None = None
    each_phase: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One row of the framework.

    Attributes:
        id: For example `MON-7`.
        domain: `INT`, `EVAL`, `MON`, `OWN`, `DATA`, `Q` or `PROD`.
        statement: What must hold, in a few words.
        asks: Rule in words for people.
        gates: Gates that need it: `1`, `2`, `3` to enter a phase, `R` release, `X` expansion.
        who: Roles that must act: `owner`, `sponsor`, `team`, `A:duty`, `integration`.
        remedy: Command that improves it; `{integration}` and the like are filled from the scope.
        parts: What is asked for.
        of: Requirements it is the worst of, for composed ones.
    """

    id: str
    statement: str
    asks: str
    gates: tuple[str, ...]
    who: tuple[str, ...]
    remedy: str
    parts: tuple[Part, ...] = ()
    of: tuple[str, ...] = ()

    @property
    def domain(self) -> str:
        """The letters before the number.

        Example:
            >>> Requirement(id="MON-7", statement="", asks="", gates=(), who=(), remedy="").domain
            'MON'
        """
        return self.id.partition("-")[0]
