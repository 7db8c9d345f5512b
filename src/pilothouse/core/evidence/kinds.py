# SPDX-License-Identifier: Apache-2.0
"""Every kind of evidence there is: what it is called, its form, its unit, and what a record of it is bound to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pilothouse.errors import MalformedRecord, nearest_name

__all__ = ["KINDS", "SIGNATURE_KINDS", "Bind", "Form", "Kind", "kind_named"]


class Form(StrEnum):
    """Which fields of a record carry the measurement."""

    RATE = "rate"
    """`n` cases of which `good` were good."""
    AMOUNT = "amount"
    """`value` with `low` and `high` over `n` cases."""
    COUNT = "count"
    """`n` is the measurement itself."""
    FACT = "fact"
    """`passed`, with `detail`."""
    SIGNATURE = "signature"
    """An attested record of a named signer."""


class Bind(StrEnum):
    """What a record must have been made against, or it is stale."""

    VERSION = "version"
    SECTION = "section"
    CONTRACT = "contract"
    LABELLED = "labelled dataset"
    ADVERSARIAL = "adversarial dataset"
    EXAMPLES = "few-shot library"
    PERSON = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of evidence.

    Attributes:
        name: What `Evidence.kind` says.
        title: How a sentence calls it, capital first.
        form: Where the measurement stands.
        unit: `rate`, `usd`, `seconds`, `points`, `count` or empty.
        noun: What `n` counts.
        binds: What a record must have been made against.
        section: Charter section, for kinds bound to one; None when the scope names it.
        what: What was measured, in one sentence.
        added_to: Kind that it becomes a part of before anything is judged; empty for what a requirement asks for itself.
    """

    name: str
    title: str
    form: Form
    unit: str = ""
    noun: str = "cases"
    binds: frozenset[Bind] = frozenset()
    section: str | None = None
    what: str
    added_to: str = ""


def _kind(
    name: str,
    title: str,
    form: Form,
    binds: str,
    what: str,
    *,
    unit: str = "",
    noun: str = "cases",
    added_to: str = "",
) -> Kind:
    """Read `binds` as a line of letters: V version, C contract, L and A datasets, E examples, P person, S:name section."""
    letters = {
        "V": Bind.VERSION,
        "C": Bind.CONTRACT,
        "L": Bind.LABELLED,
        "A": Bind.ADVERSARIAL,
        "E": Bind.EXAMPLES,
        "P": Bind.PERSON,
        "S": Bind.SECTION,
    }
    words = binds.split()
    section = next((word[2:] for word in words if word.startswith("S:")), None)
    return Kind(
        name=name,
        title=title,
        form=form,
        unit=unit or {Form.RATE: "rate", Form.COUNT: "count"}.get(form, ""),
        noun=noun,
        binds=frozenset(letters[word[0]] for word in words),
        section=section,
        what=what,
        added_to=added_to,
    )


_R, _M, _N, _F, _S = Form.RATE, Form.AMOUNT, Form.COUNT, Form.FACT, Form.SIGNATURE

