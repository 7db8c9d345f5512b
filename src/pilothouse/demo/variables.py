# SPDX-License-Identifier: Apache-2.0
"""Variables of this process's environment for the time of a block, as a shell sets them for one command."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = ["with_variables"]


@contextmanager
def with_variables(given: Mapping[str, str]) -> Iterator[None]:
    """Set variables, and put back what was there before.

    Args:
        given: Values by name.

    Example:
        >>> with with_variables({"PILOTHOUSE_EXAMPLE": "1"}):
        ...     os.environ["PILOTHOUSE_EXAMPLE"]
        '1'
        >>> "PILOTHOUSE_EXAMPLE" in os.environ
        False
    """
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
