# SPDX-License-Identifier: Apache-2.0
"""Newest frozen verdicts as Fleet needs them, each read once (ledger → verdict without its evidence)."""

from __future__ import annotations

import hashlib

from pilothouse.core.verdict.verdict import AgentVerdict
from pilothouse.ports.ledger import Ledger
from pilothouse.workflows.ground.in_force import verdict_of

__all__ = ["KeptVerdicts"]

AGENTS_KEPT_MAX = 256
"""Agents whose verdict is kept: those of the Fleet page and some."""

_MEASURES = frozenset({"cost_per_task"})
"""Kinds whose items Fleet shows beside the first sentence."""


class KeptVerdicts:
    """The newest verdict of each agent, parsed when it is another one than before.

    A verdict is some 200 kB of text and several times that in memory, of which Fleet shows two lines: what it does not
    show is not kept.

    Args:
        ledger: Where verdicts stand.
        shown: Requirements whose items are kept, beside the one that decides.
    """

    def __init__(self, ledger: Ledger, *, shown: frozenset[str]) -> None:
        self._ledger = ledger
        self._shown = shown
        self._kept: dict[str, tuple[bytes, AgentVerdict | None]] = {}

    def newest(self, agent: str) -> AgentVerdict | None:
        """Return the newest verdict without most of its items; None when there is none that this program can read."""
        text = self._ledger.latest_verdict(agent)
        if text is None:
            return None
        digest = hashlib.sha256(text.encode()).digest()
        kept = self._kept.get(agent)
        if kept is None or kept[0] != digest:
            kept = (digest, self._without_evidence(verdict_of(text)))
            if len(self._kept) >= AGENTS_KEPT_MAX:
                self._kept.clear()
            self._kept[agent] = kept
        return kept[1]

    def _without_evidence(self, verdict: AgentVerdict | None) -> AgentVerdict | None:
        if verdict is None:
            return None
        requirements = tuple(
            one
            for one in verdict.requirements
            if one.requirement in {verdict.deciding, *self._shown}
            or any(item.kind in _MEASURES for item in one.items)
        )
        return verdict.model_copy(
            update={"requirements": requirements, "gates": (), "domains": (), "additions": ()}
        )
