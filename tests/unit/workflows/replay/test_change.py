# SPDX-License-Identifier: Apache-2.0
"""What a replay changes, as somebody typed it or wrote it into a file."""

import pytest

from pilothouse.errors import UsageError
from pilothouse.workflows.replay.change import read_substitution

DEEP = "[" * 100_000
NOTHING = {
    "model": None,
    "params": {},
    "prompt": None,
    "tool_results": {},
    "tool_contracts": (),
    "code": None,
}


def test_a_parameter_is_json_where_it_is_json_however_deep():
    params = {"temperature": "0.2", "tier": "flex", "stop": DEEP}
    assert read_substitution(**NOTHING | {"params": params}).params == {
        "temperature": 0.2,
        "tier": "flex",
        "stop": DEEP,
    }


@pytest.mark.parametrize("text", ["[]", "no json", DEEP])
def test_a_file_that_is_no_tool_definition_is_a_mistake_and_no_bug(text, tmp_path):
    path = tmp_path / "tool.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="no tool definition"):
        read_substitution(**NOTHING | {"tool_contracts": (path,)})
