# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pilothouse.errors import UsageError
from pilothouse.evals import glossary
from pilothouse.evals.case import Case
from pilothouse.evals.glossary import read_terms, untouched_terms


def test_a_glossary_is_one_term_a_line_with_or_without_its_meaning(tmp_path):
    file = tmp_path / "terms.yaml"
    file.write_text(
        "# what outsiders get wrong\n"
        "three-way match: invoice, order and receipt agree\n"
        "  and what is indented belongs to the term above\n"
        "- SKU\n"
        '"credit note":\n'
        "SKU: twice\n\n",
        encoding="utf-8",
    )
    assert read_terms(file) == ("three-way match", "SKU", "credit note")


def test_a_glossary_that_cannot_be_read_or_has_no_end_is_refused(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="cannot read"):
        read_terms(tmp_path / "absent.yaml")
    monkeypatch.setattr(glossary, "TERMS_MAX", 1)
    (tmp_path / "long.yaml").write_text("a\nb\n", encoding="utf-8")
    with pytest.raises(UsageError, match="2 terms"):
        read_terms(tmp_path / "long.yaml")


def test_a_term_is_touched_by_its_words_or_by_a_tag_and_never_by_a_part_of_a_word():
    cases = [
        Case(id="a", task_type="t", input={"text": "The SKUs of a Three-Way  Match"}),
        Case(id="b", task_type="t", input=1, expected="x", tags=("Credit note",)),
    ]
    assert untouched_terms(["SKU", "three-way match", "credit note"], cases) == ("SKU",)
    assert untouched_terms([], cases) == ()
