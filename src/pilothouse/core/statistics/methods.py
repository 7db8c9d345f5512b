# SPDX-License-Identifier: Apache-2.0
"""What each statistical method promises, assumes and computes, and who published it: one source for text.

`pilothouse explain`, the docs and the `guarantee` field of every result read this table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from pilothouse.errors import UnknownName

__all__ = ["METHODS", "Explanation", "MethodId", "find_method", "sentence_at", "sentence_of_check"]


class MethodId(StrEnum):
    """Names of the methods; each is the name of the public function or class, in snake case."""

    JEFFREYS_INTERVAL = "jeffreys_interval"
    FAILURE_UPPER_BOUND = "failure_upper_bound"
    ANYTIME_INTERVAL = "anytime_interval"
    QUANTILE_BOUNDS = "quantile_bounds"
    MEAN_BOUNDS = "mean_bounds"
    QUALITY_INTERVAL = "quality_interval"
    ALLOCATE_LABELS = "allocate_labels"
    WEIGHTED_SCORE = "weighted_score"
    BASELINE_FLOOR = "baseline_floor"
    DROP_DETECTOR = "drop_detector"
    JUDGE_WARNING = "judge_warning"
    DROP_CERTIFIER = "drop_certifier"
    PAIRED_NON_INFERIORITY = "paired_non_inferiority"
    SEQUENTIAL_GATE = "sequential_gate"
    CANARY_TEST = "canary_test"
    PASS_HAT_K = "pass_hat_k"  # noqa: S105 - the share of cases passed k times, no password
    JUDGED_MARGIN = "judged_margin"
    CASES_NEEDED = "cases_needed"
    SMALLEST_DETECTABLE = "smallest_detectable"
    LABELS_NEEDED = "labels_needed"
    DETECTABILITY = "detectability"
    CHOOSE_THRESHOLD = "choose_threshold"
    COST_THRESHOLD = "cost_threshold"
    THRESHOLD_AUDIT = "threshold_audit"
    FIT_CALIBRATOR = "fit_calibrator"
    FEATURE_DRIFT = "feature_drift"
    PSI_TEST = "psi_test"
    TEXT_DRIFT = "text_drift"
    SEQUENCE_DRIFT = "sequence_drift"
    COST_MONITOR = "cost_monitor"
    STREAM_ANOMALY = "stream_anomaly"
    JUDGE_CARD = "judge_card"
    AGREEMENT = "agreement"
    RELATIVE_CHANGE = "relative_change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One method in words.

    Attributes:
        sentence: What may be believed, for a manager.
        assumptions: What must be true for the sentence to hold.
        formula: What is computed.
        reference: Who published it.
    """

    sentence: str
    assumptions: tuple[str, ...]
    formula: str
    reference: str


def find_method(name: str) -> MethodId:
    """Return the method of a name as a person types it: `DropDetector` and `drop-detector` both work.

    Raises:
        UnknownName: No method has it; says the nearest one.

    Example:
        >>> find_method("DropDetector").value
        'drop_detector'
    """
    wanted = _letters(name)
    for method in MethodId:
        if _letters(method.value) == wanted:
            return method
    parted = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).strip("_")
    typed = name if name.isupper() else parted
    raise UnknownName.among(
        "method",
        typed.replace("-", "_"),
        [method.value for method in MethodId],
        remedy="Run `pilothouse explain` for the list.",
    )


