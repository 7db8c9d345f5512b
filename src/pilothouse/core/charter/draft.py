# SPDX-License-Identifier: Apache-2.0
"""Draft a charter from a scanned repository (sightings → YAML text).

Every value that was found names its place in a comment; every value that nobody can read from code is
an open question. The framework's own figures stand where the framework has one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from pilothouse.core.charter.draft_name import agent_of
from pilothouse.core.charter.facts import CharterFacts
from pilothouse.core.charter.models_known import MODEL_ALIASES
from pilothouse.core.charter.quantities import ID
from pilothouse.core.charter.rules.model import is_exact_model
from pilothouse.core.charter.sighting import RepositoryReport, Sighting, SightingKind

__all__ = ["Draft", "draft_text"]

TOOLS_MAX = 40
"""Tools written out: an agent with more is no narrow one, and the rest is counted in a comment."""

INTEGRATIONS_MAX = 30
"""Integrations written out, for the same reason."""

TASK_TYPES_MAX = 3
"""Task types of a narrow agent, as the charter bounds them."""

PLACES_SHOWN_MAX = 3
"""Places named behind one value."""

VERBS: dict[str, str] = {
    "classif": "classify",
    "extract": "extract",
    "triage": "route",
    "rout": "route",
    "match": "match",
    "reconcil": "match",
    "enrich": "enrich",
    "draft": "draft",
    "summar": "summarise",
    "translat": "translate",
    "review": "review",
    "schedul": "schedule",
    "refund": "decide",
    "approv": "decide",
}
"""Word in names → verb of the function. A guess, and the draft says so."""

PROVIDER_OF_MODEL = (
    (re.compile(r"^(?:gpt|chatgpt|o[134]|text-embedding)"), "openai"),
    (re.compile(r"^claude"), "anthropic"),
    (re.compile(r"^(?:gemini|gemma)"), "google"),
    (re.compile(r"^(?:open-)?(?:mi[sx]tral|codestral)"), "mistral"),
    (re.compile(r"^command"), "cohere"),
    (re.compile(r"^deepseek"), "deepseek"),
    (re.compile(r"^grok"), "xai"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A draft and what it rests on.

    Attributes:
        agent: Id of the agent.
        text: The YAML.
        report: What was seen.
    """

    agent: str
    text: str
    report: RepositoryReport


def draft_text(report: RepositoryReport, *, inside: Callable[[str], str | None]) -> str:
    """Write the draft.

    Args:
        report: What was seen.
        inside: Path of a repository file as the charter must write it, or None when the charter's
            folder does not contain it.

    Returns:
        YAML that has open questions and no error.
    """
    parts = [
        _head(report, inside),
        PEOPLE,
        WORK.replace("$TYPES", _types(report)),
        *_integrations(report),
        *_tools(report),
        _model(report),
    ]
    parts += [_prompts(report, inside), JUDGED, OPERATED, VALUED]
    return "\n".join(parts)


def _head(report: RepositoryReport, inside: Callable[[str], str | None]) -> str:
    agent, origin = agent_of(report)
    verb, reason = _verb(report)
    schemas = [(inside(s.file), s) for s in report.of_kind(SightingKind.SCHEMA_FILE)]
    schema = next(
        ((path, s.place) for path, s in schemas if path), ("schemas/answer.json", "not found: write it")
    )
    frameworks = (
        ", ".join(dict.fromkeys(s.value for s in report.of_kind(SightingKind.FRAMEWORK))) or "none recognised"
    )
    secrets = report.of_kind(SightingKind.SECRET)
    lines = [
        f"# Draft of a charter, read from {report.files_read} files. Framework: {frameworks}.",
        '# "?" is an open question: answer it, or leave it open and `pilothouse check` says who is asked.',
    ]
    lines += [f"# {s.value} at {s.place}: rotate it, and keep it out of the code." for s in secrets]
    function = f"{{verb: {verb}, object: task, output_schema: {_quoted(schema[0])}}}"
    lines += [
        "apiVersion: pilothouse/v1",
        f"agent: {agent}" + (f"  # {origin}" if origin else ""),
        'currency: "?"                    # for example USD',
        'title: "?"',
        'purpose: "?"                     # one sentence',
        f"function: {function}",
        f"#   verb {reason}; object: say what it is; schema: {schema[1]}",
        'business_unit: "?"               # the unit whose work this is',
        'change_plan: "?"                 # a file: what changes for the people in this work',
    ]
    return "\n".join(lines) + "\n"


def _verb(report: RepositoryReport) -> tuple[str, str]:
    names = [report.name, *(s.value for s in report.of_kind(SightingKind.TOOL))]
    for name in names:
        for part, verb in VERBS.items():
            if part in name.lower():
                return verb, f"guessed from the name {name!r}: correct it"
    return "answer", "unknown: write what the agent does"


