# SPDX-License-Identifier: Apache-2.0
"""Intervals, tests and detectors that make a verdict valid.

Names are loaded when they are first used, so that a command which computes nothing does not wait for scipy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilothouse.core.statistics.allocation import LabelRate, allocate_labels, weighted_score
    from pilothouse.core.statistics.anomaly import AnomalyScores, StreamAnomaly
    from pilothouse.core.statistics.audit import AuditDay, AuditReading, AuditState, ThresholdAudit
    from pilothouse.core.statistics.calibration import Calibrator, fit_calibrator
    from pilothouse.core.statistics.canary import CanaryDecision, CanaryReading, CanaryState, CanaryTest
    from pilothouse.core.statistics.certification import Certification, CertifierState, DropCertifier
    from pilothouse.core.statistics.change import DropDetector, DropState, Reading, baseline_floor
    from pilothouse.core.statistics.cheapest import cheapest_confidence
    from pilothouse.core.statistics.comparison import Comparison, Decision
    from pilothouse.core.statistics.cost import CostAlert, CostLine, CostMonitor, CostReading
    from pilothouse.core.statistics.cost_windows import CostWindow, windows_until
    from pilothouse.core.statistics.daily import DayCounts, DayStratum, answered_probability, predicted_rate
    from pilothouse.core.statistics.detection import Detectability, DetectionDesign, detectability
    from pilothouse.core.statistics.drawn_labels import DrawnLabel, stratum_of_labels
    from pilothouse.core.statistics.drift import (
        FeatureCheck,
        FeatureDrift,
        feature_drift,
        psi_test,
    )
    from pilothouse.core.statistics.effect import relative_change
    from pilothouse.core.statistics.intervals import (
        anytime_interval,
        cases_to_prove_ceiling,
        cases_to_prove_floor,
        failure_upper_bound,
        jeffreys_interval,
        jeffreys_lower,
        jeffreys_upper,
    )
    from pilothouse.core.statistics.judging import (
        Agreement,
        JudgeCard,
        JudgedMargin,
        agreement,
        judge_card,
        judged_margin,
    )
    from pilothouse.core.statistics.labels import labels_needed
    from pilothouse.core.statistics.methods import METHODS, Explanation, MethodId, find_method
    from pilothouse.core.statistics.noninferiority import PairedNonInferiority
    from pilothouse.core.statistics.power import (
        cases_needed,
        release_power,
        smallest_detectable,
    )
    from pilothouse.core.statistics.quality import Stratum, quality_interval
    from pilothouse.core.statistics.quantities import mean_bounds, quantile_bounds
    from pilothouse.core.statistics.repeats import pass_hat_k
    from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence, TestResult
    from pilothouse.core.statistics.sequential import GateState, SequentialGate, spending_bounds
    from pilothouse.core.statistics.sessions import sequence_drift
    from pilothouse.core.statistics.texts import text_drift
    from pilothouse.core.statistics.thresholds import (
        CostThreshold,
        Routing,
        Threshold,
        choose_threshold,
        cost_threshold,
        route,
    )
    from pilothouse.core.statistics.warning import JudgeWarning, WarningReading, WarningState

__all__ = [
    "METHODS",
    "Agreement",
    "AnomalyScores",
    "AuditDay",
    "AuditReading",
    "AuditState",
    "Calibrator",
    "CanaryDecision",
    "CanaryReading",
    "CanaryState",
    "CanaryTest",
    "Certification",
    "CertifierState",
    "Comparison",
    "CostAlert",
    "CostLine",
    "CostMonitor",
    "CostReading",
    "CostThreshold",
    "CostWindow",
    "DayCounts",
    "DayStratum",
    "Decision",
    "Detectability",
    "DetectionDesign",
    "DrawnLabel",
    "DropCertifier",
    "DropDetector",
    "DropState",
    "Estimate",
    "Explanation",
    "FeatureCheck",
    "FeatureDrift",
    "GateState",
    "JudgeCard",
    "JudgeWarning",
    "JudgedMargin",
    "LabelRate",
    "MethodId",
    "NotEnoughEvidence",
    "PairedNonInferiority",
    "Reading",
    "Routing",
    "SequentialGate",
    "Stratum",
    "StreamAnomaly",
    "TestResult",
    "Threshold",
    "ThresholdAudit",
    "WarningReading",
    "WarningState",
    "agreement",
    "allocate_labels",
    "answered_probability",
    "anytime_interval",
    "baseline_floor",
    "cases_needed",
    "cases_to_prove_ceiling",
    "cases_to_prove_floor",
    "cheapest_confidence",
    "choose_threshold",
    "cost_threshold",
    "detectability",
    "failure_upper_bound",
    "feature_drift",
    "find_method",
    "fit_calibrator",
    "jeffreys_interval",
    "jeffreys_lower",
    "jeffreys_upper",
    "judge_card",
    "judged_margin",
    "labels_needed",
    "mean_bounds",
    "pass_hat_k",
    "predicted_rate",
    "psi_test",
    "quality_interval",
    "quantile_bounds",
    "relative_change",
    "release_power",
    "route",
    "sequence_drift",
    "smallest_detectable",
    "spending_bounds",
    "stratum_of_labels",
    "text_drift",
    "weighted_score",
    "windows_until",
]

_HOMES = {
    "judging": "Agreement JudgeCard JudgedMargin agreement judge_card judged_margin",
    "allocation": "LabelRate allocate_labels weighted_score",
    "anomaly": "AnomalyScores StreamAnomaly",
    "audit": "AuditDay AuditReading AuditState ThresholdAudit",
    "calibration": "Calibrator fit_calibrator",
    "canary": "CanaryDecision CanaryReading CanaryState CanaryTest",
    "certification": "Certification CertifierState DropCertifier",
    "change": "DropDetector DropState Reading baseline_floor",
    "comparison": "Comparison Decision",
    "cost": "CostAlert CostLine CostMonitor CostReading",
    "cost_windows": "CostWindow windows_until",
    "daily": "DayCounts DayStratum answered_probability predicted_rate",
    "detection": "Detectability DetectionDesign detectability",
    "effect": "relative_change",
    "drift": "FeatureCheck FeatureDrift feature_drift psi_test",
    "intervals": "anytime_interval cases_to_prove_ceiling cases_to_prove_floor failure_upper_bound jeffreys_interval jeffreys_lower jeffreys_upper",
    "drawn_labels": "DrawnLabel stratum_of_labels",
    "labels": "labels_needed",
    "methods": "METHODS Explanation MethodId find_method",
    "noninferiority": "PairedNonInferiority",
    "power": "cases_needed release_power smallest_detectable",
    "quality": "Stratum quality_interval",
    "quantities": "mean_bounds quantile_bounds",
    "repeats": "pass_hat_k",
    "results": "Estimate NotEnoughEvidence TestResult",
    "sessions": "sequence_drift",
    "sequential": "GateState SequentialGate spending_bounds",
    "texts": "text_drift",
    "cheapest": "cheapest_confidence",
    "thresholds": "CostThreshold Routing Threshold choose_threshold cost_threshold route",
    "warning": "JudgeWarning WarningReading WarningState",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