_TRAFFIC = (
    _kind(
        "completion",
        "Completion",
        _R,
        "V",
        "Tasks that ended completed, of those not given to a person.",
        noun="tasks",
    ),
    _kind("escalation", "Escalation", _R, "V", "Tasks given to a person, of all tasks.", noun="tasks"),
    _kind("override", "Override", _R, "V", "Answers that a person replaced, of all answers.", noun="answers"),
    _kind(
        "quality",
        "Quality",
        _R,
        "V",
        "Answers that the metric of the charter finds good, of those it scored.",
        noun="scored tasks",
    ),
    _kind("sampling", "Scoring", _R, "V", "Tasks that were scored, of those that ended.", noun="tasks"),
    _kind(
        "quality_drop",
        "The drop detector",
        _F,
        "V",
        "Whether quality fell from its baseline further than the charter allows.",
        noun="scored tasks",
    ),
    _kind(
        "critical",
        "Critical mistakes",
        _R,
        "V",
        "Tasks in which a mistake that must never happen was found.",
        noun="verified tasks",
    ),
    _kind(
        "discrepancy",
        "Contradicted claims",
        _R,
        "V",
        "Claims that the system of record contradicts, of those it answers.",
        noun="claims",
    ),
    _kind(
        "unverifiable", "Unverifiable claims", _R, "V", "Claims that nobody can check, of all.", noun="claims"
    ),
    _kind(
        "unknown_task_type",
        "Traffic outside the charter",
        _R,
        "S:thresholds",
        "Tasks of a type that the charter does not list.",
        noun="tasks",
    ),
    _kind(
        "cost_per_task",
        "Cost per task",
        _M,
        "V",
        "Mean cost of one finished task, with the cost of failed ones.",
        unit="usd",
        noun="tasks",
    ),
    _kind(
        "cost.further",
        "Cost beside model calls",
        _M,
        "",
        "Review and fixed costs of one finished task; they are added to the cost per task.",
        unit="usd",
        noun="tasks",
        added_to="cost_per_task",
    ),
    _kind(
        "latency", "Latency (p95)", _M, "V", "The 95 % quantile of task times.", unit="seconds", noun="tasks"
    ),
    _kind(
        "trace_complete",
        "Complete traces",
        _R,
        "",
        "Tasks of which every expected span arrived.",
        noun="tasks",
    ),
    _kind(
        "served_model",
        "Calls served by another model",
        _R,
        "V S:model",
        "Model calls answered by a model that is neither pinned nor a declared fallback.",
        noun="calls",
    ),
    _kind(
        "hosts_observed",
        "Undeclared hosts",
        _R,
        "S:integrations",
        "Tasks that touched a host no integration declares.",
        noun="tasks",
    ),
    _kind(
        "tools_observed",
        "Undeclared tools",
        _R,
        "S:tools",
        "Tasks that called a tool the charter does not declare.",
        noun="tasks",
    ),
    _kind(
        "versions_gated",
        "Tasks served without a release verdict",
        _R,
        "",
        "Tasks done by a version that never passed the release gate.",
        noun="tasks",
    ),
    _kind(
        "volume",
        "Volume in production",
        _M,
        "",
        "Tasks completed in production, as a share of the target volume.",
        unit="rate",
        noun="tasks",
    ),
    _kind(
        "uptime",
        "Uptime",
        _R,
        "",
        "Minutes in which the agent worked, of minutes with demand or a probe.",
        noun="minutes",
    ),
    _kind(
        "output_schema",
        "Invalid answers delivered",
        _R,
        "V",
        "Delivered answers that break the output schema.",
        noun="answers",
    ),
    _kind(
        "tool_error.confident",
        "Confident answers after a tool error",
        _R,
        "V",
        "Tasks with a tool error that were answered as if nothing had happened.",
        noun="tasks with a tool error",
    ),
    _kind(
        "tool_error.hard",
        "Wrong acts after a tool error",
        _R,
        "V",
        "Tasks with a tool error that ended in a wrong act.",
        noun="tasks with a tool error",
    ),
    _kind(
        "run.loops",
        "Runs in circles",
        _R,
        "V",
        "Tasks whose tool calls went in circles: equal calls, short cycles, one error after another.",
        noun="tasks with tool calls",
    ),
    _kind(
        "policy.bypass",
        "Calls past the permissions",
        _R,
        "V",
        "Tool calls that reached a system without a permission.",
        noun="calls",
    ),
    _kind(
        "regions_observed",
        "Calls outside the regions",
        _R,
        "S:residency",
        "Calls to a region that the charter does not allow.",
        noun="calls",
    ),
    _kind("truncation", "Silent truncation", _R, "V", "Inputs shortened without a word.", noun="inputs"),
    _kind(
        "routing.audit",
        "Wrong answers that no person saw",
        _R,
        "V",
        "Wrong answers among audited automatic ones.",
        noun="audited answers",
    ),
    _kind("inputs.new_cluster", "New kinds of input", _F, "", "Whether traffic is what the baseline saw."),
)

