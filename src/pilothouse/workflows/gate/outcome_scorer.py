# SPDX-License-Identifier: Apache-2.0
"""Scorer that asks a verifier of the charter: the system of record says whether what the agent claims is so."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from pilothouse.connectors.verifier_loader import LoadedVerifier, load_verifier
from pilothouse.core.charter.digest import canonical_digest
from pilothouse.core.evidence.outcome import OutcomeStatus
from pilothouse.core.evidence.task import Task
from pilothouse.evals.case import Case
from pilothouse.evals.json_text import value_or_text
from pilothouse.evals.score import Score, Unscored, failed, passed, unscored
from pilothouse.evals.scorers.scorer import ScorerKind, ScorerSpec
from pilothouse.evals.trial import Reply, Result
from pilothouse.workflows.ground.asking import Asker

__all__ = ["OutcomeScorer", "outcome"]

ANSWER_S: Final = 10.0
"""Seconds for one question: a system of record that takes longer holds up every other trial."""

NO_TRACE: Final = "0" * 32
"""Trace of an answer that names none."""


def outcome(*, verifier: str) -> OutcomeScorer:
    """Right when the system of record confirms what the agent says, wrong when it contradicts it, and else without a score.

    Args:
        verifier: `module:function` as in a charter, found from the folder where the command runs.

    Raises:
        ExtensionError: It cannot be found, imported, or called with one task.
    """
    return OutcomeScorer(load_verifier(verifier, Path()))


class OutcomeScorer:
    """Asks a verifier about each answer, one at a time and always from the same thread, as in production.

    Args:
        verifier: The verifier.
    """

    def __init__(self, verifier: LoadedVerifier) -> None:
        version = canonical_digest({"scorer": "outcome", "verifier": verifier.identity})
        self.spec = ScorerSpec(name="outcome", kind=ScorerKind.DETERMINISTIC, version=version, asks_now=True)
        self._asker = Asker(verifier.ask, ANSWER_S, name=verifier.use)
        # What is cancelled while it is asked holds its place until the answer came: another one would be given it.
        self._turn = ThreadPoolExecutor(max_workers=1)

    async def score(self, case: Case, result: Result) -> Score:
        """Ask about one result.

        Raises:
            ValueError: The result has no reply.
        """
        if result.reply is None:
            raise ValueError("only a result that is done can be scored")
        task = _task(case, result.reply)
        answer = await asyncio.get_running_loop().run_in_executor(self._turn, self._asker.ask, task)
        if answer.finding is None:
            return unscored(Unscored.SCORER_CRASHED, answer.problem)
        status, found = answer.finding.status, answer.finding.found
        if status is OutcomeStatus.VERIFIED:
            return passed(found)
        if status is OutcomeStatus.CONTRADICTED:
            return failed(found or "the system of record says otherwise")
        return unscored(Unscored.OUTCOME_UNKNOWN, f"{status.value}: {found}" if found else status.value)

    async def close(self) -> None:
        """Let the thread of the verifier end."""
        self._turn.shutdown(wait=False, cancel_futures=True)
        self._asker.__exit__(None, None, None)


def _task(case: Case, reply: Reply) -> Task:
    """Return the answer as a verifier knows tasks: its claim, or where it makes none, what it answered."""
    said = reply.output if reply.claim is None else reply.claim
    claim = value_or_text(said) if isinstance(said, str) else said
    return Task(
        trace_id=reply.trace_id or NO_TRACE,
        agent="",
        task_type=case.task_type,
        environment="trial",
        claim=json.dumps(claim, ensure_ascii=False),
        start_ns=0,
        end_ns=0,
    )
