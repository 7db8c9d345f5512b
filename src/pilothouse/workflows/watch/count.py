# SPDX-License-Identifier: Apache-2.0
"""Counts one finished day of an agent: its traffic, what became of its claims, or its labels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import calendar_day
from pilothouse.core.evidence.claim import is_erased, says_done
from pilothouse.core.evidence.outcome_measures import answer_term, quality_is_outcome
from pilothouse.core.evidence.stand_in import own_work
from pilothouse.core.evidence.standing import standing_outcome
from pilothouse.core.evidence.type_day import OVERRIDE, OWN_OVERRIDE, TypeDay
from pilothouse.core.statistics.clusters import mean_turns, without_runaways
from pilothouse.core.statistics.rates import RateReading, RateState, RateWatch
from pilothouse.core.verdict.numbers import percentage
from pilothouse.workflows.incidents.alerts import rule_for
from pilothouse.workflows.review.label_rates import capacity_per_day, labels_per_day, rates_fixed
from pilothouse.workflows.review.second_opinions import LABEL_TERM
from pilothouse.workflows.review.strata import strata_of
from pilothouse.workflows.watch.book import JUDGE_STATE, QUALITY_STATE, RATE_STATES, WatchBook
from pilothouse.workflows.watch.days import DayReader, WatchedDay
from pilothouse.workflows.watch.errors import ERRORS, look_at_failures
from pilothouse.workflows.watch.judge import JUDGE, JudgeState, judge_errors, look_at_judge
from pilothouse.workflows.watch.labels import LabelledDay, close_labels
from pilothouse.workflows.watch.quality import SUSPICION, QualityState, look_at_labels
from pilothouse.workflows.watch.room import LABELS, LATE, WatchRoom
from pilothouse.workflows.watch.rules import TRAFFIC, TRUTH, Watched, arl_days, types_sharing, watched_rates
from pilothouse.workflows.watch.words import suspicion_sentence

__all__ = ["CONFIDENCE", "REVIEWED", "DayCounter", "claim_line"]

CONFIDENCE = "confidence"
"""Detector of claims that are higher than the truth; it warns and buys labels, and opens nothing."""

REVIEWED = "reviewed"
"""Reading of a day: how many items people decided, by task type."""

DAY = timedelta(days=1)


class DayCounter:
    """Counts days of one agent into its book.

    Args:
        watch: Opened parts.
        charter: The charter in force.
        now: The moment of the tick, aware UTC.
        book: What the detectors remember and say.
        reader: The days.
    """

    def __init__(
        self, watch: WatchRoom, charter: Charter, now: datetime, *, book: WatchBook, reader: DayReader
    ) -> None:
        self._ledger = watch.room.installation.ledger
        self._lake = watch.room.installation.lake
        self._charter = charter
        self._now = now
        self._book = book
        self._reader = reader
        self._rates: dict[str, dict[str, list[Watched]]] = {TRAFFIC: {}, TRUTH: {}}
        for watched in watched_rates(charter):
            self._rates[watched.closes].setdefault(watched.task_type, []).append(watched)

    def count(self, closes: str, days: Sequence[date]) -> bool:
        """Count the first of some days; return whether it is finished.

        Args:
            closes: One of `CLOSINGS`.
            days: The days that are due, in a row, at least one.
        """
        if closes == LABELS:
            return self._labels(days)
        read = self._reader.read(days)
        folded = self._reader.fold(read, closes)
        if closes == TRUTH and self._is_unsettled(read, folded):
            return False
        for name in self._charter.task_types:
            counts = folded.get(name, TypeDay())
            states = self._book.recall(name, closes, RATE_STATES) or {}
            for watched in self._rates[closes].get(name, ()):
                self._rate(watched, states, counts, read.date)
            if closes == TRUTH:
                self._confidence(name, states, counts, read.date)
            self._book.remember(name, closes, states)
            if closes == TRAFFIC:
                self._book.say(name, "traffic", read.date, _traffic(counts))
        if closes == TRAFFIC:
            self._book.say("", REVIEWED, read.date, {"items": self._reader.decided(read.date)})
            self._failures(read)
            self._judge(read)
        return True

    def _failures(self, read: WatchedDay) -> None:
        before = self._book.recall("", ERRORS, RATE_STATES) or {}
        look = look_at_failures(self._lake, self._charter, read.tasks, before, read.date)
        self._book.remember("", ERRORS, look.states)
        self._book.say("", ERRORS, read.date, look.document, look.layer)

    def _rate(self, watched: Watched, states: dict[str, RateState], counts: TypeDay, day: date) -> None:
        n, good = counts.rates.get(watched.counted, (0, 0))
        before = states.get(watched.metric, RateState())
        states[watched.metric], reading = watched.watch.update(before, day, *counts.counted(watched.counted))
        document = {"n": n, "good": good, **_evidence(reading)}
        if watched.metric == OVERRIDE:
            own, well = counts.rates.get(OWN_OVERRIDE, (0, 0))
            document["own"] = {"n": own, "good": well, "worth": counts.counted(OWN_OVERRIDE)[2]}
        if reading.alarm:
            document["traces"] = counts.bad.get(watched.counted, [])
            document["risen"] = str(states[watched.metric].risen or day)
        layer = watched.layer if reading.alarm else "quiet"
        self._book.say(watched.task_type, watched.metric, day, document, layer)

    def _confidence(self, name: str, states: dict[str, RateState], counts: TypeDay, day: date) -> None:
        """Hold what the agent claims against what became of it; a day without a known truth says nothing.

        The day's mean claim is the line: 1 + stake x (mean claim - truth), multiplied over answers that are as good as
        each claims, is 1 at most on average (arithmetic against geometric mean), so the guarantee of a rate holds.
        """
        n, good = counts.rates.get(CONFIDENCE, (0, 0))
        if not n:
            return
        claimed = counts.claimed / n
        watch = RateWatch(
            committed=claim_line(claimed),
            uses_baseline=False,
            arl_days=arl_days(None),
            detectors=len(self._charter.task_types),
        )
        states[CONFIDENCE], reading = watch.update(
            states.get(CONFIDENCE, RateState()), day, *counts.counted(CONFIDENCE)
        )
        document = {"n": n, "good": good, "claimed": claimed, **_evidence(reading)}
        if reading.alarm:
            document["sentence"] = (
                f"{name} claims {percentage(claimed)} confidence and {percentage(good / n)} of {n:,} answers of {calendar_day(day)} "
                f"were true; its claims have been too high since {calendar_day(states[CONFIDENCE].risen or day)}."
            )
        self._book.say(name, CONFIDENCE, day, document, "warning" if reading.alarm else "quiet")

    def _is_unsettled(self, read: WatchedDay, folded: dict[str, TypeDay]) -> bool:
        """Whether claims of a day are still to be settled: asked about in vain so far, or not asked about yet."""
        terms = {name: answer_term(self._charter, name) for name in self._charter.task_types}
        longest = max((term for term in terms.values() if term is not None), default=timedelta())
        return self._now < read.start + DAY + longest + LATE and (
            any(one.pending for one in folded.values())
            or any(
                says_done(task)
                and not is_erased(task.claim)
                and standing_outcome(task, read.outcomes.get(task.trace_id)) is None
                for name, term in terms.items()
                if term is not None
                for task in read.by_type.get(name, ())
            )
        )

    def _judge(self, read: WatchedDay) -> None:
        judged = self._reader.judged(read)
        for name, terms in self._charter.task_types.items():
            verdicts = judged.get(str(terms.metric), {})
            own = own_work(self._charter, read.by_type.get(name, ()))
            scored = [verdicts[one.trace_id] for one in own if one.trace_id in verdicts]
            state = self._book.recall(name, JUDGE, JUDGE_STATE) or JudgeState()
            if not scored and state == JudgeState():
                continue
            quality = self._book.recall(name, LABELS, QUALITY_STATE) or QualityState()
            errors = judge_errors(quality)
            after, bought, evidence = look_at_judge(
                state,
                read.date,
                len(scored),
                sum(scored),
                j=0.0 if errors is None else sum(errors) - 1,
                labels=labels_per_day(self._charter, name, len(scored)),
                capacity=int(capacity_per_day(self._charter)),
            )
            self._book.remember(name, JUDGE, after)
            document = {"n": len(scored), "good": sum(scored), "e": evidence, "labels": bought}
            layer = "quiet" if bought is None else "warning"
            self._book.say(name, JUDGE, read.date, document, layer)

    def _labels(self, days: Sequence[date]) -> bool:
        types = [name for name in self._charter.task_types if not quality_is_outcome(self._charter, name)]
        if not types:
            return True
        if self._reader.is_waiting(days[0]):
            return False
        rates = rates_fixed(self._ledger, self._charter.agent, days[0].isoformat())
        read = self._reader.read(days)
        if rates is None and read.tasks and self._now < read.start + DAY + LABEL_TERM:
            return False
        items, judged = self._reader.drawn(read), self._reader.judged(read)
        closed: dict[str, LabelledDay] = {}
        for name in types:
            own = own_work(self._charter, read.by_type.get(name, ()))
            names, strata = strata_of(self._charter, name, own, read.outcomes, judged)
            drawn = {trace: items[trace] for trace in (one.trace_id for one in own) if trace in items}
            talks = {one.trace_id: one.conversation for one in own if one.trace_id in strata}
            kept = without_runaways(list(talks.values()))
            talks = {trace: one for (trace, one), is_kept in zip(talks.items(), kept, strict=True) if is_kept}
            strata = {trace: stratum for trace, stratum in strata.items() if trace in talks}
            turns = mean_turns(list(talks.values()))
            chances = (rates or {}).get(name, {})
            labelled = close_labels(names, strata, drawn, chances, self._now, turns=turns)
            if labelled is None:
                return False
            closed[name] = labelled
        for name, labelled in closed.items():
            self._drop(name, labelled, read.date)
        return True

    def _drop(self, name: str, labelled: LabelledDay, day: date) -> None:
        rule = rule_for(self._charter, "quality", name)
        before = self._book.recall(name, LABELS, QUALITY_STATE) or QualityState()
        after, look = look_at_labels(
            self._charter,
            name,
            before,
            day,
            labelled,
            arl_days=arl_days(rule),
            detectors=types_sharing(self._charter, rule),
        )
        self._book.remember(name, LABELS, after)
        document: dict[str, object] = {
            "tallies": {stratum: list(tally) for stratum, tally in labelled.tallies.items()},
            "turns": labelled.turns,
            "line": look.line,
            "e": look.e_value,
            "threshold": look.threshold,
            "missing": look.missing,
            "proved": None if look.proved is None else look.proved.isoformat(),
            "certification": look.certification,
        }
        loud = bool(look.alarm or look.proved)
        if loud:
            document["traces"] = list(labelled.bad)
            document["risen"] = str(after.risen or before.risen or day)
        layer = "verdict" if rule is not None else "warning"
        self._book.say(name, "quality", day, document, layer if loud else "quiet")
        if look.suspected:
            said = suspicion_sentence(name, after.risen or day, look.e_value, look.threshold)
            self._book.say(name, SUSPICION, day, {"metric": "quality", "sentence": said}, "warning")


def claim_line(claimed: float) -> float:
    """Return a mean claim as a line that can be bet against: never above the claim, which would find honest claims too high.

    Args:
        claimed: Mean confidence that was claimed, in [0, 1].
    """
    return min(max(claimed, 1e-9), 0.998)


def _evidence(reading: RateReading) -> dict[str, object]:
    """What a detector of a rate leaves of a day."""
    return {
        "worth": reading.worth,
        "line": reading.line,
        "e": reading.e_value,
        "threshold": reading.threshold,
        "missing": reading.missing,
    }


def _traffic(counts: TypeDay) -> dict[str, object]:
    """What a day leaves for cost and uptime."""
    return {
        "tasks": counts.tasks,
        "own": counts.own,
        "usd": [round(value, 9) for value in counts.cost_usd] if any(counts.priced) else [],
        "priced": counts.priced if any(counts.priced) else [],
        "log_usd": round(counts.log_usd, 9),
        "paid": counts.paid,
        "unpriced": counts.unpriced,
        "minutes": len(counts.minutes),
        "served": sum(counts.minutes.values()),
        "version": counts.version,
    }
