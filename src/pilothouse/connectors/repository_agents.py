# SPDX-License-Identifier: Apache-2.0
"""The names that Python code gives its agent, in spans or in a framework."""

from __future__ import annotations

import ast
from collections.abc import Iterator

__all__ = ["agent_names"]

SPAN_KEYS = frozenset({"pilothouse.agent", "gen_ai.agent.name"})
MAKERS = frozenset({"Agent", "LlmAgent", "ChatAgent", "AssistantAgent", "create_agent", "create_react_agent"})
"""What makes an agent in a framework, with its name as `name=`."""

GRAPH_MAKERS = frozenset({"compile"})
"""LangGraph names an agent where its graph is compiled; `re.compile` has no `name=`."""


def agent_names(tree: ast.Module) -> Iterator[tuple[str, str, int]]:
    r"""Yield each name, `span` or `framework` for where it stands, and its line.

    A constant of the module is followed to its text.

    Example:
        >>> list(agent_names(ast.parse("NAME = 'orders'\nspan.set_attribute('gen_ai.agent.name', NAME)")))
        [('orders', 'span', 2)]
    """
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }

    def text(node: ast.AST | None) -> str | None:
        if isinstance(node, ast.Name):
            node = constants.get(node.id)
        return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None

    for node in ast.walk(tree):
        for value, place in _named(node):
            name = text(value)
            if name:
                yield name, place, value.lineno


def _named(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value in SPAN_KEYS:
                yield value, "span"
    elif isinstance(node, ast.Call):
        if len(node.args) == 2 and isinstance(node.args[0], ast.Constant) and node.args[0].value in SPAN_KEYS:
            yield node.args[1], "span"
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in MAKERS | GRAPH_MAKERS:
            yield from ((one.value, "framework") for one in node.keywords if one.arg == "name")
