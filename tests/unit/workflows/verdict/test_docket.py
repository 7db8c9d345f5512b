# SPDX-License-Identifier: Apache-2.0
"""A verdict that carries over what has not changed is the verdict that decides everything anew, at every moment."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from evidence_made import CHARTER, V1, V2, edited_charter, everything_holds, load_charter

from pilothouse.app.deciding_code import digest_of_sources
from pilothouse.app.opening import open_installation
from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import Basis
from pilothouse.core.evidence.kind import Form
from pilothouse.core.evidence.kinds import KINDS
from pilothouse.core.verdict import rules
from pilothouse.core.verdict.readiness import conclude, decide, verdict_document
from pilothouse.core.verdict.verdict import ItemVerdict
from pilothouse.core.verdict.waiver import Waiver
from pilothouse.ledger.docket_document import docket_text, parse_docket
from pilothouse.ledger.dockets import SqlDockets
from pilothouse.ledger.ledger import open_ledger
from pilothouse.settings import load_settings
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.verdict import docket as work
from pilothouse.workflows.verdict.docket import decided_items, open_sitting

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MADE = load_charter()
HELD = everything_holds(MADE, NOW)
FOLDED = ("completion", "latency", "hosts_observed")


@pytest.fixture
def place(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        yield Installation(
            settings=None,
            clock=None,
            lake=None,
            ledger=ledger,
            dockets=SqlDockets(ledger.database, lambda: "this code"),
        )


def accept(place, text, at):
    charter = Charter.model_validate(read_charter_text(text, file="charter.yaml").value)
    return place.ledger.accept_charter(
        agent=charter.agent, digest=charter.digest, text=text, path="charter.yaml", at=at
    )


def carried(place, record, folded, at, *, version=V1, waivers=()):
    sitting = open_sitting(place, record, at)
    docket, refused = decided_items(place, sitting, folded, version=version, level=0.95)
    verdict = conclude(docket, sitting.charter, at, phase="2", waivers=waivers, refused=refused).verdict
    return verdict_document(verdict)


def anew(place, record, folded, at, *, version=V1, waivers=()):
    charter = Charter.model_validate(read_charter_text(record.text, file="charter.yaml").value)
    written = [one for one in place.ledger.evidence(record.agent) if one.recorded_at <= at]
    return verdict_document(
        decide(charter, [*folded, *written], at, phase="2", version=version, waivers=waivers)
    )


def changed(rng, record, at):
    """Return a record as it may come in: another result, another version, late, imported, or ahead of its time."""
    late = rng.choice([0, 0, 0, 3, 200, -0.05, -1]) * HOUR
    change = {"window_to": at - late, "window_from": at - late - 72 * HOUR, "recorded_at": at}
    form = KINDS[record.kind].form
    if form is Form.FACT:
        change["passed"] = rng.random() < 0.7
    if form is Form.RATE:
        n = rng.choice([1, 40, record.n])
        change |= {"n": n, "good": int(n * rng.choice([0, 0.9, 1]))}
    if form is not Form.SIGNATURE and rng.random() < 0.2:
        change["basis"] = Basis.IMPORTED
    if record.binds.version and rng.random() < 0.2:
        change["binds"] = record.binds.model_copy(update={"version": V2})
    if record.binds.dataset and rng.random() < 0.1:
        change["binds"] = record.binds.model_copy(update={"dataset": "dd" * 32})
    return record.model_copy(update=change)


def waiver(at):
    return Waiver(
        requirement="MON-5",
        signer="vp",
        reason="until the new desk has moved",
        signed_at=at,
        until=at + timedelta(days=20),
        version=V1,
        thresholds_digest=MADE.section_digests["thresholds"],
    )


def test_a_carried_verdict_is_the_one_made_anew_through_months_of_arrivals(place, monkeypatch):
    rng = random.Random(1)
    whole = []
    judge = work.judge_all
    monkeypatch.setattr(work, "judge_all", lambda *a, **k: whole.append(1) or judge(*a, **k))
    text, version, at = CHARTER.read_text(encoding="utf-8"), V1, NOW
    record = accept(place, text, NOW - 90 * 24 * HOUR)
    stored = [one for one in HELD[::2] if one.kind not in FOLDED]
    folded = [one for one in HELD if one.kind in FOLDED]
    place.ledger.add_evidence(stored)
    waivers = ()
    for step in range(14):
        at += rng.choice([0.1, 1, 24, 24 * 9]) * HOUR
        place.ledger.add_evidence(
            [changed(rng, rng.choice(stored), at) for _ in range(rng.choice([0, 0, 1, 1, 4]))]
        )
        if rng.random() < 0.3:
            folded = [changed(rng, one, at) if rng.random() < 0.2 else one for one in folded]
        if step == 4:
            waivers = (waiver(at),)
        if step == 7:
            record = accept(place, edited_charter(("max_drop: 5", "max_drop: 4")), at)
        version = {9: V2, 11: V1}.get(step, version)
        moment = at - 2 * HOUR if rng.random() < 0.1 else at
        told = [one for one in folded if max(one.window_to, one.recorded_at) <= moment]
        asked = {"version": version, "waivers": waivers}
        assert carried(place, record, told, moment, **asked) == anew(place, record, told, moment, **asked)
    assert 0 < len(whole) < 12


def test_nothing_new_decides_nothing_and_a_lapse_comes_by_itself(place, monkeypatch):
    record = accept(place, CHARTER.read_text(encoding="utf-8"), NOW - 24 * HOUR)
    place.ledger.add_evidence(HELD)
    carried(place, record, [], NOW)
    monkeypatch.setattr(work, "judge_all", None)
    monkeypatch.setattr(work, "judge_again", None)
    for days in (0, 1, 20, 400):
        at = NOW + timedelta(days=days)
        assert carried(place, record, [], at) == anew(place, record, [], at)
    assert '"reason":"stale"' in carried(place, record, [], at)


def test_the_first_record_of_an_installation_is_seen(place):
    """Its entry is the first of the audit log when the charter was accepted without one."""
    record = accept(place, CHARTER.read_text(encoding="utf-8"), NOW - 24 * HOUR)
    carried(place, record, [], NOW)
    place.ledger.add_evidence([one for one in HELD if one.kind == "audit.verified"])
    at = NOW + HOUR
    assert carried(place, record, [], at) == anew(place, record, [], at)


def test_a_docket_comes_back_equal_and_one_of_another_program_is_none(place):
    record = accept(place, CHARTER.read_text(encoding="utf-8"), NOW - 24 * HOUR)
    place.ledger.add_evidence(HELD)
    carried(place, record, [], NOW)
    kept = place.dockets.docket(record.agent)
    text = docket_text(kept)
    again = parse_docket(text, form=kept.form, at=kept.at, arrived=kept.arrived)
    assert again == kept
    assert any(
        one.is_early for one in again.docket.rulings
    )  # the sponsor's review warns early after a restart too
    assert any(one.again for one in again.docket.rulings)
    assert {one.item.status for one in again.docket.rulings} <= set(type(again.docket.rulings[0].item.status))
    assert parse_docket(text.replace('"lapsed"', '"lapsing"'), form="", at=NOW, arrived=0) is None
    place.dockets.keep_docket(record.agent, replace(kept, form="another"))
    assert open_sitting(place, record, NOW).kept is None
    assert set(ItemVerdict.model_fields) == set(again.docket.rulings[0].item.__dict__)


def test_what_other_code_decided_is_decided_anew(place):
    record = accept(place, CHARTER.read_text(encoding="utf-8"), NOW - 24 * HOUR)
    place.ledger.add_evidence(HELD)
    carried(place, record, [], NOW)
    assert open_sitting(place, record, NOW).kept is not None
    edited = replace(place, dockets=SqlDockets(place.ledger.database, lambda: "edited code"))
    assert open_sitting(edited, record, NOW).kept is None


def test_the_deciding_code_is_told_by_contents_and_places(tmp_path):
    folder = tmp_path / "core"
    (folder / "verdict").mkdir(parents=True)
    written = folder / "verdict" / "rules.py"
    written.write_text("LEVEL = 0.95\n", encoding="utf-8")
    first = digest_of_sources(folder)
    (folder / "notes.txt").write_text("decides nothing", encoding="utf-8")
    assert digest_of_sources(folder) == first
    written.write_text("LEVEL = 0.94\n", encoding="utf-8")
    edited = digest_of_sources(folder)
    written.rename(folder / "rules.py")
    assert len({first, edited, digest_of_sources(folder)}) == 3


def test_an_opened_installation_names_the_core_that_it_runs(tmp_path):
    with open_installation(load_settings({}, home=tmp_path)) as opened:
        assert opened.dockets.decider == digest_of_sources(Path(rules.__file__).parents[1])
