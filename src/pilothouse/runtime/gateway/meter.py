# SPDX-License-Identifier: Apache-2.0
"""What agents and runs have spent, and whether one more call fits: reserved before it, settled by its usage.

Money needs a price: with an unknown one a money budget refuses, because unknown is not zero. Everything
is in memory; days, and runs near a limit, are added to the ledger every few seconds, and what other processes added is
learnt there, so that several gateways together exceed a budget by what they spend in that time.
"""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from pilothouse.core.evidence.price import priced_as
from pilothouse.core.evidence.task import TokenCount
from pilothouse.ports.gateway import Promise, Spent
from pilothouse.runtime.gateway.call import Call
from pilothouse.runtime.gateway.messages import written_tokens
from pilothouse.runtime.gateway.passed_limits import PassedLimits
from pilothouse.runtime.gateway.pictures import PICTURE_TOKENS_MAX, pictures_in, read_tokens
from pilothouse.runtime.gateway.policy import PICO, Budget, Pin
from pilothouse.runtime.gateway.refusal import Refusal, RefusalCode, Refused
from pilothouse.runtime.gateway.routes import Operation
from pilothouse.runtime.gateway.run_spending import SharedRuns
from pilothouse.runtime.gateway.watchdog import Stop
from pilothouse.runtime.recent import Recent

__all__ = ["RESERVED_CHARACTERS_PER_TOKEN", "CostOf", "Meter", "Reserved"]

RUNS_MAX = 20_000
"""Runs whose spending is known, 300 bytes each; of those longest untouched half are forgotten at once. Ten times the calls at once."""

RESERVED_CHARACTERS_PER_TOKEN = 2.5
"""Bytes of body for a token when a call is reserved: code, JSON and ids have fewer than the usual four."""

OUTPUT_GUESS_TOKENS = 4_096
"""Reserved output of an agent whose answers nobody has seen and which says no maximum."""

OUTPUTS_SEEN = 200

CALLED_OFF = frozenset({Stop.CLIENT_GONE.value, Stop.DEADLINE.value})
"""Why an attempt ended whose provider had been asked and was not waited for."""

EPOCH = date(1970, 1, 1)
DAY_NS = 86_400 * 10**9

CostOf = Callable[[str, str, TokenCount, int], int | None]
"""(provider, model as it is priced, tokens, Unix nanoseconds) → pico-dollars, or None when a price is unknown."""


@dataclass(slots=True)
class _Spend:
    """Spent and reserved, of one run or of one agent's day."""

    usd_pico: int = 0
    tokens: int = 0
    calls: int = 0
    reserved_pico: int = 0
    reserved_tokens: int = 0


@dataclass(slots=True)
class _Reservation:
    date: date
    day: _Spend
    run: _Spend
    usd_pico: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """What is reserved for a call, and of which day.

    Attributes:
        day: UTC.
        usd_pico: Pico-dollars.
        tokens: All tokens.
    """

    day: date
    usd_pico: int
    tokens: int


class _Outputs:
    """The largest of the last `OUTPUTS_SEEN` outputs of an agent, known without looking at all of them."""

    __slots__ = ("_last", "most")

    def __init__(self) -> None:
        self._last: deque[int] = deque(maxlen=OUTPUTS_SEEN)
        self.most = 0

    def note(self, tokens: int) -> None:
        """Take one more, and forget the oldest."""
        leaves = self._last[0] if len(self._last) == OUTPUTS_SEEN else -1
        self._last.append(tokens)
        if tokens >= self.most:
            self.most = tokens
        elif leaves == self.most:
            self.most = max(self._last)


