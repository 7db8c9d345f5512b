# SPDX-License-Identifier: Apache-2.0
"""Prices, outcomes, questions, labels, approvals, incidents, pauses, faults and keys stand in the log: whatever somebody does to a row of them is found, twice."""

from __future__ import annotations

import shutil
import sqlite3
import zipfile
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from fresh_ledger import ledger_url
from old_ledger import rows_moved, sqlite_url, steps_to
from postgres_server import fresh_postgres_url, postgres_server

from pilothouse.core.action.incident import Incident, IncidentEvent, IncidentState
from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.price import Price, TokenClass
from pilothouse.core.evidence.review import Answer, Label, ReviewItem, ReviewSource
from pilothouse.errors import Conflict
from pilothouse.ledger.approval_tables import approvals
from pilothouse.ledger.approvals import SqlApprovals, forget_requester, insert_approval, put_state
from pilothouse.ledger.audit import SqlAuditLog
from pilothouse.ledger.audit_keys import load_keys
from pilothouse.ledger.audit_standing import LOGGED_TABLES
from pilothouse.ledger.contacts import SqlContacts
from pilothouse.ledger.controls import SqlControls
from pilothouse.ledger.credentials import SqlCredentials
from pilothouse.ledger.curation import SqlCuration
from pilothouse.ledger.gateway import SqlGatewayStore
from pilothouse.ledger.holds import SqlHolds
from pilothouse.ledger.incidents import SqlIncidents
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.permission_book import SqlPermissionBook
from pilothouse.ledger.review_queue import SqlReviewQueue
from pilothouse.ledger.row_log import LOGGED, ROWS_CHANGED, ROWS_IN_RECORD
from pilothouse.ledger.sessions import SqlSessions
from pilothouse.ledger.steady_clock import SteadyClock
from pilothouse.ports.approvals import Approval, ShownArgument
from pilothouse.ports.audit import AUDIT_DOCUMENT_MAX
from pilothouse.ports.contacts import Contact
from pilothouse.ports.controls import Pause, Rollback
from pilothouse.ports.credentials import Credential
from pilothouse.ports.gateway import Provider, VirtualKey, WireProtocol
from pilothouse.ports.holds import HeldOutput, HoldState
from pilothouse.ports.incidents import IncidentChange
from pilothouse.ports.planted import FaultKind, PlantedFault
from pilothouse.workflows.reports.audit import export_bundle, verify_log
from pilothouse_verify.bundle import check_bundle

__all__ = ["postgres_server"]

AGENT = "triage"
ITEMS = 10
ASKED = 3 + 2 + 2
"""Approvals, answers to them, and incidents."""
SIGNED_IN = 1 + 1
"""Links that were not used, and sessions."""
REACHED = 2
"""Addresses of people."""
NO_ENTRY = {"review_items": {"holder", "held_until_us"}, "sessions": {"seen_us"}, "gateway_keys": {"used_us"}}
"""Columns that change with every look, and decide nothing."""
NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)


class Clock:
    def now(self):
        return NOW


def outcome(number, **fields):
    values = {"claim": f'{{"invoice": "{number}"}}', "status": OutcomeStatus.PENDING, "found": "nothing"}
    values |= {"agent": AGENT, "task_type": "invoice", "version_digest": None, "critical": None}
    values |= {"task_start_ns": 1_790_000_000_000_000_000 + number, "verifier": "erp", "verified_at": NOW}
    return Outcome(trace_id=f"{number:032x}", **values | fields)


def item(number, **fields):
    values = {"agent": AGENT, "task_type": "invoice", "trace_id": f"{number:032x}", "version": None}
    values |= {"source": ReviewSource.SAMPLED, "why": "sampled", "input": f"mail {number}", "proposal": "pay"}
    values |= {"call_digest": str(number), "created_at": NOW, "due_at": NOW + timedelta(days=1)}
    return ReviewItem(item_id=f"item-{number}", **values | fields)


