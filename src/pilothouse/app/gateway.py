# SPDX-License-Identifier: Apache-2.0
"""Joins the model gateway to the ledger, the prices and the kill switch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pilothouse.app.opening import SystemClock
from pilothouse.core.evidence.unix_time import unix_ns

if TYPE_CHECKING:
    from datetime import datetime

    from pilothouse.core.evidence.task import TokenCount
    from pilothouse.interfaces.http.server import App
    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.ports.controls import Controls
    from pilothouse.ports.gateway import GatewayStore
    from pilothouse.ports.intake import Intake
    from pilothouse.ports.runlog import RunLog
    from pilothouse.runtime.gateway.key_book import KeyBook
    from pilothouse.settings import Settings
    from pilothouse.workflows.gateway.price_list import PriceList
    from pilothouse.workflows.ground.background import Tick

__all__ = ["RunningGateway", "open_gateway_store", "running_gateway"]

SAVE_EVERY_S = 5.0
"""What a killed process forgets of a day's spending."""

PROMISES_EVERY_S = 60.0
"""An answer is waited for an hour; a minute more says nothing else."""

RUN_LOG_SWEEP_EVERY_S = 300.0
"""A run counts as abandoned after an hour; five minutes more say nothing else."""

RUN_LOG_KEEP_DAYS = 30
"""As long as payload is kept by default."""


@contextmanager
def open_gateway_store(settings: Settings) -> Iterator[GatewayStore]:
    """Open keys and providers for the time of a command."""
    from pilothouse.ledger.gateway import SqlGatewayStore
    from pilothouse.ledger.ledger import open_ledger

    with open_ledger(settings.ledger_url) as ledger:
        yield SqlGatewayStore(ledger.database)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningGateway:
    """The parts of a gateway that the server joins.

    Attributes:
        app: Takes everything under `/gw`.
        ticks: Its recurring work.
        counters: Returns what happened since the process started, by name.
        metrics: Returns the same as Prometheus text.
        close: Closes the connections to providers; to be awaited in the loop that served.
        keys: Whose a key is; for the loop that serves.
    """

    app: App
    ticks: tuple[Tick, ...]
    counters: Callable[[], dict[str, int]]
    metrics: Callable[[], str]
    close: Callable[[], Awaitable[None]]
    keys: KeyBook


