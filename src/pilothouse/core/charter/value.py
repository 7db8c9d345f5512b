# SPDX-License-Identifier: Apache-2.0
"""What an agent is for in money and outcomes, and under which rules of others it stands."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from pilothouse.core.charter.answers import Answer, Section, Word
from pilothouse.core.charter.quantities import (
    Count,
    Day,
    Duration,
    Id,
    Money,
    MonthWindow,
    Number,
    Rate,
    Text,
)

__all__ = [
    "Baseline",
    "Budgets",
    "BusinessCase",
    "Commitment",
    "Control",
    "Framework",
    "Outcome",
    "PilotBudget",
    "PilotBurn",
    "ProductionBudget",
    "Residency",
    "Retention",
    "SourcedRange",
    "TargetVolume",
]


def _check_range(value: tuple[float, float]) -> tuple[float, float]:
    low, high = value
    if low < 0:
        raise PydanticCustomError("bad_type", "range of amounts from 0 on", {"example": "[0.10, 0.14]"})
    if low > high:
        raise PydanticCustomError("bad_type", "range with its low end first", {"example": "[0.10, 0.14]"})
    return value


Range = Annotated[tuple[Number, Number], AfterValidator(_check_range)]


class TargetVolume(Section):
    """The basis of "production-grade".

    Attributes:
        per_day: Tasks a day in full production.
        source: Where that number comes from.
        share_pilot: Largest share during the pilot.
        because: Why that share is larger than the default.
    """

    per_day: Answer[Number]
    source: Answer[Text]
    share_pilot: Answer[Rate]
    because: Text | None = None


class Baseline(Section):
    """What it was before the agent.

    Attributes:
        value: Measured value, in the metric's unit.
        window: Months it was measured over.
        n: Cases behind it.
    """

    value: Answer[Number]
    window: Answer[MonthWindow]
    n: Answer[Count]


class Commitment(Section):
    """What it shall become.

    Attributes:
        change: Relative change, for example -0.30.
        by: When.
    """

    change: Answer[Number]
    by: Answer[Literal["phase-1", "phase-2", "phase-3"]]


class Control(Section):
    """What the change is compared with.

    Attributes:
        kind: `holdout` leaves a share without the agent; `before_after` proves less.
        share: Share of the holdout.
        unit: What is assigned to it.
        because: Why there is no holdout.
    """

    kind: Answer[Literal["holdout", "before_after"]]
    share: Answer[Rate] | None = None
    unit: Answer[Id] | None = None
    because: Text | None = None


class Outcome(Section):
    """One committed outcome metric.

    Attributes:
        name: Id of the metric.
        source: Where it is measured.
        unit: Unit.
        direction: Which way is better.
        baseline: What it was.
        commit: What it shall become.
        control: What it is compared with.
    """

    name: Id
    source: Answer[Text]
    unit: Answer[Text]
    direction: Answer[Literal["up", "down"]]
    baseline: Baseline
    commit: Commitment
    control: Control


class Residency(Section):
    """Where data may be.

    Attributes:
        regions: Regions that calls may go to.
        inference_logged_in: Regions that may store model calls.
    """

    regions: Answer[tuple[Answer[Id], ...]]
    inference_logged_in: Answer[tuple[Answer[Id], ...]]


class Retention(Section):
    """How long data is kept.

    Attributes:
        payload: Inputs and outputs.
        spans: Spans without their payload.
        tasks: One row for each task.
        audit: Everything that was decided.
    """

    payload: Answer[Duration]
    spans: Answer[Duration]
    tasks: Answer[Duration]
    audit: Answer[Duration]


class PilotBudget(Section):
    """Money for the pilot.

    Attributes:
        amount: In `currency`.
        approved_by: Person id.
        approved_on: Day of the approval.
    """

    amount: Answer[Money]
    approved_by: Answer[Id]
    approved_on: Answer[Day]


class ProductionBudget(PilotBudget):
    """Money for production, by line.

    Attributes:
        lines: Amounts by what they are for.
    """

    lines: Answer[dict[str, Answer[Money]]]


class Budgets(Section):
    """Pilot and production, approved apart.

    Attributes:
        pilot: The smaller one.
        production: Approved before the pilot begins.
    """

    pilot: PilotBudget
    production: ProductionBudget


class PilotBurn(Section):
    """What staying a pilot costs a month.

    Attributes:
        people: Range, in `currency`.
        model: Range, or `measured`.
        other: Range.
    """

    people: Answer[Range]
    model: Answer[Annotated[Range | Literal["measured"], Word("measured", "measured")]]
    other: Answer[Range]


class SourcedRange(Section):
    """A range that somebody measured.

    Attributes:
        value: Low and high end.
        source: Where it comes from.
    """

    value: Answer[Range]
    source: Answer[Text]


class BusinessCase(Section):
    """Inputs of the three numbers, each a range with its source.

    Attributes:
        pilot_burn_per_month: Cost of staying a pilot.
        hours_per_task_today: Hours a person needs for one task.
        loaded_hour_cost: Cost of that hour.
        margin_of_estimates: Factor on estimates of integration work.
    """

    pilot_burn_per_month: PilotBurn
    hours_per_task_today: SourcedRange
    loaded_hour_cost: SourcedRange
    margin_of_estimates: Answer[Number]


class Framework(Section):
    """The readiness framework that judges this agent.

    Attributes:
        shares: Survey shares of the five domains, used to rank remedies only.
        extend: Empty: nothing reads rules outside the charter, so a file named here is an error.
    """

    shares: Answer[dict[Literal["INT", "EVAL", "MON", "OWN", "DATA"], Answer[Number]]]
    extend: Answer[tuple[Text, ...]]
