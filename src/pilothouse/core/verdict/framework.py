# SPDX-License-Identifier: Apache-2.0
"""The readiness framework: 25 items, 32 further rules, five questions and one badge, in order."""

from __future__ import annotations

from datetime import timedelta

from pilothouse.core.verdict.framework_data import DATA
from pilothouse.core.verdict.framework_evaluation import EVALUATION
from pilothouse.core.verdict.framework_integration import INTEGRATION
from pilothouse.core.verdict.framework_monitoring import MONITORING
from pilothouse.core.verdict.framework_ownership import OWNERSHIP
from pilothouse.core.verdict.requirement import AtLeast, Part, Requirement
from pilothouse.errors import UnknownName

__all__ = [
    "DOMAINS",
    "FRAMEWORK",
    "FRAMEWORK_VERSION",
    "GATES",
    "ITEMS",
    "NOT_WAIVABLE",
    "requirement_named",
]

FRAMEWORK_VERSION = 1
"""Raised when a rule changes in a way that can change a verdict."""

DOMAINS = {
    "INT": "Integration",
    "EVAL": "Evaluation",
    "MON": "Monitoring",
    "OWN": "Ownership",
    "DATA": "Domain data",
}
"""Domains and their titles, in the order of every page."""

GATES = {
    "1": "enter phase 1",
    "2": "enter phase 2",
    "3": "enter phase 3",
    "R": "release a version",
    "X": "widen the scope",
}
"""Gates, and what each lets proceed."""

_QUESTIONS = (
    Requirement(
        id="Q-1",
        statement="Does every system connect without manual transfer?",
        asks="the worst of INT-1, INT-4 and INT-6",
        gates=(),
        who=("owner",),
        remedy="pilothouse verdict {agent}",
        of=("INT-1", "INT-4", "INT-6"),
    ),
    Requirement(
        id="Q-2",
        statement="Was it tested on production-like data at production volume?",
        asks="the worst of EVAL-1 and EVAL-6",
        gates=(),
        who=("owner",),
        remedy="pilothouse verdict {agent}",
        of=("EVAL-1", "EVAL-6"),
    ),
    Requirement(
        id="Q-3",
        statement="Does an alarm sound when quality falls?",
        asks="the worst of MON-1, MON-2 and MON-8",
        gates=(),
        who=("owner",),
        remedy="pilothouse verdict {agent}",
        of=("MON-1", "MON-2", "MON-8"),
    ),
    Requirement(
        id="Q-4",
        statement="Will a named person answer for it in six months?",
        asks="OWN-1 with 183 days of term left",
        gates=(),
        who=("owner",),
        remedy="pilothouse verdict {agent}",
        of=("OWN-1",),
    ),
    Requirement(
        id="Q-5",
        statement="Were the edge cases of the domain tested?",
        asks="the worst of EVAL-2 and DATA-7",
        gates=(),
        who=("owner",),
        remedy="pilothouse verdict {agent}",
        of=("EVAL-2", "DATA-7"),
    ),
)

_BADGE = Requirement(
    id="PROD-1",
    statement="Production-grade",
    asks="more than half of the target volume over 28 days, quality monitored, incident response proven",
    gates=("X",),
    who=("owner",),
    remedy="pilothouse traces --agent {agent}",
    parts=(
        Part(
            name="volume",
            kind="volume",
            rule=AtLeast(bound=0.5, harm=False, beyond=True),
            fresh=timedelta(days=7),
        ),
    ),
    of=("MON-1", "MON-2", "MON-3", "MON-5", "OWN-3", "OWN-7"),
)

FRAMEWORK: tuple[Requirement, ...] = (
    *INTEGRATION,
    *EVALUATION,
    *MONITORING,
    *OWNERSHIP,
    *DATA,
    *_QUESTIONS,
    _BADGE,
)
"""All 63 requirements."""

ITEMS = frozenset(f"{domain}-{number}" for domain in DOMAINS for number in range(1, 6))
"""The 25 items of the framework; all others are further rules of ours."""

NOT_WAIVABLE = frozenset({"INT-9", "MON-10", "EVAL-3", "OWN-1"})
"""No signature lets these pass; nor a reproduced critical mistake or a call past the permissions."""

_BY_ID = {requirement.id: requirement for requirement in FRAMEWORK}


def requirement_named(requirement_id: str) -> Requirement:
    """Return a requirement by its id.

    Raises:
        UnknownName: The framework has no such requirement.

    Example:
        >>> requirement_named("MON-7").statement
        'The agent tells the truth'
    """
    requirement = _BY_ID.get(requirement_id)
    if requirement is None:
        raise UnknownName.among(
            "requirement", requirement_id, _BY_ID, remedy="Run `pilothouse verdict --json` to list them."
        )
    return requirement
