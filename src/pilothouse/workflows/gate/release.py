# SPDX-License-Identifier: Apache-2.0
"""Open a gate run from a request, and put its verdict on record as evidence."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_digest
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.stand_in import stand_ins_of
from pilothouse.errors import UsageError
from pilothouse.evals.arms import Arm
from pilothouse.evals.case import Case, Split
from pilothouse.evals.checks import CheckBook
from pilothouse.evals.dataset import Dataset, load_dataset
from pilothouse.evals.journal import Journal
from pilothouse.evals.scorers.registry import ScorerRegistry
from pilothouse.evals.scorers.scorer import Scorer
from pilothouse.evals.selection import Selection, select_cases
from pilothouse.ports.lake import Lake
from pilothouse.ports.ledger import Ledger
from pilothouse.workflows.gate.arms import (
    anchor_elsewhere,
    anchor_version,
    candidate_arm,
    current_version,
    gate_records,
    resolve_baseline,
    stored_arm,
)
from pilothouse.workflows.gate.datasets import glossary_terms, read_shown_texts, shown_paths
from pilothouse.workflows.gate.default_scorer import check_typed, scored_by, scorer_named
from pilothouse.workflows.gate.judge_cards import trust_judges
from pilothouse.workflows.gate.lost_runs import lost_runs
from pilothouse.workflows.gate.named_sets import is_at
from pilothouse.workflows.gate.narrowing import of_types, that_failed
from pilothouse.workflows.gate.request import GatePolicy, GateRequest, settle_policy
from pilothouse.workflows.gate.run import GateRun
from pilothouse.workflows.gate.run_labels import read_labels
from pilothouse.workflows.gate.sealed_split import count_opening, sealed_marks
from pilothouse.workflows.gateway.launch import summarize_charter
from pilothouse.workflows.ground.check import load_charter
from pilothouse.workflows.ground.in_force import charter_if_any

__all__ = ["open_gate"]

_OTHER_CASES: Final = (
    "these are not the cases that the charter names (`datasets.labelled.path`, `datasets.adversarial.path`): harm goes "
    "on record, and nothing else"
)

_INPUT_TAKEN: Final = "a golden sequence of an input that another set asks without it"
_INPUT_DOUBLED: Final = "a golden sequence of an input that has one already"


def open_gate(
    request: GateRequest,
    *,
    journal: Journal,
    now: datetime,
    ledger: Ledger | None = None,
    lake: Lake | None = None,
    registry: ScorerRegistry | None = None,
) -> GateRun:
    """Read dataset and charter, open both sides, settle the rules; nothing is run and nothing is spent.

    Args:
        request: What was asked.
        journal: Stored trials.
        now: The present moment, aware UTC.
        ledger: Decisions, or None without an installation.
        lake: Telemetry, or None.
        registry: Scorers; the installed ones when None.

    Returns:
        The run, ready to measure.

    Raises:
        UsageError: Nothing is left to run, or an argument does not fit.
        MalformedRecord: The dataset has bad lines.
        CharterInvalid: The charter has errors.
    """
    charter = load_charter(request.charter, today=now.date()) if request.charter else None
    dataset, attacks, golden = _load_datasets(request, charter)
    is_chartered = _are_chartered(request, charter, dataset, attacks)
    cases = dataset.cases
    if attacks is not dataset:
        cases += tuple(case for case in attacks.cases if case.family is not None)
    policy = settle_policy(request, charter, tuple(sorted({case.task_type for case in cases})))
    selection = _select(request, policy, dataset, cases, golden=golden, now=now)
    registry = registry or ScorerRegistry()
    computed = (
        check_typed(request.scorer, policy.metrics, selection.cases, registry) if request.decides else ()
    )
    scorer = scorer_named(request.scorer, policy.metrics, selection.cases, registry)
    book = CheckBook(registry, default=registry.make(*scorer), pass_at=request.pass_at)
    scorers = scored_by(*scorer, request.pass_at)
    for case in selection.cases:
        book.of(case)
    in_force = (
        charter_if_any(ledger, policy.agent) if ledger is not None and policy.agent is not None else None
    )
    candidate = candidate_arm(
        request,
        version=_version(request, charter),
        lake=lake,
        stand_ins=_stand_ins(request, charter, in_force),
    )
    if request.fresh:
        candidate = replace(candidate, first_index=journal.fresh_index(candidate.config))
    narrowed: tuple[str, ...] = ()
    if request.only_failed:
        selection, note = that_failed(
            selection,
            candidate=candidate.version,
            journal=journal,
            dataset=dataset,
            book=book,
            deadline_s=request.deadline_s,
        )
        narrowed = (note,)
    baseline, notes = resolve_baseline(
        request,
        candidate,
        journal=journal,
        ledger=ledger,
        agent=policy.agent,
        dataset=dataset.digest,
        scored_by=scorers,
        lake=lake,
    )
    records = gate_records(ledger, policy.agent)
    current = current_version(records, candidate=candidate.version)
    if current is not None and (baseline is None or baseline.version != current):
        notes = (
            *notes,
            f"not held against {current[:12]}, the version that passed last: `--baseline current`",
        )
    anchored = anchor_version(records, request, dataset=dataset.digest, scored_by=scorers)
    elsewhere = anchor_elsewhere(records, request, scored_by=scorers)
    others = {candidate.version, baseline.version if baseline is not None else None}
    anchor = (
        stored_arm(journal, anchored, deadline_s=request.deadline_s, repeats=request.baseline_repeats)
        if anchored is not None and anchored not in others
        else None
    )
    if anchor is None and anchored is not None and anchored not in others:
        lost = f"the anchor {anchored[:12]} has no trial in this journal, so nothing is held against it: let it answer again, or see `pilothouse eval anchor`"
        notes = (*notes, lost)
    if elsewhere is not None and request.decides:
        notes = (*notes, _measured_otherwise(elsewhere, scorers))
    if baseline is not None and baseline.is_stored:
        selection, left_out = _within_stored(selection, baseline, journal)
        notes += left_out
    run_id = _run_id(
        request,
        policy,
        candidate=candidate,
        baseline=baseline,
        data=(dataset, attacks, golden),
        scorers=book.scorers(selection.cases),
        failed=sorted(case.input_hash for case in selection.cases) if request.only_failed else (),
    )
    if request.sealed:
        opening = count_opening(
            ledger,
            policy.agent,
            dataset=dataset.digest,
            sealed=sealed_marks(selection.sealed_hashes),
            run_id=run_id,
        )
        notes = (*notes, opening)
    return GateRun(
        request=request,
        policy=policy,
        dataset=dataset,
        attacks=attacks,
        shown=_shown(request, charter),
        selection=selection,
        candidate=candidate,
        baseline=baseline,
        anchor=anchor,
        anchor_version=anchored,
        scored_by=scorers,
        anchor_elsewhere=elsewhere,
        book=book,
        journal=journal,
        run_id=run_id,
        now=now,
        terms=_terms(request, charter),
        is_chartered=is_chartered,
        charter=charter,
        labels=read_labels(dataset, journal, candidate, now),
        lost=lost_runs(
            ledger,
            policy.agent,
            version=candidate.version,
            dataset=dataset.digest,
            since=now - policy.max_age,
            now=now,
        ),
        trust=trust_judges(book.judges(selection.cases), records, charter, now),
        notes=[
            *policy.notes,
            *computed,
            *(() if is_chartered or not request.decides else (_OTHER_CASES,)),
            *narrowed,
            *notes,
            *_notes(
                request,
                selection,
                journal,
                run_id=run_id,
                candidate=candidate.version,
                dataset=dataset.digest,
            ),
            *_undeclared(candidate.target.spec.version_is_declared, request.candidate),
            *_typed_over(request, charter),
            *(
                f"outputs: {arm.target.spec.about}"
                for arm in (candidate, baseline)
                if arm and arm.target.spec.about
            ),
        ],
    )


def _select(
    request: GateRequest,
    policy: GatePolicy,
    dataset: Dataset,
    cases: Sequence[Case],
    *,
    golden: Dataset | None,
    now: datetime,
) -> Selection:
    """Choose the cases that may decide; raises `UsageError` when none is left."""
    splits = frozenset({Split(request.split), Split.SEALED} if request.sealed else {Split(request.split)})
    selection = select_cases(
        cases,
        now=now,
        splits=splits,
        seed=dataset.manifest.name,
        cases_max=policy.max_cases,
    )
    if golden is not None:
        selection = _with_golden(golden, selection, splits, now)
    if not selection.cases:
        removed = ", ".join(f"{count} {why}" for why, count in selection.removed.items()) or "none at all"
        raise UsageError(
            f"no case of {str(dataset.path)!r} may be used: {removed}.",
            remedy=f"See what it holds: `pilothouse dataset show {dataset.path}`.",
        )
    return of_types(selection, request.task_types)


def _run_id(
    request: GateRequest,
    policy: GatePolicy,
    *,
    candidate: Arm,
    baseline: Arm | None,
    data: tuple[Dataset, Dataset, Dataset | None],
    scorers: Sequence[Scorer],
    failed: Sequence[str],
) -> str:
    """Name the run by everything that could change its verdict, so that what was measured for it is found again."""
    dataset, attacks, golden = data
    return canonical_digest(
        {
            "candidate": candidate.config,
            "baseline": baseline.config if baseline is not None else None,
            "dataset": dataset.digest,
            "adversarial": attacks.digest,
            "golden": golden.digest if golden is not None else None,
            "rules": {name: repr(rules) for name, rules in policy.rules.items()},
            "families": dict(policy.families),
            "golden_min": policy.golden_min,
            "cases": [policy.max_cases, request.sealed],
            "pass_at": request.pass_at,
            "scorers": [one.spec.version for one in scorers],
            "repeats": [request.repeats, request.baseline_repeats],
            "narrowed": [*request.task_types, request.split, *failed],
            "first_index": candidate.first_index,
        }
    )[:16]


def _load_datasets(request: GateRequest, charter: Charter | None) -> tuple[Dataset, Dataset, Dataset | None]:
    """Load labelled cases, attacks and golden sequences; a dataset that holds attacks too stands for both."""
    folder = Path(request.charter).parent if request.charter else Path()
    labelled = request.dataset
    if labelled is None and charter is not None and (named := known(charter.datasets.labelled.path)):
        labelled = folder / named
    if labelled is None:
        raise UsageError(
            "no dataset was given, and "
            + (
                "no charter says which"
                if charter is None
                else "the charter leaves `datasets.labelled.path` open"
            ),
            remedy="Add `--dataset FOLDER-OR-FILE`; make one of cases with `pilothouse dataset add FOLDER CASES.jsonl`.",
        )
    dataset = load_dataset(labelled)
    attacks = request.adversarial
    if attacks is None and charter is not None and (named := known(charter.datasets.adversarial.path)):
        attacks = folder / named if (folder / named).exists() else None
    golden = None
    if charter is not None and (named := known(charter.datasets.trajectories.path)):
        golden = load_dataset(folder / named) if (folder / named).exists() else None
    return dataset, dataset if attacks is None else load_dataset(attacks), golden


def _are_chartered(request: GateRequest, charter: Charter | None, dataset: Dataset, attacks: Dataset) -> bool:
    """Whether the cases are those that the charter names: easy ones that somebody typed must open nothing."""
    if charter is None or request.charter is None:
        return True
    folder = Path(request.charter).parent
    given = (
        (request.dataset, dataset, charter.datasets.labelled),
        (request.adversarial, attacks, charter.datasets.adversarial),
    )
    return all(
        path is None or (named := known(terms.path)) is None or is_at(folder / named, found)
        for path, found, terms in given
    )


def _with_golden(
    golden: Dataset, selection: Selection, splits: Collection[Split], now: datetime
) -> Selection:
    """Add the cases of the golden set that hold a sequence and stand in no other set; say which sequences are not held to."""
    taken = {case.input_hash: case.trajectory for case in selection.cases}
    valid = [
        case
        for case in golden.cases
        if case.trajectory is not None and case.split in splits and case.is_valid_at(now)
    ]
    lost = sum(case.input_hash in taken and taken[case.input_hash] != case.trajectory for case in valid)
    # One input is one trial: two sequences of it would be held against one another's answer.
    own: dict[str, Case] = {}
    for case in valid:
        if case.input_hash not in taken:
            own.setdefault(case.input_hash, case)
    doubled = sum(case.input_hash not in taken for case in valid) - len(own)
    removed = {_INPUT_TAKEN: lost, _INPUT_DOUBLED: doubled}
    return replace(
        selection,
        golden=tuple(own.values()),
        removed={**selection.removed, **{why: count for why, count in removed.items() if count}},
    )


def _shown(request: GateRequest, charter: Charter | None) -> tuple[tuple[str, str], ...] | None:
    """Return everything the charter says the model is shown; None when it is not known, not there or too large."""
    if charter is None or request.charter is None:
        return None
    paths, are_all = shown_paths(charter, Path(request.charter).parent)
    try:
        return read_shown_texts(paths) if are_all else None
    except UsageError:  # too large to be looked through: then nothing is known of leaks, and EVAL-1 says so
        return None


def _terms(request: GateRequest, charter: Charter | None) -> tuple[str, ...]:
    if charter is None or request.charter is None:
        return ()
    return glossary_terms(charter, Path(request.charter).parent)


def _version(request: GateRequest, charter: Charter | None) -> str | None:
    """The version typed, else the charter's: evidence must bind to what traffic will name."""
    if request.candidate_version is not None or charter is None or request.charter is None:
        return request.candidate_version
    return summarize_charter(Path(request.charter).absolute()).version


