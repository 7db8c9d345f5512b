# SPDX-License-Identifier: Apache-2.0
"""The order in which integrations join a rollout, simplest and least harmful first, with reasons (charter → order)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import NUMBERED_PHASES
from pilothouse.core.charter.systems import EFFECTS, Integration

__all__ = ["IntegrationRank", "order_integrations"]

_KINDS = ("api", "middleware", "manual")
_CRITICALITY = ("low", "medium", "high")
_SIGN_IN = {
    "none": 0,
    "api_key": 1,
    "key": 1,
    "basic": 1,
    "token": 1,
    "oauth2": 2,
    "oidc": 2,
    "mtls": 3,
    "certificate": 3,
}
_SIGN_IN_UNKNOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationRank:
    """One integration in the order.

    Attributes:
        name: Its name.
        place: 1 for the first to join.
        reasons: What puts it there, in the order in which it is compared.
        certified: Whether it has a valid certificate; None when nobody verified it.
        phase: First phase that uses it, or None.
        joins_early: Whether the charter lets it join before a simpler one.
    """

    name: str
    place: int
    reasons: tuple[str, ...]
    certified: bool | None
    phase: str | None
    joins_early: bool


def order_integrations(charter: Charter, certified: Mapping[str, bool]) -> tuple[IntegrationRank, ...]:
    """Propose the order in which integrations join.

    Compared are, one after the other: the worst effect of its tools, failed verifications, what an outage does,
    its kind, how hard signing in is, how many classes of data pass, and its name.

    Args:
        charter: The charter; what it leaves open counts as worst.
        certified: Whether the last certificate of an integration holds, for those that have one.

    Returns:
        Every integration once, the first to join first.

    Example:
        >>> from pilothouse.core.verdict.integration_order import IntegrationRank
        >>> IntegrationRank(name="erp", place=1, reasons=(), certified=None, phase="1", joins_early=False).place
        1
    """
    declared = known(charter.integrations) or {}
    keys = {name: _key(charter, name, one, certified.get(name)) for name, one in declared.items()}
    order = sorted(declared, key=lambda name: (keys[name], name))
    phases = {name: _first_phase(charter, name) for name in declared}
    ranked = []
    for place, name in enumerate(order, start=1):
        later = [phases[simpler] for simpler in order[: place - 1]]
        mine = phases[name]
        ranked.append(
            IntegrationRank(
                name=name,
                place=place,
                reasons=_reasons(charter, name, declared[name], certified.get(name)),
                certified=certified.get(name),
                phase=mine,
                joins_early=mine is not None and any(one is None or one > mine for one in later),
            )
        )
    return tuple(ranked)


def _key(charter: Charter, name: str, one: Integration, certified: bool | None) -> tuple[int, ...]:
    return (
        _place(_effect(charter, name), EFFECTS),
        int(certified is False),
        _place(known(one.criticality), _CRITICALITY),
        _place(known(one.kind), _KINDS),
        _sign_in(known(one.auth)),
        len(known(one.data) or ()),
    )


def _place(word: str | None, words: tuple[str, ...]) -> int:
    return len(words) if word is None else words.index(word)


def _effect(charter: Charter, name: str) -> str | None:
    """Return the worst effect of the integration's tools; one without tools reads nothing and changes nothing."""
    effects = [tool.effect for tool in (known(charter.tools) or {}).values() if tool.integration == name]
    if any(known(effect) is None for effect in effects):
        return None
    return max(effects, key=EFFECTS.index, default=EFFECTS[0])


def _sign_in(auth: str | None) -> int:
    """Sum how hard each part of a sign-in is: a certificate and a VPN are harder than either."""
    if auth is None:
        return _SIGN_IN_UNKNOWN
    return sum(_SIGN_IN.get(part.strip().lower(), _SIGN_IN_UNKNOWN) for part in re.split(r"[+,]", auth))


def _first_phase(charter: Charter, name: str) -> str | None:
    return next((phase for phase in NUMBERED_PHASES if name in (charter.integrations_of(phase) or ())), None)


def _reasons(charter: Charter, name: str, one: Integration, certified: bool | None) -> tuple[str, ...]:
    classes = known(one.data) or ()
    return (
        f"worst effect of its tools: {_effect(charter, name) or 'not said'}",
        {True: "certificate holds", False: "last verification failed", None: "never verified"}[certified],
        f"an outage is {known(one.criticality) or 'of unknown weight'}",
        f"kind {known(one.kind) or 'not said'}",
        f"sign-in {known(one.auth) or 'not said'}",
        "1 class of data" if len(classes) == 1 else f"{len(classes)} classes of data",
    )