def key(prefix):
    return VirtualKey(
        prefix=prefix, digest="d" * 64, agent=AGENT, environment=None, models=("gpt",), spans=True,
        created_at=NOW, created_by="ops", expires_at=None, revoked_at=None,
    )  # fmt: skip


def price(usd, token_class=TokenClass.INPUT):
    return Price(
        provider="acme", model="large", token_class=token_class, usd_per_million=Decimal(usd),
        valid_from=NOW, source="page", source_date=date(2026, 11, 1),
    )  # fmt: skip


def lived(ledger, log):
    """Let every kind of row come, change and go."""
    ledger.add_prices([price(2), price(8, TokenClass.OUTPUT)], at=NOW, actor="finance")
    ledger.add_prices([price(2)], at=NOW, actor="finance")
    ledger.save_outcomes([outcome(number) for number in range(200)])
    ledger.save_outcomes(
        [outcome(number, status=OutcomeStatus.VERIFIED, attempts=2) for number in range(150)]
    )
    ledger.save_outcomes([outcome(199, status=OutcomeStatus.CONTRADICTED)])
    controls = SqlControls(ledger.database)
    controls.pause(Pause(agent=AGENT, tool=None, reason="drill", actor="ana", at=NOW))
    controls.resume(AGENT, None, reason="over", actor="ana", at=NOW)
    controls.pause(Pause(agent=AGENT, tool="pay", reason="wrong sums", actor="ana", at=NOW))
    for version in ("v2", "v1"):
        controls.roll_back(
            Rollback(agent=AGENT, to_version=version, from_version="v3", reason="bad", actor="ana", at=NOW)
        )
    gateway = SqlGatewayStore(ledger.database)
    gateway.add_key(key("one"))
    gateway.add_key(replace(key("two"), version="a" * 64))
    gateway.revoke_key("two", NOW, actor="ana")
    gateway.revoke_key("two", NOW, actor="ana")
    for url in ("https://old.example", "https://eu.example"):
        provider = Provider(
            name="acme", url=url, protocol=WireProtocol.OPENAI, credential_variable="ACME_KEY"
        )
        gateway.save_provider(provider, at=NOW, actor="ana")
    gateway.save_provider(replace(provider, name="gone"), at=NOW, actor="ana")
    gateway.remove_provider("gone", at=NOW, actor="ana")
    credentials = SqlCredentials(ledger.database)
    for name in ("erp", "gone"):
        credentials.save(Credential(name=name, variable="ERP", host="erp.example"), at=NOW, actor="ana")
    credentials.remove("gone", at=NOW, actor="ana")
    signed_in(SqlSessions(ledger.database))
    queue = SqlReviewQueue(ledger.database)
    queue.add([item(number) for number in range(3)])
    for number, answer in enumerate((Answer.ACCEPT, Answer.CORRECT, Answer.ACCEPT)):
        queue.claim(f"item-{number}", "ben", NOW)
        queue.answer(
            Label(
                item_id=f"item-{number}", agent=AGENT, reviewer="ben", answer=answer, note="seen",
                correction="kim@customer.example" if answer is Answer.CORRECT else None, seconds=5,
                at=NOW + timedelta(seconds=number),
            )
        )  # fmt: skip
    queue.undo("ben", NOW + timedelta(seconds=3))
    opinions(queue)
    held(SqlHolds(ledger.database))
    for seconds in (0, 1_800, 1_900):
        controls.inject_fault(fault(FaultKind.TOOL_OUTAGE, seconds))
        controls.inject_fault(fault(FaultKind.MODEL_TIMEOUT, seconds))
    controls.clear_fault(AGENT, FaultKind.MODEL_TIMEOUT, "erp", actor="ana", at=NOW)
    controls.clear_fault(AGENT, FaultKind.MODEL_TIMEOUT, "erp", actor="ana", at=NOW)
    asked(log)
    happened(SqlIncidents(ledger.database, lambda: NOW))
    reached(SqlContacts(ledger.database))
    log.sign()


