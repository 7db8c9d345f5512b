# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from datetime import UTC, datetime

import page_world as world

from pilothouse.core.evidence.watched import DetectorStatus
from pilothouse.core.verdict.readiness import decide
from pilothouse.reports.watch import build_watch
from pilothouse.reports.watch_work import failures_section

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def silent(title, note):
    return DetectorStatus(metric=title, title=title, task_type="", rule=None, state="blind", note=note)


def test_a_detector_that_waits_alone_is_named_once():
    charter = world.charter()
    alone = silent("Inputs read short", "no call yet")
    pair = [silent(title, "no task yet") for title in ("Volume", "Cost per task")]
    page = build_watch(charter, decide(charter, [], NOW), [alone, *pair], NOW, falls=(0.05,))
    watches = [row.cells[1] for row in page.sections[0].rows]
    assert [(cell.text, cell.small) for cell in watches] == [
        ("Inputs read short", ""),
        ("2 detectors", "Volume, Cost per task"),
    ]


def test_an_alarm_before_the_first_finished_day_is_not_said_to_stand_ready():
    charter = world.charter()
    loud = replace(silent("Served model", "another model answered"), state="alarm")
    page = build_watch(
        charter, decide(charter, [], NOW), [silent("Volume", "no day yet"), loud], NOW, falls=(0.05,)
    )
    assert (page.mark.word, page.sentence.plain) == ("Alarm", "1 detector speaks: Served model.")


def row_of(page, section, title):
    return next(one for one in page.sections[section].rows if any(cell.text == title for cell in one.cells))


def test_what_compares_costs_is_no_unknown_rate_and_a_rate_beyond_its_line_says_that_somebody_was_called():
    """The page said "unknown" of a cost that it named below, and "Quiet" beside twice the line without a word."""
    charter = world.charter()
    cost = replace(silent("Cost per task", ""), state="quiet", delay_days=3.0, counted_to=NOW.date())
    lying = replace(
        cost,
        title="Contradicted claims",
        value=0.045,
        low=0.03,
        high=0.065,
        n=535,
        line=0.02,
        alarmed=NOW.date(),
    )
    page = build_watch(
        charter, decide(charter, [], NOW), [cost, lying, silent("Volume", "")], NOW, falls=(0.05,)
    )
    assert [cell.text for cell in row_of(page, 0, "Cost per task").cells][2] == "not a rate"
    assert [cell.text for cell in row_of(page, 0, "Volume").cells][2] == "unknown"
    assert row_of(page, 1, "Cost per task").cells[1].text == "not a rate"
    told = row_of(page, 0, "Contradicted claims")
    assert told.cells[0].small == "last alarm 20 Nov 2026"
    assert told.cells[2].small == "[3.0, 6.5] · line 2.0 %"


def test_a_time_below_a_day_is_no_zero_of_days():
    charter = world.charter()
    model = replace(silent("Served model", ""), state="quiet", promised_days=1.0, delay_days=6 / 1440)
    page = build_watch(charter, decide(charter, [], NOW), [model], NOW, falls=(0.05,))
    assert [cell.text for cell in page.sections[1].rows[0].cells][2:4] == ["1 d", "6 min"]


def test_before_the_first_counted_day_nobody_says_that_no_task_failed():
    assert (
        failures_section("a", (), is_counted=False).empty.missing
        == "No task of a finished day is counted yet."
    )
    assert failures_section("a", (), is_counted=True).empty.missing == "No task of a counted day failed."


def test_a_blind_detector_gives_one_way_out():
    """Its row said in words what brings it, and offered another command that does not."""
    charter = world.charter()
    told = replace(
        silent("Window in use", ""), note="no window: `model.limits.window_tokens` of the charter says it"
    )
    page = build_watch(charter, decide(charter, [], NOW), [told, silent("Volume", "")], NOW, falls=(0.05,))
    assert row_of(page, 0, "Window in use").cells[-1].command == ""
    assert row_of(page, 0, "Volume").cells[-1].command == "pilothouse watch tick"
