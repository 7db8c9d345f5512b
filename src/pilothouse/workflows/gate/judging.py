# SPDX-License-Identifier: Apache-2.0
"""Judge one task type of a gate run at each look: which requirements stand where, and whether it is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Final

from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.statistics.clusters import mean_turns
from pilothouse.core.statistics.judging import JudgedMargin, judged_margin
from pilothouse.core.statistics.quality import labels_alike
from pilothouse.core.statistics.sequential import GateState
from pilothouse.core.verdict.numbers import percentage
from pilothouse.core.verdict.release import CaseResult, GateRules
from pilothouse.core.verdict.release_difference import (
    DifferenceLook,
    judge_difference,
    look_sizes,
    takes_one_look,
)
from pilothouse.core.verdict.release_labelled import judge_labelled_floor
from pilothouse.core.verdict.release_level import judge_floor, level_critical
from pilothouse.core.verdict.release_reliability import judge_reliability
from pilothouse.core.verdict.release_trust import judge_unscored
from pilothouse.core.verdict.release_verdict import LookTaken
from pilothouse.core.verdict.verdict import ItemVerdict, Reason, Status
from pilothouse.evals.arms import Arm
from pilothouse.evals.case import Case
from pilothouse.workflows.gate.judge_cards import JudgeTrust
from pilothouse.workflows.gate.results import Gathered
from pilothouse.workflows.gate.run_labels import RunLabels

__all__ = ["TypeJudge", "unproved"]

ALPHA_JUDGED_MIN: Final = 0.02
"""Error below which nothing is left for the test once a judge's card has taken its 1 %."""

KEPT_SHARE_MIN: Final = 0.95
"""Least share of cases in which the other side must have a score; below it the rest is another set of cases."""

_PROVED: Final = frozenset({Status.HOLDS, Status.AT_RISK})

_NO_NUMBER: Final = MappingProxyType({"value": None, "low": None, "high": None})
"""What an item states that proves nothing: its sentence tells what was seen, and no record may be made of it."""


