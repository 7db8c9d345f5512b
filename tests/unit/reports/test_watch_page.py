# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from datetime import UTC, datetime

import page_world as world

from pilothouse.core.evidence.watched import DetectorStatus
from pilothouse.core.verdict.readiness import decide
from pilothouse.reports.watch import build_watch

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
