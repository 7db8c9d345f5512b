# SPDX-License-Identifier: Apache-2.0
"""An agent whose author runs `mypy --strict`: what it takes from us keeps the types of its own functions.

`make types` reads this file; nothing runs it.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, assert_type

import pilothouse
from pilothouse.core.evidence.outcome import Finding, OutcomeStatus
from pilothouse.core.evidence.task import Task
from pilothouse.testing import example_task


@pilothouse.tool("crm.find@1")
def find(customer: str) -> dict[str, str]:
    return {"id": customer}


@pilothouse.tool("crm.count@1")
async def count(customer: str) -> int:
    return len(customer)


@pilothouse.agent(task_type="enquiry")
def answer(question: str) -> str:
    pilothouse.open_task(requester="ana", typed=[question])
    assert_type(find("C-7"), dict[str, str])
    assert_type(pilothouse.current_call_key(), str | None)
    pilothouse.claim("answered", target=find("C-7")["id"])
    return question


@pilothouse.agent(task_type="enquiry")
async def answer_later(question: str) -> int:
    return await count(question)


def verify(task: Task) -> Finding:
    return Finding(status=OutcomeStatus.VERIFIED if task.claim else OutcomeStatus.UNVERIFIABLE)


assert_type(answer("Who?"), str)
assert_type(answer_later("Who?"), Coroutine[Any, Any, int])  # type: ignore[unused-coroutine]
assert_type(verify(example_task(claim="{}")), Finding)
find(nobody="C-7")  # type: ignore[call-arg]  # an argument that the function has not is found
pilothouse.tols  # type: ignore[attr-defined]  # noqa: B018 - and so is a name that we do not have