def reached(contacts):
    """Set where people are reached, change one address, and forget another."""
    for channel, name in (("mail", "old"), ("mail", "ana"), ("phone", "ana"), ("chat", "ana")):
        url = f"mailto://{name}@customer.example"
        contacts.put(Contact(identity="oidc:ana", channel=channel, url=url, zone="UTC", actor="ana", at=NOW))
    assert contacts.remove("oidc:ana", "chat", at=NOW, actor="ben")
    assert not contacts.remove("oidc:ana", "chat", at=NOW, actor="ben")


def signed_in(sessions):
    """Give out links; some lapse, one is used, and one session is ended by hand and one by the clock."""
    later = NOW + timedelta(hours=12)
    for number, link in enumerate("abcd"):
        at = NOW + timedelta(minutes=number)
        sessions.issue_link(
            link * 64, f"oidc:{link}", actor="ana", at=at, expires_at=at + timedelta(minutes=15)
        )
    for link in "ab":
        sessions.redeem(link * 64, link.upper() * 64, now=NOW, expires_at=later)
    sessions.end("A" * 64, now=NOW)
    sessions.read("B" * 64, NOW + timedelta(minutes=30))
    sessions.issue_link("e" * 64, "oidc:e", actor="ana", at=later, expires_at=later + timedelta(minutes=15))
    sessions.redeem("e" * 64, "E" * 64, now=later, expires_at=later + timedelta(hours=12))
    sessions.issue_link("f" * 64, "oidc:f", actor="ana", at=later, expires_at=later + timedelta(minutes=15))


def asked(log):
    """Ask people about three calls; one is agreed to and used, one refused, and the policy changes under the third."""
    desk, book = (
        SqlApprovals(log, SteadyClock(Clock(), NOW)),
        SqlPermissionBook(log, SteadyClock(Clock(), NOW)),
    )
    with log.database.write() as connection:
        for number in range(3):
            insert_approval(connection, approval(number))
    desk.vote(approval(0).id, actor="ana", allows=True, reason="as agreed")
    desk.vote(approval(1).id, actor="ben", allows=False, reason="no")
    with log.database.write() as connection:
        put_state(connection, approvals.c.id == approval(0).id, "used", at=NOW, actor="pilothouse")
    book.begin(AGENT, "policy 2")
    book.close()


def approval(number):
    return Approval(
        id=f"{number:064x}", call_digest=f"{number:064x}", agent=AGENT, tool="pay@1", run="r", task_type="invoice",
        requester="kim", effect="reversible", failed=("sum",), tainted=False, policy="policy 1",
        arguments=(ShownArgument(name="sum", value="9000", role="amount", origins=("task",)),),
        approvers=("ana", "ben"), needs=1, state="pending", asked_at=NOW, expires_at=NOW + timedelta(hours=1),
    )  # fmt: skip


def happened(incidents):
    """Let two incidents be opened, and one be closed."""
    for group in ("truth", "cost"):
        incidents.open(lambda _: None, lambda number, group=group: opened(number, group))
    change = replace(incidents.incident(1), state=IncidentState.ACKNOWLEDGED, acknowledged_by="ana")
    said = IncidentEvent(at=NOW, kind="state", actor="ana", text="ana has it")
    incidents.change(IncidentChange(incident=change, events=(said,)))
    with pytest.raises(Conflict):
        incidents.change(IncidentChange(incident=change, events=(said,)))


def opened(number, group):
    incident = Incident(
        number=number, agent=AGENT, group=group, rule="MON-2", task_type=None, severity="sev1",
        state=IncidentState.OPEN, title=group, opened_at=NOW, level=1,
    )  # fmt: skip
    event = IncidentEvent(at=NOW, kind="state", actor="watch", text="opened")
    return IncidentChange(incident=incident, events=(event,))


