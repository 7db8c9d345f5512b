# SPDX-License-Identifier: Apache-2.0
"""Who is let in by a virtual key, and what is said to whom is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pilothouse.ports.gateway import VirtualKey
from pilothouse.runtime.gateway.keys import KEY_CHARACTERS_MAX, check_key, is_unknown, make_key, shown_key
from pilothouse.runtime.gateway.refusal import Refused

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
KEY, PREFIX, DIGEST = make_key()
KEPT = VirtualKey(prefix=PREFIX, digest=DIGEST, agent="triage", created_at=NOW, created_by="sam")


def check(shown=KEY, **fields):
    return check_key(shown, {PREFIX: replace(KEPT, **fields)}, NOW)


def test_a_key_is_let_in_until_the_moment_at_which_it_ends():
    assert check() == KEPT
    assert check(expires_at=NOW + SECOND).agent == "triage"
    with pytest.raises(Refused, match="expired"):
        check(expires_at=NOW)


@pytest.mark.parametrize("at", [NOW - SECOND, NOW, NOW + timedelta(hours=1)])
def test_a_revoked_key_is_refused_also_by_a_clock_that_is_behind(at):
    for expires_at in (None, NOW - SECOND, NOW + timedelta(days=1)):
        with pytest.raises(Refused, match="was revoked"):
            check(revoked_at=at, expires_at=expires_at)


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("", "shows no key"),
        ("sk-proj-0123", "none of ours"),
        (KEY[:-1], "no such key"),
        (f"{KEY}0", "no such key"),
        ("ph_00000000_0", "no such key"),
        (KEY + "0" * KEY_CHARACTERS_MAX, "no such key"),
        ("ph_\ud800", "no such key"),
    ],
    ids=[
        "empty",
        "a provider's",
        "shorter",
        "longer",
        "unknown",
        "very long",
        "half a letter",
    ],  # the key is drawn anew in each worker
)
def test_what_is_no_key_of_ours_is_refused_and_not_repeated(shown, said):
    with pytest.raises(Refused, match=said) as caught:
        check(shown)
    assert not shown or shown not in str(caught.value)


def test_only_a_key_of_our_form_that_is_not_there_is_looked_for():
    assert is_unknown(KEY, {})
    assert not is_unknown(KEY, {PREFIX: KEPT})
    assert not is_unknown(KEY + "0" * KEY_CHARACTERS_MAX, {})
    assert not is_unknown("", {})


def test_a_key_is_shown_as_bearer_or_by_its_own_header():
    assert shown_key({b"authorization": b"bearer  k ", b"x-api-key": b"other"}) == "k"
    assert shown_key({b"authorization": b"Basic k", b"x-api-key": b" k "}) == "k"
    assert shown_key({}) == ""
