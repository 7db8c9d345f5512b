# SPDX-License-Identifier: Apache-2.0
"""Asks the ledger whose something is that a provider keeps, beside the loop that serves; what cannot be read is nobody's to use."""

from __future__ import annotations

import asyncio

from pilothouse.errors import PilothouseError
from pilothouse.ports.gateway import AnswerOwners, ConversationOwners
from pilothouse.runtime.gateway.refusal import Refusal, RefusalCode, Refused

__all__ = ["owner_on_record"]


async def owner_on_record(owners: AnswerOwners | ConversationOwners, ident: str, what: str) -> str | None:
    """Return whose something is, or None where nobody is known to have it.

    Args:
        owners: Where that stands.
        ident: Its id.
        what: What it is, one word.

    Raises:
        Refused: The ledger cannot be read.
    """
    try:
        return await asyncio.to_thread(owners.owner, ident)
    except PilothouseError as error:
        raise Refused(
            Refusal(
                RefusalCode.RECORD_REQUIRED,
                f"whose {what} it is cannot be read: {error.message}",
                error.remedy or "",
            )
        ) from error
