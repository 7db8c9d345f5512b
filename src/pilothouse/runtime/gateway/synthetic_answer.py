# SPDX-License-Identifier: Apache-2.0
"""A whole answer that no model gave: a text of the gateway or of a person, in the form of the protocol in use."""

from __future__ import annotations

import json
from typing import Any

from pilothouse.runtime.gateway.call import Call
from pilothouse.runtime.gateway.relay import Whole
from pilothouse.runtime.gateway.routes import Operation

__all__ = ["answer_with"]


def answer_with(call: Call, text: str) -> Whole:
    """Return an answer of the protocol in use that says a text: the gateway's, or a person's."""
    ident = call.hold_id or call.call_id
    body: dict[str, Any]
    model = call.served_model or call.model
    if call.route.operation is Operation.MESSAGES:
        body = {
            "id": f"msg_{ident}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
    elif call.route.operation is Operation.RESPONSES:
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        body = {
            "id": f"resp_{ident}",
            "object": "response",
            "created_at": call.began_ns // 10**9,
            "status": "completed",
            "model": model,
            "output": [
                {
                    "type": "message",
                    "id": f"msg_{ident}",
                    "role": "assistant",
                    "status": "completed",
                    "content": [part],
                }
            ],
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }
    else:
        body = {
            "id": f"chatcmpl-{ident}",
            "object": "chat.completion",
            "created": call.began_ns // 10**9,
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": "stop",
                    "logprobs": None,
                }
            ],
        }
    return Whole(200, [(b"content-type", b"application/json")], json.dumps(body).encode(), "")
