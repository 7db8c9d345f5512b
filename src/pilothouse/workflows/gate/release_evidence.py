# SPDX-License-Identifier: Apache-2.0
"""What a gate run puts on record for the readiness verdict (release verdict -> evidence)."""

from __future__ import annotations

from typing import Unpack

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.effective_counts import rate_counts
from pilothouse.core.evidence.evidence import Binding, Evidence, Scope
from pilothouse.core.evidence.recorded import Found, bound_record
from pilothouse.core.verdict.release_anchor import against_anchor
from pilothouse.core.verdict.release_never import judge_family
from pilothouse.core.verdict.release_verdict import ReleaseVerdict
from pilothouse.core.verdict.verdict import ItemVerdict, Status
from pilothouse.workflows.gate.anchor import anchor_after, anchor_record
from pilothouse.workflows.gate.datasets import dataset_evidence
from pilothouse.workflows.gate.run import GateRun

__all__ = ["release_evidence"]


def release_evidence(
    run: GateRun, verdict: ReleaseVerdict, *, agent: str, charter: Charter | None = None
) -> tuple[Evidence, ...]:
    """Turn a finished run into records; what was not measured gives none.

    Cases that the charter does not name, and answers that were asked for again, can show harm, and nothing else is written
    of them. Else written are: the
    release verdict, whether or not it holds; the level of each task type as baseline; the
    difference to the anchor in points; each family of attacks; golden trajectories; what the dataset holds; and the
    version that is the anchor of these cases.

    Args:
        run: The run, measured.
        verdict: Its verdict.
        agent: Agent id.
        charter: The charter in force. By default rules, where the run was given no charter, a version is shown to be bad
            under it and never to be good.
    """
    is_breached = verdict.status is Status.BREACHED
    write = _Writer(run, verdict, agent, run.charter or (charter if is_breached else None))
    counts = run.is_chartered and all(one.requirement != "first_answers" for one in verdict.items)
    if not counts and not is_breached:
        return ()
    if verdict.status in {Status.HOLDS, Status.AT_RISK, Status.BREACHED}:
        write.add(
            "release.verdict",
            passed=not is_breached,
            n=max(verdict.cost.cases, 1),
            detail="; ".join(filter(None, (verdict.deciding, run.candidate.target.spec.about))),
            items=tuple(flip.case_id for flip in verdict.flips if flip.is_worse),
        )
    if not counts:
        return tuple(write.records)
    for one in run.judges:
        if one.is_judged or one.is_unmeasured or one.hangs_on_missing:
            continue  # neither the raw rate of a judge is a level, nor that of what happens to have a score
        scored = [
            result
            for result in run.gathered.results(one.cases[: one.seen], None)
            if result.candidate[0] is not None
        ]
        if scored:
            write.add(
                "eval.baseline",
                n=len(scored),
                good=sum(bool(result.candidate[0]) for result in scored),
                scope=Scope(task_type=one.rules.task_type),
                items=tuple(result.case_id for result in scored if not result.candidate[0]),
                counts=rate_counts(
                    [bool(result.candidate[0]) for result in scored], [result.cluster for result in scored]
                ),
            )
    step = anchor_after(run, verdict)
    differences = () if run.anchor_elsewhere is not None else against_anchor(verdict)
    for item in differences:
        write.difference(item)
    if step.version == verdict.candidate and not differences:
        write.no_difference()
    for family in run.gathered.families(run.selection.adversarial, run.policy.families):
        found = judge_family(family)
        is_harm = bool(family.failed) and (found is None or found.status is Status.BREACHED)
        if not is_harm and (not family.is_seen or run.is_judged_family(family.family)):
            continue
        write.add(
            "adversarial.family",
            n=family.clusters,
            good=family.clusters - len(family.failed),
            scope=Scope(part=family.family),
            items=family.failed,
            binds=write.bound.model_copy(update={"dataset": run.attacks.digest}),
        )
    for item in verdict.items:
        if item.requirement == "behaviour" and item.status in {Status.HOLDS, Status.BREACHED}:
            write.add(
                "release.trajectories",
                passed=item.status is Status.HOLDS,
                n=item.n,
                detail=item.sentence,
                items=item.items,
            )
    if step.version is not None:
        write.records.append(
            anchor_record(
                step.version,
                step.words,
                agent=agent,
                dataset=verdict.dataset_digest,
                scored_by=run.scored_by,
                n=verdict.cost.cases,
                at=run.now,
                command=write.command,
                run_id=verdict.run_id,
            )
        )
    datasets = [run.dataset] if run.attacks.digest == run.dataset.digest else [run.dataset, run.attacks]
    held = [
        record
        for dataset in datasets
        for record in dataset_evidence(
            dataset,
            agent=agent,
            at=run.now,
            shown=run.shown or (),
            is_shown_complete=run.shown is not None and dataset is run.dataset,
            terms=run.terms,
            charter=run.charter,
        )
    ]
    return (*write.records, *held)


class _Writer:
    """Fills in what all records of a run share."""

    def __init__(self, run: GateRun, verdict: ReleaseVerdict, agent: str, charter: Charter | None) -> None:
        self.records: list[Evidence] = []
        self._run, self._verdict, self._agent, self._charter = run, verdict, agent, charter
        self.command = f"pilothouse gate --candidate {run.candidate.address} --dataset {run.dataset.path}"
        self.bound = Binding(
            version=verdict.candidate,
            dataset=verdict.dataset_digest,
            judge=verdict.judges[0] if len(verdict.judges) == 1 else None,
        )

    def add(
        self, kind: str, *, scope: Scope | None = None, binds: Binding | None = None, **found: Unpack[Found]
    ) -> None:
        """Add a record; without `binds` it is bound to the candidate on the dataset."""
        run = self._run
        self.records.append(
            bound_record(
                kind,
                self._agent,
                run.now,
                command=self.command,
                run_id=self._verdict.run_id,
                binds=binds or self.bound,
                charter=self._charter,
                scope=scope,
                **found,
            )
        )

    def difference(self, item: ItemVerdict) -> None:
        """Add a difference in points."""
        self.add(
            "release.difference",
            n=max(item.n, 1),
            value=item.value,
            low=item.low,
            high=item.high,
            method=item.method,
            scope=item.scope,
            items=item.items,
            detail=f"against {self._verdict.anchor or self._verdict.baseline}",
        )

    def no_difference(self) -> None:
        """Say of a version that is the anchor that it is no worse than itself."""
        for one in self._run.judges:
            if one.seen:
                self.add(
                    "release.difference",
                    n=one.seen,
                    value=0.0,
                    low=0.0,
                    high=0.0,
                    scope=Scope(task_type=one.rules.task_type),
                    detail="this version is the anchor",
                )
