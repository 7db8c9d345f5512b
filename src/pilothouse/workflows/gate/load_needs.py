# SPDX-License-Identifier: Apache-2.0
"""What a load run asks of provider and purse, held against declared limits before anything is sent (plan -> needs)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean

from pilothouse.core.charter.answers import known as said
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.task import Task
from pilothouse.errors import UsageError
from pilothouse.evals.case import Case
from pilothouse.workflows.gate.plan import unit_costs
from pilothouse.workflows.gate.run import GateRun
from pilothouse.workflows.gate.traffic import TRAFFIC_WINDOW
from pilothouse.workflows.gate.volume_plan import VolumePlan
from pilothouse.workflows.ground.check import load_charter
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import tasks_between

__all__ = [
    "LoadLimits",
    "LoadNeeds",
    "TaskUse",
    "charter_limits",
    "load_needs",
    "state_needs",
    "use_of_tasks",
]

USE_TASKS_MIN = 10
"""Tasks from which a mean is told; fewer are an anecdote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadLimits:
    """What may be used, as declared; None where nothing is.

    Attributes:
        requests_per_minute: Model calls that the provider takes in a minute.
        tokens_per_minute: Tokens that the provider takes in a minute.
        tokens: Most tokens for the whole run.
        budget_usd: Most money for the whole run.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    tokens: float | None = None
    budget_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskUse:
    """What one task uses on average; None where it is not known.

    Attributes:
        model_calls: Model calls.
        tokens: Tokens of all classes.
        usd: Money.
        source: Where the means come from.
    """

    model_calls: float | None = None
    tokens: float | None = None
    usd: float | None = None
    source: str = "nothing measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadNeeds:
    """What a whole run takes.

    Attributes:
        tasks: Tasks in all arms together.
        peak_per_minute: Most tasks in any minute of the highest volume.
        use: What one task uses.
    """

    tasks: int
    peak_per_minute: float
    use: TaskUse

    @property
    def requests_per_minute(self) -> float | None:
        """Model calls in the fullest minute, or None when nobody knows."""
        return None if self.use.model_calls is None else self.use.model_calls * self.peak_per_minute

    @property
    def tokens_per_minute(self) -> float | None:
        """Tokens in the fullest minute, or None when nobody knows."""
        return None if self.use.tokens is None else self.use.tokens * self.peak_per_minute

    @property
    def tokens(self) -> float | None:
        """Tokens for all arms, or None when nobody knows."""
        return None if self.use.tokens is None else self.use.tokens * self.tasks

    @property
    def cost_usd(self) -> float | None:
        """Money for all arms, or None when nobody knows."""
        return None if self.use.usd is None else self.use.usd * self.tasks

    @property
    def sentence(self) -> str:
        """Return the needs in words."""
        calls, tokens = (
            "unknown" if value is None else f"about {value:,.0f}"
            for value in (self.requests_per_minute, self.tokens_per_minute)
        )
        money = "unknown" if self.cost_usd is None else f"about ${self.cost_usd:,.2f}"
        return (
            f"{self.tasks} tasks, {self.peak_per_minute:,.0f} in the fullest minute: model calls {calls}, "
            f"tokens {tokens} in it; cost {money} in all ({self.use.source})"
        )

    def check(self, limits: LoadLimits) -> None:
        """Refuse a run that does not fit, or of which nobody knows whether it does.

        Raises:
            UsageError: A limit would be passed, or what one task uses is not known.
        """
        for what, needed, limit, option in (
            ("model calls a minute", self.requests_per_minute, limits.requests_per_minute, "--limit-rpm"),
            ("tokens a minute", self.tokens_per_minute, limits.tokens_per_minute, "--limit-tpm"),
            ("tokens in all", self.tokens, limits.tokens, "tokens_per_day of the charter"),
            ("US dollars", self.cost_usd, limits.budget_usd, "--budget-usd"),
        ):
            if limit is None:
                continue
            if needed is None:
                raise UsageError(
                    f"{option} {limit:g} is set, and nothing says how many {what} this takes.",
                    remedy="Let ten cases run first, with telemetry on and costs reported: `pilothouse eval run TARGET --max-cases 10`.",
                )
            if needed > limit:
                raise UsageError(
                    f"this takes about {needed:,.4g} {what}, and {option} allows {limit:g}; nothing was sent.",
                    remedy="Lower --times or --max-cases, or raise the limit where it is set.",
                )


def use_of_tasks(tasks: Sequence[Task], *, usd_of_trials: float | None) -> TaskUse:
    """Say what one task uses, from recorded tasks and from what earlier trials of the same target cost.

    Args:
        tasks: Recorded tasks of the agent; fewer than ten say nothing.
        usd_of_trials: Mean cost of stored trials of the target, or None; it goes before that of the tasks.
    """
    known = tasks if len(tasks) >= USE_TASKS_MIN else ()
    tokens = [float(one.tokens.total) for one in known if not one.calls_without_usage]
    costs = [one.cost_usd for one in known if one.cost_usd is not None]
    sources = [f"means of {len(known)} recorded tasks"] if known else []
    sources += ["cost of stored trials"] if usd_of_trials is not None else []
    return TaskUse(
        model_calls=fmean(one.model_calls for one in known) if known else None,
        tokens=fmean(tokens) if tokens else None,
        usd=usd_of_trials if usd_of_trials is not None else fmean(costs) if costs else None,
        source=", ".join(sources) or "nothing measured yet",
    )


def charter_limits(charter: Charter | None, needs: LoadNeeds) -> LoadLimits:
    """Return what the charter lets an agent use in a day, as far as the needs are known.

    The gateway would cut a run off in the middle that asks for more; what nobody has measured it cannot refuse.
    """
    limits = charter.model.limits if charter is not None else None
    if limits is None:
        return LoadLimits()
    tokens, usd = said(limits.tokens_per_day), said(limits.usd_per_day)
    return LoadLimits(
        tokens=float(tokens) if tokens is not None and needs.tokens is not None else None,
        budget_usd=float(usd) if usd is not None and needs.cost_usd is not None else None,
    )


def state_needs(
    run: GateRun, plan: VolumePlan, *, installation: Installation | None, now: datetime
) -> LoadNeeds:
    """Say what a load run takes, and refuse it when the charter's daily limits would cut it off.

    Args:
        run: The opened run.
        plan: How its cases are sent.
        installation: Lake and ledger, or None.
        now: The moment, aware UTC.

    Raises:
        UsageError: It needs more than the charter allows in a day.
    """
    agent = run.policy.agent
    tasks: Sequence[Task] = ()
    if installation is not None and agent is not None:
        tasks = tasks_between(installation.lake, agent, now - TRAFFIC_WINDOW, now)
    usd, _ = unit_costs(run, [run.candidate])
    cases = [case for one in run.judges for case in one.cases]
    needs = load_needs(plan, cases, use_of_tasks(tasks, usd_of_trials=usd))
    charter = load_charter(run.request.charter, today=now.date()) if run.request.charter else None
    needs.check(charter_limits(charter, needs))
    return needs


def load_needs(plan: VolumePlan, cases: Sequence[Case], use: TaskUse) -> LoadNeeds:
    """Add up what a plan takes.

    Args:
        plan: How the cases are sent.
        cases: Cases of each arm.
        use: What one task uses.
    """
    highest = max(1.0, *plan.times)
    if plan.offsets_s is None:
        peak = min(plan.per_minute * highest, len(cases))
    else:
        at = sorted(plan.offsets_s[case.id] / highest for case in cases)
        peak = max((number + 1 - bisect_left(at, moment - 60) for number, moment in enumerate(at)), default=0)
    return LoadNeeds(tasks=len(cases) * (2 + len(plan.times)), peak_per_minute=float(peak), use=use)
