# SPDX-License-Identifier: Apache-2.0
"""Open the candidate and find what it is compared with: a live target, or the stored trials of a version."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.releases import RELEASE_VERDICT, standing_releases
from pilothouse.errors import UnknownName, UsageError
from pilothouse.evals.arms import SECOND_SIDE_OFFSET, Arm, config_digest
from pilothouse.evals.checks import PASS_AT
from pilothouse.evals.journal import Journal
from pilothouse.evals.targets.address import open_target
from pilothouse.evals.targets.recorded import StoredTrials
from pilothouse.ports.lake import Lake
from pilothouse.ports.ledger import Ledger
from pilothouse.workflows.gate.request import GateRequest

__all__ = [
    "anchor_elsewhere",
    "anchor_version",
    "candidate_arm",
    "current_version",
    "gate_records",
    "need_stored",
    "resolve_baseline",
    "stored_arm",
]

VERSION = re.compile(r"[0-9a-f]{8,64}")


def candidate_arm(
    request: GateRequest, *, version: str | None, lake: Lake | None, stand_ins: frozenset[str] = frozenset()
) -> Arm:
    """Open the candidate.

    Args:
        request: What was asked.
        version: Version digest by option or charter, or None to compute it.
        lake: Telemetry, or None.
        stand_ins: Models whose answer is none of this version.
    """
    return _live_arm(
        request.candidate,
        version=version,
        repeats=request.repeats,
        deadline_s=request.deadline_s,
        lake=lake,
        is_alone=request.concurrency == 1,
        stand_ins=stand_ins,
    )


def resolve_baseline(
    request: GateRequest,
    candidate: Arm,
    *,
    journal: Journal,
    ledger: Ledger | None,
    agent: str | None,
    dataset: str,
    scored_by: str,
    lake: Lake | None,
) -> tuple[Arm | None, tuple[str, ...]]:
    """Find the other side, and say what could not be found.

    Args:
        request: What was asked.
        candidate: The candidate's side.
        journal: Stored trials and runs.
        ledger: Decisions, or None without an installation.
        agent: Agent id, or None.
        dataset: Digest of the dataset.
        scored_by: The scorers of this run.
        lake: Telemetry, or None.

    Returns:
        The side, or None when there is nothing to compare with; and notes.

    Raises:
        UsageError: It has no form of a baseline.
        UnknownName: No trial of that version is stored here: without it nothing would be compared.
    """
    wanted = request.baseline
    if wanted is None or wanted == "none":
        return None, ()
    version = wanted if VERSION.fullmatch(wanted) else None
    if wanted in {"current", "anchor"}:
        records = gate_records(ledger, agent)
        version = (
            anchor_version(records, request, dataset=dataset, scored_by=scored_by)
            if wanted == "anchor"
            else current_version(records, candidate=candidate.version)
            or _last_holding(journal, dataset=dataset, candidate=candidate.version)
        )
        if version is None:
            is_elsewhere = (
                wanted == "anchor" and anchor_elsewhere(records, request, scored_by=scored_by) is not None
            )
            return None, () if is_elsewhere else (_nothing_yet(wanted, agent),)
    if version is not None:
        return (
            need_stored(journal, version, deadline_s=request.deadline_s, repeats=request.baseline_repeats),
            (),
        )
    arm = _live_arm(
        wanted,
        version=request.baseline_version,
        repeats=request.baseline_repeats,
        deadline_s=request.deadline_s,
        lake=lake,
        is_alone=request.concurrency == 1,
    )
    if arm.config == candidate.config and not arm.target.spec.makes_calls:
        raise UsageError(
            "both sides are the same recorded outputs.",
            remedy="Give other outputs as --baseline, or let the agent run.",
            subject=wanted,
        )
    if arm.config == candidate.config:
        return replace(arm, first_index=SECOND_SIDE_OFFSET), (
            "both sides are the same version: this is an A/A run",
        )
    return arm, ()


def stored_arm(journal: Journal, version: str, *, deadline_s: float, repeats: int = 1) -> Arm | None:
    """Return the stored trials of a version as a side, or None when there are none.

    Args:
        journal: Stored trials.
        version: Version digest, or the beginning of one.
        deadline_s: Seconds that it had for a case.
        repeats: Runs of each case.

    Raises:
        UsageError: The beginning fits several versions.
    """
    wanted = [
        one
        for one in journal.configs_of(version)
        if json.loads(one.environment).get("deadline_s") == deadline_s
    ]
    if not wanted:
        return None
    versions = {one.version for one in wanted}
    if len(versions) > 1:
        raise UsageError(
            f"{version!r} fits {len(versions)} versions.", remedy="Give more digits.", subject=version
        )
    one = wanted[0]
    return Arm(
        version=one.version,
        address=one.address,
        config=one.digest,
        target=StoredTrials(version=one.version),
        repeats=repeats,
    )


def need_stored(journal: Journal, version: str, *, deadline_s: float, repeats: int = 1) -> Arm:
    """Return the stored trials of a version as a side, as `stored_arm` does; that there are none is an error.

    Raises:
        UnknownName: No trial of that version is stored here.
        UsageError: The beginning fits several versions.
    """
    arm = stored_arm(journal, version, deadline_s=deadline_s, repeats=repeats)
    if arm is None:
        raise UnknownName(
            f"no trial of version {version[:12]!r} with {deadline_s:g} s for a case is stored in {str(journal.path)!r}.",
            remedy="Give the baseline as an address, so that it can run, or the journal that has it: --journal FILE.",
            subject=version,
        )
    return arm


def current_version(records: Sequence[Evidence], *, candidate: str) -> str | None:
    """Return the version that passed the gate last and was not taken back since, other than the candidate, or None.

    Args:
        records: Evidence of the agent, oldest first.
        candidate: Version that is judged now.
    """
    standing = standing_releases(records)
    return next(
        (version for version, one in reversed(standing.items()) if one.passed and version != candidate), None
    )


def anchor_version(
    records: Sequence[Evidence], request: GateRequest, *, dataset: str, scored_by: str
) -> str | None:
    """Return the version whose quality was accepted as anchor on a dataset, or None.

    Args:
        records: Evidence of the agent, oldest first.
        request: What was asked.
        dataset: Digest of the dataset; an anchor of an older version of it counts as well, case by case.
        scored_by: The scorers of this run: what others measured does not compare.
    """
    anchors = _comparable(records, request, scored_by)
    exact = [one for one in anchors if one.binds.dataset == dataset]
    chosen = (exact or anchors)[-1:] if anchors else []
    return chosen[0].binds.version if chosen else None


def anchor_elsewhere(records: Sequence[Evidence], request: GateRequest, *, scored_by: str) -> Evidence | None:
    """Return the newest anchor where other scorers than those of this run measured all there are, else None.

    Args:
        records: Evidence of the agent, oldest first.
        request: What was asked.
        scored_by: The scorers of this run.
    """
    anchors = [one for one in records if one.kind == "eval.anchor"]
    return anchors[-1] if anchors and not _comparable(records, request, scored_by) else None


def _comparable(records: Sequence[Evidence], request: GateRequest, scored_by: str) -> list[Evidence]:
    """Return the anchors that these scorers measured.

    Records from before they named scorers compare with the usual ones, and with typed ones until a run says by which.
    """
    anchors = [one for one in records if one.kind == "eval.anchor"]
    is_usual = request.scorer is None and request.pass_at == PASS_AT
    takes_unnamed = is_usual or not any(one.method for one in anchors)
    return [one for one in anchors if one.method == scored_by or (not one.method and takes_unnamed)]


def gate_records(ledger: Ledger | None, agent: str | None) -> Sequence[Evidence]:
    """Return the evidence that a run of the gate looks at: earlier runs, anchors, judges. Nothing without a ledger."""
    if ledger is None or agent is None:
        return ()
    return ledger.evidence(agent, kinds=(RELEASE_VERDICT, "eval.anchor", "judge.card"))


def _nothing_yet(wanted: str, agent: str | None) -> str:
    if agent is not None:
        return f"there is no {wanted} version on record yet: this run can become it"
    if wanted == "anchor":
        return "an anchor belongs to an agent, and none is named: `--agent NAME`"
    return "no other version has run on this dataset here, and without `--agent NAME` no release of an agent is looked at"


def _last_holding(journal: Journal, *, dataset: str, candidate: str) -> str | None:
    """While none has passed on record: the last other version whose run on this dataset held, or was the first without harm.

    A run that proved harm makes nobody's baseline: whatever is less bad would be proved not worse.
    """
    first = None
    for run in journal.runs_on(dataset):
        if run.candidate == candidate or run.verdict is None:
            continue
        verdict = json.loads(run.verdict)
        if verdict.get("status") in {"holds", "at_risk"}:
            return run.candidate
        if first is None and verdict.get("baseline") is None and verdict.get("status") != "breached":
            first = run.candidate
    return first


def _live_arm(
    address: str,
    *,
    version: str | None,
    repeats: int,
    deadline_s: float,
    lake: Lake | None,
    is_alone: bool,
    stand_ins: frozenset[str] = frozenset(),
) -> Arm:
    target = open_target(address, version=version, lake=lake, is_alone=is_alone, stand_ins=stand_ins)
    return Arm(
        version=target.spec.version,
        address=target.spec.address,
        config=config_digest(
            version=target.spec.version, fingerprint=target.spec.fingerprint, deadline_s=deadline_s
        ),
        repeats=repeats,
        target=target,
        stand_ins=stand_ins,
    )
