# SPDX-License-Identifier: Apache-2.0
"""Signing and waiving: by whom, of which text, recorded, and seen in the verdict."""

from __future__ import annotations

import contextlib
import json
from datetime import timedelta

import page_site
import page_world as world
import pytest
from starlette.testclient import TestClient

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.signing import SignatureState
from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import Conflict, Denied, UnknownName, UsageError
from pilothouse.reports.signing import build_signing
from pilothouse.workflows.people import signing
from pilothouse.workflows.people.signing import sign, signatures, waivable_state, waive, waivers_of
from pilothouse.workflows.reports.report import show_executive
from pilothouse.workflows.reports.show import Shows
from pilothouse.workflows.verdict.assess import assess

AGENT, NOW = world.AGENT, world.NOW
SAME = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def site(tmp_path):
    with page_site.people_site(tmp_path) as opened:
        yield opened


def sign_as(site, item, person, **more):
    options = {"actor": "test", "source": "test", "now": NOW} | more
    return sign(site.ledger, AGENT, item, person=person, **options)


def judged(site, item):
    verdict = assess(site.installation, AGENT, NOW, freeze=False).verdict
    return next(one for one in verdict.requirements if one.requirement == item), verdict


def test_the_sponsors_signature_makes_the_requirement_hold(site):
    assert judged(site, "OWN-5")[0].status is Status.NO_EVIDENCE
    assert {one.section for one in sign_as(site, "OWN-5", "vp")} == {"thresholds", "escalation"}
    found, _ = judged(site, "OWN-5")
    assert (found.status, found.deciding.basis, found.deciding.signer) == (Status.HOLDS, "attested", "vp")
    assert all(one.state is SignatureState.SIGNED for one in signatures(site.ledger, AGENT, NOW, "OWN-5"))
    (decision,) = site.ledger.decisions(AGENT, kind="evidence.signed")
    assert json.loads(decision.document)["requirement"] == "OWN-5"


@pytest.mark.parametrize(
    ("item", "person", "error", "match"),
    [
        ("OWN-5", "kim", Denied, "asks for no signature of K. Adeyemi; it asks V. Petrov"),
        ("MON-1", "vp", UnknownName, "asks for a signature"),
        ("OWN-55", "vp", UnknownName, "OWN-5"),
    ],
)
def test_who_is_not_asked_cannot_sign(site, item, person, error, match):
    with pytest.raises(error, match=match):
        sign_as(site, item, person)


def limited(site, person, role):
    """Put a charter into force that limits a person."""
    before = site.ledger.charter(AGENT)
    line = next(one for one in before.text.splitlines() if one.startswith(f"  {person}: "))
    text = before.text.replace(line, line.replace(", role: executive", "").replace("}", f", role: {role}}}"))
    charter = Charter.model_validate(read_charter_text(text, file="charter.yaml").value)
    site.ledger.accept_charter(
        agent=AGENT, digest=charter.digest, text=text, path=before.path, at=NOW - timedelta(minutes=1)
    )


def test_a_substitute_who_signs_an_own_part_does_not_sign_over_what_the_other_has_signed(site):
    """The record said that one person alone had signed what two were asked to read."""
    signed = {one.scope for one in sign_as(site, "MON-5", "sam") if one.person == "sam"}
    sign_as(site, "MON-5", "kim", now=NOW + timedelta(minutes=1))
    now = {one.scope: one for one in signatures(site.ledger, AGENT, NOW + timedelta(minutes=2), "MON-5")}
    assert signed
    assert {now[scope].signer for scope in signed} == {"sam"}
    assert {one.signer for one in now.values() if one.person == "kim"} == {"kim"}


def test_a_substitute_may_renew_what_is_signed(site):
    sign_as(site, "EVAL-5", "sam")
    assert {one.person for one in sign_as(site, "EVAL-5", "kim")} == {"sam"}


def test_who_only_audits_signs_nothing_whatever_the_duties_are(site):
    limited(site, "vp", "auditor")
    with pytest.raises(Denied, match=r"V\. Petrov may sign nothing .*people\.vp\.role"):
        sign_as(site, "OWN-5", "vp")
    with pytest.raises(Denied, match="may sign nothing"):
        waive_as(site)


def test_a_text_that_changed_since_it_was_shown_is_not_signed(site):
    with pytest.raises(Conflict, match="changed since it was shown"):
        sign_as(site, "OWN-5", "vp", keys=["0" * 64])


