# SPDX-License-Identifier: Apache-2.0
"""Client of the server for an agent's code: few-shot examples like its input, and feedback on its own tasks."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from pilothouse.errors import InfrastructureError, UsageError
from pilothouse.runtime.sdk.run import current_run, identity

if TYPE_CHECKING:
    from urllib.error import HTTPError

__all__ = ["TOKEN_VARIABLE", "feedback", "few_shots"]

TOKEN_VARIABLE: Final = "PILOTHOUSE_AGENT_TOKEN"  # noqa: S105 - a name, no secret
"""Where `pilothouse run` puts the token of the agent; it opens nothing that is not this agent's."""

WAIT_S: Final = 2.0
"""An agent does not wait longer for examples: without them it answers as it did before there were any."""

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
"""Twenty examples of 64 Ki characters each way."""

VERSION_MARK: Final = "pilothouse.few_shot.version"


def few_shots(value: Any, *, task_type: str | None = None, k: int = 5) -> tuple[dict[str, str], ...]:
    """Return the examples most similar to an input, best first; empty without a library or a server.

    The version of the library is noted on the task, so that its trace says what the model was shown.

    Args:
        value: The input: a text, or any JSON value.
        task_type: Only of this task type; the running task's, when None.
        k: How many, at most 20.

    Returns:
        `input`, `output` and `task_type` of each.

    Raises:
        UsageError: The server refuses the question; says why.

    Example:
        >>> few_shots("invoice of Acme")  # outside `pilothouse run` there is nobody to ask
        ()
    """
    run = current_run().get()
    asked = {
        "agent": _agent(),
        "input": value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True),
        "task_type": task_type
        or (run.task_type if run is not None and run.task_type != "undeclared" else None),
        "k": k,
    }
    try:
        answer = _post("/api/few-shot", asked)
        found = tuple(
            {name: str(one[name]) for name in ("input", "output", "task_type")} for one in answer["examples"]
        )
    except (InfrastructureError, KeyError, TypeError):
        return ()
    if run is not None and found:
        run.marks[VERSION_MARK] = str(answer.get("version", ""))
    return found


def feedback(
    kind: str, *, task_id: str | None = None, value: int | None = None, text: str = "", actor: str = ""
) -> str:
    """Send feedback on a finished task of this agent; a repetition counts once.

    Args:
        kind: `thumb`, `correction`, `complaint`, `escalation`, `override` or `satisfaction`.
        task_id: Trace id of the task; the running task's, when None.
        value: -1 or 1 for a thumb, 1 to 5 for satisfaction.
        text: Comment or corrected answer.
        actor: Who said it, as you name the person.

    Returns:
        `kept` or `known`.

    Raises:
        UsageError: No task is named and none is going on, or it is refused; says why.
        InfrastructureError: The server cannot be reached.
    """
    run = current_run().get()
    chosen = task_id or (run.trace_id if run is not None else None)
    if chosen is None:
        raise UsageError(
            f"feedback {kind!r} is about no task",
            remedy="Give `task_id`, or call it inside a function marked with `@pilothouse.agent(task_type=…)`.",
        )
    said: dict[str, Any] = {"agent": _agent(), "task_id": chosen, "kind": kind, "text": text, "actor": actor}
    if value is not None:
        said["value"] = value
    return str(_post("/api/feedback", said)["status"])


def _agent() -> str:
    return identity().get("pilothouse.agent", "")


def _post(path: str, body: dict[str, Any]) -> Any:
    from urllib.error import HTTPError  # noqa: PLC0415 - 20 ms that only who asks should pay
    from urllib.request import Request, urlopen  # noqa: PLC0415

    base, token = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""), os.environ.get(TOKEN_VARIABLE, "")
    if not base.startswith(("http://", "https://")) or not token:
        raise InfrastructureError(
            "this process was not started by `pilothouse run`, so no server is known",
            remedy="Start it with `pilothouse run -- COMMAND`.",
        )
    request = Request(  # noqa: S310 - the scheme was looked at
        base.rstrip("/") + path,
        data=json.dumps(body).encode(),
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
    )
    try:
        with urlopen(request, timeout=WAIT_S) as answer:  # noqa: S310 - as above
            return json.loads(answer.read(ANSWER_BYTES_MAX))
    except HTTPError as error:
        with error:
            raise _refusal(error) from error
    except (OSError, ValueError) as error:
        raise InfrastructureError(
            f"the server at {base} does not answer ({type(error).__name__})",
            remedy="Start it: `pilothouse up`.",
        ) from error


def _refusal(error: HTTPError) -> UsageError | InfrastructureError:
    try:
        said = json.loads(error.read(ANSWER_BYTES_MAX))["error"]
        message, remedy = str(said["message"]), str(said.get("remedy", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        message, remedy = f"HTTP {error.code}", ""
    kind = InfrastructureError if error.code >= 500 else UsageError
    return kind(message, remedy=remedy or "Look at the server's log.")