@dataclass(slots=True, kw_only=True)
class TypeJudge:
    """Where one task type stands.

    Attributes:
        rules: What must hold.
        cases: Cases in run order.
        looks: After how many cases to look.
        is_single: Whether there is one look, at the end.
        seen: Cases run so far.
        items: Requirements as they stand.
        taken: Looks taken at differences.
        is_over: Whether no further case can help.
        is_judged: Whether a model judge alone stands behind the scores of some case.
        is_partly_judged: Whether a model judge stands beside computed checks behind some, and nowhere alone.
        goes_on: Whether every case is run, decided or not.
        trust: What is on record about the one judge of the type; None trusts none.
        labels: What people said of the answers of this run, or None where nobody can look them up.
        hangs_on_missing: Whether something would be proved only because results are missing.
    """

    rules: GateRules
    cases: tuple[Case, ...]
    looks: tuple[int, ...]
    is_single: bool
    seen: int = 0
    items: list[ItemVerdict] = field(default_factory=list)
    taken: list[LookTaken] = field(default_factory=list)
    is_over: bool = False
    is_judged: bool = False
    is_partly_judged: bool = False
    goes_on: bool = False
    trust: JudgeTrust | None = None
    labels: RunLabels | None = None
    hangs_on_missing: bool = False
    _states: dict[str, GateState] = field(default_factory=dict)
    _settled: dict[str, DifferenceLook] = field(default_factory=dict)

    @classmethod
    def start(
        cls,
        rules: GateRules,
        cases: tuple[Case, ...],
        *,
        repeats: int,
        baseline_repeats: int,
        is_judged: bool = False,
        is_partly_judged: bool = False,
        goes_on: bool = False,
        trust: JudgeTrust | None = None,
        labels: RunLabels | None = None,
    ) -> TypeJudge:
        """Plan the looks of a task type.

        Args:
            rules: What must hold.
            cases: Cases in run order; without any, the type has no evidence.
            repeats: Runs of each case by the candidate.
            baseline_repeats: Runs of each case by the baseline.
            is_judged: Whether a model judge alone stands behind the scores of some case.
            is_partly_judged: Whether one stands beside computed checks behind some, and nowhere alone.
            goes_on: Whether every case is run, decided or not.
            trust: What is on record about that judge.
            labels: What people said of the answers of this run.
        """
        clusters = [case.cluster_id for case in cases]
        is_single = rules.reliable_k > 1 or takes_one_look(
            clusters, repeats=repeats, baseline_repeats=baseline_repeats
        )
        missing = _missing(rules, "cases", "there is a case", "the dataset has no case of this type")
        return cls(
            rules=rules,
            cases=cases,
            looks=_whole_clusters(look_sizes(len(cases), rules, is_single=is_single), clusters),
            is_single=is_single,
            is_over=not cases,
            is_judged=is_judged,
            is_partly_judged=is_partly_judged,
            goes_on=goes_on,
            trust=trust,
            labels=labels,
            items=[] if cases else [missing],
        )

    @property
    def is_unmeasured(self) -> bool:
        """Whether a judge that nobody measured has a part in what counts as a success: it may pass whatever it sees."""
        return self.is_partly_judged and (self.trust is None or self.trust.card is None)

    @property
    def shrunk(self) -> JudgedMargin | None:
        """The margin as the judge shows it, or None when no judge stands alone or its card does not allow it."""
        if not self.is_judged or self.trust is None or self.trust.card is None:
            return None
        found = judged_margin(
            self.trust.card, self.rules.margin, alpha=max(self.rules.alpha, ALPHA_JUDGED_MIN)
        )
        return found if isinstance(found, JudgedMargin) else None

    @property
    def difference_rules(self) -> GateRules:
        """The rules at which differences are tested: a judge shrinks them, and its card takes part of the error."""
        shrunk = self.shrunk
        return self.rules if shrunk is None else replace(self.rules, margin=shrunk.margin, alpha=shrunk.alpha)

    def next_cases(self, number: int) -> tuple[Case, ...]:
        """Return the cases that the next look adds, and count them as seen."""
        upto = self.looks[min(number, len(self.looks)) - 1]
        fresh = self.cases[self.seen : upto]
        self.seen = max(self.seen, upto)
        return fresh

    def judge(self, gathered: Gathered, baseline: Arm | None, anchor: Arm | None, *, is_cut: bool) -> None:
        """Judge every requirement of the type on what there is.

        Args:
            gathered: Outcomes so far.
            baseline: What the candidate is compared with, or None.
            anchor: The anchored version, when it is another one.
            is_cut: Whether nothing more will be run.
        """
        is_last = is_cut or self.seen >= len(self.cases)
        results = gathered.results(self.cases[: self.seen], baseline)
        self.items = []
        self.hangs_on_missing = False
        open_items = 0
        for arm, name, words in (
            (baseline, "not_worse", "the baseline"),
            (anchor, "not_eroded", "the anchor"),
        ):
            if arm is None:
                continue
            pairs = results if arm is baseline else gathered.results(self.cases[: self.seen], arm)
            look = self._difference(pairs, name, words, is_last=is_last)
            kept = sum(bool(one.baseline) and None not in one.baseline for one in pairs) / max(len(pairs), 1)
            item = look.item if kept >= KEPT_SHARE_MIN else _not_comparable(look.item, kept, arm.version)
            self.items.append(self._without_luck(item, gathered, arm, self._as_one_look))
            open_items += not look.is_over or self.items[-1] is not item
        sizes = [size for size in self.looks if size < self.seen] + [self.seen, len(self.cases)]
        critical = level_critical(sizes, self.rules)
        level = partial(judge_floor, rules=self.rules, critical=critical, is_last=is_last)
        reliability = partial(judge_reliability, rules=self.rules)
        floor, reliable = level(results), reliability(results)
        if floor is not None:
            floor = self._without_luck(floor, gathered, None, level)
        if reliable is not None:
            reliable = self._without_luck(reliable, gathered, None, reliability)
        by_people = partial(self._labelled_floor, critical=critical)
        labelled = by_people(results)
        if labelled is not None:
            labelled = self._without_luck(labelled, gathered, None, by_people)
        self.items += [one for one in (floor if labelled is None else None, reliable) if one is not None]
        if labelled is not None and labelled.status is not Status.NO_EVIDENCE:
            floor = labelled
        open_items += floor is not None and floor.status is Status.NO_EVIDENCE
        if self.is_judged:
            self.items = [self._seen_through_judge(one) for one in self.items]
            self.items += [] if labelled is None else [labelled]
        elif self.is_unmeasured:
            self.items = [self._beside_judge(one) for one in self.items]
        if not self.items:
            self.items.append(
                _missing(
                    self.rules, "compared", "something is to be proved", "there is no baseline and no floor"
                )
            )
            open_items += 1
        self.items.append(judge_unscored(results, self.rules))
        self.is_over = is_last or not (open_items or self.goes_on)

    def _without_luck(
        self,
        item: ItemVerdict,
        gathered: Gathered,
        other: Arm | None,
        measure: Callable[[Sequence[CaseResult]], ItemVerdict | None],
    ) -> ItemVerdict:
        """Prove nothing that would be open if each result without a score, or lost by fault of the world, were a failure.

        An agent that ends itself over what it cannot answer, or a scorer that crashes over it, would be released by what is missing.
        """
        if item.status not in _PROVED:
            return item
        results = gathered.results(self.cases[: self.seen], other, with_lost=True)
        missing = sum(value is None for one in results for value in one.candidate)
        worst = [replace(one, candidate=tuple(map(bool, one.candidate))) for one in results]
        found = measure(worst) if missing else item
        if found is None or found.status in _PROVED:
            return item
        self.hangs_on_missing = True
        return unproved(
            item,
            "counted as failures they leave it open",
            remedy="run the same command: what was lost is asked again; mend a scorer that gives no score",
            reason=Reason.INSUFFICIENT,
            who=f"{missing} results are missing",
        )

    def _as_one_look(self, results: Sequence[CaseResult]) -> ItemVerdict:
        return self._fresh_look(results, is_single=self.is_single).item

    def at_end(self, gathered: Gathered, other: Arm) -> ItemVerdict | None:
        """Return the difference to another side over all cases that ran, as one look shows it; None where only a judge says so.

        Args:
            gathered: Outcomes.
            other: The other side.
        """
        if (self.is_judged and self.shrunk is None) or self.is_unmeasured:
            return None
        pairs = gathered.results(self.cases[: self.seen], other)
        return self._fresh_look(pairs, is_single=True).item

    def _fresh_look(self, results: Sequence[CaseResult], *, is_single: bool) -> DifferenceLook:
        return judge_difference(
            results,
            self.difference_rules,
            state=GateState(),
            cases_planned=len(self.cases),
            is_single=is_single,
            is_last=True,
        )

    def _labelled_floor(self, results: Sequence[CaseResult], critical: float) -> ItemVerdict | None:
        """Hold what people said of the answers of this run against the floor, where a judge alone scores them."""
        if not self.is_judged or self.labels is None or not results:
            return None
        strata = self.labels.strata(self.cases[: self.seen], results)
        found = judge_labelled_floor(
            strata,
            self.rules,
            critical=critical,
            design_effect=labels_alike(strata, mean_turns([one.cluster for one in results])),
        )
        if found is None or found.item.status is not Status.NO_EVIDENCE:
            return None if found is None else found.item
        wanted = found.labels_wanted
        remedy = "add cases to the dataset, or run those that are left with --complete"
        if wanted is not None:
            remedy = f"{self.labels.command} --count {wanted}, then the same gate"
        return found.item.model_copy(update={"remedy": remedy})

    def _beside_judge(self, item: ItemVerdict) -> ItemVerdict:
        """Prove nothing while a judge without a card has a part in it: what it passes too easily would be called good."""
        if item.status not in {Status.HOLDS, Status.AT_RISK}:
            return _without_number(item)
        trust = self.trust
        return unproved(
            item,
            trust.sentence if trust is not None else "of several judges nobody knows the common errors",
            remedy=trust.remedy if trust is not None else "leave one judge in the task type",
            reason=(trust.reason if trust is not None else None) or Reason.MISSING,
            who="a model judge has a part in it",
        )

    def _seen_through_judge(self, item: ItemVerdict) -> ItemVerdict:
        """Scale a difference back to what it means; prove nothing by a judge whose errors are not known.

        A judge shrinks differences and shifts levels: without a card it can show harm by a difference, which its
        errors do not make, and prove nothing. A level needs labels of this run, whatever the card, and whichever way:
        a judge that fails good answers puts any agent under its floor.
        """
        shrunk = self.shrunk
        is_difference = item.requirement in {"not_worse", "not_eroded"}
        if is_difference and shrunk is not None and self.trust is not None:
            words = (
                f"{item.sentence}; as a judge sees it, which {self.trust.sentence}: held against "
                f"{100 * shrunk.margin:.1f} points at an error of {shrunk.alpha:g}"
            )
            return item.model_copy(
                update={"sentence": words, "bound": -100 * self.rules.margin, **_true_ends(item, shrunk)}
            )
        if item.status is Status.NO_EVIDENCE or (is_difference and item.status is Status.BREACHED):
            return _without_number(item)
        trust = self.trust
        if trust is None or (trust.card is not None and not is_difference):
            words, reason, remedy = (
                "a level needs labels of this run",
                Reason.MISSING,
                "add a computed scorer to the cases",
            )
        elif trust.card is not None:
            words, reason, remedy = (
                f"{trust.sentence}, which is too little for this margin",
                Reason.INSUFFICIENT,
                trust.remedy,
            )
        else:
            words, reason, remedy = trust.sentence, trust.reason or Reason.MISSING, trust.remedy
        return unproved(item, words, remedy=remedy, reason=reason)

    def _difference(self, pairs: list[CaseResult], name: str, words: str, *, is_last: bool) -> DifferenceLook:
        state = self._states.get(name, GateState())
        if state.stopped:
            # This requirement is settled; the run goes on for another one.
            return self._settled[name]
        look = judge_difference(
            pairs,
            self.difference_rules,
            state=state,
            cases_planned=len(self.cases),
            is_single=self.is_single,
            is_last=is_last,
            requirement=name,
            against=words,
        )
        self._states[name] = look.state
        self._settled[name] = look
        if look.look is not None:
            self.taken.append(look.look)
        return look