class Meter:
    """Counts what is spent; only the loop that serves touches it, but for `take_unsaved`, `give_back` and `learn`.

    Args:
        cost_of: Prices tokens.
    """

    def __init__(self, cost_of: CostOf) -> None:
        self._cost_of = cost_of
        self._runs = Recent[tuple[str, str], _Spend](RUNS_MAX)
        self.shared = SharedRuns()
        self.passed = PassedLimits()
        self._day_number, self._day = -1, EPOCH
        self._days: dict[tuple[date, str], _Spend] = {}
        self._outputs: dict[str, _Outputs] = {}
        self._reserved: dict[str, _Reservation] = {}
        self._unsaved: deque[tuple[tuple[date, str], Spent, bool]] = deque()
        """By day and agent; with what stands in the ledger already, which `learn` must know to be our own."""
        self._saved: dict[tuple[date, str], Spent] = {}
        self._elsewhere: tuple[date, Mapping[str, Spent]] = (date.min, {})

    def learn(self, day: date, spent: Mapping[str, Spent]) -> None:
        """Learn what was spent before this process started, and by others since; call it after saving.

        Args:
            day: The day, UTC.
            spent: By agent, as the ledger has it, with what `take_unsaved` gave out.
        """
        self._saved = {at: own for at, own in self._saved.items() if at[0] >= day}
        self._elsewhere = (
            day,
            {agent: _minus(one, self._saved.get((day, agent), _NOTHING)) for agent, one in spent.items()},
        )

    def reserve(self, call: Call, pin: Pin) -> None:
        """Reserve what a call may cost.

        Args:
            call: Before its first attempt.
            pin: Who is asked first: its price counts, and not that of the charter's first choice.

        Raises:
            Refused: It does not fit, has no price, or is one call too many of its run.
        """
        budget = call.policy.budget
        run = self._run(call)
        today, day = self._today(call)
        others_of_run = self.shared.others((call.key.agent, call.run))
        if run.calls + others_of_run.calls >= budget.calls_per_run:
            raise Refused(
                Refusal(
                    RefusalCode.LOOP_LIMIT,
                    f"run {call.run} has made {run.calls + others_of_run.calls} model calls, "
                    f"its most are {budget.calls_per_run}",
                    "Look for a loop in the agent: `pilothouse traces`; "
                    "a longer task needs `model.limits.calls_per_run` in the charter.",
                )
            )
        others = self._others(call, today)
        tokens = self._guess(call)
        try:
            need = self._need(call, pin, tokens, (run, others_of_run), (day, others))
        except Refused as refused:
            is_priced = refused.refusal.code is not RefusalCode.PRICE_UNKNOWN
            smaller = self._looked_at(call, tokens) if is_priced else None
            if smaller is None:
                raise
            tokens = smaller
            need = self._need(call, pin, tokens, (run, others_of_run), (day, others))
        need_tokens = tokens.total
        run.calls += 1
        for spend in (run, day):
            spend.reserved_pico += need
            spend.reserved_tokens += need_tokens
        self._reserved[call.call_id] = _Reservation(today, day, run, need, need_tokens)

    def _need(
        self, call: Call, pin: Pin, tokens: TokenCount, run: tuple[_Spend, Spent], day: tuple[_Spend, Spent]
    ) -> int:
        """Return what a call may cost, pico-dollars; run and day are what was spent here and what others have spent.

        Raises:
            Refused: It does not fit, or has no price.
        """
        budget = call.policy.budget
        cost = self._cost_of(pin.provider, priced_as(pin.model, call.tier), tokens, call.began_ns)
        if cost is None and budget.needs_price:
            named = f"{pin.provider} {pin.model}"
            tier, option = (
                (f" in tier {call.tier}", f" --tier {shlex.quote(call.tier)}") if call.tier else ("", "")
            )
            raise Refused(
                Refusal(
                    RefusalCode.PRICE_UNKNOWN,
                    f"a budget in money needs the price of {named}{tier}, and nobody has said it",
                    f"Say it: `pilothouse price {named}{option} --input USD --output USD --source PAGE`.",
                )
            )
        need, total = cost or 0, tokens.total
        _check("run", run, budget.pico_per_run, budget.tokens_per_run, need_pico=need, need_tokens=total)
        _check("day", day, budget.pico_per_day, budget.tokens_per_day, need_pico=need, need_tokens=total)
        return need

    def reserved(self, call: Call) -> Reserved | None:
        """Return what is reserved for a call, or None.

        Args:
            call: Before its end.
        """
        held = self._reserved.get(call.call_id)
        return None if held is None else Reserved(held.date, held.usd_pico, held.tokens)

    def hand_over(self, call: Call) -> None:
        """Note that a call's reservation is in the ledger as estimated spending, because its answer comes later.

        Args:
            call: A call whose promise is kept; `correct` follows in whichever process is told its end.
        """
        held = self._reserved.pop(call.call_id, None)
        if held is None:
            return
        self._spend(call, held, held.usd_pico, held.tokens)
        at = (held.date, call.key.agent)
        charged = Spent(usd_pico=held.usd_pico, tokens=held.tokens, calls=1, estimated=1)
        self._unsaved.append((at, charged, True))
        lost = self._lost(call, held)
        if lost is not None:
            self._unsaved.append((at, lost, False))
        if call.policy.alert is not None:
            self._note_passed(call, held, call.policy.alert, is_priced=held.usd_pico > 0)

    def used(self, call: Call, promise: Promise) -> Spent | None:
        """Return the actual usage of a call that was answered later, or None when it is unknown; sets its cost."""
        used = call.usage
        if used is None:
            call.cost_pico = None
            return None
        known = self._cost_of(*_who(call), used, call.began_ns) if used.total else 0
        call.cost_pico, usd_pico = _charged(call, known, promise.usd_pico)
        is_priced = call.cost_pico is not None
        return Spent(usd_pico=usd_pico, tokens=used.total, calls=1, estimated=int(not is_priced))

    def correct(self, call: Call, promise: Promise, used: Spent | None) -> None:
        """Put what a call really used in the place of its charge, for its run; the ledger tells what its day has spent.

        Args:
            call: The call with its answer.
            promise: What it was charged with.
            used: As `used` returned it, and as the ledger has it.
        """
        run = self._runs.get((call.key.agent, call.run))
        if used is None or call.usage is None:
            return
        self._outputs.setdefault(call.key.agent, _Outputs()).note(call.usage.output + call.usage.reasoning)
        if run is not None:
            run.usd_pico += used.usd_pico - promise.usd_pico
            run.tokens += used.tokens - promise.tokens
            self.shared.note((call.key.agent, call.run), run, call.policy.budget)

    def settle(self, call: Call) -> None:
        """Replace the reservation by what the call really cost, or by an estimate of what was seen.

        Args:
            call: After its end.
        """
        held = self._reserved.pop(call.call_id, None)
        if held is None:
            return
        is_exact = call.usage is not None
        used = call.usage if call.usage is not None else _seen(call)
        tokens = used.total
        if not is_exact and call.is_unanswered:
            tokens, known = held.tokens, None  # an answer that nobody will see
        else:
            known = self._cost_of(*_who(call), used, call.began_ns) if tokens else 0
        call.cost_pico, usd_pico = _charged(call, known, held.usd_pico)
        is_priced = call.cost_pico is not None
        self._spend(call, held, usd_pico, tokens)
        if is_exact:
            self._outputs.setdefault(call.key.agent, _Outputs()).note(used.output + used.reasoning)
        more = Spent(usd_pico=usd_pico, tokens=tokens, calls=1, estimated=int(not is_exact or not is_priced))
        if len(call.attempts) > 1 or not is_exact:
            lost = self._lost(call, held)
            if lost is not None:
                more = replace(_plus(more, lost), estimated=max(more.estimated, lost.estimated))
        self._unsaved.append(((held.date, call.key.agent), more, False))
        if call.policy.alert is not None:
            is_priced = known is not None or held.usd_pico > 0
            self._note_passed(call, held, call.policy.alert, is_priced=is_priced)

    def take_unsaved(self) -> Mapping[tuple[date, str], Spent]:
        """Return what was spent since the last time, by day and agent."""
        taken: dict[tuple[date, str], Spent] = {}
        saved: dict[tuple[date, str], Spent] = {}
        while self._unsaved:
            at, more, is_saved = self._unsaved.popleft()
            into = saved if is_saved else taken
            into[at] = _plus(into.get(at, _NOTHING), more)
        for each in (saved, taken):
            for at, more in each.items():
                self._saved[at] = _plus(self._saved.get(at, _NOTHING), more)
        return taken

    def give_back(self, unsaved: Mapping[tuple[date, str], Spent]) -> None:
        """Take back what could not be saved, so that the next save includes it."""
        for at, own in unsaved.items():
            self._saved[at] = _minus(self._saved.get(at, _NOTHING), own)
            self._unsaved.append((at, own, False))

    def _lost(self, call: Call, held: _Reservation) -> Spent | None:
        """Count what attempts used that gave no answer, each at the price of its own model; None where none did."""
        lost = [(one, one.spent) for one in call.attempts if one.spent is not None]
        if not lost:
            return None
        costs = [
            self._cost_of(one.provider, priced_as(one.model, call.tier), spent, one.began_ns)
            for one, spent in lost
        ]
        known = [cost for cost in costs if cost is not None]
        is_known = len(known) == len(costs) and all(one.is_counted for one, _ in lost)
        call.cost_pico = call.cost_pico + sum(known) if call.cost_pico is not None and is_known else None
        usd_pico = sum(known) + held.usd_pico * (len(costs) - len(known))
        tokens = sum(spent.total for _, spent in lost)
        for spend in (held.run, held.day):
            spend.usd_pico += usd_pico
            spend.tokens += tokens
        return Spent(usd_pico=usd_pico, tokens=tokens, estimated=int(not is_known))

    def _spend(self, call: Call, held: _Reservation, usd_pico: int, tokens: int) -> None:
        """Count what was reserved as spent."""
        for spend in (held.run, held.day):
            spend.reserved_pico -= held.usd_pico
            spend.reserved_tokens -= held.tokens
            spend.usd_pico += usd_pico
            spend.tokens += tokens
        held.day.calls += 1
        self.shared.note((call.key.agent, call.run), held.run, call.policy.budget)

    def _note_passed(self, call: Call, held: _Reservation, alert: Budget, *, is_priced: bool) -> None:
        """Note the lower limits that a run and a day have reached, here and at other gateways together."""
        run = (call.key.agent, call.run)
        self.shared.note(run, held.run, alert)
        self.passed.note(
            call.key.agent,
            alert,
            run=(call.run, _plus(_spent_of(held.run), self.shared.others(run))),
            day=(held.date, _plus(_spent_of(held.day), self._others(call, held.date))),
            is_priced=is_priced,
        )

    def _others(self, call: Call, day: date) -> Spent:
        """Return what others have spent of an agent's day, as far as it is known."""
        known_day, elsewhere = self._elsewhere
        return elsewhere.get(call.key.agent, _NOTHING) if known_day == day else _NOTHING

    def _run(self, call: Call) -> _Spend:
        key = (call.key.agent, call.run)
        found = self._runs.get(key)
        if found is None:
            found = _Spend()
            self._runs.put(key, found)
        return found

    def _today(self, call: Call) -> tuple[date, _Spend]:
        """Return the day that a call began on, with what was spent on it.

        The day before is kept as well: a call whose body came slowly is of yesterday, and so is one after a clock was set
        back, and neither may make the meter forget what was spent.
        """
        number = call.began_ns // DAY_NS
        today = self._day if number == self._day_number else EPOCH + timedelta(days=number)
        if number > self._day_number:
            self._day_number, self._day = number, today
            self._days = {at: one for at, one in self._days.items() if at[0] >= today - timedelta(days=1)}
        found = self._days.get((today, call.key.agent))
        if found is None:
            found = self._days[today, call.key.agent] = _Spend()
        return today, found

    def _looked_at(self, call: Call, guess: TokenCount) -> TokenCount | None:
        """Return fewer tokens than were guessed by the bytes of a body, because pictures stand in it; None where none do.

        Only a call that would be refused is looked at.
        """
        if call.route.operation is Operation.EMBEDDINGS:
            return None
        count, size = pictures_in(call.asked)
        most = int((len(call.asked) - size) / RESERVED_CHARACTERS_PER_TOKEN) + count * PICTURE_TOKENS_MAX
        return replace(guess, input=most) if most < guess.input else None

    def _guess(self, call: Call) -> TokenCount:
        outputs = self._outputs.get(call.key.agent)
        likely = outputs.most if outputs else OUTPUT_GUESS_TOKENS
        most = likely if call.output_max is None else min(call.output_max, max(likely, 1))
        return TokenCount(input=int(len(call.asked) / RESERVED_CHARACTERS_PER_TOKEN), output=most)