def test_an_agent_without_a_charter_asks_for_nothing(site):
    with pytest.raises(UnknownName, match="Did you mean"):
        signatures(site.ledger, "ap-invoice-triag", NOW)


def waive_as(site, item="OWN-2", person="vp", *, reason="vendor fix scheduled", days=10, now=NOW, seen=None):
    found = assess(site.installation, AGENT, now, freeze=False)
    return waive(
        site.ledger,
        found.verdict,
        item,
        further=found.further,
        person=person,
        actor="test",
        reason=reason,
        until=now + timedelta(days=days),
        now=now,
        seen=seen,
    )


def test_a_waiver_is_signed_for_what_was_shown(site):
    found = assess(site.installation, AGENT, NOW, freeze=False)
    shown = waivable_state(site.ledger, found.verdict, "OWN-2", found.further)
    (row,) = (one for one in found.verdict.requirements if one.requirement == "OWN-2")
    worse = row.items[0].model_copy(update={"status": Status.BREACHED, "value": 0.5})
    other = row.model_copy(update={"items": (worse, *row.items[1:])})
    assert waivable_state(site.ledger, found.verdict, "OWN-2", (other,)) != shown
    with pytest.raises(Conflict, match="not as it was shown"):
        waive_as(site, seen="")
    waive_as(site, seen=shown)
    with pytest.raises(Conflict, match="not as it was shown"):
        waive_as(site, seen=shown)
    assert len(waivers_of(site.ledger, AGENT)) == 1


@pytest.mark.parametrize("is_shown", [True, False])
def test_of_two_servers_that_are_sent_one_form_at_once_one_signs(site, monkeypatch, is_shown):
    found = assess(site.installation, AGENT, NOW, freeze=False)
    seen = waivable_state(site.ledger, found.verdict, "OWN-2", found.further) if is_shown else None
    whole = signing._waived_before

    def read_while_another_signs(*args):
        read = whole(*args)
        monkeypatch.setattr(signing, "_waived_before", whole)
        waive_as(site, seen=seen)
        return read

    monkeypatch.setattr(signing, "_waived_before", read_while_another_signs)
    with pytest.raises(Conflict, match="recorded meanwhile"):
        waive_as(site, seen=seen)
    assert len(waivers_of(site.ledger, AGENT)) == 1


def test_a_waiver_stands_beside_the_status_and_can_be_renewed_once(site):
    for _ in range(2):
        waive_as(site)
    found, _ = judged(site, "OWN-2")
    assert found.status is Status.NO_EVIDENCE
    assert (found.waiver.signer, found.waiver.reason) == ("vp", "vendor fix scheduled")
    with pytest.raises(Conflict, match="renewed already"):
        waive_as(site)
    site.ledger.record(kind="waiver.signed", agent=AGENT, at=NOW, actor="x", document="{}")
    assert len(waivers_of(site.ledger, AGENT)) == 2


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"person": "dana"}, Denied, "only the sponsor waives, which is V. Petrov"),
        ({"item": "OWN-1"}, Denied, "no signature lets OWN-1 pass"),
        ({"days": 31}, UsageError, "within 30 days"),
        ({"days": 0}, UsageError, "within 30 days, not on .*, which is past Write a day that comes by then"),
        ({"reason": "  "}, UsageError, "needs a reason"),
        ({"reason": "x" * 501}, UsageError, "needs a reason"),
    ],
)
def test_what_no_signature_lets_pass(site, options, error, match):
    with pytest.raises(error, match=match):
        waive_as(site, **options)


def test_a_critical_mistake_behind_another_breach_is_not_waived(site):
    """Such a waiver would be recorded and never be in force."""
    found, verdict = judged(site, "MON-2")
    mistake = found.deciding.model_copy(
        update={
            "scope": found.deciding.scope.model_copy(update={"part": "critical"}),
            "status": Status.BREACHED,
            "sentence": "One was paid twice.",
        }
    )
    seen = found.model_copy(update={"items": (found.deciding, mistake)})
    rows = tuple(seen if one.requirement == "MON-2" else one for one in verdict.requirements)
    with pytest.raises(Denied, match="no signature lets MON-2 pass: One was paid twice"):
        waive(
            site.ledger,
            verdict.model_copy(update={"requirements": rows}),
            "MON-2",
            further=rows,
            person="vp",
            actor="test",
            reason="later",
            until=NOW + timedelta(days=3),
            now=NOW,
        )
    assert waivers_of(site.ledger, AGENT) == ()


