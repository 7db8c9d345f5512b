# SPDX-License-Identifier: Apache-2.0
"""The laws of the house as functions from a module to its offences, so that they can be tried on planted ones."""

from __future__ import annotations

import ast
import re

from source_tree import Module, declared_all, public_definitions

SPDX = "# SPDX-License-Identifier: Apache-2.0"
BANNED_WORDS = {
    "manager",
    "helper",
    "helpers",
    "utils",
    "util",
    "common",
    "misc",
    "service",
    "processor",
    "process_",
    "do_",
    "info",
}
CLOCKS = {"now", "utcnow", "today"}
CORE_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
FILE_LINES_MAX = 600


def spdx_missing(module: Module) -> list[str]:
    return [] if module.text.startswith(SPDX) else [f"{module.shown}: no SPDX line"]


def first_sentence_missing(module: Module) -> list[str]:
    doc = ast.get_docstring(module.tree)
    first = (doc or "").strip().splitlines()[0] if doc and doc.strip() else ""
    return (
        []
        if first.endswith((".", ":", "?")) or (doc and "." in doc.split("\n\n")[0])
        else [f"{module.shown}: no first sentence"]
    )


def all_is_not_the_public_names(module: Module) -> list[str]:
    """Order is ruff's business (RUF022)."""
    if module.path.name == "__init__.py" and not list(public_definitions(module.tree)):
        return []
    declared = declared_all(module.tree)
    if declared is None:
        return [f"{module.shown}: no __all__"]
    return [
        f"{module.shown}:{node.lineno}: public {node.name!r} is not in __all__"
        for node in public_definitions(module.tree)
        if node.name not in declared
    ]


def docstring_missing(module: Module) -> list[str]:
    offences = []
    for node in public_definitions(module.tree):
        if ast.get_docstring(node) is None:
            offences.append(f"{module.shown}:{node.lineno}: {node.name!r} has no docstring")
        if isinstance(node, ast.ClassDef):
            offences += [
                f"{module.shown}:{child.lineno}: {node.name}.{child.name} has no docstring"
                for child in node.body
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
                and not child.name.startswith("_")
                and ast.get_docstring(child) is None
            ]
    return offences


def banned_name(module: Module) -> list[str]:
    names = {(module.path.stem, 1)} | {(node.name, node.lineno) for node in public_definitions(module.tree)}
    offences = []
    for name, line in names:
        words = set(re.split(r"_+|(?<=[a-z])(?=[A-Z])", name)) if name else set()
        bad = {word for word in words if word.lower() in BANNED_WORDS}
        offences += [f"{module.shown}:{line}: banned word {word!r} in {name!r}" for word in sorted(bad)]
    return offences


def core_reads_the_world(module: Module) -> list[str]:
    """Clock, dice, files and terminals, which an import check alone does not see."""
    if ".core" not in module.name:
        return []
    offences = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in CORE_CALLS | {"uuid4"}:
                offences.append(f"{module.shown}:{node.lineno}: calls {called.id}()")
            if isinstance(called, ast.Attribute) and called.attr in CLOCKS and _is_date_like(called.value):
                offences.append(f"{module.shown}:{node.lineno}: reads a clock")
        dotted = _dotted(node) if isinstance(node, ast.Attribute) else ""
        if dotted.startswith(("np.random.", "numpy.random.")) and not dotted.endswith(".Generator"):
            offences.append(f"{module.shown}:{node.lineno}: uses {dotted}")
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("numpy.random"):
            offences += [
                f"{module.shown}:{node.lineno}: imports {alias.name}"
                for alias in node.names
                if alias.name != "Generator"
            ]
    return offences


def ignore_without_reason(module: Module) -> list[str]:
    offences = []
    for number, line in enumerate(module.text.splitlines(), start=1):
        for mark in ("# type: ignore", "# noqa", "# pragma: no cover"):
            if mark in line:
                rest = line.split(mark, 1)[1]
                reason = re.sub(r"^[\[(:]?[\w\s,\[\]():-]*?[\])]?(?=\s+[-#])", "", rest, count=1).strip(" -#")
                if len(reason) < 8:
                    offences.append(f"{module.shown}:{number}: {mark[2:]} without a reason on its line")
    return offences


def file_too_long(module: Module) -> list[str]:
    lines = module.text.count("\n")
    return [f"{module.shown}: {lines} lines, at most {FILE_LINES_MAX}"] if lines > FILE_LINES_MAX else []


def percentage_by_hand(module: Module) -> list[str]:
    """`f"{share:.1%}"` writes "95.0%" where every sentence and page says "95.0 %"."""
    return [
        f"{module.shown}:{node.lineno}: `%` in a format; `core.verdict.numbers.percentage` writes a rate"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FormattedValue)
        and node.format_spec is not None
        and ast.unparse(node.format_spec).rstrip("'\"").endswith("%")
    ]


MAKE_CONSOLES = frozenset({"consoles.py", "terminal_tasks.py"})
"""The first makes those that show hidden characters as marks; the second lays lines out that one of them prints."""


def console_of_its_own(module: Module) -> list[str]:
    """A bare rich console writes an escape sequence in an agent's answer as it came, and a terminal obeys it."""
    if module.path.name in MAKE_CONSOLES:
        return []
    return [
        f"{module.shown}:{node.lineno}: makes a console; take one of interfaces/cli/consoles.py"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and _dotted(node.func).split(".")[-1] == "Console"
    ]


LAWS = (
    spdx_missing,
    first_sentence_missing,
    all_is_not_the_public_names,
    docstring_missing,
    banned_name,
    core_reads_the_world,
    ignore_without_reason,
    file_too_long,
    percentage_by_hand,
    console_of_its_own,
)


def _dotted(node: ast.AST) -> str:
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    return ".".join(reversed(parts))


def _is_date_like(node: ast.AST) -> bool:
    return _dotted(node).split(".")[-1] in {"datetime", "date", "dt", "time"}
