# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import inspect
import sqlite3
from collections import defaultdict
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.errors import UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.score import Unscored
from pilothouse.evals.scorers import sql
from pilothouse.evals.scorers.scorer import same_json
from pilothouse.evals.scorers.sets import set_f1
from pilothouse.evals.scorers.sql import sql_equal
from pilothouse.evals.trial import Reply, Result, TrialStatus

SCRIPT = """
CREATE TABLE invoice (supplier TEXT, amount REAL, paid INTEGER);
INSERT INTO invoice VALUES ('a', 10, 1), ('a', 0.1, 0), ('b', 0.2, 0), ('b', 10, NULL);
"""


def scored(scorer, expected, output):
    case = Case(id="a", task_type="t", input="q", expected=expected)
    result = Result(status=TrialStatus.DONE, reply=Reply(output=output), latency_s=0.1)

    async def score():
        found = scorer.score(case, result)
        return await found if inspect.isawaitable(found) else found

    return asyncio.run(score())


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "invoices.sql"
    path.write_text(SCRIPT, encoding="utf-8")
    return str(path)


def f1_by_pairs(wanted, found):
    """The same value by precision and recall over members that are compared one with another."""

    def distinct(values):
        kept = []
        for one in values:
            if not any(same_json(one, other) for other in kept):
                kept.append(one)
        return kept

    wanted, found = distinct(wanted), distinct(found)
    if not wanted and not found:
        return 1.0
    common = sum(any(same_json(one, other) for other in found) for one in wanted)
    if not common:
        return 0.0
    precision, recall = common / len(found), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


MEMBERS = st.lists(
    st.one_of(st.integers(0, 4), st.sampled_from("abA"), st.booleans(), st.just(1.0), st.just([1])),
    max_size=8,
)


@given(wanted=MEMBERS, found=MEMBERS)
def test_f1_is_the_harmonic_mean_of_precision_and_recall(wanted, found):
    assert scored(set_f1(), wanted, found).value == pytest.approx(f1_by_pairs(wanted, found))


def test_a_set_is_read_from_a_field_and_from_text_and_names_what_is_lacking():
    assert scored(set_f1(field="ids"), {"ids": ["x", "y"]}, '{"ids": ["y", "x", "y"]}').value == 1.0
    lacking = scored(set_f1(), ["x", "y", "z"], ["x", "w"])
    assert lacking.value == pytest.approx(0.4)
    assert lacking.reason == 'missing "y", "z"; not expected "w"'
    assert scored(set_f1(), list(range(9)), []).reason == "missing 0, 1, 2 and 6 more"
    assert scored(set_f1(ignore_case=True), ["X"], ["x"]).value == 1.0
    assert scored(set_f1(least=0.5), ["x", "y", "z"], ["x", "w"]).value == 0.0
    assert scored(set_f1(least=0.4), ["x", "y", "z"], ["x", "w"]).value == 1.0


@pytest.mark.parametrize("answer", ["[NaN]", '["x", 1e999]', [2**60], "[" * 900 + "]" * 900])
def test_a_member_that_nothing_equals_fails_and_takes_no_case_out_of_the_count(answer):
    assert scored(set_f1(), ["x"], answer).value == 0.0


def test_what_is_no_list_fails_and_what_expects_none_is_not_asked():
    assert scored(set_f1(), ["x"], "x").value == 0.0
    assert scored(set_f1(field="ids"), {"ids": ["x"]}, {"other": ["x"]}).value == 0.0
    assert scored(set_f1(), None, ["x"]).why is Unscored.NOT_APPLICABLE
    assert scored(set_f1(field="ids"), {"id": 1}, {"ids": []}).why is Unscored.NOT_APPLICABLE
    for least in (0, 1.5):
        with pytest.raises(UsageError, match="F1"):
            set_f1(least=least)


@pytest.mark.parametrize(
    ("expected", "output", "value"),
    [
        ("SELECT supplier FROM invoice WHERE paid = 1", "select supplier as who from invoice where paid is 1", 1.0),
        ("SELECT supplier FROM invoice", "SELECT DISTINCT supplier FROM invoice", 0.0),
        ("SELECT amount FROM invoice ORDER BY 1", "SELECT amount FROM invoice ORDER BY 1 DESC", 1.0),
        ([["a", 10.1], ["b", 10.2]], "SELECT supplier, sum(amount) FROM invoice GROUP BY 1", 1.0),
        ([[0.3]], "```sql\nSELECT 0.1 + 0.2\n```", 1.0),
        ([[1, None]], "SELECT 1.0, NULL", 1.0),
        ([[True]], "SELECT 1", 1.0),
        ([["1"]], "SELECT 1", 0.0),
        ([[None]], "SELECT ''", 0.0),
        ([], "SELECT 1 WHERE 0", 1.0),
        ([], "SELEC", 0.0),
        ([], {"sql": "SELECT 1"}, 0.0),
    ],
)  # fmt: skip
def test_queries_are_right_when_their_rows_are(script, expected, output, value):
    assert scored(sql_equal(database=script), expected, output).value == value