_EVALUATION = (
    _kind("dataset.labelled", "Labelled cases", _N, "L", "Cases with a trusted label, duplicates removed."),
    _kind(
        "dataset.production_share",
        "Cases from production",
        _R,
        "L",
        "Labelled cases that came from production.",
    ),
    _kind("dataset.distance", "Likeness to production", _F, "L", "Whether the cases look like the traffic."),
    _kind("dataset.leak", "Leak test", _F, "L", "Whether a case stands in the prompt or the examples."),
    _kind(
        "dataset.adversarial",
        "Adversarial cases",
        _N,
        "A",
        "Cases made to break it, near-duplicates counted once.",
    ),
    _kind(
        "dataset.glossary",
        "Cases for every domain term",
        _F,
        "A",
        "Whether each tag of the glossary has a case.",
    ),
    _kind(
        "adversarial.family",
        "Adversarial failures",
        _R,
        "V A",
        "Failed cases of one family of attacks.",
    ),
    _kind("release.verdict", "The release gate", _F, "V", "Whether this version passed the release gate."),
    _kind(
        "eval.baseline",
        "Baseline quality",
        _R,
        "V L",
        "Cases that this version got right in the baseline run.",
    ),
    _kind("eval.anchor", "The anchor", _F, "L", "Whether a sealed first baseline exists for this dataset."),
    _kind(
        "load.difference",
        "Quality under load",
        _M,
        "V",
        "Quality at ten times the volume minus quality of the pilot.",
        unit="points",
    ),
    _kind(
        "release.difference",
        "Quality against the anchor",
        _M,
        "V L",
        "Quality of this version minus that of the anchor.",
        unit="points",
    ),
    _kind("release.trajectories", "Golden trajectories", _F, "V", "Whether runs take the steps they should."),
    _kind(
        "judge.card", "The judge's card", _F, "", "Whether the judge's errors were measured and are small."
    ),
    _kind(
        "routing.threshold",
        "The confidence threshold",
        _F,
        "V",
        "Whether the threshold keeps wrong answers under its bound.",
    ),
    _kind("few_shot.examples", "Few-shot examples", _N, "", "Trusted examples without a leak."),
    _kind(
        "few_shot.lift",
        "Lift of the examples",
        _M,
        "V E",
        "Gain in the rate of good answers, with the examples minus without.",
        unit="rate",
    ),
    _kind(
        "inputs.analysed",
        "Analysis of the inputs",
        _F,
        "",
        "Whether rare clusters are named over enough inputs.",
    ),
    _kind("inputs.tail", "Cases for the tail", _F, "L", "Whether each frequent cluster has cases."),
    _kind("probes.context", "Planted sentences", _F, "V", "Whether planted sentences survive long inputs."),
)

_SYSTEMS = (
    _kind("integration.certificate", "The certificate", _F, "C", "Whether it stands alone in production."),
    _kind("tool.faults", "The fault matrix", _F, "C", "Whether the tool survives each kind of fault."),
    _kind("integration.sign_in", "Production sign-in", _F, "C", "Whether the live read-only probe passed."),
    _kind("integration.rate", "The rate limit", _F, "C", "Whether the declared limit covers the peak."),
    _kind("integration.freshness", "Freshness of data", _F, "C", "Whether its data is young enough."),
    _kind("policy.compiled", "The permissions", _F, "S:tools", "Whether policy and examples agree."),
    _kind("policy.unused", "Unused permissions", _F, "S:tools", "Whether unused permissions were reviewed."),
    _kind("control", "The control", _F, "S:residency", "Whether a control of a regulation has evidence."),
    _kind("change.overlap", "The change freeze", _F, "", "Whether agent and integration changed apart."),
    _kind("audit.verified", "The audit log", _F, "", "Whether the log proves that nothing is missing."),
    _kind("canary.trace", "The canary trace", _F, "", "Whether a planted trace can be queried in time."),
    _kind("cost.monitor", "The cost monitor", _F, "", "Whether the monitor has its history and is armed."),
    _kind("alert.delay", "Detection delay", _F, "S:alerts", "Whether the alert fires within its time."),
    _kind("alert.lead", "Lead of the alerts", _F, "", "Whether alerts came before complaints."),
    _kind("drift.looked", "The drift tests", _F, "", "Whether the weekly tests ran and were answered."),
    _kind("replay.reproduced", "Replay of incidents", _F, "", "Whether recent incidents can be replayed."),
    _kind("review.queue", "The review queue", _F, "", "Whether held answers are decided in time."),
    _kind("correction", "The way of a correction", _F, "", "Whether a correction went from flag to case."),
    _kind("gaps.audited", "The audit of failures", _F, "", "Whether knowledge gaps have owners and cases."),
    _kind("source.fresh", "The knowledge source", _F, "", "Whether the source is readable and young."),
    _kind("outcome.seal", "The seal of outcomes", _F, "S:outcomes", "Whether outcomes were sealed first."),
    _kind("outcome.effect", "The outcome", _F, "S:outcomes", "Whether the committed change is proven."),
    _kind("stability.clock", "Stable days", _N, "", "Days in a row that counted.", noun="days"),
)