def _letters(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace("^", "hat")


_RANDOM = "cases are a random sample of the work they speak for"
_INDEPENDENT = "cases are independent of each other"
_ONE_VERSION = "all evidence belongs to one version of the agent"
_LABELS_RIGHT = "labels are right"
_COINS = "items are chosen for labelling by independent coins whose probabilities were fixed before the items were seen"

METHODS: Mapping[MethodId, Explanation] = MappingProxyType(
    {
        MethodId.RELATIVE_CHANGE: Explanation(
            sentence="Covers the true relative change of an outcome in 95 of 100 experiments like this one.",
            assumptions=(
                "Who is in the holdout was drawn by unit, not chosen.",
                "Units are independent of each other; cases of one unit need not be.",
                "Each group has at least 20 units and a positive mean.",
            ),
            formula="log(mean_agent / mean_holdout) ± t · sqrt((se_a/mean_a)² + (se_h/mean_h)²), errors between units",
            reference="Deng, Knoblich, Lu 2018 (delta method); Welch 1947 (degrees of freedom)",
        ),
        MethodId.JEFFREYS_INTERVAL: Explanation(
            sentence="The true rate is in this range; such ranges are right 19 times in 20.",
            assumptions=(
                _RANDOM,
                _INDEPENDENT,
                "19 in 20 is the mean over numbers of cases: a one-sided bound from the fewest that prove, all good, is wrong up to 3 times in 20",
            ),
            formula="quantiles of Beta(k + 1/2, n - k + 1/2); low is 0 if k = 0, high is 1 if k = n",
            reference="Brown, Cai and DasGupta 2001, Interval Estimation for a Binomial Proportion, Statistical Science 16",
        ),
        MethodId.FAILURE_UPPER_BOUND: Explanation(
            sentence="With 95 % certainty at most this share of cases fails.",
            assumptions=(_RANDOM, _INDEPENDENT),
            formula="the level quantile of Beta(k + 1, n - k): exact for every n, k failures among n",
            reference="Clopper and Pearson 1934, The Use of Confidence or Fiducial Limits, Biometrika 26",
        ),
        MethodId.ANYTIME_INTERVAL: Explanation(
            sentence="The true rate is in this range at every look, however often you look, 19 times in 20.",
            assumptions=(_RANDOM, "cases come in the order in which they are counted"),
            formula="all p with B(1/2 + s, 1/2 + f) / B(1/2, 1/2) / (p^s (1 - p)^f) < 1 / (1 - level)",
            reference="Robbins 1970, Statistical Methods Related to the Law of the Iterated Logarithm; Howard, Ramdas, McAuliffe and Sekhon 2021, Annals of Statistics 49",
        ),
        MethodId.QUANTILE_BOUNDS: Explanation(
            sentence="With 95 % certainty the true quantile is at most the upper bound, and with 95 % certainty at least the lower one.",
            assumptions=(_RANDOM, _INDEPENDENT),
            formula="order statistics X(l), X(u): largest l with P(Bin(n, q) >= l) >= level, smallest u with P(Bin(n, q) < u) >= level",
            reference="David and Nagaraja 2003, Order Statistics, section 7.1",
        ),
        MethodId.MEAN_BOUNDS: Explanation(
            sentence="With about 95 % certainty the true mean is at most the upper bound, and with about 95 % certainty at least the lower one.",
            assumptions=(
                _RANDOM,
                _INDEPENDENT,
                "at least 100 cases; tried on lognormal costs up to sigma 1.2, weaker when rarer cases carry most of the cost",
            ),
            formula="Hall's skewness-corrected t: mean - g(quantile) s / sqrt(n) with the inverse of T + c T^2/3 + c^2 T^3/27 + c/6n; the farther bound over c from the skewness g to g (1 + 3 |g| / sqrt(n))",
            reference="Hall 1992, On the Removal of Skewness by Transformation, Journal of the Royal Statistical Society B 54",
        ),
        MethodId.QUALITY_INTERVAL: Explanation(
            sentence="True quality is in this range; such ranges are right 19 times in 20.",
            assumptions=(
                "judged items are a random sample of the stream",
                "labelled items were drawn at random within each judge verdict",
                _LABELS_RIGHT,
                _ONE_VERSION,
            ),
            formula="theta = sum q_k a_k, q ~ Dirichlet(N_k + 1/2), a_k ~ Beta(g_k + 1/2, n_k - g_k + 1/2), on a fixed lattice of 4,096 points",
            reference="Holt and Smith 1979, Post Stratification, Journal of the Royal Statistical Society A 142; Brown, Cai and DasGupta 2001",
        ),
        MethodId.ALLOCATE_LABELS: Explanation(
            sentence="The same number of labels, asked where they say most, gives the narrowest range.",
            assumptions=(
                "the last closed window resembles the next one; if not, ranges stay right and get wider",
            ),
            formula="share_k proportional to w_k sqrt(p_k (1 - p_k)), at least the floor; probability_k = share_k budget / expected N_k",
            reference="Neyman 1934, On the Two Different Aspects of the Representative Method, Journal of the Royal Statistical Society 97",
        ),
        MethodId.WEIGHTED_SCORE: Explanation(
            sentence="The judge guesses, labels correct the guess, and on average the result is true quality.",
            assumptions=(_COINS, "the judge's predictions m_k were fixed before the day", _LABELS_RIGHT),
            formula="Z = m_k + (Y - m_k) labelled / probability_k",
            reference="Cassel, Sarndal and Wretman 1976, Biometrika 63; Zrnic and Candes 2024, Active Statistical Inference",
        ),
        MethodId.BASELINE_FLOOR: Explanation(
            sentence="Quality below this line is worse than the baseline by more than the tolerance, however badly the baseline was measured.",
            assumptions=("the baseline is an estimate with its interval", _ONE_VERSION),
            formula="m0 = min(value - tolerance, one-sided 95 % lower bound of the baseline)",
            reference="Shin, Ramdas and Rinaldo 2022, E-detectors, arXiv 2203.03532, for the null that it bounds",
        ),
        MethodId.DROP_DETECTOR: Explanation(
            sentence="If quality stays inside the band, on average at most one false alarm a year, however often you look.",
            assumptions=(
                "items of a day are exchangeable; turns of one conversation are evidence of as many items as they are worth, by simulation",
                _COINS,
                "predictions m_k were fixed before the day",
                _LABELS_RIGHT,
            ),
            formula="M <- E (M + 1) for seven bets, E = prod(1 + lambda (m0 - Z)) over the day; alarm when the mean of M reaches the run length",
            reference="Shin, Ramdas and Rinaldo 2022, E-detectors: a nonparametric framework for sequential change detection, arXiv 2203.03532",
        ),
        MethodId.JUDGE_WARNING: Explanation(
            sentence="The judge sees fewer passes than usual: more labels are bought for some days, and nobody is paged.",
            assumptions=("none for validity: it only changes how many items are labelled",),
            formula="the recursion of drop_detector on judge verdicts with m_j = base pass rate - tolerance max(J, 0.3)",
            reference="Shin, Ramdas and Rinaldo 2022, arXiv 2203.03532",
        ),
        MethodId.DROP_CERTIFIER: Explanation(
            sentence="We are 95 % sure that quality is more than 5 points below the baseline.",
            assumptions=("starts the day after an alarm", _COINS, _LABELS_RIGHT),
            formula="M <- E M from 1 against m0 = one-sided 97.5 % lower bound of baseline - drop; proved when the mean of M reaches 2 / alpha",
            reference="Waudby-Smith and Ramdas 2024, Estimating Means of Bounded Random Variables by Betting, Journal of the Royal Statistical Society B 86; Ville 1939",
        ),
        MethodId.PAIRED_NON_INFERIORITY: Explanation(
            sentence="At most 1 in 20 releases that are worse by the margin gets through.",
            assumptions=(
                "the same cases were run by both versions",
                "cases, or clusters of cases, are independent",
                "one look, at a number of cases fixed in advance",
            ),
            formula="z = (b - c - nD) / sqrt(n (2q + D (1 - D))), D = -margin, q the restricted maximum likelihood estimate; with clusters z / sqrt(design effect) against Student's t",
            reference="Tango 1998, Equivalence Test and Confidence Interval for the Difference in Proportions for the Paired-Sample Design, Statistics in Medicine 17",
        ),
        MethodId.SEQUENTIAL_GATE: Explanation(
            sentence="At most 1 in 20 releases that are worse by the margin gets through, all planned looks together.",
            assumptions=(
                "the same cases were run by both versions",
                "looks happen only where they are planned",
            ),
            formula="Tango z against bounds u_j whose crossing probabilities add up to alpha (Lan-DeMets spending, Pocock or O'Brien-Fleming)",
            reference="Lan and DeMets 1983, Discrete Sequential Boundaries for Clinical Trials, Biometrika 70; Armitage, McPherson and Rowe 1969",
        ),
        MethodId.CANARY_TEST: Explanation(
            sentence="At most 1 in 20 canaries that are worse by the margin gets through, even if you look after every task.",
            assumptions=("differences lie in [-1, 1]", "units (conversations or users) are independent"),
            formula="mean over seven bets of prod(1 + lambda (d + margin)); not worse at 1 / alpha",
            reference="Waudby-Smith and Ramdas 2024, Journal of the Royal Statistical Society B 86; Ville 1939",
        ),
        MethodId.PASS_HAT_K: Explanation(
            sentence="This share of cases is solved k times out of k.",
            assumptions=("trials of one case are independent", "cases, or their clusters, are independent"),
            formula="mean over cases of C(c, k) / C(n, k); Jeffreys on as many independent cases as have its variance, clusters by their design effect",
            reference="Yao, Shinn, Razavi and Narasimhan 2024, tau-bench, arXiv 2406.12045",
        ),
        MethodId.JUDGED_MARGIN: Explanation(
            sentence="The margin is made smaller by what the judge cannot see, so that a blurred judge lets no more bad releases through.",
            assumptions=("the judge errs equally often in both arms",),
            formula="margin J_low, J = Se + Sp - 1 with its one-sided bound; the bound's error is paid out of alpha",
            reference="Rogan and Gladen 1978, American Journal of Epidemiology 107, for the shrinkage by J; union bound",
        ),
        MethodId.CASES_NEEDED: Explanation(
            sentence="So many cases release a harmless change with the stated chance.",
            assumptions=(
                "the flip rate is about right",
                "optimistic below about 30 flips unless computed exactly",
            ),
            formula="(z_{1-alpha} + z_power)^2 f deff / margin^2",
            reference="Connor 1987, Sample Size for Testing Differences in Proportions for the Paired-Sample Design, Biometrics 43",
        ),
        MethodId.SMALLEST_DETECTABLE: Explanation(
            sentence="A drop smaller than this is not seen with that many cases.",
            assumptions=("the flip rate is about right",),
            formula="(z_{1-alpha} + z_power) sqrt(f deff / n)",
            reference="Connor 1987, Biometrics 43",
        ),
        MethodId.LABELS_NEEDED: Explanation(
            sentence="So many labels give a range of this width.",
            assumptions=("quality and the judge's errors are about right",),
            formula="n = r* / ((h / 1.96)^2 - (theta (1 - theta) - r) / N)",
            reference="Neyman 1934, Journal of the Royal Statistical Society 97; Cochran 1977, Sampling Techniques, chapter 5",
        ),
        MethodId.DETECTABILITY: Explanation(
            sentence="A drop of this size would be noticed after about so many days with that many labels a day.",
            assumptions=(
                "the judge's sensitivity and specificity are about right",
                "right within 25 % or 2 days",
            ),
            formula="ln(run length) / (N max_lambda E[log(1 + lambda (m0 - Z))]) + 1",
            reference="Shin, Ramdas and Rinaldo 2022, arXiv 2203.03532, for the growth rate",
        ),
        MethodId.CHOOSE_THRESHOLD: Explanation(
            sentence="In 9 of 10 calibrations at most 3 wrong automatic answers per 100 tasks, while traffic looks like the calibration.",
            assumptions=(
                "labelled tasks are a random sample of all traffic of the type, whatever the confidence",
                "traffic does not change; threshold_audit watches that",
            ),
            formula="from strict to lax, accept while P(Bin(n, budget) <= wrong) <= delta, n the single labels that those of "
            "conversations are worth; stop at the first failure",
            reference="Angelopoulos, Bates, Candes, Jordan and Lei 2021, Learn then Test, arXiv 2110.01052",
        ),
        MethodId.COST_THRESHOLD: Explanation(
            sentence="Above this confidence an automatic answer is cheaper than a review.",
            assumptions=("confidence is calibrated", "both costs are as the charter states"),
            formula="p* = 1 - cost_review / cost_wrong",
            reference="Chow 1970, On Optimum Recognition Error and Reject Tradeoff, IEEE Transactions on Information Theory 16",
        ),
        MethodId.THRESHOLD_AUDIT: Explanation(
            sentence="If the budget is kept, at most one false alarm a year.",
            assumptions=(
                "a random share of automatic answers is audited by independent coins",
                _LABELS_RIGHT,
            ),
            formula="M <- E (M + 1), E = prod(1 + lambda (Z - budget)) to the power of what a task of the day is worth, "
            "Z = wrong audited / probability",
            reference="Shin, Ramdas and Rinaldo 2022, arXiv 2203.03532",
        ),
        MethodId.FIT_CALIBRATOR: Explanation(
            sentence="Confidence is rescaled so that of answers with 80 % about 80 % are right.",
            assumptions=("labelled tasks are a random sample of traffic",),
            formula="sigma(z / T) below 300 labels, sigma(a z + b) with ridge 0.001 from 300",
            reference="Platt 1999, Probabilistic Outputs for Support Vector Machines; Guo, Pleiss, Sun and Weinberger 2017, On Calibration of Modern Neural Networks",
        ),
        MethodId.FEATURE_DRIFT: Explanation(
            sentence="If nothing changed, fewer than 1 check in 20 is flagged.",
            assumptions=(
                "cases are independent of each other: one of each conversation",
                "drift is a reason to label, never a quality verdict",
            ),
            formula="Kolmogorov-Smirnov or chi-square for each feature, Holm over all features",
            reference="Smirnov 1948, Annals of Mathematical Statistics 19; Holm 1979, Scandinavian Journal of Statistics 6",
        ),
        MethodId.PSI_TEST: Explanation(
            sentence="If nothing changed, fewer than 1 check in 20 is flagged, whatever the number of cases.",
            assumptions=(_INDEPENDENT, "bins were fixed on the reference"),
            formula="PSI = sum (a - b) ln(a / b); PSI / (1/n + 1/m) is chi-square with B - 1 degrees of freedom; the larger p-value of that and of Pearson's chi-square",
            reference="Yurdakul 2018, Statistical Properties of Population Stability Index, Western Michigan University",
        ),
        MethodId.TEXT_DRIFT: Explanation(
            sentence="If nothing changed, fewer than 1 check in 20 is flagged.",
            assumptions=("texts, or conversations of texts, are exchangeable when nothing changed",),
            formula="squared distance of mean hashed TF-IDF vectors; p = (1 + #{permuted >= observed}) / (P + 1)",
            reference="Gretton, Borgwardt, Rasch, Scholkopf and Smola 2012, A Kernel Two-Sample Test, JMLR 13; Phipson and Smyth 2010",
        ),
        MethodId.SEQUENCE_DRIFT: Explanation(
            sentence="If nothing changed, fewer than 1 check in 20 is flagged.",
            assumptions=(
                "sessions are exchangeable when nothing changed; calls inside one may depend on each other",
            ),
            formula="chi-square over bigrams of tool names, sessions permuted",
            reference="Phipson and Smyth 2010, Permutation P-values Should Never Be Zero, Statistical Applications in Genetics and Molecular Biology 9",
        ),
        MethodId.COST_MONITOR: Explanation(
            sentence="About two false alarms a year on your own history; no theorem stands behind it.",
            assumptions=(
                "the next weeks resemble the last ones",
                "by hours: at least 20 weeks of history with 480 tasks on a usual day",
                "by days: at least 14 windows, each a day or as many days as 20 tasks take; dear days that come back at one place of every month are news twice; no other dear days that come back less often than weekly; no few tasks that cost hundreds of times as much",
            ),
            formula="by hours: log mean cost minus its median at the same hour of the last 6 weeks, scaled by its MAD, smoothed; threshold from its own peaks. "
            "By days: mean log cost minus its median in the last 28 windows, scaled by their deviation without its largest part, less what came back at the same place of the two months before, smoothed; threshold 4 at two alarms a year",
            reference="Roberts 1959, Control Chart Tests Based on Geometric Moving Averages, Technometrics 1; Pickands 1975, Annals of Statistics 3",
        ),
        MethodId.STREAM_ANOMALY: Explanation(
            sentence="A score of how unusual a value is; no false-alarm rate stands behind it.",
            assumptions=("the series is regular in time",),
            formula="max(|z| of the value, |z| of its residual to the same time of earlier days), with a refractory time",
            reference="measured on Lavin and Ahmad 2015, Evaluating Real-time Anomaly Detection Algorithms, arXiv 1510.03336",
        ),
        MethodId.JUDGE_CARD: Explanation(
            sentence="The judge catches at least this share of bad answers (95 %).",
            assumptions=("labelled items were drawn at random within each judge verdict", _LABELS_RIGHT),
            formula="Se = q a / theta, Sp = (1 - q)(1 - b) / (1 - theta) on the draws of quality_interval",
            reference="Brown, Cai and DasGupta 2001; Cohen 1960, Educational and Psychological Measurement 20; Gwet 2008",
        ),
        MethodId.AGREEMENT: Explanation(
            sentence="Two people agree beyond chance by this much: no judge can be measured better than that.",
            assumptions=("both rated the same items without seeing each other's rating",),
            formula="kappa = (po - pe) / (1 - pe); Dirichlet(cells + 1/2) on the lattice",
            reference="Cohen 1960; Gwet 2008, British Journal of Mathematical and Statistical Psychology 61; Krippendorff 2004",
        ),
    }
)
"""Every method with its words; complete by test."""


def sentence_at(method: MethodId, level: float) -> str:
    """Return a method's sentence with the confidence level that was asked for.

    Args:
        method: The method.
        level: Confidence level in (0, 1).

    Example:
        >>> sentence_at(MethodId.JEFFREYS_INTERVAL, 0.9)
        'The true rate is in this range; such ranges are right 90 times in 100.'
    """
    sentence = METHODS[method].sentence
    if abs(level - 0.95) < 1e-9:
        return sentence
    shown = f"{100 * level:g}"
    return sentence.replace("19 times in 20", f"{shown} times in 100").replace("95 %", f"{shown} %")


def sentence_of_check(method: MethodId, alpha: float) -> str:
    """Return the sentence of a repeated check with the share of false alarms that was asked for.

    Args:
        method: One whose sentence speaks of checks.
        alpha: Level, in (0, 0.5).

    Example:
        >>> sentence_of_check(MethodId.FEATURE_DRIFT, 0.1)
        'If nothing changed, fewer than 10 checks in 100 is flagged.'
    """
    sentence = METHODS[method].sentence
    if math.isclose(alpha, 0.05):
        return sentence
    return sentence.replace("1 check in 20", f"{100 * alpha:g} checks in 100")
