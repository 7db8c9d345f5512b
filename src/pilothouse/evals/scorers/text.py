# SPDX-License-Identifier: Apache-2.0
"""Scorers of plain answers: equal, contains, matches, near a number."""

from __future__ import annotations

import math
import re
from typing import Any

from pilothouse.core.charter.digest import canonical_json
from pilothouse.errors import UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.score import Score, Unscored, failed, passed, unscored
from pilothouse.evals.scorers.scorer import FunctionScorer, same_json
from pilothouse.evals.trial import Reply, Result

__all__ = ["contains", "exact", "numeric", "regex"]

NUMBER = re.compile(r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
SHOWN_CHARS_MAX = 80


def exact(*, field: str | None = None, ignore_case: bool = False) -> FunctionScorer:
    """Right when the output equals `expected`, as JSON values (1 equals 1.0, text is stripped).

    Args:
        field: Compare only this field of output and expected.
        ignore_case: Whether letters may differ in case.

    Example:
        >>> from pilothouse.evals.trial import TrialStatus
        >>> case = Case(id="a", task_type="t", input="2+2", expected="4")
        >>> done = Result(status=TrialStatus.DONE, reply=Reply(output=" 4 "), latency_s=0.1)
        >>> exact().score(case, done).value
        1.0
    """

    def rule(case: Case, reply: Reply, _result: Result) -> Score:
        if case.expected is None:
            return unscored(Unscored.NOT_APPLICABLE, "the case expects nothing")
        wanted, found = (
            _settled(case.expected, field, ignore_case),
            _settled(reply.output, field, ignore_case),
        )
        return (
            passed()
            if same_json(wanted, found)
            else failed(f"expected {_shown(wanted)}, found {_shown(found)}")
        )

    return FunctionScorer("exact", rule, {"field": field, "ignore_case": ignore_case})


def contains(*, text: str | None = None, ignore_case: bool = True, absent: bool = False) -> FunctionScorer:
    """Right when the output contains a text, or must not contain it.

    Args:
        text: The text; `expected` when None.
        ignore_case: Whether letters may differ in case.
        absent: Right when the text is not there.
    """

    def rule(case: Case, reply: Reply, _result: Result) -> Score:
        wanted = text if text is not None else case.expected
        if not isinstance(wanted, str):
            return unscored(Unscored.NOT_APPLICABLE, "the case expects no text")
        answer = _as_text(reply.output)
        is_there = wanted.lower() in answer.lower() if ignore_case else wanted in answer
        if is_there is not absent:
            return passed()
        return failed(f"{wanted[:SHOWN_CHARS_MAX]!r} is {'there' if is_there else 'not there'}")

    return FunctionScorer("contains", rule, {"text": text, "ignore_case": ignore_case, "absent": absent})


def regex(*, pattern: str, absent: bool = False) -> FunctionScorer:
    """Right when a regular expression is found in the output, or must not be found.

    Args:
        pattern: Python regular expression.
        absent: Right when it is not found.

    Raises:
        UsageError: The pattern does not compile.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(
            f"pattern {pattern!r}: {error}.", remedy="Correct the scorer's `pattern`."
        ) from error

    def rule(_case: Case, reply: Reply, _result: Result) -> Score:
        is_there = compiled.search(_as_text(reply.output)) is not None
        if is_there is not absent:
            return passed()
        return failed(f"/{pattern}/ is {'found' if is_there else 'not found'}")

    return FunctionScorer("regex", rule, {"pattern": pattern, "absent": absent})


def numeric(*, tolerance: float = 0.0, relative: float = 0.0, field: str | None = None) -> FunctionScorer:
    """Right when the output is a number near `expected`; of a text the only number in it counts.

    Args:
        tolerance: Largest absolute difference.
        relative: Largest difference as a share of the expected number.
        field: Compare only this field of output and expected.
    """

    def rule(case: Case, reply: Reply, _result: Result) -> Score:
        wanted = _number(_settled(case.expected, field, ignore_case=False))
        if wanted is None:
            return unscored(Unscored.NOT_APPLICABLE, "the case expects no number")
        found = _number(_settled(reply.output, field, ignore_case=False))
        if found is None:
            return failed(f"no single number in {_shown(reply.output)}")
        if math.isclose(found, wanted, abs_tol=max(tolerance, 1e-12 * abs(wanted)), rel_tol=relative):
            return passed()
        return failed(f"{found:g} is not {wanted:g} within {max(tolerance, relative * abs(wanted)):g}")

    return FunctionScorer("numeric", rule, {"tolerance": tolerance, "relative": relative, "field": field})


def _settled(value: Any, field: str | None, ignore_case: bool) -> Any:
    if field is not None:
        value = value.get(field) if isinstance(value, dict) else None
    if isinstance(value, str):
        value = value.strip()
        return value.casefold() if ignore_case else value
    return value


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value) if math.isfinite(value) else None
    found = NUMBER.findall(value) if isinstance(value, str) else []
    return float(found[0].replace(",", "")) if len(found) == 1 else None


def _shown(value: Any) -> str:
    return repr(value)[:SHOWN_CHARS_MAX]
