# SPDX-License-Identifier: Apache-2.0
"""A key sends in the long run what it may, in bursts of ten seconds' worth, and no other key notices."""

import pytest

from pilothouse.lake import quota as module
from pilothouse.lake.quota import Quota, Quotas


@pytest.fixture
def now():
    return [100.0]


def test_over_time_a_key_gets_its_rate_and_its_burst(now):
    quotas = Quotas(Quota(items_per_s=100), lambda: now[0])
    taken = 0
    for _ in range(2_000):
        if not quotas.wait_s("k"):
            quotas.spend("k", items=37, size=1)
            taken += 37
        now[0] += 0.05
    assert 100 * 100 + 1_000 - 37 <= taken <= 100 * 100 + 1_000 + 37


def test_the_bytes_of_a_day_are_bounded_too(now):
    quotas = Quotas(Quota(bytes_per_day=86_400), lambda: now[0])
    quotas.spend("k", items=1, size=86_400 + 30)
    assert quotas.wait_s("k") == 30
    now[0] += 31
    assert quotas.wait_s("k") == 0


def test_the_wait_that_is_told_is_long_enough(now):
    quotas = Quotas(Quota(items_per_s=7), lambda: now[0])
    quotas.spend("k", items=500, size=1)
    now[0] += quotas.wait_s("k")
    assert quotas.wait_s("k") == 0


def test_without_bounds_nothing_is_followed(now):
    quotas = Quotas(Quota(), lambda: now[0])
    quotas.spend("k", items=10**9, size=10**12)
    assert quotas.wait_s("k") == 0
    assert not quotas._buckets


def test_the_number_of_keys_is_bounded(now, monkeypatch):
    monkeypatch.setattr(module, "KEYS_MAX", 3)
    quotas = Quotas(Quota(items_per_s=1), lambda: now[0])
    for number in range(9):
        quotas.spend(str(number), items=1, size=1)
    assert list(quotas._buckets) == ["6", "7", "8"]
