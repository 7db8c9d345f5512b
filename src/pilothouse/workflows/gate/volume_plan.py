# SPDX-License-Identifier: Apache-2.0
"""What a load run will send, and when: a dataset at a rate, or recorded traffic as it came (request -> plan)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.errors import UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.dataset import write_cases
from pilothouse.evals.load import arrival_order, poisson_schedule
from pilothouse.workflows.gate.request import GateRequest
from pilothouse.workflows.gate.traffic import TRAFFIC_WINDOW, busiest_hour_per_minute, read_traffic
from pilothouse.workflows.ground.check import load_charter
from pilothouse.workflows.ground.in_force import charter_if_any
from pilothouse.workflows.ground.installation import Installation

__all__ = ["VOLUME_ASKED", "VolumePlan", "VolumeWish", "plan_volume"]

VOLUME_ASKED: Final = 10.0
"""How many times the pilot's volume the readiness framework asks for (EVAL-6) where the charter says no number."""

_ROUNDING: Final = 1e-9

HOURS_MAX: Final = 24.0
"""A longer run meets another system: prices, models and data change from day to day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeWish:
    """What a user asks of a load run.

    Attributes:
        times: How many times the pilot's volume, one arm each; empty takes as many as are asked for.
        per_minute: Arrivals in a minute at the pilot's volume; None takes the busiest recorded hour.
        recorded: Whether recorded tasks are sent again, as they came.
        skip_idle: Whether time in which no call is open is jumped over.
    """

    times: tuple[float, ...] = ()
    per_minute: float | None = None
    recorded: bool = False
    skip_idle: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumePlan:
    """How the cases are sent.

    Attributes:
        times: How many times the pilot's volume, one arm each.
        per_minute: Arrivals in a minute at the pilot's volume.
        offsets_s: When each case of recorded traffic came, by case id; None draws arrivals at random.
        skip_idle: Whether time in which no call is open is jumped over.
        pilot_per_minute: What the pilot brings by its recorded traffic, however much is sent; None where nothing is recorded.
        asked: How many times the pilot's volume are asked for.
    """

    times: tuple[float, ...]
    per_minute: float
    offsets_s: Mapping[str, float] | None = None
    skip_idle: bool = False
    pilot_per_minute: float | None = None
    asked: float = VOLUME_ASKED

    @property
    def enough(self) -> tuple[float, ...]:
        """Those of its times at which as much is sent as is asked for, by what the pilot really brings."""
        return tuple(one for one in self.times if self.reached(one) >= self.asked)

    def reached(self, times: float) -> float:
        """Return how many times what the pilot really brings is sent at a multiple of the rate."""
        pilot = max(self.pilot_per_minute or 0.0, self.per_minute)
        return times * self.per_minute / pilot * (1 + _ROUNDING)

    def hours(self, cases: int) -> float:
        """Return how long all arms take, answers not counted."""
        once_s = max(self.offsets_s.values()) if self.offsets_s else 60 * cases / self.per_minute
        return once_s * (2 + sum(1 / one for one in self.times)) / 3600

    def check(self, cases: int) -> None:
        """Refuse a run that would take days.

        Raises:
            UsageError: It would take longer than `HOURS_MAX`.
        """
        hours = self.hours(cases)
        if hours > HOURS_MAX and not self.skip_idle:
            raise UsageError(
                f"{cases} cases at the pilot's {self.per_minute:.3g} a minute take {hours:.0f} h; at most {HOURS_MAX:g} h are run.",
                remedy="Add --skip-idle, which jumps over time in which no call is open, or give --max-cases.",
            )

    def order(self, cases: Sequence[Case], *, seed: int) -> tuple[Case, ...]:
        """Return the cases as they arrive: as recorded, else mixed.

        Args:
            cases: All of them.
            seed: The same one gives the same order.
        """
        offsets = self.offsets_s
        if offsets is None:
            return arrival_order(cases, seed=seed)
        return tuple(sorted(cases, key=lambda case: offsets[case.id]))

    def schedule(self, cases: Sequence[Case], factor: float, *, seed: int) -> tuple[float, ...]:
        """Return when each case arrives, at a multiple of the pilot's volume.

        Args:
            cases: In arrival order.
            factor: The multiple.
            seed: The same one gives the same arrivals; recorded traffic needs none.
        """
        if self.offsets_s is None:
            return poisson_schedule(len(cases), per_minute=self.per_minute * factor, seed=seed)
        return tuple(self.offsets_s[case.id] / factor for case in cases)


def plan_volume(
    request: GateRequest, wish: VolumeWish, *, installation: Installation | None, now: datetime
) -> tuple[GateRequest, VolumePlan, tuple[str, ...]]:
    """Settle what is sent and when; nothing is sent.

    Args:
        request: What was asked of the target.
        wish: What was asked of the load.
        installation: Lake and ledger, or None when no agent was named.
        now: The moment, aware UTC.

    Returns:
        The request, with recorded tasks as its dataset when they were asked for; the plan; and notes.

    Raises:
        UsageError: Nothing says how much the pilot's volume is, or no task can be sent again.
    """
    charter = load_charter(request.charter, today=now.date()) if request.charter else None
    agent = charter.agent if charter is not None else request.agent
    notes: list[str] = []
    per_minute, offsets, pilot = wish.per_minute, None, None
    if wish.recorded:
        if installation is None or agent is None:
            raise UsageError(
                "recorded traffic is that of an agent, and none was named.",
                remedy="Give --agent NAME, or --charter FILE.",
            )
        if wish.per_minute is not None:
            raise UsageError(
                "recorded traffic comes as it came, so --rate says nothing.", remedy="Leave out --rate."
            )
        types = charter.task_types if charter is not None else None
        traffic = read_traffic(installation, agent, now=now, most=request.max_cases, types=types)
        # The cases lie beside the journal, so that a person can read what is sent and correct what is expected.
        path = request.journal.parent / f"traffic-{agent}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_cases(path, traffic.cases)
        request = replace(request, dataset=path)
        offsets = {case.id: at for case, at in zip(traffic.cases, traffic.offsets_s, strict=True)}
        span_s = max(traffic.offsets_s[-1], 1.0)
        per_minute = 60 * len(traffic.cases) / span_s
        # What cannot be sent again was load all the same.
        pilot = 60 * (len(traffic.cases) + sum(traffic.left_out.values())) / span_s
        notes += [f"{count} recorded tasks left out: {why}" for why, count in traffic.left_out.items()]
        notes.append(
            f"{len(traffic.cases)} recorded tasks, of {traffic.judged} the system of record verified the answer ({path})"
        )
    elif installation is not None and agent is not None:
        pilot = busiest_hour_per_minute(installation, agent, now=now)
    if per_minute is None and pilot is None:
        raise UsageError(
            "nothing says how many tasks the pilot does in a minute.", remedy="Give --rate TASKS-A-MINUTE."
        )
    if per_minute is None:
        notes.append(
            f"1x is {pilot:.3g} tasks a minute, the busiest hour of the last {TRAFFIC_WINDOW.days} days"
        )
    if charter is None and installation is not None and agent is not None:
        charter = charter_if_any(installation.ledger, agent)
    asked = _volume_asked(charter)
    plan = VolumePlan(
        times=tuple(sorted(set(wish.times))) or (asked,),
        asked=asked,
        per_minute=per_minute or pilot or 0.0,
        offsets_s=offsets,
        skip_idle=wish.skip_idle,
        pilot_per_minute=pilot,
    )
    if pilot is not None and not plan.enough and max(plan.times) >= asked:
        least = asked * pilot / plan.per_minute
        notes.append(
            f"the pilot does {pilot:.3g} tasks a minute: {max(plan.times):g} times {plan.per_minute:.3g} is less than "
            f"{asked:g} times that and goes on no record; --times {math.ceil(least)} is enough"
        )
    return request, plan, tuple(notes)


def _volume_asked(charter: Charter | None) -> float:
    """Return how many times the pilot's volume leaving phase 2 asks for."""
    phase = charter.phase("2") if charter is not None else None
    said = known(phase.exit.volume_times) if phase is not None and phase.exit is not None else None
    return VOLUME_ASKED if said is None else said