def opinions(queue):
    """Ask twins, a second opinion that is given on, a repetition, and what two people do not know."""
    queue.add([item(number, input="twin", version="v1") for number in (3, 4)])
    queue.add([item(number, input="twin", version="v1") for number in (3, 4)])
    queue.add(
        [
            item(5, pair_of="item-3", only_for="cleo", input="twin", probability=0.25, confidence=1),
            item(6, source=ReviewSource.CANARY, only_for="ben", known='{"answer": "accept"}', error_cost=2.5),
            item(7, source=ReviewSource.FLAGGED, conversation="c" * 64),
        ]
    )
    queue.assign("item-5", None, actor="ana", now=NOW)
    queue.assign("item-5", "ben", actor="ana", now=NOW)
    queue.claim_next("ben", [AGENT], NOW)
    said = {"agent": AGENT, "answer": Answer.ACCEPT, "seconds": 5.5}
    answers = [("item-3", "ben", {}), ("item-6", "ben", {})]
    answers += [("item-7", who, {"answer": Answer.UNSURE}) for who in ("ben", "cleo")]
    for seconds, (item_id, who, fields) in enumerate(answers, start=10):
        at = NOW + timedelta(seconds=seconds)
        queue.answer(Label(item_id=item_id, reviewer=who, at=at, **said | fields))


def held(holds):
    for number in (8, 9):
        hold = holds.hold(
            HeldOutput(
                agent=AGENT, task_type="invoice", trace_id=f"{number:032x}", version=None, reason="unsure",
                input="mail", proposal=f"pay {number}", used=(), call_digest=str(number), confidence=0.5,
                error_cost=None, held_at=NOW, deadline=NOW + timedelta(minutes=number),
            )
        )  # fmt: skip
    assert len(holds.expire(NOW + timedelta(minutes=8, seconds=1))) == 1
    assert holds.read(hold.hold_id, NOW + timedelta(minutes=10)).state is HoldState.EXPIRED


def fault(kind, seconds):
    return PlantedFault(
        agent=AGENT, kind=kind, integration="erp", environment=None, hang_s=0.5, actor="ana",
        at=NOW + timedelta(seconds=seconds), until=NOW + timedelta(seconds=seconds + 1_800),
    )  # fmt: skip


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory):
    """A ledger with a life and its keys, closed; each test gets a copy."""
    folder = tmp_path_factory.mktemp("lived")
    with open_ledger(ledger_url(folder)) as ledger:
        lived(ledger, SqlAuditLog(ledger.database, load_keys(folder / "keys"), Clock()))
    return folder


@pytest.fixture
def room(tmp_path, lived_in):
    shutil.copytree(lived_in, tmp_path, dirs_exist_ok=True)
    with open_ledger(ledger_url(tmp_path)) as ledger:
        log = SqlAuditLog(ledger.database, load_keys(tmp_path / "keys"), Clock())
        yield SimpleNamespace(log=log, installation=SimpleNamespace(ledger=ledger), agents=lambda: (AGENT,))


def rebundled(room, tmp_path, name="bundle.zip"):
    export_bundle(room, tmp_path / name, actor="test", now=NOW)
    return check_bundle(tmp_path / name, key=str(room.log.keys.verifier), anchors=())


def test_what_came_changed_and_went_is_what_stands(room, tmp_path):
    check = verify_log(room, NOW)
    assert (check.problems, check.rows) == (
        (),
        2 + 200 + 2 + 2 + 3 + 2 + ITEMS + 5 + 1 + ASKED + SIGNED_IN + REACHED,
    )
    assert rebundled(room, tmp_path).problems == []
    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        rows = bundle.read("rows.jsonl").decode()
    assert len(rows.splitlines()) == check.rows
    assert not [text for text in ("customer.example", 'invoice\\"', "d" * 64) if text in rows]