def unproved(
    item: ItemVerdict,
    words: str,
    *,
    remedy: str,
    reason: Reason = Reason.MISSING,
    who: str = "only a model judge says so",
) -> ItemVerdict:
    """Return an item that holds by what a model judge says, as one without evidence.

    Args:
        item: The item.
        words: Why the judge does not count.
        remedy: What to type.
        reason: Kind of what is lacking.
        who: What the judge has to do with it.
    """
    return item.model_copy(
        update={
            "status": Status.NO_EVIDENCE,
            "reason": reason,
            "sentence": f"{item.sentence}; but {who}: {words}",
            "remedy": remedy,
            **_NO_NUMBER,
        }
    )


def _without_number(item: ItemVerdict) -> ItemVerdict:
    """Take the numbers out of what is not decided: a margin that is wider than the one asked here would call them proved."""
    return item.model_copy(update=dict(_NO_NUMBER)) if item.status is Status.NO_EVIDENCE else item


def _true_ends(item: ItemVerdict, shrunk: JudgedMargin) -> dict[str, float]:
    """Return value and interval of a judged difference in points of true quality, on the safe side.

    A true difference is the judged one over J; J lies between its bound and 1.
    """
    if item.value is None or item.low is None or item.high is None:
        return {}
    low = min(item.low, item.low / shrunk.j_low)
    high = max(item.high, item.high / shrunk.j_low)
    return {"low": low, "high": high}


