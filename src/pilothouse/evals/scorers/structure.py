# SPDX-License-Identifier: Apache-2.0
"""Scorers of structured answers: valid against a JSON Schema, contains what is expected."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from concurrent.futures import Future
from importlib.metadata import version
from typing import Any

from pilothouse.errors import UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.json_text import both_as_values
from pilothouse.evals.score import Score, Unscored, failed, passed, unscored
from pilothouse.evals.scorers.bounded_check import problem_in_time
from pilothouse.evals.scorers.scorer import FunctionScorer, same_json
from pilothouse.evals.scorers.text import has_field
from pilothouse.evals.trial import Reply, Result
from pilothouse.schemas.value_check import SchemaInvalid, ValueCheck

__all__ = ["json_schema", "json_subset"]


def json_schema(*, schema: dict[str, Any]) -> FunctionScorer:
    """Right when the output is valid against a JSON Schema.

    Args:
        schema: The schema; its `$schema` chooses the dialect, 2020-12 when it names none.

    Raises:
        UsageError: The schema itself is invalid.
    """
    try:
        check = ValueCheck(schema)
    except SchemaInvalid as error:
        raise UsageError(f"invalid JSON Schema: {error}.", remedy="Correct the scorer's `schema`.") from error

    def rule(_case: Case, reply: Reply, _result: Result) -> Score | Awaitable[Score]:
        problem = check.problem(reply.output)
        return later(reply, problem) if isinstance(problem, Future) else judged(problem)

    async def later(reply: Reply, first: Future[str]) -> Score:
        asked: list[str | Future[str] | None] = [first]
        about = f"schema {json.dumps(schema)}"
        return judged(
            await problem_in_time(lambda: asked.pop() if asked else check.problem(reply.output), about)
        )

    def judged(problem: str | None) -> Score:
        return failed(problem) if problem else passed()

    return FunctionScorer("json_schema", rule, {"schema": schema, "library": version("jsonschema")})


def json_subset(*, at: str | None = None) -> FunctionScorer:
    """Right when everything in `expected` stands in the output, further fields allowed; lists are compared whole.

    Args:
        at: Compare only this field of output and expected.

    Example:
        >>> from pilothouse.evals.trial import TrialStatus
        >>> case = Case(id="a", task_type="t", input=1, expected={"queue": "ap-1"})
        >>> reply = Reply(output={"queue": "ap-1", "why": "amount"})
        >>> json_subset().score(case, Result(status=TrialStatus.DONE, reply=reply, latency_s=0.1)).value
        1.0
    """

    def rule(case: Case, reply: Reply, _result: Result) -> Score:
        if case.expected is None:
            return unscored(Unscored.NOT_APPLICABLE, "the case expects nothing")
        wanted, found = both_as_values(case.expected, reply.output)
        if at is not None:
            if not has_field(wanted, at):
                return unscored(Unscored.NOT_APPLICABLE, f"the case expects no field {at!r}")
            if not has_field(found, at):
                return failed(f"$.{at} is missing")
            wanted, found = wanted[at], found[at]
        missing = _missing(wanted, found, "$")
        return passed() if missing is None else failed(missing)

    return FunctionScorer("json_subset", rule, {"at": at})


def _missing(wanted: Any, found: Any, path: str) -> str | None:
    """Return the first path at which `found` lacks an expected value, or None."""
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return f"{path} is no object"
        for key, value in wanted.items():
            if key not in found:
                return f"{path}.{key} is missing"
            problem = _missing(value, found[key], f"{path}.{key}")
            if problem:
                return problem
        return None
    if same_json(wanted, found):
        return None
    return f"{path} is {repr(found)[:80]}, expected {repr(wanted)[:80]}"