CHANGES = [
    ("UPDATE prices SET micro_usd_per_million = 1", "price acme large input"),
    ("DELETE FROM prices WHERE token_class = 'output'", "a row of prices: what it names is gone or was changed"),
    ("UPDATE prices SET valid_from_us = valid_from_us - 1 WHERE token_class = 'input'", "the price acme large"),
    ("INSERT INTO prices SELECT provider, 'x', token_class, 1, NULL, 1, '', '2026-01-01' FROM prices LIMIT 1", "the price acme x"),
    ("UPDATE outcomes SET status = 'verified' WHERE status = 'contradicted'", "the outcome of task 0000"),
    ("UPDATE outcomes SET claim = '\"paid\"' WHERE attempts = 2", "the outcome of task 0000"),
    ("UPDATE outcomes SET found = 'all well' WHERE attempts = 2", "the outcome of task 0000"),
    ("UPDATE outcomes SET salt = '' WHERE attempts = 2", "the outcome of task 0000"),
    ("UPDATE outcomes SET salt = 'no hex' WHERE attempts = 2", "the outcome of task 0000"),
    ("UPDATE outcomes SET claim = x'ff00' WHERE attempts = 2", "the outcome of task 0000"),
    ("UPDATE outcomes SET task_start_ns = task_start_ns + 1 WHERE attempts = 2", "the outcome of task 0000"),
    ("DELETE FROM outcomes WHERE status = 'contradicted'", "a row of outcomes: what it names is gone"),
    ("DELETE FROM outcomes", "a row of outcomes: what it names is gone"),
    ("UPDATE review_labels SET answer = 'accept'", "the label 2"),
    ("UPDATE review_labels SET correction = 'pay twice' WHERE sequence = 2", "the label 2"),
    ("UPDATE review_labels SET undone_us = NULL", "the label 3"),
    ("UPDATE review_labels SET reviewer = 'cleo' WHERE sequence = 1", "the label 1"),
    ("DELETE FROM review_labels WHERE sequence = 2", "a row of review_labels: what it names is gone"),
    ("UPDATE review_items SET proposal = 'pay me' WHERE item_id = 'item-0'", "the question of the review queue item-0"),
    ("UPDATE review_items SET input = '' WHERE source = 'held'", "the question of the review queue"),
    ("UPDATE review_items SET state = 'accepted' WHERE state = 'expired'", "the question of the review queue"),
    ("UPDATE review_items SET state = 'waiting' WHERE item_id = 'item-4'", "the question of the review queue item-4"),
    ("UPDATE review_items SET probability = 1 WHERE item_id = 'item-5'", "the question of the review queue item-5"),
    ("UPDATE review_items SET only_for = 'ben' WHERE item_id = 'item-5'", "the question of the review queue item-5"),
    ("UPDATE review_items SET pair_of = NULL WHERE item_id = 'item-5'", "the question of the review queue item-5"),
    ("UPDATE review_items SET known = NULL WHERE item_id = 'item-6'", "the question of the review queue item-6"),
    ("UPDATE review_items SET source = 'sampled' WHERE item_id = 'item-7'", "the question of the review queue item-7"),
    ("DELETE FROM review_items WHERE item_id = 'item-7'", "a row of review_items: what it names is gone"),
    ("UPDATE approvals SET state = 'approved' WHERE state = 'rejected'", "the approval 0000"),
    ("UPDATE approvals SET document = replace(document, '9000', '9')", "the approval 0000"),
    ("UPDATE approvals SET expires_us = expires_us + 1", "the approval 0000"),
    ("UPDATE approvals SET requester = 'ben' WHERE state = 'void'", "the approval 0000"),
    ("DELETE FROM approvals WHERE state = 'void'", "a row of approvals: what it names is gone"),
    ("UPDATE approval_votes SET allows = 1", "the answer to an approval 0000"),
    ("INSERT INTO approval_votes SELECT approval, 'cleo', 1, at_us FROM approval_votes LIMIT 1", "the answer to an approval"),
    ("DELETE FROM approval_votes WHERE allows = 0", "a row of approval_votes: what it names is gone"),
    ("UPDATE incidents SET severity = 'sev3' WHERE number = 1", "the incident 1"),
    ("UPDATE incidents SET state = 'resolved' WHERE number = 2", "the incident 2"),
    ("UPDATE incidents SET document = replace(document, 'truth', 'cost')", "the incident 1"),
    ("UPDATE incidents SET drill = 'page' WHERE number = 2", "the incident 2"),
    ("DELETE FROM incidents WHERE number = 2", "a row of incidents: what it names is gone"),
    ("UPDATE planted_faults SET environment = 'prod'", "the fault of a drill triage tool_outage erp"),
    ("UPDATE planted_faults SET until_us = until_us + 1", "the fault of a drill triage tool_outage erp"),
    ("DELETE FROM planted_faults", "a row of planted_faults: what it names is gone"),
    ("DELETE FROM controls WHERE kind = 'pause'", "a row of controls: what it names is gone"),
    ("UPDATE controls SET tool = 'other' WHERE kind = 'pause'", "the pause or rollback triage pause other"),
    ("UPDATE controls SET to_version = 'v3' WHERE kind = 'rollback'", "the pause or rollback triage rollback"),
    ("INSERT INTO controls SELECT 'other', kind, tool, NULL, NULL, '', '', 1 FROM controls WHERE kind = 'pause'",
     "the pause or rollback other pause pay"),
    ("UPDATE gateway_keys SET revoked_us = NULL WHERE prefix = 'two'", "the key two"),
    ("UPDATE gateway_keys SET digest = 'mine' WHERE prefix = 'one'", "the key one"),
    ("UPDATE gateway_keys SET agent = 'other' WHERE prefix = 'one'", "the key one"),
    ("UPDATE gateway_keys SET models = '' WHERE prefix = 'one'", "the key one"),
    ("UPDATE gateway_keys SET version = 'b' WHERE prefix = 'one'", "the key one"),
    ("UPDATE gateway_keys SET version = NULL WHERE prefix = 'two'", "the key two"),
    ("UPDATE gateway_providers SET url = 'https://mine.example'", "the provider acme"),
    ("UPDATE credentials SET host = 'mine.example'", "the credential erp"),
    ("UPDATE credentials SET variable = 'OTHER'", "the credential erp"),
    ("DELETE FROM gateway_keys WHERE prefix = 'two'", "a row of gateway_keys: what it names is gone"),
    ("INSERT INTO sessions SELECT 'mine', 'oidc:owner', created_us, seen_us, expires_us FROM sessions", "the session mine"),
    ("UPDATE sessions SET identity = 'oidc:owner'", "the session EEEE"),
    ("UPDATE sessions SET expires_us = expires_us + 1", "the session EEEE"),
    ("INSERT INTO sign_in_links VALUES ('mine', 'oidc:owner', 9)", "the link that signs in mine"),
    ("UPDATE contacts SET url = 'mailto://eve@elsewhere.example' WHERE channel = 'mail'", "the address of oidc:ana mail"),
    ("DELETE FROM contacts WHERE channel = 'mail'", "a row of contacts: what it names is gone"),
    ("INSERT INTO contacts SELECT identity, 'sms', url, zone, actor, at_us, salt FROM contacts LIMIT 1", "the address of oidc:ana sms"),
]  # fmt: skip


