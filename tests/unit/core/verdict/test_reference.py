# SPDX-License-Identifier: Apache-2.0
"""The page of requirements is the framework's own, and every remedy can be typed."""

from __future__ import annotations

import importlib.util
import string
from pathlib import Path

import pytest
import typer.main

from pilothouse.app import command_tree
from pilothouse.core.evidence.kinds import KINDS
from pilothouse.core.verdict.framework import FRAMEWORK, ITEMS
from pilothouse.core.verdict.requirement import Per

DOCS = Path(__file__).parents[4] / "docs"
PAGE = DOCS / "reference" / "requirements.md"

FILLED = {
    Per.INTEGRATION: {"integration"},
    Per.FRESH_INTEGRATION: {"integration"},
    Per.CRITICAL_INTEGRATION: {"integration"},
    Per.TOOL: {"integration", "tool"},
    Per.RUNBOOK: {"runbook"},
    Per.READER: {"runbook"},
    Per.JUDGE: {"judge"},
    Per.OUTCOME: {"outcome"},
    Per.REVIEW: {"review"},
}


def requirements_page():
    spec = importlib.util.spec_from_file_location("requirements_page", DOCS / "requirements_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.requirements_page()


def test_the_page_in_docs_is_the_generated_one():
    assert PAGE.read_text(encoding="utf-8") == requirements_page(), "run `make docs`"


def test_every_requirement_has_its_anchor_and_every_kind_its_row():
    page = requirements_page()
    assert all(f"### {one.id}\n" in page for one in FRAMEWORK)
    assert all(f"| `{name}` |" in page for name in KINDS)
    assert len(ITEMS) == 25


@pytest.mark.parametrize("requirement", FRAMEWORK, ids=lambda one: one.id)
def test_every_remedy_starts_with_our_command_and_can_be_filled_in(requirement):
    for part in requirement.parts:
        for command in filter(None, (part.remedy or requirement.remedy, part.cure)):
            assert command.startswith("pilothouse ")
            names = {name for _, name, _, _ in string.Formatter().parse(command) if name}
            assert names <= {"agent", "version", "labelled", "adversarial"} | FILLED.get(part.per, set())


def remedies():
    return sorted(
        {
            command
            for one in FRAMEWORK
            for command in (one.remedy, *(text for part in one.parts for text in (part.remedy, part.cure)))
            if command
        }
    )


def test_a_remedy_whose_command_exists_has_only_options_that_exist():
    tree = typer.main.get_command(command_tree())
    checked, wrong = 0, []
    for remedy in remedies():
        words = remedy.split(" -- ")[0].split()[1:]
        command = tree
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        if command is not tree:  # the others come with later issues
            checked += 1
            known = {option for parameter in command.params for option in parameter.opts}
            wrong += [(remedy, word) for word in words if word.startswith("--") and word not in known]
    assert checked >= 10
    assert not wrong


def test_every_kind_is_asked_for_by_some_requirement():
    asked = {part.kind for one in FRAMEWORK for part in one.parts}
    assert asked == {name for name, kind in KINDS.items() if not kind.added_to}


def test_no_requirement_is_cured_by_a_command_that_does_nothing_in_the_pilot():
    """Each of gate 1 is judged in the pilot, and there is no phase before it to go back to."""
    said = {
        (requirement.id, command)
        for requirement in FRAMEWORK
        for command in (
            requirement.remedy,
            *(text for part in requirement.parts for text in (part.remedy, part.cure)),
        )
        if command and command.startswith("pilothouse phase rollback")
    }
    assert not said
