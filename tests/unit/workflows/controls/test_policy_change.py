# SPDX-License-Identifier: Apache-2.0
"""What narrows holds at once; what widens waits for two persons, bound to exactly that change, and is on record."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fresh_ledger import ledger_url
from typer.testing import CliRunner

from pilothouse.app import command_tree
from pilothouse.app.boundary import audit_log, permission_desk
from pilothouse.app.tools import tool_runtime_of
from pilothouse.core.charter.answers import known
from pilothouse.errors import Denied, UsageError
from pilothouse.ledger.ledger import open_ledger
from pilothouse.settings import load_settings
from pilothouse.workflows.controls.policy_change import (
    agree_to_widening,
    effective_charter,
    waiting_widening,
    widening_note,
)
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.verdict.accept import accept_file

DEMO = Path(__file__).parents[4] / "src/pilothouse/demo/charter"
AGENT = "ap-invoice-triage"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PLACE = "po_number: {role: neutral, type: text, max: %d}\n    budget"
WIDER = (PLACE % 20, PLACE % 30)
NARROWER = ("per_day: 500", "per_day: 100")
ESCALATE = "  escalate@1:"


class World:
    def __init__(self, folder, ledger, settings):
        self.file, self.ledger, self.settings = folder / "charter.yaml", ledger, settings
        self.at = NOW
        self.accept()

    def accept(self, *changes):
        text = self.file.read_text(encoding="utf-8")
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        self.file.write_text(text, encoding="utf-8")
        self.at += timedelta(hours=1)
        accept_file(self.ledger, self.file, self.at, actor="pilothouse up")

    @property
    def record(self):
        return self.ledger.charter(AGENT)

    def tools(self):
        return known(effective_charter(self.ledger, self.record, charter_of(self.record)).tools)

    def caps(self):
        tool = self.tools()["route_invoice@1"]
        return tool.args["po_number"].max, tool.budget.per_day

    def agree(self, person):
        self.at += timedelta(minutes=1)
        return agree_to_widening(self.ledger, AGENT, person, self.at)


@pytest.fixture
def world(tmp_path):
    shutil.copytree(DEMO, tmp_path / "charter")
    home = tmp_path / "home"
    home.mkdir()
    settings = load_settings(home=home)
    with open_ledger(ledger_url(home)) as ledger:
        yield World(tmp_path / "charter", ledger, settings)


def test_what_narrows_holds_at_once(world):
    world.accept(NARROWER)
    assert world.caps() == (20, 100)
    assert waiting_widening(world.ledger, world.record) is None
    with pytest.raises(UsageError, match="waits for anybody"):
        world.agree("dana")


def test_what_was_agreed_to_and_taken_back_is_agreed_to_again(world):
    world.accept(WIDER)
    world.agree("dana")
    world.agree("vp")
    assert world.caps()[0] == 30
    world.accept((WIDER[1], WIDER[0]))
    world.accept(WIDER)
    assert world.caps()[0] == 20
    assert waiting_widening(world.ledger, world.record).agreed == ()


def test_another_charter_with_the_same_tools_lets_a_change_wait_on(world):
    world.accept(WIDER)
    world.agree("dana")
    world.accept(('title: "Invoice triage', 'title: "Triage of invoices'))
    assert waiting_widening(world.ledger, world.record).agreed == ("dana",)


@pytest.mark.parametrize("writes", range(4))
def test_a_kill_at_any_write_lets_nothing_widen(world, monkeypatch, writes):
    world.file.write_text(world.file.read_text(encoding="utf-8").replace(*WIDER), encoding="utf-8")
    left = [writes]

    def until_killed(write):
        def written(*given, **named):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return write(*given, **named)

        return written

    with monkeypatch.context() as killed, suppress(KeyboardInterrupt):
        for name in ("record", "accept_charter"):
            killed.setattr(world.ledger, name, until_killed(getattr(world.ledger, name)))
        accept_file(world.ledger, world.file, world.at + timedelta(minutes=1), actor="pilothouse up")
    assert world.caps()[0] == 20
    world.accept()  # the server starts again
    assert world.caps()[0] == 20
    assert waiting_widening(world.ledger, world.record) is not None


def test_what_widens_waits_for_two_persons_and_nothing_else_does(world):
    text = world.file.read_text(encoding="utf-8")
    escalate = text[text.index(ESCALATE) : text.index("\nmodel:")]
    world.accept((escalate, ""))
    assert "escalate@1" not in world.tools()
    world.accept(WIDER, NARROWER, ("\nmodel:", escalate + "\nmodel:"))
    waiting = waiting_widening(world.ledger, world.record)
    assert set(waiting.wider) == {"tools.route_invoice@1.args.po_number.max", "tools.escalate@1"}
    assert world.caps() == (20, 500), "rules of one tool change together or not at all"
    assert "escalate@1" not in world.tools()
    with ExitStack() as held:
        desk = permission_desk(world.ledger, world.settings, world.record, charter_of(world.record), held)
        assert "escalate@1" not in desk._policy.tools
    note = widening_note(world.ledger, world.record)
    assert "until 2 more persons agree, those tools keep their old rules. One of dana" in note
    first, second, *_ = waiting.may_agree
    assert not world.agree(first).is_settled
    for nobody in (first, "mallory", ""):
        with pytest.raises(Denied):
            world.agree(nobody)
    assert world.caps() == (20, 500)
    assert world.agree(second).is_settled
    assert world.caps() == (30, 100)
    assert "escalate@1" in world.tools()
    assert widening_note(world.ledger, world.record) is None
    kinds = [one.kind for one in audit_log(world.ledger, world.settings).records()]
    assert kinds.count("policy.widening_agreed") == 2
    assert kinds.count("policy.widening_waits") == 1


@pytest.mark.parametrize(
    "owner", ["?", "{person: dana, since: 2026-06-01, term_ends: 2032-12-01, reattest: 90d}"]
)
def test_a_draft_that_names_too_few_does_not_keep_its_tools_closed_for_ever(tmp_path, owner):
    shutil.copytree(DEMO, tmp_path / "charter")
    file = tmp_path / "charter/charter.yaml"
    filled = file.read_text(encoding="utf-8")
    draft = re.sub(r"(?m)^owner: .*$", f"owner: {owner}" if owner != "?" else 'owner: "?"', filled)
    file.write_text(re.sub(r"(?m)^sponsor: .*$", 'sponsor: "?"', draft), encoding="utf-8")
    with open_ledger(load_settings(home=tmp_path / "home").ledger_url) as ledger:
        world = World(tmp_path / "charter", ledger, None)
        file.write_text(filled, encoding="utf-8")
        world.accept(WIDER)
        assert world.caps()[0] == 20
        assert "pilothouse policy agree" in widening_note(ledger, world.record)
        world.agree("dana")
        assert world.agree("vp").is_settled
        assert world.caps()[0] == 30


def test_an_agreement_is_bound_to_exactly_one_change(world):
    world.accept(WIDER)
    first, second, *_ = waiting_widening(world.ledger, world.record).may_agree
    world.agree(first)
    world.accept((PLACE % 30, PLACE % 90))
    world.agree(second)
    assert world.caps() == (20, 500), "one agreed to 30, the other to 90"
    world.accept((PLACE % 90, PLACE % 20))
    assert waiting_widening(world.ledger, world.record) is None, "back to what holds: nothing waits"


def test_it_is_typed_and_seen(world, monkeypatch):
    monkeypatch.setenv("PILOTHOUSE_HOME", str(world.settings.home))
    cli = command_tree()

    def run(*words, code):
        done = CliRunner().invoke(cli, ["policy", "agree", *words])
        assert done.exit_code == code, done.output
        return done.output

    assert "is in force" in run(code=0)
    world.accept(WIDER)
    assert "tools.route_invoice@1.args.po_number.max" in run(code=1)
    first, second, *_ = waiting_widening(world.ledger, world.record).may_agree
    assert first in run("--as", first, code=1)
    assert "it holds from the next start" in run("--as", second, code=0)
    assert run("--json", code=0).strip() == "null"


def test_what_a_call_changes_is_said_anew_by_nobody_alone(world):
    def effect():
        with ExitStack() as held:
            runtime = tool_runtime_of(world.ledger, world.settings, world.record, held)
            return runtime.tools["route_invoice@1"].effect

    assert effect() == "external"
    world.accept(("effect: external", "effect: read"))
    assert world.tools()["route_invoice@1"].effect == "external"
    assert effect() == "external"
    for person in waiting_widening(world.ledger, world.record).may_agree[:2]:
        world.agree(person)
    assert effect() == "read"


def test_a_clock_that_goes_back_lets_nothing_wider_in(world):
    world.at -= timedelta(hours=1, seconds=2)  # before the charter that it follows
    world.accept(WIDER)
    assert waiting_widening(world.ledger, world.record) is not None
    assert world.caps() == (20, 500)
    world.at -= timedelta(hours=1, seconds=2)
    world.accept(NARROWER)
    assert world.caps() == (20, 500)  # the tool keeps its rules as long as one of them waits
    world.agree("dana")
    world.agree("vp")
    assert world.caps() == (30, 100)


def test_what_was_taken_back_waits_again_also_where_the_clock_went_back(world):
    world.accept(WIDER)
    world.agree("dana")
    world.agree("vp")
    assert world.caps() == (30, 500)
    world.accept(tuple(reversed(WIDER)))
    world.at -= timedelta(hours=3)
    world.accept(WIDER)
    assert waiting_widening(world.ledger, world.record).agreed == ()
    assert world.caps() == (20, 500)


def test_a_note_from_before_charters_were_named_by_number_is_read(world):
    world.at -= timedelta(hours=1, seconds=2)
    world.accept(WIDER)
    first = world.ledger.charter(AGENT, number=1)
    old = json.loads(world.ledger.decisions(AGENT, kind="policy.widening_waits")[0].document)
    del old["base_number"]
    old["base_at"] = first.accepted_at.isoformat()
    world.ledger.record(
        kind="policy.widening_waits", agent=AGENT, at=world.at, actor="test", document=json.dumps(old)
    )
    assert waiting_widening(world.ledger, world.record).base_number == 1
    assert world.caps() == (20, 500)


def test_who_may_approve_nothing_agrees_to_nothing(world):
    idle = '  idle: {name: I. Dle, identity: "oidc:idle@harbour.example", unit: finance, role: owner}\nowner:'
    world.accept(("\nowner:", f"\n{idle}"), ("role: executive}", "role: auditor}"))
    world.accept(WIDER)
    assert waiting_widening(world.ledger, world.record).may_agree == ("dana",)
    for nobody in ("idle", "vp"):
        with pytest.raises(Denied):
            world.agree(nobody)
