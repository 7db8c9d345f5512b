# SPDX-License-Identifier: Apache-2.0
"""What `ports.Ledger` promises, asked of every implementation alike."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from postgres_server import fresh_postgres_url, postgres_server

from pilothouse.core.evidence.evidence import Evidence, Scope, Source
from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.price import Price, TokenClass, price_at
from pilothouse.errors import Conflict, DigestMismatch, LimitExceeded
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.ledger import Ledger
from pilothouse.testing import MemoryLedger

__all__ = ["postgres_server"]

NOW = datetime(2026, 11, 20, 12, 0, 0, 123_456, tzinfo=UTC)
HOUR = timedelta(hours=1)
AGENT = "ap-invoice-triage"


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def ledger(request, tmp_path):
    if request.param == "memory":
        yield MemoryLedger()
        return
    url = (
        fresh_postgres_url(request)
        if request.param == "postgres"
        else f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    )
    with open_ledger(url) as opened:
        yield opened


def accept(ledger, *, agent=AGENT, digest="a" * 64, at=NOW, text="agent: x\n"):
    return ledger.accept_charter(agent=agent, digest=digest, text=text, path="/repo/charter.yaml", at=at)


def record(**fields):
    base = {
        "kind": "completion",
        "agent": AGENT,
        "scope": Scope(task_type="po_invoice"),
        "window_from": NOW - 24 * HOUR,
        "window_to": NOW,
        "n": 1200,
        "good": 1164,
        "value": 0.97,
        "counts": {"failed": 36},
        "source": Source(command="pilothouse verdict", node="a"),
        "recorded_at": NOW,
    }
    return Evidence(**{**base, **fields})


def outcome(number=1, **fields):
    base = Outcome(
        trace_id=f"{number:032x}",
        agent=AGENT,
        task_type="po_invoice",
        version_digest="v1",
        task_start_ns=1_795_000_000_000_000_000 + number,
        claim='{"claim":"routed"}',
        status=OutcomeStatus.VERIFIED,
        found="queue 7 · 10 % of ünïcode",
        critical=None,
        verifier="verifiers.erp:routing_matches@sha256:00",
        verified_at=NOW,
        attempts=1,
    )
    return replace(base, **fields)


def price(**fields):
    base = {
        "provider": "acme",
        "model": "acme-large-2026-04-12",
        "token_class": TokenClass.INPUT,
        "usd_per_million": Decimal("0.000001"),
        "valid_from": NOW,
        "source": "price page",
        "source_date": date(2026, 11, 20),
    }
    return Price(**{**base, **fields})


def freeze(ledger, document, *, at=NOW, agent=AGENT, status="holds"):
    digest = hashlib.sha256(document.encode()).hexdigest()
    ledger.save_verdict(agent=agent, at=at, status=status, document=document, digest=digest)


def test_it_is_a_ledger(ledger):
    assert isinstance(ledger, Ledger)


def test_an_empty_ledger_knows_nothing_and_says_so(ledger):
    assert ledger.charter(AGENT) is None
    assert tuple(ledger.charters()) == ()
    assert tuple(ledger.evidence(AGENT)) == ()
    assert tuple(ledger.outcomes(AGENT, from_ns=0, to_ns=2**62)) == ()
    assert ledger.outcomes_of(["0" * 32]) == {}
    assert ledger.latest_verdict(AGENT) is None
    assert tuple(ledger.decisions(AGENT)) == ()
    assert tuple(ledger.prices()) == ()


def test_an_accepted_charter_is_in_force_with_all_it_came_with(ledger):
    accepted = accept(ledger, text="agent: ä\r\n# end\n")
    assert accepted.number == 1
    assert accepted.accepted_at == NOW
    assert accepted.text == "agent: ä\r\n# end\n"
    assert ledger.charter(AGENT) == accepted


def test_the_same_charter_again_changes_nothing(ledger):
    first = accept(ledger)
    assert accept(ledger, at=NOW + HOUR, text="other text, same meaning") == first
    assert ledger.charter(AGENT) == first


def test_a_change_counts_on_and_going_back_is_a_change_too(ledger):
    numbers = [accept(ledger, digest=letter * 64, at=NOW + i * HOUR).number for i, letter in enumerate("aba")]
    assert numbers == [1, 2, 3]
    assert ledger.charter(AGENT).digest == "a" * 64


def test_the_charter_of_a_past_moment_is_the_one_that_was_in_force_then(ledger):
    accept(ledger, digest="a" * 64, at=NOW)
    accept(ledger, digest="b" * 64, at=NOW + HOUR)
    assert ledger.charter(AGENT, at=NOW - HOUR) is None
    assert ledger.charter(AGENT, at=NOW).digest == "a" * 64
    assert ledger.charter(AGENT, at=NOW + 2 * HOUR).digest == "b" * 64


def test_charters_lists_what_is_in_force_by_agent(ledger):
    accept(ledger, agent="b-agent")
    accept(ledger, agent="a-agent", digest="a" * 64)
    accept(ledger, agent="a-agent", digest="b" * 64)
    assert [(one.agent, one.number) for one in ledger.charters()] == [("a-agent", 2), ("b-agent", 1)]


def test_evidence_comes_back_equal_and_oldest_first(ledger):
    late, early = record(recorded_at=NOW), record(n=1201, value=None, recorded_at=NOW - HOUR)
    assert ledger.add_evidence([late, early]) == 2
    assert list(ledger.evidence(AGENT)) == [early, late]
    assert list(ledger.evidence(AGENT, since=NOW)) == [late]
    assert list(ledger.evidence("another-agent")) == []


def test_what_stands_was_written_until_the_moment_and_holds_the_newest_fact(ledger):
    def fact(hours, **more):
        at = NOW - hours * HOUR
        fields = {"kind": "audit.verified", "n": 1, "good": None, "value": None, "passed": True}
        return record(**(fields | {"window_from": at, "window_to": at, "recorded_at": at} | more))

    def standing(at, decides=lambda one: one.kind == "audit.verified"):
        return ledger.standing_evidence(AGENT, at=at, version=None, decides=decides)

    old, broken, newest, ahead = fact(3), fact(2, passed=False), fact(1), fact(-2)
    rates = [record(recorded_at=NOW - 5 * HOUR, n=1200 + i, value=None) for i in range(2)]
    ledger.add_evidence([old, broken, newest, ahead, *rates])
    assert newest in standing(NOW)
    assert all(rate in standing(NOW) for rate in rates)
    assert ahead not in standing(NOW)
    assert broken in standing(NOW - 2 * HOUR)
    assert newest not in standing(NOW - 2 * HOUR)
    everything = standing(NOW, lambda _: False)
    assert len(everything) == 5
    assert all(one in everything for one in (old, broken, newest, *rates))


def test_evidence_of_some_kinds_is_all_there_is_of_them(ledger):
    rate = record(recorded_at=NOW - HOUR)
    other = record(kind="escalation")
    ledger.add_evidence([rate, other])
    assert list(ledger.evidence(AGENT, kinds=["completion"])) == [rate]
    assert list(ledger.evidence(AGENT, kinds=["completion"], since=NOW)) == []
    assert list(ledger.evidence(AGENT, kinds=[])) == []


def test_more_evidence_than_one_answer_may_hold_is_refused_and_not_cut_off(ledger, monkeypatch):
    monkeypatch.setattr("pilothouse.ledger.evidence.EVIDENCE_MAX", 2)
    monkeypatch.setattr("pilothouse.testing.EVIDENCE_MAX", 2)
    ledger.add_evidence([record(recorded_at=NOW - n * HOUR, n=1200 + n, value=None) for n in range(3)])
    assert len(ledger.evidence(AGENT, since=NOW - HOUR)) == 2
    with pytest.raises(LimitExceeded, match="records of evidence"):
        ledger.evidence(AGENT)
    with pytest.raises(LimitExceeded, match="records of evidence"):
        ledger.standing_evidence(AGENT, at=NOW, version=None, decides=lambda _: False)


def test_what_stands_of_some_kinds_is_what_stands_of_all_of_them(ledger):
    release = {"kind": "release.verdict", "good": None, "value": None, "passed": True, "n": 1}
    releases = [record(**release, recorded_at=NOW - n * HOUR, window_to=NOW - n * HOUR) for n in (1, 2)]
    rate = record(recorded_at=NOW - HOUR)
    ledger.add_evidence([*releases, rate])

    def standing(**more):
        return ledger.standing_evidence(AGENT, at=NOW, version=None, decides=lambda _: True, **more)

    everything = standing()
    assert sorted(one.kind for one in everything) == ["completion", "release.verdict", "release.verdict"]
    for kinds in (["release.verdict"], ["completion"], ["release.verdict", "completion"], []):
        assert standing(kinds=kinds) == tuple(one for one in everything if one.kind in kinds)


def test_equal_evidence_counts_once_whoever_wrote_it_and_when(ledger):
    zone = timezone(timedelta(hours=2))
    again = record(
        recorded_at=NOW + HOUR,
        window_to=NOW.astimezone(zone),
        source=Source(command="pilothouse verdict", node="b"),
    )
    assert ledger.add_evidence([record(), record()]) == 1
    assert ledger.add_evidence([again]) == 0
    assert list(ledger.evidence(AGENT)) == [record()]


def test_many_records_at_once_are_stored_once(ledger):
    records = [record(n=2000 + i, value=None) for i in range(1_203)]
    assert ledger.add_evidence(records) == 1_203
    assert ledger.add_evidence([*records, record()]) == 1
    assert len(ledger.evidence(AGENT)) == 1_204


def test_an_outcome_comes_back_equal(ledger):
    stored = outcome(critical="paid_twice", version_digest=None, claim=None)
    ledger.save_outcomes([stored])
    assert ledger.outcomes_of([stored.trace_id, "f" * 32]) == {stored.trace_id: stored}


def test_a_pending_outcome_is_replaced_and_a_settled_one_is_not(ledger):
    pending = outcome(status=OutcomeStatus.PENDING)
    settled = outcome(status=OutcomeStatus.CONTRADICTED, attempts=2)
    ledger.save_outcomes([pending])
    ledger.save_outcomes([settled])
    ledger.save_outcomes([outcome(status=OutcomeStatus.VERIFIED, attempts=3)])
    assert ledger.outcomes_of([pending.trace_id])[pending.trace_id] == settled


def test_a_settled_outcome_gives_way_to_one_about_a_corrected_claim(ledger):
    confirmed = outcome(status=OutcomeStatus.VERIFIED)
    corrected = outcome(status=OutcomeStatus.CONTRADICTED, claim='{"claim":"paid"}')
    for one in (confirmed, corrected, outcome(status=OutcomeStatus.VERIFIED)):
        ledger.save_outcomes([one])
    assert ledger.outcomes_of([confirmed.trace_id])[confirmed.trace_id] == corrected


def test_outcomes_of_a_half_open_window_come_by_start(ledger):
    stored = [outcome(number) for number in (3, 1, 2)]
    ledger.save_outcomes([*stored, outcome(9, agent="another-agent")])
    first, last = stored[1].task_start_ns, stored[0].task_start_ns
    assert [one.trace_id for one in ledger.outcomes(AGENT, from_ns=first, to_ns=last)] == [
        f"{1:032x}",
        f"{2:032x}",
    ]


def test_ten_thousand_outcomes_may_be_asked_for_and_no_more(ledger):
    ledger.save_outcomes([outcome(number) for number in range(1, 2_501)])
    assert len(ledger.outcomes_of([f"{number:032x}" for number in range(10_000)])) == 2_500
    with pytest.raises(LimitExceeded):
        ledger.outcomes_of([f"{number:032x}" for number in range(10_001)])


def test_the_latest_verdict_is_the_newest_at_or_before_a_moment(ledger):
    freeze(ledger, '{"word":"NO-GO"}', at=NOW)
    freeze(ledger, '{"word":"GO"}', at=NOW + HOUR)
    freeze(ledger, '{"word":"OTHER"}', at=NOW + 2 * HOUR, agent="another-agent")
    assert ledger.latest_verdict(AGENT) == '{"word":"GO"}'
    assert ledger.latest_verdict(AGENT, at=NOW) == '{"word":"NO-GO"}'
    assert ledger.latest_verdict(AGENT, at=NOW - HOUR) is None


def test_a_verdict_that_arrives_late_does_not_pass_for_the_newest(ledger):
    freeze(ledger, '{"at":2}', at=NOW + HOUR)
    freeze(ledger, '{"at":1}', at=NOW)
    assert ledger.latest_verdict(AGENT) == '{"at":2}'


def test_a_verdict_under_a_foreign_digest_is_refused(ledger):
    with pytest.raises(DigestMismatch):
        ledger.save_verdict(agent=AGENT, at=NOW, status="holds", document="{}", digest="0" * 64)
    assert ledger.latest_verdict(AGENT) is None


def test_freezing_the_same_verdict_twice_is_harmless(ledger):
    freeze(ledger, "{}")
    freeze(ledger, "{}")
    assert ledger.latest_verdict(AGENT) == "{}"


def test_decisions_are_numbered_and_come_newest_first(ledger):
    for kind in ("charter.accepted", "charter.rejected", "charter.accepted"):
        last = ledger.record(kind=kind, agent=AGENT, at=NOW, actor="dana", document='{"a":1}')
    ledger.record(kind="charter.accepted", agent="another-agent", at=NOW, actor="sam", document="{}")
    found = ledger.decisions(AGENT)
    assert [one.sequence for one in found] == [last, last - 1, last - 2]
    assert (found[0].actor, found[0].document, found[0].at) == ("dana", '{"a":1}', NOW)
    assert [one.kind for one in ledger.decisions(AGENT, kind="charter.rejected")] == ["charter.rejected"]
    assert len(ledger.decisions(AGENT, limit=1)) == 1
    assert [one.sequence for one in ledger.decisions(AGENT, before=last)] == [last - 1, last - 2]
    assert [one.sequence for one in ledger.decisions(AGENT, kind="charter.accepted", before=last)] == [
        last - 2
    ]


def test_a_decision_that_rests_on_an_older_state_is_none(ledger):
    def decide(after=None, **fields):
        given = {"kind": "waiver", "agent": AGENT, "at": NOW, "actor": "vp", "document": "{}"}
        return ledger.record(**given | fields, after=after)

    decide(agent="another-agent")
    decide(kind="phase.moved")
    first = decide(after=0)
    for stale in (0, first - 1):
        with pytest.raises(Conflict, match="another waiver of 'ap-invoice-triage'"):
            decide(after=stale)
    decide(kind="phase.moved")
    assert decide(after=first) > first
    assert len(ledger.decisions(AGENT, kind="waiver")) == 2


def test_of_many_who_decide_from_the_same_state_at_once_one_is_heard(ledger):
    told = []

    def decide(number):
        try:
            ledger.record(kind="waiver", agent=AGENT, at=NOW, actor=f"p{number}", document="{}", after=0)
        except Conflict:
            told.append(number)

    threads = [threading.Thread(target=decide, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(told), len(ledger.decisions(AGENT, kind="waiver"))) == (7, 1)


@pytest.mark.parametrize("limit", [0, 1_001])
def test_a_limit_outside_its_range_is_refused(ledger, limit):
    with pytest.raises(LimitExceeded):
        ledger.decisions(AGENT, limit=limit)


def ask(ledger, at=NOW, token_class=TokenClass.INPUT):
    return price_at(
        ledger.prices(), provider="acme", model="acme-large-2026-04-12", token_class=token_class, at=at
    )


def test_a_price_is_exact_and_only_of_its_class_and_time(ledger):
    assert ask(ledger) is None
    assert ledger.add_prices([price()], at=NOW, actor="finance") == 1
    assert ask(ledger).usd_per_million == Decimal("0.000001")
    assert ask(ledger, NOW - HOUR) is None
    assert ask(ledger, token_class=TokenClass.OUTPUT) is None


def test_a_later_price_takes_over_and_the_past_keeps_its_own(ledger):
    ledger.add_prices([price(valid_to=NOW + 2 * HOUR)], at=NOW, actor="finance")
    ledger.add_prices([price(valid_from=NOW + HOUR, usd_per_million=Decimal(3))], at=NOW, actor="finance")
    assert ask(ledger).usd_per_million == Decimal("0.000001")
    assert ask(ledger, NOW + HOUR).usd_per_million == Decimal(3)
    assert [one.valid_from for one in ledger.prices()] == [NOW, NOW + HOUR]


def test_a_price_that_ended_covers_nothing_more(ledger):
    ledger.add_prices([price(valid_to=NOW + HOUR)], at=NOW, actor="finance")
    assert ask(ledger, NOW + HOUR) is None


def test_a_known_price_changes_nothing_and_a_contradicting_one_is_a_conflict_that_stores_nothing(ledger):
    ledger.add_prices([price()], at=NOW, actor="finance")
    assert ledger.add_prices([price()], at=NOW, actor="finance") == 0
    with pytest.raises(Conflict):
        ledger.add_prices(
            [price(model="new-model"), price(usd_per_million=Decimal(9))], at=NOW, actor="finance"
        )
    assert list(ledger.prices()) == [price()]


def test_records_that_follow_from_others_are_made_with_nobody_in_between(ledger):
    def one_more(stored):
        assert [one.kind for one in stored] == ["completion"] * len(stored)
        at = NOW + (1 + len(stored)) * HOUR
        n = 1 + max((one.n for one in stored), default=0)
        return (record(n=n, good=n, value=1.0, window_to=at, recorded_at=at),)

    def count():
        for _ in range(10):
            ledger.extend_evidence(AGENT, since=NOW, kinds=["completion"], following=one_more)

    ledger.add_evidence([record(kind="override")])
    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.n for one in ledger.evidence(AGENT, kinds=["completion"])] == list(range(1, 31))


def test_what_cannot_follow_leaves_everything_as_it_was(ledger):
    def broken(stored):
        raise ValueError(len(stored))

    with pytest.raises(ValueError, match="0"):
        ledger.extend_evidence(AGENT, since=NOW, kinds=["completion"], following=broken)
    assert ledger.add_evidence([record()]) == 1


def test_threads_that_write_at_once_lose_nothing(ledger):
    def write(thread):
        for i in range(20):
            ledger.record(kind="test", agent=AGENT, at=NOW, actor=f"t{thread}", document=f"{i}")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = ledger.decisions(AGENT, limit=1_000)
    assert [one.sequence for one in found] == list(range(80, 0, -1))
    assert {(one.actor, one.document) for one in found} == {
        (f"t{thread}", str(i)) for thread in range(4) for i in range(20)
    }
