# SPDX-License-Identifier: Apache-2.0
"""Take feedback about finished tasks: from who holds the key or a token of this very task, bounded, into the queue."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.review import ReviewSource, item_digest
from pilothouse.core.evidence.task import Task
from pilothouse.errors import Denied, LimitExceeded, UnknownName, UsageError
from pilothouse.ports.clock import Clock
from pilothouse.ports.feedback import FEEDBACK_TEXT_CHARS_MAX, Feedback, FeedbackKind, FeedbackStore
from pilothouse.ports.lake import Lake
from pilothouse.ports.review import ReviewQueue
from pilothouse.workflows.people.people import Directory
from pilothouse.workflows.review.label_sampling import item_of_task

__all__ = ["ACTOR_CHARS_MAX", "FEEDBACK_BODY_BYTES_MAX", "Desk", "TooFast", "agent_token", "task_token"]

FEEDBACK_BODY_BYTES_MAX = 32 * 1024
"""Bytes of a body: 8,000 characters of four bytes each."""

FLAGGED_TERM = timedelta(days=1)
"""How soon a person looks at what a user flagged."""

PER_MINUTE_MAX = 60
"""Bodies one sender may send in a minute: a busy form, not a flood."""

SENDERS_KEPT_MAX = 10_000
"""Senders whose rate is remembered; the one that was quiet longest is forgotten first."""

ACTOR_CHARS_MAX = 200
_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_FIELDS = {"task_id", "kind", "value", "text", "actor", "token", "agent"}


class TooFast(LimitExceeded):
    """A sender sends more than a person can say; it may come again later."""

    code = "too-fast"


def task_token(key: str, trace_id: str) -> str:
    """Return the token with which a browser may say something about one task.

    Whoever serves the page makes it: it proves that the page was made for this task, and it is worth
    nothing for another one.

    Args:
        key: The feedback key of the installation.
        trace_id: The task, 32 hex digits.

    Example:
        >>> task_token("k", "0" * 32) == task_token("k", "1" * 32)
        False
    """
    return hmac.new(key.encode(), trace_id.encode(), hashlib.sha256).hexdigest()


def agent_token(key: str, agent: str) -> str:
    """Return the token with which an agent's own process asks for its examples and speaks about its own tasks.

    Args:
        key: The feedback key of the installation.
        agent: Agent id; for another one the token is worth nothing.

    Example:
        >>> agent_token("k", "triage") == agent_token("k", "billing")
        False
    """
    named = f"agent {agent}".encode("utf-8", "replace")  # a sender may write half a character
    return hmac.new(key.encode(), named, hashlib.sha256).hexdigest()


@dataclass(slots=True)
class _Pace:
    started: datetime
    count: int = 0


class Desk:
    """Where feedback is handed in.

    Args:
        key: The feedback key of the installation.
        store: Where it is kept.
        queue: Where bad news goes.
        lake: Which tasks there are.
        directory: The charters.
        clock: The time.
    """

    def __init__(
        self,
        key: str,
        store: FeedbackStore,
        queue: ReviewQueue,
        lake: Lake,
        directory: Directory,
        *,
        clock: Clock,
    ) -> None:
        self._key = key
        self._store = store
        self._queue = queue
        self._lake = lake
        self._directory = directory
        self._clock = clock
        self._paces: OrderedDict[str, _Pace] = OrderedDict()

    def hand_in(self, body: bytes, *, bearer: str, sender: str) -> dict[str, str]:
        """Take one body.

        Args:
            body: JSON: `task_id`, `kind`, and `value`, `text`, `actor`, `token`, `agent` as they apply.
            bearer: Key or token of an agent from the `Authorization` header, or empty.
            sender: Address of the sender, for its pace.

        Returns:
            `status` `kept` or `known`, and the id.

        Raises:
            TooFast: More than 60 bodies in a minute.
            UsageError: It is no feedback.
            Denied: Neither the key nor the token of this task.
            UnknownName: No such task.
            LimitExceeded: A comment that is too long, or too many about one task.
        """
        now = self._clock.now()
        self._keep_pace(sender, now)
        fields = _parsed(body)
        trace_id = fields["task_id"]
        agent, token = str(fields.get("agent", "")), str(fields.get("token", ""))
        via = "http" if self._is_key(bearer) else "sdk" if self._is_agent(bearer, agent) else "widget"
        if via == "widget" and not hmac.compare_digest(
            token.encode("utf-8", "replace"), task_token(self._key, trace_id).encode()
        ):
            raise Denied(
                "neither the feedback key, nor the agent's token, nor a token of this task",
                remedy="Send `Authorization: Bearer KEY` from a server, or the token that the page was given; "
                "`pilothouse feedback key` shows the key.",
            )
        found = self.task_of(trace_id)
        if found is None or (via == "sdk" and found[0].agent != agent):
            raise UnknownName(
                "no finished task of a governed agent has this id",
                remedy="Telemetry arrives within seconds: send it again; `pilothouse traces` lists tasks.",
                subject=trace_id,
            )
        task, charter = found
        said = _feedback(fields, task, via, now)
        new = self.keep(said, task, charter)
        return {"status": "kept" if new else "known", "id": said.feedback_id}

    def task_of(self, trace_id: str) -> tuple[Task, Charter] | None:
        """Return a finished task of a governed agent with its charter, or None.

        Args:
            trace_id: The task.
        """
        view = self._lake.trace(trace_id)
        task = view.task if view else None
        charter = self._directory.charters().get(task.agent) if task else None
        return None if task is None or charter is None else (task, charter)

    def keep(self, said: Feedback, task: Task, charter: Charter) -> bool:
        """Keep what was said about a task, and have a person look when it is bad; whether it was new.

        Args:
            said: What was said.
            task: The task.
            charter: The charter of its agent.

        Raises:
            LimitExceeded: Too much was said about this task already.
        """
        now = self._clock.now()
        new = self._store.add(said)
        item_id = item_digest(ReviewSource.FLAGGED, task.agent, task.trace_id, "")
        # What is known may have met a fault before a person was asked: it is sent again for that reason.
        if said.is_bad and (new or self._queue.record(item_id) is None):
            self._flag(said, task, charter, now)
        return new

    def need_key(self, bearer: str, agent: str) -> None:
        """Let who holds the feedback key or the token of this agent pass.

        Args:
            bearer: What was sent.
            agent: Agent id that is asked about.

        Raises:
            Denied: This is neither.
        """
        if not self._is_key(bearer) and not self._is_agent(bearer, agent):
            raise Denied(
                "this is neither the feedback key nor the token of this agent",
                remedy="Send `Authorization: Bearer KEY`; `pilothouse feedback key` shows the key.",
            )

    def _is_key(self, bearer: str) -> bool:
        return hmac.compare_digest(bearer.encode(), self._key.encode())

    def _is_agent(self, bearer: str, agent: str) -> bool:
        right = agent_token(self._key, agent)
        return bool(agent) and hmac.compare_digest(bearer.encode(), right.encode())

    def _flag(self, said: Feedback, task: Task, charter: Charter, now: datetime) -> None:
        item = item_of_task(
            self._lake,
            charter,
            task,
            source=ReviewSource.FLAGGED,
            why=f"{said.kind.value}: {said.text}"[:500] if said.text else said.kind.value,
            now=now,
            due=now + FLAGGED_TERM,
        )
        self._queue.add([item])

    def _keep_pace(self, sender: str, now: datetime) -> None:
        pace = self._paces.pop(sender, None)
        if pace is None or abs(now - pace.started) >= timedelta(minutes=1):  # a clock may be set back
            pace = _Pace(started=now)
        pace.count += 1
        self._paces[sender] = pace
        if len(self._paces) > SENDERS_KEPT_MAX:
            self._paces.popitem(last=False)
        if pace.count > PER_MINUTE_MAX:
            raise TooFast(
                f"more than {PER_MINUTE_MAX} things were said within a minute",
                remedy="Send again after `Retry-After`.",
            )


def _parsed(body: bytes) -> dict[str, Any]:
    if len(body) > FEEDBACK_BODY_BYTES_MAX:
        raise LimitExceeded(
            f"feedback has {len(body):,} bytes, at most {FEEDBACK_BODY_BYTES_MAX:,} are read",
            remedy="Shorten the text.",
        )
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or not set(fields) <= _FIELDS:
        raise UsageError(
            f"feedback is a JSON object with {', '.join(sorted(_FIELDS))}",
            remedy='For example `{"task_id": "TRACE_ID", "kind": "thumb", "value": -1}`.',
        )
    trace_id = fields.get("task_id")
    if not isinstance(trace_id, str) or not _TRACE_ID.fullmatch(trace_id):
        raise UsageError("`task_id` is no trace id", remedy="Send the 32 hex digits of the task's trace.")
    return fields


def _feedback(fields: dict[str, Any], task: Task, via: str, now: datetime) -> Feedback:
    kind, value, text = fields.get("kind"), fields.get("value"), fields.get("text", "")
    actor = fields.get("actor", "")
    if not isinstance(kind, str) or kind not in set(FeedbackKind):
        raise UsageError("`kind` is none of ours", remedy=f"Write one of {', '.join(FeedbackKind)}.")
    if not isinstance(text, str) or not isinstance(actor, str) or len(actor) > ACTOR_CHARS_MAX:
        raise UsageError("`text` and `actor` are texts", remedy="Leave them out, or shorten them.")
    if len(text) > FEEDBACK_TEXT_CHARS_MAX:
        raise LimitExceeded(
            f"the text has {len(text):,} characters, at most {FEEDBACK_TEXT_CHARS_MAX:,} are kept",
            remedy="Shorten it.",
        )
    allowed = {FeedbackKind.THUMB: (-1, 1), FeedbackKind.SATISFACTION: (1, 2, 3, 4, 5)}.get(
        FeedbackKind(kind)
    )
    if allowed is None and value is not None:
        raise UsageError(f"{kind} has no `value`", remedy="Leave `value` out.")
    if allowed is not None and (isinstance(value, bool) or value not in allowed):
        raise UsageError(f"`value` of {kind} is one of {allowed}", remedy="Send one of them.")
    if kind == FeedbackKind.CORRECTION and not text.strip():
        raise UsageError("a correction needs `text`", remedy="Send what would have been right.")
    return Feedback(
        agent=task.agent,
        trace_id=task.trace_id,
        kind=FeedbackKind(kind),
        value=None if value is None else float(value),
        text=text.encode("utf-8", "replace").decode(),
        actor=actor.encode("utf-8", "replace").decode(),
        via=via,
        at=now,
    )
