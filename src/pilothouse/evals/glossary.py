# SPDX-License-Identifier: Apache-2.0
"""Domain terms of an agent's work, and which of them no case touches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pilothouse.core.charter.digest import canonical_json
from pilothouse.errors import UsageError
from pilothouse.evals.case import Case

__all__ = ["TERMS_MAX", "read_terms", "untouched_terms"]

TERMS_MAX: Final = 2_000
"""More is a dictionary, and no list of what is special here."""

_WORD = re.compile(r"\w+")
_QUOTES = "\"'"


def read_terms(path: Path) -> tuple[str, ...]:
    """Read a glossary: one term a line, `term` or `term: what it means`; `#` begins a comment.

    Args:
        path: The file. What is indented belongs to the term above it.

    Raises:
        UsageError: It cannot be read, or holds too many terms.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"cannot read the glossary {str(path)!r}: {error}.",
            remedy="Correct `glossary` in the charter.",
            subject=str(path),
        ) from error
    terms = []
    for line in lines:
        text = line.removeprefix("- ")
        if text[:1] in {"", " ", "\t", "#"}:
            continue
        term = text.split(": ")[0].split(" #")[0].strip().rstrip(":").strip(_QUOTES)
        if term:
            terms.append(term)
    if len(terms) > TERMS_MAX:
        raise UsageError(
            f"{len(terms)} terms in {str(path)!r}, at most {TERMS_MAX} are read.",
            remedy="Keep those that an outsider would get wrong.",
            subject=str(path),
        )
    return tuple(dict.fromkeys(terms))


def untouched_terms(terms: Sequence[str], cases: Iterable[Case]) -> tuple[str, ...]:
    """Return the terms that no case touches: none is tagged with it, and no input or expectation holds its words.

    Example:
        >>> case = Case(id="a", task_type="t", input="Book the Credit Note", tags=("three-way match",))
        >>> untouched_terms(["credit note", "three-way match", "SKU"], [case])
        ('SKU',)
    """
    left = {term: _words(term) for term in terms}
    for case in cases:
        text = _words(f"{canonical_json(case.input)} {canonical_json(case.expected)}")
        tags = {_words(tag) for tag in case.tags}
        left = {
            term: words
            for term, words in left.items()
            if words not in tags and f" {words} " not in f" {text} "
        }
        if not left:
            break
    return tuple(left)


def _words(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))
