# SPDX-License-Identifier: Apache-2.0
"""Digests of a charter, its sections and a version, to which signatures and evidence bind.

The bytes under every digest are canonical JSON as RFC 8785 has it: no space, keys in the order of
their UTF-16 code units, numbers as ECMAScript writes them.
"""

from __future__ import annotations

import hashlib
import math
import re
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any

from pilothouse.core.charter.models import ModelPin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

__all__ = [
    "INTEGER_EXACT_MAX",
    "SECTIONS",
    "canonical_digest",
    "canonical_json",
    "charter_digest",
    "charter_document",
    "section_digests",
    "version_digest",
]

INTEGER_EXACT_MAX = 2**53 - 1
"""Largest whole number that every reader of JSON keeps exactly (RFC 8785, appendix D)."""

SECTIONS: dict[str, tuple[str, ...]] = {
    "identity": (
        "apiVersion",
        "agent",
        "currency",
        "title",
        "purpose",
        "function",
        "business_unit",
        "change_plan",
    ),
    "owner": ("people", "owner", "sponsor"),
    "operations": ("operations", "reviewers", "reviews", "handoff"),
    "raci": ("raci",),
    "escalation": ("escalation", "severities"),
    "volume": ("target_volume",),
    "thresholds": ("task_types", "unknown_task_type"),
    "integrations": ("integrations",),
    "tools": ("tools",),
    "model": ("model",),
    "prompts": ("prompts",),
    "guardrails": ("guardrails", "context"),
    "datasets": ("datasets", "few_shot", "glossary", "sources"),
    "release": ("release",),
    "alerts": ("alerts", "runbooks"),
    "phases": ("phases",),
    "stability": ("stability",),
    "outcomes": ("outcomes",),
    "residency": ("residency", "regulations", "retention"),
    "budgets": ("budgets", "business_case"),
    "framework": ("framework",),
}
"""Section → keys of the file. A signature binds to a section, so an edit elsewhere does not void it.
`thresholds` holds the critical mistakes too, since they stand in each task type."""

_WHOLE_DIGITS_MAX = 21
"""ECMAScript writes whole numbers below 1e21 without an exponent."""

EXPONENT = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?e([+-])0*([0-9]+)")


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} has no JSON form")
    if value == 0:
        return "0"
    text = repr(value)
    match = EXPONENT.fullmatch(text)
    if match is None:
        return text.removesuffix(".0")
    sign, whole, fraction, direction, power = match.groups()
    if (
        direction == "+" and int(power) < _WHOLE_DIGITS_MAX
    ):  # written out, filled up with zeros and not with noise
        return f"{sign}{(whole + (fraction or '')).ljust(int(power) + 1, '0')}"
    if direction == "-" and int(power) <= 6:  # ECMAScript writes 0.000001 out, Python from 0.0001 on
        return f"{sign}0.{'0' * (int(power) - 1)}{whole}{fraction or ''}"
    return f"{sign}{whole}{'.' + fraction if fraction else ''}e{direction}{power}"


def _code_units(name: str) -> bytes:
    return name.encode("utf-16-be")


def canonical_json(value: Any) -> str:
    """Serialize plain data as canonical JSON (RFC 8785).

    Args:
        value: None, bool, int, float, str, and lists, tuples and dicts with text keys of these.

    Returns:
        The one text that stands for the value.

    Raises:
        ValueError: A number is not finite, or a whole number is beyond 2^53 - 1.
        TypeError: Something has no JSON form.

    Source:
        RFC 8785, sections 3.2.2 and 3.2.3; ECMA-262, Number::toString.

    Example:
        >>> canonical_json({"b": 1.0, "a": [True, 1e21, 1e-7]})
        '{"a":[true,1e+21,1e-7],"b":1}'
    """
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if abs(value) > INTEGER_EXACT_MAX:
            raise ValueError(f"{value} is beyond the whole numbers that JSON keeps exactly")
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([canonical_json(part) for part in value]) + "]"
    if isinstance(value, dict):
        # Python's own order is that of UTF-16 code units as long as no key leaves the first plane; ASCII never does.
        names = sorted(value) if all(map(str.isascii, value)) else sorted(value, key=_code_units)
        return "{" + ",".join([f"{encode_basestring(k)}:{canonical_json(value[k])}" for k in names]) + "}"
    raise TypeError(f"{type(value).__name__} has no JSON form")


def canonical_digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value in its canonical form (RFC 8785).

    Args:
        value: Any JSON value with integers up to 2^53 - 1.

    Returns:
        64 lower-case hex digits.

    Raises:
        ValueError: The value has no canonical form (NaN, a huge integer, a lone surrogate).
        TypeError: Something in it is no JSON value.

    Example:
        >>> canonical_digest({"b": 1, "a": 2}) == canonical_digest({"a": 2, "b": 1})
        True
    """
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def charter_document(charter: BaseModel) -> dict[str, Any]:
    """Return a charter as plain data with the keys of the file, defaults written out."""
    return charter.model_dump(mode="json", by_alias=True)


def charter_digest(charter: BaseModel) -> str:
    """Return the SHA-256 of the whole charter, lower-case hex."""
    return canonical_digest(charter_document(charter))


def section_digests(charter: BaseModel) -> dict[str, str]:
    """Return the SHA-256 of each section by its name in `SECTIONS`."""
    document = charter_document(charter)
    return {name: canonical_digest({key: document[key] for key in keys}) for name, keys in SECTIONS.items()}


def version_digest(
    pin: ModelPin,
    *,
    prompts: Mapping[str, str],
    contracts: Mapping[str, str],
    code_revision: str,
    deployment: Mapping[str, str] | None = None,
) -> str:
    """Return the fingerprint of an agent's version; evidence belongs to it.

    Args:
        pin: Exact model. Its retirement date is no part of it: the calendar does not change the agent.
        prompts: Digest of each prompt file by path.
        contracts: Digest of each tool contract by tool.
        code_revision: Revision of the agent's code.
        deployment: What a model that somebody hosts is made of, as the charter says it; None where it says nothing.

    Returns:
        SHA-256, lower-case hex.

    Example:
        >>> pin = ModelPin(provider="acme", model="acme-large-2026-04-12")
        >>> version_digest(pin, prompts={}, contracts={}, code_revision="4f1c")[:8]
        '5010386b'
    """
    model = {"provider": pin.provider, "model": pin.model, "region": getattr(pin, "region", None)}
    if deployment:
        model["deployment"] = dict(deployment)
    return canonical_digest(
        {
            "model": model,
            "prompts": dict(prompts),
            "contracts": dict(contracts),
            "code_revision": code_revision,
        }
    )