def _spent_of(spend: _Spend) -> Spent:
    return Spent(usd_pico=spend.usd_pico, tokens=spend.tokens, calls=spend.calls)


def _plus(one: Spent, other: Spent) -> Spent:
    return Spent(
        usd_pico=one.usd_pico + other.usd_pico,
        tokens=one.tokens + other.tokens,
        calls=one.calls + other.calls,
        estimated=one.estimated + other.estimated,
    )


def _minus(one: Spent, other: Spent) -> Spent:
    return Spent(
        usd_pico=one.usd_pico - other.usd_pico,
        tokens=one.tokens - other.tokens,
        calls=one.calls - other.calls,
        estimated=one.estimated - other.estimated,
    )


_NOTHING = Spent()


def _check(
    scope: str,
    spent: tuple[_Spend, Spent],
    pico: int | None,
    tokens: int | None,
    *,
    need_pico: int,
    need_tokens: int,
) -> None:
    spend, others = spent
    if pico is not None:
        paid = spend.usd_pico + others.usd_pico
        if paid + spend.reserved_pico + need_pico > pico:
            usd = Decimal(pico) / PICO
            raise _exceeded(scope, f"{paid / PICO:.4f} of {usd:f} USD are spent", f"usd_per_{scope}")
    if tokens is not None:
        used = spend.tokens + others.tokens
        if used + spend.reserved_tokens + need_tokens > tokens:
            raise _exceeded(scope, f"{used:,} of {tokens:,} tokens are spent", f"tokens_per_{scope}")


