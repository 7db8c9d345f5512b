# SPDX-License-Identifier: Apache-2.0
"""Texts of people hold characters that end a line of text and no line of a file, such as U+2028: nothing is cut at them."""

from __future__ import annotations

import json

import pytest

from pilothouse.evals.foreign_scores import read_foreign_scores
from pilothouse.runtime.replay.answers import read_answer
from pilothouse.workflows.curation.training_folder import FILES, PROVENANCE, erase_from_export

ENDS = ["\u2028", "\u2029", "\x85", "\x1c", "\x0b"]


def row(text):
    return json.dumps({"messages": [{"role": "user", "content": text}]}, ensure_ascii=False)


@pytest.mark.parametrize("end", ENDS)
def test_a_subject_is_taken_out_of_an_export(tmp_path, end):
    texts = [f"K-4711{end}asks", f"somebody{end}else", "a third"]
    for name in FILES:
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{row(text)}\n" for text in texts), encoding="utf-8")
    rows = [
        {"file": name, "line": at, "item": f"{name}-{at}"}
        for name in FILES
        for at in range(1, len(texts) + 1)
    ]
    (tmp_path / PROVENANCE).write_text(json.dumps({"rows": rows}), encoding="utf-8")
    assert erase_from_export(tmp_path, {f"{FILES[0]}-3"}, "K-4711").rows == len(FILES) + 1
    left = (tmp_path / f"{FILES[0]}.jsonl").read_bytes().decode()
    assert left == f"{row(texts[1])}\n"
    kept = json.loads((tmp_path / PROVENANCE).read_text(encoding="utf-8"))["rows"]
    assert [(one["item"], one["line"]) for one in kept if one["file"] == FILES[0]] == [(f"{FILES[0]}-2", 1)]


@pytest.mark.parametrize("end", ENDS)
def test_a_streamed_answer_is_read_whole(end):
    parts = [{"choices": [{"delta": {"content": text}}]} for text in (f"one{end}", "two")]
    body = "".join(f"data: {json.dumps(part, ensure_ascii=False)}\n\n" for part in parts)
    assert read_answer(200, body.encode()).text == f"one{end}two"


@pytest.mark.parametrize("end", ENDS)
def test_scores_of_other_harnesses_are_read(tmp_path, end):
    file = tmp_path / "scores.jsonl"
    lines = [{"id": f"c{n}", "value": 1.0, "note": f"fine{end}indeed"} for n in range(3)]
    file.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines), encoding="utf-8")
    assert len(read_foreign_scores(file).scores) == 3
