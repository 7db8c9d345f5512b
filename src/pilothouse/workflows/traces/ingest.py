# SPDX-License-Identifier: Apache-2.0
"""Import OTLP files into an intake (file → requests → receipts), keeping every good request.

A file holds one request in JSON or protobuf, JSON lines as a collector's file exporter writes them, or
protobuf requests each preceded by its length; any of them may be compressed with gzip.
"""

from __future__ import annotations

import gzip
import io
import json
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pilothouse.errors import Place, StorageUnavailable, UsageError
from pilothouse.ports.intake import Intake, IntakeAnswer, Receipt, Signal

__all__ = ["ImportFault", "ImportReport", "ImportedRequest", "import_files", "read_requests"]

FILE_BYTES_MAX = 4 << 30
"""Largest file, inflated; a larger one is split by whoever wrote it."""

PART_BYTES = 1 << 16
"""Inflated at once: so much at the end of a file that is cut off is not read."""

REQUEST_BYTES_MAX = 16 << 20
"""Largest single request: what the intake takes."""

FAULTS_MAX = 100
"""Faults that are told one by one; further ones are counted."""

BUSY_TRIES_MAX = 600
"""How often a busy intake is asked again, with a pause of `BUSY_PAUSE_S`: a minute in all."""

BUSY_PAUSE_S = 0.1

NAMES_ARE_FOR_JSON = (
    "agent and task type are added to OTLP in JSON only; let the OpenTelemetry Collector write the file as JSON, or name "
    "them in its `resource` processor"
)

JSON_KEYS = {
    "resourceSpans": Signal.TRACES,
    "resourceLogs": Signal.LOGS,
    "resourceMetrics": Signal.METRICS,
}


UNNAMED: Mapping[str, str] = MappingProxyType({})
"""Nothing is added to what a file says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRequest:
    """One request found in a file.

    Attributes:
        signal: What it carries.
        content_type: How it is written.
        body: The request, not compressed.
        place: Where it begins: line for JSON, byte offset for protobuf.
        end: Position in the file after it, bytes, for progress.
    """

    signal: Signal
    content_type: str
    body: bytes
    place: str
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFault:
    """Something in a file that could not be imported.

    Attributes:
        place: `file:line` or `file, byte n`.
        reason: One sentence.
    """

    place: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import did.

    Attributes:
        files: Files read.
        requests: Requests taken in.
        items: Items taken in.
        rejected: Broken items inside requests that were otherwise taken.
        faults: What could not be taken, at most `FAULTS_MAX`, in file order.
        faults_total: All of them.
    """

    files: int
    requests: int
    items: int
    rejected: int
    faults: tuple[ImportFault, ...]
    faults_total: int


def import_files(
    paths: Sequence[Path],
    intake: Intake,
    *,
    signal: Signal = Signal.TRACES,
    named: Mapping[str, str] = UNNAMED,
    on_progress: Callable[[int], None] = lambda _bytes: None,
    pause: Callable[[float], None] = time.sleep,
) -> ImportReport:
    """Send every request of some files to an intake; what is broken is reported and stops nothing.

    Args:
        paths: Files, read in this order.
        intake: Where the requests go.
        signal: What protobuf files carry; JSON says it itself.
        named: Attributes for each resource that does not say them, as `pilothouse run` gives them to a process; JSON only.
        on_progress: Told how many more bytes were read.
        pause: Waits while the intake is busy.

    Returns:
        What was taken and what was not.

    Raises:
        UsageError: A file does not exist.
        StorageUnavailable: The intake stayed busy.
    """
    for path in paths:
        if not path.is_file():
            raise UsageError(f"there is no file {str(path)!r}", remedy="Check the path.", subject=str(path))
    requests = items = rejected = 0
    faults: list[ImportFault] = []
    for path in paths:
        done = 0
        for found in read_requests(path, signal=signal):
            if isinstance(found, ImportFault):
                faults.append(found)
                continue
            if named and found.content_type != "application/json":
                faults.append(ImportFault(place=found.place, reason=NAMES_ARE_FOR_JSON))
                continue
            receipt = _send(intake, _with_names(found, named), pause)
            on_progress(found.end - done)
            done = found.end
            if receipt.answer is not IntakeAnswer.ACCEPTED:
                faults.append(ImportFault(place=found.place, reason=receipt.reason))
                continue
            requests += 1
            items += receipt.items - receipt.rejected
            rejected += receipt.rejected
            if receipt.rejected:
                reason = f"{receipt.rejected} of {receipt.items} items rejected; {receipt.reason}"
                faults.append(ImportFault(place=found.place, reason=reason))
    return ImportReport(
        files=len(paths),
        requests=requests,
        items=items,
        rejected=rejected,
        faults=tuple(faults[:FAULTS_MAX]),
        faults_total=len(faults),
    )


def read_requests(path: Path, *, signal: Signal = Signal.TRACES) -> Iterator[ImportedRequest | ImportFault]:
    """Find the requests of one file.

    Args:
        path: The file.
        signal: What it carries if it is protobuf.

    Yields:
        Requests and faults, in file order.
    """
    try:
        data, cut = _read(path)
    except OSError as error:
        yield ImportFault(place=str(path), reason=f"it cannot be read: {error}")
        return
    if not data.strip():
        if not cut:
            yield ImportFault(place=str(path), reason="it is empty")
    elif _is_json(data):
        yield from _json_requests(path, data.removeprefix(b"\xef\xbb\xbf"))
    else:
        yield from _protobuf_requests(path, data, signal)
    if cut:
        yield ImportFault(
            place=str(path),
            reason=f"what follows its first {len(data):,} bytes (inflated) cannot be read: {cut}",
        )