@contextmanager
def running_gateway(
    ledger: SqlLedger,
    prices: PriceList,
    controls: Controls,
    intake: Intake,
    run_log: RunLog,
    *,
    shared: frozenset[str] = frozenset(),
    on_note: Callable[[str], None],
) -> Iterator[RunningGateway]:
    """Keep a gateway ready to answer, its spending saved every few seconds and at the end.

    Args:
        ledger: Charters, keys, providers.
        prices: What tokens cost.
        controls: The kill switch.
        intake: Takes the spans of calls.
        run_log: Takes the calls themselves.
        shared: Ids of files and the like at providers that several agents may use.
        on_note: Told when keys and charters cannot be read.
    """
    from pilothouse.interfaces.http.gateway import gateway_app
    from pilothouse.interfaces.http.recall import with_recall
    from pilothouse.lake.prices import cost_pico, priced_by
    from pilothouse.ledger.conversations import SqlThingOwners
    from pilothouse.ledger.gateway import SqlGatewayStore
    from pilothouse.ledger.holds import SqlHolds
    from pilothouse.ledger.promises import SqlPromises
    from pilothouse.ledger.run_spending import SqlRunSpending
    from pilothouse.ledger.stored_answers import SqlAnswerOwners
    from pilothouse.runtime.gateway.gateway import Gateway
    from pilothouse.runtime.gateway.guard import Guardian
    from pilothouse.runtime.gateway.model_listing import fetch_listing
    from pilothouse.runtime.gateway.spans import SpanSink
    from pilothouse.runtime.gateway.upstream import Upstream
    from pilothouse.runtime.runlog.call_sink import RunLogSink, recorded_call
    from pilothouse.workflows.gateway.answers import ANSWERS_EVERY_S, AnswerTally
    from pilothouse.workflows.gateway.deployments import DEPLOYMENTS_EVERY_S, renew_deployments
    from pilothouse.workflows.gateway.directory import DirectoryCache
    from pilothouse.workflows.gateway.lost_records import note_lost_record
    from pilothouse.workflows.gateway.near_window import note_near
    from pilothouse.workflows.gateway.passed_limits import note_passed
    from pilothouse.workflows.gateway.provider_signs import SIGNS_EVERY_S, SignBook
    from pilothouse.workflows.gateway.run_budgets import RunBudgets
    from pilothouse.workflows.ground.background import Tick

    store = SqlGatewayStore(ledger.database)
    cache = DirectoryCache(ledger, store, now=SystemClock().now, state=ledger.database.state, on_note=on_note)
    price_of = priced_by(prices.read)

    def cost_of(provider: str, model: str, tokens: TokenCount, at_ns: int) -> int | None:
        price = price_of(provider, model, at_ns)
        return None if price is None else cost_pico(tokens, price)

    def save() -> None:
        unsaved = dict(gateway.meter.take_unsaved())
        try:
            for day, agent in tuple(unsaved):
                store.add_spent(day, {agent: unsaved[day, agent]})
                del unsaved[day, agent]
        finally:
            gateway.meter.give_back(unsaved)
        now = SystemClock().now()
        gateway.meter.learn(now.date(), store.spent(now.date()))
        run_budgets.save(now)
        gateway.answers.save(now)
        if uses := gateway.keys.unnoted():
            store.note_uses(uses)
            gateway.keys.note(uses)

    def counters() -> dict[str, int]:
        return {
            **gateway.counters,
            **gateway.context.counters,
            **guardian.counters,
            "in_flight": gateway.in_flight,
            "calls_unlinked": gateway.links.linker.unlinked,
            **_record_counters(run_log),
            **spans.counters(),
        }

    def note_signs(now: datetime) -> None:
        signs.note_refusing(gateway.signs.refusing(), now)
        gateway.signs.untold.tell(lambda one: signs.note_backend(one, now))
        gateway.meter.passed.untold.tell(lambda one: note_passed(ledger, one, now))
        gateway.context.near.untold.tell(lambda one: note_near(ledger, one, now))
        records.lost_records.untold.tell(lambda one: note_lost_record(ledger, one, now))

    signs = SignBook(ledger)
    spans = SpanSink(intake)
    guardian = Guardian(SqlHolds(ledger.database))
    tally = AnswerTally(ledger)
    records = RunLogSink(run_log)
    upstream = Upstream()
    gateway = Gateway(
        cache.directory,
        controls,
        upstream,
        cost_of,
        sinks=(records, spans),
        look=cache.refresh,
        owner_of=run_log.owner,
        guardian=guardian,
        promises=SqlPromises(ledger.database),
        owners=SqlThingOwners(ledger.database),
        answer_owners=SqlAnswerOwners(ledger.database),
        shared=shared,
        recorded=partial(recorded_call, run_log),
    )
    run_budgets = RunBudgets(SqlRunSpending(ledger.database), gateway.meter.shared, SystemClock().now())
    save()
    cache.start()
    spans.start()
    try:
        yield RunningGateway(
            app=with_recall(gateway_app(gateway), gateway.keys, run_log),
            ticks=(
                Tick(name="gateway-spent", every_s=SAVE_EVERY_S, run=lambda _now: save()),
                Tick(
                    name="gateway-answers",
                    every_s=ANSWERS_EVERY_S,
                    run=lambda now: tally.take(guardian.take_counts(), now),
                ),
                Tick(name="gateway-signs", every_s=SIGNS_EVERY_S, run=note_signs),
                Tick(
                    name="gateway-deployments",
                    every_s=DEPLOYMENTS_EVERY_S,
                    run=lambda now: renew_deployments(
                        ledger, cache.directory().providers, fetch_listing, now
                    ),
                ),
                Tick(
                    name="gateway-promises",
                    every_s=PROMISES_EVERY_S,
                    run=lambda _now: gateway.end_overdue(),
                ),
                Tick(
                    name="run-log",
                    every_s=RUN_LOG_SWEEP_EVERY_S,
                    run=lambda now: run_log.sweep(unix_ns(now), keep_days=RUN_LOG_KEEP_DAYS),
                ),
            ),
            counters=counters,
            metrics=lambda: "".join(
                f"pilothouse_gateway_{name} {value}\n" for name, value in sorted(counters().items())
            ),
            close=upstream.close,
            keys=gateway.keys,
        )
    finally:
        cache.stop()
        guardian.close()
        spans.stop()
        save()
        now = SystemClock().now()
        tally.take(guardian.take_counts(), now)
        tally.close(now)


def _record_counters(run_log: RunLog) -> dict[str, int]:
    """Return the counters of the run log: a lost event means a run that cannot be replayed."""
    health = run_log.health()
    return {
        "events_recorded": health.written,
        "events_lost": health.lost,
        "events_waiting": health.waiting,
        "record_restarts": health.restarts,
    }
