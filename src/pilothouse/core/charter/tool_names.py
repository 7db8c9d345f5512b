# SPDX-License-Identifier: Apache-2.0
"""The names under which a tool of a charter appears: whole, without its version, and as model APIs accept them. Pure.

Model APIs take letters, digits, `_` and `-` in the name of a tool, at most 64; a charter writes `crm.find@1`. A charter's
names hold no capital letter, so capitals stand for what may not be written, and no two tools share a name.
"""

from __future__ import annotations

import hashlib

__all__ = ["CALL_NAME_MAX", "call_name", "known_as"]

CALL_NAME_MAX = 64
"""Characters of a name that every model API accepts."""

_DOT, _VERSION, _CUT = "_D_", "_V", "_X"
_DIGEST_CHARACTERS = 8


def call_name(tool: str) -> str:
    """Return the name by which a model calls a tool.

    Args:
        tool: `name@version` as the charter has it.

    Returns:
        At most `CALL_NAME_MAX` letters, digits, `_` and `-`, another one for each tool.

    Example:
        >>> call_name("crm.find@1")
        'crm_D_find_V1'
        >>> len(call_name("a" * 100 + "@1"))
        64
    """
    name = tool.replace(".", _DOT).replace("@", _VERSION)
    if len(name) <= CALL_NAME_MAX:
        return name
    digest = hashlib.sha256(tool.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{name[: CALL_NAME_MAX - len(_CUT) - _DIGEST_CHARACTERS]}{_CUT}{digest}"


def known_as(tool: str) -> tuple[str, ...]:
    """Return every name that telemetry may have for a tool.

    Args:
        tool: `name@version` as the charter has it.

    Example:
        >>> known_as("crm.find@1")
        ('crm.find@1', 'crm.find', 'crm_D_find_V1')
    """
    return (tool, tool.partition("@")[0], call_name(tool))
