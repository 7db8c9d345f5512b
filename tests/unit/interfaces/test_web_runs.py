# SPDX-License-Identifier: Apache-2.0
"""One click on a run's page makes it a case that every later gate asks, by whoever may and says what was right."""

from __future__ import annotations

import desk_world
import page_site
import page_world as world
import pytest
from page_visitor import SAME, enter, send
from starlette.testclient import TestClient

from pilothouse.evals.dataset import load_dataset

RUN = f"/agents/{world.AGENT}/runs/{desk_world.RUN}"


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the charter's own folder
    with page_site.people_site(tmp_path) as opened:
        desk_world.fill(opened)
        yield opened


def test_a_person_says_what_was_right_and_the_run_is_a_case_of_the_charters_dataset(site, tmp_path):
    dana = enter(site, "dana")
    page = dana.get(RUN).text
    assert f"Make run {desk_world.RUN[:8]} a case" in page
    said = {"correction": '{"queue": "approval"}', "task_type": "po_invoice"}
    nothing = send(dana, RUN, **{**said, "correction": " "})
    assert (nothing.status_code, "what would have been right" in nothing.text) == (422, True)
    assert send(dana, RUN, **said).status_code == 303
    (case,) = load_dataset(tmp_path / "datasets/labelled").cases
    assert (case.source, case.expected) == (f"production:{desk_world.RUN}", {"queue": "approval"})
    assert (case.stratum, case.label.by) == ("incident_model_side", "dana")
    after = dana.get(RUN).text
    assert "This run is a case: every later gate asks it." in after
    assert "a case</button>" not in after
    again = send(dana, RUN, **said)
    assert (again.status_code, "already" in again.text) == (422, True)


def test_who_is_not_signed_in_sees_no_form_and_is_refused(site, tmp_path):
    reader = TestClient(site.app, base_url="http://localhost")
    page = reader.get(RUN).text
    assert "a case</button>" not in page
    assert "The owner or an approver signs in to make it." in page
    assert reader.post(RUN, data={"correction": "x"}, headers=SAME).status_code == 403
    assert not (tmp_path / "datasets/labelled").exists()
    dana = enter(site, "dana")
    assert send(dana, f"/agents/{world.AGENT}/runs/{'0' * 32}", correction="x").status_code == 404


def test_an_operator_plays_the_calls_again_as_they_were_and_nobody_else_does(site):
    reader = TestClient(site.app, base_url="http://localhost")
    assert "Whoever operates the agent signs in to replay it here." in reader.get(RUN).text
    assert reader.post(f"{RUN}/replay", data={"do": "again"}, headers=SAME).status_code == 403
    dana = enter(site, "dana")
    assert "Replay it unchanged</button>" in dana.get(RUN).text
    played = send(dana, f"{RUN}/replay", do="again")
    assert (played.status_code, "Every call is the one of the replay." in played.text) == (200, True)
    assert "changed: nothing; 2 calls answered from the record" in played.text


def test_instructions_as_they_were_recorded_are_no_change_and_a_change_needs_a_gateway(site):
    dana = enter(site, "dana")
    shown = dana.get(RUN).text
    assert "Look up, then answer.</textarea>" in shown
    same = send(dana, f"{RUN}/replay", do="changed", prompt="Look up, then answer.\r\n", model="", param="")
    assert (same.status_code, "Write another model, a parameter or other instructions" in same.text) == (
        422,
        True,
    )
    wrong = send(dana, f"{RUN}/replay", do="changed", param="hot", prompt="")
    assert (wrong.status_code, "temperature=0" in wrong.text) == (422, True)
    alone = send(dana, f"{RUN}/replay", do="changed", prompt="Answer at once.", param="")
    assert (alone.status_code, "Say where one is" in alone.text) == (422, True)
    assert "Answer at once." in alone.text, "what was typed is not lost"
    assert send(dana, f"/agents/{world.AGENT}/runs/{'0' * 32}/replay", do="again").status_code == 404
