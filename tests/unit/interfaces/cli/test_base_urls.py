# SPDX-License-Identifier: Apache-2.0
"""What `init` says of base URLs follows from the clients and models that were found."""

from __future__ import annotations

import pytest

from pilothouse.core.charter.sighting import Sighting, SightingKind
from pilothouse.interfaces.cli.base_urls import base_urls


@pytest.mark.parametrize(
    ("clients", "models", "variables", "unanswered"),
    [
        (["openai"], ["gpt-4o"], ["OPENAI_BASE_URL"], ()),
        (["anthropic"], ["claude-sonnet-4-5"], ["ANTHROPIC_BASE_URL"], ()),
        (["pydantic-ai", "mcp"], ["anthropic:claude-sonnet-4-5"], ["OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"], ()),
        (["openai", "claude-agent-sdk"], [], ["OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"], ()),
        (["google-genai", "cohere"], ["claude-sonnet-4-5"], [], ("cohere", "google-genai")),
        (["mcp"], [], [], ()),
    ],
)  # fmt: skip
def test_variables_follow_from_what_was_found(clients, models, variables, unanswered):
    seen = [Sighting(kind=SightingKind.FRAMEWORK, value=name, file="a.py", line=1) for name in clients]
    seen += [Sighting(kind=SightingKind.MODEL, value=name, file="a.py", line=2) for name in models]
    found = base_urls(seen, "http://127.0.0.1:4318")
    assert (list(found.variables), found.unanswered) == (variables, unanswered)
    assert found.places == (("a.py:1",) if variables else ())
