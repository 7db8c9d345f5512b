# SPDX-License-Identifier: Apache-2.0
"""Whoever has no home, and whose home is no text here, is told what to set."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.errors import UsageError
from pilothouse.settings import load_settings


def without_home():
    raise KeyError("getpwuid(): uid not found: 12345")


def test_a_user_without_an_account_is_asked_for_a_folder(monkeypatch):
    """A container with `--user 12345` and no HOME ended every command as a bug of ours."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda _: without_home())
    with pytest.raises(UsageError, match="no data folder") as caught:
        load_settings({})
    assert "PILOTHOUSE_HOME" in caught.value.remedy
    assert load_settings({"PILOTHOUSE_HOME": "/srv/pilothouse"}).home == Path("/srv/pilothouse")


def test_a_home_of_nobody_is_said():
    with pytest.raises(UsageError, match="~nobody-here-42/data"):
        load_settings({"PILOTHOUSE_HOME": "~nobody-here-42/data"})


def test_a_folder_whose_path_is_no_text_is_said():
    """The ledger's address cannot name it: this is what `/srv/wörk` is in a Latin-1 locale, or the other way round."""
    with pytest.raises(UsageError, match="no text in the locale"):
        load_settings({}, home=Path("/srv/w\udcf6rk"))


def test_the_home_of_the_account_is_the_default(monkeypatch):
    monkeypatch.setenv("HOME", "/home/sam")
    settings = load_settings({})
    assert (settings.home, dict(settings.sources)["home"]) == (Path("/home/sam/.pilothouse"), "default")
