# SPDX-License-Identifier: Apache-2.0
"""Read release verdicts back from the decisions that keep them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from pilothouse.core.verdict.release_verdict import ReleaseVerdict
from pilothouse.ports.ledger import Decision

__all__ = ["read_releases"]


def read_releases(decisions: Iterable[Decision]) -> Iterator[ReleaseVerdict]:
    """Yield the verdicts of decisions about releases, without those of an older program that cannot be read any more."""
    for one in decisions:
        try:
            yield ReleaseVerdict.model_validate_json(one.document)
        except ValidationError:
            continue
