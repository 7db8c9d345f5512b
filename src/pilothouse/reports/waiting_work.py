# SPDX-License-Identifier: Apache-2.0
"""What waits for people about one agent: incidents, calls and answers that are owed (incidents, queues → words)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from pilothouse.core.action.incident import Incident, IncidentState
from pilothouse.ports.approvals import CallsWaiting
from pilothouse.ports.review import QueueCount
from pilothouse.reports.moments import ago
from pilothouse.reports.view_models import ActionOffer, Link, shown_text
from pilothouse.reports.words import UNKNOWN, plural

__all__ = [
    "NOT_READ",
    "WaitingWork",
    "alone_first",
    "calls_of",
    "decide_first",
    "incidents_of",
    "reviews_of",
    "take_first",
    "waiting_words",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingWork:
    """What waits for people about one agent.

    Attributes:
        incidents: Those that are active, or None where they were not read.
        reviews: What waits in its queue, by source, or None where it was not read.
        calls: Calls of tools that wait for a yes or no, or None where they were not read.
    """

    incidents: tuple[Incident, ...] | None
    reviews: tuple[QueueCount, ...] | None
    calls: CallsWaiting | None = None


NOT_READ = WaitingWork(incidents=None, reviews=None)
"""Nobody looked: the page says that it is unknown."""


def alone_first(incidents: Iterable[Incident]) -> list[Incident]:
    """Return incidents in the order in which they need somebody: active ones, the gravest, the newest."""
    return sorted(incidents, key=lambda one: (not one.is_active, one.severity, -one.number))


def take_first(incidents: Iterable[Incident]) -> ActionOffer | None:
    """Ask for the gravest incident that is in nobody's hands; None while there is none."""
    alone = alone_first(_alone(incidents))
    if not alone:
        return None
    first = alone[0]
    return ActionOffer(
        label=f"Take {first.name} of {first.agent}: {shown_text(first.title)}",
        href=f"/incidents/{first.number}",
    )


def incidents_of(work: WaitingWork) -> Link:
    """Say which incidents of an agent are open, and lead to the one that needs somebody first."""
    if work.incidents is None:
        return Link(text=UNKNOWN)
    if not work.incidents:
        return Link(text="none")
    first, count = alone_first(work.incidents)[0], len(work.incidents)
    alone = len(_alone(work.incidents))
    if count == 1:
        hands = "in nobody's hands" if alone else "in hand"
        return Link(text=f"{first.name}, {first.severity}, {hands}", href=f"/incidents/{first.number}")
    hands = f"{alone:,} in nobody's hands" if alone else "each in hand"
    return Link(text=f"{count:,} open, {hands}, worst {first.severity}", href="/incidents")


def reviews_of(work: WaitingWork, now: datetime) -> Link:
    """Say how many answers are owed and how late they are, and lead to the queue."""
    if work.reviews is None:
        return Link(text=UNKNOWN)
    waiting, overdue = _totals([work])
    if not waiting:
        return Link(text="none")
    due = min((one.next_due for one in work.reviews if one.next_due is not None), default=None)
    late = f", {overdue:,} overdue" if overdue else f", first due {ago(due, now)}" if due else ""
    return Link(text=f"{waiting:,}{late}", href="/review")


def calls_of(work: WaitingWork, now: datetime) -> Link:
    """Say how many calls of tools wait for a yes or no and when the first lapses, and lead to where it is said."""
    if work.calls is None:
        return Link(text=UNKNOWN)
    if not work.calls.waiting or work.calls.first_lapse is None:
        return Link(text="none")
    text = f"{work.calls.waiting:,}, first lapses {ago(work.calls.first_lapse, now)}"
    return Link(text=text, href=f"/agents/{quote(work.calls.agent, safe='')}/controls")


def decide_first(works: Iterable[WaitingWork], now: datetime) -> ActionOffer | None:
    """Ask for an answer to the call that lapses first, because its agent stands still until then; None while none waits."""
    waiting = [(work.calls.first_lapse, work) for work in works if work.calls and work.calls.first_lapse]
    if not waiting:
        return None
    lapse, work = min(waiting, key=lambda one: one[0])
    agent = work.calls.agent if work.calls else ""
    return ActionOffer(
        label=f"Say yes or no to the call of {shown_text(agent)} that lapses {ago(lapse, now)}",
        href=calls_of(work, now).href,
    )


def waiting_words(works: Sequence[WaitingWork]) -> str:
    """Say in a sentence what waits over all agents; empty where nobody looked."""
    said = []
    if any(work.incidents is not None for work in works):
        active = [one for work in works for one in work.incidents or ()]
        alone = len(_alone(active))
        hands = f"{alone:,} in nobody's hands" if alone else "each in somebody's hands"
        said.append(f"{plural(len(active), 'incident')} open, {hands}" if active else "No incident is open")
    if any(work.reviews is not None for work in works):
        waiting, overdue = _totals(works)
        late = f", {overdue:,} overdue" if overdue else ""
        waits = f"{plural(waiting, 'review')} {'waits' if waiting == 1 else 'wait'}{late}"
        said.append(waits if waiting else "no review waits" if said else "No review waits")
    calls = sum(work.calls.waiting for work in works if work.calls)
    if calls:
        said.append(f"{plural(calls, 'call')} {'waits' if calls == 1 else 'wait'} for a yes or no")
    return f"{'; '.join(said)}." if said else ""


def _alone(incidents: Iterable[Incident]) -> list[Incident]:
    return [one for one in incidents if one.state is IncidentState.OPEN]


def _totals(works: Sequence[WaitingWork]) -> tuple[int, int]:
    counts = [one for work in works for one in work.reviews or ()]
    return sum(one.waiting for one in counts), sum(one.overdue for one in counts)
