# SPDX-License-Identifier: Apache-2.0
"""The demo's agent as a target of `pilothouse gate`: one mail in, one routing out, on a copy of the ERP."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pilothouse.demo.agent_model import ModelClient, route_mail
from pilothouse.demo.agent_tools import Desk
from pilothouse.demo.erp import Erp

__all__ = ["ERP_VARIABLE", "PROMPT_VARIABLE", "answer"]

ERP_VARIABLE = "DEMO_TRIAL_ERP"
PROMPT_VARIABLE = "DEMO_TRIAL_PROMPT"


async def answer(case: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Route the mail of a case as the agent does in service.

    Args:
        case: The messages of a task, as its spans have them.
    """
    text = case[0]["parts"][0]["content"]
    desk = Desk(erp=_erp(), now_ns=0, rates_proxy="")
    with ModelClient.of_environment() as client:
        done = route_mail(client, _instructions(), text, desk)
    return {"queue": done.queue, "po_number": done.po_number}


@cache
def _instructions() -> str:
    return Path(os.environ[PROMPT_VARIABLE]).read_text(encoding="utf-8")


@cache
def _erp() -> Erp:
    return Erp(Path(os.environ[ERP_VARIABLE]))