def _whole_clusters(sizes: Sequence[int], clusters: Sequence[str]) -> tuple[int, ...]:
    """Move each look to the end of the cluster it falls into; clusters stand together in run order."""
    ends = []
    for size in sizes:
        end = size
        while 0 < end < len(clusters) and clusters[end] == clusters[end - 1]:
            end += 1
        ends.append(end)
    return tuple(dict.fromkeys(ends))


def _missing(rules: GateRules, requirement: str, rule: str, sentence: str) -> ItemVerdict:
    return ItemVerdict(
        requirement=requirement,
        scope=Scope(task_type=rules.task_type),
        status=Status.NO_EVIDENCE,
        reason=Reason.MISSING,
        rule=rule,
        sentence=sentence,
    )


def _not_comparable(item: ItemVerdict, kept: float, version: str) -> ItemVerdict:
    return item.model_copy(
        update={
            "status": Status.NO_EVIDENCE,
            "reason": Reason.MISSING,
            "sentence": f"the other side has a score in {percentage(kept, decimals=0)} of the cases, at least {percentage(KEPT_SHARE_MIN, decimals=0)} are needed: "
            f"run it once with --candidate-version {version} --complete",
            "remedy": "give the other side as an address, so that it can run; mend a scorer that gives no score",
            "n_needed": None,  # more cases of this side would decide nothing
            **_NO_NUMBER,
        }
    )
