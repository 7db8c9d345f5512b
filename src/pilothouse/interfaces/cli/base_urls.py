# SPDX-License-Identifier: Apache-2.0
"""Which variables lead the model calls of the clients that were found in an agent's code to the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pilothouse.core.charter.sighting import Sighting, SightingKind

__all__ = ["BaseUrls", "base_urls"]

ANTHROPIC = frozenset({"anthropic", "claude-agent-sdk"})
OTHER_PROTOCOLS = frozenset({"google-adk", "google-genai", "mistralai", "cohere", "ollama"})
"""Clients of a protocol that the gateway does not answer."""

NO_CLIENTS = frozenset({"mcp"})
"""What asks no model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseUrls:
    """How the model calls of an agent reach the gateway.

    Attributes:
        variables: Name and value of each variable.
        places: Where the clients stand, `file:line`: an address in the code wins over the variable.
        unanswered: Clients that speak another protocol.
    """

    variables: dict[str, str]
    places: tuple[str, ...]
    unanswered: tuple[str, ...]


def base_urls(sightings: Sequence[Sighting], origin: str) -> BaseUrls:
    """Return the variables for what was found.

    Args:
        sightings: Of the agent's repository.
        origin: Address of the server, for example `http://127.0.0.1:4318`.

    Example:
        >>> seen = Sighting(kind=SightingKind.FRAMEWORK, value="anthropic", file="agent.py", line=1)
        >>> base_urls([seen], "http://127.0.0.1:4318").variables
        {'ANTHROPIC_BASE_URL': 'http://127.0.0.1:4318/gw'}
    """
    clients = [one for one in sightings if one.kind is SightingKind.FRAMEWORK and one.value not in NO_CLIENTS]
    models = [one.value for one in sightings if one.kind is SightingKind.MODEL]
    names = {one.value for one in clients}
    variables = {}
    if names - ANTHROPIC - OTHER_PROTOCOLS:
        variables["OPENAI_BASE_URL"] = f"{origin}/gw/v1"
    # Frameworks speak to several providers, and only the model says to which.
    if names & ANTHROPIC or (variables and any("claude" in model for model in models)):
        variables["ANTHROPIC_BASE_URL"] = f"{origin}/gw"
    return BaseUrls(
        variables=variables,
        places=tuple(dict.fromkeys(one.place for one in clients if one.value not in OTHER_PROTOCOLS)),
        unanswered=tuple(sorted(names & OTHER_PROTOCOLS)),
    )