def test_a_session_that_is_used_needs_no_entry(room):
    before = room.log.size()
    assert SqlSessions(room.log.database).read("E" * 64, NOW + timedelta(hours=13)).identity == "oidc:e"
    assert room.log.size() == before
    assert verify_log(room, NOW).problems == ()


def test_who_looks_at_a_question_needs_no_entry(room):
    before = room.log.size()
    queue = SqlReviewQueue(room.log.database)
    queue.claim("item-5", "dora", NOW)
    assert room.log.size() == before
    assert verify_log(room, NOW).problems == ()


@pytest.mark.parametrize(("change", "found"), CHANGES, ids=lambda text: text[:40])
def test_a_row_that_somebody_changed_removed_or_added_is_found_here_and_by_the_auditor(
    room, tmp_path, change, found
):
    with room.log.database.write() as connection:
        assert connection.exec_driver_sql(change).rowcount
    problems = verify_log(room, NOW).problems
    assert any(found in problem for problem in problems), problems
    assert rebundled(room, tmp_path).problems


def remade(source, target, change):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "rows.jsonl":
                content = change(content)
            if content is not None:
                new.writestr(name, content)
    return target


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda rows: rows.replace(b'"verified"', b'"pending"', 1), "no record names the row"),
        (lambda rows: rows.split(b"\n", 1)[1], "a row of prices that it names is not in the bundle"),
        (lambda rows: rows + rows.split(b"\n", 1)[0] + b"\n", "no record names the row"),
        (lambda rows: rows + b"\xff no row \x1b[2J\n", "no record names the row"),
        (lambda _: None, "a row of prices that it names is not in the bundle"),
        (lambda _: b"", "is not in the bundle"),
    ],
)
def test_rows_of_a_bundle_that_somebody_changed_are_found_by_its_verifier(room, tmp_path, change, found):
    assert rebundled(room, tmp_path).problems == []
    path = remade(tmp_path / "bundle.zip", tmp_path / "other.zip", change)
    problems = check_bundle(path, key=str(room.log.keys.verifier), anchors=()).problems
    assert any(found in problem for problem in problems), problems
    assert not any("\x1b" in problem for problem in problems)


