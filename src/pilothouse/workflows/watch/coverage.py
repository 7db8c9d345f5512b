# SPDX-License-Identifier: Apache-2.0
"""How many tasks of each type were scored, against the share and the least number that the charter declares."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.outcome_measures import quality_is_outcome
from pilothouse.core.evidence.watched import Coverage
from pilothouse.ports.watch import WatchReading
from pilothouse.workflows.review.label_rates import LOW_VOLUME_PER_DAY
from pilothouse.workflows.review.strata import JUDGED

__all__ = ["coverage_of"]

WINDOW_DEFAULT = timedelta(days=7)


def coverage_of(
    charter: Charter, said: Mapping[tuple[str, str], Sequence[WatchReading]]
) -> Iterator[Coverage]:
    """Yield what was scored of each task type in the last window whose scores are all in.

    Args:
        charter: The charter in force.
        said: Readings of the last counted days by task type and detector, oldest first.
    """
    for name, terms in charter.task_types.items():
        length = (known(terms.sampling.window) or WINDOW_DEFAULT) // timedelta(days=1)
        is_outcome = quality_is_outcome(charter, name)
        counted = said.get((name, "discrepancy" if is_outcome else "quality"), ())
        if not counted:
            continue
        until = counted[-1].day
        window = [one for one in counted if (until - one.day).days < length]
        documents = [json.loads(one.document) for one in window]
        traffic = sum(
            json.loads(one.document)["tasks"]
            for one in said.get((name, "traffic"), ())
            if 0 <= (until - one.day).days < length
        )
        tasks, scored, labelled, by = (
            _by_record(documents, _claims(said, name, until, length))
            if is_outcome
            else _by_labels(documents, traffic)
        )
        share = known(terms.sampling.rate)
        if not is_outcome and 0 < traffic / max(len(window), 1) < LOW_VOLUME_PER_DAY:
            share = 1.0
        yield Coverage(
            task_type=name,
            days=len(window),
            until=until,
            tasks=tasks,
            scored=scored,
            labelled=labelled,
            declared=share,
            least=known(terms.sampling.min_per_window),
            by=by,
        )


def _claims(
    said: Mapping[tuple[str, str], Sequence[WatchReading]], name: str, until: date, length: int
) -> int:
    """Claims of the window, answered by the system of record or not: a task that claims nothing cannot be checked."""
    return sum(
        json.loads(one.document)["n"]
        for one in said.get((name, "unverifiable"), ())
        if 0 <= (until - one.day).days < length
    )


def _by_record(documents: Sequence[Mapping[str, int]], claims: int) -> tuple[int, int, int, str]:
    answered = sum(one["n"] for one in documents)
    return max(claims, answered), answered, 0, "the system of record"


def _by_labels(
    documents: Sequence[Mapping[str, Mapping[str, Sequence[int]]]], traffic: int
) -> tuple[int, int, int, str]:
    tallies = [pair for one in documents for pair in one["tallies"].items()]
    labelled = sum(tally[2] for _, tally in tallies)
    judged = sum(tally[0] for name, tally in tallies if name in JUDGED)
    is_judged = judged > 0
    return traffic, judged if is_judged else labelled, labelled, "a judge" if is_judged else "people"
