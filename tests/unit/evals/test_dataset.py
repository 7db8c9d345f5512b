# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pilothouse.errors import DigestMismatch, MalformedRecord, UsageError
from pilothouse.evals import dataset as dataset_module
from pilothouse.evals import dataset_checks
from pilothouse.evals.case import Case, Split
from pilothouse.evals.dataset import (
    MANIFEST,
    Dataset,
    Manifest,
    dataset_hash,
    diff_datasets,
    load_dataset,
    read_cases,
    write_dataset,
)
from pilothouse.evals.dataset_checks import FindingKind, check_cases
from pilothouse.evals.selection import order_cases, select_cases
from pilothouse.workflows.gate import datasets as datasets_module
from pilothouse.workflows.gate.datasets import (
    add_cases,
    dataset_evidence,
    labelled_cases,
    read_shown_texts,
    split_cases,
    summarize_dataset,
)

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def lines(path, *rows):
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return path


def case(name, **fields):
    return Case(**{"id": name, "task_type": "t", "input": name, **fields})


def test_the_expectation_is_no_part_of_what_must_run_again():
    one = case("a", expected=1)
    other = one.model_copy(update={"expected": 2})
    again = Case.model_validate(other.model_dump())
    assert one.input_hash == again.input_hash
    assert one.case_hash != again.case_hash


def test_labels_weights_and_splits_change_no_hash():
    assert case("a").case_hash == case("a", weight=3, split="dev", stratum="x", risk_cost=9).case_hash


def test_every_bad_line_is_named_at_once(tmp_path):
    path = lines(
        tmp_path / "c.jsonl",
        {"id": "a", "task_type": "t", "input": 1},
        "{not json\n",
        {"id": "a", "task_type": "t", "input": 2},
        {"id": "b", "task_type": "t", "input": 2, "colour": 1},
        {"id": "b c", "task_type": "t", "input": float("inf")},
        "[1]\n",
    )
    with pytest.raises(MalformedRecord) as caught:
        read_cases([path], is_bare=False)
    text = str(caught.value)
    assert all(f"c.jsonl:{number}:" in text for number in (2, 3, 4, 5, 6))
    assert "already stands at" in text
    assert "unknown field 'colour'" in text


