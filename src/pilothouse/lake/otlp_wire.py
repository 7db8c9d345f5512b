# SPDX-License-Identifier: Apache-2.0
"""Protobuf messages that leave the attributes of spans and log records, and the status, as raw bytes.

On the wire a message and a byte string look the same. Declared as `bytes`, an attribute costs no objects of
the parser, and one look-up in a table of those that were read before tells what it is.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

__all__ = ["KeyValue", "LogsRequest", "Status", "TracesRequest"]

RAW = {("Span", "attributes"), ("Span", "status"), ("LogRecord", "attributes")}
"""Messages and their fields that are left as bytes."""


def _with_raw_attributes(official: Any, package: str) -> descriptor_pb2.FileDescriptorProto:
    """Return the official descriptor under another package, with the fields in `RAW` as bytes."""
    file = descriptor_pb2.FileDescriptorProto()
    official.DESCRIPTOR.CopyToProto(file)
    before, after = f".{file.package}.", f".{package}."
    file.package, file.name = package, f"{package}.proto"
    for message in file.message_type:
        for part in (message, *message.nested_type):
            for field in part.field:
                if (part.name, field.name) in RAW:
                    field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
                    field.ClearField("type_name")
                elif field.type_name.startswith(before):
                    field.type_name = after + field.type_name.removeprefix(before)
    return file


def _messages() -> tuple[Any, ...]:
    pool = descriptor_pool.DescriptorPool()
    for official in (common_pb2, resource_pb2):
        pool.AddSerializedFile(official.DESCRIPTOR.serialized_pb)
    pool.Add(_with_raw_attributes(trace_pb2, "pilothouse.trace"))
    pool.Add(_with_raw_attributes(logs_pb2, "pilothouse.logs"))

    def message(name: str) -> Any:
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))

    return (
        message("pilothouse.trace.TracesData"),
        message("pilothouse.logs.LogsData"),
        message("opentelemetry.proto.common.v1.KeyValue"),
        message("pilothouse.trace.Status"),
    )


TracesRequest, LogsRequest, KeyValue, Status = _messages()
"""`ExportTraceServiceRequest` and `ExportLogsServiceRequest` with raw fields, one attribute, and one status."""