def _task_types(report: RepositoryReport) -> dict[str, str]:
    """Return the task types that the code gives its spans, with their places; `main` where it gives none that a charter may list."""
    seen: dict[str, str] = {}
    for sighting in report.of_kind(SightingKind.TASK_TYPE):
        if re.fullmatch(ID, sighting.value):
            seen.setdefault(sighting.value, sighting.place)
    return seen if 0 < len(seen) <= TASK_TYPES_MAX else {"main": ""}


def _types(report: RepositoryReport) -> str:
    found = _task_types(report)
    share = "1.0" if len(found) == 1 else QUESTION
    lines = [
        f"  {_key(name)}: {{share: {share}}}" + (f"  # as its spans say: {place}" if place else "")
        for name, place in found.items()
    ]
    said = {one.value: one.place for one in report.of_kind(SightingKind.TASK_TYPE) if one.value not in found}
    lines += [
        f"  # the code says {_quoted(name)} too: {place}"
        for name, place in list(said.items())[:PLACES_SHOWN_MAX]
    ]
    return "\n".join(lines)


def _key(name: str) -> str:
    """Return a task type as YAML reads it: `no` and `1.0` would be no texts."""
    return name if re.fullmatch(r"[a-z]\w+_\w+|main", name) else _quoted(name)


def _integrations(report: RepositoryReport) -> list[str]:
    hosts: dict[str, list[Sighting]] = {}
    for sighting in (*report.of_kind(SightingKind.HOST), *report.of_kind(SightingKind.MCP_SERVER)):
        hosts.setdefault(sighting.value, []).append(sighting)
    systems = {value: seen for value, seen in hosts.items() if value.rsplit(":", 1)[0] not in MODEL_HOSTS}
    if not systems:
        return ['integrations: "?"                # no address of another system was found in the code\n']
    lines = ["integrations:                    # one entry for each outside system"]
    used: set[str] = set()
    for value, seen in list(systems.items())[:INTEGRATIONS_MAX]:
        name = _unique(_system_name(value), used)
        is_host = seen[0].kind is SightingKind.HOST or ":" in value
        lines.append(f"  {name}:                        # {_places(seen)}")
        lines.append(f"    kind: {'api' if is_host else QUESTION}")
        lines.append(f"    hosts: [{_quoted(value)}]" if is_host else f"    hosts: {QUESTION}")
        lines += [f"    {key}: {QUESTION}" for key in INTEGRATION_KEYS]
    if len(systems) > INTEGRATIONS_MAX:
        lines.append(f"  # {len(systems) - INTEGRATIONS_MAX} more were found and are not written out")
    return ["\n".join(lines) + "\n"]


def _tools(report: RepositoryReport) -> list[str]:
    tools: dict[str, Sighting] = {}
    for sighting in report.of_kind(SightingKind.TOOL):
        known = tools.setdefault(_tool_name(sighting.value), sighting)
        if sighting.names and not known.names:
            tools[_tool_name(sighting.value)] = sighting
    if not tools:
        return ['tools: "?"                       # no tool was found in the code\n']
    types = f"[{', '.join(map(_key, _task_types(report)))}]"
    lines = ["tools:                           # everything that is not said here is denied"]
    for name, sighting in list(tools.items())[:TOOLS_MAX]:
        lines.append(f"  {name}@1:                      # {sighting.place} {sighting.detail}".rstrip())
        lines += [
            '    integration: "?"',
            '    effect: "?"                  # read, internal, external or irreversible',
        ]
        lines += [f"    task_types: {types}", '    contract: "?"', '    manifest_hash: "?"']
        if sighting.names:
            lines.append("    args:")
            lines += [f'      {_quoted(argument)}: {{role: "?", type: "?"}}' for argument in sighting.names]
        lines.append('    examples: "?"')
    if len(tools) > TOOLS_MAX:
        lines.append(f"  # {len(tools) - TOOLS_MAX} more were found and are not written out")
    return ["\n".join(lines) + "\n"]


