# SPDX-License-Identifier: Apache-2.0
"""One form of input for the cases of a dataset, whether a person wrote them or they came of labels and incidents.

A function that is tried by `pilothouse gate` takes what the cases ask. A person writes a text; telemetry has messages with
parts, and a recorded request messages with content. Whoever asks one agent all three fails it on two of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pilothouse.evals.case import Case

__all__ = ["Form", "asked_as", "forms_of"]

Form = Literal["text", "parts", "content"]


def forms_of(cases: Iterable[Case]) -> dict[str, Form]:
    """Return the one form in which all cases of a task type ask, by task type; types of several forms have none."""
    found: dict[str, set[Form | None]] = {}
    for case in cases:
        found.setdefault(case.task_type, set()).add(_form(case.input))
    return {name: one for name, forms in found.items() if len(forms) == 1 for one in forms if one is not None}


def asked_as(case: Case, forms: Mapping[str, Form]) -> Case:
    """Return a case that asks as the others of its type do, where it asks one text; any other stays as it is.

    Args:
        case: A case that came of a label or a run.
        forms: What `forms_of` found.
    """
    form, text = forms.get(case.task_type), _one_text(case.input)
    if form is None or text is None or form == _form(case.input):
        return case
    if form == "text":
        return case.model_copy(update={"input": text})
    said = {"content": text} if form == "content" else {"parts": [{"type": "text", "content": text}]}
    return case.model_copy(update={"input": [{"role": "user", **said}]})


def _form(given: Any) -> Form | None:
    if isinstance(given, str):
        return "text"
    if not isinstance(given, list) or not given:
        return None
    return next((key for key in _KEYS if all(isinstance(one, dict) and key in one for one in given)), None)


_KEYS: tuple[Literal["parts", "content"], ...] = ("parts", "content")


def _one_text(given: Any) -> str | None:
    """Return the text of an input that is one text of a user, or None."""
    if isinstance(given, str):
        return given
    if not isinstance(given, list) or len(given) != 1 or not isinstance(given[0], dict):
        return None
    message = given[0]
    said = message.get("parts", message.get("content"))
    if message.get("role") != "user" or isinstance(said, str):
        return said if message.get("role") == "user" else None
    if not isinstance(said, list) or len(said) != 1 or not isinstance(said[0], dict):
        return None
    text = said[0].get("content", said[0].get("text"))
    is_text = said[0].get("type") in {"text", "input_text"}
    return text if is_text and isinstance(text, str) else None
