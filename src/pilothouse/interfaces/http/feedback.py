# SPDX-License-Identifier: Apache-2.0
"""POST /api/feedback with its one-line widget, and POST /api/few-shot, authorized by a key or the token of a task."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pilothouse.errors import Conflict, Denied, InfrastructureError, PilothouseError, UnknownName, UsageError
from pilothouse.workflows.curation.few_shots import FewShots
from pilothouse.workflows.traces.feedback import FEEDBACK_BODY_BYTES_MAX, Desk, TooFast

__all__ = ["WIDGET", "api_app"]

App = Callable[[Any, Any, Any], Awaitable[None]]

QUESTION_BYTES_MAX = 512 * 1024
"""Bytes of a question for examples: an input of 64 Ki characters in JSON, escaped."""

HEADERS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST",
    "access-control-allow-headers": "authorization, content-type",
    "access-control-max-age": "600",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "cross-origin",
}
"""No cookie is ever read here, so another site can send nothing that its page was not given a token for."""

WIDGET = """// SPDX-License-Identifier: Apache-2.0
"use strict";
(() => {
  const me = document.currentScript;
  const box = document.createElement("form");
  const said = document.createElement("span");
  said.setAttribute("role", "status");
  const send = async (fields) => {
    try {
      const answer = await fetch(new URL("/api/feedback", me.src), {
        method: "POST", headers: { "content-type": "application/json" }, credentials: "omit",
        body: JSON.stringify({ task_id: me.dataset.task, token: me.dataset.token, ...fields }) });
      said.textContent = answer.ok ? " Thank you." : " This could not be sent.";
    } catch { said.textContent = " This could not be sent."; }
  };
  const button = (text, click) => {
    const one = document.createElement("button");
    one.type = "button"; one.textContent = text; one.addEventListener("click", click);
    box.append(one, " ");
  };
  const field = document.createElement("input");
  field.setAttribute("aria-label", "What would have been right?");
  field.placeholder = "What would have been right?"; field.maxLength = 8000; field.hidden = true;
  button("Right", () => send({ kind: "thumb", value: 1 }));
  button("Wrong", () => { send({ kind: "thumb", value: -1 }); field.hidden = false; field.focus(); });
  box.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim()) send({ kind: "correction", text: field.value });
  });
  box.append(field, said);
  me.after(box);
})();
"""
"""The whole widget: `<script src=".../api/feedback/widget.js" data-task="TRACE_ID" data-token="TOKEN"></script>`."""


def api_app(desk: Desk, few_shots: FewShots) -> App:
    """Return the application under /api."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        path, method = request.url.path, request.method
        if path == "/api/feedback/widget.js" and method in {"GET", "HEAD"}:
            headers = {**HEADERS, "cache-control": "max-age=600"}
            response = Response(WIDGET, media_type="text/javascript; charset=utf-8", headers=headers)
        elif path not in {"/api/feedback", "/api/few-shot"}:
            response = _refused(404, {"code": "unknown-name", "message": "no such address"})
        elif method == "OPTIONS":
            response = Response(status_code=204, headers=HEADERS)
        elif method != "POST":
            response = _refused(405, {"code": "usage", "message": "this is posted"})
        else:
            response = await _posted(desk, few_shots, request)
        await response(scope, receive, send)

    return app


async def _posted(desk: Desk, few_shots: FewShots, request: Request) -> Response:
    feeds_back = request.url.path == "/api/feedback"
    bytes_max = FEEDBACK_BODY_BYTES_MAX if feeds_back else QUESTION_BYTES_MAX
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            return _refused(413, {"code": "limit", "message": f"at most {bytes_max:,} bytes are read"})
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    sender = request.client.host if request.client else ""
    try:
        if feeds_back:
            said = await run_in_threadpool(desk.hand_in, bytes(body), bearer=bearer, sender=sender)
            return JSONResponse(said, status_code=202 if said["status"] == "kept" else 200, headers=HEADERS)
        found = await run_in_threadpool(_found, desk, few_shots, bytes(body), bearer)
        return JSONResponse(found, headers=HEADERS)
    except PilothouseError as error:
        return _refused(_status(error), error.as_record(), retry=isinstance(error, TooFast))


def _found(desk: Desk, few_shots: FewShots, body: bytes, bearer: str) -> dict[str, Any]:
    try:
        asked = json.loads(body)
        agent, text = asked["agent"], asked["input"]
        task_type, k = asked.get("task_type"), asked.get("k", 5)
        fits = isinstance(agent, str) and isinstance(text, str) and type(k) is int
        fits = fits and (task_type is None or isinstance(task_type, str))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        fits = False
    if not fits:
        raise UsageError(
            "ask with `agent` and `input`, and if need be `task_type` and `k`",
            remedy='For example `{"agent": "ap-invoice-triage", "input": "invoice of Acme", "k": 5}`.',
        )
    desk.need_key(bearer, agent)
    version, examples = few_shots.find(agent, text, task_type=task_type, k=k)
    return {
        "version": version,
        "examples": [
            {"input": one.input, "output": one.output, "task_type": one.task_type} for one in examples
        ],
    }


def _status(error: PilothouseError) -> int:
    kinds = ((TooFast, 429), (Denied, 403), (UnknownName, 404), (Conflict, 409), (InfrastructureError, 503))
    return next((status for kind, status in kinds if isinstance(error, kind)), 422)


def _refused(status: int, record: object, *, retry: bool = False) -> Response:
    headers = {**HEADERS, **({"retry-after": "60"} if retry else {})}
    return Response(
        json.dumps({"error": record}), status_code=status, media_type="application/json", headers=headers
    )
