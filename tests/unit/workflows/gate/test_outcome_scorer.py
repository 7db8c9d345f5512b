# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import threading

import pytest

from pilothouse.errors import ExtensionError
from pilothouse.evals.case import Case
from pilothouse.evals.score import Unscored
from pilothouse.evals.scorers.scorer import ScorerKind
from pilothouse.evals.trial import Reply, Result, TrialStatus
from pilothouse.workflows.gate.outcome_scorer import outcome
from pilothouse.workflows.ground.asking import THREAD, Answer, parse_finding

VERIFIER = """
import json
import threading
from pilothouse.core.evidence.outcome import Finding, OutcomeStatus

BOOKED = {"INV-1": "po-match", "INV-2": "approval"}
THREADS = set()

def booked(task):
    THREADS.add(threading.get_ident())
    claim = json.loads(task.claim)
    if claim == "names of threads":
        return Finding(status=OutcomeStatus.VERIFIED, found=str(len(THREADS)))
    if claim["invoice"] == "down":
        raise OSError("no connection")
    if claim["invoice"] == "wrong":
        return 7
    if claim["invoice"] not in BOOKED:
        return OutcomeStatus.PENDING
    if BOOKED[claim["invoice"]] != claim["queue"]:
        return Finding(status=OutcomeStatus.CONTRADICTED, found=f"booked in {BOOKED[claim['invoice']]}")
    return task.task_type == "t" and task.environment == "trial"
"""


@pytest.fixture
def asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "verifiers").mkdir()
    (tmp_path / "verifiers" / "erp.py").write_text(VERIFIER, encoding="utf-8")
    scorer = outcome(verifier="verifiers.erp:booked")
    threads = []

    def ask(*replies):
        async def go():
            case = Case(id="a", task_type="t", input="q")
            results = [Result(status=TrialStatus.DONE, reply=one, latency_s=0.1) for one in replies]
            try:
                return await asyncio.gather(*(scorer.score(case, one) for one in results))
            finally:
                threads.extend(threading.enumerate())
                await scorer.close()

        return asyncio.run(go())

    ask.scorer, ask.seen = scorer, lambda: threads
    return ask


def claim(invoice, queue="po-match"):
    return {"invoice": invoice, "queue": queue}


def test_the_system_of_record_scores_what_is_claimed(asked):
    right, wrong, later, down, broken = asked(
        Reply(output="done", claim=claim("INV-1")),
        Reply(output='{"invoice": "INV-2", "queue": "po-match"}'),
        Reply(output=claim("INV-9")),
        Reply(output=claim("down")),
        Reply(output=claim("wrong")),
    )
    assert right.value == 1.0
    assert (wrong.value, wrong.reason) == (0.0, "booked in approval")
    assert later.why is Unscored.OUTCOME_UNKNOWN
    assert down.why is broken.why is Unscored.SCORER_CRASHED
    assert "not a Finding" in broken.reason


def test_a_verifier_is_always_asked_from_one_thread_that_ends(asked):
    *_, names = asked(*(Reply(output=claim("INV-1")) for _ in range(20)), Reply(output="names of threads"))
    assert names.reason == "1"
    (own,) = (one for one in asked.seen() if one.name == THREAD)
    own.join(30)
    assert not own.is_alive()


def test_who_gives_up_waiting_leaves_no_answer_for_somebody_else(asked):
    """The next claim was handed to the verifier while the one before was still there, and was given what came of that one."""
    inside, second, go_on = threading.Event(), threading.Event(), threading.Event()

    def ask(task):
        (second if inside.is_set() else inside).set()
        go_on.wait(30)
        return Answer(finding=parse_finding(task.claim == '"right"'))

    asked.scorer._asker.ask = ask
    case = Case(id="a", task_type="t", input="q")

    def score(claim):
        result = Result(status=TrialStatus.DONE, reply=Reply(output=claim), latency_s=0.1)
        return asyncio.create_task(asked.scorer.score(case, result))

    async def go():
        gone = score("right")
        await asyncio.to_thread(inside.wait, 30)
        gone.cancel()
        left = score("wrong")
        assert not await asyncio.to_thread(second.wait, 0.2), "two claims at once"
        go_on.set()
        found = await left
        await asked.scorer.close()
        return found

    assert asyncio.run(go()).value == 0.0


def test_it_computes_and_another_form_of_the_verifier_is_another_scorer(asked, tmp_path):
    assert asked.scorer.spec.kind is ScorerKind.DETERMINISTIC
    (tmp_path / "verifiers" / "erp.py").write_text(VERIFIER + "\n# corrected\n", encoding="utf-8")
    assert outcome(verifier="verifiers.erp:booked").spec.version != asked.scorer.spec.version
    with pytest.raises(ExtensionError, match="Did you mean 'booked'"):
        outcome(verifier="verifiers.erp:bookd")
