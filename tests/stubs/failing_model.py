# SPDX-License-Identifier: Apache-2.0
"""The scripted model server, told to fail as providers fail."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from enum import StrEnum

from starlette.responses import JSONResponse, Response, StreamingResponse

from pilothouse.demo.model_script import call_tools_then_answer
from pilothouse.demo.model_server import ModelServer

TIMEOUT_HOLD_S = 30.0  # longer than any client of a test waits


class Fault(StrEnum):
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CUT_OFF = "cut_off"  # a success whose body ends in the middle


class FailingModel(ModelServer):
    def __init__(self, script=call_tools_then_answer):
        self._faults, self._served_as = deque(), None

        def turn(conversation):
            answer = script(conversation)
            return replace(answer, model=self._served_as) if self._served_as else answer

        super().__init__(turn)

    def fail_next(self, fault, *, times=1):
        self._faults.extend([fault] * times)

    def serve_as(self, model):
        """Answer as another model from now on, as a provider does that swaps models silently."""
        self._served_as = model

    async def _answer(self, request, parse, render):
        fault = self._faults.popleft() if self._faults else None
        if fault in (Fault.RATE_LIMITED, Fault.SERVER_ERROR, Fault.TIMEOUT):
            self.calls += 1
            return await failed(fault)
        answer = await super()._answer(request, parse, render)
        if fault is Fault.CUT_OFF and not isinstance(answer, StreamingResponse):
            whole = bytes(answer.body)
            return Response(whole[: len(whole) // 2], media_type="application/json")
        return answer


async def failed(fault):
    if fault is Fault.TIMEOUT:
        await asyncio.sleep(TIMEOUT_HOLD_S)
    limited = fault is Fault.RATE_LIMITED
    kind = "rate_limit_exceeded" if limited else "server_error"
    return JSONResponse(
        {"error": {"message": "as told", "type": kind, "param": None, "code": kind}},
        status_code=429 if limited else 500,
        headers={"retry-after-ms": "1"} if limited else None,
    )
