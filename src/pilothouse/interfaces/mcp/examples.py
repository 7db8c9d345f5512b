# SPDX-License-Identifier: Apache-2.0
"""The reviewed examples most like an input as an MCP tool, for an agent that speaks MCP and not HTTP."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from pilothouse.interfaces.mcp.read_tools import ReadServer, ReadTool
from pilothouse.workflows.curation.few_shots import FewShots

__all__ = ["TOOL", "example_server"]

TOOL: Final = "find_examples"
K_MAX: Final = 20


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    input: StrictStr
    task_type: StrictStr | None = None
    k: Annotated[int, Field(strict=True, ge=1, le=K_MAX)] = 5


class _Example(BaseModel):
    input: str
    output: str
    task_type: str


class _Examples(BaseModel):
    version: str
    examples: list[_Example]


def example_server(few_shots: FewShots, agent: str) -> ReadServer:
    """Return the server of one agent's examples.

    Args:
        few_shots: The libraries.
        agent: Whose examples these are; another agent's are never shown.
    """

    def find(asked: _Asked) -> _Examples:
        version, examples = few_shots.find(agent, asked.input, task_type=asked.task_type, k=asked.k)
        return _Examples(
            version=version,
            examples=[
                _Example(input=one.input, output=one.output, task_type=one.task_type) for one in examples
            ],
        )

    tool = ReadTool(
        name=TOOL,
        description="Return past inputs like this one with the answers that people found right, best match first.",
        asked=_Asked,
        said=_Examples,
        answer=find,
    )
    return ReadServer("pilothouse-examples", [tool])
