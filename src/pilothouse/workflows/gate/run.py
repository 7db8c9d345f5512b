# SPDX-License-Identifier: Apache-2.0
"""Run looks of a release gate until every requirement is decided or one is breached."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.verdict.release_again import judge_first_answers
from pilothouse.core.verdict.release_behaviour import judge_behaviour
from pilothouse.core.verdict.release_never import MustNotFinding, judge_family, judge_must_not
from pilothouse.core.verdict.release_trust import judge_infrastructure
from pilothouse.core.verdict.release_tuning import SplitGap, judge_tuning, split_gap
from pilothouse.core.verdict.release_verdict import ReleaseVerdict, RunCost, fold_items
from pilothouse.core.verdict.verdict import ItemVerdict, Status
from pilothouse.errors import ProviderError
from pilothouse.evals.arms import Arm, requests_of
from pilothouse.evals.case import Case, Split
from pilothouse.evals.checks import CheckBook
from pilothouse.evals.dataset import Dataset
from pilothouse.evals.journal import Journal
from pilothouse.evals.journal_rows import RunRow
from pilothouse.evals.limits import AdaptiveLimit, Budget, StartRate
from pilothouse.evals.runner import STOOD_IN, Progress, Runner, TrialRequest
from pilothouse.evals.scorers.scorer import ScorerKind
from pilothouse.evals.scoring import score_once
from pilothouse.evals.selection import Selection
from pilothouse.evals.trial import TrialStatus
from pilothouse.workflows.gate.judge_cards import JudgeTrust
from pilothouse.workflows.gate.judging import TypeJudge, unproved
from pilothouse.workflows.gate.request import GatePolicy, GateRequest
from pilothouse.workflows.gate.results import FailedCheck, Gathered
from pilothouse.workflows.gate.run_labels import RunLabels

__all__ = ["GateRun"]

REPEATED_JUDGEMENTS: Final = 3
"""Judgements of a stored answer that must agree before a judged failure counts as reproduced."""

UNSEEN_SHARE_MAX: Final = 0.02
"""Largest share of results that a zero-tolerance check may leave unlooked at."""

CONCURRENCY_START: Final = 4


@dataclass(slots=True, kw_only=True)
class GateRun:
    """A run of the gate, opened and not yet started: `measure` spends, nothing before it does.

    Attributes:
        request: What was asked.
        policy: Rules in force.
        dataset: The dataset.
        attacks: The adversarial dataset; the same when one holds both.
        shown: Every text the model is shown, by name; None when that is not known.
        selection: Cases that take part.
        candidate: The side that is judged.
        baseline: The side it is compared with, or None.
        anchor: The anchored version, when it is another one than the baseline.
        anchor_version: Version on record as anchor, or None.
        scored_by: The scorers of this run, as the record of an anchor names them.
        anchor_elsewhere: The anchor that is on record when other scorers than these measured it: nothing compares with it, and this
            run makes none.
        book: Checks of each case.
        journal: Stored trials.
        run_id: Made from everything above: the same command is the same run.
        now: When it began, aware UTC.
        notes: What a reader must know.
        trust: What is on record about each model judge, by identity.
        terms: Domain terms of the charter's glossary.
        is_chartered: Whether its cases and attacks are those that the charter names, where it names any.
        charter: The charter whose rules are applied, or None.
        labels: What people said of the answers of the candidate.
        lost: Earlier runs of this version on these cases that did not find it good, newest first.
    """

    request: GateRequest
    policy: GatePolicy
    dataset: Dataset
    attacks: Dataset
    shown: tuple[tuple[str, str], ...] | None
    selection: Selection
    candidate: Arm
    baseline: Arm | None
    anchor: Arm | None
    anchor_version: str | None
    scored_by: str
    anchor_elsewhere: Evidence | None
    book: CheckBook
    journal: Journal
    run_id: str
    now: datetime
    notes: list[str]
    trust: Mapping[str, JudgeTrust] = field(default_factory=dict)
    terms: tuple[str, ...] = ()
    is_chartered: bool = True
    charter: Charter | None = None
    labels: RunLabels | None = None
    lost: tuple[ReleaseVerdict, ...] = ()
    gathered: Gathered = field(init=False)
    judges: list[TypeJudge] = field(init=False)
    _runner: Runner = field(init=False)
    _reproduced: dict[tuple[str, int, str], bool] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.gathered = Gathered(self.candidate)
        self.judges = [
            TypeJudge.start(
                rules,
                tuple(self.selection.ordinary.get(name, ())),
                repeats=self.candidate.repeats,
                baseline_repeats=self.baseline.repeats if self.baseline is not None else 1,
                is_judged=self.book.is_judged(self.selection.ordinary.get(name, ())),
                is_partly_judged=self.book.is_partly_judged(self.selection.ordinary.get(name, ())),
                goes_on=self.request.complete or self.is_first,
                trust=self._trust_in_type(name),
                labels=self.labels,
            )
            for name, rules in self.policy.rules.items()
        ]

    @property
    def is_first(self) -> bool:
        """Whether a side of this run becomes the anchor: later versions are held against its trials, so all cases are run."""
        is_stored = self.baseline is not None and self.baseline.is_stored
        has_anchor = self.anchor_version is not None or self.anchor_elsewhere is not None
        is_unanchored = not has_anchor and self.policy.agent is not None
        return is_unanchored and self.is_chartered and not is_stored

    @property
    def since(self) -> datetime:
        """Answers from before it are asked for again: those of a lapsed verdict must not make a new one."""
        return self.now - self.policy.max_age

    def _trust_in_type(self, name: str) -> JudgeTrust | None:
        """What is on record about the one judge behind the scores of a task type."""
        judges = self.book.judges(self.selection.ordinary.get(name, ()))
        found = self.trust.get(judges[0]) if len(judges) == 1 else None
        return None if found is None else found.in_type(name)

    async def measure(self, *, on_progress: Callable[[Progress], None] | None = None) -> ReleaseVerdict:
        """Run looks until the verdict is known.

        Returns:
            The verdict; it is in the journal when this returns.

        Raises:
            ProviderError: A target cannot be reached at all.
            UsageError: A budget is set and nothing says what a trial costs.
        """
        began = time.monotonic()
        self._runner = self._make_runner(on_progress)
        self._record_start()
        common: list[ItemVerdict] = []
        number = 0
        try:
            await self._try_one()
            while number == 0 or any(not one.is_over for one in self.judges):
                number += 1
                await self._look(number)
                common = await self._common_items()
                items = [*common, *(item for one in self.judges for item in one.items)]
                self.journal.put_look(self.run_id, number, json.dumps([_brief(one) for one in items]))
                is_breached = any(one.status is Status.BREACHED for one in items)
                if (is_breached and not self.request.complete) or self._runner.stopped_because:
                    break
        finally:
            await self._close()
        verdict = self._verdict(common, seconds=time.monotonic() - began)
        self.journal.end_run(self.run_id, verdict.model_dump_json())
        await self.journal.settled()
        return verdict

    def stop(self) -> None:
        """End after the trials in flight; the same command continues."""
        self._runner.stop("it was stopped by hand; the same command continues")

    def _make_runner(self, on_progress: Callable[[Progress], None] | None) -> Runner:
        most = self.request.concurrency
        return Runner(
            self.journal,
            self.book,
            run_id=self.run_id,
            deadline_s=self.request.deadline_s,
            limit=AdaptiveLimit(start=min(CONCURRENCY_START, most), most=most),
            rate=StartRate(self.request.per_minute),
            budget=Budget(limit_usd=self.request.budget_usd),
            at=self.now,
            since=self.since,
            on_progress=on_progress,
        )

    def _live(self) -> list[Arm]:
        return [arm for arm in (self.candidate, self.baseline) if arm is not None and not arm.is_stored]

    def _record_start(self) -> None:
        at = self.now.isoformat()
        environment = json.dumps({"deadline_s": self.request.deadline_s})
        for arm in self._live():
            self.journal.put_config(
                arm.config, version=arm.version, address=arm.address, environment=environment, at=at
            )
        plan = {
            "candidate": self.candidate.address,
            "cases": len(self.selection.cases),
            "decides": self.request.decides,
        }
        self.journal.put_run(
            RunRow(
                run_id=self.run_id,
                dataset=self.dataset.digest,
                candidate=self.candidate.version,
                document=json.dumps(plan),
                at=at,
            )
        )

    async def _try_one(self) -> None:
        """Run one trial of each live side before the rest: is it there, and what does it cost?"""
        first = [
            one for arm in self._live() for one in list(requests_of(self.selection.cases[:1], [arm]))[:1]
        ]
        outcomes = await self._runner.run(first)
        self.gathered.add(outcomes)
        calling = {arm.config for arm in self._live() if arm.target.spec.makes_calls}
        for one in outcomes:
            if one.status is TrialStatus.INFRA_ERROR and one.config in calling:
                raise ProviderError(
                    f"the target gives no answer: {one.error}.",
                    remedy=_remedy(one.error or ""),
                    subject=one.case_id,
                )
        if not self.request.allow_unpriced:
            self._runner.budget.check_priced([one.cost_usd for one in outcomes])

    async def _look(self, number: int) -> None:
        """Run the next cases of every open task type, then judge each."""
        arms = [self.candidate, *([self.baseline] if self.baseline and not self.baseline.is_stored else [])]
        requests: list[TrialRequest] = []
        if number == 1:
            requests += requests_of(self.selection.adversarial, [self.candidate])
            requests += requests_of(self.selection.golden, arms)
        for one in self.judges:
            if not one.is_over:
                requests += requests_of(one.next_cases(number), arms)
        self.gathered.add(await self._runner.run(requests))
        for arm in (self.baseline, self.anchor):
            if arm is not None and arm.is_stored:
                await self._look_up(arm)
        for one in self.judges:
            if not one.is_over:
                is_cut = self._runner.stopped_because is not None
                one.judge(self.gathered, self.baseline, self.anchor, is_cut=is_cut)

    async def _look_up(self, arm: Arm) -> None:
        """Score the stored trials of a side that does not run."""
        cases = [case for one in self.judges for case in one.cases[: one.seen]]
        cases += self.selection.golden
        wanted = list(requests_of(cases, [arm]))
        stored = {one.key for one in self.journal.trials([one.key for one in wanted])}
        reader = Runner(self.journal, self.book, run_id=self.run_id, budget=self._runner.budget)
        self.gathered.add(await reader.run([one for one in wanted if one.key in stored]))
        if reader.stopped_because is not None:
            self._runner.stop(reader.stopped_because)

    def _answered(self) -> list[datetime]:
        """Return when each first answer of the candidate that counts was asked for."""
        keys = {self.candidate.keys(case)[0] for case in self.selection.cases}
        return [
            one.at for one in self.journal.trials(keys) if one.at is not None and one.is_since(self.since)
        ]

    async def _common_items(self) -> list[ItemVerdict]:
        """Judge what belongs to no single task type."""
        seen = self.gathered.must_not(self.selection.cases)
        findings = [
            MustNotFinding(
                case_id=one.case.id,
                check=one.check,
                reason=one.reason,
                is_reproduced=await self._is_reproduced(one),
            )
            for one in seen.failures
        ]
        items = [
            self._never_by_judge(
                judge_must_not(
                    findings,
                    clusters=seen.clusters,
                    checked=seen.checked,
                    unseen=seen.unseen,
                    unscored_max=UNSEEN_SHARE_MAX,
                )
            ),
            *(
                self._family_by_judge(judge_family(one), one.family)
                for one in self.gathered.families(self.selection.adversarial, self.policy.families)
            ),
            judge_behaviour(
                self.gathered.trajectories(self.selection.with_trajectory, self.baseline),
                least=self.policy.golden_min,
            ),
            judge_infrastructure(self.gathered.health),
        ]
        return [one for one in items if one is not None]

    def is_judged_family(self, name: str) -> bool:
        """Whether a model judge alone says of some attack of a family whether it succeeded."""
        return self.book.is_judged([case for case in self.selection.adversarial if case.family == name])

    def _family_by_judge(self, item: ItemVerdict | None, name: str) -> ItemVerdict | None:
        """Prove nothing of a family by a judge alone: how often attacks succeed is a level."""
        if item is None or item.status is not Status.HOLDS or not self.is_judged_family(name):
            return item
        return unproved(item, "a level needs labels of this run", remedy="add a computed scorer to the cases")

    def _never_by_judge(self, item: ItemVerdict | None) -> ItemVerdict | None:
        """Prove no absence by a judge whose errors are not known: one that passes everything finds nothing."""
        if item is None or item.status is not Status.HOLDS:
            return item
        judges = {
            (check.scorer.spec.version, case.task_type)
            for case in self.selection.cases
            for check in self.book.of(case)
            if check.must_not and check.scorer.spec.kind is ScorerKind.JUDGE
        }
        for one, task_type in sorted(judges):
            trust = self.trust[one].in_type(task_type) if one in self.trust else None
            if trust is None or trust.card is None:
                words = trust.sentence if trust is not None else "its errors were never measured"
                return unproved(item, words, remedy=trust.remedy if trust is not None else "")
        return item

    async def _is_reproduced(self, failure: FailedCheck) -> bool:
        """Score the stored answer again: a computation once, a judge three times in agreement; not anew at each look."""
        name = failure.case.case_hash, failure.index, failure.check
        if name not in self._reproduced:
            self._reproduced[name] = await self._score_again(failure)
        return self._reproduced[name]

    async def _score_again(self, failure: FailedCheck) -> bool:
        check = next(one for one in self.book.of(failure.case) if one.name == failure.check)
        key = self.candidate.keys(failure.case)[failure.index - self.candidate.first_index]
        stored = next(iter(self.journal.trials([key])), None)
        if stored is None:
            return False
        times = REPEATED_JUDGEMENTS if check.scorer.spec.kind is ScorerKind.JUDGE else 1
        scores = [await score_once(check, failure.case, stored.result) for _ in range(times)]
        for one in scores:
            self._runner.budget.spend(one.cost_usd)
        return all(one.value is not None and one.value < 1.0 for one in scores)

    async def _close(self) -> None:
        for arm in self._live():
            await arm.target.close()
        for scorer in self.book.scorers(self.selection.cases):
            close = getattr(scorer, "close", None)
            if close is not None:
                await close()

    def _tuning(self, seen: Sequence[Case]) -> tuple[SplitGap | None, ItemVerdict | None]:
        """Hold the gate cases against the sealed ones, when those were opened."""
        if not self.request.sealed:
            return None, None
        gate, sealed = (
            self.gathered.results([case for case in seen if case.split is split], None)
            for split in (Split.GATE, Split.SEALED)
        )
        gap = split_gap(gate, sealed)
        failed = [one.case_id for one in sealed if one.candidate[0] is False]
        return gap, judge_tuning(gap, failed) if gap is not None else None

    def _verdict(self, common: Sequence[ItemVerdict], *, seconds: float) -> ReleaseVerdict:
        seen: list[Case] = [case for one in self.judges for case in one.cases[: one.seen]]
        gap, tuned = self._tuning(seen)
        answered = self._answered()
        items = fold_items(
            [
                *common,
                *filter(None, (tuned, judge_first_answers(self.lost, answered))),
                *(item for one in self.judges for item in one.items),
            ]
        )
        once = len(self.selection.adversarial) + len(self.selection.golden)
        planned = sum(len(one.cases) for one in self.judges) + once
        notes = [*self.notes]
        if self._runner.stopped_because:
            notes.append(self._runner.stopped_because)
        if gap is not None and tuned is None:
            notes.append(f"gate against sealed: {gap.sentence}")
        tried = {one.family for one in self.selection.adversarial}
        if untried := sorted(set(self.policy.families) - tried):
            notes.append(
                f"no attack was tried of {', '.join(untried)}, which the charter limits: EVAL-2 stays open"
            )
        gathered = self.gathered
        notes += filter(None, (gathered.failed_note, gathered.lost_note, gathered.unscored_note))
        return ReleaseVerdict(
            agent=self.policy.agent,
            candidate=self.candidate.version,
            baseline=self.baseline.version if self.baseline is not None else None,
            anchor=self.anchor_version,
            dataset=f"{self.dataset.manifest.name} {self.dataset.manifest.version}",
            dataset_digest=self.dataset.digest,
            judges=self.book.judges(self.selection.cases),
            rules=self.policy.source,
            as_of=self.now,
            lapses_at=self.now + self.policy.max_age,
            run_id=self.run_id,
            status=items[0].status,
            reason=items[0].reason,
            deciding=f"{items[0].requirement} · {items[0].scope.label}: {items[0].sentence}",
            items=items,
            looks=tuple(look for one in self.judges for look in one.taken),
            flips=tuple(self.gathered.flips(seen, self.baseline)) if self.baseline is not None else (),
            cost=RunCost(
                cases=self.gathered.asked(self.selection.cases),
                cases_planned=planned,
                calls=self.gathered.calls,
                reused=self.gathered.reused,
                spent_usd=self._runner.budget.spent_usd,
                unpriced=self._runner.budget.unpriced,
                seconds=seconds,
            ),
            notes=tuple(notes),
            answered=len(answered),
            answered_from=min(answered, default=None),
        )


def _remedy(error: str) -> str:
    if error.startswith(("HTTP 401", "HTTP 403")):
        return (
            "It asks for a credential: put it into OPENAI_API_KEY (an `openai:` address) or into what stands before the agent. "
            "Our own gateway takes `pilothouse key add AGENT --environment replay`, whose calls are no work of the agent."
        )
    if error.startswith("asked "):
        return (
            "Name the exact model that answers, never an alias of it: openai:URL?model=NAME. "
            "A name under which the charter says that the pin is served goes beside it: &served_as=NAME."
        )
    if error.endswith(STOOD_IN):
        return (
            "Run the same command once the pinned model answers: what another one says is no trial of this version. "
            "The version with that model is gated by its name: --charter FILE --candidate-version VERSION."
        )
    if error.startswith("worker was killed"):
        return "Give its workers more memory, or run fewer at once: --concurrency 1."
    return "Start it, then run the same command."


def _brief(item: ItemVerdict) -> dict[str, object]:
    return {
        "requirement": item.requirement,
        "scope": item.scope.label,
        "status": item.status.value,
        "sentence": item.sentence,
    }
