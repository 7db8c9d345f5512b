# SPDX-License-Identifier: Apache-2.0
"""What a Python file tells about an agent, from its syntax tree; the file is never run."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

from pilothouse.connectors.repository_words import FRAMEWORK_OF_MODULE, hosts_in, is_model
from pilothouse.core.charter.secrets import redacted
from pilothouse.core.charter.sighting import Sighting, SightingKind

__all__ = ["sightings_in_python"]

SPAN_KEYS = {
    "pilothouse.agent": SightingKind.AGENT,
    "gen_ai.agent.name": SightingKind.AGENT,
    "pilothouse.task.type": SightingKind.TASK_TYPE,
}
"""Attribute of a span → what its value names."""

MAKERS = frozenset({"Agent", "LlmAgent", "ChatAgent", "AssistantAgent", "create_agent", "create_react_agent"})
"""What makes an agent in a framework, with its name as `name=`."""

GRAPH_MAKERS = frozenset({"compile"})
"""LangGraph names an agent where its graph is compiled; `re.compile` has no `name=`."""


TOOL_DECORATORS = frozenset(
    {
        "tool",
        "tool_plain",
        "function_tool",
        "kernel_function",
        "ai_function",
        "mcp_tool",
        "as_tool",
        "beta_tool",
    }
)
MCP_CLASSES = re.compile(
    r"(?:Hosted)?MCP(?:Server|Tool|Toolset|Client)[A-Za-z]*|stdio_client|streamablehttp_client|sse_client"
)
MODEL_PLACE = re.compile(r"(?i)(?:[a-z0-9_]*_)?(?:model|model_?name|model_?id|llm)")
MODEL_SHAPE = re.compile(r"(?=[^0-9]*[0-9])[A-Za-z][A-Za-z0-9]*(?:[-._:/@][A-Za-z0-9]+)+")
"""A name with parts and a digit: `acme-large-2026-04-12` is a model, `default` and `user_id` are not."""

PROMPT_NAME = re.compile(r"(?i)prompt|instruction|system_message|persona|backstory")
AGENTS_NAMES = frozenset(
    {"Agent", "Runner", "function_tool", "ModelSettings", "handoff", "GuardrailFunctionOutput"}
)
"""Names of the framework that is imported as `agents`, a word that many projects use for a folder."""

PROMPT_CHARACTERS_MIN = 200
"""A string this long that nobody called a prompt may still be one, when it is written like one."""

PROMPT_OPENING = re.compile(
    r"(?i)\s*(?:you are|your (?:task|job|role) is|act as|as an? (?:ai|expert|assistant))\b"
)


def sightings_in_python(text: str, file: str) -> Iterator[Sighting]:
    """Yield the sightings in a Python file.

    Args:
        text: Its text.
        file: Path to show.

    Raises:
        SyntaxError: It is no Python.
        ValueError: It holds a null character.
        RecursionError: It nests deeper than the parser can follow.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their code's warnings are not ours
        tree = ast.parse(text)
    for kind, name, place, line in _given_names(tree):
        yield Sighting(kind=kind, value=redacted(name), file=file, line=line, detail=place)
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 1)
        for kind, value, detail, names in _in_node(node):
            yield Sighting(kind=kind, value=redacted(value), file=file, line=line, detail=detail, names=names)


Seen = tuple[SightingKind, str, str, tuple[str, ...]]


def _in_node(node: ast.AST) -> Iterator[Seen]:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from _imports(node)
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield from _decorated(node)
    elif isinstance(node, ast.Call):
        yield from _call(node)
    elif isinstance(node, ast.Dict):
        yield from _schema(node)
    elif isinstance(node, ast.Subscript):
        yield from _environ(node)
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        yield from _assignment(node)
    elif isinstance(node, ast.keyword):
        yield from _keyword(node)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from _constant(node.value)


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[Seen]:
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
        names: set[str] = set()
    else:
        modules = [node.module] if node.module and node.level == 0 else []
        names = {alias.name for alias in node.names}
        modules += [f"{modules[0]}.{name}" for name in sorted(names)] if modules == ["google"] else []
    for module in modules:
        parts = module.split(".")
        framework = FRAMEWORK_OF_MODULE.get(".".join(parts[:2])) or FRAMEWORK_OF_MODULE.get(parts[0])
        if framework == "openai-agents" and not names & AGENTS_NAMES:
            continue
        if framework:
            yield SightingKind.FRAMEWORK, framework, "import", ()


def _decorated(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Seen]:
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        name = _last_name(call.func if call else decorator)
        if name in TOOL_DECORATORS:
            given = _text_argument(call, ("name", "name_override")) if call else None
            yield SightingKind.TOOL, given or node.name, _signature(node), _arguments(node)
            return


def _call(node: ast.Call) -> Iterator[Seen]:
    name = _last_name(node.func)
    if name in ("getenv", "get") and (name == "getenv" or _is_environ(node.func)):
        variable = _string(node.args[0]) if node.args else None
        if variable:
            yield SightingKind.ENVIRONMENT, variable, "", ()
            yield from _model_by_place(variable, _string(node.args[-1]) or "")
    elif name and MCP_CLASSES.fullmatch(name):
        server = _text_argument(node, ("url", "name", "server_url", "server_label", "command"))
        # A function that opens whatever it is given says nothing of a server: its own name was taken for a system.
        if server or name[0].isupper():
            yield SightingKind.MCP_SERVER, next(hosts_in(server), server) if server else name, name, ()
    elif name in ("Tool", "StructuredTool", "FunctionTool") or (name == "from_function" and node.keywords):
        given = _text_argument(node, ("name",))
        if given:
            yield SightingKind.TOOL, given, name or "", ()


