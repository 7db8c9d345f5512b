# SPDX-License-Identifier: Apache-2.0
"""The binding that a record must carry to count now, and how an old one differs: nothing of version A counts for B."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.evidence import Binding, Evidence, Scope
from pilothouse.core.evidence.kind import Bind, Kind

__all__ = [
    "InForce",
    "Mismatch",
    "binding_in_force",
    "changed_terms",
    "contract_digest",
    "first_mismatch",
    "scope_names",
    "terms_digest",
    "under_terms",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What is in force besides the charter.

    Attributes:
        version: Version digest that is judged, or None when its traffic names none.
        labelled: Digest of the labelled dataset, or None while there is none.
        adversarial: Digest of the adversarial dataset, or None while there is none.
        examples: Version of the few-shot library that agents are served, or None while there is none.
    """

    version: str | None = None
    labelled: str | None = None
    adversarial: str | None = None
    examples: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One part of a record's binding that is no longer in force.

    Attributes:
        what: `version`, `section`, `contract`, `terms`, `dataset`, `library` or `person`.
        found: What the record says.
        in_force: What is in force.
    """

    what: str
    found: str | None
    in_force: str | None


_PROMISED = {
    "integration.rate": ("rate_limit",),
    "integration.freshness": ("freshness",),
    "drill.fallback": ("fallback",),
}
"""What a kind of evidence holds a system to, beside what it is: shown for another limit, nothing is shown for this one."""


def contract_digest(charter: Charter, scope: Scope, kind: str = "") -> str | None:
    """Return the digest that a certificate of a tool or integration is bound to: its contracts, place and sign-in.

    Args:
        charter: The charter.
        scope: Names the tool, or the integration, which stands for all of its tools; or a judge by its part.
        kind: Kind of evidence: some are bound to a promise of the charter as well.

    Returns:
        SHA-256 over the manifest digests and over hosts, sign-in, environment and region of the integration, over what the
        kind holds it to, or over what the charter says of a judge, lower-case hex; None when the scope names none of them.
    """
    if kind == "judge.card":
        return _judge_digest(charter, scope.part)
    tools = known(charter.tools) or {}
    if scope.tool is not None:
        chosen = {scope.tool: tools[scope.tool]} if scope.tool in tools else {}
    elif scope.integration is not None:
        chosen = {name: tool for name, tool in tools.items() if tool.integration == scope.integration}
    else:
        return None
    manifests = {name: tool.manifest_hash for name, tool in chosen.items()}
    names = {str(tool.integration) for tool in chosen.values()} | {scope.integration or ""}
    standing = {}
    for name in sorted(names):
        integration = charter.integration(name)
        if integration is not None:
            whole = integration.model_dump(mode="json", include={"hosts", "auth", "environment", "region"})
            standing[name] = whole
            promised = integration.model_dump(mode="json", include=set(_PROMISED.get(kind, ())))
            standing[name] |= promised
    if kind == "integration.rate":
        standing["planned"] = charter.model_dump(mode="json", include={"target_volume": {"per_day"}})
    return hashlib.sha256(canonical_json([manifests, standing]).encode()).hexdigest()


def _judge_digest(charter: Charter, name: str | None) -> str | None:
    """Return the digest of a judge in the charter: the errors of one model are not those of another under its name."""
    declared = [judge for judge in known(charter.model.judges) or () if judge.name == name]
    pins = [judge.model_dump(mode="json", include={"name", "pin"}) for judge in declared]
    return hashlib.sha256(canonical_json(pins).encode()).hexdigest() if pins else None


def terms_digest(charter: Charter, kind: Kind, scope: Scope, person: str | None = None) -> str:
    """Return the digest of what the charter says at the paths under which records of a kind are measured.

    Args:
        charter: The charter.
        kind: A kind with terms.
        scope: Scope of the record; its parts are filled into the paths.
        person: Person it is about.

    Returns:
        SHA-256, lower-case hex. What the charter does not have counts as nothing said. Files count by their content.
    """
    names = scope_names(scope, person)
    said = {path: _said(charter.document, path.split("."), names) for path in kind.terms}
    if charter.files is not None:  # what an older program put into force says nothing of contents
        said |= {f"content of {path}": _contents(charter, path, names) for path in kind.contents}
    return hashlib.sha256(canonical_json(said).encode()).hexdigest()


def changed_terms(
    old: Charter, new: Charter, kind: Kind, scope: Scope, person: str | None = None
) -> tuple[str, ...]:
    """Return what a kind of evidence was measured under and two charters say differently, as paths and as files.

    Args:
        old: The charter as it was, with the files beside it.
        new: The charter as it is, with the files beside it.
        kind: The kind.
        scope: Scope of the record.
        person: Person it is about.
    """
    names = scope_names(scope, person)

    def said(charter: Charter) -> dict[str, Any]:
        found = {path: _said(charter.document, path.split("."), names) for path in kind.terms}
        return found | {f"content of {path}": _contents(charter, path, names) for path in kind.contents}

    before, after = said(old), said(new)
    return tuple(path.format_map(names) for path, value in after.items() if before[path] != value)


def scope_names(scope: Scope, person: str | None) -> dict[str, str | None]:
    """Return the names filled into the paths of a kind: the parts of a scope, the person, and the runbook."""
    runbook = None if scope.part is None else scope.part.removesuffix(f" by {person}")
    return {**scope.model_dump(), "person": person, "runbook": runbook}


def _contents(charter: Charter, path: str, names: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the digest of each file that a path of the charter names, or that is itself the name."""
    named = names[path[1:-1]] if path.startswith("{") else _said(charter.document, path.split("."), names)
    files = charter.files or {}
    return {str(name): files.get(str(name)) for name in (named if isinstance(named, list) else [named])}


