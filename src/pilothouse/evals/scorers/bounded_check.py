# SPDX-License-Identifier: Apache-2.0
"""Check an answer against a scorer's pattern or schema in a killable process, because the check may not terminate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from pilothouse.schemas.process import CheckCrowded, CheckUnfinished

__all__ = ["problem_in_time"]

PAUSE_S: Final = 0.05
"""Between two questions, when as many answers of other trials wait as may."""

ABOUT_CHARS_MAX: Final = 200
"""Of a pattern or a schema in a message."""


async def problem_in_time(ask: Callable[[], str | Future[str] | None], about: str) -> str:
    """Return what is wrong with an answer, or empty.

    Args:
        ask: Asks, and may be called again.
        about: What the answer is held against, for the message.

    Raises:
        CheckUnfinished: Nobody knows in time.
    """
    while True:
        found = ask()
        if not isinstance(found, Future):
            return found or ""
        try:
            return await asyncio.wrap_future(found)
        except CheckCrowded:
            await asyncio.sleep(PAUSE_S)
        except CheckUnfinished as unknown:
            raise CheckUnfinished(f"{about[:ABOUT_CHARS_MAX]} was {unknown}") from unknown