def test_order_counts_where_it_is_asked_for(script):
    ordered = sql_equal(database=script, ordered=True, field="query")
    query = "SELECT amount FROM invoice ORDER BY 1"
    assert scored(ordered, query, {"query": query}).value == 1.0
    assert scored(ordered, query, '{"query": "SELECT amount FROM invoice ORDER BY 1"}').value == 1.0
    turned = scored(ordered, query, {"query": f"{query} DESC"})
    assert (turned.value, turned.reason) == (0.0, "the rows stand in another order")


ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(-5, 5), st.sampled_from([0.1, 0.2, 2.5, None])), max_size=12
)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, least=st.integers(-5, 5))
def test_rows_of_a_query_are_those_that_python_finds(tmp_path_factory, rows, least):
    path = tmp_path_factory.mktemp("rows") / "rows.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE r (name TEXT, n INTEGER, x REAL)")
        database.executemany("INSERT INTO r VALUES (?, ?, ?)", rows)
    database.close()
    scorer = sql_equal(database=str(path))
    kept = [[name, x] for name, n, x in rows if n >= least]
    assert scored(scorer, kept[::-1], f"SELECT name, x FROM r WHERE n >= {least}").value == 1.0
    sums = defaultdict(int)
    for name, n, _ in rows:
        sums[name] += n
    query = "SELECT name, sum(n) FROM r GROUP BY name"
    assert scored(scorer, [list(one) for one in sums.items()], query).value == 1.0
    assert scored(scorer, [*map(list, sums.items()), ["d", 0]], query).value == 0.0


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM invoice",
        "ATTACH DATABASE 'written.db' AS other",
        "VACUUM INTO 'written.db'",
        "PRAGMA journal_mode = DELETE",
        "SELECT load_extension('x')",
        "SELECT 1; DROP TABLE invoice",
        "CREATE TEMP TABLE t (a)",
        "SELECT hex(zeroblob(900000000))",
        "SELECT count(*) FROM invoice a, invoice b, invoice c, nothing",
        "SELECT 'a\0b",
    ],
)
def test_a_query_reads_and_does_nothing_else(script, tmp_path, monkeypatch, query):
    monkeypatch.chdir(tmp_path)
    scorer = sql_equal(database=script)
    assert scored(scorer, [], query).value == 0.0
    assert scored(scorer, "SELECT count(*) FROM invoice", "SELECT 4").value == 1.0
    assert [one.name for one in tmp_path.iterdir()] == ["invoices.sql"]


def test_a_query_without_an_end_ends(script, monkeypatch):
    monkeypatch.setattr(sql, "STEPS_MAX", 200_000)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n"
    assert "no result within" in scored(sql_equal(database=script), [], endless).reason
    rows = endless.replace("sum(i)", "i")
    assert "more than 10,000 rows" in scored(sql_equal(database=script), [], rows).reason


@pytest.mark.parametrize("answer", ["", "-- no rows are there", "```sql\n```"])
def test_what_asks_nothing_is_not_right_where_no_rows_are_expected(script, answer):
    for expected in ([], "SELECT 1 WHERE 0"):
        assert (
            scored(sql_equal(database=script), expected, answer).reason == "the query fails: it is no query"
        )


def test_rows_that_fill_the_memory_end(script, monkeypatch):
    monkeypatch.setattr(sql, "RESULT_CHARS_MAX", 5_000)
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT hex(zeroblob(1000)) FROM n"
    assert "more than 5,000 characters" in scored(sql_equal(database=script), [], many).reason
    wide = f"SELECT {', '.join(['supplier'] * 300)} FROM invoice"
    assert "too many columns" in scored(sql_equal(database=script), [], wide).reason


def test_a_step_that_takes_long_is_no_answer_of_the_agent(script, monkeypatch):
    monkeypatch.setattr(sql, "SECONDS_MAX", 0.05)
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(hex(zeroblob(400000))) FROM n"
    for expected, answer in (([], slow), (slow, "SELECT 1")):
        found = scored(sql_equal(database=script), expected, answer)
        assert (found.why, found.reason) == (Unscored.TIMEOUT, "no result within 0.05 s")


def test_a_script_may_be_longer_than_a_statement(script, tmp_path, monkeypatch):
    monkeypatch.setattr(sql, "VALUE_BYTES_MAX", 100)
    assert len(SCRIPT) > 100
    assert scored(sql_equal(database=script), [[4]], "SELECT count(*) FROM invoice").value == 1.0


def test_a_database_with_rows_in_another_file_is_not_read_without_them(tmp_path):
    path = tmp_path / "wal.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE t (a)")
        with pytest.raises(UsageError, match="newest rows in another file") as refused:
            sql_equal(database=str(path))
        database.execute(refused.value.remedy.split("`")[1])
    assert scored(sql_equal(database=str(path)), [], "SELECT a FROM t").value == 1.0


def test_a_wrong_expectation_is_no_failure_of_the_agent(script):
    with pytest.raises(ValueError, match="expectation"):
        scored(sql_equal(database=script), "SELECT nothing FROM nowhere", "SELECT 1")
    with pytest.raises(ValueError, match="expectation"):
        scored(sql_equal(database=script), [1], "SELECT 1")
    assert scored(sql_equal(database=script), None, "SELECT 1").why is Unscored.NOT_APPLICABLE


def test_a_database_that_is_none_is_said_before_anything_runs(tmp_path, monkeypatch):
    broken, outside = tmp_path / "broken.db", tmp_path / "outside.sql"
    broken.write_bytes(b"no database" * 100)
    outside.write_text("ATTACH DATABASE 'other.db' AS other;", encoding="utf-8")
    for path in (broken, outside):
        with pytest.raises(UsageError, match="is no database"):
            sql_equal(database=str(path))
    with pytest.raises(UsageError, match="cannot be read"):
        sql_equal(database=str(tmp_path / "nowhere.db"))
    monkeypatch.setattr(sql, "DATABASE_BYTES_MAX", 10)
    with pytest.raises(UsageError, match="at most 10"):
        sql_equal(database=str(broken))


def test_another_form_of_the_database_is_another_scorer(script, tmp_path):
    other = tmp_path / "other.sql"
    other.write_text(SCRIPT + "DELETE FROM invoice;", encoding="utf-8")
    assert sql_equal(database=script).spec.version != sql_equal(database=str(other)).spec.version
