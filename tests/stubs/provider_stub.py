# SPDX-License-Identifier: Apache-2.0
"""A provider on loopback that speaks both protocols and fails in every way that providers do.

It is a bare socket server, because a well-behaved one cannot half-close, stall or lie about lengths. It
notes what it was asked and whether its client went away before the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import threading
from dataclasses import dataclass, field

CREATED = 1_767_225_600


@dataclass
class Plan:
    """How the next call is answered.

    `status` other than 200 answers with an error; `after` chunks a stream ends in `ending`:
    `whole`, `error_event`, `stall`, `half_close`, `reset`. A message that is thought about first has `pings`
    before its content, and every event of a stream comes `between_s` after the last.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    ending: str = "whole"
    after: int = 10_000
    model: str | None = None
    gzip: bool = False
    text: str = "The order is on its way."
    pause_s: float = 0.0
    between_s: float = 0.0
    pings: int = 0
    body: bytes | None = None
    usage: bool = True
    close: bool = False


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    client_gone: bool = False
    done: bool = False

    @property
    def json(self):
        return json.loads(self.body)


class ProviderStub:
    """Use it as a context manager; `plan` what comes, look at `seen` afterwards."""

    def __init__(self, *, default: Plan | None = None) -> None:
        self.seen: list[Seen] = []
        self.default = default or Plan()
        self._plans: list[Plan] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0

    def plan(self, *plans: Plan) -> None:
        """Answer the next calls like this, then as by default."""
        self._plans.extend(plans)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)

        async def begin() -> None:
            self._server = server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()

        self._loop.run_until_complete(begin())
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader.gone = gone = self._loop.create_future()
        for name in ("feed_eof", "set_exception"):  # what a closed connection does to its reader
            setattr(reader, name, _telling(gone, getattr(reader, name)))
        with contextlib.suppress(
            ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError
        ):
            while await self._one(reader, writer):
                pass
        with contextlib.suppress(Exception):
            writer.close()

    async def _one(self, reader, writer) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, path, _ = first.split(" ")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
        body = b""
        if "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            while size := int((await reader.readline()).strip(), 16):
                body += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
        seen = Seen(method, path, headers, body)
        self.seen.append(seen)
        plan = self._plans.pop(0) if self._plans else self.default
        watch = reader.gone
        watch.add_done_callback(lambda _: setattr(seen, "client_gone", seen.client_gone or not seen.done))
        try:
            return await self._answer(seen, plan, writer, watch)
        except ConnectionError:
            seen.client_gone = True
            raise
        finally:
            # Who waits for room to write hears of it before `gone` tells those who asked it to.
            seen.client_gone = seen.client_gone or watch.done()
            seen.done = True

    async def _answer(self, seen: Seen, plan: Plan, writer, watch) -> bool:
        if plan.pause_s:
            await asyncio.wait({watch}, timeout=plan.pause_s)
            if watch.done():
                return False
        if plan.ending == "reset" and plan.after == 0:
            writer.transport.abort()
            return False
        if plan.status != 200 or plan.body is not None:
            body = plan.body if plan.body is not None else self._error(seen, plan.status)
            _start(writer, plan.status, {"content-type": "application/json", **plan.headers}, len(body))
            writer.write(body)
            await writer.drain()
            return not plan.close
        asked = json.loads(seen.body) if seen.body else {}
        if not (asked.get("stream") or "stream=true" in seen.path):
            body = json.dumps(self._whole(seen, asked, plan)).encode()
            headers = {"content-type": "application/json", "x-request-id": "req_1", **plan.headers}
            if plan.gzip:
                body, headers["content-encoding"] = gzip.compress(body), "gzip"
            _start(writer, 200, headers, len(body))
            if plan.ending == "half_close":
                writer.write(body[: len(body) // 2])
                await writer.drain()
                writer.transport.abort()
                return False
            writer.write(body)
            await writer.drain()
            return True
        return await self._stream(self._events(seen, asked, plan), plan, writer, watch, seen)

    async def _stream(self, events, plan, writer, watch, seen) -> bool:
        headers = {"content-type": "text/event-stream", "x-request-id": "req_1", **plan.headers}
        if plan.gzip:
            packed = gzip.compress(b"".join(events))
            headers["content-encoding"] = "gzip"
            events = [packed[at : at + 64] for at in range(0, len(packed), 64)]
        _start(writer, 200, headers, None)
        for number, event in enumerate(events):
            if number >= plan.after:
                break
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()
            await asyncio.sleep(plan.between_s)
            if watch.done():
                return False
        if plan.ending == "stall":
            await asyncio.wait({watch}, timeout=30)
            return False
        if plan.ending == "half_close":
            writer.write_eof()
            return False
        if plan.ending == "reset":
            writer.transport.abort()
            return False
        if plan.ending == "error_event":
            event = self._error_event(seen)
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    def _error(self, seen: Seen, status: int) -> bytes:
        if "messages" in seen.path:
            kind = {429: "rate_limit_error", 529: "overloaded_error"}.get(status, "api_error")
            return json.dumps({"type": "error", "error": {"type": kind, "message": "made to fail"}}).encode()
        kind = "rate_limit_exceeded" if status == 429 else "server_error"
        return json.dumps(
            {"error": {"message": "made to fail", "type": kind, "param": None, "code": kind}}
        ).encode()

    def _error_event(self, seen: Seen) -> bytes:
        if seen.path.endswith("/chat/completions"):
            return b"data: " + self._error(seen, 500) + b"\n\n"
        if "messages" in seen.path:
            return b"event: error\ndata: " + self._error(seen, 529) + b"\n\n"
        record = {
            "type": "error",
            "code": "server_error",
            "message": "made to fail",
            "param": None,
            "sequence_number": 9,
        }
        return b"event: error\ndata: " + json.dumps(record).encode() + b"\n\n"

    def _whole(self, seen: Seen, asked, plan: Plan):
        model = plan.model or asked.get("model")
        if seen.path.endswith("/models"):
            return {
                "object": "list",
                "data": [{"id": "m-2026-01-01", "object": "model", "created": CREATED, "owned_by": "stub"}],
                "has_more": False,
                "first_id": None,
                "last_id": None,
            }
        if seen.path.endswith("/count_tokens"):
            return {"input_tokens": 12}
        if seen.path.endswith("/embeddings"):
            return {
                "object": "list",
                "model": model,
                "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
                "usage": {"prompt_tokens": 3, "total_tokens": 3},
            }
        if seen.path.endswith("/messages"):
            return {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": model,
                "content": [{"type": "text", "text": plan.text}],
                "stop_reason": "end_turn",
                "stop_sequence": None,
                "usage": {
                    "input_tokens": 10,
                    "cache_read_input_tokens": 4,
                    "cache_creation_input_tokens": 0,
                    "output_tokens": 6,
                },
            }
        if "/responses" in seen.path:
            return self._response(model or "m-2026-01-01", plan, "completed")
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": CREATED,
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": plan.text, "refusal": None},
                    "finish_reason": "stop",
                    "logprobs": None,
                }
            ],
            "usage": {
                "prompt_tokens": 10,
                "completion_tokens": 6,
                "total_tokens": 16,
                "prompt_tokens_details": {"cached_tokens": 4},
            },
        }

    def _response(self, model, plan: Plan, status: str):
        part = {"type": "output_text", "text": plan.text, "annotations": [], "logprobs": []}
        item = {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [part],
        }
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "model": model,
            "output": [item] if status == "completed" else [],
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "top_p": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "usage": {
                "input_tokens": 10,
                "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
                "output_tokens": 6,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 16,
            }
            if status == "completed"
            else None,
        }

    def _events(self, seen: Seen, asked, plan: Plan):
        model = plan.model or asked.get("model")
        words = plan.text.split(" ")
        pieces = [word + (" " if at < len(words) - 1 else "") for at, word in enumerate(words)]
        if seen.path.endswith("/messages"):

            def event(kind, **fields):
                return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()

            yield event(
                "message_start",
                message={
                    **self._whole(seen, asked, plan),
                    "content": [],
                    "stop_reason": None,
                    "usage": {
                        "input_tokens": 10,
                        "cache_read_input_tokens": 4,
                        "cache_creation_input_tokens": 0,
                        "output_tokens": 1,
                    },
                },
            )
            for _ in range(plan.pings):
                yield event("ping")
            yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
            for piece in pieces:
                yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
            yield event("content_block_stop", index=0)
            yield event(
                "message_delta",
                delta={"stop_reason": "end_turn", "stop_sequence": None},
                usage={"output_tokens": 6},
            )
            yield event("message_stop")
        elif "/responses" in seen.path:
            number = iter(range(10_000))

            def event(kind, **fields):
                body = {"type": kind, "sequence_number": next(number), **fields}
                return f"event: {kind}\ndata: {json.dumps(body)}\n\n".encode()

            done = self._response(model, plan, "completed")
            item = done["output"][0]
            where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
            yield event("response.created", response=self._response(model, plan, "in_progress"))
            yield event(
                "response.output_item.added",
                output_index=0,
                item={**item, "status": "in_progress", "content": []},
            )
            yield event("response.content_part.added", **where, part={**item["content"][0], "text": ""})
            for piece in pieces:
                yield event("response.output_text.delta", **where, delta=piece, logprobs=[])
            yield event("response.output_text.done", **where, text=plan.text, logprobs=[])
            yield event("response.content_part.done", **where, part=item["content"][0])
            yield event("response.output_item.done", output_index=0, item=item)
            yield event("response.completed", response=done)
        else:
            base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": CREATED, "model": model}

            def chunk(**fields):
                return f"data: {json.dumps({**base, **fields})}\n\n".encode()

            def choice(delta, finish=None):
                return [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]

            yield chunk(choices=choice({"role": "assistant", "content": ""}))
            for piece in pieces:
                yield chunk(choices=choice({"content": piece}))
            yield chunk(choices=choice({}, "stop"))
            if (asked.get("stream_options") or {}).get("include_usage"):
                yield chunk(
                    choices=[], usage={"prompt_tokens": 10, "completion_tokens": 6, "total_tokens": 16}
                )
            yield b"data: [DONE]\n\n"


def _telling(gone, then):
    def tell(*args):
        if not gone.done():
            gone.set_result(None)
        then(*args)

    return tell


def _start(writer, status: int, headers: dict[str, str], size: int | None) -> None:
    lines = [f"HTTP/1.1 {status} Made", *(f"{name}: {value}" for name, value in headers.items())]
    lines.append("transfer-encoding: chunked" if size is None else f"content-length: {size}")
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
