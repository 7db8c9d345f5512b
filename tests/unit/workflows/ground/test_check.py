# SPDX-License-Identifier: Apache-2.0
from datetime import date

import pytest

from pilothouse.errors import CharterInvalid, UsageError
from pilothouse.workflows.ground.check import check_file, check_text, load_charter, parse_charter
from stubs.broken_charters import EXAMPLE, edited

TODAY = date(2026, 11, 20)


def test_a_valid_file_is_loaded_with_the_files_it_names():
    assert load_charter(EXAMPLE, today=TODAY).agent == "ap-invoice-triage"


def test_an_invalid_file_carries_all_its_errors_at_once(tmp_path):
    path = tmp_path / "charter.yaml"
    path.write_text(edited(("reattest: 90d", "reattest: 90"), ("days: 90", "days: 9")))
    with pytest.raises(CharterInvalid, match="errors") as caught:
        load_charter(path, today=TODAY)
    told = [finding for finding in caught.value.findings if "does not exist" not in finding]
    assert len(told) == 2
    assert all(finding.startswith(f"{path}:") for finding in caught.value.findings)
    assert f"pilothouse check {path}" in caught.value.remedy


def test_one_error_is_counted_as_one():
    with pytest.raises(CharterInvalid, match=r"c\.yaml has 1 error$|c\.yaml has 1 error "):
        parse_charter(edited(("days: 90", "days: 9")), file="c.yaml", today=TODAY)


def test_a_text_from_the_ledger_is_read_without_looking_at_files():
    text = EXAMPLE.read_text(encoding="utf-8")
    assert parse_charter(text, file="accepted", today=TODAY) == load_charter(EXAMPLE, today=TODAY)
    assert check_text(text, file="accepted", today=TODAY).findings == ()


def test_open_questions_do_not_keep_a_charter_from_being_loaded():
    assert parse_charter(edited(("cost_of_review: 6", 'cost_of_review: "?"')), file="c", today=TODAY)


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError):
        check_file(tmp_path / "none.yaml", today=TODAY)
