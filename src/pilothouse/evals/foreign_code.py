# SPDX-License-Identifier: Apache-2.0
"""Exceptions and messages of third-party code: contained, never lost, and always storable."""

from __future__ import annotations

import asyncio
from typing import Final

__all__ = ["REASON_CHARS_MAX", "must_propagate", "plain_reason"]

REASON_CHARS_MAX: Final = 500
"""Enough for a person to see why; a whole answer belongs to the trial."""


def must_propagate(error: BaseException) -> bool:
    """Whether an exception from third-party code must propagate: Ctrl-C, or a requested cancellation.

    `sys.exit(0)` in an agent would end the gate with the status of a release, and a cancellation that leaks out of
    a library would end its trial without an outcome.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(error, KeyboardInterrupt | GeneratorExit)


def plain_reason(text: object) -> str:
    """Return a message of third-party code as a short text that can be stored and printed.

    Args:
        text: Whatever it said; half a surrogate pair becomes a question mark.

    Example:
        >>> plain_reason("no queue" + chr(0xD800))
        'no queue?'
    """
    return str(text)[:REASON_CHARS_MAX].encode("utf-8", "replace").decode()
