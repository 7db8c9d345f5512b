# SPDX-License-Identifier: Apache-2.0
"""OTLP over gRPC: three services that pass raw bodies to the same intake as HTTP.

Without a deserializer gRPC hands over the bytes as they came (inflated), so that a request costs no more
than over HTTP. Needs the extra `pilothouse[grpc]`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc

from pilothouse.errors import Conflict
from pilothouse.interfaces.http.ingest_key import source_of
from pilothouse.interfaces.http.otlp import AsyncIntake
from pilothouse.interfaces.http.otlp_messages import export_response, retry_delay, rpc_status
from pilothouse.ports.intake import IntakeAnswer, Signal

__all__ = ["GrpcServer", "start_grpc"]

SERVICES = {
    "opentelemetry.proto.collector.trace.v1.TraceService": Signal.TRACES,
    "opentelemetry.proto.collector.logs.v1.LogsService": Signal.LOGS,
    "opentelemetry.proto.collector.metrics.v1.MetricsService": Signal.METRICS,
}

BODY_BYTES_MAX = 16 << 20
"""Largest request after inflating: gRPC inflates before it hands over, so this bounds both."""

REQUESTS_MAX = 8
"""Requests read at once: 128 MiB at the very worst. Others wait with their senders, held by flow control."""

STOP_S = 5.0
"""How long requests in flight may take to finish after a stop was asked."""

CODE = {
    IntakeAnswer.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
    IntakeAnswer.TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    IntakeAnswer.UNSUPPORTED: grpc.StatusCode.INVALID_ARGUMENT,
    IntakeAnswer.OVER_QUOTA: grpc.StatusCode.RESOURCE_EXHAUSTED,
    IntakeAnswer.BUSY: grpc.StatusCode.UNAVAILABLE,
}
"""Exporters come again after UNAVAILABLE, and after RESOURCE_EXHAUSTED with a RetryInfo; after nothing else."""

RETRIED = (IntakeAnswer.OVER_QUOTA, IntakeAnswer.BUSY)

OPTIONS = (
    ("grpc.max_receive_message_length", BODY_BYTES_MAX),
    ("grpc.so_reuseport", 0),  # else two servers share a port and each gets half of the spans
)


class GrpcServer:
    """A server that takes requests until it is stopped.

    Args:
        server: The started server.
        address: Where it listens, `host:port`.
    """

    def __init__(self, server: grpc.Server, address: str) -> None:
        self._server = server
        self.address = address

    def stop(self) -> None:
        """Accept no more requests and answer those in flight."""
        self._server.stop(STOP_S).wait()


def start_grpc(intake: AsyncIntake, host: str, port: int) -> GrpcServer:
    """Serve OTLP over gRPC.

    Args:
        intake: Where requests go.
        host: A loopback address.
        port: Port, or 0 to let the system choose.

    Raises:
        Conflict: Something listens on the port already.
    """
    place = f"[{host}]" if ":" in host else host
    _need_free(host, port)
    server = grpc.server(
        ThreadPoolExecutor(REQUESTS_MAX, thread_name_prefix="pilothouse-grpc"), options=OPTIONS
    )
    for service, signal in SERVICES.items():
        handler = grpc.unary_unary_rpc_method_handler(_exporter(intake, signal))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
    try:
        bound = server.add_insecure_port(f"{place}:{port}")
    except RuntimeError as error:
        raise _taken(host, port) from error
    server.start()
    return GrpcServer(server, f"{place}:{bound}")


def _exporter(intake: AsyncIntake, signal: Signal) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    def export(body: bytes, context: grpc.ServicerContext) -> bytes:
        told = {name: value for name, value in context.invocation_metadata() if isinstance(value, str)}
        receipt = intake.submit(
            signal,
            content_type="application/x-protobuf",
            content_encoding="",
            body=body,
            source=source_of(told.get("x-pilothouse-key", ""), told.get("authorization", "")),
        ).result()
        if receipt.answer is IntakeAnswer.ACCEPTED:
            return export_response(receipt)
        code = CODE[receipt.answer]
        retry_s = receipt.retry_after_s if receipt.answer in RETRIED else None
        details = rpc_status(code.value[0], receipt.reason, retry_after_s=retry_s)
        trailers = [("grpc-status-details-bin", details)]
        if retry_s is not None:
            trailers.append(
                ("google.rpc.retryinfo-bin", retry_delay(retry_s))
            )  # what the Python exporter reads
        context.set_trailing_metadata(tuple(trailers))
        context.set_code(code)
        context.set_details(receipt.reason)
        return b""

    return export


def _need_free(host: str, port: int) -> None:
    """Check that the port is free first: gRPC would print its own error over several lines."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise _taken(host, port) from error


def _taken(host: str, port: int) -> Conflict:
    return Conflict(
        f"port {port} on {host} is taken, so OTLP over gRPC is not",
        remedy="Send OTLP over HTTP, or choose another: `pilothouse up --grpc-port 0`.",
        subject=str(port),
    )