def _exceeded(scope: str, what: str, name: str) -> Refused:
    return Refused(
        Refusal(
            RefusalCode.BUDGET_EXCEEDED,
            f"the budget of the {scope} does not cover this call: {what}",
            f"Raise `model.limits.{name}` in the charter, or wait for the next {scope}.",
        )
    )


def _charged(call: Call, known_pico: int | None, reserved_pico: int) -> tuple[int | None, int]:
    """Return what a call cost, where that is known, and what it is charged with.

    A stand-in without a price is not free: what was reserved for the pin is the best that is known. Nor is a search of the provider,
    which no price of tokens speaks of: the call cost its tokens at least.
    """
    if known_pico is None:
        return None, reserved_pico
    if call.has_fees:
        return None, max(known_pico, reserved_pico)
    return known_pico, known_pico


def _who(call: Call) -> tuple[str, str]:
    """Return the provider and the model, as it is priced, that are paid: who answered, else who was asked last."""
    last = call.attempts[-1] if call.attempts else None
    provider = call.served_by or ("" if last is None else last.provider)
    model = call.served_model or (call.model or "" if last is None else last.model)
    return provider, priced_as(model, call.tier)


def _seen(call: Call) -> TokenCount:
    """Estimate the tokens of a call whose provider said nothing.

    One that was called off while a provider worked on it cost what was read at least; one that was refused or failed, nothing.
    """
    if not call.attempts or call.attempts[-1].spent is not None:
        return TokenCount()  # what an attempt without an answer used is counted by itself
    begun = call.begun or TokenCount(input=read_tokens(call.asked))
    if call.attempts[-1].failure not in CALLED_OFF and (
        call.status >= 400 or not any(0 < attempt.status < 400 for attempt in call.attempts)
    ):
        return TokenCount()
    return replace(begun, output=max(begun.output, written_tokens(call.plain, call.route.operation)))