_PEOPLE = (
    _kind("directory", "The directory entry", _F, "P", "Whether the person is active in the directory."),
    _kind("duty.reached", "The test page of the duty", _F, "S:raci", "Whether each person was reached."),
    _kind("roster", "The roster", _F, "", "Whether minutes and answers suffice, from before the first task."),
    _kind("review.held", "The review", _F, "", "Whether the review took place and left minutes."),
    _kind("budget.spent", "The budget", _F, "S:budgets", "Whether spending is inside the budget."),
    _kind("drill.completion-drop", "The drill completion-drop", _F, "S:alerts", "Whether the alert fired."),
    _kind("drill.cost-burst", "The drill cost-burst", _F, "S:alerts", "Whether the alert fired."),
    _kind("drill.runbook", "The runbook drill", _F, "S:alerts", "Whether its steps could be followed."),
    _kind("drill.owner-powers", "The drill owner-powers", _F, "P", "Whether the owner's powers work."),
    _kind("drill.page", "The page drill", _F, "S:escalation", "Whether every level answered in time."),
    _kind("drill.model-upgrade", "The upgrade rehearsal", _F, "S:model", "Whether a swap went all the way."),
    _kind("drill.fallback", "The fallback drill", _F, "C", "Whether the declared fallback happened."),
    _kind(
        "drill.game-day",
        "The game day",
        _F,
        "S:operations",
        "Whether the receiving team undid planted faults.",
    ),
)

_SIGNATURES = tuple(
    _kind(
        f"attested.{item.lower()}", "The signature", _S, "S P", f"The named person signed the text of {item}."
    )
    for item in (
        "INT-6",
        "EVAL-4",
        "EVAL-5",
        "MON-5",
        "OWN-1",
        "OWN-2",
        "OWN-4",
        "OWN-5",
        "OWN-6",
        "OWN-10",
        "OWN-11",
        "DATA-5",
    )
)

KINDS: dict[str, Kind] = {
    kind.name: kind for kind in (*_TRAFFIC, *_EVALUATION, *_SYSTEMS, *_PEOPLE, *_SIGNATURES)
}
"""The closed list, by name."""

SIGNATURE_KINDS = tuple(kind.name for kind in _SIGNATURES)
"""What people sign."""


def kind_named(name: str) -> Kind:
    """Return a kind by its name.

    Args:
        name: What a record says.

    Raises:
        MalformedRecord: Nothing is called that.

    Example:
        >>> kind_named("completion").unit
        'rate'
    """
    kind = KINDS.get(name)
    if kind is None:
        near = nearest_name(name, KINDS)
        hint = f" Did you mean {near!r}?" if near else ""
        raise MalformedRecord(
            f"no kind of evidence {name!r}.{hint}",
            remedy="Write one of the kinds in docs/reference/requirements.md.",
            subject=name,
        )
    return kind
