# SPDX-License-Identifier: Apache-2.0
"""One person who is written in several ways."""

from __future__ import annotations

import pytest

from pilothouse.core.charter.same_person import forms_of, mailbox_of, names_of
from stubs.charter_trees import charter


@pytest.mark.parametrize(
    ("said", "mailbox"),
    [
        ("oidc:Dana@Corp.example", "dana@corp.example"),
        ("dana+payments@corp.example", "dana@corp.example"),
        ("ｄａｎａ@corp.example ", "dana@corp.example"),
        ("dana", "dana"),
        ("urn-x:y:z", "urn-x:y:z"),
        ("", ""),
    ],
)
def test_a_mailbox_is_one_however_its_address_is_written(said, mailbox):
    assert mailbox_of(said) == mailbox
    assert mailbox in forms_of(said) or not said


def test_a_person_is_called_by_id_identity_address_and_name():
    found = charter()
    assert names_of(found, "dana") == {"dana", "oidc:dana@corp.example", "dana@corp.example", "d. ruiz"}
    assert names_of(found, "nobody") == {"nobody"}
    assert names_of(charter(('identity: "oidc:lee@corp.example"', 'identity: "?"')), "lee") >= {"lee"}
