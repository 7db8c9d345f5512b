# SPDX-License-Identifier: Apache-2.0
"""Convert arguments and results of any Python type to plain JSON data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

__all__ = ["plain"]

_DEPTH_MAX = 64


def plain(value: Any, _depth: int = 0) -> Any:
    """Return a value as JSON data.

    Args:
        value: Scalars, containers, dataclasses, pydantic models, dates, enums, decimals.

    Raises:
        TypeError: It has no JSON form, or is nested too deep.

    Example:
        >>> plain({"on": date(2026, 1, 2), "ids": (1, 2)})
        {'on': '2026-01-02', 'ids': [1, 2]}
    """
    kind = type(value)
    if value is None or kind in (str, int, float, bool):
        return value
    if _depth > _DEPTH_MAX:
        raise TypeError(f"nested deeper than {_DEPTH_MAX}")
    if kind is dict:
        return {str(key): plain(part, _depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part, _depth + 1) for part in value]
    if isinstance(value, Mapping):
        return {str(key): plain(part, _depth + 1) for key, part in value.items()}
    if isinstance(value, Enum):
        return plain(value.value, _depth + 1)
    if isinstance(value, str):  # what it is, whatever a class of the agent's says that it reads like
        return str.__str__(value)
    if isinstance(value, int | float):
        return int.__int__(value) if isinstance(value, int) else float.__float__(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal | UUID | PurePath):
        return str(value)
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value), _depth + 1)
    raise TypeError(f"{kind.__name__} has no JSON form")
