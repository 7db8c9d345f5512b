# SPDX-License-Identifier: Apache-2.0
"""Exports the agent's spans: through OpenTelemetry's configured provider, or else by itself.

A caller only appends to a bounded ring; a thread of its own writes OTLP/HTTP in JSON. When the ring is
full the newest span is dropped and counted, because a recorder must never slow or stop the agent.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
import time
from collections import deque
from typing import Any, Protocol

from pilothouse.runtime.random_ids import new_span_id, new_trace_id
from pilothouse.runtime.sdk.run import identity

__all__ = ["RING_MAX", "OtelSink", "Recorder", "Sink", "SpanRow", "sink"]

RING_MAX = 8_192
"""Spans that wait; at 300 bytes each they stay far below 16 MiB."""

TEXT_MAX = 16 * 1024
"""Characters of one attribute; what is longer is cut and marked."""

BATCH_MAX = 512
FLUSH_EVERY_S = 0.5
EXIT_FLUSH_S = 2.0
BACK_OFF_MAX_S = 30.0

SpanRow = tuple[str, str, str | None, str, int, int, bool, dict[str, Any]]
"""Trace id, span id, parent, name, start and end in Unix nanoseconds, whether it failed, attributes."""


class Sink(Protocol):
    """A destination of spans."""

    def open(self, name: str, parent: tuple[str, str] | None) -> tuple[str, str, Any]:
        """Begin a span; return trace id, span id and what `close` needs."""
        ...

    def close(self, opened: Any, name: str, *, failed: bool, attributes: dict[str, Any]) -> None:
        """End a span."""
        ...


class Recorder:
    """Our own exporter.

    Args:
        endpoint: Base address for OTLP, without `/v1/traces`.
        resource: Resource attributes.
    """

    def __init__(self, endpoint: str, resource: dict[str, str]) -> None:
        self._url = f"{endpoint.rstrip('/')}/v1/traces"
        self._resource = resource
        self._ring: deque[SpanRow] = deque()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self.dropped = 0
        """Spans that never left; an evidence gap, so it is exported too."""

    def open(self, name: str, parent: tuple[str, str] | None) -> tuple[str, str, Any]:
        """Begin a span; return trace id, span id and what `close` needs."""
        del name
        span_id = new_span_id()
        trace_id = parent[0] if parent else new_trace_id()
        return trace_id, span_id, (trace_id, span_id, parent[1] if parent else None, time.time_ns())

    def close(self, opened: Any, name: str, *, failed: bool, attributes: dict[str, Any]) -> None:
        """End a span; the newest is dropped when too many wait."""
        trace_id, span_id, parent, started = opened
        if len(self._ring) >= RING_MAX:
            self.dropped += 1
            return
        self._ring.append((trace_id, span_id, parent, name, started, time.time_ns(), failed, attributes))
        if self._thread is None:
            self._start()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all spans are sent; False on timeout."""
        until = time.monotonic() + timeout_s
        while self._ring and time.monotonic() < until:
            self._wake.set()
            time.sleep(0.01)
        return not self._ring

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="pilothouse-recorder", daemon=True)
                self._thread.start()
                atexit.register(self.flush, EXIT_FLUSH_S)
                os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        # The child has no thread, and what the parent will send is the parent's.
        self._ring = deque()
        self._thread = None
        self._lock = threading.Lock()
        self._wake = threading.Event()

    def _work(self) -> None:
        back_off_s = FLUSH_EVERY_S
        while True:
            self._wake.wait(back_off_s)
            self._wake.clear()
            while self._ring:
                batch = [self._ring[index] for index in range(min(BATCH_MAX, len(self._ring)))]
                if not self._send(batch):
                    back_off_s = min(back_off_s * 2, BACK_OFF_MAX_S)
                    break
                back_off_s = FLUSH_EVERY_S
                for _ in batch:
                    self._ring.popleft()

    def _send(self, batch: list[SpanRow]) -> bool:
        """Send once; False asks for a retry. Spans that can never be accepted are dropped and counted."""
        import http.client  # noqa: PLC0415 - only this thread pays for the import
        import urllib.error  # noqa: PLC0415 - only this thread pays for the import
        import urllib.request  # noqa: PLC0415 - same reason

        request = urllib.request.Request(  # noqa: S310 - the address is the user's own setting
            self._url, data=self._body(batch), headers={"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=5.0):  # noqa: S310 - same reason
                return True
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (429, 502, 503, 504):
                return False
            self.dropped += len(batch)
            return True
        except (OSError, ValueError, http.client.HTTPException):
            return False  # nobody is there, or somebody who speaks no HTTP: an exception would end the thread for good

    def _body(self, batch: list[SpanRow]) -> bytes:
        resource = {**self._resource, "pilothouse.recorder.dropped": str(self.dropped)}
        spans = [
            {
                "traceId": trace_id,
                "spanId": span_id,
                **({"parentSpanId": parent} if parent else {}),
                "name": name,
                "kind": 1,
                "startTimeUnixNano": str(started),
                "endTimeUnixNano": str(max(started, ended)),
                "attributes": [{"key": key, "value": _value(part)} for key, part in attributes.items()],
                "status": {"code": 2} if failed else {},
            }
            for trace_id, span_id, parent, name, started, ended, failed, attributes in batch
        ]
        document = {
            "resourceSpans": [
                {
                    "resource": {
                        "attributes": [{"key": key, "value": _value(part)} for key, part in resource.items()]
                    },
                    "scopeSpans": [{"scope": {"name": "pilothouse"}, "spans": spans}],
                }
            ]
        }
        return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


class OtelSink:
    """Sends spans through the tracer provider that the process has configured, so that nothing is doubled."""

    def __init__(self, tracer: Any, trace: Any, context: Any) -> None:
        self._tracer, self._trace, self._context = tracer, trace, context

    def open(self, name: str, parent: tuple[str, str] | None) -> tuple[str, str, Any]:
        """Begin a span as the current one; OpenTelemetry's own context names its parent."""
        del parent
        span = self._tracer.start_span(name)
        token = self._context.attach(self._trace.set_span_in_context(span))
        said = span.get_span_context()
        return f"{said.trace_id:032x}", f"{said.span_id:016x}", (span, token)

    def close(self, opened: Any, name: str, *, failed: bool, attributes: dict[str, Any]) -> None:
        """End a span."""
        del name
        span, token = opened
        span.set_attributes({key: _cut(part) for key, part in attributes.items() if part is not None})
        if failed:
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR))
        self._context.detach(token)
        span.end()


