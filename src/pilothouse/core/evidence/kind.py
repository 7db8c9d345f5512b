# SPDX-License-Identifier: Apache-2.0
"""A kind of evidence: its name, form and unit, and what its records are bound to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Bind", "Form", "Kind", "make_kind"]


class Form(StrEnum):
    """Which fields of a record carry the measurement."""

    RATE = "rate"
    """`n` cases of which `good` were good."""
    AMOUNT = "amount"
    """`value` with `low` and `high` over `n` cases."""
    COUNT = "count"
    """`n` is the measurement itself."""
    FACT = "fact"
    """`passed`, with `detail`."""
    SIGNATURE = "signature"
    """An attested record of a named signer."""


class Bind(StrEnum):
    """What records of a kind are bound to; a record with another binding is stale."""

    VERSION = "version"
    SECTION = "section"
    CONTRACT = "contract"
    LABELLED = "labelled dataset"
    ADVERSARIAL = "adversarial dataset"
    EXAMPLES = "few-shot library"
    PERSON = "person"
    TERMS = "terms of the charter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of evidence.

    Attributes:
        name: What `Evidence.kind` says.
        title: How a sentence calls it, capital first.
        form: Where the measurement stands.
        unit: `rate`, `usd`, `seconds`, `points`, `count` or empty.
        noun: What `n` counts.
        binds: What a record must have been made against.
        section: Charter section, for kinds bound to one; None when the scope names it.
        what: What was measured, in one sentence.
        added_to: Kind that it becomes a part of before anything is judged; empty for what a requirement asks for itself.
        terms: Paths in the charter that a record was measured under, besides a section: with `{task_type}` and the like of its
            scope, `{person}`, and `*` for every key. Bounds are none: they are read when a verdict is made.
        contents: Paths in the charter of files of which the content was signed or measured, in the same form; `{runbook}` is
            the file of a scope that names a runbook.
    """

    name: str
    title: str
    form: Form
    unit: str = ""
    noun: str = "cases"
    binds: frozenset[Bind] = frozenset()
    section: str | None = None
    what: str
    added_to: str = ""
    terms: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()

    def counted(self, n: int) -> str:
        """Write a number of what `n` counts.

        Example:
            >>> kind = make_kind("tool_error", "Errors", Form.RATE, "V", "Errors.", noun="tasks with tool calls")
            >>> kind.counted(1), kind.counted(1_200)
            ('1 task with tool calls', '1,200 tasks with tool calls')
        """
        noun = re.sub(r"s\b", "", self.noun, count=1) if n == 1 else self.noun
        return f"{n:,} {noun}"


def make_kind(
    name: str,
    title: str,
    form: Form,
    binds: str,
    what: str,
    *,
    unit: str = "",
    noun: str = "cases",
    added_to: str = "",
    terms: tuple[str, ...] = (),
    contents: tuple[str, ...] = (),
) -> Kind:
    """Return a kind of evidence.

    Args:
        name: What `Evidence.kind` says.
        title: How a sentence calls it.
        form: Where the measurement stands.
        binds: A line of letters: V version, C contract, L and A datasets, E examples, P person, S:name section.
        what: What was measured, in one sentence.
        unit: Unit; what the form says where it is empty.
        noun: What `n` counts.
        added_to: Kind that it becomes a part of before anything is judged.
        terms: Paths in the charter that a record was measured under.
        contents: Paths in the charter of files of which the content was signed or measured.

    Example:
        >>> kind = make_kind("uptime", "Uptime", Form.RATE, "V", "Minutes in which the agent worked.", noun="minutes")
        >>> kind.unit, sorted(kind.binds)
        ('rate', [<Bind.VERSION: 'version'>])
    """
    letters = {
        "V": Bind.VERSION,
        "C": Bind.CONTRACT,
        "L": Bind.LABELLED,
        "A": Bind.ADVERSARIAL,
        "E": Bind.EXAMPLES,
        "P": Bind.PERSON,
        "S": Bind.SECTION,
    }
    words = binds.split()
    section = next((word[2:] for word in words if word.startswith("S:")), None)
    return Kind(
        name=name,
        title=title,
        form=form,
        unit=unit or {Form.RATE: "rate", Form.COUNT: "count"}.get(form, ""),
        noun=noun,
        binds=frozenset(letters[word[0]] for word in words) | ({Bind.TERMS} if terms or contents else set()),
        section=section,
        what=what,
        added_to=added_to,
        terms=terms,
        contents=contents,
    )
