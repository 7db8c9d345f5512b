# SPDX-License-Identifier: Apache-2.0
"""Which verifiers a charter names, and what keeps them from answering."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pilothouse.connectors.verifier_loader import load_verifier
from pilothouse.core.charter.answers import is_open
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.tasks import TaskType
from pilothouse.core.evidence.outcome import UNANSWERED, Outcome
from pilothouse.errors import ExtensionError
from pilothouse.ports.ledger import CharterInForce

__all__ = ["VerifierCase", "unlisted_critical", "verifier_case", "verifier_notes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierCase:
    """One task type of one agent, with what is needed to ask.

    Attributes:
        record: The charter as it was accepted.
        task_type: Task type.
        use: Function that is asked, as `module:function`.
        after: Age of a task before it is asked about.
        retry_for: Time until an unanswered question counts as unverifiable.
        critical: Critical mistakes that the charter lists, or None while that is open.
    """

    record: CharterInForce
    task_type: str
    use: str
    after: timedelta
    retry_for: timedelta
    critical: tuple[str, ...] | None


def verifier_case(record: CharterInForce, name: str, task_type: TaskType) -> VerifierCase | None:
    """Return what to ask with, or None while the charter names no verifier or leaves its terms open.

    Args:
        record: The charter as it was accepted.
        name: Task type.
        task_type: Its terms.
    """
    verifier = task_type.verifier
    if verifier is None or is_open(verifier):
        return None
    if is_open(verifier.use) or is_open(verifier.after) or is_open(verifier.retry_for):
        return None
    critical = None if is_open(task_type.critical) else tuple(str(one) for one in task_type.critical)
    return VerifierCase(
        record=record,
        task_type=name,
        use=verifier.use,
        after=verifier.after,
        retry_for=verifier.retry_for,
        critical=critical,
    )


def verifier_notes(record: CharterInForce, charter: Charter, outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    """Return what keeps verifiers from answering, for the notes of a verdict.

    Nothing of this is remembered anywhere: whether a verifier can be loaded is tried, and how it fared
    stands in the outcomes.

    Args:
        record: The charter as it was accepted; verifiers lie in its folder.
        charter: The same, read.
        outcomes: Outcomes of the window that is judged.

    Returns:
        One sentence for each verifier that cannot be loaded or fails, and for each critical mistake
        that the charter does not list.
    """
    notes: dict[str, None] = {}
    failed: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.is_unanswered:
            failed.setdefault(outcome.task_type, []).append(outcome)
        terms = charter.task_types.get(outcome.task_type)
        if (
            outcome.critical
            and terms
            and not is_open(terms.critical)
            and outcome.critical not in terms.critical
        ):
            notes[unlisted_critical(outcome.critical, outcome.task_type)] = None
    for name, task_type in charter.task_types.items():
        case = verifier_case(record, name, task_type)
        if case is None:
            continue
        try:
            load_verifier(case.use, Path(record.path).parent)
        except ExtensionError as error:
            notes[str(error)] = None
        if name in failed:
            last = max(failed[name], key=lambda outcome: (outcome.verified_at, outcome.trace_id))
            notes[
                f"{name}: verifier {case.use!r} failed on {len(failed[name]):,} claims, last on task "
                f"{last.trace_id[:8]}: {last.found.removeprefix(UNANSWERED)}."
            ] = None
    return tuple(notes)


def unlisted_critical(critical: str, task_type: str) -> str:
    """Say that a verifier found a mistake which the charter does not know.

    Args:
        critical: What the verifier called it.
        task_type: Task type in which it was found.
    """
    return (
        f"A verifier found the critical mistake {critical!r}, which the charter does not list. "
        f"Add it under task_types.{task_type}.critical."
    )
