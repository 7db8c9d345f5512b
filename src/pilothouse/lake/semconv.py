# SPDX-License-Identifier: Apache-2.0
"""The table of attribute aliases: which attribute of which convention fills which column, and which span calls a model.

Order is precedence: the first alias that is present wins, and aliases of one column are never added
up. Names of the OpenTelemetry GenAI conventions come before older ones, those before OpenInference.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ALIASES",
    "DEFINITION_KEYS",
    "EVENT_INPUTS",
    "EVENT_OUTPUTS",
    "FLATTENED",
    "INPUT_ONLY_OPERATIONS",
    "LATEST_KEYS",
    "MODEL_OPERATIONS",
    "OLDER_KEYS",
    "OPENINFERENCE_PREFIXES",
    "OUTER_OPERATIONS",
    "PAYLOAD_INPUTS",
    "PAYLOAD_OUTPUTS",
    "PROVIDERS",
    "RETRIEVAL_OPERATIONS",
    "SEPARATE_OPERATIONS",
    "SPAN_KINDS",
    "SYSTEM_KEYS",
    "TOOL_OPERATIONS",
    "is_model_call",
]

ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "operation": ("gen_ai.operation.name",),
    # The last two are OpenLLMetry's, most of whose instrumentations name no operation.
    "kind": ("openinference.span.kind", "llm.request.type", "traceloop.span.kind"),
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
    "request_model": (
        "gen_ai.request.model",
        "llm.request.model_name",
        "embedding.model_name",
        "reranker.model_name",
        "decision.request.model_name",
    ),
    "response_model": (
        "gen_ai.response.model",
        "llm.response.model_name",
        # OpenInference has one name for both; its instrumentations overwrite it with what the answer says.
        "llm.model_name",
        "decision.response.model_name",
    ),
    "response_id": ("gen_ai.response.id",),
    "finish_reasons": ("gen_ai.response.finish_reasons", "llm.finish_reason"),
    "first_chunk_s": ("gen_ai.response.time_to_first_chunk",),
    "tokens_input_total": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.token_count.prompt",
        "decision.token_count.input",
    ),
    "tokens_cache_read": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "llm.token_count.prompt_details.cache_read",
        "llm.token_count.prompt_details.cache_input",
    ),
    "tokens_cache_creation": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.cache_write_input_tokens",
        "gen_ai.usage.details.cache_write_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "tokens_output_total": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
        "decision.token_count.output",
    ),
    "tokens_reasoning": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
    ),
    "aggregated_input_total": ("gen_ai.aggregated_usage.input_tokens",),
    "aggregated_output_total": ("gen_ai.aggregated_usage.output_tokens",),
    "conversation_id": ("gen_ai.conversation.id", "session.id"),
    "user_id": ("user.id", "enduser.id"),
    "agent": ("pilothouse.agent", "gen_ai.agent.name", "agent_name", "agent.name"),
    "agent_id": ("gen_ai.agent.id",),
    "agent_version": ("gen_ai.agent.version",),
    "version_digest": ("pilothouse.version",),
    "task_type": ("pilothouse.task.type",),
    "task_result": ("pilothouse.task.result",),
    "task_claim": ("pilothouse.task.claim",),
    "task_confidence": ("pilothouse.task.confidence",),
    "tool_name": ("gen_ai.tool.name", "tool.name", "tool_call.function.name"),
    "tool_call_id": ("gen_ai.tool.call.id", "tool_call.id", "tool.id"),
    "tool_type": ("gen_ai.tool.type",),
    "data_source_id": ("gen_ai.data_source.id",),
    "error_type": ("error.type",),
    "service_tier": (
        "pilothouse.gateway.service_tier",
        "openai.response.service_tier",
        "gen_ai.openai.response.service_tier",
    ),
    "fees": ("pilothouse.gateway.fees",),
    "source_cost_usd": ("gen_ai.usage.cost", "operation.cost", "llm.cost.total"),
    "server_address": ("server.address", "net.peer.name"),
    "server_port": ("server.port", "net.peer.port"),
    "event_name": ("event.name",),
    "metadata": ("metadata",),
}
"""Column or input of a column → attribute names, first present wins."""

LATEST_KEYS: Final[frozenset[str]] = frozenset(
    {
        "gen_ai.provider.name",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.response.time_to_first_chunk",
        "gen_ai.retrieval.query.text",
        "gen_ai.retrieval.documents",
        "gen_ai.memory.query.text",
        "gen_ai.memory.records",
    }
)
"""Names that only the latest GenAI conventions have: they tell `otel` from `otel_1_36`."""

OLDER_KEYS: Final[frozenset[str]] = frozenset(
    {
        "gen_ai.system",
        "gen_ai.prompt",
        "gen_ai.completion",
        "gen_ai.usage.prompt_tokens",
        "gen_ai.usage.completion_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.cost",
        "agent_name",
        "tool_arguments",
        "tool_response",
        "pydantic_ai.all_messages",
        "operation.cost",
        "llm.request.type",
        "traceloop.span.kind",
    }
)
"""Names that only conventions up to 1.36 and older instrumentations have."""

OPENINFERENCE_PREFIXES: Final[tuple[str, ...]] = (
    "openinference.",
    "llm.",
    "input.",
    "output.",
    "embedding.",
    "reranker.",
    "retrieval.",
    "decision.",
    "tool.",
    "tool_call.",
    "agent.name",
    "metadata",
)
"""Where OpenInference names begin."""

PAYLOAD_INPUTS: Final[dict[str, tuple[str, ...]]] = {
    "tool": (
        "gen_ai.tool.call.arguments",
        "tool_arguments",
        "input.value",
        "tool_call.function.arguments",
        "tool.parameters",
    ),
    "model": (
        "gen_ai.input.messages",
        "gen_ai.prompt",
        "gen_ai.prompt.",
        "pydantic_ai.all_messages",
        "llm.input_messages.",
        "llm.prompts.",
        "input.value",
    ),
    "retrieval": (
        "gen_ai.retrieval.query.text",
        "gen_ai.memory.query.text",
        "input.value",
        "reranker.query",
    ),
}
"""Class of operation → attributes (or, ending in a dot, flattened lists) that hold its input."""

PAYLOAD_OUTPUTS: Final[dict[str, tuple[str, ...]]] = {
    "tool": ("gen_ai.tool.call.result", "tool_response", "output.value"),
    "model": (
        "gen_ai.output.messages",
        "gen_ai.completion",
        "gen_ai.completion.",
        "final_result",
        "llm.output_messages.",
        "llm.choices.",
        "output.value",
    ),
    "retrieval": (
        "gen_ai.retrieval.documents",
        "gen_ai.memory.records",
        "retrieval.documents.",
        "reranker.output_documents.",
        "output.value",
    ),
}
"""Class of operation → attributes (or, ending in a dot, flattened lists) that hold its output."""

SYSTEM_KEYS: Final[tuple[str, ...]] = ("gen_ai.system_instructions",)
DEFINITION_KEYS: Final[tuple[str, ...]] = ("gen_ai.tool.definitions", "llm.tools.")

FLATTENED: Final[dict[str, str]] = {
    "gen_ai.prompt.": "",
    "gen_ai.completion.": "",
    "llm.input_messages.": "message.",
    "llm.output_messages.": "message.",
    "llm.prompts.": "prompt.",
    "llm.choices.": "completion.",
    "llm.tools.": "tool.",
    "retrieval.documents.": "document.",
    "reranker.output_documents.": "document.",
    "reranker.input_documents.": "document.",
}
"""Prefix of a flattened list → the prefix that each field of an item repeats."""

EVENT_INPUTS: Final[dict[str, str]] = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.content.prompt": "user",
}
"""Events of conventions up to 1.36 that carry a message to the model → its role."""

EVENT_OUTPUTS: Final[dict[str, str]] = {
    "gen_ai.choice": "assistant",
    "gen_ai.content.completion": "assistant",
}
"""Events of conventions up to 1.36 that carry a message of the model → its role."""

SPAN_KINDS: Final[dict[str, str]] = {
    "LLM": "chat",
    "EMBEDDING": "embeddings",
    "RETRIEVER": "retrieval",
    "RERANKER": "rerank",
    "TOOL": "execute_tool",
    "AGENT": "invoke_agent",
    "CHAIN": "invoke_workflow",
    "GUARDRAIL": "guardrail",
    "EVALUATOR": "evaluate",
    "PROMPT": "prompt",
    "DECISION": "decision",
    "COMPLETION": "text_completion",
    "RERANK": "rerank",
    "WORKFLOW": "invoke_workflow",
    "UNKNOWN": "other",
}
"""Span kind of OpenInference or OpenLLMetry → our operation."""

PROVIDERS: Final[dict[str, str]] = {
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "google": "gcp.gen_ai",
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "aws": "aws.bedrock",
    "xai": "x_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
}
"""Provider as older names say it → as the latest convention says it."""

MODEL_OPERATIONS: Final[frozenset[str]] = frozenset(
    {"chat", "generate_content", "text_completion", "embeddings", "rerank", "decision"}
)
"""Operations that call a model and are paid for."""

TOOL_OPERATIONS: Final[frozenset[str]] = frozenset({"execute_tool"})
"""Operations that run a tool."""

RETRIEVAL_OPERATIONS: Final[frozenset[str]] = frozenset(
    {
        "retrieval",
        "search_memory",
        "rerank",
        "create_memory",
        "update_memory",
        "upsert_memory",
        "delete_memory",
    }
)
"""Operations whose input is a query or a record and whose output is a list of documents."""

OUTER_OPERATIONS: Final[frozenset[str]] = frozenset(
    {"invoke_agent", "invoke_workflow", "create_agent", "plan"}
)
"""Operations that repeat the sum of what lies below them."""

SEPARATE_OPERATIONS: Final[frozenset[str]] = OUTER_OPERATIONS | TOOL_OPERATIONS
"""A model call below one of these is separate work from a model call above it; none of them is a model call itself."""

INPUT_ONLY_OPERATIONS: Final[frozenset[str]] = frozenset({"embeddings", "rerank"})
"""Model calls that have no output tokens; of any other an output that is not told is unknown, not zero."""


def is_model_call(operation: str, *, has_usage: bool) -> bool:
    """Return whether a span is a model call: by its operation, or by token usage under an unknown operation.

    Args:
        operation: What the span says it did.
        has_usage: Whether it says how many tokens it used.

    Example:
        >>> is_model_call("chat", has_usage=False), is_model_call("responses", has_usage=True)
        (True, True)
        >>> is_model_call("invoke_agent", has_usage=True)
        False
    """
    return operation in MODEL_OPERATIONS or (has_usage and operation not in SEPARATE_OPERATIONS)
