# SPDX-License-Identifier: Apache-2.0
"""Plant sentences in recorded inputs and ask for them: whether what an agent was told survives its long inputs.

A case of the dataset is `{"plant": "...", "ask": "..."}` with the text that a right answer contains; `"must_not": true` beside
them says that the sentence forbids something, and of those none may be lost. The sentence is put at the beginning, in the
middle and at the end of real conversations, the longest first, and the question behind them. The model is asked through the
gateway, so whatever the agent's policy does to an input is done to these too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import product
from typing import Any

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import Binding, Evidence
from pilothouse.core.evidence.recorded import bound_record
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.statistics.intervals import jeffreys_lower
from pilothouse.errors import EvidenceError, UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.score import ScoreStatus
from pilothouse.evals.scorers.scorer import Scorer
from pilothouse.evals.trial import Reply, Result, TrialStatus
from pilothouse.ports.ledger import Ledger
from pilothouse.ports.runlog import RunLog
from pilothouse.runtime.replay.answers import read_answer
from pilothouse.runtime.replay.exchange import Exchange, exchanges
from pilothouse.runtime.replay.live import LiveModel

__all__ = ["DEPTHS", "SURVIVING_MIN", "PlantedReport", "keep_planted", "plant", "probe_planted"]

DEPTHS = (0.0, 0.5, 1.0)
"""Where a sentence is put, as a share of the messages before it: models lose the middle first."""

SURVIVING_MIN = 0.98
"""Least share of sentences that must be answered."""

INPUTS_MAX = 10
"""Conversations that sentences are put into: the longest ones are where they get lost."""

RUNS_LOOKED_AT_MAX = 200
ITEMS_NAMED_MAX = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedReport:
    """What came of planted sentences.

    Attributes:
        agent: Agent.
        version: Version digest of the newest run, or None.
        since: Oldest input, aware UTC.
        until: Now.
        asked: Questions that were answered.
        found: Answers that contain what was planted.
        refused: Questions that were refused aloud, for example because they do not fit: nothing was lost in silence.
        lost: Case, run and depth of each answer without it, prohibitions first.
        prohibitions_lost: How many of them forbid something.
    """

    agent: str
    version: str | None
    since: datetime
    until: datetime
    asked: int
    found: int
    refused: int
    lost: tuple[str, ...]
    prohibitions_lost: int

    @property
    def passed(self) -> bool:
        """Whether enough sentences survive, and every prohibition: one that is forgotten once is done once."""
        enough = self.asked > 0 and self.found >= SURVIVING_MIN * self.asked
        return enough and self.prohibitions_lost == 0


def probe_planted(
    log: RunLog,
    cases: Sequence[Case],
    scorer: Scorer,
    live: LiveModel,
    *,
    agent: str,
    now: datetime,
    days: int,
) -> PlantedReport:
    """Plant every sentence at every depth of the longest recorded inputs, and ask for it.

    Args:
        log: The run log.
        cases: Sentences and questions.
        scorer: Judges an answer, such as `contains`.
        live: The gateway.
        agent: Agent.
        now: The moment, aware UTC.
        days: How far back.

    Raises:
        UsageError: A case has no `plant` and `ask`.
        EvidenceError: No input is recorded in that time.
    """
    since = now - timedelta(days=days)
    summaries = log.runs(agent=agent, since_ns=unix_ns(since), limit=RUNS_LOOKED_AT_MAX)
    version = summaries[0].version if summaries else None
    calls = [
        (summary.run, call)
        for summary in summaries
        if summary.version == version
        for call in [one for one in exchanges(log.read(summary.run)) if one.is_answering][-1:]
        if call.document is not None and isinstance(_items(call.document), list)
    ]
    if not calls:
        raise EvidenceError(
            f"no conversation of {agent!r} was recorded in the last {days} days",
            remedy="Send its model calls through the gateway: `pilothouse run -- CMD`",
            subject=agent,
        )
    calls.sort(key=lambda one: -len(one[1].body))
    found, refused, forbidden, others = asyncio.run(_ask_all(cases, calls[:INPUTS_MAX], scorer, live))
    return PlantedReport(
        agent=agent,
        version=version,
        since=since,
        until=now,
        asked=found + len(forbidden) + len(others),
        found=found,
        refused=refused,
        lost=(*forbidden, *others),
        prohibitions_lost=len(forbidden),
    )


async def _ask_all(
    cases: Sequence[Case], calls: Sequence[tuple[str, Exchange]], scorer: Scorer, live: LiveModel
) -> tuple[int, int, list[str], list[str]]:
    """Ask one question after another; return how many were found, how many refused, and the prohibitions and others that were lost."""
    found = refused = 0
    forbidden: list[str] = []
    others: list[str] = []
    for case, (run, call), depth in product(cases, calls, DEPTHS):
        body = json.dumps(plant(call.document or {}, *_told(case), depth)).encode()
        status, _, said = await live.ask(call.route, call.headers, body)
        if status >= HTTPStatus.BAD_REQUEST:
            refused += 1
        elif await _is_right(case, scorer, read_answer(status, said).text):
            found += 1
        else:
            lost = forbidden if case.input.get("must_not") else others
            lost.append(f"{case.id} in {run[:12]} at {depth:g}")
    return found, refused, forbidden, others


def plant(document: dict[str, Any], sentence: str, question: str, depth: float) -> dict[str, Any]:
    """Return a request with a sentence of the user at a depth, and a question at its end.

    Args:
        document: Parsed request with a list of messages.
        sentence: What is planted.
        question: What is asked.
        depth: Share of the messages before the sentence, in [0, 1]; instructions always stand before it.

    Example:
        >>> asked = plant({"messages": [{"role": "user", "content": "a"}]}, "The code is 7.", "Which code?", 0.0)
        >>> [one["content"] for one in asked["messages"]]
        ['The code is 7.', 'a', 'Which code?']
    """
    name = "messages" if "messages" in document else "input"
    items = list(document[name])
    first = sum(isinstance(one, dict) and one.get("role") in ("system", "developer") for one in items)
    places = [place for place in range(first, len(items) + 1) if not _is_between_tools(items, place)]
    at = places[min(int(depth * len(places)), len(places) - 1)]
    items.insert(at, {"role": "user", "content": sentence})
    items.append({"role": "user", "content": question})
    kept = {key: value for key, value in document.items() if key not in _ANSWERS_OTHERWISE}
    return {**kept, name: items}


_ANSWERS_OTHERWISE = (
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "stream",
    "stream_options",
    "response_format",
    "text",
)
"""What would make a model call a tool or fill a form instead of answering the question."""


def _is_between_tools(items: Sequence[Any], place: int) -> bool:
    """Whether a message here would stand between calls of tools and their results, which every protocol refuses."""
    after = items[place] if place < len(items) else None
    if not isinstance(after, dict):
        return False
    content = after.get("content")
    parts = content if isinstance(content, list) else []
    return (
        after.get("role") == "tool"
        or after.get("type") in ("function_call_output", "function_call")
        or any(isinstance(part, dict) and part.get("type") == "tool_result" for part in parts)
    )


def keep_planted(
    ledger: Ledger, report: PlantedReport, dataset: str, *, charter: Charter | None = None
) -> Evidence | None:
    """Keep whether planted sentences survive; None when every question was refused, which says nothing.

    Args:
        ledger: Where it is kept.
        report: What came of them.
        dataset: Path of the dataset.
        charter: The charter under which the gateway was asked, or None.
    """
    if report.asked == 0:
        return None
    bound = jeffreys_lower(report.found, report.asked, 0.95)
    forbade = report.prohibitions_lost
    forgotten = f"; of those lost, {forbade} forbade something" if forbade else ""
    record = bound_record(
        "probes.context",
        report.agent,
        report.until,
        command=f"pilothouse context probe {report.agent} --planted {dataset}",
        binds=Binding(version=report.version),
        charter=charter,
        since=report.since,
        n=report.asked,
        passed=report.passed,
        detail=f"{report.found} of {report.asked} planted sentences were found in the answer (at least {bound:.3f}, 95 %); "
        f"{report.refused} more were refused aloud{forgotten}",
        items=report.lost[:ITEMS_NAMED_MAX],
        counts={"found": report.found, "refused": report.refused},
    )
    ledger.add_evidence([record])
    return record


def _told(case: Case) -> tuple[str, str]:
    told = case.input if isinstance(case.input, dict) else {}
    sentence, question = told.get("plant"), told.get("ask")
    if not isinstance(sentence, str) or not isinstance(question, str):
        raise UsageError(
            f"case {case.id!r} plants nothing",
            remedy='Write its input as {"plant": "a sentence", "ask": "a question"}, with "must_not": true where the sentence '
            "forbids something, and expect the text of the answer.",
            subject=case.id,
        )
    return sentence, question


def _items(document: dict[str, Any]) -> Any:
    return document.get("messages", document.get("input"))


async def _is_right(case: Case, scorer: Scorer, text: str) -> bool:
    score = scorer.score(case, Result(status=TrialStatus.DONE, reply=Reply(output=text), latency_s=None))
    if isinstance(score, Awaitable):
        score = await score
    return score.status is ScoreStatus.OK and score.value == 1.0
