# SPDX-License-Identifier: Apache-2.0
"""`phase expand` asks, names the first day or whose word is needed, and what comes in is moved by its own name."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import date, timedelta
from types import SimpleNamespace
from unittest.mock import patch

import page_site
import page_world as world
import pytest
import typer
from typer.testing import CliRunner

from pilothouse.core.dates import calendar_day
from pilothouse.core.verdict.addition import AdditionEvent, AdditionKind
from pilothouse.core.verdict.phases import Answer, PhaseEvent, PhaseMove, Promotion
from pilothouse.core.verdict.widening import Widening
from pilothouse.errors import UnknownName, UsageError
from pilothouse.interfaces.cli import phase
from pilothouse.workflows.ground.phase_log import additions_of
from pilothouse.workflows.phases.additions import write_move

AGENT = world.AGENT
ALLOWED = Widening(allowed=True, earliest=world.NOW.date(), sentence="It may.", missing=())


@pytest.fixture
def place(tmp_path):
    return page_site.make_installation(tmp_path / "home")


@pytest.fixture
def run(place):
    @contextmanager
    def opened(_settings):
        yield place

    app = typer.Typer()
    phase.register(app, SimpleNamespace(open_installation=opened, clock=place.clock))
    return lambda *words: CliRunner().invoke(app, ["phase", *words])


def test_a_refusal_exits_3_with_the_first_day_and_lets_nothing_in(run, place):
    told = run("expand", "--task-type", "refunds", "--as", "dana", "--json")
    said = json.loads(told.stdout)
    assert (told.exit_code, said["allowed"], said["is_open"], said["what"]) == (3, False, False, "task type")
    assert calendar_day(date.fromisoformat(said["earliest"])) in said["sentence"]
    assert additions_of(place.ledger, AGENT) == ()


def test_one_thing_is_asked_for_at_a_time(run):
    with pytest.raises(UsageError, match="say one thing"):
        raise run("expand").exception
    with pytest.raises(UsageError, match="one thing comes in at a time"):
        raise run("expand", "--tool", "a@1", "--users", "b").exception


def test_who_asks_is_told_whose_word_lets_it_in_and_the_owner_lets_it_in(run, place):
    with patch("pilothouse.workflows.phases.widening.judge_widening", lambda *_: ALLOWED):
        told = run("expand", "--integration", "crm")
        assert (told.exit_code, told.stdout.splitlines()[0]) == (0, "It may.")
        assert f"pilothouse phase expand {AGENT} --integration crm --as dana" in told.stdout
        done = run("expand", "--integration", "crm", "--as", "dana")
    assert "The integration crm is in phase 1 by itself" in " ".join(done.stdout.split())
    (one,) = additions_of(place.ledger, AGENT)
    assert (one.label, one.state.phase) == ("integration crm", "1")


def test_what_came_in_is_looked_at_approved_and_taken_back_by_its_name(run, place):
    begun = PhaseEvent(
        move=PhaseMove.ENTERED, phase="1", at=world.NOW - timedelta(days=9), by=("dana",), reason="held"
    )
    write_move(
        place.ledger, AGENT, AdditionEvent(what=AdditionKind.TASK_TYPE, name="credit_note", move=begun)
    )
    own = ("--task-type", "credit_note")
    asked = run("request", "2", *own)
    assert asked.exit_code == 2
    assert "nothing that came into its scope goes ahead of it" in " ".join(asked.stdout.split())
    waiting = run("approve", *own, "--as", "dana")
    assert "no request" in waiting.exception.message
    status = run("status")
    assert "Comes into the scope: task type credit_note · Phase 1" in status.stdout
    back = run("rollback", *own, "--as", "sam", "--reason", "wrong queue")
    assert back.stdout == f"The task type credit_note of {AGENT} is in the pilot.\n"
    assert isinstance(run("request", "2", "--task-type", "credit_nota").exception, UnknownName)


def test_the_approval_that_is_asked_for_is_that_of_what_was_looked_at(run, place):
    begun = PhaseEvent(move=PhaseMove.ENTERED, phase="1", at=world.NOW, by=("dana",), reason="held")
    write_move(
        place.ledger, AGENT, AdditionEvent(what=AdditionKind.TASK_TYPE, name="credit_note", move=begun)
    )
    held = Promotion(answer=Answer.ELIGIBLE, target="2", sentence="It holds.", approvers=("dana",))
    with patch("pilothouse.workflows.phases.phases.request_phase", lambda *_args, **_named: held):
        own = run("request", "2", "--task-type", "credit_note")
        whole = run("request", "2")
    assert f"pilothouse phase approve {AGENT} --task-type credit_note --as dana" in own.stdout
    assert f"pilothouse phase approve {AGENT} --as dana" in whole.stdout
