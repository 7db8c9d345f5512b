# SPDX-License-Identifier: Apache-2.0
"""Texts of spans that look like a conversation and are none."""

from __future__ import annotations

import pytest

from pilothouse.core.evidence.messages import messages_of


@pytest.mark.parametrize(
    "text", ["Is it paid?", '[{"role": "user"', "[" * 200_000, '{"role": "user"}', "[1]"]
)
def test_what_is_no_list_of_messages_has_none(text):
    assert messages_of(text) == []
