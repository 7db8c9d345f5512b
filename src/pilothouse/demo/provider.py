# SPDX-License-Identifier: Apache-2.0
"""The provider of the story, which changes its model on a day, with the rate service of a tool and the pager of the people."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pilothouse.demo.model_server import ModelServer
from pilothouse.demo.traffic import CHANGE_DAY, FRANCS_PER_EURO, REPAIR_DAY
from pilothouse.demo.triage_model import answer_as_provider

__all__ = ["provider_of_the_story"]


def provider_of_the_story(began_at: datetime) -> ModelServer:
    """Return the provider, not started yet.

    Args:
        began_at: Start of the first simulated day, aware UTC.
    """

    async def rate(_request: Request) -> JSONResponse:
        return JSONResponse({"rate": 1 / FRANCS_PER_EURO})

    async def page(_request: Request) -> JSONResponse:
        return JSONResponse({})

    return ModelServer(
        partial(
            answer_as_provider,
            changes_at=began_at + timedelta(days=CHANGE_DAY - 1),
            restored_at=began_at + timedelta(days=REPAIR_DAY - 1),
        ),
        further_routes=(
            Route("/latest/{source}/{target}", rate),
            Route("/pager/{person}", page, methods=["POST"]),
        ),
    )