def _model(report: RepositoryReport) -> str:
    counted = Counter(
        s.value.split(":", 1)[-1].rsplit("/", 1)[-1] for s in report.of_kind(SightingKind.MODEL)
    )
    facts = CharterFacts(today=date.min, model_aliases=MODEL_ALIASES)
    notes, exact = [], []
    for model, _ in counted.most_common():
        if model.startswith("text-embedding"):
            continue
        seen = [s for s in report.of_kind(SightingKind.MODEL) if s.value.endswith(model)]
        if is_exact_model(model, facts):
            exact.append(model)
            notes.append(f"  # {model}: {_places(seen)}")
        else:
            ids = ", ".join(MODEL_ALIASES.get(model, ())) or "ask the provider"
            notes.append(f"  # {model} is an alias, {_places(seen)}; exact ids: {ids}")
    chosen = exact[0] if exact else None
    named = chosen or next((model for model, _ in counted.most_common()), "")
    provider = next((name for form, name in PROVIDER_OF_MODEL if form.match(named)), None)
    pin = (
        f"  pin: {{provider: {provider or QUESTION}, model: {_quoted(chosen) if chosen else QUESTION}, "
        f"region: {QUESTION}, retires_on: {QUESTION}}}"
    )
    return "\n".join(["model:", *(notes or ["  # no model name was found in the code"]), pin, MODEL_REST])


def _prompts(report: RepositoryReport, inside: Callable[[str], str | None]) -> str:
    files = [path for path in (inside(s.file) for s in report.of_kind(SightingKind.PROMPT_FILE)) if path]
    texts = report.of_kind(SightingKind.PROMPT_TEXT)
    lines = [f"# {s.value} ({s.detail}) stands in the code at {s.place}" for s in texts]
    if files:
        lines += ["prompts:", *(f"  - {_quoted(path)}" for path in files)]
    elif texts:
        lines.append(
            "prompts: []                      # they stand in the code, whose revision is part of the version"
        )
    else:
        lines.append('prompts: "?"')
    return "\n".join(lines)


def _system_name(value: str) -> str:
    """Return an id for a host: its distinctive label, without common ones."""
    host = value.rsplit(":", 1)[0]
    words = [word for word in re.split(r"[^a-z0-9]+", host.lower()) if word]
    telling = [word for word in (words[:-1] if len(words) > 1 else words) if word not in HOST_WORDS]
    return "-".join(telling[:2])[:40] or "system"


def _tool_name(name: str) -> str:
    parts = [part for part in re.split(r"[^a-z0-9_-]+", name.lower()) if part]
    return ".".join(parts)[:60] or "tool"


def _unique(name: str, used: set[str]) -> str:
    number, unique = 2, name
    while unique in used:
        unique, number = f"{name}-{number}", number + 1
    used.add(unique)
    return unique


def _places(seen: Sequence[Sighting]) -> str:
    shown = ", ".join(dict.fromkeys(s.place for s in seen[:PLACES_SHOWN_MAX]))
    more = len(seen) - PLACES_SHOWN_MAX
    return f"{shown} and {more} more" if more > 0 else shown


def _quoted(text: str) -> str:
    """Quote a text so that YAML reads it as text, whatever its content."""
    return json.dumps(text, ensure_ascii=False)


QUESTION = '"?"'
HOST_WORDS = frozenset(
    {"api", "www", "app", "rest", "v1", "v2", "v3", "com", "org", "net", "io", "co", "de", "eu"}
)
MODEL_HOSTS = frozenset(
    {
        "api.openai.com", "api.anthropic.com", "generativelanguage.googleapis.com", "api.mistral.ai",
        "api.cohere.com", "api.groq.com", "api.together.xyz", "openrouter.ai", "api.deepseek.com", "api.x.ai",
    }
)  # fmt: skip
"""Model providers stand in the model section."""

INTEGRATION_KEYS = (
    "owner", "auth", "environment", "data", "region", "rate_limit", "freshness", "criticality",
    "failure_modes", "fallback", "fallback_drill",
)  # fmt: skip

PEOPLE = """\
people: "?"                      # dana: {name: D. Ruiz, identity: "oidc:dana@corp.example", unit: finance-operations}
owner: "?"                       # {person: dana, since: 2026-06-01, term_ends: 2032-12-01, reattest: 90d}
sponsor: "?"                     # {person: vp, review: 30d}
operations: "?"                  # {team: [sam, kim], kind: internal, minutes_per_day: 120, on_call: business_hours}
reviewers: "?"                   # {pool: a-directory-group, minutes_per_day: 120, minutes_per_item: 1.5}
raci:                            # A exactly one person, R at least one, C and I a list or `none`
  quality_metrics: "?"           # {A: dana, R: [sam], C: [lee], I: [vp]}
  incident_response: "?"
  model_upgrades: "?"
  prompt_changes: "?"
  integration_maintenance: "?"
  feedback_review: "?"
  benchmarks: "?"
  downstream_process: "?"
  outcome_reporting: "?"
escalation: "?"                  # [{level: 1, to: [sam, kim], via: [chat, mail], acknowledge: 15m}, {level: 2, …}]
severities:
  sev1: {resolve: 4h, pause: true, start_level: 1}
  sev2: {resolve: 2d, pause: false, start_level: 1}
  sev3: {resolve: 10d, pause: false, start_level: 1}
reviews: {quality: 7d, owner: 30d, sponsor: 30d, permissions: 90d, runbooks: 180d}
handoff: "?"                     # {from: ai-lab, to: operations, game_day_by: 2033-01-15}
"""

