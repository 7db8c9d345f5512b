# SPDX-License-Identifier: Apache-2.0
"""A provider that answers as chance wants: text, tools, refusals, streams cut into any pieces, compressed or not, and failures of all kinds.

Each request names its script in the header `x-nonce`; what was really sent is kept beside it.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections import defaultdict
from dataclasses import dataclass
from random import Random

from tests.stubs.provider_stub import ProviderStub

WORDS = (
    "Där",
    "är",
    "försendelsen",
    "7",
    "\u2028",
    "😀",
    "data:",
    "[DONE]",
    "\\n",
    '"quoted"',
    "{brace}",
    "usage",
    "error",
    "tool",
    "null",
)
FAILURES = ("status", "reset", "cut", "late_error", "early_error")
STATUSES = (400, 404, 408, 422, 429, 500, 502, 503, 529)
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "made to fail"}}


@dataclass
class Sent:
    """One answer of the provider.

    `tokens` is what it said that it used, None where it did not; `made` is what goes on in the history, `uses` the ids of its calls.
    """

    status: int
    headers: list
    body: bytes
    kind: str = "good"
    cut: int | None = None
    tokens: int | None = None
    made: tuple = ()
    uses: tuple = ()


def text_of(chance, most=30):
    return " ".join(chance.choice(WORDS) for _ in range(chance.randint(1, most)))


def pieces_of(chance, data):
    """Cut bytes anywhere."""
    most = chance.choice((17, 200, 5_000)) if len(data) > 2_000 else chance.choice((1, 3, 17, 200, 5_000))
    at = 0
    while at < len(data):
        size = chance.randint(1, most)
        yield data[at : at + size]
        at += size


class RandomProvider(ProviderStub):
    """Use it as a context manager; `script` what a request gets, look at `sent` and `asked` afterwards, both by nonce."""

    def __init__(self, seed):
        super().__init__()
        self._seed = seed
        self._kinds = {}
        self.sent = defaultdict(list)
        self.asked = defaultdict(list)

    def script(self, nonce, *, kinds, tools, secret):
        """Answer the attempts of a request so: what fails, how many tools are called, what secret is said."""
        self._kinds[nonce] = (list(kinds), tools, secret)

    async def _answer(self, seen, plan, writer, watch):
        nonce = seen.headers["x-nonce"]
        kinds, tools, secret = self._kinds[nonce]
        self.asked[nonce].append(seen)
        chance = Random(f"{self._seed} {nonce} {len(kinds)}")
        sent = _sent(chance, kinds.pop(0), seen, tools, secret)
        self.sent[nonce].append(sent)
        if sent.kind == "reset":
            writer.transport.abort()
            return False
        lines = [f"HTTP/1.1 {sent.status} Made", *(f"{name}: {value}" for name, value in sent.headers)]
        writer.write(("\r\n".join(lines) + "\r\ntransfer-encoding: chunked\r\n\r\n").encode())
        for piece in pieces_of(chance, sent.body if sent.cut is None else sent.body[: sent.cut]):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(0)
            if watch.done():
                return False
        if sent.cut is not None:
            await asyncio.sleep(0.01)
            writer.transport.abort()
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


def _sent(chance, kind, seen, tools, secret):
    if kind == "reset":
        return Sent(0, [], b"", kind)
    if kind == "status":
        status = chance.choice(STATUSES)
        headers = [("content-type", "application/json")]
        if status in {429, 503}:
            headers.append(("retry-after", chance.choice(("0", "1", "900", "-5", "x"))))
        return Sent(status, headers, json.dumps(OVERLOADED).encode(), kind)
    asked, operation = json.loads(seen.body), seen.path.rsplit("/", 1)[1]
    document, events, tokens, made, uses = ANSWERS[operation](chance, asked, tools, secret)
    is_stream = asked.get("stream") is True
    body = _events(chance, events, kind) if is_stream else json.dumps(document).encode()
    headers = [("content-type", "text/event-stream" if is_stream else "application/json")]
    body = _packed(chance, body, headers)
    says_usage = not is_stream or operation != "completions" or "stream_options" in asked
    return Sent(
        200,
        headers,
        body,
        kind if is_stream or kind == "cut" else "good",
        chance.randint(0, len(body) - 1) if kind == "cut" else None,
        tokens if says_usage else None,
        made,
        uses,
    )


def _events(chance, events, kind):
    if kind in {"early_error", "late_error"}:
        begun = 1 if kind == "early_error" else chance.randint(min(3, len(events) - 1), len(events) - 1)
        events = [*events[:begun], OVERLOADED]
    end, lines = chance.choice(("\n", "\n", "\r\n")), []
    for event in events:
        if chance.random() < 0.1:
            lines.append(f": comment{end}{end}")
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=chance.random() < 0.5)
        name = f"event: {event['type']}{end}" if isinstance(event, dict) and "type" in event else ""
        lines.append(f"{name}data: {data}{end}{end}")
    return "".join(lines).encode()


def _packed(chance, body, headers):
    encoding = chance.choice(("", "", "", "gzip", "deflate", "members"))
    if not encoding:
        return body
    headers.append(("content-encoding", "deflate" if encoding == "deflate" else "gzip"))
    if encoding == "deflate":
        return zlib.compress(body)
    half = len(body) // 2 if encoding == "members" else len(body)
    return gzip.compress(body[:half]) + (gzip.compress(body[half:]) if half < len(body) else b"")


def _uses(chance, count, prefix):
    return [
        (
            f"{prefix}{chance.getrandbits(64):016x}",
            chance.choice(("look_up", "pay")),
            {"n": text_of(chance, 3)},
        )
        for _ in range(count)
    ]


def _spoken(chance, secret):
    return text_of(chance) + (f" {secret}" if secret else "")


def _chat(chance, asked, tools, secret):
    text, calls = _spoken(chance, secret), _uses(chance, tools, "call_")
    fed, cached, made = chance.randint(1, 5_000), chance.randint(0, 500), chance.randint(1, 3_000)
    usage = {
        "prompt_tokens": fed + cached,
        "completion_tokens": made,
        "total_tokens": fed + cached + made,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    message = {"role": "assistant", "content": text, "refusal": None}
    if calls:
        message["tool_calls"] = [
            {"id": ident, "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
            for ident, name, given in calls
        ]
    elif chance.random() < 0.1:
        message |= {"content": None, "refusal": text}
    head = {"id": f"chatcmpl-{chance.getrandbits(64):016x}", "model": asked["model"], "created": 1}
    deltas = [{"role": "assistant", "content": ""}]
    said = "content" if message["content"] else "refusal"
    deltas += [{said: text[at : at + 9]} for at in range(0, len(text), 9)]
    for number, call in enumerate(message.get("tool_calls", ())):
        deltas.append({"tool_calls": [{"index": number, **call, "function": {"name": "f", "arguments": ""}}]})
        deltas.append({"tool_calls": [{"index": number, "function": {"arguments": "{}"}}]})
    ends = "tool_calls" if calls else "stop"
    choices = [{"index": 0, "message": message, "finish_reason": ends}]
    events = [{**head, "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    events.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": ends}]})
    if "stream_options" in asked:
        events.append({**head, "choices": [], "usage": usage})
    results = [{"role": "tool", "tool_call_id": ident, "content": text_of(chance)} for ident, _, _ in calls]
    document = {**head, "choices": choices, "usage": usage}
    return document, [*events, "[DONE]"], fed + cached + made, (message, *results), tuple(c[0] for c in calls)


def _responses(chance, asked, tools, secret):
    text, calls = _spoken(chance, secret), _uses(chance, tools, "call_")
    fed, cached, made = chance.randint(1, 5_000), chance.randint(0, 500), chance.randint(1, 3_000)
    usage = {
        "input_tokens": fed + cached,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    items = [{"type": "reasoning", "id": f"rs_{chance.getrandbits(64):016x}", "summary": []}]
    items = items if chance.random() < 0.3 else []
    parts = [{"type": "output_text", "text": text, "annotations": []}]
    ident = f"msg_{chance.getrandbits(64):016x}"
    items.append({"type": "message", "id": ident, "role": "assistant", "content": parts})
    items += [
        {"type": "function_call", "call_id": ident, "name": name, "arguments": json.dumps(given)}
        for ident, name, given in calls
    ]
    head = {
        "id": f"resp_{chance.getrandbits(64):016x}",
        "model": asked["model"],
        "tools": [],
        "tool_choice": "auto",
    }
    document = {**head, "status": "completed", "output": items, "usage": usage}
    events = [
        {
            "type": "response.created",
            "response": {**head, "status": "in_progress", "output": [], "usage": None},
        },
        *({"type": "response.output_text.delta", "delta": part} for part in (text[:7], text[7:])),
        *(
            {"type": "response.output_item.done", "output_index": n, "item": one}
            for n, one in enumerate(items)
        ),
        {"type": "response.completed", "response": document},
    ]
    results = [{"type": "function_call_output", "call_id": c[0], "output": text_of(chance)} for c in calls]
    return document, events, fed + cached + made, (*items, *results), tuple(c[0] for c in calls)


def _messages(chance, asked, tools, secret):
    text, calls = _spoken(chance, secret), _uses(chance, tools, "toolu_")
    fed, cached, made = chance.randint(1, 5_000), chance.randint(0, 500), chance.randint(1, 3_000)
    usage = {"input_tokens": fed, "cache_read_input_tokens": cached, "output_tokens": made}
    content = [{"type": "text", "text": text}]
    content += [
        {"type": "tool_use", "id": ident, "name": name, "input": given} for ident, name, given in calls
    ]
    head = {
        "id": f"msg_{chance.getrandbits(64):016x}",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
    }
    document = {**head, "content": content, "stop_reason": "end_turn", "usage": usage}
    begun = {**head, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    events = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    for number, part in enumerate(content):
        events.append({"type": "content_block_start", "index": number, "content_block": part})
        delta = {"type": "text_delta", "text": text}
        if part["type"] == "tool_use":
            delta = {"type": "input_json_delta", "partial_json": json.dumps(part["input"])}
        events.append({"type": "content_block_delta", "index": number, "delta": delta})
        events.append({"type": "content_block_stop", "index": number})
    events.append(
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": made}}
    )
    results = [{"type": "tool_result", "tool_use_id": c[0], "content": text_of(chance)} for c in calls]
    answer = (
        {"role": "assistant", "content": content},
        *([{"role": "user", "content": results}] if calls else ()),
    )
    return (
        document,
        [*events, {"type": "message_stop"}],
        fed + cached + made,
        answer,
        tuple(c[0] for c in calls),
    )


ANSWERS = {"completions": _chat, "responses": _responses, "messages": _messages}
