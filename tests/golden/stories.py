# SPDX-License-Identifier: Apache-2.0
"""The ten situations of the readiness paper, told as charter, evidence and moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from evidence_made import (
    ADVERSARIAL,
    LABELLED,
    V1,
    V2,
    asked_records,
    edited_charter,
    everything_holds,
    load_charter,
    replaced,
    without,
)

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.binding import InForce, binding_in_force
from pilothouse.core.evidence.evidence import Basis, Evidence, Scope, Source
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.verdict.verdict import Status
from pilothouse.core.verdict.waiver import WaivedItem, Waiver

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)

NO_OWNER = (
    "owner:   {person: dana, since: 2026-06-01, term_ends: 2032-12-01, reattest: 90d}",
    'owner:   {person: "?", since: "?", term_ends: "?", reattest: 90d}',
)
FAST = (
    'latency: {p95_s: 8.0, because: "batch intake; users wait for nothing (signed 2026-05-28)"}',
    "latency: {p95_s: 2.0}",
)


@dataclass(frozen=True)
class Story:
    """One situation.

    Attributes:
        name: Folder name.
        tell: Returns the records for a charter.
        edits: Texts replaced in the example charter.
        phase: Phase the agent is in.
        version: Version that is judged.
        waive: Returns the waivers for a charter.
    """

    name: str
    tell: Callable[[Charter], list[Evidence]]
    edits: tuple[tuple[str, str], ...] = ()
    phase: str = "pilot"
    version: str | None = V1
    waive: Callable[[Charter], tuple[Waiver, ...]] = lambda _charter: ()

    def charter_text(self):
        return edited_charter(*self.edits)


def record(charter, kind, scope=None, *, version=V1, days_old=0.5, **fields):
    """Return one record with the binding it needs."""
    scope = scope or Scope()
    to = NOW - timedelta(days=days_old)
    values = {
        "kind": kind,
        "agent": charter.agent,
        "binds": binding_in_force(
            kind_named(kind),
            charter,
            scope,
            InForce(version=version, labelled=LABELLED, adversarial=ADVERSARIAL),
        ),
        "scope": scope,
        "window_from": to - timedelta(days=7),
        "window_to": to,
        "source": Source(command="pilothouse verdict"),
        "recorded_at": to,
    }
    return Evidence(**{**values, **fields})


def nothing_yet(_charter):
    return []


def perfect_on_paper(charter):
    return [one for one in everything_holds(charter, NOW) if one.basis is Basis.ATTESTED]


def brilliant_demo(charter):
    po = Scope(task_type="po_invoice")
    return [
        record(charter, "dataset.labelled", n=50),
        record(charter, "dataset.labelled", po, n=50),
        record(charter, "eval.baseline", po, n=50, good=49),
    ]


def hidden_system(charter):
    seen = "billing-legacy:8080 in 41 tasks since 3 Nov 2026, 09:12 UTC"
    tasks = tuple(f"{number:032x}" for number in range(1, 4))
    held = everything_holds(charter, NOW)
    held = replaced(held, "hosts_observed", n=3_900, good=3_859, detail=seen, items=tasks)
    return replaced(held, "regions_observed", n=9_100, good=9_059, detail=seen, items=tasks)


def slow_slide(charter):
    held = everything_holds(charter, NOW, version=V2)
    held = replaced(held, "quality", task_type="non_po_invoice", n=300, good=237)
    return replaced(
        held,
        "quality_drop",
        task_type="non_po_invoice",
        passed=False,
        detail="From 94 % to 79 % since 6 Nov, first seen after prompt v12",
    )


def says_done(charter):
    held = everything_holds(charter, NOW)
    held = replaced(held, "discrepancy", task_type="po_invoice", n=972, good=931, counts={"unverifiable": 28})
    held = replaced(held, "unverifiable", task_type="po_invoice", n=1_000, good=972)
    return replaced(held, "quality", task_type="po_invoice", n=1_000, good=970)


def lapsed(charter):
    held = everything_holds(charter, NOW)
    ended = {"window_from": NOW - timedelta(days=38), "window_to": datetime(2026, 10, 20, 12, tzinfo=UTC)}
    held = replaced(held, "integration.certificate", integration="erp", **ended)
    for tool in ("erp.find_po@2", "erp.route@1"):
        held = [
            Evidence.model_validate({**one.model_dump(), **ended})
            if one.kind == "tool.faults" and one.scope.tool == tool
            else one
            for one in held
        ]
    return held


def one_word_in_the_prompt(charter):
    held = everything_holds(charter, NOW, version=V1)
    held = replaced(held, "quality", task_type="po_invoice", n=12_000, good=11_700)
    return replaced(
        held,
        "versions_gated",
        n=12_640,
        good=12_000,
        detail=f"{V2[:7]} in 640 tasks since 20 Nov 2026, 09:00 UTC",
    )


def worst_not_average(charter):
    held = without(everything_holds(charter, NOW), "attested.own-6")
    for name, good, n in (
        ("po_invoice", 1_164, 1_200),
        ("non_po_invoice", 582, 600),
        ("credit_note", 246, 300),
    ):
        held = replaced(held, "quality", task_type=name, n=n, good=good)
    return held


def sponsor_waives(charter):
    return (
        Waiver(
            requirement="OWN-6",
            signer="vp",
            reason="on parental leave, deputy follows",
            signed_at=datetime(2026, 11, 2, 9, tzinfo=UTC),
            until=datetime(2026, 11, 30, tzinfo=UTC),
            version=V1,
            thresholds_digest=charter.section_digests["thresholds"],
            status=Status.NO_EVIDENCE,
            items=(
                WaivedItem(
                    requirement="OWN-6",
                    scope=Scope(part="owner by vp"),
                    kind="attested.own-6",
                    status=Status.NO_EVIDENCE,
                ),
            ),
        ),
    )


def go(charter):
    held = everything_holds(charter, NOW)
    signed = datetime(2026, 8, 27, 12, tzinfo=UTC)
    held = replaced(
        held,
        "attested.eval-5",
        part="datasets by sam",
        window_from=signed,
        window_to=signed,
        recorded_at=signed,
    )
    for name in charter.task_types:
        held = replaced(held, "load.difference", task_type=name, value=-0.4, low=-1.6, high=0.8, n=1_200)
        held = replaced(held, "latency", task_type=name, value=1.7, low=1.6, high=1.8, n=1_400)
    held = replaced(held, "uptime", n=40_320, good=40_203)
    held = replaced(held, "critical", n=4_200, good=4_200)
    return replaced(held, "volume", n=3_360, value=0.1, low=0.1, high=0.1)


STORIES = (
    Story("01-nothing-yet", nothing_yet, edits=(NO_OWNER,), version=None),
    Story("02-perfect-on-paper", perfect_on_paper, version=None),
    Story("03-brilliant-demo", brilliant_demo),
    Story("04-hidden-system", hidden_system, phase="1"),
    Story("05-slow-slide", slow_slide, phase="2", version=V2),
    Story("06-says-done", says_done, phase="1"),
    Story("07-lapsed", lapsed, phase="1"),
    Story("08-one-word-in-the-prompt", one_word_in_the_prompt, phase="1", version=V2),
    Story("09-worst-not-average", worst_not_average, phase="1", waive=sponsor_waives),
    Story("10-go", go, edits=(FAST,), phase="1"),
)


def requirements_of(charter):
    """Return the requirement behind each record of a perfect agent, for tests that spoil one."""
    return [(name, one) for name, one in asked_records(charter, NOW)]


__all__ = ["NOW", "STORIES", "Story", "load_charter", "requirements_of"]
