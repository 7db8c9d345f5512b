# SPDX-License-Identifier: Apache-2.0
"""Rows of the journal as values, and the JSON form in which a reply lies in its row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from pilothouse.evals.score import Score
from pilothouse.evals.trial import Reply, Result, ToolCall

__all__ = ["ConfigRow", "RunRow", "StoredScore", "StoredTrial", "read_reply", "reply_text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrial:
    """A finished trial as the journal has it.

    Attributes:
        key: Trial key.
        result: How it ended.
        at: When the run that asked for it began, aware UTC, or None when that is not known.
    """

    key: str
    result: Result
    at: datetime | None

    def is_since(self, moment: datetime) -> bool:
        """Whether it is known to be no older than a moment."""
        return self.at is not None and self.at >= moment


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScore:
    """A score as the journal has it.

    Attributes:
        key: Trial key.
        case_hash: Expectation it was scored against.
        version: Version of the scorer.
        name: Name of the check: the scorer's, with its place when the case itself names it.
        score: The score.
    """

    key: str
    case_hash: str
    version: str
    name: str
    score: Score


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run of the gate or of `eval run`.

    Attributes:
        run_id: Made from its plan, so the same command is the same run.
        dataset: Digest of the dataset.
        candidate: Version that was run.
        document: JSON text of the plan.
        at: When it started, ISO 8601 UTC.
        verdict: JSON text of its verdict, or None while there is none.
    """

    run_id: str
    dataset: str
    candidate: str
    document: str
    at: str
    verdict: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRow:
    """What a config digest stands for.

    Attributes:
        digest: Config digest.
        version: Version digest.
        address: Where it was run.
        environment: JSON text of what else decides a trial.
    """

    digest: str
    version: str
    address: str
    environment: str


def reply_text(reply: Reply | None) -> str | None:
    """Return the JSON text of a reply without unknown fields."""
    if reply is None:
        return None
    calls = reply.tool_calls
    said = {
        "tool_calls": None
        if calls is None
        else [{"name": one.name, "arguments": one.arguments} for one in calls],
        "cost_usd": reply.cost_usd,
        "claim": reply.claim,
        "trace_id": reply.trace_id,
        "model": reply.model,
    }
    fields = {name: value for name, value in said.items() if value is not None}
    return json.dumps({"output": reply.output, **fields}, ensure_ascii=False)


def read_reply(text: str) -> Reply:
    """Read a reply from its row.

    Example:
        >>> read_reply(reply_text(Reply(output=4, cost_usd=0.5))).cost_usd
        0.5
    """
    fields = json.loads(text)
    calls = fields.pop("tool_calls", None)
    return Reply(
        tool_calls=None if calls is None else tuple(ToolCall(**one) for one in calls),
        **fields,
    )
