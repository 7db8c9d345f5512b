# SPDX-License-Identifier: Apache-2.0
"""What is appended, signed, anchored and erased while the log is verified is no tampering."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from pilothouse.ledger.audit import SqlAuditLog
from pilothouse.ledger.audit_keys import load_keys
from pilothouse.ledger.ledger import open_ledger
from pilothouse.workflows.audit import anchor_log, verify_log

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)


class Clock:
    def now(self):
        return NOW


class LiveLog(SqlAuditLog):
    """Somebody else writes right after the records were read."""

    def __init__(self, *args):
        super().__init__(*args)
        self.meanwhile = lambda: None

    def texts(self, *, start=0):
        found = super().texts(start=start)
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return found


@pytest.fixture
def room(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        log = LiveLog(ledger.database, load_keys(tmp_path / "keys"), Clock())
        for person in ("ana", "ben"):
            log.append(
                "call.decided", "triage", {"tool": "pay@1"}, payloads={"arguments": person}, subject=person
            )
        yield SimpleNamespace(
            log=log, installation=SimpleNamespace(ledger=ledger), agents=lambda: ("triage",)
        )


def test_what_happens_while_the_log_is_verified_is_no_finding(room, tmp_path):
    def meanwhile():
        room.log.erase("ana", actor="owner", reason="asked")
        room.log.sign()
        anchor_log(room, tmp_path / "anchors", outside=True, actor="owner", now=NOW)

    room.log.meanwhile = meanwhile
    check = verify_log(room, NOW)
    assert (check.problems, check.records, check.payloads, check.erased) == ((), 2, 1, 1)
    again = verify_log(room, NOW)
    assert (again.problems, again.records > 2, again.checkpoints > 0, again.outside is not None) == (
        (), True, True, True,
    )  # fmt: skip


def test_a_payload_that_is_gone_without_a_record_is_a_finding(room):
    def meanwhile():
        with room.log.database.write() as connection:
            connection.exec_driver_sql("DELETE FROM audit_payloads WHERE position = 0")

    room.log.meanwhile = meanwhile
    (problem,) = verify_log(room, NOW).problems
    assert (
        problem == "payload arguments of record 0: it cannot be read, and no record says that it was erased"
    )
