# SPDX-License-Identifier: Apache-2.0
"""The two sides of a comparison: the target of each version, and the keys of its trials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pilothouse.core.charter.digest import canonical_digest
from pilothouse.evals.case import Case
from pilothouse.evals.runner import TrialRequest
from pilothouse.evals.targets.recorded import StoredTrials
from pilothouse.evals.targets.target import Target
from pilothouse.evals.trial import asked_of, trial_key

__all__ = ["SECOND_SIDE_OFFSET", "Arm", "config_digest", "requests_of"]

SECOND_SIDE_OFFSET: Final = 1_000
"""Where repeats of the baseline begin when both sides are the same version: an A/A run must not compare a
trial with itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One side.

    Attributes:
        version: Version digest.
        address: Where it was or is run.
        config: Digest of version and environment; trials are kept under it.
        target: What answers; for a version that is only on record, one that never does.
        repeats: Runs of each case.
        first_index: Index of the first repeat.
        stand_ins: Models whose answer is none of this version.
    """

    version: str
    address: str
    config: str
    target: Target
    repeats: int = 1
    first_index: int = 0
    stand_ins: frozenset[str] = frozenset()

    @property
    def is_stored(self) -> bool:
        """Whether only stored trials count."""
        return isinstance(self.target, StoredTrials)

    @property
    def indexes(self) -> range:
        """Indexes of its repeats."""
        return range(self.first_index, self.first_index + self.repeats)

    def keys(self, case: Case) -> tuple[str, ...]:
        """Trial keys of a case, one for each repeat."""
        asked = asked_of(case, self.address)
        return tuple(trial_key(self.config, asked, index) for index in self.indexes)


def config_digest(*, version: str, fingerprint: str, deadline_s: float) -> str:
    """Return the digest of everything besides its input that determines a trial.

    Args:
        version: Version digest of the agent.
        fingerprint: Digest of what is visible of the target: a version named by hand may be wrong.
        deadline_s: Seconds it has: an agent with more time is another experiment.

    Example:
        >>> one, other = (config_digest(version="a", fingerprint="f", deadline_s=s) for s in (60, 30))
        >>> one == other
        False
    """
    return canonical_digest({"version": version, "fingerprint": fingerprint, "deadline_s": deadline_s})


def requests_of(cases: Sequence[Case], arms: Sequence[Arm]) -> Iterator[TrialRequest]:
    """Yield the trials of some cases, sides interleaved case by case so that a drifting provider hits both."""
    for case in cases:
        for arm in arms:
            for index, key in zip(arm.indexes, arm.keys(case), strict=True):
                yield TrialRequest(
                    case=case,
                    index=index,
                    target=arm.target,
                    config=arm.config,
                    kept_as=key,
                    stand_ins=arm.stand_ins,
                )
