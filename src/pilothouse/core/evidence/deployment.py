# SPDX-License-Identifier: Apache-2.0
"""Hold what a charter declares of a model that somebody hosts against what its server lists (declared + entry → what agrees)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pilothouse.core.charter.models import Deployment

__all__ = ["DEPLOYMENT", "ComparedDeployment", "compare_deployment"]

DEPLOYMENT = "deployment"
"""Kind of the evidence."""

LISTED_AS: Mapping[str, tuple[str, ...]] = {
    "weights": ("weights_revision", "weights", "revision", "model_sha", "sha", "digest"),
    "engine": ("engine_version", "engine", "version"),
    "quantisation": ("quantisation", "quantization", "quantization_level"),
}
"""Key in the charter → names under which servers list it, the first one that is said counts."""

INNER = ("meta", "details", "metadata")
"""Where servers put what describes a model, beside the entry itself."""

SHOWN_CHARACTERS_MAX = 120
"""Of a value of a server in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedDeployment:
    """What agrees.

    Attributes:
        same: Keys of the charter whose value the server lists.
        other: Sentences about those for which it lists another one.
        unsaid: Keys of which it lists nothing.
    """

    same: tuple[str, ...]
    other: tuple[str, ...]
    unsaid: tuple[str, ...]

    @property
    def passed(self) -> bool | None:
        """Whether the declared deployment serves: None while the server does not say all of it, or nothing is declared."""
        if self.other:
            return False
        return None if self.unsaid or not self.same else True


def compare_deployment(declared: Deployment, entry: Mapping[str, object]) -> ComparedDeployment:
    """Compare a declaration with the entry of its model in the server's listing.

    Args:
        declared: As the charter says it.
        entry: The entry; empty where the server does not list the model.

    Example:
        >>> found = compare_deployment(Deployment(weights="4f1c2d9", engine="vllm 0.11.0"), {"revision": "4f1c2d9"})
        >>> found.same, found.unsaid, found.passed
        (('weights',), ('engine',), None)
    """
    same, other, unsaid = [], [], []
    for key, names in LISTED_AS.items():
        wanted = getattr(declared, key)
        if wanted is None:
            continue
        listed = next(_said(entry, names), None)
        if listed is None:
            unsaid.append(key)
        elif listed == wanted:
            same.append(key)
        else:
            other.append(f"{key} is {listed[:SHOWN_CHARACTERS_MAX]} and not {wanted}")
    return ComparedDeployment(same=tuple(same), other=tuple(other), unsaid=tuple(unsaid))


def _said(entry: Mapping[str, object], names: tuple[str, ...]) -> Iterator[str]:
    """Yield what an entry says under any of some names, in their order."""
    places = [entry, *(inner for name in INNER if isinstance(inner := entry.get(name), dict))]
    for name in names:
        for place in places:
            value = place.get(name)
            if isinstance(value, str) and value.strip():
                yield value.strip()
