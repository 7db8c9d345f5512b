# SPDX-License-Identifier: Apache-2.0
"""A name without its scheme is one person or nobody: two directories may each have a dana."""

from __future__ import annotations

from control_rooms import AGENT, NOW, control_room_at

from pilothouse.workflows.people.people import Directory


def test_a_name_that_two_directories_know_is_nobody_and_with_its_scheme_each_is_one(tmp_path):
    """Whom the proxy called dana was D. Ruiz for one agent and the code host's dana for another, with the powers of both."""
    with control_room_at(tmp_path) as room:
        ledger = room.installation.ledger
        charter = ledger.charter(AGENT)
        other = charter.text.replace(f"agent: {AGENT}", "agent: other", 1).replace(
            "oidc:dana@corp", "github:dana@corp"
        )
        directory = Directory(ledger)
        assert directory.visitor("dana@corp.example").persons == {AGENT: "dana"}
        ledger.accept_charter(agent="other", digest="b" * 64, text=other, path=charter.path, at=NOW)
        directory = Directory(ledger)
        assert directory.visitor("dana@corp.example") is None
        assert directory.visitor("oidc:dana@corp.example").persons == {AGENT: "dana"}
        assert directory.visitor("github:dana@corp.example").persons == {"other": "dana"}
        assert set(directory.visitor("lee@corp.example").persons) == {AGENT, "other"}
