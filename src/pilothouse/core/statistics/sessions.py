# SPDX-License-Identifier: Apache-2.0
"""Test for a change in the order of tool calls, by permuting whole sessions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pilothouse.core.statistics.checks import Floats, check_count, check_fraction
from pilothouse.core.statistics.methods import MethodId, sentence_of_check
from pilothouse.core.statistics.permutation import PERMUTATIONS_MAX, permutation_p, permuted_memberships
from pilothouse.core.statistics.results import NotEnoughEvidence, TestResult

__all__ = ["BIGRAMS_MAX", "SESSIONS_MIN", "sequence_drift"]

SESSIONS_MIN = 50
"""Sessions on each side below which nothing is tested."""

BIGRAMS_MAX = 2_000
"""Pairs of tools that are counted, most frequent first: 40 tools in every order have 1,764."""

_BIGRAM_MIN = 5
"""Occurrences below which a pair of tools is left out."""

_START, _END = "\x02", "\x03"


def sequence_drift(
    ref_sessions: Sequence[Sequence[str]],
    cur_sessions: Sequence[Sequence[str]],
    rng: np.random.Generator,
    permutations: int = 299,
    *,
    alpha: float = 0.05,
) -> TestResult | NotEnoughEvidence:
    """Compare which tool follows which, between two windows.

    A plain chi-square test flags too often, because calls inside a session depend on each other;
    here whole sessions change sides.

    Args:
        ref_sessions: Tool names of each session in order, at least 50 sessions.
        cur_sessions: The same of the current window.
        rng: Source of the permutations; seed it from the digest of the evidence.
        permutations: How many; the smallest p-value is 1 / (permutations + 1).
        alpha: Level, in (0, 0.5).

    Returns:
        The test; its notes name the pair of tools that changed most.

    Raises:
        MalformedRecord: An argument outside its range.

    Source:
        Pearson 1900 for the statistic; Phipson and Smyth 2010 for the p-value.

    Example:
        >>> rng = np.random.Generator(np.random.PCG64(7))
        >>> old, new = [["read", "route"]] * 100, [["read", "ask", "route"]] * 60
        >>> result = sequence_drift(old, new, rng)
        >>> result.rejected, result.notes[0]
        (True, "changed most: 'read' then 'route'")
    """
    alpha = check_fraction("alpha", alpha, 0.0, 0.5)
    permutations = check_count("permutations", permutations, least=19, most=PERMUTATIONS_MAX)
    few = min(len(ref_sessions), len(cur_sessions))
    if few < SESSIONS_MIN:
        return NotEnoughEvidence(
            reason=f"{few} sessions on one side are too few",
            have=few, need=SESSIONS_MIN, unit="sessions",
            remedy=f"Wait for {SESSIONS_MIN - few} more sessions.",
        )  # fmt: skip
    names, counts = _bigrams([*ref_sessions, *cur_sessions])
    if len(names) < 2:
        return NotEnoughEvidence(
            reason="fewer than two pairs of tools occur five times", have=len(names), need=2, unit="pairs of tools",
            remedy="Wait for more sessions with tool calls.",
        )  # fmt: skip
    member = permuted_memberships(range(len(ref_sessions)), range(len(cur_sessions)), permutations, rng)
    cells = _chi_square_cells(member, counts)
    statistics = cells.sum(axis=1)
    p = permutation_p(statistics)
    first, second = names[int(np.argmax(cells[0]))]
    return TestResult(
        method=MethodId.SEQUENCE_DRIFT,
        statistic=float(statistics[0]),
        p_value=p,
        alpha=alpha,
        rejected=p <= alpha,
        n=len(cur_sessions),
        n_effective=float(len(cur_sessions)),
        effect=None,
        guarantee=sentence_of_check(MethodId.SEQUENCE_DRIFT, alpha),
        notes=(f"changed most: {_shown(first)} then {_shown(second)}",),
    )


def _bigrams(sessions: Sequence[Sequence[str]]) -> tuple[list[tuple[str, str]], Floats]:
    """Pairs of tools that occur often enough, and how often in each session, shape (sessions, pairs)."""
    numbers: dict[tuple[str, str], int] = {}
    rows: list[int] = []
    columns: list[int] = []
    for row, session in enumerate(sessions):
        for pair in zip((_START, *session), (*session, _END), strict=True):
            rows.append(row)
            columns.append(numbers.setdefault(pair, len(numbers)))
    totals = np.bincount(columns, minlength=len(numbers))
    kept = np.argsort(-totals, kind="stable")[:BIGRAMS_MAX]
    kept = np.sort(kept[totals[kept] >= _BIGRAM_MIN])
    place = np.full(len(numbers), -1)
    place[kept] = np.arange(len(kept))
    where = place[np.array(columns)]
    flat = np.array(rows)[where >= 0] * len(kept) + where[where >= 0]
    counts = np.bincount(flat, minlength=len(sessions) * len(kept)).astype(np.float64)
    names = list(numbers)
    return [names[index] for index in kept], counts.reshape(len(sessions), len(kept))


def _chi_square_cells(member: Floats, counts: Floats) -> Floats:
    """Contribution of each pair to the two-sample chi-square, for each permutation."""
    totals = counts.sum(axis=0)
    current = member @ counts
    share = current.sum(axis=1, keepdims=True) / totals.sum()
    gap = (current - share * totals) ** 2
    cells: Floats = gap / np.maximum(share * totals, 1e-12) + gap / np.maximum((1 - share) * totals, 1e-12)
    return cells


def _shown(tool: str) -> str:
    return {_START: "the start", _END: "the end"}.get(tool, repr(tool))
