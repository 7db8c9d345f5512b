# SPDX-License-Identifier: Apache-2.0
"""A query that needs more than its memory puts texts of people where nobody else reads them, and takes them away."""

from pathlib import Path

from pilothouse.lake.view import Database, View


def test_what_a_query_spills_is_for_nobody_else_and_gone_at_the_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    database = Database()
    asked = database.run(View(), "SELECT current_setting('temp_directory') AS folder")
    folder = Path(asked.column("folder")[0].as_py())
    assert (folder.is_dir(), folder.stat().st_mode & 0o077) == (True, 0)
    assert not folder.is_relative_to(tmp_path)
    database.close()
    assert not folder.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_nobody_closed_leaves_nothing_either():
    database = Database()
    asked = database.run(View(), "SELECT current_setting('temp_directory') AS folder")
    folder = Path(asked.column("folder")[0].as_py())
    del database
    assert not folder.exists()
