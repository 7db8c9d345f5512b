# SPDX-License-Identifier: Apache-2.0
"""Assign units to the arms of an experiment by hash.

The same function runs in the gateway, in the agent and in the analysis. A unit is a conversation or a
user, never a request. Ramps only add units to the candidate: nobody is moved back.
"""

from __future__ import annotations

import hashlib
from typing import Final

from pilothouse.errors import UsageError

__all__ = ["BUCKETS", "arm_of", "bucket_of"]

BUCKETS: Final = 10_000
"""Smallest step of a ramp is a hundredth of a percent."""


def bucket_of(experiment: str, unit: str, *, salt: str = "") -> int:
    """Return the bucket of a unit, 0 to 9,999; the same for ever.

    Args:
        experiment: Id of the experiment; another one mixes the units anew.
        unit: Id of the conversation or user.
        salt: Text that mixes anew without a new experiment.

    Returns:
        First eight bytes of SHA-256 of the three, each with its length before it, modulo 10,000.

    Example:
        >>> bucket_of("exp-1", "user-1"), bucket_of("exp-1", "user-2"), bucket_of("exp-2", "user-1")
        (8835, 3873, 6732)
    """
    text = "".join(f"{len(part)}:{part}" for part in (experiment, salt, unit))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % BUCKETS


def arm_of(experiment: str, unit: str, *, share: float, salt: str = "") -> str:
    """Return `candidate` or `baseline`.

    Args:
        experiment: Id of the experiment.
        unit: Id of the conversation or user.
        share: Share of units for the candidate, in [0, 1]. Raising it only adds units.
        salt: See `bucket_of`.

    Raises:
        UsageError: The share is no share.

    Example:
        >>> [arm_of("exp-1", "user-1", share=share) for share in (0.01, 0.25, 0.5, 1.0)]
        ['baseline', 'baseline', 'baseline', 'candidate']
    """
    if not 0.0 <= share <= 1.0:
        raise UsageError(f"share {share:g} is not between 0 and 1.", remedy="Give for example 0.05.")
    return "candidate" if bucket_of(experiment, unit, salt=salt) < round(share * BUCKETS) else "baseline"
