# SPDX-License-Identifier: Apache-2.0
"""Every simulation with its full and its fast number of repetitions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simulation import change_worlds, comparison_worlds, decision_worlds, drift_worlds, quality_worlds
from simulation.bars import Bar, Effort


@dataclass(frozen=True)
class Simulation:
    number: int
    run: Callable[[Effort], list[Bar]]
    full: int
    fast: int


SIMULATIONS = (
    Simulation(1, quality_worlds.simulation_1, 2_000, 100),
    Simulation(2, quality_worlds.simulation_2, 2_000, 200),
    Simulation(3, quality_worlds.simulation_3, 1_000, 200),
    Simulation(4, change_worlds.simulation_4, 400, 40),
    Simulation(5, change_worlds.simulation_5, 400, 40),
    Simulation(6, change_worlds.simulation_6, 400, 40),
    Simulation(7, change_worlds.simulation_7, 400, 30),
    Simulation(8, comparison_worlds.simulation_8, 6_000, 1_000),
    Simulation(9, comparison_worlds.simulation_9, 6_000, 1_000),
    Simulation(10, comparison_worlds.simulation_10, 1_500, 300),
    Simulation(11, quality_worlds.simulation_11, 2_500, 400),
    Simulation(12, decision_worlds.simulation_12, 1_000, 300),
    Simulation(13, change_worlds.simulation_13, 400, 40),
    Simulation(14, decision_worlds.simulation_14, 60, 20),
    Simulation(15, drift_worlds.simulation_15, 300, 60),
    Simulation(16, drift_worlds.simulation_16, 50, 8),
    Simulation(17, decision_worlds.simulation_17, 12, 2),
    Simulation(18, quality_worlds.simulation_18, 600, 100),
    Simulation(19, decision_worlds.simulation_19, 1, 1),
    Simulation(20, decision_worlds.simulation_20, 12_000, 1_000),
    Simulation(21, decision_worlds.simulation_21, 400, 40),
    Simulation(22, decision_worlds.simulation_22, 200, 15),
)
