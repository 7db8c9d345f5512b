# SPDX-License-Identifier: Apache-2.0
"""The contract of one tool: what goes in and comes out, how long it may take, how it fails (JSON text → contract).

The policy in the charter says who may call; the contract says what a call is. The charter pins the
contract by the digest of its file, so that neither changes without the other being looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.charter.systems import Effect
from pilothouse.errors import CharterInvalid, Place, ToolErrorKind

__all__ = [
    "BreakerTerms",
    "ContractExample",
    "FreshnessTerms",
    "Idempotency",
    "ToolContract",
    "UpstreamTool",
    "file_digest",
    "manifest_digest",
    "parse_contract",
]

RESULT_BYTES_MAX = 1024 * 1024
"""A result that a model has to read is small; a megabyte is 250,000 tokens."""

Seconds = Annotated[float, Field(gt=0, le=3_600)]
Idempotency = Literal["natural", "key", "none"]
"""Why a second call does no more than the first: by nature, by a key that the backend honours, or not at all."""


class _Terms(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class BreakerTerms(_Terms):
    """When calls to a failing backend stop.

    Attributes:
        window: Outcomes that are looked at.
        minimum: Outcomes below which nothing is concluded.
        failure_rate: Share of failures that stops calls; a tool that is normally at 10 % declares more than 0.4.
        slow_rate: Share of slow answers that stops calls.
        slow_after_s: From when an answer is slow, seconds.
    """

    window: int = Field(default=20, ge=2, le=1_000)
    minimum: int = Field(default=10, ge=2, le=1_000)
    failure_rate: float = Field(default=0.4, gt=0, le=1)
    slow_rate: float = Field(default=0.8, gt=0, le=1)
    slow_after_s: Seconds | None = None


class FreshnessTerms(_Terms):
    """How the age of a result is told.

    Attributes:
        at: Field of the result that holds a moment: ISO 8601, or Unix seconds.
        max_age_s: Longest accepted age, seconds.
        on_stale: `error` refuses the result; `label` hands it over with its age.
    """

    at: str
    max_age_s: float = Field(gt=0)
    on_stale: Literal["error", "label"] = "error"


class UpstreamTool(_Terms):
    """The tool of an MCP server that stands behind this one.

    Attributes:
        server: Name of the upstream server.
        tool: Name the server gives it.
        manifest_hash: Digest of what the server says about it, as reviewed; see `manifest_digest`.
    """

    server: str
    tool: str
    manifest_hash: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class ContractExample(_Terms):
    """A call whose outcome is known; `pilothouse integration verify` makes them.

    Attributes:
        args: Arguments.
        result: What comes back, for the recorded stand-in; None for an example of an error.
        error: Kind of the error it must give.
        live: Whether it may be made against production; only reads may.
    """

    args: dict[str, Any]
    result: Any = None
    error: ToolErrorKind | None = None
    live: bool = False


class ToolContract(_Terms):
    """What a call of one tool is.

    Attributes:
        name: `server.tool`.
        version: Major version; the tool is `name@version`.
        description: What the model is told, written by us.
        input: JSON Schema of the arguments.
        output: JSON Schema of the result.
        annotations: What a server claims about the tool; shown, never trusted.
        idempotency: `natural` (twice is once), `key` (the backend takes one), or `none`.
        key_argument: Argument of the function that receives the key.
        timeout_s: Longest time for a call with all its attempts, seconds.
        attempt_timeout_s: Longest time for one attempt; the rest of the call's time when None.
        attempts: Attempts in all.
        slots: Calls at once.
        line: Calls that may wait for a slot.
        rate_per_s: Attempts a second; the integration's limit when None.
        burst: Attempts that may start together.
        breaker: When calls to a failing backend stop.
        hedge: Whether a slow read gets a second attempt.
        freshness: How the age of a result is told; None when it has none.
        environment_at: Field of the result that names the environment it came from; how production is told from a
            sandbox.
        errors: Error code or status of the backend → kind.
        result_bytes_max: Largest accepted result.
        polling: Whether many equal calls in a row are its normal use.
        upstream: The MCP tool behind it; None for a Python function.
        examples: Calls with known outcomes.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]+(\.[a-z0-9_-]+)*$", max_length=128)]
    version: int = Field(ge=1, le=9_999)
    description: str = Field(max_length=8_000)
    input: dict[str, Any]
    output: dict[str, Any]
    annotations: dict[str, Any] = Field(default_factory=dict)
    idempotency: Idempotency | None = None
    key_argument: str | None = None
    timeout_s: Seconds = 10.0
    attempt_timeout_s: Seconds | None = None
    attempts: int = Field(default=3, ge=1, le=10)
    slots: int = Field(default=16, ge=1, le=1_024)
    line: int = Field(default=64, ge=0, le=10_000)
    rate_per_s: float | None = Field(default=None, gt=0)
    burst: int = Field(default=1, ge=1, le=10_000)
    breaker: BreakerTerms = BreakerTerms()
    hedge: bool = False
    freshness: FreshnessTerms | None = None
    environment_at: str | None = None
    errors: dict[str, ToolErrorKind] = Field(default_factory=dict)
    result_bytes_max: int = Field(default=RESULT_BYTES_MAX, ge=1, le=64 * 1024 * 1024)
    polling: bool = False
    upstream: UpstreamTool | None = None
    examples: tuple[ContractExample, ...] = ()

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.key_argument is not None and self.idempotency != "key":
            raise ValueError("`key_argument` needs `idempotency: key`")
        return self

    @property
    def tool(self) -> str:
        """Name under which charter, agent and records know it: `name@version`."""
        return f"{self.name}@{self.version}"

    def repeatable(self, effect: Effect) -> Idempotency:
        """Return why a second call does no more than the first; a read never does.

        Args:
            effect: What a call changes, as the charter says.
        """
        return self.idempotency or ("natural" if effect == "read" else "none")

    def misfits(self, tool: str, effect: Effect) -> Iterator[str]:
        """Yield why it cannot be the contract of a tool in a charter; any reason prevents every call.

        Args:
            tool: `name@version` as the charter has it.
            effect: What a call changes, as the charter says.
        """
        if self.tool != tool:
            yield f"its contract is that of {self.tool}"
        if self.hedge and effect != "read":
            yield "`hedge` on a tool that changes something"
        # Left out, `attempts` is no promise: what must not be sent twice is sent once.
        asked = self.attempts if "attempts" in self.model_fields_set else 1
        if asked > 1 and self.idempotency == "none" and effect != "read":
            yield "more than 1 attempt with `idempotency: none`"


