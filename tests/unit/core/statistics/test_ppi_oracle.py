# SPDX-License-Identifier: Apache-2.0
"""The closed form of PPI++ that serves as a contrast is that of ppi-python.

ppi-python brings a compiler (numba), so no group of dependencies installs it: `pip install ppi-python==0.2.3`.
"""

from __future__ import annotations

import numpy as np
import pytest

from pilothouse.core.statistics import Stratum
from simulation.quality_worlds import ppi_plus_plus

REASON = "ppi-python is not installed (pip install ppi-python==0.2.3)"
TABLES = [
    ((1888, 120, 119), (212, 80, 38)),
    ((1888, 45, 44), (212, 5, 2)),
    ((900, 60, 51), (1200, 140, 30)),
    ((300, 10, 9), (90, 20, 3)),
]
PROPORTIONAL = [
    ((1888, 45, 44), (212, 5, 2)),
    ((1800, 180, 176), (200, 20, 6)),
    ((1500, 300, 250), (500, 100, 20)),
]


def labels_and_verdicts(table):
    """Human label and judge verdict of each labelled item, and the verdicts of all judged ones."""
    labels, verdicts, judged = [], [], []
    for verdict, (total, labelled, good) in zip((1.0, 0.0), table, strict=True):
        labels += [1.0] * good + [0.0] * (labelled - good)
        verdicts += [verdict] * labelled
        judged += [verdict] * total
    return np.array(labels), np.array(verdicts), np.array(judged)


@pytest.mark.parametrize("table", TABLES)
def test_ppi_python_has_the_same_ends_at_the_same_weight(table):
    library = pytest.importorskip("ppi_py", reason=REASON)
    strata = [
        Stratum(name=name, judged=judged, labelled=labelled, good=good)
        for name, (judged, labelled, good) in zip(("pass", "fail"), table, strict=True)
    ]
    low, high, weight = ppi_plus_plus(strata)
    y, x, judged = labels_and_verdicts(table)
    theirs = library.ppi_mean_ci(y, x, judged, alpha=0.05, lam=weight)
    point = library.ppi_mean_pointestimate(y, x, judged, lam=weight)
    assert (low + high) / 2 == pytest.approx(float(np.ravel(point)[0]), abs=1e-6)
    assert (low, high) == pytest.approx(tuple(float(np.ravel(end)[0]) for end in theirs), abs=1e-3)


@pytest.mark.parametrize("table", PROPORTIONAL)
def test_ppi_python_chooses_nearly_the_same_weight_when_labels_are_proportional(table):
    # It takes the variance of the verdicts from judged and labelled items together, ours from the labelled ones.
    library = pytest.importorskip("ppi_py", reason=REASON)
    strata = [
        Stratum(name=name, judged=judged, labelled=labelled, good=good)
        for name, (judged, labelled, good) in zip(("pass", "fail"), table, strict=True)
    ]
    low, high, _ = ppi_plus_plus(strata)
    theirs = library.ppi_mean_ci(*labels_and_verdicts(table), alpha=0.05)
    assert (low, high) == pytest.approx(tuple(float(np.ravel(end)[0]) for end in theirs), abs=5e-3)
