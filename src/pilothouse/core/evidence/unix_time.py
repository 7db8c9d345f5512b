# SPDX-License-Identifier: Apache-2.0
"""Moments as telemetry counts them: whole nanoseconds since 1970 UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["unix_ns"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def unix_ns(moment: datetime) -> int:
    """Return the Unix nanoseconds of a moment, exact to its microsecond.

    Args:
        moment: Aware moment.

    Example:
        >>> unix_ns(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
        1000005000
    """
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000
