# SPDX-License-Identifier: Apache-2.0
"""An OpenAI-compatible chat endpoint as a target: `openai:URL?model=NAME`, and the client the judge uses too."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

from pilothouse.core.charter.digest import canonical_json
from pilothouse.errors import UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.json_text import value_or_text
from pilothouse.evals.targets.http_endpoint import GIVEN_UP_FACTOR, JsonPoster
from pilothouse.evals.targets.target import AgentFailed, TargetSpec, TargetUnreachable
from pilothouse.evals.trial import Reply, ToolCall, TrialContext

__all__ = ["ChatAnswer", "ChatClient", "ChatEndpoint", "TokenPrice"]

KEY_VARIABLE: Final = "OPENAI_API_KEY"
"""Where a credential is read from unless `key_env` names another variable; never written anywhere."""

OPTIONS: Final = (
    "model",
    "served_as",
    "system",
    "key_env",
    "usd_per_million_input",
    "usd_per_million_output",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrice:
    """What a million tokens cost; a model without a price has an unknown cost, never a free one.

    Attributes:
        input_usd: US dollars for a million input tokens.
        output_usd: US dollars for a million output tokens.
    """

    input_usd: float
    output_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAnswer:
    """One answer of a chat model.

    Attributes:
        text: Its text, or None when it answered with tool calls alone.
        refusal: Why it refused, or None.
        tool_calls: Tools it wants called.
        model: Model that answered, as the server says.
        cost_usd: Cost by the price, or None when price or usage is unknown.
        is_cut: Whether the answer ended at the token limit.
    """

    text: str | None
    refusal: str | None
    tool_calls: tuple[ToolCall, ...]
    model: str | None
    cost_usd: float | None
    is_cut: bool


class ChatClient:
    """Client of one model at one address, with persistent connections.

    Args:
        base_url: Address that ends before `/chat/completions`.
        model: Exact model to ask for.
        key_env: Environment variable that holds the credential; none is sent when it is unset.
        price: Price of the model, or None.
    """

    def __init__(
        self,
        base_url: str,
        *,
        model: str,
        key_env: str = KEY_VARIABLE,
        price: TokenPrice | None = None,
    ) -> None:
        key = os.environ.get(key_env)
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._poster = JsonPoster(headers={"Authorization": f"Bearer {key}"} if key else None)
        self._price = price
        self.model = model

    async def ask(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        timeout_s: float,
        headers: dict[str, str] | None = None,
        **parameters: Any,
    ) -> ChatAnswer:
        """Send messages and read the answer.

        Args:
            messages: Chat messages.
            timeout_s: Seconds for the exchange.
            headers: Further headers.
            parameters: Further fields of the request, for example `temperature`.

        Raises:
            AgentFailed: The answer is none.
            TargetUnreachable: The world failed.
            TimeoutError: Too late.
        """
        body = {"model": self.model, "messages": list(messages), **parameters}
        answer = await self._poster.post(self._url, body, headers=headers or {}, timeout_s=timeout_s)
        try:
            choice = answer["choices"][0]
            message = choice["message"]
            return ChatAnswer(
                text=message.get("content"),
                refusal=message.get("refusal"),
                tool_calls=tuple(_tool_call(one) for one in message.get("tool_calls") or ()),
                model=answer.get("model"),
                cost_usd=self._cost_usd(answer.get("usage")),
                is_cut=choice.get("finish_reason") == "length",
            )
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise AgentFailed(f"no chat answer: {error!r}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()

    def _cost_usd(self, usage: Mapping[str, Any] | None) -> float | None:
        if self._price is None or not usage:
            return None
        try:
            tokens_in, tokens_out = float(usage["prompt_tokens"]), float(usage["completion_tokens"])
        except (KeyError, TypeError, ValueError):
            return None
        return (tokens_in * self._price.input_usd + tokens_out * self._price.output_usd) / 1e6


class ChatEndpoint:
    """Answers a case by one chat completion of the model that is named; an answer of another one is none.

    The input is a list of messages, or becomes one user message. Output is the text (parsed when it is
    JSON); tool calls the model asked for are kept for the scorers of tool use and are not executed.

    Its address is `URL?model=NAME&system=FILE&key_env=VAR&usd_per_million_input=N&usd_per_million_output=N`, with `served_as=NAME`
    where the server answers under another name, as the charter says of the pin.

    Args:
        address: Base URL with its options.
        version: Version digest, or None to compute it from model and system prompt.

    Raises:
        UsageError: No model is named, an option is unknown, or a file or price is missing.
    """

    def __init__(self, address: str, *, version: str | None = None) -> None:
        base_url, options = _split(address)
        self._system = _read_system(options.get("system"))
        self._client = ChatClient(
            base_url,
            model=options["model"],
            key_env=options.get("key_env", KEY_VARIABLE),
            price=_price(options),
        )
        self._names = {None, options["model"], options.get("served_as")}
        identity = canonical_json({"model": options["model"], "system": self._system})
        self.spec = TargetSpec(
            address=f"openai:{address}",
            version=version or hashlib.sha256(identity.encode()).hexdigest(),
            fingerprint=hashlib.sha256(f"{base_url} {identity}".encode()).hexdigest(),
            version_is_declared=version is not None,
        )

    async def run(self, case: Case, context: TrialContext) -> Reply:
        """Ask once."""
        answer = await self._client.ask(
            [*self._system_messages(), *_messages(case.input)],
            timeout_s=GIVEN_UP_FACTOR * context.deadline_s,
            headers=context.headers(),
            seed=context.seed,
        )
        if answer.model not in self._names:
            # What another model says is no trial of this version, good or bad.
            raise TargetUnreachable(f"asked {self._client.model!r}, {answer.model!r} answered")
        if answer.refusal:
            raise AgentFailed(f"refused: {answer.refusal}")
        return Reply(
            output=value_or_text(answer.text),
            tool_calls=answer.tool_calls,
            cost_usd=answer.cost_usd,
            model=answer.model,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _system_messages(self) -> list[dict[str, str]]:
        return [{"role": "system", "content": self._system}] if self._system else []


def _split(address: str) -> tuple[str, dict[str, str]]:
    parts = urlsplit(address)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown or "model" not in options:
        problem = f"unknown option {unknown[0]!r}" if unknown else "no model is named"
        raise UsageError(
            f"{problem} in {address!r}.",
            remedy="The form is openai:http://HOST/v1?model=NAME&system=FILE.",
            subject=address,
        )
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")), options


def _read_system(path: str | None) -> str:
    if path is None:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"cannot read the system prompt {path!r}: {error.strerror}.",
            remedy="Give the path of a text file as system=FILE.",
            subject=path,
        ) from error


def _price(options: Mapping[str, str]) -> TokenPrice | None:
    ends = [options.get(f"usd_per_million_{side}") for side in ("input", "output")]
    if ends == [None, None]:
        return None
    try:
        return TokenPrice(input_usd=float(ends[0] or ""), output_usd=float(ends[1] or ""))
    except ValueError as error:
        raise UsageError(
            "a price needs both ends as numbers.",
            remedy="Add usd_per_million_input=N&usd_per_million_output=N.",
        ) from error


def _messages(value: Any) -> list[Mapping[str, Any]]:
    if isinstance(value, list) and all(isinstance(one, Mapping) and "role" in one for one in value):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return [{"role": "user", "content": text}]


def _tool_call(one: Mapping[str, Any]) -> ToolCall:
    function = one["function"]
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except ValueError:
        arguments = None
    return ToolCall(name=function["name"], arguments=arguments if isinstance(arguments, dict) else None)
