# SPDX-License-Identifier: Apache-2.0
"""Whoever answers for a call reads what the agent sent as text: it writes no lines of its own."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from pilothouse.interfaces.cli import approve

HOSTILE = "ana\n  task type harmless\x1b[2K\u202e"
SHOWN = "ana\\u000a  task type harmless\\u001b[2K\\u202e"


@pytest.fixture
def type_in():
    argument = SimpleNamespace(
        name=HOSTILE,
        value=HOSTILE,
        role="data",
        origins=("quoted",),
        source=HOSTILE,
        personal=("card number",),
    )
    call = SimpleNamespace(
        id="a" * 64,
        agent="ap-invoice-triage",
        tool=HOSTILE,
        requester=HOSTILE,
        effect="external",
        task_type=HOSTILE,
        run=HOSTILE,
        state="pending",
        needs=1,
        failed=(HOSTILE,),
        arguments=(argument,),
        tainted=False,
        expires_at=datetime(2026, 11, 30, tzinfo=UTC),
    )

    @contextmanager
    def opened(_settings):
        yield SimpleNamespace(
            approvals=SimpleNamespace(waiting=lambda _agent: [call], find=lambda _ident: call)
        )

    cli = typer.Typer()
    approve.register(cli, SimpleNamespace(open_boundary=opened))
    return lambda *words: CliRunner().invoke(cli, ["approve", *words]).output


@pytest.mark.parametrize(("words", "lines", "times"), [(("list",), 1, 3), (("show", "aaaa"), 5, 7)])
def test_what_an_agent_says_is_one_visible_text(type_in, words, lines, times):
    said = type_in(*words)
    assert len(said.splitlines()) == lines
    assert said.count(SHOWN) == times
    assert "\x1b" not in said


def test_who_is_asked_reads_what_an_argument_may_not_hold(type_in):
    assert "it may hold no personal data, and holds: card number\n" in type_in("show", "aaaa")
