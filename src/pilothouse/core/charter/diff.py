# SPDX-License-Identifier: Apache-2.0
"""The differences of two charters: their direction, and who must agree.

A change that only narrows takes effect at once. Anything that widens what the agent may do, or that
cannot be compared, needs two persons; a threshold that got looser needs the sponsor.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pilothouse.core.charter.answers import OPEN, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import SECTIONS, canonical_json, charter_document
from pilothouse.core.charter.quantities import parse_duration

__all__ = ["Approval", "Change", "CharterDiff", "Effect", "Reopened", "compare_charters"]


class Effect(StrEnum):
    """Which way a change goes."""

    TIGHTER = "tighter"
    LOOSER = "looser"
    NARROWER = "narrower"
    WIDER = "wider"
    ANSWERED = "answered"
    REOPENED = "opened again"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference.

    Attributes:
        path: Path in the charter; list entries by their id, name or level.
        old: What stood there as JSON text, or None for something new.
        new: What stands there now, or None for something taken out.
        effect: Which way it goes.
    """

    path: str
    old: str | None
    new: str | None
    effect: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopened:
    """Requirements whose evidence no longer counts.

    Attributes:
        because: What changed, in words.
        items: Requirement ids.
    """

    because: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """An agreement that the changes need before they take effect.

    Attributes:
        because: What asks for it.
        who: Persons, in words.
        paths: Paths that ask for it.
    """

    because: str
    who: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CharterDiff:
    """Everything that changed.

    Attributes:
        old_digest: Digest of the old charter.
        new_digest: Digest of the new one.
        changes: Differences in the order of the charter.
        sections: Sections whose digest changed: signatures over them are void.
        approvals: Who must agree; empty when everything takes effect at once.
        reopens: What must be shown again; `core.verdict.reopened` says it.
    """

    old_digest: str
    new_digest: str
    changes: tuple[Change, ...]
    sections: tuple[str, ...]
    approvals: tuple[Approval, ...]
    reopens: tuple[Reopened, ...] = ()


HIGHER_IS_TIGHTER = frozenset(
    {
        "task_types.*.quality.min",
        "task_types.*.completion.min",
        "task_types.*.routing.audit_share",
        "task_types.*.sampling.rate",
        "task_types.*.sampling.min_per_window",
        "task_types.*.reliable.k",
        "task_types.*.reliable.min",
        "datasets.labelled.min",
        "datasets.labelled.per_type_min",
        "datasets.labelled.production_share_min",
        "datasets.adversarial.min",
        "datasets.trajectories.min",
        "few_shot.min",
        "few_shot.lift_min",
        "stability.days",
        "stability.min_volume_share",
        "phases.*.exit.uptime",
        "phases.*.exit.volume_times",
        "phases.*.min",
    }
)
"""Numbers and durations of which a larger one is harder to meet. `*` stands for one key."""

LOWER_IS_TIGHTER = frozenset(
    {
        "task_types.*.quality.max_drop",
        "task_types.*.escalation.max",
        "task_types.*.override.max",
        "task_types.*.discrepancy.max",
        "task_types.*.discrepancy.unverifiable_max",
        "task_types.*.cost_per_task.max",
        "task_types.*.latency.p95_s",
        "task_types.*.routing.wrong_auto_per_100",
        "task_types.*.routing.risk",
        "unknown_task_type.max",
        "datasets.adversarial.families.*",
        "release.alpha",
        "release.max_drop",
        "release.verdict_max_age",
        "alerts.*.detect_within",
        "alerts.*.false_alarms_per_year",
        "stability.max_pause",
        "phases.*.exit.p95_s",
        "phases.*.exit.critical_errors",
        "severities.*.resolve",
        "escalation.*.acknowledge",
        "integrations.*.freshness.max_age",
        "integrations.*.fallback_drill",
        "model.judges.*.card_max_age",
        "owner.reattest",
        "reviews.owner",
        "reviews.permissions",
        "reviews.quality",
        "reviews.runbooks",
        "reviews.sponsor",
        "runbooks.*.drill",
        "sources.*.max_age",
        "sponsor.review",
    }
)
"""Numbers and durations of which a smaller one is harder to meet."""