_LOCK = threading.Lock()
_SINK: list[Sink] = []


def sink() -> Sink:
    """Return where spans of this process go; decided at the first span."""
    if not _SINK:
        with _LOCK:
            if not _SINK:
                _SINK.append(_otel() or _own())
    return _SINK[0]


def _otel() -> Sink | None:
    """Return the configured provider; one that nobody configured would swallow every span."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    provider = trace.get_tracer_provider()
    if not hasattr(provider, "add_span_processor"):
        return None
    return OtelSink(provider.get_tracer("pilothouse"), trace, sys.modules["opentelemetry.context"])


def _own() -> Sink:
    said = identity()
    resource = {"service.name": said.get("pilothouse.agent", "pilothouse-sdk"), **said}
    return Recorder(os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"), resource)


def _cut(part: Any) -> Any:
    if isinstance(part, str) and len(part) > TEXT_MAX:
        return f"{part[:TEXT_MAX]}…[{len(part) - TEXT_MAX} characters cut]"
    return part


def _value(part: Any) -> dict[str, Any]:
    if isinstance(part, bool):
        return {"boolValue": part}
    if isinstance(part, int):
        return {"intValue": str(part)}
    if isinstance(part, float):
        return {"doubleValue": part}
    return {"stringValue": _cut(str(part))}