WORK = """\
target_volume: "?"               # {per_day: 1200, source: "ERP count 2026-05", share_pilot: 0.05}
task_defaults:                   # merged into each task type, key by key
  metric: "?"                    # name of a scorer
  quality: {min: "?", max_drop: 5, baseline: anchor}
  completion: {min: "?"}
  escalation: {max: "?"}
  override: {max: "?"}
  discrepancy: {max: "?", unverifiable_max: "?"}
  cost_of_error: "?"
  cost_of_review: "?"
  cost_per_task: {max: "?", includes: [model, tools, review]}
  latency: {p95_s: 2.0}
  routing: {mode: hold, wrong_auto_per_100: "?", risk: 0.1, audit_share: 0.02, hold_deadline: "?"}
  sampling: {rate: "?", min_per_window: "?", window: 7d}
  claim: "?"                     # what the agent says it did
  verifier: "?"                  # {use: "verifiers.erp:matches", after: 10m, retry_for: 24h, credential: erp-read}
  critical: "?"                  # mistakes that must never happen
task_types:                      # closed list, at most 3, one output schema; shares add up to 1
$TYPES
unknown_task_type: {max: 0.02, on: refuse}
"""

MODEL_REST = """\
  fallback: "?"                  # [] for none
  require_evidence: true         # a fallback that never passed the gate is skipped
  judges: "?"                    # [{name: rubric, pin: {provider: other, model: other-judge-2026-03-03}, card_max_age: 90d}]
  upgrade: {retirement_notice: 60d, gate: release, approve: "?"}
"""

JUDGED = """\
guardrails: {schema: "?", on_invalid: hold, repair: 1}
context: {policy: refuse, probes: "?"}
datasets:
  labelled: {path: "?", min: 200, per_type_min: 60, production_share_min: 0.5}
  adversarial: {path: "?", min: 50, families: "?"}    # {permission: 0.0, injection: 0.0, malformed: 0.10}
  trajectories: {path: "?", min: 20}
few_shot: {path: "?", min: 50, max: 200, lift_min: 0.0}
glossary: "?"                    # a file: domain terms, formats, labels
sources: "?"                     # [] for none; knowledge that lives outside systems
"""

OPERATED = """\
release: {alpha: 0.05, max_cases: 400, max_drop: 5, verdict_max_age: 14d}
alerts:
  - {id: quality-drop, on: quality, task_types: all, detector: drop, severity: sev1, runbook: "?", detect_within: "?"}
  - {id: completion, on: completion, task_types: all, detector: drop, severity: sev2, runbook: "?", detect_within: "?"}
  - {id: discrepancy, on: discrepancy, task_types: all, detector: ceiling, severity: sev1, runbook: "?"}
  - {id: cost, on: cost_per_task, task_types: all, detector: anomaly, severity: sev2, runbook: "?"}
  - {id: escalation, on: escalation, task_types: all, detector: ceiling, severity: sev3, runbook: "?"}
  - {id: model, on: served_model, detector: mismatch, severity: sev1, runbook: "?"}
runbooks: {}
phases:
  pilot: {environment: pilot, users: "?", integrations: "?"}
  "1": {users: "?", integrations: "?", share: 0.10, min: 4w, max: 6w, exit: {uptime: 0.995, p95_s: per_type, critical_errors: 0}}
  "2": {users: "?", integrations: "?", share: 0.50, min: 6w, max: 8w, exit: {volume_times: 10, not_worse_than: pilot}}
  "3": {users: "?", integrations: all, share: 1.0, min: 8w, max: 12w, exit: {outcomes: proven}}
stability:
  days: 90
  min_volume_share: 0.5
  reset_on: [breach, rollback, sev1, unplanned_model_change, scope_change, threshold_loosened]
  max_pause: 14d
"""

VALUED = """\
outcomes: "?"                    # cycle time, errors, quality, revenue or cost; sealed before the first counted task
residency: "?"                   # {regions: [eu], inference_logged_in: [eu]}
regulations: "?"                 # [] for none, or for example [gdpr]
retention: {payload: 30d, spans: 90d, tasks: 730d, audit: 7y}
budgets: "?"                     # pilot and production apart: {amount: 60000, approved_by: vp, approved_on: 2026-05-20}
business_case: "?"
framework: {shares: {INT: 63, EVAL: 58, MON: 54, OWN: 49, DATA: 41}, extend: []}
"""
