# SPDX-License-Identifier: Apache-2.0
"""Fills a site with what pages about boundary, people, evals and runs show, all of it carrying hostile text."""

from __future__ import annotations

from datetime import timedelta

import page_site
import page_world as world
import recorded_runs
from page_site import PeopleSite

from pilothouse.core.evidence.evidence import Binding, Evidence, Scope, Source
from pilothouse.core.verdict.release_verdict import Flip, ReleaseVerdict, RunCost
from pilothouse.core.verdict.verdict import ItemVerdict, Status
from pilothouse.ledger.approvals import insert_approval
from pilothouse.ports.approvals import Approval, ShownArgument
from pilothouse.workflows.incidents.alerts import Firing, raise_alert
from pilothouse.workflows.people.contacts import set_contact

CALL = "c0ffee" * 10
RUN, OTHER_RUN = "5e" * 16, "6f" * 16
TOOL = "route_invoice@1"


def waiting_call(now, ident=CALL, approvers=("dana", "sam")):
    """A call that waits for a person; its value is hostile."""
    return Approval(
        id=ident,
        call_digest="d" * 64,
        agent=world.AGENT,
        tool=TOOL,
        run="ab" * 16,
        task_type="po_invoice",
        requester="mail:supplier@example.com",
        effect="external",
        arguments=(
            ShownArgument(
                name="queue",
                value=f'"{world.HOSTILE}"',
                role="target",
                origins=("untrusted",),
                source="mail.body",
            ),
        ),
        failed=("origin:queue",),
        tainted=True,
        policy="p" * 64,
        approvers=approvers,
        needs=1,
        state="pending",
        asked_at=now - timedelta(minutes=1),
        expires_at=now + timedelta(minutes=14),
    )


def ask(site: PeopleSite, **fields):
    """Let a call wait."""
    with site.ledger.database.write() as connection:
        insert_approval(connection, waiting_call(site.clock.now(), **fields))


def _item(task_type, value, low, high, status):
    return ItemVerdict(
        requirement="not_worse",
        scope=Scope(task_type=task_type),
        status=status,
        rule="not worse by more than 5 points",
        sentence=f"{task_type}: {value:+.1f} points {world.HOSTILE}",
        value=value,
        low=low,
        high=high,
        bound=-5.0,
        unit="points",
        n=120,
    )


def release(now):
    """A decision of the gate with two task types, one of them worse."""
    return ReleaseVerdict(
        agent=world.AGENT,
        candidate=world.VERSION,
        baseline=world.OLD_VERSION,
        anchor=None,
        dataset=f"labelled {world.HOSTILE}",
        dataset_digest="9" * 64,
        judges=(),
        rules="charter",
        as_of=now - timedelta(hours=3),
        lapses_at=now + timedelta(days=30),
        run_id="g1",
        status=Status.BREACHED,
        reason=None,
        deciding="non_po_invoice is worse by 8.4 points",
        items=(
            _item("non_po_invoice", -8.4, -12.1, -5.2, Status.BREACHED),
            _item("po_invoice", 1.2, -2.0, 4.4, Status.HOLDS),
        ),
        looks=(),
        flips=(
            Flip(case_id="case-17", task_type="non_po_invoice", is_worse=True, reason=world.HOSTILE),
            Flip(case_id="case-18", task_type="po_invoice", is_worse=False, reason="routed right"),
        ),
        cost=RunCost(
            cases=240, cases_planned=400, calls=470, reused=10, spent_usd=1.31, unpriced=2, seconds=93.0
        ),
    )


def fill(site: PeopleSite):
    """Write one of everything."""
    now, room = site.clock.now(), site.desk.control_room
    ask(site)
    site.ledger.record(
        kind="release",
        agent=world.AGENT,
        at=now - timedelta(hours=3),
        actor="gate",
        document=release(now).model_dump_json(),
    )
    card = Evidence(
        kind="judge.card",
        agent=world.AGENT,
        binds=Binding(judge="j" * 64),
        scope=Scope(part="rubric-v3"),
        window_from=now - timedelta(days=2),
        window_to=now - timedelta(days=1),
        n=200,
        passed=True,
        detail="finds at least 84 % of bad answers",
        counts={},
        source=Source(command="pilothouse eval judge rubric-v3"),
        recorded_at=now,
    )
    verified = card.model_copy(
        update={
            "kind": "audit.verified",
            "binds": Binding(),
            "scope": Scope(),
            "n": 2,
            "detail": "verified to record 2, no anchor",
        }
    )
    held = card.model_copy(
        update={
            "kind": "review.held",
            "binds": Binding(),
            "scope": Scope(part="owner"),
            "detail": f"minutes {world.HOSTILE}",
        }
    )
    site.ledger.add_evidence([card, verified, held])
    set_contact(room, "dana", "mailto://u:secret@example.com", channel="", zone="UTC", actor="test", now=now)
    runs = site.desk.runs
    recorded_runs.record(runs, run=RUN, agent=world.AGENT)
    recorded_runs.record(runs, recorded_runs.conversation(order="8"), run=OTHER_RUN, agent=world.AGENT)
    traffic(site)


def fire(site: PeopleSite):
    """Open an incident in nobody's hand."""
    firing = Firing(
        agent=world.AGENT,
        metric="completion",
        sentence=f"Completion fell to 79 % {world.HOSTILE}.",
        traces=("a" * 32, "b" * 32),
    )
    raise_alert(site.desk.control_room, firing, site.clock.now())


def traffic(site: PeopleSite):
    """Write outcomes, quality and the days of the stability clock."""
    tasks = world.make_tasks()
    outcomes = world.make_outcomes(tasks)
    site.ledger.save_outcomes(tuple(outcomes.values()))
    site.ledger.add_evidence([one for one in world.make_evidence(tasks, outcomes) if one.kind == "quality"])
    page_site.write_days(site.ledger)