def _with_names(found: ImportedRequest, named: Mapping[str, str]) -> ImportedRequest:
    """Add what a log of before could not say; whatever has another shape is the intake's to refuse."""
    if not named:
        return found
    document = json.loads(found.body)
    (key,) = (one for one in JSON_KEYS if one in document)
    groups = document[key]
    for group in groups if isinstance(groups, list) else ():
        if not isinstance(group, dict):
            continue
        resource = group.get("resource") or {}
        said = resource.get("attributes") or [] if isinstance(resource, dict) else None
        if isinstance(said, list):
            group["resource"] = {**resource, "attributes": [*said, *_unsaid(said, named)]}
    return replace(found, body=json.dumps(document).encode())


def _unsaid(said: Sequence[Any], named: Mapping[str, str]) -> list[dict[str, Any]]:
    keys = {one.get("key") for one in said if isinstance(one, dict)}
    return [{"key": key, "value": {"stringValue": value}} for key, value in named.items() if key not in keys]


def _send(intake: Intake, found: ImportedRequest, pause: Callable[[float], None]) -> Receipt:
    for _ in range(BUSY_TRIES_MAX):
        receipt = intake.accept(
            found.signal,
            content_type=found.content_type,
            content_encoding="",
            body=found.body,
            source="import",
        )
        if receipt.answer not in (IntakeAnswer.BUSY, IntakeAnswer.OVER_QUOTA):
            return receipt
        pause(BUSY_PAUSE_S)
    raise StorageUnavailable(
        f"nothing is taken in: {receipt.reason}",
        remedy="Look at `pilothouse doctor`; importing again is safe, repeated spans count once.",
    )


def _read(path: Path) -> tuple[bytes, str]:
    """Return what a file holds, inflated, and why not all of it could be read, or empty: a collector that was killed leaves half a file."""
    cut = ""
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not is_gzip:
            data = file.read(FILE_BYTES_MAX + 1)
        else:
            parts = io.BytesIO()
            with gzip.open(file) as inflated:
                try:
                    while parts.tell() <= FILE_BYTES_MAX and (part := inflated.read1(PART_BYTES)):
                        parts.write(part)
                except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                    cut = str(error)
            data = parts.getvalue()
    if len(data) > FILE_BYTES_MAX:
        raise OSError(f"it is larger than {FILE_BYTES_MAX} bytes")
    return data, cut


def _is_json(data: bytes) -> bool:
    """Whether it is text that begins an object: so begins protobuf too whose first part has 123 bytes."""
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"{":
        return False
    size, start = _varint(data, 0)
    if not _is_message(data) and not (size and _is_message(data[start : start + size])):
        return True
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _json_requests(path: Path, data: bytes) -> Iterator[ImportedRequest | ImportFault]:
    """JSON lines if the first line is a whole document, else one document."""
    first = data.lstrip().split(b"\n", 1)[0]
    try:
        json.loads(first)
    except ValueError:
        whole = _json_request(path, data, data, 1, len(data))
        if isinstance(whole, ImportedRequest) or first.strip() in (b"{", b""):
            yield whole
            return
    at = 0
    for number, line in enumerate(data.split(b"\n"), start=1):
        at += len(line) + 1
        if line.strip():
            yield _json_request(path, data, line, number, min(at, len(data)))


def _json_request(path: Path, data: bytes, text: bytes, line: int, end: int) -> ImportedRequest | ImportFault:
    place = str(Place(str(path), line))
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        if text is data:
            place = str(Place(str(path), error.lineno, error.colno))
        return ImportFault(place=place, reason=f"it is no JSON: {error.msg} at column {error.colno}")
    except (ValueError, RecursionError) as error:
        return ImportFault(place=place, reason=f"it is no JSON: {error}")
    keys = [key for key in JSON_KEYS if isinstance(document, dict) and key in document]
    if len(keys) != 1:
        return ImportFault(
            place=place,
            reason="it is no OTLP request: it needs resourceSpans, resourceLogs or resourceMetrics",
        )
    if len(text) > REQUEST_BYTES_MAX:
        return ImportFault(place=place, reason=f"one request has more than {REQUEST_BYTES_MAX} bytes")
    return ImportedRequest(
        signal=JSON_KEYS[keys[0]], content_type="application/json", body=text, place=place, end=end
    )


def _protobuf_requests(path: Path, data: bytes, signal: Signal) -> Iterator[ImportedRequest | ImportFault]:
    """One message if its fields cover the file exactly, else messages preceded by their lengths."""
    if _is_message(data):
        yield ImportedRequest(
            signal=signal,
            content_type="application/x-protobuf",
            body=data,
            place=f"{path}, byte 0",
            end=len(data),
        )
        return
    at = 0
    while at < len(data):
        size, start = _varint(data, at)
        if size is None or start + size > len(data) or not _is_message(data[start : start + size]):
            reason = "it is neither an OTLP request in JSON or protobuf, nor a list of them"
            if at:
                reason = "what follows is no request preceded by its length; is the file cut off?"
            yield ImportFault(place=f"{path}, byte {at}", reason=reason)
            return
        yield ImportedRequest(
            signal=signal,
            content_type="application/x-protobuf",
            body=data[start : start + size],
            place=f"{path}, byte {at}",
            end=start + size,
        )
        at = start + size


def _is_message(data: bytes) -> bool:
    """Whether the bytes are a sequence of field 1, length-delimited, as every export request is."""
    at = 0
    while at < len(data):
        if data[at] != 0x0A:
            return False
        size, at = _varint(data, at + 1)
        if size is None or at + size > len(data):
            return False
        at += size
    return True


def _varint(data: bytes, at: int) -> tuple[int | None, int]:
    """Return a number and the position after it; None when it is cut off or too long."""
    number = 0
    for shift in range(0, 35, 7):
        if at >= len(data):
            return None, at
        number |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return number, at
    return None, at
