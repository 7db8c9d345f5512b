# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pilothouse.core.statistics.checks import (
    binary_array,
    check_count,
    check_fraction,
    check_same_length,
    count_array,
    finite_array,
)
from pilothouse.errors import MalformedRecord


@pytest.mark.parametrize("labels", [[0, 1, 2], [0.0, 1.0], ["1"], [-1, 0], [[0, 1]]])
def test_labels_other_than_bool_and_int_of_zero_and_one_are_refused(labels):
    with pytest.raises(MalformedRecord):
        binary_array("labels", labels)


def test_the_first_bad_index_is_named():
    with pytest.raises(MalformedRecord, match=r"labels\[2\] is 2; allowed: 0 or 1"):
        binary_array("labels", [0, 1, 2, 3])
    with pytest.raises(MalformedRecord, match=r"wins\[1\] is -4"):
        count_array("wins", [1, -4])
    with pytest.raises(MalformedRecord, match=r"c\[1\] is 1.5; allowed: a finite number in \[0, 1\]"):
        finite_array("c", [0.5, 1.5], 0.0, 1.0)
    with pytest.raises(MalformedRecord, match=r"in \[0, inf\]"):
        finite_array("c", [-1.0], 0.0)
    with pytest.raises(MalformedRecord, match=r"in \[-inf, 0\]"):
        finite_array("c", [1.0], None, 0.0)


def test_arrays_of_unequal_length_are_refused_with_their_lengths():
    with pytest.raises(MalformedRecord, match="a 1, b 2"):
        check_same_length(a=[1], b=[1, 2])


def test_numpy_numbers_pass_and_empty_arrays_are_arrays():
    assert check_count("n", np.int64(3), most=4) == 3
    assert check_fraction("p", np.float64(0.5)) == 0.5
    assert binary_array("labels", []).tolist() == []
    assert finite_array("x", []).tolist() == []
    assert binary_array("labels", np.array([True, False])).tolist() == [1, 0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, 1.0, -1.0])
def test_a_number_at_or_beyond_the_open_ends_is_refused(value):
    with pytest.raises(MalformedRecord, match=r"\(0, 1\)"):
        check_fraction("p", value)
