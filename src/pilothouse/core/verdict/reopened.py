# SPDX-License-Identifier: Apache-2.0
"""Requirements that an edit of the charter reopens: their evidence was signed or measured under what it changed."""

from __future__ import annotations

from collections.abc import Iterator

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.diff import Reopened
from pilothouse.core.charter.operations import PhaseName
from pilothouse.core.evidence.binding import InForce, binding_in_force, changed_terms
from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.evidence.kind import Bind, Kind
from pilothouse.core.evidence.kinds import FOLDED_KINDS, KINDS, kind_named
from pilothouse.core.verdict.expansion import Slot, expand
from pilothouse.core.verdict.framework import FRAMEWORK

__all__ = ["reopened_by"]

_WIDEST: PhaseName = "3"
"""The phase with the most integrations and tools: what an edit ends there it ends wherever they are asked for."""

_ANOTHER_VERSION = "another version"

_ADDED = {kind.added_to: kind for kind in KINDS.values() if kind.added_to}


def reopened_by(old: Charter, new: Charter) -> tuple[Reopened, ...]:
    """Return what must be shown or signed again after an edit, by the changed part of its binding.

    Evidence that is folded from telemetry for each verdict ends with its version alone. What is asked for the first time
    ends nothing.

    Args:
        old: The charter as it was, with the files beside it.
        new: The charter as it is, with the files beside it.
    """
    is_other_version = _version_of(old) != _version_of(new)
    found: dict[str, dict[str, None]] = {}
    for requirement in FRAMEWORK:
        for part in requirement.parts:
            before = {
                (slot.scope, slot.person) for slot in expand(part, old, _WIDEST) if slot.question is None
            }
            kinds = [kind_named(part.kind), *filter(None, [_ADDED.get(part.kind)])]
            for slot in expand(part, new, _WIDEST):
                if slot.question is None and (slot.scope, slot.person) in before:
                    for kind in kinds:
                        for because in _ended(kind, slot, old, new, is_other_version=is_other_version):
                            found.setdefault(because, {})[requirement.id] = None
    return tuple(Reopened(because=because, items=tuple(items)) for because, items in found.items())


def _ended(kind: Kind, slot: Slot, old: Charter, new: Charter, *, is_other_version: bool) -> Iterator[str]:
    """Yield the parts of an item's binding that an edit changed."""
    if is_other_version and Bind.VERSION in kind.binds:
        yield _ANOTHER_VERSION
    if kind.name in FOLDED_KINDS:
        return
    before, after = (
        binding_in_force(kind, charter, slot.scope, InForce(), section=slot.section, person=slot.person)
        for charter in (old, new)
    )
    if before.section_digest != after.section_digest:
        yield f"section {after.section}"
    if before.contract != after.contract:
        yield from changed_terms(old, new, kind, slot.scope, slot.person) or (
            f"{_subject(slot.scope)} itself",
        )


def _version_of(charter: Charter) -> object:
    """Return what of an agent's version a charter shows: the pin, and the files that belong to the agent. Its code is not seen."""
    pin = charter.model.pin.model_dump(mode="json", include={"provider", "model", "region", "deployment"})
    tools = known(charter.tools) or {}
    about = {charter.change_plan, *(known(charter.runbooks) or {})}
    about |= {alert.runbook for alert in known(charter.alerts) or ()}
    files = {name: digest for name, digest in (charter.files or {}).items() if name not in about}
    return pin, charter.prompts, {name: tool.contract for name, tool in tools.items()}, files


def _subject(scope: Scope) -> str:
    return scope.tool or scope.integration or scope.part or "what is measured"
