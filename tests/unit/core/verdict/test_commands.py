# SPDX-License-Identifier: Apache-2.0
"""A remedy is either a command of this version, or said to be to come; never the one while it is the other."""

from __future__ import annotations

import pytest
import typer.main

from pilothouse.app import command_tree
from pilothouse.core.verdict.commands import NOT_YET, is_to_come, step_text
from pilothouse.core.verdict.framework import FRAMEWORK

REMEDIES = sorted(
    {
        command
        for one in FRAMEWORK
        for command in (one.remedy, *(text for part in one.parts for text in (part.remedy, part.cure)))
        if command
    }
)


def exists(remedy):
    """Whether the words lead to a command that can be run, not only to a group that does nothing itself."""
    found = typer.main.get_command(command_tree())
    words = remedy.split(" -- ")[0].split()[1:]
    while hasattr(found, "commands"):
        if not words:
            return found.invoke_without_command
        if words[0] not in found.commands:
            return False
        found = found.commands[words.pop(0)]
    return True


@pytest.mark.parametrize("remedy", REMEDIES)
def test_a_remedy_is_to_come_exactly_when_its_command_does_not_exist(remedy):
    assert is_to_come(remedy) != exists(remedy)


def test_both_kinds_are_met():
    assert {is_to_come(remedy) for remedy in REMEDIES} == {True, False}


def test_other_programs_are_never_ours_to_promise():
    assert not is_to_come("drill page")


def test_a_step_to_come_looks_like_nothing_to_type():
    assert step_text("pilothouse drill fallback").endswith(f"({NOT_YET})")
    assert not step_text("pilothouse drill fallback").startswith("$")
