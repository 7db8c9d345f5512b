# SPDX-License-Identifier: Apache-2.0
"""Chooses how few-shot examples are found: by words, or by the vectors of the endpoint that settings name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilothouse.ports.curation import Example
    from pilothouse.settings import Settings
    from pilothouse.workflows.curation.few_shots import ExampleIndex

__all__ = ["example_index"]


def example_index(settings: Settings) -> Callable[[Sequence[Example]], ExampleIndex]:
    """Return the factory of an index over a library.

    Raises:
        UsageError: The endpoint's address cannot be used.
    """
    from pilothouse.ledger.few_shot_index import FewShotIndex

    if not settings.embeddings:
        return FewShotIndex
    from pilothouse.connectors.embeddings import EmbeddingIndex, parse_endpoint

    endpoint = parse_endpoint(settings.embeddings, settings.embeddings_key)
    return lambda examples: EmbeddingIndex(examples, endpoint, FewShotIndex(examples))