def parse_contract(text: str, *, path: str) -> ToolContract:
    """Parse a contract file.

    Args:
        text: JSON.
        path: Path of the file, for the message.

    Raises:
        CharterInvalid: It is no contract; names every field that is wrong.

    Example:
        >>> text = '{"name": "crm.find", "version": 1, "description": "", "input": {}, "output": {}}'
        >>> parse_contract(text, path="crm.find.json").tool
        'crm.find@1'
    """
    try:
        return ToolContract.model_validate_json(text)
    except ValidationError as error:
        lines = tuple(
            f"{'.'.join(str(step) for step in one['loc']) or 'file'}: {one['msg']}"
            for one in error.errors(include_url=False)
        )
        raise CharterInvalid(
            f"{path} is no tool contract",
            remedy="Correct the fields, then run `pilothouse check`; docs/how-to/wrap-a-tool.md shows one.",
            findings=lines,
            subject=path,
            place=Place(path),
        ) from error


def file_digest(text: str | bytes) -> str:
    """Return the digest by which a charter pins a contract file, `sha256:…`, as `sha256sum` prints it.

    Example:
        >>> file_digest("{}")[:15]
        'sha256:44136fa3'
    """
    raw = text.encode() if isinstance(text, str) else text
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def manifest_digest(
    name: str,
    *,
    description: str | None,
    input_schema: Any,
    output_schema: Any = None,
    annotations: Any = None,
) -> str:
    """Return the digest of everything that an MCP server says about one of its tools.

    Args:
        name: Name on the server.
        description: What it tells the model.
        input_schema: Schema of the arguments.
        output_schema: Schema of the result, or None.
        annotations: Hints, or None.

    Returns:
        `sha256:` and lower-case hex over the RFC 8785 form.

    Example:
        >>> manifest_digest("add", description="Adds.", input_schema={})[:15]
        'sha256:bf79dc39'
    """
    said = {
        "name": name,
        "description": description,
        "inputSchema": input_schema,
        "outputSchema": output_schema,
        "annotations": annotations,
    }
    return file_digest(canonical_json(said))
