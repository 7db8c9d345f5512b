# SPDX-License-Identifier: Apache-2.0
"""Who signs a waiver that is typed, and until when."""

from __future__ import annotations

from datetime import date

import pytest
from page_world import charter

from pilothouse.errors import UsageError
from pilothouse.interfaces.cli import evidence


def test_nobody_signs_for_the_sponsor_by_leaving_a_word_out(monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "somebody")
    with pytest.raises(UsageError, match=r"nobody is named; only the sponsor may, V\. Petrov") as refused:
        evidence._sponsor_who_types(charter())
    assert "--as vp" in refused.value.remedy


def test_the_sponsors_own_account_signs_as_the_sponsor(monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "vp")
    assert evidence._sponsor_who_types(charter()) == "vp"


def test_an_account_without_a_name_is_nobody(monkeypatch):
    def nobody():
        raise KeyError(1000)

    monkeypatch.setattr("getpass.getuser", nobody)
    with pytest.raises(UsageError, match="nobody is named"):
        evidence._sponsor_who_types(charter())


def test_an_end_is_a_day():
    assert evidence._day("2026-12-28") == date(2026, 12, 28)
    for text in ("2026-12-28T10:00+05:00", "Friday", "2026-02-30", ""):
        with pytest.raises(UsageError, match="is no day"):
            evidence._day(text)