def test_an_export_shows_the_rows_of_its_last_record_although_others_write(room, tmp_path):
    ledger, lines = room.installation.ledger, room.log.standing_lines

    def meanwhile():
        found = lines()
        ledger.save_outcomes([outcome(900), outcome(198, status=OutcomeStatus.VERIFIED)])
        return found

    room.log.standing_lines = meanwhile
    assert rebundled(room, tmp_path).problems == []
    room.log.standing_lines = lines
    assert rebundled(room, tmp_path, "later.zip").problems == []


def test_what_changes_while_the_log_is_verified_is_no_finding(room):
    ledger, texts = room.installation.ledger, room.log.texts

    def meanwhile(*, start=0):
        found = texts(start=start)
        room.log.texts = texts
        ledger.save_outcomes([outcome(900), outcome(198, status=OutcomeStatus.VERIFIED)])
        return found

    room.log.texts = meanwhile
    assert verify_log(room, NOW).problems == ()


def test_an_erased_correction_is_no_finding_and_its_salt_is_gone(room, tmp_path):
    salts = "SELECT salt FROM review_labels WHERE sequence = 2"
    with room.log.database.read() as connection:
        before = connection.exec_driver_sql(salts).scalar()
    SqlCuration(room.log.database).erase("kim@customer.example", actor="ana", at=NOW)
    with room.log.database.read() as connection:
        assert connection.exec_driver_sql(salts).scalar() != before
        label = connection.exec_driver_sql(
            "SELECT correction, note FROM review_labels WHERE sequence = 2"
        ).one()
    assert label.correction == "[erased]"
    assert verify_log(room, NOW).problems == ()
    assert rebundled(room, tmp_path).problems == []


def test_a_waiting_question_that_is_erased_is_no_finding(room, tmp_path):
    SqlReviewQueue(room.log.database).add([item(40, input="from kim@customer.example")])
    SqlCuration(room.log.database).erase("kim@customer.example", actor="ana", at=NOW)
    with room.log.database.read() as connection:
        kept = connection.exec_driver_sql("SELECT * FROM review_items WHERE item_id = 'item-40'").one()
    assert (kept.input, kept.state, kept.note) == ("[erased]", "unsure", "its texts were erased")
    assert verify_log(room, NOW).problems == ()
    assert rebundled(room, tmp_path).problems == []


def test_who_asked_for_a_call_is_erased_without_a_finding(room, tmp_path):
    with room.log.database.write() as connection:
        forget_requester(connection, "kim", NOW, "ana")
        kept = connection.exec_driver_sql("SELECT requester, state, salt FROM approvals ORDER BY id").all()
    assert [(one.requester, one.state) for one in kept] == [
        ("erased", "used"), ("erased", "rejected"), ("erased", "void"),
    ]  # fmt: skip
    assert len({one.salt for one in kept}) == 3
    assert verify_log(room, NOW).problems == ()
    assert rebundled(room, tmp_path).problems == []