def under_terms(
    binds: Binding,
    kind: Kind,
    charter: Charter | None,
    scope: Scope | None = None,
) -> Binding:
    """Return a binding completed with the terms of the charter under which its record was measured, for kinds that have terms.

    Args:
        binds: What else the record is bound to.
        kind: Kind of the record.
        charter: The charter it was measured under; None where there was none, and then it counts under none.
        scope: Scope of the record.
    """
    if charter is None or Bind.TERMS not in kind.binds:
        return binds
    return binds.model_copy(update={"contract": terms_digest(charter, kind, scope or Scope())})


def _said(value: Any, steps: Sequence[str], names: Mapping[str, Any]) -> Any:
    """Return the value at a path of plain data, or None; entries of lists are found by name or id."""
    if not steps or value is None:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(value, list):
        value = {one.get("id") or one.get("name"): one for one in value if isinstance(one, dict)}
    if not isinstance(value, dict):
        return value  # an open question, whatever lies under it
    if step == "*":
        return {name: _said(one, rest, names) for name, one in sorted(value.items())}
    return _said(value.get(names[step[1:-1]] if step.startswith("{") else step), rest, names)


def binding_in_force(
    kind: Kind,
    charter: Charter,
    scope: Scope,
    in_force: InForce,
    *,
    section: str | None = None,
    person: str | None = None,
) -> Binding:
    """Return the binding that a record of a kind and scope must carry to count now.

    Whoever writes a record calls this, and so does the verdict that reads it.

    Args:
        kind: Kind of evidence.
        charter: The charter in force.
        scope: Scope of the record.
        in_force: Version and datasets in force.
        section: Section that is signed, for kinds without one of their own.
        person: Person it is about, for kinds bound to one.

    Example:
        >>> from pilothouse.core.evidence.kinds import kind_named
        >>> binding_in_force(kind_named("completion"), None, Scope(), InForce(version="4f1c")).version
        '4f1c'
    """
    binds = kind.binds
    name = kind.section or section
    signed = name if Bind.SECTION in binds else None
    dataset = None
    if Bind.LABELLED in binds:
        dataset = in_force.labelled
    if Bind.ADVERSARIAL in binds:
        dataset = in_force.adversarial
    if Bind.EXAMPLES in binds:
        dataset = in_force.examples
    return Binding(
        version=in_force.version if Bind.VERSION in binds else None,
        section=signed,
        section_digest=charter.section_digests[signed] if signed else None,
        contract=_contract(kind, charter, scope, person),
        dataset=dataset,
        person=person if Bind.PERSON in binds else None,
    )


def _contract(kind: Kind, charter: Charter, scope: Scope, person: str | None) -> str | None:
    if Bind.TERMS in kind.binds:
        return terms_digest(charter, kind, scope, person)
    return contract_digest(charter, scope, kind.name) if Bind.CONTRACT in kind.binds else None


def first_mismatch(expected: Binding, record: Evidence, kind: Kind) -> Mismatch | None:
    """Return the first part of a record's binding that is no longer in force, or None.

    A dataset or library that nothing shows yet cannot disagree; the requirement on datasets is missing then.

    Args:
        expected: What `binding_in_force` says.
        record: The record.
        kind: Its kind; only what the kind is bound to is compared.
    """
    found, binds = record.binds, kind.binds
    pairs = (
        ("version", found.version, expected.version, Bind.VERSION in binds),
        ("section", found.section_digest, expected.section_digest, Bind.SECTION in binds),
        ("contract", found.contract, expected.contract, Bind.CONTRACT in binds),
        (
            "library" if Bind.EXAMPLES in binds else "dataset",
            found.dataset,
            expected.dataset,
            expected.dataset is not None and bool({Bind.LABELLED, Bind.ADVERSARIAL, Bind.EXAMPLES} & binds),
        ),
        ("person", found.person, expected.person, Bind.PERSON in binds),
        ("terms", found.contract, expected.contract, Bind.TERMS in binds),
    )
    return next(
        (
            Mismatch(what=what, found=old, in_force=new)
            for what, old, new, compared in pairs
            if compared and old != new
        ),
        None,
    )