def test_a_line_that_is_too_long_or_says_a_thing_twice_is_named_and_the_next_one_keeps_its_number(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(dataset_module, "LINE_BYTES_MAX", 100)
    path = tmp_path / "c.jsonl"
    good = b'{"id": "a", "task_type": "t", "input": 1}\n'
    twice = b'{"id": "b", "task_type": "t", "input": 2, "expected": 1, "expected": 2}\n'
    path.write_bytes(b"\xef\xbb\xbf" + good + b"x" * 1000 + b"\n" + twice + good + b"x" * 201)
    with pytest.raises(MalformedRecord) as caught:
        read_cases([path], is_bare=False)
    found = [line.strip() for line in str(caught.value).splitlines() if "c.jsonl:" in line][-4:]
    assert [line.rpartition("c.jsonl:")[2].split(":")[0] for line in found[:2]] == ["2", "3"]
    assert "line has more than 100 bytes" in found[0]
    assert "a key stands twice" in found[1]
    assert f"{path}:5: line has more" in found[-1]


def test_a_plain_file_needs_neither_ids_nor_types(tmp_path):
    dataset = load_dataset(lines(tmp_path / "c.jsonl", {"input": 1}, {"input": 2}))
    assert {one.task_type for one in dataset.cases} == {"task"}
    assert len({one.id for one in dataset.cases}) == 2


def test_a_published_version_cannot_be_edited_in_silence(tmp_path):
    folder = tmp_path / "set"
    add_cases(folder, [lines(tmp_path / "c.jsonl", {"input": 1, "expected": 1})])
    assert load_dataset(folder).manifest.version == "1.0.0"
    file = folder / "cases.jsonl"
    file.write_text(file.read_text().replace('"expected": 1', '"expected": 2'))
    with pytest.raises(DigestMismatch, match=r"edited under version 1\.0\.0"):
        load_dataset(folder)
    assert add_cases(folder, []).manifest.version == "1.1.0"
    assert load_dataset(folder).cases[0].expected == 2


def test_adding_nothing_new_publishes_nothing(tmp_path):
    folder, file = tmp_path / "set", lines(tmp_path / "c.jsonl", {"input": 1})
    first = add_cases(folder, [file])
    assert add_cases(folder, [file]).manifest == first.manifest
    with pytest.raises(UsageError):
        add_cases(tmp_path / "empty", [])


def test_the_hash_ignores_the_order_of_lines_and_sees_an_expectation():
    one, two = case("a"), case("b")
    assert dataset_hash([one, two]) == dataset_hash([two, one])
    assert dataset_hash([one]) != dataset_hash([case("a", expected=1)])


def test_a_broken_manifest_is_named(tmp_path):
    folder = tmp_path / "set"
    add_cases(folder, [lines(tmp_path / "c.jsonl", {"input": 1})])
    (folder / MANIFEST).write_text("name = ")
    with pytest.raises(MalformedRecord, match="bad manifest"):
        load_dataset(folder)


def test_a_manifest_that_cannot_be_read_is_left_as_its_error_says(tmp_path):
    folder = tmp_path / "set"
    add_cases(folder, [lines(tmp_path / "c.jsonl", {"input": 1})])
    (folder / MANIFEST).write_text("name = ")
    with pytest.raises(MalformedRecord, match="or remove it and publish the cases anew"):
        add_cases(folder, [])
    (folder / MANIFEST).unlink()
    assert len(add_cases(folder, []).cases) == 1


def test_a_kill_while_a_version_is_published_loses_no_case(tmp_path, monkeypatch):
    folder = tmp_path / "set"
    folder.mkdir()
    lines(folder / "mine.jsonl", {"id": "a", "task_type": "t", "input": 1})

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            add_cases(folder, [])
    assert [one.id for one in add_cases(folder, []).cases] == ["a"]


def test_a_diff_tells_running_again_from_scoring_again():
    before = [case("a"), case("b", expected=1), case("c"), case("d")]
    after = [case("a", input="other"), case("b", expected=2), case("c"), case("e")]
    found = diff_datasets(before, after)
    assert (found.added, found.removed) == (("e",), ("d",))
    assert (found.input_changed, found.expectation_changed) == (("a",), ("b",))
    assert found.kept_share == 0.5


def test_duplicates_and_leaks_are_found():
    text = "please route the invoice of supplier seven to the queue for approval today"
    cases = [
        case("a", input=text),
        case("b", input=text),
        case("c", input=text.replace("please", "Please"), split="dev"),
        case("d", input="something entirely different about a credit note from last week"),
    ]
    found = check_cases(cases, shown_to_model=[("prompt.md", text)])
    kinds = Counter(one.kind for one in found)
    assert kinds[FindingKind.DUPLICATE] == 1
    assert kinds[FindingKind.SPLIT_LEAK] == 2
    assert kinds[FindingKind.PROMPT_LEAK] == 3
    assert (
        check_cases([cases[3]], shown_to_model=[("p", "zebra-7f")], canary="zebra-7f")[0].kind
        is FindingKind.CANARY
    )


def test_nearly_equal_texts_are_found_and_merely_alike_ones_are_not():
    words = [f"w{number}" for number in range(100)]
    near = " ".join([*words[:-1], "changed"])
    far = " ".join([*words[:50], *(f"x{number}" for number in range(50))])
    found = check_cases(
        [
            case("a", input=" ".join(words)),
            case("b", input=near, split="dev"),
            case("c", input=far, split="dev"),
        ]
    )
    assert [(one.first, one.second) for one in found] == [("a", "b")]


def test_splits_keep_clusters_whole_and_repeat_with_the_same_seed(tmp_path):
    folder = tmp_path / "set"
    rows = [{"input": n, "cluster": f"k{n // 4}", "id": f"c{n}"} for n in range(200)]
    dataset = add_cases(folder, [lines(tmp_path / "c.jsonl", *rows)])
    once = split_cases(dataset, dev_share=0.2, sealed_share=0.1, seed=7)
    assert once == split_cases(dataset, dev_share=0.2, sealed_share=0.1, seed=7)
    assert Counter(one.split for one in once) == {Split.GATE: 140, Split.DEV: 40, Split.SEALED: 20}
    by_cluster = {}
    for one in once:
        by_cluster.setdefault(one.cluster, set()).add(one.split)
    assert all(len(splits) == 1 for splits in by_cluster.values())


def test_a_folder_that_was_left_between_two_files_is_read_and_made_one(tmp_path, monkeypatch):
    folder = tmp_path / "set"
    add_cases(folder, [lines(tmp_path / "c.jsonl", {"id": "a", "input": 1})])
    lines(folder / "more.jsonl", {"id": "b", "input": 2, "task_type": "task"})

    def killed(*_args, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            add_cases(folder, [])
    assert (folder / "more.jsonl").exists()
    assert [one.id for one in add_cases(folder, []).cases] == ["a", "b"]
    assert not (folder / "more.jsonl").exists()
    lines(folder / "more.jsonl", {"id": "b", "input": 3, "task_type": "task"})
    with pytest.raises(MalformedRecord, match="already stands at"):
        add_cases(folder, [])


def test_what_is_sealed_stays_sealed_whatever_the_seed(tmp_path):
    rows = [{"input": n, "id": f"c{n}"} for n in range(100)]
    dataset = add_cases(tmp_path / "set", [lines(tmp_path / "c.jsonl", *rows)])
    once = split_cases(dataset, dev_share=0.2, sealed_share=0.2, seed=1)
    sealed = {one.id for one in once if one.split is Split.SEALED}
    settled = dataclasses.replace(dataset, cases=once)
    assert split_cases(settled, dev_share=0.2, sealed_share=0.2, seed=1) == once
    for seed, share, most in ((2, 0.2, 20), (3, 0.3, 30), (4, 0.0, 20)):
        again = split_cases(settled, dev_share=0.2, sealed_share=share, seed=seed)
        now = {one.id for one in again if one.split is Split.SEALED}
        assert sealed <= now
        assert len(now) == most
        assert sum(one.split is Split.DEV for one in again) == 20


def test_cases_that_are_added_again_stay_in_their_split(tmp_path):
    """The file of cases had grown by one and was added again: every sealed case was open, and nobody had counted it."""
    folder = tmp_path / "set"
    rows = [{"input": n, "id": f"c{n}", "cluster": f"k{n // 2}"} for n in range(20)]
    dataset = add_cases(folder, [lines(tmp_path / "c.jsonl", *rows)])
    split = split_cases(dataset, dev_share=0.2, sealed_share=0.2, seed=1)
    write_dataset(folder, dataset.manifest, split)
    before = {one.id: one.split for one in split}
    sealed = next(one for one in split if one.split is Split.SEALED)
    rows += [{"input": 99, "id": "new"}, {"input": 98, "id": "beside", "cluster": sealed.cluster}]
    after = {one.id: one.split for one in add_cases(folder, [lines(tmp_path / "c.jsonl", *rows)]).cases}
    assert after == before | {"new": Split.GATE, "beside": Split.SEALED}
    named = {one: "gate" if before[one] is Split.SEALED else "dev" for one in before}
    moved = add_cases(
        folder,
        [lines(tmp_path / "m.jsonl", *({**row, "split": named.get(row["id"], "gate")} for row in rows))],
    )
    assert {one.split for one in moved.cases if before.get(one.id) is Split.SEALED} == {Split.SEALED}
    assert {one.split for one in moved.cases if before.get(one.id) is Split.GATE} == {Split.DEV}


def test_texts_that_are_too_large_to_be_looked_through_are_not_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets_module, "TEXT_BYTES_MAX", 100)
    (tmp_path / "a.md").write_text("x" * 60)
    assert len(read_shown_texts([tmp_path])) == 1
    (tmp_path / "b.md").write_text("x" * 60)
    with pytest.raises(UsageError, match="are not looked through"):
        read_shown_texts([tmp_path])


def test_a_run_order_spreads_strata_over_every_prefix():
    cases = [case(f"c{n}", stratum="rare" if n % 10 == 0 else "usual") for n in range(200)]
    ordered = order_cases(cases, seed="s")
    assert sorted(one.id for one in ordered) == sorted(one.id for one in cases)
    for size in (20, 50, 100, 150):
        rare = sum(one.stratum == "rare" for one in ordered[:size])
        assert abs(rare - size / 10) <= 1
    assert order_cases(cases, seed="other") != ordered


def test_a_selection_says_what_each_filter_removed():
    cases = [
        case("a"),
        case("b", split="dev"),
        case("c", valid_to="2026-01-01T00:00:00Z"),
        case("d", input="a"),
        case("e", source="adversarial:injection"),
    ]
    chosen = select_cases(cases, now=NOW, splits=frozenset({Split.GATE}), seed="s")
    assert [one.id for one in chosen.ordinary["t"]] == ["a"]
    assert [one.id for one in chosen.adversarial] == ["e"]
    assert chosen.removed == {"in split dev": 1, "outside its validity": 1, "same input as another": 1}


def test_the_answer_to_can_it_decide_is_the_one_of_the_power_table(tmp_path):
    rows = [{"input": n} for n in range(200)]
    dataset = add_cases(tmp_path / "set", [lines(tmp_path / "c.jsonl", *rows)])
    answers = {one.flip_rate: (one.needed, one.is_enough) for one in summarize_dataset(dataset).decidable}
    assert answers[0.03] == (75, True)
    assert answers[0.15] == (371, False)


def test_evidence_of_a_dataset_counts_only_what_a_person_vouches_for(tmp_path):
    label = {"by": "sam", "at": "2026-11-01T00:00:00Z", "value": 1}
    rows = [
        {"input": "one", "expected": 1},
        {"input": "two", "label": label, "source": f"production:{1:032x}"},
        {"input": "three", "source": f"production:{2:032x}"},
        {"input": "four", "source": "synthetic", "expected": 1},
        {"input": "five", "source": "adversarial:injection", "cluster": "s"},
        {"input": "six", "source": "adversarial:injection", "cluster": "s"},
    ]
    dataset = add_cases(tmp_path / "set", [lines(tmp_path / "c.jsonl", *rows)])
    records = {(one.kind, one.scope.task_type): one for one in dataset_evidence(dataset, agent="a", at=NOW)}
    assert records["dataset.labelled", None].n == 2
    assert records["dataset.production_share", None].good == 1
    assert records["dataset.adversarial", None].n == 1
    assert ("dataset.leak", None) not in records


def test_copies_of_an_input_count_once_and_hide_no_leak():
    copies = [
        case(f"c{n}", input="pay the invoice of May", source="human", expected="ok") for n in range(300)
    ]
    secret = case(
        "z", input="a very secret question of the gate that must not leak", source="human", expected="x"
    )
    assert [one.id for one in labelled_cases([*copies, secret])] == ["c0", "z"]
    found = check_cases([*copies, secret], shown_to_model=[("prompt", f"Example: {secret.input}")])
    assert found[-1].kind is FindingKind.DUPLICATE
    found = check_cases([*copies, secret], shown_to_model=[("prompt", secret.input.upper())])
    assert [(one.kind, one.first) for one in found[-1:]] == [(FindingKind.PROMPT_LEAK, "z")]
    assert len(found) == 300


def test_a_case_that_was_pasted_into_a_long_prompt_is_a_leak_and_a_phrase_is_none():
    text = "which queue does an invoice of supplier nine over two hundred euros without an order number go to"
    prompt = f"You route invoices.\n{'Be exact and short. ' * 80}\nFor example: {text.title()}?\nThank you."
    cases = [
        case("pasted", input={"question": text}, split="sealed"),
        case("phrase", input="be exact"),
        case("other", input=f"{text} on the last day of the year before noon"),
    ]
    found = check_cases(cases, shown_to_model=[("prompt.md", prompt), ("empty", "")])
    assert [(one.kind, one.first, one.second) for one in found] == [
        (FindingKind.PROMPT_LEAK, "pasted", "prompt.md")
    ]
    assert len(check_cases(cases, shown_to_model=[("line", text)])) == 1


def test_what_was_not_all_looked_at_passes_no_leak_test(monkeypatch):
    monkeypatch.setattr(dataset_checks, "PAIRS_MAX", 50)
    words = " ".join(f"w{n}" for n in range(200))
    alike = [case(f"c{n}", input=f"{words} {n}") for n in range(20)]
    found = check_cases(alike)
    assert [one.kind for one in found] == [FindingKind.NOT_ALL_SEEN]
    dataset = Dataset(
        path=Path("d"), manifest=Manifest(name="d", version="0.0.0", sha256="0" * 64), cases=tuple(alike)
    )
    records = dataset_evidence(dataset, agent="a", at=NOW, shown=[], is_shown_complete=True)
    assert [one.passed for one in records if one.kind == "dataset.leak"] == [False]
