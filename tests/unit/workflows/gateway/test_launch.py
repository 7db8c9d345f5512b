# SPDX-License-Identifier: Apache-2.0
"""What `run` reads from a charter, which need not be complete."""

from __future__ import annotations

import pytest

from pilothouse.errors import UsageError
from pilothouse.workflows.gateway.launch import launch_key, summarize_charter


@pytest.mark.parametrize(
    ("text", "task_type"),
    [
        ("task_types: {order_status: {share: 1.0}}", "order_status"),
        ("task_types: {order_status: {share: 0.5}, refund: {share: 0.5}}", None),
        ('task_types: "?"', None),
        ("agent: orders", None),
        ("- a list", None),
        ("a: [", None),
    ],
)
def test_only_a_single_task_type_is_every_tasks_type(tmp_path, text, task_type):
    path = tmp_path / "charter.yaml"
    path.write_text(text)
    assert summarize_charter(path).task_type == task_type


def test_no_agent_runs_in_the_environment_whose_calls_nobody_records():
    with pytest.raises(UsageError, match="environment of replays"):
        launch_key(None, "triage", version=None, environment="replay", now=None)
