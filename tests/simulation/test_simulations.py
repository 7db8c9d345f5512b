# SPDX-License-Identifier: Apache-2.0
"""Every statistical promise is tried on worlds whose truth is known; the full runs are `make bench-statistics`."""

from __future__ import annotations

import pytest

from simulation.bars import Bar, Effort, share
from simulation.catalogue import SIMULATIONS

pytestmark = pytest.mark.slow
FAST = [s for s in SIMULATIONS if s.number != 19]


@pytest.mark.parametrize("simulation", FAST, ids=lambda s: f"simulation_{s.number}")
def test_every_bar_of_the_simulation_is_met(simulation):
    bars = simulation.run(Effort(simulation.fast, fast=True))
    assert bars
    missed = [str(bar) for bar in bars if not bar.passed]
    assert not missed, "\n".join(missed)


def test_a_bar_can_be_missed():
    assert not Bar(number=0, what="x", observed=0.5, low=0.0, high=0.4).passed
    assert not share(0, "x", 0.2, Effort(1_000, fast=True), high=0.05).passed
    assert share(0, "x", 0.06, Effort(1_000, fast=True), high=0.05).passed
    assert not share(0, "x", 0.06, Effort(1_000, fast=False), high=0.05).passed