def _stand_ins(request: GateRequest, charter: Charter | None, in_force: Charter | None) -> frozenset[str]:
    """The stand-ins of the candidate's pin; none for a version that is not the charter's own, whose pin nobody knows.

    Without the charter's file nobody can tell which version is its own. Then each is taken for it: a stand-in is gated with the file,
    since nothing good goes on record without.
    """
    if charter is None:
        return frozenset() if in_force is None else stand_ins_of(in_force)
    own = _version(replace(request, candidate_version=None), charter)
    return stand_ins_of(charter) if request.candidate_version in {None, own} else frozenset()


def _notes(
    request: GateRequest,
    selection: Selection,
    journal: Journal,
    *,
    run_id: str,
    candidate: str,
    dataset: str,
) -> list[str]:
    notes = [f"{count} cases left out: {why}" for why, count in sorted(selection.removed.items())]
    if len({case.weight for case in selection.cases}) > 1:
        notes.append(
            "cases have weights, and the gate counts each case once: its levels are those of the cases"
        )
    earlier = [
        run
        for run in journal.runs_on(dataset)
        if run.candidate == candidate and run.run_id != run_id and json.loads(run.document).get("decides")
    ]
    if earlier and request.decides:
        notes.append(
            f"this version went through {len(earlier)} other gate runs on these cases; each is one more chance to pass"
        )
    interrupted = journal.interrupted()
    if interrupted:
        notes.append(
            f"{len(interrupted)} trials were in flight when an earlier process ended; those of this run run again with "
            "the same key"
        )
    if request.fresh:
        notes.append("asked again (--fresh): a gate goes on with the answers of before")
    return notes


