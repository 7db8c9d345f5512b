# SPDX-License-Identifier: Apache-2.0
"""Read what a replay changes from what was typed: a model, parameters, files of instructions, results and contracts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pilothouse.errors import UsageError
from pilothouse.evals.targets.recorded import json_or_text
from pilothouse.runtime.replay.substitution import Substitution

__all__ = ["read_substitution"]


def read_substitution(
    *,
    model: str | None,
    params: Mapping[str, str],
    prompt: Path | None,
    tool_results: Mapping[str, Path],
    tool_contracts: tuple[Path, ...],
    code: str | None,
) -> Substitution:
    """Read what a replay changes from options.

    Args:
        model: Model to ask instead.
        params: Parameters by name, their values as JSON or as plain text.
        prompt: File of the instructions.
        tool_results: Files of results by call id.
        tool_contracts: Files of tool definitions, as the request carries them.
        code: Revision of the agent's code.

    Raises:
        UsageError: A file is not there or is no tool definition.
    """
    contracts: dict[str, dict[str, object]] = {}
    for path in tool_contracts:
        try:
            tool = json.loads(_text(path))
            name = (tool.get("function") or tool)["name"]
        except (ValueError, RecursionError, KeyError, AttributeError, TypeError) as error:
            raise UsageError(
                f"{path} is no tool definition",
                remedy="Write it as the request has it: `pilothouse replay RUN --show`",
                subject=str(path),
            ) from error
        contracts[str(name)] = tool
    return Substitution(
        model=model,
        params={name: json_or_text(text) for name, text in params.items()},
        prompt=None if prompt is None else _text(prompt),
        tool_results={call: _text(path) for call, path in tool_results.items()},
        tool_contracts=contracts,
        code=code,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read", remedy=f"Look: `ls -l {path}`", subject=str(path)
        ) from error
