# SPDX-License-Identifier: Apache-2.0
"""Every remedy that a requirement names is a command that can be typed."""

from __future__ import annotations

import pytest
import typer.main

from pilothouse.app import command_tree
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
def test_a_remedy_can_be_typed(remedy):
    assert exists(remedy)
    assert not exists(remedy.replace("pilothouse ", "pilothouse not-", 1))
