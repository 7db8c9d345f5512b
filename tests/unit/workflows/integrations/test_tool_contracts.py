# SPDX-License-Identifier: Apache-2.0
"""Contracts are read beside their charter, and one that is not the pinned one governs nothing."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fresh_ledger import ledger_url
from tool_world import tool_call

from pilothouse.app.tools import tool_runtime_of
from pilothouse.connectors.charter_file import read_charter_file
from pilothouse.core.charter.charter import Charter
from pilothouse.errors import CharterInvalid, ToolError
from pilothouse.ledger.controls import SqlControls
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.controls import Pause
from pilothouse.ports.ledger import CharterInForce
from pilothouse.runtime.tools.governed import governed_tools
from pilothouse.runtime.tools.pipeline import call_through
from pilothouse.runtime.tools.steps import drive
from pilothouse.settings import load_settings
from pilothouse.workflows.integrations.tool_contracts import read_contracts

GOLDEN = Path(__file__).parents[3] / "golden" / "charters"
CHARTER = GOLDEN / "ap-invoice-triage.yaml"
NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def charter():
    return Charter.model_validate(read_charter_file(CHARTER).value)


def test_the_contracts_of_the_golden_charter_are_the_pinned_ones(charter):
    tools = governed_tools(charter, read_contracts(charter, GOLDEN))
    assert sorted(tools) == ["erp.find_po@2", "erp.route@1"]
    gates = [tools[name].gate for name in sorted(tools)]
    leaves = [gates[number % 2].admit(0.0, wait_max_s=9.0).wait_s for number in range(4)]
    assert leaves == pytest.approx([0.0, 0.1, 0.2, 0.3]), "the tools of an integration share its limit"
    assert tools["erp.route@1"].repeatable == "none"


def test_a_changed_contract_is_refused_with_both_digests(charter):
    contracts = {
        name: (contract, "sha256:" + "0" * 64)
        for name, (contract, _) in read_contracts(charter, GOLDEN).items()
    }
    with pytest.raises(CharterInvalid) as caught:
        governed_tools(charter, contracts)
    assert len(caught.value.findings) == 2


@pytest.mark.parametrize("text", ["", "{", '{"name": "x"}', "\xff"])
def test_a_file_that_is_no_contract_is_named(charter, tmp_path, text):
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "erp.find_po.json").write_text(text, encoding="latin-1")
    with pytest.raises(CharterInvalid) as caught:
        read_contracts(charter, tmp_path)
    assert "erp.find_po.json" in caught.value.message


def test_a_paused_tool_and_a_foreign_task_type_are_refused(tmp_path):
    record = CharterInForce(
        number=1,
        agent="ap-invoice-triage",
        digest="d",
        text=CHARTER.read_text(encoding="utf-8"),
        path=str(CHARTER),
        accepted_at=NOW,
    )
    with open_ledger(ledger_url(tmp_path)) as ledger, ExitStack() as held:
        runtime = tool_runtime_of(ledger, load_settings(home=tmp_path), record, held)
        tool = runtime.tool("erp.find_po@2")

        def ask(**fields):
            call = tool_call(tool, {"supplier": "Hartwell"}, agent="ap-invoice-triage", **fields)
            return drive(call_through(runtime.door, tool, call), list)

        assert ask() == []
        with pytest.raises(ToolError, match="rule entitled"):
            ask(task_type="non_po_invoice", run="f" * 32)
        SqlControls(ledger.database).pause(
            Pause(agent="ap-invoice-triage", tool="erp.find_po@2", reason="drill", actor="kim", at=NOW)
        )
        refusals = []
        for number in range(40):
            try:
                ask(run=f"{number:032x}")
            except ToolError as error:
                refusals.append(error.message)
                break
            time.sleep(0.1)
        assert "paused" in refusals[0], "a pause reaches the tools within seconds"
