# SPDX-License-Identifier: Apache-2.0
"""Composes MCP servers of our own on standard input and output: verdicts for assistants, examples for agents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pilothouse.app.example_search import example_index
from pilothouse.app.opening import SystemClock, open_installation

if TYPE_CHECKING:
    from pilothouse.settings import Settings
    from pilothouse.workflows.reports.show import Shows

__all__ = ["serve_examples", "serve_verdicts"]


def serve_examples(settings: Settings, agent: str) -> None:
    """Serve an agent's few-shot examples by MCP on standard input and output until the agent disconnects."""
    import asyncio

    from pilothouse.interfaces.mcp.examples import example_server
    from pilothouse.ledger.curation import SqlCuration
    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.workflows.curation.few_shots import FewShots

    with open_ledger(settings.ledger_url) as ledger:
        few_shots = FewShots(SqlCuration(ledger.database), example_index(settings), SystemClock())
        asyncio.run(example_server(few_shots, agent).serve_stdio())


def serve_verdicts(settings: Settings) -> None:
    """Serve verdicts, evidence, tasks and runs by MCP on standard input and output until the assistant disconnects."""
    import asyncio

    from pilothouse.interfaces.mcp.verdicts import verdict_server
    from pilothouse.workflows.reports.show import Shows

    @contextmanager
    def open_shows() -> Iterator[Shows]:
        with open_installation(settings) as installation:
            yield Shows(installation)

    asyncio.run(verdict_server(open_shows).serve_stdio())
