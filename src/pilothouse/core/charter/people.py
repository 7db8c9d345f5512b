# SPDX-License-Identifier: Apache-2.0
"""The people of a charter: who owns, pays, operates, reviews, and who is called in which order."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from pilothouse.core.charter.answers import Answer, OrNone, Section
from pilothouse.core.charter.quantities import Count, Day, Duration, Id, Later, Number, Text

__all__ = [
    "CHANNELS",
    "DUTIES",
    "REVIEWS",
    "SEVERITIES",
    "Channel",
    "Duty",
    "EscalationLevel",
    "Handoff",
    "Operations",
    "Owner",
    "Person",
    "Raci",
    "RaciRow",
    "Reviewers",
    "Reviews",
    "Severity",
    "SeverityName",
    "Sponsor",
]

Duty = Literal[
    "quality_metrics",
    "incident_response",
    "model_upgrades",
    "prompt_changes",
    "integration_maintenance",
    "feedback_review",
    "benchmarks",
    "downstream_process",
    "outcome_reporting",
]
"""The nine duties that somebody must be accountable for."""

DUTIES: tuple[Duty, ...] = get_args(Duty)
"""Every duty, in the order of the charter."""

SeverityName = Literal["sev1", "sev2", "sev3"]
"""From worst to mildest."""

SEVERITIES: tuple[SeverityName, ...] = get_args(SeverityName)
"""Every severity, the worst first."""

Channel = Literal["chat", "mail", "phone", "sms", "pager"]
"""How a person is paged."""

CHANNELS: tuple[Channel, ...] = get_args(Channel)
"""Every channel that a charter may name under `via`."""

Role = Literal["owner", "approver", "operator", "reviewer", "auditor", "executive"]


class Person(Section):
    """One person; the only place where a name stands.

    Attributes:
        name: Name as colleagues write it.
        identity: Sign-in identity, for example `oidc:dana@corp.example`.
        unit: Business unit.
        substitute: Person id who stands in, or None.
        role: Limits what the person may do; None grants what the charter's duties need.
    """

    name: Answer[Text]
    identity: Answer[Text]
    unit: Answer[Id]
    substitute: Answer[Id] | None = None
    role: Answer[Role] | None = None


class Owner(Section):
    """The one person who answers for the agent.

    Attributes:
        person: Person id.
        since: First day of the term.
        term_ends: Last day of the term; at least six months away at every gate.
        reattest: How often the owner signs again.
        because: Why that is longer than the default.
    """

    person: Answer[Id]
    since: Answer[Day]
    term_ends: Answer[Day]
    reattest: Answer[Duration]
    because: Later = None


class Sponsor(Section):
    """The executive who agrees to thresholds and budget.

    Attributes:
        person: Person id.
        review: How often the sponsor looks at it; half as long again is a warning, twice as long ends OWN-6.
        because: Why that is longer than the default.
    """

    person: Answer[Id]
    review: Answer[Duration]
    because: Later = None


class Operations(Section):
    """Who runs it, and how many minutes a day they have for it.

    Attributes:
        team: Person ids.
        kind: Who the users are.
        minutes_per_day: Working minutes a day for this agent.
        on_call: Hours in which a page is answered.
    """

    team: Answer[tuple[Answer[Id], ...]]
    kind: Answer[Literal["internal", "customer_internal", "customer_external"]]
    minutes_per_day: Answer[Count]
    on_call: Answer[Literal["business_hours", "extended_hours", "always"]]


class Reviewers(Section):
    """Who reviews held and sampled answers.

    Attributes:
        pool: Directory group.
        minutes_per_day: Review minutes a day.
        minutes_per_item: Minutes one item takes, above zero.
    """

    pool: Answer[Id]
    minutes_per_day: Answer[Count]
    minutes_per_item: Answer[Number]


class RaciRow(Section):
    """One duty: A exactly one person, R at least one, C and I a list or `none`.

    Attributes:
        accountable: A, one person id.
        responsible: R, person ids or the reviewers' pool.
        consulted: C, None for `none`.
        informed: I, None for `none`.
    """

    accountable: Answer[Id] = Field(alias="A")
    responsible: Answer[tuple[Answer[Id], ...]] = Field(alias="R")
    consulted: Answer[OrNone[tuple[Answer[Id], ...]]] = Field(alias="C")
    informed: Answer[OrNone[tuple[Answer[Id], ...]]] = Field(alias="I")


class Raci(Section):
    """The nine duties; `rows()` gives them by name.

    Attributes:
        quality_metrics: What good means, and the thresholds.
        incident_response: Somebody answers a page, finds, and ends the incident.
        model_upgrades: Another model takes over, or does not.
        prompt_changes: A prompt changes, or does not.
        integration_maintenance: Outside systems, tools and their contracts work.
        feedback_review: Corrections are read and become cases.
        benchmarks: Datasets, baselines and judges are right.
        downstream_process: The work around the agent changes with it.
        outcome_reporting: What the agent is for is measured and told.
    """

    quality_metrics: RaciRow
    incident_response: RaciRow
    model_upgrades: RaciRow
    prompt_changes: RaciRow
    integration_maintenance: RaciRow
    feedback_review: RaciRow
    benchmarks: RaciRow
    downstream_process: RaciRow
    outcome_reporting: RaciRow

    def row(self, duty: Duty) -> RaciRow:
        """Return the row of a duty."""
        row: RaciRow = getattr(self, duty)
        return row

    def rows(self) -> dict[Duty, RaciRow]:
        """Return all rows by duty, in the charter's order."""
        return {duty: self.row(duty) for duty in DUTIES}


class EscalationLevel(Section):
    """One level of the path that a page climbs.

    Attributes:
        level: 1 for the first.
        to: Person ids.
        via: Channels, first one first.
        acknowledge: Time until the next level is called.
    """

    level: int = Field(ge=1)
    to: Answer[tuple[Answer[Id], ...]]
    via: Answer[tuple[Answer[Channel], ...]]
    acknowledge: Answer[Duration]


class Severity(Section):
    """How fast an incident must end.

    Attributes:
        resolve: Time to resolution.
        pause: Whether the agent is paused at once.
        start_level: Escalation level that is called first.
    """

    resolve: Answer[Duration]
    pause: Answer[bool]
    start_level: Answer[int]


class Reviews(Section):
    """How often each kind of review takes place; each leaves minutes.

    Attributes:
        quality: Of scores and the worst traces.
        owner: By the owner, of everything.
        sponsor: By the sponsor, of verdict and value.
        permissions: Of what each tool may do, and whether it is used.
        runbooks: Of every runbook, by those who follow it.
    """

    quality: Answer[Duration]
    owner: Answer[Duration]
    sponsor: Answer[Duration]
    permissions: Answer[Duration]
    runbooks: Answer[Duration]


REVIEWS: tuple[str, ...] = tuple(Reviews.model_fields)
"""Every kind of review, in the order of the charter."""


class Handoff(Section):
    """From the team that built it to the team that runs it.

    Attributes:
        giver: Team that built it (`from`).
        receiver: Team that runs it (`to`).
        game_day_by: Day by which the receiving team has found and undone planted faults alone.
    """

    giver: Answer[Id] = Field(alias="from")
    receiver: Answer[Id] = Field(alias="to")
    game_day_by: Answer[Day]