def _schema(node: ast.Dict) -> Iterator[Seen]:
    """A tool written as a schema: OpenAI's and Anthropic's forms."""
    entries = {
        key.value: value
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant)
    }
    name = _string(entries["name"]) if "name" in entries else None
    form = next((key for key in ("parameters", "input_schema", "inputSchema") if key in entries), None)
    if name and form:
        yield SightingKind.TOOL, name, "schema", _properties(entries[form])


def _properties(node: ast.AST) -> tuple[str, ...]:
    if not isinstance(node, ast.Dict):
        return ()
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == "properties" and isinstance(value, ast.Dict):
            return tuple(str(name.value) for name in value.keys if isinstance(name, ast.Constant))
    return ()


def _environ(node: ast.Subscript) -> Iterator[Seen]:
    variable = _string(node.slice)
    if variable and _last_name(node.value) == "environ":
        yield SightingKind.ENVIRONMENT, variable, "", ()


def _assignment(node: ast.Assign | ast.AnnAssign) -> Iterator[Seen]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    text = _text_or_default(node.value)
    for target in targets:
        name = _last_name(target)
        if text and name and PROMPT_NAME.search(name) and len(text) > PROMPT_CHARACTERS_MIN // 4:
            yield SightingKind.PROMPT_TEXT, name, f"{len(text)} characters", ()
        if text and name:
            yield from _model_by_place(name, text)


def _model_by_place(name: str, text: str) -> Iterator[Seen]:
    """A model that nobody lists is known by where its name stands: `MODEL = ...`, `model=...`."""
    if MODEL_PLACE.fullmatch(name) and MODEL_SHAPE.fullmatch(text) and not is_model(text):
        yield SightingKind.MODEL, text, "", ()


def _keyword(node: ast.keyword) -> Iterator[Seen]:
    text = _text_or_default(node.value)
    if text and node.arg and PROMPT_NAME.search(node.arg) and len(text) > PROMPT_CHARACTERS_MIN // 4:
        yield SightingKind.PROMPT_TEXT, node.arg, f"{len(text)} characters", ()
    if text and node.arg:
        yield from _model_by_place(node.arg, text)


def _constant(text: str) -> Iterator[Seen]:
    if is_model(text):
        yield SightingKind.MODEL, text, "", ()
    elif len(text) >= PROMPT_CHARACTERS_MIN and PROMPT_OPENING.match(text):
        yield SightingKind.PROMPT_TEXT, "text", f"{len(text)} characters", ()
    for host in hosts_in(text):
        yield SightingKind.HOST, host, "", ()


def _last_name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else None


def _is_environ(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and _last_name(node.value) == "environ"


def _string(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _text_or_default(node: ast.AST | None) -> str | None:
    """Return a text, also one that an environment variable may replace: `getenv("M", "a")`, `getenv("M") or "a"`."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        node = node.values[-1]
    if isinstance(node, ast.Call) and len(node.args) > 1 and _last_name(node.func) in ("getenv", "get"):
        node = node.args[1] if _last_name(node.func) == "getenv" or _is_environ(node.func) else None
    return None if node is None else _string(node)


def _text_argument(call: ast.Call, names: tuple[str, ...]) -> str | None:
    for name in names:
        for keyword in call.keywords:
            if keyword.arg == name and _string(keyword.value):
                return _string(keyword.value)
    return _string(call.args[0]) if call.args else None


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[str, ...]:
    """Names of the arguments that a model fills in: not self, not a run context."""
    found = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return tuple(argument.arg for argument in found if not _is_context(argument))


def _is_context(argument: ast.arg) -> bool:
    kind = ast.unparse(argument.annotation) if argument.annotation else ""
    return argument.arg in ("self", "cls", "ctx", "context") or "Context" in kind


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return f"{node.name}({', '.join(_arguments(node))})"


def _given_names(tree: ast.Module) -> Iterator[tuple[SightingKind, str, str, int]]:
    r"""Yield each name of an agent or a task type, `span` or `framework` for where it stands, and its line.

    A constant of the module is followed to its text.

    Example:
        >>> list(_given_names(ast.parse("NAME = 'orders'\nspan.set_attribute('pilothouse.task.type', NAME)")))
        [(<SightingKind.TASK_TYPE: 'task_type'>, 'orders', 'span', 2)]
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
        for kind, value, place in _named(node):
            name = text(value)
            if name:
                yield kind, name, place, value.lineno


def _named(node: ast.AST) -> Iterator[tuple[SightingKind, ast.expr, str]]:
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value in SPAN_KEYS:
                yield SPAN_KEYS[key.value], value, "span"
    elif isinstance(node, ast.Call):
        if len(node.args) == 2 and isinstance(node.args[0], ast.Constant) and node.args[0].value in SPAN_KEYS:
            yield SPAN_KEYS[node.args[0].value], node.args[1], "span"
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in MAKERS | GRAPH_MAKERS:
            yield from (
                (SightingKind.AGENT, one.value, "framework") for one in node.keywords if one.arg == "name"
            )
        if called == "agent":  # our own decorator names the type of its task
            yield from (
                (SightingKind.TASK_TYPE, one.value, "span") for one in node.keywords if one.arg == "task_type"
            )