MORE_IS_WIDER = frozenset(
    {
        "task_types",
        "integrations",
        "integrations.*.hosts",
        "integrations.*.data",
        "tools",
        "tools.*.task_types",
        "tools.*.regions",
        "tools.*.args.*.origins",
        "tools.*.args.*.values",
        "tools.*.args.*.max",
        "tools.*.args.*.ask_above",
        "tools.*.args.*.sum_per_task",
        "tools.*.args.*.sum_per_day",
        "tools.*.budget.per_task",
        "tools.*.budget.per_day",
        "tools.*.approvers",
        "model.fallback",
        "residency.regions",
        "residency.inference_logged_in",
        "phases.*.users",
        "phases.*.integrations",
        "phases.*.share",
        "target_volume.share_pilot",
    }
)
"""Sets and caps of which more lets the agent do more."""

MORE_IS_TIGHTER = frozenset(
    {
        "task_types.*.critical",
        "alerts",
        "stability.reset_on",
        "datasets.adversarial.families",
        "task_types.*.cost_per_task.includes",
    }
)
"""Sets of which more asks for more."""

ORDERED = frozenset({"model.fallback"})
"""Sets of which the order says something: the first stand-in is asked first. Others in another order are the same."""

BOUNDARY = ("tools.", "integrations.", "residency.", "model.fallback")
"""Paths of the boundary: a change there that cannot be compared counts as wider."""

BOUNDARY_WORDS = frozenset({"examples", "manifest_hash", "fallback", "failure_modes", "owner", "criticality"})
"""Keys inside the boundary that describe, and permit nothing."""

LIST_KEYS = ("id", "name", "level")
"""What identifies an entry of a list; others are compared as a whole."""


def compare_charters(
    old: Charter, new: Charter, *, changed_files: Mapping[str, str] | None = None
) -> CharterDiff:
    """Compare two charters of one agent.

    Args:
        old: The charter as it was.
        new: The charter as it is.
        changed_files: Files named by the charter whose content changed: path of the file → path in
            the charter that names it.

    Returns:
        Every difference with its direction, and who must agree.
    """
    before, after = charter_document(old), charter_document(new)
    order = {key: rank for rank, key in enumerate(key for keys in SECTIONS.values() for key in keys)}
    found = sorted(
        _changes(before, after, (), ()), key=lambda change: order[change.path.split(".")[0].split("[")[0]]
    )
    files = [
        Change(path=f"{named_by} ({file})", old=None, new="content changed", effect=Effect.CHANGED)
        for file, named_by in sorted((changed_files or {}).items())
    ]
    changes = (*found, *files)
    old_sections, new_sections = old.section_digests, new.section_digests
    return CharterDiff(
        old_digest=old.digest,
        new_digest=new.digest,
        changes=changes,
        sections=tuple(name for name in SECTIONS if old_sections[name] != new_sections[name]),
        approvals=tuple(_approvals(changes, old)),
    )


def _changes(old: Any, new: Any, path: tuple[str, ...], pattern: tuple[str, ...]) -> Iterator[Change]:
    if old == new:
        return
    wildcard = ".".join(pattern)
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            inner = (*pattern, "*" if _is_collection(wildcard) else key)
            if key in old and key in new:
                yield from _changes(old[key], new[key], (*path, key), inner)
            else:
                yield _entry((*path, key), wildcard, old.get(key), new.get(key))
        return
    by_key = _keyed(old), _keyed(new)
    if by_key[0] is not None and by_key[1] is not None:
        yield from _changes(by_key[0], by_key[1], path, pattern)
        return
    yield Change(
        path=_joined(path),
        old=None if old is None else _text(old),
        new=None if new is None else _text(new),
        effect=_effect(wildcard, _joined(path), old, new),
    )


def _entry(path: tuple[str, ...], holder: str, old: Any, new: Any) -> Change:
    """Return the change of an added or removed entry."""
    came = new is not None
    if holder in MORE_IS_WIDER:
        effect = Effect.WIDER if came else Effect.NARROWER
    elif holder in MORE_IS_TIGHTER:
        effect = Effect.TIGHTER if came else Effect.LOOSER
    else:
        effect = _uncomparable(_joined(path))
    return Change(
        path=_joined(path),
        old=_text(old) if not came else None,
        new=_text(new) if came else None,
        effect=effect,
    )


