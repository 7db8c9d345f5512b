# SPDX-License-Identifier: Apache-2.0
"""A declared deployment beside what a server lists: another value is a breach, silence is unknown."""

from __future__ import annotations

import pytest

from pilothouse.core.charter.digest import version_digest
from pilothouse.core.charter.models import Deployment, ModelPin
from pilothouse.core.evidence.deployment import compare_deployment

DECLARED = Deployment(weights="4f1c2d9", engine="vllm 0.11.0")


@pytest.mark.parametrize(
    ("entry", "passed", "other"),
    [
        ({"revision": "4f1c2d9", "engine": "vllm 0.11.0"}, True, ()),
        ({"revision": "4f1c2d9"}, None, ()),
        ({"revision": "0000000"}, False, ("weights is 0000000 and not 4f1c2d9",)),
        ({}, None, ()),
    ],
)
def test_a_deployment_is_the_declared_one_another_one_or_unknown(entry, passed, other):
    found = compare_deployment(DECLARED, entry)
    assert (found.passed, found.other) == (passed, other)


def test_a_declaration_of_nothing_is_proved_by_nothing():
    assert (
        compare_deployment(
            Deployment.model_construct(weights=None, engine=None, quantisation=None), {}
        ).passed
        is None
    )


def test_the_version_of_a_hosted_model_follows_what_it_is_made_of():
    pin = ModelPin(provider="acme", model="acme-large-2026-04-12")
    parts = {"prompts": {}, "contracts": {}, "code_revision": "4f1c"}
    digests = [
        version_digest(pin, deployment=one, **parts) for one in (None, {"weights": "a"}, {"weights": "b"})
    ]
    assert len(set(digests)) == 3
    assert version_digest(pin, deployment={}, **parts) == digests[0]
