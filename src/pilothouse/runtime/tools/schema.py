# SPDX-License-Identifier: Apache-2.0
"""Compiled JSON Schemas of contracts, for arguments and results."""

from __future__ import annotations

from typing import Any

from pilothouse.errors import CharterInvalid
from pilothouse.schemas.value_check import SchemaInvalid, ValueCheck

__all__ = ["check_of"]


def check_of(schema: dict[str, Any], *, where: str) -> ValueCheck:
    """Compile a schema of a contract.

    Args:
        schema: JSON Schema.
        where: What it describes, for messages: `arguments of crm.find@1`.

    Raises:
        CharterInvalid: It is no schema.
    """
    try:
        return ValueCheck(schema)
    except SchemaInvalid as error:
        raise CharterInvalid(
            f"the schema of the {where} is no JSON Schema",
            remedy="Correct it in the contract file, then run `pilothouse check`.",
            findings=(str(error),),
            subject=where,
        ) from error
