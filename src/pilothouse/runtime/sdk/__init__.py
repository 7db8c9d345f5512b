# SPDX-License-Identifier: Apache-2.0
"""The SDK for an agent's code; light, because it is imported into every process of the agent."""

from pilothouse.runtime.sdk import unread
from pilothouse.runtime.sdk.agent import agent
from pilothouse.runtime.sdk.claims import claim
from pilothouse.runtime.sdk.server import feedback, few_shots
from pilothouse.runtime.sdk.tasks import open_task
from pilothouse.runtime.sdk.tool import current_call_key, tool

__all__ = ["agent", "claim", "current_call_key", "feedback", "few_shots", "open_task", "tool", "unread"]
