# SPDX-License-Identifier: Apache-2.0
"""Scorers of plain answers: equal, contains, matches, near a number."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Awaitable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from pilothouse.core.charter.digest import canonical_json
from pilothouse.errors import UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.json_text import both_as_values
from pilothouse.evals.score import Score, Unscored, failed, passed, unscored
from pilothouse.evals.scorers.bounded_check import problem_in_time
from pilothouse.evals.scorers.scorer import FunctionScorer, same_json
from pilothouse.evals.trial import Reply, Result
from pilothouse.schemas.process import shared_processes
from pilothouse.schemas.weight import ends_soon

__all__ = ["contains", "exact", "has_field", "numeric", "regex"]

NUMBER = re.compile(r"[-+]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
"""A comma stands before three digits, or between two numbers: 1,5 is not 15."""

SIGNS: Final = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"), "-")
"""What is printed as a minus: read as none, minus five would be five."""

ROUNDING: Final = 1e-12
"""Share by which two ways to write one number may differ."""

SHOWN_CHARS_MAX = 80


def exact(*, field: str | None = None, ignore_case: bool = False) -> FunctionScorer:
    """Right when the output equals `expected`, as JSON values (1 equals 1.0, text is stripped, JSON in text is read beside a value).

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
        wanted, found = both_as_values(case.expected, reply.output)
        if field is not None and not has_field(wanted, field):
            return unscored(Unscored.NOT_APPLICABLE, f"the case expects no field {field!r}")
        if field is not None and not has_field(found, field):
            return failed(f"no field {field!r} in {_shown(found)}")
        wanted, found = _settled(wanted, field, ignore_case), _settled(found, field, ignore_case)
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
        absent: Right when the text is not there; hidden characters and other forms of its letters do not hide it.

    Raises:
        UsageError: The text is empty, which stands in every answer.
    """
    if text is not None and not text.strip():
        raise UsageError("an empty text stands in every answer.", remedy="Give the scorer's `text`.")

    def rule(case: Case, reply: Reply, _result: Result) -> Score:
        wanted = text if text is not None else case.expected
        if not isinstance(wanted, str) or not wanted.strip():
            return unscored(Unscored.NOT_APPLICABLE, "the case expects no text")
        meant = wanted.casefold() if ignore_case else wanted
        answers = (one.casefold() if ignore_case else one for one in _texts(reply.output))
        is_there = any(meant in one or (absent and _bare(meant) in _bare(one)) for one in answers)
        if is_there is not absent:
            return passed()
        return failed(f"{wanted[:SHOWN_CHARS_MAX]!r} is {'there' if is_there else 'not there'}")

    return FunctionScorer("contains", rule, {"text": text, "ignore_case": ignore_case, "absent": absent})


def regex(*, pattern: str, absent: bool = False) -> FunctionScorer:
    """Right when a regular expression is found in the output, or must not be found.

    Args:
        pattern: Python regular expression; of an answer that is no text it is looked for in its JSON.
        absent: Right when it is not found, in any text of the answer, hidden characters left out or not.

    Raises:
        UsageError: The pattern does not compile.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(
            f"pattern {pattern!r}: {error}.", remedy="Correct the scorer's `pattern`."
        ) from error

    schema = json.dumps({"type": "string", "pattern": pattern})

    def rule(_case: Case, reply: Reply, _result: Result) -> Score | Awaitable[Score]:
        texts = [_as_text(reply.output)]
        if absent:
            texts = [form for one in _texts(reply.output) for form in dict.fromkeys((one, _bare(one)))]
        if all(ends_soon(schema, characters=len(one), values=1) for one in texts):
            return judged(is_there=any(compiled.search(one) for one in texts))
        return later(texts)

    async def later(texts: Sequence[str]) -> Score:
        for one in texts:
            text = json.dumps(one)
            ask = partial(shared_processes().ask, schema, text, is_data=True)
            if not await problem_in_time(ask, f"pattern {pattern!r}"):
                return judged(is_there=True)
        return judged(is_there=False)

    def judged(*, is_there: bool) -> Score:
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
        expected, answer = both_as_values(case.expected, reply.output)
        wanted = _number(_settled(expected, field, ignore_case=False))
        if wanted is None:
            return unscored(Unscored.NOT_APPLICABLE, "the case expects no number")
        found = _number(_settled(answer, field, ignore_case=False))
        if found is None:
            return failed(f"no single number in {_shown(reply.output)}")
        allowed = max(tolerance, relative * abs(wanted))
        if abs(found - wanted) <= max(allowed, ROUNDING * abs(wanted)):
            return passed()
        return failed(f"{found:g} is not {wanted:g} within {allowed:g}")

    return FunctionScorer("numeric", rule, {"tolerance": tolerance, "relative": relative, "field": field})


def has_field(value: Any, field: str) -> bool:
    """Whether a value is an object with this field; two missing fields do not agree."""
    return isinstance(value, dict) and field in value


def _settled(value: Any, field: str | None, ignore_case: bool) -> Any:
    if field is not None:
        value = value[field] if has_field(value, field) else None
    if isinstance(value, str):
        value = value.strip()
        return value.casefold() if ignore_case else value
    return value


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return canonical_json(value)
    except (
        ValueError,
        RecursionError,
    ):  # a number of twenty digits must not keep the rest from being looked at
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _texts(value: Any) -> Iterator[str]:
    """Yield an answer as text, and each decoded text within it: JSON escapes quotes and line ends."""
    yield _as_text(value)
    inner = [] if isinstance(value, str) else [value]
    while inner:
        one = inner.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            inner += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple):
            inner += one


def _bare(text: str) -> str:
    """Return a text without invisible characters, with its letters in one form (full width is plain)."""
    return "".join(sign for sign in unicodedata.normalize("NFKC", text) if unicodedata.category(sign) != "Cf")


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        found = NUMBER.findall(value.translate(SIGNS))
        value = found[0].replace(",", "") if len(found) == 1 else None
    if not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return None
    return number if math.isfinite(number) else None


def _shown(value: Any) -> str:
    return repr(value)[:SHOWN_CHARS_MAX]
