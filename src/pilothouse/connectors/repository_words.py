# SPDX-License-Identifier: Apache-2.0
"""The words by which frameworks, models, hosts and environment variables are recognised in text."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = [
    "FRAMEWORK_OF_MODULE",
    "FRAMEWORK_OF_PACKAGE",
    "environment_names",
    "hosts_in",
    "is_model",
    "models_in",
]

FRAMEWORK_OF_MODULE: dict[str, str] = {
    "pydantic_ai": "pydantic-ai",
    "agents": "openai-agents",
    "langgraph": "langgraph",
    "langchain": "langchain",
    "langchain_core": "langchain",
    "langchain_openai": "langchain",
    "langchain_anthropic": "langchain",
    "crewai": "crewai",
    "autogen": "autogen",
    "autogen_agentchat": "autogen",
    "llama_index": "llama-index",
    "smolagents": "smolagents",
    "dspy": "dspy",
    "semantic_kernel": "semantic-kernel",
    "agent_framework": "agent-framework",
    "haystack": "haystack",
    "strands": "strands-agents",
    "agno": "agno",
    "google.adk": "google-adk",
    "google.genai": "google-genai",
    "claude_agent_sdk": "claude-agent-sdk",
    "mcp": "mcp",
    "fastmcp": "mcp",
    "openai": "openai",
    "anthropic": "anthropic",
    "mistralai": "mistralai",
    "cohere": "cohere",
    "litellm": "litellm",
    "instructor": "instructor",
    "ollama": "ollama",
}
"""Imported module → framework or client."""

FRAMEWORK_OF_PACKAGE: dict[str, str] = {
    **{
        module.replace("_", "-").replace(".", "-"): name
        for module, name in FRAMEWORK_OF_MODULE.items()
        if module != "agents"
    },
    "openai-agents": "openai-agents",
    "pydantic-ai-slim": "pydantic-ai",
    "llama-index-core": "llama-index",
    "pyautogen": "autogen",
    "google-adk": "google-adk",
    "strands-agents": "strands-agents",
    "ai": "vercel-ai",
    "@openai-agents": "openai-agents",
    "@openai/agents": "openai-agents",
    "@langchain/core": "langchain",
    "@langchain/langgraph": "langgraph",
    "@anthropic-ai/sdk": "anthropic",
    "@modelcontextprotocol/sdk": "mcp",
    "@mastra/core": "mastra",
}
"""Dependency → framework or client."""

MODEL = (
    r"(?:(?:[a-z][a-z0-9_-]{1,30})[:/])?"
    r"(?:gpt-(?:oss-)?[0-9][a-z0-9.-]*|chatgpt-[a-z0-9.-]+|o[134](?:-(?:mini|pro|preview))?(?:-[0-9-]{8,10})?"
    r"|claude-[a-z0-9][a-z0-9.-]+|gemini-[a-z0-9.-]+|(?:open-)?mi[sx]tral-[a-z0-9.-]+|codestral-[a-z0-9.-]+"
    r"|llama-?[0-9][a-z0-9.:-]*|command-[ar][a-z0-9.-]*|deepseek-[a-z0-9.-]+|qwen[0-9][a-z0-9.:-]*|grok-[a-z0-9.-]+"
    r"|phi-[0-9][a-z0-9.-]*|gemma-?[0-9][a-z0-9.:-]*|text-embedding-[a-z0-9-]+)"
)
EXACT_MODEL_NAME = re.compile(MODEL)
MODEL_IN_QUOTES = re.compile(rf"['\"`]({MODEL})['\"`]")
MODEL_AS_VALUE = re.compile(rf"(?:^|[\s:=\"'])({MODEL})(?=$|[\s\"',#])")

HOST = re.compile(r"\b(?:https?|wss?|grpcs?|postgres(?:ql)?|mysql|mongodb(?:\+srv)?|redis|amqps?|sftp|smtps?|imaps?)://"
                  r"(?:[^/\s'\"<>@]{1,200}@)?((?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63})(?::([0-9]{1,5}))?")  # fmt: skip
PORT_OF_SCHEME = {
    "https": "443", "http": "80", "wss": "443", "ws": "80", "grpcs": "443", "grpc": "50051", "postgres": "5432",
    "postgresql": "5432", "mysql": "3306", "mongodb": "27017", "mongodb+srv": "27017", "redis": "6379",
    "amqp": "5672", "amqps": "5671", "sftp": "22", "smtp": "25", "smtps": "465", "imap": "143", "imaps": "993",
}  # fmt: skip
NO_SYSTEM = (
    "example.com", "example.org", "example.net", "localhost", "json-schema.org", "w3.org", "schema.org",
    "github.com", "githubusercontent.com", "readthedocs.io", "python.org", "pypi.org", "npmjs.com",
    "opensource.org", "apache.org", "spdx.org", "shields.io", "openxmlformats.org", "schemastore.org",
)  # fmt: skip
"""Hosts that stand in code as names or documentation: nothing is sent there."""

ENVIRONMENT = re.compile(r"process\.env(?:\.([A-Z][A-Z0-9_]{2,63})|\[['\"]([A-Z][A-Z0-9_]{2,63})['\"]\])")


def is_model(text: str) -> bool:
    """Return whether a whole text is the name of a model.

    Example:
        >>> is_model("openai:gpt-4o"), is_model("gpt-4o is nice")
        (True, False)
    """
    return EXACT_MODEL_NAME.fullmatch(text) is not None


def models_in(line: str, *, quoted_only: bool) -> Iterator[str]:
    """Yield the model names in a line.

    Args:
        line: One line.
        quoted_only: Whether only a whole quoted text counts, as in a programming language.
    """
    for found in (MODEL_IN_QUOTES if quoted_only else MODEL_AS_VALUE).finditer(line):
        yield found[1]


def hosts_in(text: str) -> Iterator[str]:
    """Yield `host:port` of each address of another system; a user or password in it is left behind.

    Example:
        >>> list(hosts_in("postgresql://app:hunter2@db.corp.test/erp"))
        ['db.corp.test:5432']
    """
    for found in HOST.finditer(text):
        host = found[1].lower()
        if not host.endswith(NO_SYSTEM):
            scheme = found[0].split("://", 1)[0].lower()
            yield f"{host}:{found[2] or PORT_OF_SCHEME[scheme]}"


def environment_names(line: str) -> Iterator[str]:
    """Yield the environment variables that a line of JavaScript or TypeScript reads."""
    for found in ENVIRONMENT.finditer(line):
        yield found[1] or found[2]
