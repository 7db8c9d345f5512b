# SPDX-License-Identifier: Apache-2.0
"""Which version is the anchor after a run of the gate: it moves up by itself, and otherwise only by a signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.evidence import Binding, Evidence
from pilothouse.core.evidence.recorded import bound_record
from pilothouse.core.verdict.numbers import percentage
from pilothouse.core.verdict.release_anchor import against_anchor, is_better_throughout
from pilothouse.core.verdict.release_verdict import ReleaseVerdict
from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import Denied, UsageError
from pilothouse.evals.arms import Arm
from pilothouse.evals.case import Case, Split
from pilothouse.evals.checks import PASS_AT
from pilothouse.evals.dataset import Dataset
from pilothouse.evals.journal import Journal
from pilothouse.evals.scorers.registry import ScorerRegistry
from pilothouse.evals.selection import select_cases
from pilothouse.evals.trial import asked_of, trial_key
from pilothouse.ports.ledger import Ledger
from pilothouse.workflows.gate.default_scorer import metrics_of, scorers_of_gate
from pilothouse.workflows.gate.judging import KEPT_SHARE_MIN
from pilothouse.workflows.gate.named_sets import named_sets
from pilothouse.workflows.gate.run import GateRun
from pilothouse.workflows.ground.in_force import charter_if_any
from pilothouse.workflows.people.signing import REASON_CHARS_MAX, signatures
from pilothouse.workflows.people.signing import asked_of as may_sign

__all__ = ["ANCHOR_SET", "AnchorStep", "anchor_after", "anchor_record", "anchors_of", "set_anchor"]

ANCHOR_SET: Final = "release.anchor_set"
"""Kind of the decision with which a person names the anchor."""

SIGNED_BY: Final = "EVAL-5"
"""The requirement whose signers may name an anchor: they answer for results and baselines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorStep:
    """What a run says of the anchor.

    Attributes:
        version: The anchor from now on, or None when this run says nothing of it.
        words: Why it is, for the record.
        note: What a reader of the verdict must know, or empty.
    """

    version: str | None
    words: str = ""
    note: str = ""


def anchor_after(run: GateRun, verdict: ReleaseVerdict) -> AnchorStep:
    """Return the anchor after a run.

    A version that passes and is proved better than the anchor in every task type takes its place, so that what was gained is
    not lost unseen. Nothing else moves it: neither a better mean nor a worse version. Each run that was held against the
    anchor says so anew, for the cases of this run. A run by other scorers than the anchor's says nothing of it.

    Args:
        run: The run, measured.
        verdict: Its verdict.
    """
    if run.anchor_elsewhere is not None:
        return AnchorStep(version=None)
    differences = against_anchor(verdict)
    types = [one.rules.task_type for one in run.judges]
    is_passed = verdict.status in {Status.HOLDS, Status.AT_RISK}
    candidate, other = verdict.candidate, run.anchor or run.baseline
    if other is not None and other.version == (verdict.anchor or verdict.baseline) and is_passed:
        words = (
            f"takes the place of {other.version[:12]} as the anchor: it is proved better in every task type"
        )
        if _is_covered(run, other):
            # Looks end as soon as the loss is proved small; how large the gain is shows at the end, once.
            at_end = filter(None, (one.at_end(run.gathered, other) for one in run.judges))
            if is_better_throughout(tuple(at_end), types):
                step = f"{candidate[:12]} {words}"
                return AnchorStep(version=candidate, words=step, note=step)
        elif is_better_throughout(differences, types):
            return AnchorStep(
                version=verdict.anchor, words=_words(run, verdict.anchor), note=f"with --complete it {words}"
            )
    if verdict.anchor is not None:
        is_held = candidate == verdict.anchor or {one.scope.task_type for one in differences} >= set(types)
        return AnchorStep(version=verdict.anchor if is_held else None, words=_words(run, verdict.anchor))
    first = run.baseline or (run.candidate if is_passed else None)
    if first is None:
        return AnchorStep(version=None)
    if not _is_covered(run, run.baseline):
        how = "--complete" if first is run.candidate else "--complete and its address as --baseline"
        note = f"there is no anchor yet: {first.version[:12]} has answered a part of the cases; run this with {how}"
        return AnchorStep(version=None, note=note)
    return AnchorStep(version=first.version, words=_words(run, first.version))


def anchor_record(
    version: str,
    words: str,
    *,
    agent: str,
    dataset: str,
    scored_by: str,
    n: int,
    at: datetime,
    command: str,
    run_id: str = "",
) -> Evidence:
    """Return the record that a version is the anchor of a dataset.

    Args:
        version: Version digest.
        words: Why it is.
        agent: Agent id.
        dataset: Digest of the cases.
        scored_by: The scorers that it is measured by, named by `default_scorer.scored_by`: others do not compare with it.
        n: Cases behind it.
        at: The moment, aware UTC.
        command: What found it.
        run_id: The run that found it, or empty.
    """
    return bound_record(
        "eval.anchor",
        agent,
        at,
        command=command,
        run_id=run_id,
        binds=Binding(version=version, dataset=dataset),
        n=max(n, 1),
        passed=True,
        method=scored_by,
        detail=words,
    )


def anchors_of(ledger: Ledger, agent: str) -> Sequence[Evidence]:
    """Return each anchor of an agent with the first record that says why, oldest first; a run that says it again is left out."""
    found: list[Evidence] = []
    for one in ledger.evidence(agent, kinds=("eval.anchor",)):
        if not found or _said(one) != _said(found[-1]):
            found.append(one)
    return tuple(found)