def _effect(pattern: str, path: str, old: Any, new: Any) -> Effect:
    if OPEN in (old, new):
        return Effect.ANSWERED if old == OPEN else Effect.REOPENED
    if pattern in MORE_IS_WIDER and None in (old, new):  # no cap is the widest cap
        return Effect.NARROWER if old is None else Effect.WIDER
    low, high = _amount(old), _amount(new)
    if low is not None and high is not None:
        if pattern in HIGHER_IS_TIGHTER:
            return Effect.TIGHTER if high > low else Effect.LOOSER
        if pattern in LOWER_IS_TIGHTER:
            return Effect.TIGHTER if high < low else Effect.LOOSER
        if pattern in MORE_IS_WIDER:
            return Effect.WIDER if high > low else Effect.NARROWER
    if low is not None and high is None and pattern in HIGHER_IS_TIGHTER | LOWER_IS_TIGHTER:
        return Effect.LOOSER  # what had its own number has the framework's, or that of each type
    if pattern in MORE_IS_WIDER or pattern in MORE_IS_TIGHTER:
        one, other = _members(old), _members(new)
        if one is not None and other is not None and set(one) == set(other) and pattern not in ORDERED:
            return Effect.CHANGED
        return _of_sets(pattern, one, other)
    if pattern == "tools.*.untrusted":
        return Effect.NARROWER if new == "hide" else Effect.WIDER
    return _uncomparable(path)


def _of_sets(pattern: str, old: Collection[str] | None, new: Collection[str] | None) -> Effect:
    """Compare two sets; None stands for everything (`all`), or for no limit."""
    if pattern in MORE_IS_TIGHTER:
        return Effect.TIGHTER if set(old or ()) < set(new or ()) else Effect.LOOSER
    is_narrower = new is not None and (old is None or set(new) < set(old))
    return Effect.NARROWER if is_narrower else Effect.WIDER


def _uncomparable(path: str) -> Effect:
    """Return the change of a value that cannot be compared: inside the boundary it counts as widening."""
    inside = path.startswith(BOUNDARY) and not BOUNDARY_WORDS & set(path.split(".")[1:])
    return Effect.WIDER if inside else Effect.CHANGED


def _approvals(changes: Iterable[Change], old: Charter) -> Iterator[Approval]:
    owner, sponsor = known(old.owner.person) or "the owner", known(old.sponsor.person) or "the sponsor"
    wider = tuple(change.path for change in changes if change.effect is Effect.WIDER)
    looser = tuple(change.path for change in changes if change.effect is Effect.LOOSER)
    if wider:
        may = [name for name, person in old.people.items() if person.role in ("owner", "approver")]
        persons = ", ".join(dict.fromkeys([owner, *may]))
        yield Approval(
            because="the agent may do more",
            who=f"two persons with role owner or approver, neither the author alone ({persons})",
            paths=wider,
        )
    if looser:
        yield Approval(because="less is asked of the agent", who=f"{sponsor} (sponsor)", paths=looser)
    amended = tuple(change.path for change in changes if change.path.startswith("outcomes"))
    if amended:
        yield Approval(
            because="a commitment changes", who=f"{owner} (owner) and {sponsor} (sponsor)", paths=amended
        )


def _is_collection(pattern: str) -> bool:
    """Return whether the keys of a mapping are user-chosen names."""
    last = pattern.rsplit(".", maxsplit=1)[-1]
    return pattern in {
        "people", "task_types", "integrations", "tools", "phases", "severities", "runbooks",
        "alerts", "escalation", "outcomes", "sources", "model.judges",
    } or last in {"args", "families", "lines"}  # fmt: skip


def _keyed(value: Any) -> dict[str, Any] | None:
    """Return a list of mappings as one mapping by id, name or level; None for any other value."""
    if not isinstance(value, list) or not value or not all(isinstance(part, dict) for part in value):
        return None
    key = next((key for key in LIST_KEYS if all(key in part for part in value)), None)
    keyed = {str(part[key]): part for part in value} if key else {}
    return keyed if len(keyed) == len(value) else None


def _amount(value: Any) -> float | None:
    """Return a number, or the seconds of a duration, or None."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return parse_duration(value).total_seconds()
        except ValueError:
            return None
    return None


def _members(value: Any) -> tuple[str, ...] | None:
    return tuple(canonical_json(part) for part in value) if isinstance(value, (list, dict)) else None


def _joined(path: tuple[str, ...]) -> str:
    return ".".join(path)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)
