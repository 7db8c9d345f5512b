# SPDX-License-Identifier: Apache-2.0
"""Ask the ledger, off the event loop, which agent owns something stored at a provider; refuse when it cannot be read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from pilothouse.errors import PilothouseError
from pilothouse.ports.gateway import AnswerOwners, ThingOwners
from pilothouse.runtime.gateway.refusal import Refusal, RefusalCode, Refused

__all__ = ["owners_on_record"]


async def owners_on_record(
    owners: AnswerOwners | ThingOwners, idents: Sequence[str], what: str
) -> Mapping[str, str]:
    """Return whose something is, by its id, for those that somebody is known to have.

    Args:
        owners: Where that stands.
        idents: Ids.
        what: What they are, in a word or a few.

    Raises:
        Refused: The ledger cannot be read.
    """
    try:
        return await asyncio.to_thread(owners.owners, idents)
    except PilothouseError as error:
        raise Refused(
            Refusal(
                RefusalCode.RECORD_REQUIRED,
                f"whose {what} is cannot be read: {error.message}",
                error.remedy or "",
            )
        ) from error
