# SPDX-License-Identifier: Apache-2.0
"""What a ledger leaves out of a read changes no verdict, whatever arrived when, and its index is made of the records alone."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from evidence_made import V1, V2, everything_holds, load_charter
from sqlalchemy import select, text, update

from pilothouse.core.evidence.digest import evidence_digest
from pilothouse.core.evidence.evidence import Basis, Evidence, Source
from pilothouse.core.evidence.kind import Form
from pilothouse.core.evidence.kinds import KINDS
from pilothouse.core.verdict.decisive import Decisive
from pilothouse.core.verdict.readiness import decide, verdict_document
from pilothouse.errors import DigestMismatch
from pilothouse.ledger.evidence_document import parse_document
from pilothouse.ledger.evidence_index import rebuild_index
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.schema import evidence, standing_evidence

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CHARTER = load_charter()
HELD = everything_holds(CHARTER, NOW)


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


def drawn(rng):
    """Return a history in which records are older, worse, thin, of another version, imported, late, or ahead of the moment."""
    found = []
    for record in HELD:
        for _ in range(rng.randrange(5)):
            back = timedelta(hours=rng.choice([-48, -0.05, 0, 0, 1, 24, 24, 500, 3_000]))
            change = {
                "window_from": record.window_from - back - timedelta(days=3),
                "window_to": record.window_to - back,
                "recorded_at": record.recorded_at - back + rng.choice([0, 0, 30, -1_000]) * HOUR,
                "detail": rng.choice(["", "a", "b"]),
            }
            form = KINDS[record.kind].form
            if form is Form.FACT:
                change["passed"] = rng.random() < 0.5
            if form is Form.RATE:
                n = rng.choice([1, 40, record.n])
                change |= {"n": n, "good": int(n * rng.choice([0, 0.9, 1]))}
            if form in {Form.COUNT, Form.AMOUNT}:
                change["n"] = rng.choice([1, record.n])
            if form is not Form.SIGNATURE and rng.random() < 0.2:
                change["basis"] = Basis.IMPORTED
            if record.binds.version and rng.random() < 0.3:
                change["binds"] = record.binds.model_copy(update={"version": V2})
            if record.binds.section_digest and rng.random() < 0.2:
                change["binds"] = record.binds.model_copy(update={"section_digest": "00" * 32})
            found.append(record.model_copy(update=change))
    rng.shuffle(found)
    return found


def verdict(records, at, version, **more):
    return verdict_document(decide(CHARTER, records, at, phase="1", version=version, **more))


LOOKS = (
    (NOW, V1, 0.95),
    (NOW + 60 * HOUR, V2, 0.999),
    (NOW - 25 * HOUR, V1, 0.95),
    (NOW + 3 * HOUR, None, 0.95),
)


@pytest.mark.parametrize("seed", range(3))
def test_a_verdict_on_what_stands_is_the_verdict_on_everything(ledger, seed):
    history = drawn(random.Random(seed))
    for start in range(0, len(history), 97):
        ledger.add_evidence(history[start : start + 97])
    written = ledger.evidence(CHARTER.agent)
    for at, version, level in LOOKS:
        decides = Decisive(CHARTER, level)
        stands = ledger.standing_evidence(CHARTER.agent, at=at, version=version, decides=decides)
        known = [one for one in written if one.recorded_at <= at]
        assert len(stands) < len(known)
        assert verdict(stands, at, version, level=level) == verdict(known, at, version, level=level)


def rows(ledger):
    with ledger.database.read() as connection:
        return (
            sorted(map(tuple, connection.execute(select(standing_evidence)))),
            sorted(map(tuple, connection.execute(select(evidence)))),
        )


def test_the_index_made_anew_from_the_records_is_the_one_kept_while_they_arrived(ledger):
    history = drawn(random.Random(7))
    for start in range(0, len(history), 50):
        ledger.add_evidence(history[start : start + 50])
    kept = rows(ledger)
    with ledger.database.write() as connection:
        connection.execute(update(evidence).values(slot="", about="", version="", window_to_us=0))
        connection.execute(text("DELETE FROM standing_evidence WHERE about < '8'"))
        assert rebuild_index(connection) == len(kept[1])
    assert rows(ledger) == kept


def fact(hours, *, passed=True):
    at = NOW - hours * HOUR
    return Evidence(
        kind="audit.verified",
        agent=CHARTER.agent,
        window_from=at,
        window_to=at,
        n=1,
        passed=passed,
        source=Source(command="pilothouse audit verify"),
        recorded_at=at,
    )


def test_only_the_newest_fact_is_read_and_a_forged_age_is_found(ledger):
    ledger.add_evidence([fact(3), fact(2, passed=False), fact(1)])

    def standing(at):
        return ledger.standing_evidence(CHARTER.agent, at=at, version=None, decides=Decisive(CHARTER))

    assert standing(NOW) == (fact(1),)
    assert standing(NOW - 2 * HOUR) == (fact(2, passed=False),)
    forged = (
        "UPDATE evidence SET document = replace(document, '2026-11-20T11:00:00Z', '2026-11-20T11:30:00Z')"
    )
    with ledger.database.write() as connection:
        connection.execute(text(forged))
    with pytest.raises(DigestMismatch):
        standing(NOW)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"value": 1.0, "low": 0.5, "high": 2.0, "good": None},
        {"counts": {"ä": 3}, "items": ("a", "b"), "detail": "ü", "method": "m"},
        {"basis": Basis.IMPORTED, "signer": "dana"},
        {"window_to": (NOW + HOUR).astimezone(), "source": Source(command="c", run_id="r", node="n")},
    ],
)
def test_a_record_comes_back_from_its_text_as_the_validating_reader_has_it(change):
    for record in HELD[::9]:
        stored = record.model_copy(update=change).model_dump_json()
        read = parse_document(stored)
        assert read == Evidence.model_validate_json(stored)
        assert read.model_dump_json() == stored
        assert evidence_digest(read) == evidence_digest(Evidence.model_validate_json(stored))


def test_a_text_that_is_no_record_is_refused_as_one():
    with pytest.raises(ValueError, match="Field required"):
        parse_document("{}")


def read(ledger, at):
    return ledger.standing_evidence(CHARTER.agent, at=at, version=None, decides=Decisive(CHARTER))


def log_status(ledger, at):
    found = {}
    for records in (read(ledger, at), ledger.evidence(CHARTER.agent)):
        verdict = decide(CHARTER, records, at, phase="1")
        (found[len(found)],) = (
            one.status.value for one in verdict.requirements if one.requirement == "MON-10"
        )
    assert found[0] == found[1]
    return found[0]


def test_a_failure_written_after_the_clock_went_back_is_not_hidden_by_the_pass_before_it(ledger):
    ledger.add_evidence([fact(0)])  # at noon
    ledger.add_evidence([fact(0.9, passed=False)])  # the clock says 11:06
    assert log_status(ledger, NOW - 0.8 * HOUR) == "breached"
    assert log_status(ledger, NOW + HOUR) == "breached"
    ledger.add_evidence([fact(0.5)])  # 11:30, repaired
    assert log_status(ledger, NOW + HOUR) == "holds"


def test_a_failure_behind_thin_records_of_a_clock_that_went_back_counts_on(ledger):
    ledger.add_evidence([fact(0)])
    ledger.add_evidence([fact(0.9, passed=False)])
    unknown = fact(0.5).model_copy(update={"passed": None, "counts": {"unknown": 1}})
    ledger.add_evidence([unknown])
    assert log_status(ledger, NOW + HOUR) == "breached"
    ledger.add_evidence([fact(-0.5).model_copy(update={"passed": None, "counts": {"unknown": 1}})])
    assert log_status(ledger, NOW + HOUR) == "breached"


def test_a_pass_that_a_clock_a_year_ahead_wrote_is_no_pass_of_that_year(ledger):
    ahead = fact(-24 * 365)
    ledger.add_evidence([ahead])
    ledger.add_evidence([fact(1, passed=False)])
    ledger.add_evidence([fact(0)])
    assert log_status(ledger, NOW) == "holds"
    assert log_status(ledger, NOW + (24 * 365 + 1) * HOUR) == "no_evidence"
