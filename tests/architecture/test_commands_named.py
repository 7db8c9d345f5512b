# SPDX-License-Identifier: Apache-2.0
"""A command that a message, a page or a verdict names exists as printed: whoever copies it gets no usage error."""

from __future__ import annotations

import ast
import functools
import re
import shlex

import pytest
import typer.main
from source_tree import ROOT

from pilothouse.app import command_tree
from pilothouse.core.verdict.framework import FRAMEWORK

SOURCE = ROOT / "src" / "pilothouse"
NAMED = re.compile(r"`(pilothouse [^`]*)`")
SHOWN = re.compile(r"(?:(?:[:$→]|\]→) |  )(pilothouse [a-z](?:(?!  )[^`,;\[\n])*)")

HOLE = "HOLE"
"""Stands for a value that the code fills in."""

FILLED_BY_PARTS = {
    ("interfaces/cli/integration.py", "integration verify"),
    ("reports/rollout_additions.py", "phase approve"),
    ("reports/rollout_additions.py", "phase request"),
    ("workflows/phases/additions.py", "phase expand"),
    ("interfaces/cli/phase.py", "phase expand"),
    ("interfaces/cli/demo.py", "up"),
}
"""Where a hole is filled with an option, or with a part of one, so that it cannot be counted here."""


def literals(path):
    """Yield each text of a module that is no docstring, its holes filled."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
        body = getattr(node, "body", None)
        if isinstance(body, list):
            skipped |= {id(one.value) for one in body if isinstance(one, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else HOLE for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def commands_in(text):
    """Yield what stands between backticks, is the whole text, or follows a colon, an arrow, a prompt or an indent."""
    yield from NAMED.findall(text)
    if text.startswith("pilothouse "):
        yield text
    yield from SHOWN.findall(text)


@functools.cache
def root():
    return typer.main.get_command(command_tree())


def found(words):
    """Return a command, its path, and what is typed after it."""
    command, path = root(), []
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        if HOLE in words[0]:
            return None, path, words
        assert words[0] in command.commands, f"no command {' '.join([*path, words[0]])!r}"
        command = command.commands[words[0]]
        path, words = [*path, words[0]], words[1:]
    return command, path, words


def wrong_with(text):
    """Return what is wrong with a command as printed; a bare name speaks of the command and is not typed."""
    command, path, words = found(shlex.split(re.sub(r"\{\w+\}", HOLE, text))[1:])
    if command is None or not words:
        return path, []
    return path, missing_or_much(command, words)


def missing_or_much(command, words):
    options = {name: one for one in command.params for name in (*one.opts, *one.secondary_opts)}
    given, values, wrong = set(), [], []
    rest = iter(words)
    for word in rest:
        if word == "--":
            values += list(rest)
        elif word == "…":
            continue
        elif word.startswith("--"):
            name = word.split("=")[0]
            if name == "--help":
                return []
            if name not in options:
                wrong.append(f"no option {name}")
                continue
            given.add(options[name].name)
            if not getattr(options[name], "is_flag", False) and "=" not in word:
                next(rest, None)
        else:
            values.append(word)
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    needed = [one.name for one in arguments if one.required]
    wrong += [f"{name} is missing" for name in needed[len(values) :]]
    if len(values) > len(arguments) and all(one.nargs != -1 for one in arguments):
        wrong.append(f"{values[len(arguments) :]} is too much")
    wrong += [
        f"{one.opts[0]} is missing"
        for one in command.params
        if one.param_type_name == "option" and one.required and one.name not in given
    ]
    return wrong


@pytest.mark.parametrize("requirement", FRAMEWORK, ids=lambda one: one.id)
def test_the_next_step_of_a_requirement_can_be_typed_as_it_stands(requirement):
    parts = (text for one in requirement.parts for text in (one.remedy, one.cure, one.again, one.ease))
    named = {requirement.remedy, *parts} - {""}
    for text in named:
        command, path, words = found(shlex.split(re.sub(r"\{\w+\}", HOLE, text))[1:])
        assert command is not None
        assert not hasattr(command, "commands") or getattr(command, "invoke_without_command", False), text
        assert missing_or_much(command, words) == [], (path, text)


def test_every_command_that_the_code_names_takes_what_is_printed_after_it():
    wrong, seen = [], 0
    for path in sorted(SOURCE.rglob("*.py")):
        name = str(path.relative_to(SOURCE))
        for text in literals(path):
            for command in commands_in(text):
                if command.startswith("pilothouse form "):
                    continue  # no command: what a token is made of
                seen += 1
                words, trouble = wrong_with(command)
                if trouble and (name, " ".join(words)) not in FILLED_BY_PARTS:
                    wrong.append((name, command, trouble))
    assert seen > 300
    assert wrong == []


def test_no_page_starts_another_server_to_put_a_charter_into_force():
    named = {
        (path.name, command)
        for path in (SOURCE / "reports").rglob("*.py")
        for text in literals(path)
        for command in commands_in(text)
        if command.startswith("pilothouse up --charter")
    }
    assert named == set()


def test_a_command_that_asks_for_more_or_takes_less_is_found():
    assert wrong_with("pilothouse explain INT-9 {agent}")[1] == ["['HOLE'] is too much"]
    assert "--agent is missing" in wrong_with("pilothouse eval import {name}")[1]
    assert wrong_with("pilothouse pause {agent} --as dana")[1][0] == "no option --as"
    assert wrong_with("pilothouse gate")[1] == []