def test_what_holds_needs_no_waiver(site):
    sign_as(site, "OWN-5", "vp")
    with pytest.raises(UsageError, match="nothing to waive"):
        waive_as(site, "OWN-5")


def test_on_the_page_a_person_signs_what_is_shown_and_nobody_else(site):
    client = TestClient(site.app, base_url="http://localhost", follow_redirects=False)
    page = f"/agents/{AGENT}/sign"
    assert "Sign in to sign" in client.get(page).text
    link = site.link("vp").removeprefix("/sign-in/")
    client.post("/sign-in", data={"link": link}, headers=SAME)
    shown = client.get(page)
    assert "Sign OWN-5 as V. Petrov" in shown.text
    assert "Sign DATA-5" not in shown.text
    rows = [row for text in client.get(f"{page}.json").json()["texts"] for row in text["rows"]]
    keys = {f"key{n}": row["key"] for n, row in enumerate(rows) if row["requirement"] == "OWN-5"}
    token = shown.text.split('name="form_token" value="')[1][:64]
    answer = client.post(page, data={"form_token": token, "item": "OWN-5", **keys}, headers=SAME)
    assert (answer.status_code, answer.headers["location"]) == (303, page)
    assert judged(site, "OWN-5")[0].status is Status.HOLDS
    assert "by V. Petrov, 21 Nov 2026" in client.get(page).text
    refused = client.post(page, data={"form_token": token, "item": "DATA-5", **keys}, headers=SAME)
    assert refused.status_code == 403


def test_the_page_asks_for_a_signature_that_is_open_and_for_none_that_stands(site):
    """With everything signed it still asked to read and sign the first section again."""

    def asked():
        mine = frozenset(one.key for one in signatures(site.ledger, AGENT, NOW) if one.person == "sam")
        found = signatures(site.ledger, AGENT, NOW)
        return build_signing(world.charter(), found, NOW, mine=mine, visitor="S. Ortega").action

    assert asked().label == "Read datasets and sign EVAL-5."
    open_items = {
        one.requirement: one.person
        for one in signatures(site.ledger, AGENT, NOW)
        if one.state is not SignatureState.SIGNED
    }
    for person in sorted({one.person for one in signatures(site.ledger, AGENT, NOW)}):
        for item in open_items:
            with contextlib.suppress(Denied):
                sign_as(site, item, person)
    assert all(one.state is SignatureState.SIGNED for one in signatures(site.ledger, AGENT, NOW))
    assert asked() is None


def test_the_page_of_the_agent_counts_the_signatures_that_the_page_of_signatures_counts(site):
    """Counted from the verdict there were four more: questions repeat the items of other requirements."""
    facts = {one.name: one for one in Shows(site.installation).agent(AGENT).standing}
    waiting = [
        one
        for one in signatures(site.ledger, AGENT, site.clock.now())
        if one.state is not SignatureState.SIGNED
    ]
    assert facts["Signatures"].link.text.startswith(f"{len(waiting)} wait for ")


def test_what_waits_for_a_visitor_is_counted_apart_from_what_a_substitute_may_give(site):
    """The page said that 17 wait where Ownership said 12: five were of the person whom the visitor stands in for."""
    found = signatures(site.ledger, AGENT, NOW)
    mine = frozenset(one.key for one in found if one.person in {"sam", "kim"})
    own = sum(one.person == "kim" for one in found)
    page = build_signing(world.charter(), found, NOW, mine=mine, visitor="K. Adeyemi", person="kim")
    assert 0 < own < len(mine)
    said = f"; {own} wait for you; {len(mine) - own} more you may give as a substitute."
    assert page.sentence.plain.endswith(said)
    owns = next(one for one in found if one.person == "kim")
    assert page.action.label.endswith(f"sign {owns.requirement}.")


def test_the_executive_sheet_names_who_signed_and_for_whom(site):
    """It named the person who was asked, also where the substitute had signed."""
    sign_as(site, "EVAL-5", "kim")
    sheet = show_executive(site.installation, assess(site.installation, AGENT, NOW, freeze=False))
    assert any(
        one.startswith("Signed by K. Adeyemi for S. Ortega on 21 Nov 2026") for one in sheet.signatures
    )
    assert not any(one.startswith("Signed by S. Ortega") for one in sheet.signatures)
