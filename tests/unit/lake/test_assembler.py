# SPDX-License-Identifier: Apache-2.0
import pytest
from otlp_bodies import run_spans
from otlp_rows import core

from pilothouse.lake import closed_traces
from pilothouse.lake.assembler import Assembler, Repeated


def spans_of(trace):
    *children, root = core(run_spans(trace))
    return children, root


@pytest.fixture
def assembler():
    return Assembler(grace_s=10, idle_s=600, late_s=5)


def test_a_trace_closes_when_its_root_has_come_and_it_was_quiet(assembler):
    children, root = spans_of(1)
    for span in (*children, root):
        assembler.add_all([span], 0)
    assert not list(assembler.due(9.9))
    (closing,) = assembler.due(10)
    assert (closing.has_root, closing.reason, len(closing.spans)) == (True, "root_ended", 4)
    assert assembler.open_traces == 0


def test_news_of_a_trace_start_the_quiet_time_again(assembler):
    children, root = spans_of(1)
    assembler.add_all([root], 0)
    assembler.add_all([children[0]], 8)
    assert not list(assembler.due(12))
    assert len(list(assembler.due(18))) == 1


def test_a_trace_without_a_root_waits_ten_minutes_and_is_incomplete(assembler):
    children, _ = spans_of(1)
    assembler.add_all([children[0]], 0)
    assert not list(assembler.due(599))
    (closing,) = assembler.due(600)
    assert (closing.has_root, closing.reason) == (False, "idle")


def test_late_spans_are_gathered_and_known_as_late(assembler):
    children, root = spans_of(1)
    assembler.add_all([root], 0)
    list(assembler.due(10))
    assembler.add_all([children[0]], 20)
    assert not list(assembler.due(24))
    (closing,) = assembler.due(25)
    assert (closing.reason, closing.is_known) == ("late_span", True)


def test_the_same_span_twice_is_a_duplicate_and_a_different_one_conflicts(assembler):
    children, _ = spans_of(1)
    copies = [children[0], children[0]._replace(received_ns=99), children[0]._replace(name="else")]
    assert assembler.add_all(copies, 0) == {1: Repeated.DUPLICATE, 2: Repeated.CONFLICTING}
    assert assembler.add_all(copies[1:2], 0) == {0: Repeated.DUPLICATE}
    assert assembler.open_spans == 1


def test_when_memory_is_full_the_quietest_complete_traces_are_closed_first():
    assembler = Assembler(grace_s=10, spans_max=5)
    for trace in (1, 2):
        children, root = spans_of(trace)
        assembler.add_all([root if trace == 2 else children[1]], 0)
        assembler.add_all([children[0]], 0)
    for trace in (3, 4):
        assembler.add_all([spans_of(trace)[1]], 1)
    closed = [(closing.spans[0].trace_id[-1], closing.reason) for closing in assembler.due(1)]
    assert closed == [("2", "root_ended")]
    for trace in (5, 6, 7):
        assembler.add_all([spans_of(trace)[0][0]], 2)
    closed = [(closing.spans[0].trace_id[-1], closing.reason) for closing in assembler.due(2)]
    assert closed == [("3", "root_ended"), ("4", "root_ended")]


def test_a_trace_that_only_lacks_its_root_is_evicted_when_nothing_else_can_go():
    assembler = Assembler(spans_max=1)
    for trace in (1, 2):
        assembler.add_all([spans_of(trace)[0][0]], 0)
    assert [closing.reason for closing in assembler.due(0)] == ["evicted"]


def test_the_oldest_log_number_still_needed_is_known(assembler):
    assert assembler.first_open_seq() is None
    children, root = spans_of(1)
    assembler.add_all([children[0]._replace(seq=7)], 0)
    assembler.add_all([root._replace(seq=9)], 0)
    assembler.add_all([spans_of(2)[1]._replace(seq=8)], 0)
    assert assembler.first_open_seq() == 7


def test_it_says_that_closed_traces_were_forgotten_and_never_forgets_the_newest(monkeypatch, assembler):
    monkeypatch.setattr(closed_traces, "REMEMBERED_MAX", 4)
    for trace in range(1, 5):
        assembler.add_all([spans_of(trace)[1]], 0)
        assert not assembler.has_forgotten
        assert [closing.is_known for closing in assembler.due(10)] == [False]
    assert assembler.has_forgotten
    for trace in (1, 4):
        assembler.add_all([spans_of(trace)[0][0]], 40)
    assert [closing.reason for closing in assembler.due(45)] == ["late_span"]  # of 4; 1 waits for its root


def test_log_records_without_a_trace_open_nothing(assembler):
    _, root = spans_of(1)
    assert not assembler.add_all([root._replace(trace_id="", record="log")], 0)
    assert assembler.open_traces == 0
