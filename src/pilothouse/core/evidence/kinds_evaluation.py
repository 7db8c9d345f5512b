# SPDX-License-Identifier: Apache-2.0
"""Kinds of evidence that evaluation makes: datasets, release gate, judges, load, and what is known of inputs."""

from __future__ import annotations

from pilothouse.core.evidence.kind import Form, make_kind

__all__ = ["EVALUATION"]

_R, _M, _N, _F = Form.RATE, Form.AMOUNT, Form.COUNT, Form.FACT

_METRIC = ("task_types.{task_type}.metric",)
"""What says which answers are good."""

_LABELLED = ("datasets.labelled.path",)
_ATTACKS = ("datasets.adversarial.path",)
_TRAJECTORIES = ("datasets.trajectories.path", "datasets.trajectories.min")

_GATE = (
    *_LABELLED,
    *_ATTACKS,
    *_TRAJECTORIES,
    "datasets.adversarial.families",
    "release.alpha",
    "release.max_drop",
    "task_types.*.metric",
    "task_types.*.quality.min",
    "task_types.*.quality.max_drop",
    "task_types.*.reliable",
)
"""The cases and the rules of a gate: a version that passed other ones has not passed these."""

EVALUATION = (
    make_kind(
        "dataset.labelled",
        "Labelled cases",
        _N,
        "L",
        "Cases with a trusted label, duplicates removed.",
        terms=_LABELLED,
    ),
    make_kind(
        "dataset.production_share",
        "Cases from production",
        _R,
        "L",
        "Labelled cases that came from production.",
        terms=_LABELLED,
    ),
    make_kind(
        "dataset.distance",
        "Likeness to production",
        _F,
        "L",
        "Whether the cases look like the traffic.",
        terms=_LABELLED,
    ),
    make_kind(
        "dataset.leak",
        "Leak test",
        _F,
        "L",
        "Whether a case stands in the prompt or the examples.",
        terms=(*_LABELLED, "prompts", "few_shot.path"),
        contents=("prompts",),
    ),
    make_kind(
        "dataset.adversarial",
        "Adversarial cases",
        _N,
        "A",
        "Cases made to break it, near-duplicates counted once.",
        terms=_ATTACKS,
    ),
    make_kind(
        "dataset.glossary",
        "Cases for every domain term",
        _F,
        "A",
        "Whether each tag of the glossary has a case.",
        terms=(*_ATTACKS, "glossary"),
        contents=("glossary",),
    ),
    make_kind(
        "adversarial.family",
        "Adversarial failures",
        _R,
        "V A",
        "Failed cases of one family of attacks.",
        terms=_ATTACKS,
    ),
    make_kind(
        "release.verdict",
        "The release gate",
        _F,
        "V",
        "Whether this version passed the release gate.",
        terms=_GATE,
    ),
    make_kind(
        "eval.baseline",
        "Baseline quality",
        _R,
        "V L",
        "Cases that this version got right in the baseline run.",
        terms=_METRIC,
    ),
    make_kind(
        "eval.anchor",
        "The anchor",
        _F,
        "L",
        "Whether a version is on record that later ones are held against on these cases.",
    ),
    make_kind(
        "load.difference",
        "Quality under load",
        _M,
        "V",
        "Quality at ten times the volume minus quality of the pilot.",
        unit="points",
        terms=_METRIC,
    ),
    make_kind(
        "release.difference",
        "Quality against the anchor",
        _M,
        "V L",
        "Quality of this version minus that of the anchor.",
        unit="points",
        terms=_METRIC,
    ),
    make_kind(
        "release.trajectories",
        "Golden trajectories",
        _F,
        "V",
        "Whether runs take the steps they should.",
        terms=_TRAJECTORIES,
    ),
    make_kind(
        "judge.card", "The judge's card", _F, "C", "Whether the judge's errors were measured and are small."
    ),
    make_kind(
        "routing.threshold",
        "The confidence threshold",
        _F,
        "V",
        "Whether the threshold keeps wrong answers under its bound.",
        terms=(
            "task_types.*.routing.mode",
            "task_types.{task_type}.routing.wrong_auto_per_100",
            "task_types.{task_type}.routing.risk",
            "task_types.{task_type}.cost_of_error",
            "task_types.{task_type}.cost_of_review",
            "guardrails.confidence",
        ),
    ),
    make_kind("few_shot.examples", "Few-shot examples", _N, "", "Trusted examples without a leak."),
    make_kind(
        "few_shot.lift",
        "Lift of the examples",
        _M,
        "V E",
        "Gain in the rate of good answers, with the examples minus without.",
        unit="rate",
    ),
    make_kind(
        "inputs.analysed",
        "Analysis of the inputs",
        _F,
        "",
        "Whether rare clusters are named over enough inputs.",
    ),
    make_kind(
        "inputs.tail",
        "Cases for the tail",
        _F,
        "L",
        "Whether each frequent cluster has cases.",
        terms=_LABELLED,
    ),
    make_kind(
        "probes.context",
        "Planted sentences",
        _F,
        "V",
        "Whether planted sentences survive long inputs.",
        terms=("context", "model.limits.window_tokens"),
    ),
)
