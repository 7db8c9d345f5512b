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
    assert "the owner or an approver signs in to make it" in page
    assert reader.post(RUN, data={"correction": "x"}, headers=SAME).status_code == 403
    assert not (tmp_path / "datasets/labelled").exists()
    dana = enter(site, "dana")
    assert send(dana, f"/agents/{world.AGENT}/runs/{'0' * 32}", correction="x").status_code == 404