def _said(one: Evidence) -> tuple[str | None, str, str]:
    return one.binds.version, one.method, one.detail


def set_anchor(
    ledger: Ledger,
    agent: str,
    arm: Arm,
    *,
    dataset: Dataset,
    journal: Journal,
    person: str,
    reason: str,
    actor: str,
    now: datetime,
    scorer: str | None = None,
    pass_at: float = PASS_AT,
) -> Evidence:
    """Make a version the anchor because a person says so: the only way down, and the way out where the old one cannot run.

    Args:
        ledger: Charter, evidence and decisions.
        agent: Agent id.
        arm: Stored trials of the version.
        dataset: The cases.
        journal: Stored trials.
        person: Person id of who signs.
        reason: Why, one sentence.
        actor: Who acts, as the decision names it.
        now: The moment, aware UTC.
        scorer: What later versions are to be scored by, as `gate` is told it; None for what it takes by itself.
        pass_at: Least value of a success in them.

    Returns:
        The record.

    Raises:
        UsageError: There is no reason, the version has not answered the cases, or the charter names another scorer.
        UnknownName: The charter names a metric that is no scorer, and nothing says how it is computed.
        Denied: The person does not answer for results and baselines.
    """
    if not 0 < len(reason.strip()) <= REASON_CHARS_MAX:
        raise UsageError(
            f"a reason has 1 to {REASON_CHARS_MAX} characters.",
            remedy="Say in one sentence why: --reason TEXT.",
        )
    charter = charter_if_any(ledger, agent)
    if not named_sets(ledger, agent, dataset).is_labelled:
        raise UsageError(
            f"{str(dataset.path)!r} is not the labelled set that the charter names.",
            remedy="Leave out --dataset.",
            subject=str(dataset.path),
        )
    if charter is not None:
        asked = signatures(ledger, agent, now, SIGNED_BY)
        if not any(may_sign(charter, one, person) for one in asked):
            names = " and ".join(dict.fromkeys(charter.name_of(one.person) for one in asked)) or "nobody yet"
            raise Denied(
                f"{charter.name_of(person)} does not answer for results and baselines; the charter names {names}",
                remedy=f"See who signs {SIGNED_BY}: `pilothouse evidence list {agent}`.",
                subject=person,
            )
    cases = _cases(dataset, charter, now)
    short = [name for name, found in cases.items() if _share(journal, arm, found) < KEPT_SHARE_MIN]
    if short or not cases:
        raise UsageError(
            f"{arm.version[:12]} has answered less than {percentage(KEPT_SHARE_MIN, decimals=0)} of the cases of "
            f"{', '.join(short) or 'the dataset'}: later versions could not be held against it.",
            remedy="Let it answer all: `pilothouse eval run TARGET`.",
            subject=arm.version,
        )
    judged = [case for found in cases.values() for case in found]
    scored = scorers_of_gate(scorer, pass_at, metrics_of(charter), judged, ScorerRegistry())
    words = f"{arm.version[:12]} is the anchor of {_named(dataset)} by {person}: {reason.strip()}"
    record = anchor_record(
        arm.version,
        words,
        agent=agent,
        dataset=dataset.digest,
        scored_by=scored,
        n=sum(map(len, cases.values())),
        at=now,
        command=f"pilothouse eval anchor {arm.version[:12]}",
    )
    ledger.record(
        kind=ANCHOR_SET,
        agent=agent,
        at=now,
        actor=actor,
        document=canonical_json(
            {
                "version": arm.version,
                "dataset_digest": dataset.digest,
                "scored_by": scored,
                "signer": person,
                "reason": reason.strip(),
            }
        ),
    )
    ledger.add_evidence((record,))
    return record


def _words(run: GateRun, version: str | None) -> str:
    return f"version {version} is the anchor of {_named(run.dataset)}"


def _named(dataset: Dataset) -> str:
    return f"{dataset.manifest.name} {dataset.manifest.version}"


def _is_covered(run: GateRun, other: Arm | None) -> bool:
    """Whether both sides have answered nearly all cases, as a later version needs that is held against one of them."""
    answered = {
        one.rules.task_type: sum(
            other is None or bool(result.baseline)
            for result in run.gathered.results(one.cases[: one.seen], other)
        )
        for one in run.judges
    }
    cases = _cases(run.dataset, run.charter, run.now)
    return all(answered.get(name, 0) >= KEPT_SHARE_MIN * len(found) for name, found in cases.items())


def _cases(dataset: Dataset, charter: Charter | None, now: datetime) -> Mapping[str, Sequence[Case]]:
    """Return the cases that a gate asks by itself; what was typed for one run does not bind the next."""
    most = known(charter.release.max_cases) if charter is not None else None
    return select_cases(
        dataset.cases,
        now=now,
        splits=frozenset({Split.GATE}),
        seed=dataset.manifest.name,
        cases_max=None if most is None else int(most),
    ).ordinary


def _share(journal: Journal, arm: Arm, cases: Sequence[Case]) -> float:
    """Return the share of cases to which a version has the answer that it is held by: its first."""
    keys = {trial_key(arm.config, asked_of(case, arm.address), 0) for case in cases}
    return len({one.key for one in journal.trials(keys)}) / len(keys)