def _measured_otherwise(anchor: Evidence, scorers: str) -> str:
    version = (anchor.binds.version or "")[:12]
    return (
        f"the anchor {version} was measured by {anchor.method}, and this run by {scorers}: nothing is held against it and no "
        f"difference goes on record; who answers for baselines may sign one for these scorers: `pilothouse eval anchor {version} --scorer NAME`"
    )


def _within_stored(
    selection: Selection, baseline: Arm, journal: Journal
) -> tuple[Selection, tuple[str, ...]]:
    """End each task type where the stored side ended: its run stopped early, and the order is the same for all."""
    ordinary: dict[str, tuple[Case, ...]] = {}
    left_out = 0
    for name, cases in selection.ordinary.items():
        stored = {one.key for one in journal.trials([baseline.keys(case)[0] for case in cases])}
        has = [baseline.keys(case)[0] in stored for case in cases]
        end = max((at for at, one in enumerate(has, start=1) if one), default=len(cases))
        ordinary[name] = cases[:end]
        left_out += len(cases) - end
    if not left_out:
        return selection, ()
    note = f"{left_out} cases left out: the stored side never ran them; give it as an address to run them"
    return replace(selection, ordinary=ordinary), (note,)


def _undeclared(is_declared: bool, address: str) -> list[str]:
    if is_declared or address.startswith(("python:", "recorded:", "openai:")):
        return []
    seen = "its command and the files it names" if address.startswith("exec:") else "its address"
    return [
        f"the candidate's version is computed from {seen} alone: a change behind it is not seen; give --candidate-version"
    ]


def _typed_over(request: GateRequest, charter: Charter | None) -> list[str]:
    """Say that the version typed is not that of the charter's folder: from there it would pass for what did not run."""
    typed = request.candidate_version
    own = None if typed is None else _version(replace(request, candidate_version=None), charter)
    if typed is None or own is None or typed == own:
        return []
    return [
        f"the result is on record for version {typed[:12]}, as typed; the folder of the charter is version {own[:12]}, which this says nothing of"
    ]
