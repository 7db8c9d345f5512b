# SPDX-License-Identifier: Apache-2.0
"""The newest release verdict of a version stands, for the gateway, a rollback and the next gate alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pilothouse.core.evidence.evidence import Binding, Evidence, Source
from pilothouse.core.evidence.releases import standing_releases

NOW = datetime(2026, 11, 20, tzinfo=UTC)
A, B = "a" * 64, "b" * 64


def verdict(version, passed, *, day=0, kind="release.verdict"):
    at = NOW + timedelta(days=day)
    return Evidence(
        kind=kind, agent="triage", binds=Binding(version=version), window_from=at, window_to=at, recorded_at=at, n=1,
        passed=passed, source=Source(command="pilothouse gate"),
    )  # fmt: skip


def standing(*records):
    return [(version, one.passed) for version, one in standing_releases(records).items()]


def test_the_newest_verdict_stands_and_the_version_judged_last_comes_last():
    records = (verdict(A, True), verdict(B, True, day=1), verdict(A, False, day=2))
    assert standing(*records) == standing(*reversed(records)) == [(B, True), (A, False)]


def test_at_one_moment_the_later_record_stands():
    assert standing(verdict(A, True), verdict(A, False)) == [(A, False)]
    assert standing(verdict(A, False), verdict(A, True)) == [(A, True)]


def test_other_kinds_and_verdicts_on_no_version_say_nothing():
    assert standing(verdict(None, True), verdict(A, True, kind="eval.anchor")) == []


def test_a_verdict_that_failed_after_the_clock_went_back_stands():
    passed, failed = verdict(A, True, day=1), verdict(A, False)
    assert standing(failed, passed) == [(A, True)]
    in_order = (failed.model_copy(update={"written": 8}), passed.model_copy(update={"written": 7}))
    assert standing(*in_order) == [(A, False)]