def test_a_batch_is_a_few_entries_that_fit(room):
    before = room.log.size()
    room.installation.ledger.save_outcomes([outcome(number) for number in range(1_000, 1_500)])
    made = room.log.records(start=before)
    assert len(made) == -(-500 // ROWS_IN_RECORD)
    assert {one.kind for one in made} == {ROWS_CHANGED}
    assert all(len(one.text.encode()) < AUDIT_DOCUMENT_MAX + 300 for one in made)
    room.installation.ledger.save_outcomes([replace(outcome(1_000), attempts=1)])
    room.installation.ledger.save_outcomes([])


@pytest.mark.parametrize(
    "document", [{}, {"table": "prices", "added": 2, "removed": 0, "sha256": "AAAA"}, {"sha256": 5},
                 {"table": "prices", "added": -1, "removed": 1, "sha256": ""}],
)  # fmt: skip
def test_an_entry_of_rows_that_somebody_made_up_is_a_finding_and_ends_no_verification(
    room, tmp_path, document
):
    room.log.append(ROWS_CHANGED, "", document)
    assert any("rows" in problem for problem in verify_log(room, NOW).problems)
    rebundled(room, tmp_path)


def test_a_ledger_from_before_adopts_its_rows_as_they_stand(room, tmp_path):
    old = sqlite_url(tmp_path / "old.sqlite")
    steps_to(old, "0018")
    logged = {table.name for table in LOGGED_TABLES}
    moved = rows_moved(sqlite_url(tmp_path / "ledger.sqlite"), old)
    assert all(moved[name] for name in logged)
    with closing(sqlite3.connect(tmp_path / "old.sqlite")) as raw, raw:
        for name in set(moved) - logged:
            raw.execute(f"DELETE FROM {name}")
    with open_ledger(old) as ledger:
        log = SqlAuditLog(ledger.database, load_keys(tmp_path / "keys"), Clock())
        place = SimpleNamespace(log=log, installation=SimpleNamespace(ledger=ledger), agents=lambda: ())
        check = verify_log(place, NOW)
        assert (check.problems, check.rows) == ((), 211 + ITEMS + 5 + 1 + ASKED + SIGNED_IN + REACHED)
        assert all('"adopted":true' in record.text for record in log.records())
        ledger.save_outcomes([outcome(180, status=OutcomeStatus.VERIFIED)])
        assert verify_log(place, NOW).problems == ()
        with log.database.read() as connection:
            assert len(set(connection.exec_driver_sql("SELECT salt FROM outcomes").scalars())) == 200


@pytest.mark.slow
def test_a_server_gives_back_the_rows_that_were_named(request, tmp_path):
    with open_ledger(fresh_postgres_url(request)) as ledger:
        log = SqlAuditLog(ledger.database, load_keys(tmp_path / "keys"), Clock())
        lived(ledger, log)
        place = SimpleNamespace(log=log, installation=SimpleNamespace(ledger=ledger), agents=lambda: ())
        assert verify_log(place, NOW).problems == ()
        assert rebundled(place, tmp_path).problems == []
        with log.database.write() as connection:
            connection.exec_driver_sql("UPDATE outcomes SET attempts = 9 WHERE attempts = 2")
        assert "the outcome of task" in verify_log(place, NOW).problems[0]


def test_every_table_that_the_log_names_is_held_against_it():
    assert {table.name for table in LOGGED_TABLES} == set(LOGGED)
    for table in LOGGED_TABLES:
        one = LOGGED[table.name]
        named = {*one.key, *one.public, *one.private, *one.later}
        beside = {"salt"} | NO_ENTRY.get(table.name, set())
        assert {column.name for column in table.columns} - beside == named, table.name
        assert [column.name for column in table.primary_key] == list(one.key)
