# SPDX-License-Identifier: Apache-2.0
"""Scorer of lists that are sets: how many of the expected members are there, and how many others."""

from __future__ import annotations

from typing import Any

from pilothouse.core.charter.digest import canonical_json
from pilothouse.errors import UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.json_text import both_as_values
from pilothouse.evals.score import Score, Unscored, failed, passed, unscored
from pilothouse.evals.scorers.scorer import FunctionScorer
from pilothouse.evals.scorers.text import has_field
from pilothouse.evals.trial import Reply, Result

__all__ = ["set_f1"]

SHOWN_MAX = 3
"""Members named in a reason, missing ones and others apart."""

SHOWN_CHARS_MAX = 60


def set_f1(
    *, field: str | None = None, least: float | None = None, ignore_case: bool = False
) -> FunctionScorer:
    """The F1 value of a list as a set: twice the common members over the members of both; order and repetition say nothing.

    Args:
        field: Compare only this field of output and expected.
        least: Right from this value on, and wrong below it; None keeps the value itself.
        ignore_case: Whether letters of texts may differ in case.

    Raises:
        UsageError: `least` is no value that a list could have.

    Example:
        >>> from pilothouse.evals.trial import TrialStatus
        >>> case = Case(id="a", task_type="t", input="q", expected=["INV-1", "INV-2"])
        >>> reply = Reply(output=["INV-2", "INV-3"])
        >>> set_f1().score(case, Result(status=TrialStatus.DONE, reply=reply, latency_s=0.1)).value
        0.5
    """
    if least is not None and not 0 < least <= 1:
        raise UsageError(
            f"`least` is {least:g}: an F1 value lies above 0 and reaches 1.", remedy="Give for example 0.9."
        )

    def rule(case: Case, reply: Reply, _result: Result) -> Score:
        wanted, found = both_as_values(case.expected, reply.output)
        if field is not None:
            wanted, found = (one[field] if has_field(one, field) else None for one in (wanted, found))
        if not isinstance(wanted, list):
            return unscored(Unscored.NOT_APPLICABLE, "the case expects no list")
        if not isinstance(found, list):
            return failed("the answer is no list")
        expected = _members(wanted, ignore_case)
        try:
            answered = _members(found, ignore_case)
        except (ValueError, RecursionError) as error:
            return failed(f"a member of the answer cannot be compared: {error}")
        return _judged(expected, answered, least)

    return FunctionScorer("set_f1", rule, {"field": field, "least": least, "ignore_case": ignore_case})


def _members(values: list[Any], ignore_case: bool) -> frozenset[str]:
    """Return the members of a list, each as its canonical JSON: 1 is 1.0, and true is no number."""
    return frozenset(
        canonical_json(one.casefold() if ignore_case and isinstance(one, str) else one) for one in values
    )


def _judged(wanted: frozenset[str], found: frozenset[str], least: float | None) -> Score:
    of_both = len(wanted) + len(found)
    value = 2 * len(wanted & found) / of_both if of_both else 1.0
    reason = "; ".join(
        filter(None, (_shown("missing", wanted - found), _shown("not expected", found - wanted)))
    )
    if least is None:
        return Score(value=value, reason=reason)
    return passed(reason) if value >= least else failed(f"F1 {value:.2f}, at least {least:g}: {reason}")


def _shown(what: str, members: frozenset[str]) -> str:
    some = ", ".join(one[:SHOWN_CHARS_MAX] for one in sorted(members)[:SHOWN_MAX])
    more = f" and {len(members) - SHOWN_MAX} more" if len(members) > SHOWN_MAX else ""
    return f"{what} {some}{more}" if members else ""
