# SPDX-License-Identifier: Apache-2.0
"""Which cases of a dataset a run uses, in an order of which every prefix is representative."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pilothouse.evals.case import Case, Split

__all__ = ["Selection", "order_cases", "select_cases"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Cases that take part, and how many each filter removed.

    Attributes:
        ordinary: Cases that measure quality, by task type, in run order.
        adversarial: Cases made to break the agent.
        removed: Cases removed, by reason.
        golden: Cases of a set of their own that only hold golden sequences of tool calls.
    """

    ordinary: Mapping[str, tuple[Case, ...]]
    adversarial: tuple[Case, ...]
    removed: Mapping[str, int]
    golden: tuple[Case, ...] = ()

    @property
    def with_trajectory(self) -> tuple[Case, ...]:
        """Every case with a golden sequence, in whatever set it stands."""
        return tuple(case for case in self.cases if case.trajectory is not None)

    @property
    def sealed_hashes(self) -> tuple[str, ...]:
        """Hashes of the inputs of sealed cases that take part, of whatever set."""
        return tuple(case.input_hash for case in self.cases if case.split is Split.SEALED)

    @property
    def cases(self) -> tuple[Case, ...]:
        """All of them."""
        return (
            *(case for cases in self.ordinary.values() for case in cases),
            *self.adversarial,
            *self.golden,
        )


def select_cases(
    cases: Sequence[Case], *, now: datetime, splits: frozenset[Split], seed: str, cases_max: int | None = None
) -> Selection:
    """Choose and order the cases of a run.

    Args:
        cases: Cases of the dataset.
        now: The present moment, aware.
        splits: Splits that take part.
        seed: Text that decides the order; equal seeds give equal orders.
        cases_max: Most ordinary cases, spread over task types in proportion; None for all.

    Returns:
        The selection; inputs that stand twice are used once.
    """
    removed: dict[str, int] = defaultdict(int)
    seen: set[str] = set()
    by_type: dict[str, list[Case]] = defaultdict(list)
    adversarial: list[Case] = []
    for case in cases:
        if case.split not in splits:
            removed[f"in split {case.split.value}"] += 1
        elif not case.is_valid_at(now):
            removed["outside its validity"] += 1
        elif case.input_hash in seen:
            removed["same input as another"] += 1
        else:
            seen.add(case.input_hash)
            (by_type[case.task_type] if case.family is None else adversarial).append(case)
    total = sum(len(some) for some in by_type.values())
    keep = 1.0 if cases_max is None or total <= cases_max else cases_max / total
    ordinary = {}
    for name, some in sorted(by_type.items()):
        ordered = order_cases(some, seed=seed)
        kept = ordered[: max(1, int(len(ordered) * keep))]
        ordinary[name] = kept
        if len(kept) < len(ordered):
            removed["beyond the most cases of a run"] += len(ordered) - len(kept)
    return Selection(
        ordinary=ordinary, adversarial=order_cases(adversarial, seed=seed), removed=dict(removed)
    )


def order_cases(cases: Sequence[Case], *, seed: str) -> tuple[Case, ...]:
    """Order cases by whole clusters, each stratum spread evenly, drawn by the seed.

    A cluster of a stratum with m clusters stands at (i + 1/2) / m of the way, i its place in the draw.

    Args:
        cases: Cases of one task type.
        seed: Text that decides the draw.

    Example:
        >>> some = [Case(id=f"{s}{i}", task_type="t", input=f"{s}{i}", stratum=s) for s in "ab" for i in range(2)]
        >>> [case.stratum for case in order_cases(some, seed="1")][:2] in (["a", "b"], ["b", "a"])
        True
    """
    clusters: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        clusters[case.cluster_id].append(case)
    strata: dict[str, list[str]] = defaultdict(list)
    for name, members in clusters.items():
        strata[members[0].stratum].append(name)
    places: list[tuple[float, bytes, str]] = []
    for names in strata.values():
        drawn = sorted((hashlib.sha256(f"{seed}:{name}".encode()).digest(), name) for name in names)
        places += [((at + 0.5) / len(drawn), draw, name) for at, (draw, name) in enumerate(drawn)]
    return tuple(case for _, _, name in sorted(places) for case in clusters[name])
