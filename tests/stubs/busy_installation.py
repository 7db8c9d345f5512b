# SPDX-License-Identifier: Apache-2.0
"""What a busy installation does in a process of its own until it is killed; a number is printed once it is on disk."""

from __future__ import annotations

import json

from pilothouse.app import SystemClock
from pilothouse.app.boundary import audit_log
from pilothouse.app.runs import open_run_log
from pilothouse.core.evidence.run_log import ModelRequest, RunClosed, RunOpened, RunState
from pilothouse.ledger.ledger import open_ledger
from pilothouse.settings import load_settings

__all__ = ["body_of", "decide", "record_runs"]


def record_runs(home, made):
    """Record runs."""
    with open_run_log(load_settings({}, home=home)) as log:
        for number in range(made):
            run = f"{number:032x}"
            log.append(run, RunOpened(agent="a", subject=f"person-{number % 7}" if number % 3 == 0 else None))
            log.append(run, ModelRequest(route="/v1/chat/completions", body=body_of(number)), call="1")
            log.append(run, RunClosed(state=RunState.COMPLETED))
            log.flush()
            print(number, flush=True)


def body_of(number):
    return b'{"messages": [{"content": "%d"}]}' % number + bytes(str(number), "ascii") * 200


def decide(url, home):
    """Decide, and put calls of a person on record."""
    settings = load_settings({"PILOTHOUSE_LEDGER": url}, home=home)
    with open_ledger(settings.ledger_url) as ledger:
        log = audit_log(ledger, settings)
        for number in range(1_000_000):
            document = json.dumps({"number": number})
            ledger.record(kind="test", agent="a", at=SystemClock().now(), actor="t", document=document)
            log.append("call.decided", "a", {"number": number}, payloads={"arguments": "x"}, subject="ana")
            print(number, flush=True)
