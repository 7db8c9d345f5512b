# SPDX-License-Identifier: Apache-2.0
"""Open a target by its address (`python:app:run`, `http://...`, `exec:...`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.errors import UsageError
from pilothouse.evals.targets.chat_endpoint import ChatEndpoint
from pilothouse.evals.targets.http_endpoint import HttpEndpoint
from pilothouse.evals.targets.python_function import PythonFunction
from pilothouse.evals.targets.recorded import RecordedFile, RecordedTraces
from pilothouse.evals.targets.target import Target
from pilothouse.evals.targets.worker_process import WorkerProcess

if TYPE_CHECKING:
    from pilothouse.ports.lake import Lake

__all__ = ["FORMS", "open_target"]

FORMS = "python:MODULE:FUNCTION, http://URL, exec:COMMAND, openai:URL?model=NAME, recorded:FILE.jsonl or recorded:lake"
"""Every form an address can have, for help and errors."""


def open_target(
    address: str,
    *,
    version: str | None = None,
    lake: Lake | None = None,
    is_alone: bool = False,
    stand_ins: frozenset[str] = frozenset(),
) -> Target:
    """Open the target behind an address.

    Args:
        address: One of `FORMS`.
        version: Version digest of the agent behind it, or None to compute what can be computed.
        lake: Telemetry, for `recorded:lake`.
        is_alone: Whether no two trials run at once.
        stand_ins: Models whose work in recorded traces is none of this version.

    Raises:
        UsageError: The address has none of the forms, or what it names is not there.
    """
    kind, _, rest = address.partition(":")
    if kind == "python" and ":" in rest:
        return PythonFunction(rest, version=version, is_alone=is_alone)
    if kind in {"http", "https"}:
        url = rest if rest.startswith(("http://", "https://")) else address
        return HttpEndpoint(url, version=version)
    if kind == "exec" and rest:
        return WorkerProcess(rest, version=version)
    if kind == "openai" and rest.startswith(("http://", "https://")):
        return ChatEndpoint(rest, version=version)
    if kind == "recorded" and rest == "lake":
        if lake is None:
            raise UsageError("recorded:lake needs an installation.", remedy="Give --home DATA-FOLDER.")
        return RecordedTraces(lake, version=version, stand_ins=stand_ins)
    if kind == "recorded" and rest:
        return RecordedFile(Path(rest), version=version)
    raise UsageError(f"{address!r} is no target.", remedy=f"Give one of: {FORMS}.", subject=address)
