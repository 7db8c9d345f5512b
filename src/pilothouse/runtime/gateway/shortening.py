# SPDX-License-Identifier: Apache-2.0
"""Shorten a request by the edits that its charter switched on, and keep what was taken out for the record."""

from __future__ import annotations

import json

from pilothouse.errors import DigestMismatch
from pilothouse.runtime.context.document import document_of
from pilothouse.runtime.context.edits import EditPolicy, apply_edits
from pilothouse.runtime.gateway.call import Call
from pilothouse.runtime.gateway.refusal import Refusal, RefusalCode, Refused

__all__ = ["shorten"]


def shorten(call: Call, policy: EditPolicy) -> bool:
    """Take out of a request what the policy names; return whether anything was.

    A body that has no one meaning (no JSON object, a key twice) is left as it is.

    Args:
        call: The call; `shortened` and `removed` of it are set.
        policy: Which edits are on.

    Raises:
        Refused: What is kept and what was taken out are not the original.
    """
    document = document_of(call.request)
    if document is None:
        return False
    try:
        edits = apply_edits(document, policy, run=call.run)
        body = json.dumps(edits.request, allow_nan=False)
    except DigestMismatch as error:
        raise Refused(
            Refusal(RefusalCode.CONTEXT_EXCEEDED, f"{error.message}; nothing was sent", error.remedy)
        ) from error
    except (ValueError, RecursionError):
        return False
    if not edits.ledger:
        return False
    call.shortened, call.removed = body.encode(), edits.ledger
    return True
