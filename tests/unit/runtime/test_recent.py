# SPDX-License-Identifier: Apache-2.0
"""The bounded table: the latest half is always known, and no more than all is held."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from pilothouse.runtime.recent import Recent

STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=80)


@given(most=st.integers(2, 9), steps=STEPS)
def test_the_latest_half_is_never_forgotten_and_a_value_is_never_an_older_one(most, steps):
    table, latest, used = Recent[int, str](most), {}, []
    for number, (is_put, key) in enumerate(steps):
        if is_put:
            table.put(key, latest.setdefault(key, "") + str(number))
            latest[key] += str(number)
        else:
            found = table.get(key)
            assert found in {None, latest.get(key)}
            if key in used[-(most // 2) :]:
                assert found is not None
        if is_put or found is not None:
            used = [each for each in used if each != key] + [key]
        assert len(table) <= 2 * (most // 2)
