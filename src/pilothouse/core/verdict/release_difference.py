# SPDX-License-Identifier: Apache-2.0
"""Whether a candidate is not worse than another version on the same cases, look by look.

Independent pairs, clusters, and repeats of the baseline take several looks (`SequentialGate`;
`benchmarks/evals/gate_simulation.py` holds what was validated). Repeats of the candidate, and repeats within
clusters, take one, at the end: their statistic has not been validated over several looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.statistics.clusters import cluster_design_effect
from pilothouse.core.statistics.comparison import PAIRS_MIN, Comparison, Decision, few_pairs
from pilothouse.core.statistics.noninferiority import PairedNonInferiority, repeats_saving
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence
from pilothouse.core.statistics.sequential import GateState, SequentialGate
from pilothouse.core.verdict.release import ITEMS_MAX, CaseResult, GateRules
from pilothouse.core.verdict.release_verdict import LookTaken
from pilothouse.core.verdict.verdict import ItemVerdict, Reason, Status

__all__ = ["DifferenceLook", "judge_difference", "look_sizes", "takes_one_look"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceLook:
    """The result of one look.

    Attributes:
        item: The requirement as it stands now.
        look: The numbers, or None when there were too few pairs for any, or none that is new.
        state: What the next look must know.
        is_over: Whether no further pair can help.
    """

    item: ItemVerdict
    look: LookTaken | None
    state: GateState
    is_over: bool


def takes_one_look(clusters: Sequence[str], *, repeats: int, baseline_repeats: int) -> bool:
    """Return whether a set is judged only at its end.

    Args:
        clusters: Cluster of each case.
        repeats: Runs of each case by the candidate.
        baseline_repeats: Runs of each case by the baseline.

    Example:
        >>> takes_one_look(["a", "a"], repeats=1, baseline_repeats=1)
        False
        >>> takes_one_look(["a", "a"], repeats=1, baseline_repeats=4)
        True
    """
    return repeats > 1 or (baseline_repeats > 1 and len(set(clusters)) < len(clusters))


def look_sizes(cases: int, rules: GateRules, *, is_single: bool) -> tuple[int, ...]:
    """Return after how many cases of a task type to look.

    Args:
        cases: Cases that may be run.
        rules: Rules of the task type.
        is_single: Whether there is one look, at the end.

    Example:
        >>> look_sizes(100, GateRules(task_type="t", looks=4), is_single=False)
        (25, 50, 75, 100)
    """
    if is_single or cases < PAIRS_MIN:
        return (cases,)
    return SequentialGate(rules.margin, cases, looks=rules.looks, spending=rules.spending).planned_pairs()


def judge_difference(
    results: Sequence[CaseResult],
    rules: GateRules,
    *,
    state: GateState,
    cases_planned: int,
    is_single: bool,
    is_last: bool,
    requirement: str = "not_worse",
    against: str = "the baseline",
) -> DifferenceLook:
    """Look once at the pairs so far.

    Args:
        results: Results of both sides so far; a case without a score on either side makes no pair.
        rules: Rules of the task type.
        state: State after the look before.
        cases_planned: Cases at which the last look stands.
        is_single: Whether there is one look, at the end.
        is_last: Whether no look follows.
        requirement: `not_worse` or `not_eroded`.
        against: What the other side is, for the sentence.

    Returns:
        The item, and what the next look must know.
    """
    pairs = [one for one in results if _is_pair(one)]
    rule = f"not worse than {against} by more than {100 * rules.margin:g} points"
    item = ItemVerdict(
        requirement=requirement,
        scope=Scope(task_type=rules.task_type),
        status=Status.NO_EVIDENCE,
        reason=Reason.INSUFFICIENT,
        rule=rule,
        sentence="",
        bound=-100 * rules.margin,
        unit="points",
        n=len(pairs),
    )
    if cases_planned < PAIRS_MIN or not pairs:
        few = few_pairs(0, len(pairs), rules.margin, rules.alpha)
        needed = few.need if few else PAIRS_MIN
        sentence = f"{len(pairs)} pairs decide nothing; the fewest that can are {needed}"
        return DifferenceLook(
            item=item.model_copy(update={"sentence": sentence, "n_needed": needed}),
            look=None,
            state=state,
            is_over=is_last,
        )
    is_new = is_single or not state.pairs or len(pairs) > state.pairs[-1]
    if is_single:
        result = _once(pairs, rules)
    else:
        gate = SequentialGate(
            rules.margin, cases_planned, looks=rules.looks, spending=rules.spending, alpha=rules.alpha
        )
        # Where no case of a batch has a score there is nothing new to look at: it stands as after the look before.
        state, result = _look(gate, state if is_new else GateState(pairs=state.pairs[:-1]), pairs)
    if isinstance(result, NotEnoughEvidence):
        update = {"sentence": f"{result.reason}; {result.remedy}", "n_needed": result.need}
        return DifferenceLook(item=item.model_copy(update=update), look=None, state=state, is_over=is_last)
    return DifferenceLook(
        item=_settled(item, result, pairs, cases_planned),
        look=_look_of(result, rules.task_type, max(1, len(state.pairs))) if is_new else None,
        state=state,
        is_over=result.stop or is_last,
    )


def _is_pair(one: CaseResult) -> bool:
    return bool(one.candidate and one.baseline) and None not in one.candidate and None not in one.baseline


def _look(
    gate: SequentialGate, state: GateState, pairs: Sequence[CaseResult]
) -> tuple[GateState, Comparison | NotEnoughEvidence]:
    """Look at one of several looks: plain pairs, pairs in clusters, or pairs with a baseline that ran often."""
    d = np.array([bool(one.candidate[0]) - sum(map(bool, one.baseline)) / len(one.baseline) for one in pairs])
    better, worse = float(np.maximum(d, 0).sum()), float(np.maximum(-d, 0).sum())
    if any(len(one.baseline) > 1 for one in pairs):
        return gate.update(state, better, worse, len(pairs), design_effect=repeats_saving(d))
    effect = cluster_design_effect(d, [one.cluster for one in pairs])
    if isinstance(effect, NotEnoughEvidence):
        return state, effect
    clusters = effect.clusters if effect.clusters < len(pairs) else None
    return gate.update(state, better, worse, len(pairs), design_effect=effect.value, clusters=clusters)


def _once(pairs: Sequence[CaseResult], rules: GateRules) -> Comparison | NotEnoughEvidence:
    """Judge clusters or repeats at their single look."""
    test = PairedNonInferiority(rules.margin, rules.alpha)
    is_alone = len({one.cluster for one in pairs}) == len(pairs)
    if is_alone and all(len(one.candidate) == 1 for one in pairs):
        return test.decide_repeats(
            [sum(map(bool, one.baseline)) / len(one.baseline) for one in pairs],
            [int(bool(one.candidate[0])) for one in pairs],
        )
    rows = [
        (one.cluster, bool(base), bool(mine))
        for one in pairs
        for mine, base in zip(one.candidate, one.baseline, strict=False)
    ]
    return test.decide_pairs(
        [int(base) for _, base, _ in rows],
        [int(mine) for _, _, mine in rows],
        clusters=[cluster for cluster, _, _ in rows],
    )


def _settled(
    item: ItemVerdict, result: Comparison, pairs: Sequence[CaseResult], cases_planned: int
) -> ItemVerdict:
    status = {
        Decision.NOT_WORSE: Status.AT_RISK if result.slightly_worse else Status.HOLDS,
        Decision.WORSE: Status.BREACHED,
        Decision.UNDECIDED: Status.NO_EVIDENCE,
    }[result.decision]
    ends: Estimate = result.difference
    value, low, high = 100 * ends.value, 100 * ends.low, 100 * ends.high
    words = {
        Status.HOLDS: "proved not worse",
        Status.AT_RISK: "within the margin, and proved to be worse",
        Status.BREACHED: "proved worse than the margin",
        Status.NO_EVIDENCE: "neither proved harmless nor harmful",
    }[status]
    if status is Status.NO_EVIDENCE and high < 0:
        words += ", but proved to be worse"
    if status is Status.NO_EVIDENCE and result.stop and result.n < cases_planned:
        words += "".join(f"; {note}" for note in result.notes[-1:])
    lost = [one.case_id for one in pairs if not one.candidate[0] and one.baseline[0]]
    return item.model_copy(
        update={
            "status": status,
            "reason": Reason.INSUFFICIENT if status is Status.NO_EVIDENCE else None,
            "sentence": (
                f"{value:+.1f} points [{low:+.1f}, {high:+.1f}] over {len(pairs)} pairs "
                f"({result.wins:g} better, {result.losses:g} worse); {words}"
            ),
            "value": value,
            "low": low,
            "high": high,
            "n_needed": result.needed.need if result.needed else None,
            "method": result.method.value,
            "items": tuple(lost)[:ITEMS_MAX],
        }
    )


def _look_of(result: Comparison, task_type: str, number: int) -> LookTaken:
    is_futile = result.stop and result.decision is Decision.UNDECIDED
    return LookTaken(
        number=number,
        task_type=task_type,
        n=result.n,
        better=result.wins,
        worse=result.losses,
        statistic=result.z,
        critical=result.critical,
        decision="futile" if is_futile else result.decision.value,
    )
