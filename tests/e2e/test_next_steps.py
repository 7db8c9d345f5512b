# SPDX-License-Identifier: Apache-2.0
"""Each next step of the framework, typed as printed in a home that has a charter and nothing else, acts or says what is missing."""

from __future__ import annotations

import re
import shlex

import page_world as world
from fresh_ledger import ledger_url
from home_in_force import home_in_force
from typer.testing import CliRunner

from pilothouse.app import command_tree
from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.errors import PilothouseError
from pilothouse.interfaces.cli.files import file_error
from pilothouse.ledger.ledger import open_ledger

NEEDS_A_PROGRAM_OR_PEOPLE = ("run", "drill", "load")
"""Start the agent or wait for an answer to a page."""

NAMES = {"agent": world.AGENT, "integration": "erp", "outcome": "cycle_time_days", "review": "quality"}


def steps():
    """Return every command that a requirement names for one of its states, its holes filled."""
    parts = [
        text
        for one in FRAMEWORK
        for part in one.parts
        for text in (part.remedy, part.cure, part.again, part.ease)
    ]
    named = {*parts, *(one.remedy for one in FRAMEWORK)} - {""}
    filled = (re.sub(r"\{(\w+)\}", lambda hole: NAMES.get(hole[1], hole[1]), text) for text in named)
    return [text for text in sorted(filled) if shlex.split(text)[1] not in NEEDS_A_PROGRAM_OR_PEOPLE]


def typed(text, home):
    """Type a command; return what it said, and what its error asks for, or None where it ended without one."""
    variables = {"PILOTHOUSE_HOME": str(home), "NO_COLOR": "1"}
    done = CliRunner().invoke(command_tree(), shlex.split(text)[1:], env=variables, input="")
    error = done.exception
    if isinstance(error, OSError):
        error = file_error(error)
    if isinstance(error, PilothouseError):
        return done.output, error.remedy
    assert error is None or isinstance(error, SystemExit), (text, repr(error))
    assert done.exit_code in {0, 1, 3}, (text, done.output)
    return done.output, None


def test_a_step_that_is_typed_as_printed_acts_or_says_what_is_missing(tmp_path, monkeypatch):
    home = home_in_force(tmp_path / "home").home
    monkeypatch.chdir(tmp_path)
    acted = []
    for text in steps():
        said, asked = typed(text, home)
        assert said.strip() or asked, text
        if asked is None:
            acted.append(text)
        else:
            assert asked != text, (text, "asks for itself")
    assert len(acted) >= 15
    with open_ledger(ledger_url(home)) as ledger:
        kinds = {one.kind for one in ledger.evidence(world.AGENT)}
    assert kinds >= {"audit.verified", "policy.compiled"}
