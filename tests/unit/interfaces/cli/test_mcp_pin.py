# SPDX-License-Identifier: Apache-2.0
"""Who pins a tool is told when its answers may be text alone, before the contract refuses them."""

import pytest
from typer.testing import CliRunner

from pilothouse.app import command_tree


@pytest.mark.parametrize(("said", "told"), [({}, True), ({"outputSchema": {"type": "object"}}, False)])
def test_a_tool_without_an_output_schema_is_told(tmp_path, monkeypatch, said, told):
    file = tmp_path / "mcp-servers.json"
    file.write_text('{"mcpServers": {"crm": {"command": "true"}}}', encoding="utf-8")
    listed = (("find", "sha256:" + "a" * 64, {"name": "find", **said}),)
    monkeypatch.setattr("pilothouse.app.list_mcp_tools", lambda _address: listed)
    done = CliRunner().invoke(command_tree(), ["mcp", "pin", "crm", "--servers", str(file)])
    assert done.exit_code == 0, done.output
    assert ("text alone" in done.stdout) is told
