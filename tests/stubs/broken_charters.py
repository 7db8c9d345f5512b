# SPDX-License-Identifier: Apache-2.0
"""One small slip of the pen in the example charter for each rule, and what must be said about it."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "golden" / "charters"
EXAMPLE = FOLDER / "ap-invoice-triage.yaml"


def edited(*edits, text=None):
    """Return the example charter with texts replaced once each; each text must stand in it."""
    text = EXAMPLE.read_text(encoding="utf-8") if text is None else text
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


@dataclass(frozen=True)
class Broken:
    """A slip: the rule it breaks, the edits, a part of the line it is found on, parts of what is said."""

    rule: str
    edits: tuple
    at: str
    says: tuple = ()
    name: str = ""

    @property
    def id(self):
        return f"{self.rule}-{self.name}" if self.name else self.rule

    @property
    def text(self):
        return edited(*self.edits)


ERP_AUTH = "auth: mtls, "
CHECKED_AS_PROCESS = 24
"""How many of them are also given to the command as a process."""

BROKEN = (
    Broken(
        "yaml",
        (("owner:   {person: dana,", "owner:   {person: dana,,"),),
        "owner:",
        ("not readable",),
        "flow",
    ),
    Broken(
        "unknown-key",
        (("owner:   {person", "ownr:   {person"),),
        "ownr:",
        ("unknown key ownr", "Did you mean owner?"),
    ),
    Broken(
        "bad-type",
        (("quality: {min: 0.95,", "quality: {min: high,"),),
        "min: high",
        ("'high' is no number", "0.95"),
    ),
    Broken("bad-unit", (("reattest: 90d", "reattest: 90"),), "reattest: 90", ("90 is no duration", "15m")),
    Broken(
        "missing-key",
        (("release: {alpha: 0.05, ", "release: {"),),
        "release:",
        ("release.alpha is required",),
    ),
    Broken(
        "no-owner",
        (("owner:   {person: dana, since: 2026-06-01, term_ends: 2032-12-01, reattest: 90d}\n", ""),),
        "apiVersion",
        ("`owner` is missing",),
    ),
    Broken(
        "raci-two-accountable",
        (("{A: dana, R: [sam], C: [lee],  I: [vp]}", "{A: [dana, sam], R: [sam], C: [lee],  I: [vp]}"),),
        "quality_metrics",
        ("quality_metrics has 2 accountable: dana, sam", "Keep one A"),
    ),
    Broken(
        "vanity-metric",
        (("name: cycle_time_days", "name: weekly_active_users"),),
        "weekly_active_users",
        ("counts use",),
    ),
    Broken(
        "floating-model",
        (("acme-large-2026-04-12", "gpt-4o"),),
        "gpt-4o",
        ("gpt-4o is an alias", "gpt-4o-2024-11-20"),
    ),
    Broken(
        "impossible-threshold",
        (("completion: {min: 0.95}", "completion: {min: 1.0}"),),
        "completion: {min: 1.0}",
        ("task_defaults.completion.min: 1 is not above 0 and below 1",),
    ),
    Broken(
        "escalation-cycle",
        (("to: [vp],       via", "to: [vp, sam],       via"),),
        "level: 3",
        ("sam stands at levels 1 and 3",),
    ),
    Broken(
        "owner-not-person",
        (("person: dana, since", "person: [dana, sam], since"),),
        "owner:",
        ("[dana, sam] is a team, alias or list",),
        "list",
    ),
    Broken(
        "owner-not-person",
        (("owner:   {person: dana", "owner:   {person: ap-reviewers"),),
        "owner:",
        ("ap-reviewers is a team",),
        "group",
    ),
    Broken(
        "sponsor-is-owner",
        (
            ("sponsor: {person: vp,", "sponsor: {person: dana,"),
            ("to: [dana],     via", "to: [lee],     via"),
            ("to: [vp],       via", "to: [dana],       via"),
        ),
        "sponsor",
        ("same person, dana",),
    ),
    Broken(
        "person-twice",
        (("oidc:kim@corp.example", "oidc:Dana@corp.example"),),
        "kim:",
        ("kim and dana sign in by one identity",),
    ),
    Broken(
        "person-alias",
        (("oidc:kim@corp.example", "saml:dana+agents@corp.example"),),
        "kim:",
        ("kim and dana sign in by addresses of one mailbox, dana@corp.example",),
    ),
    Broken(
        "person-unknown",
        (("team: [sam, kim]", "team: [sam, kin]"),),
        "team:",
        ("kin is not under", "Did you mean kim?"),
    ),
    Broken(
        "raci-no-accountable",
        (("incident_response:       {A: sam,  ", "incident_response:       {"),),
        "incident_response",
        ("A is empty",),
    ),
    Broken(
        "raci-blank",
        (("R: [kim], C: [dana], I: [vp]", "R: [], C: [dana], I: [vp]"),),
        "incident_response",
        ("R is empty",),
    ),
    Broken(
        "raci-missing-duty",
        (("  benchmarks:              {A: sam,  R: [kim], C: [dana], I: none}\n", ""),),
        "raci:",
        ("duty benchmarks is missing", "Add the row `benchmarks:"),
    ),
    Broken(
        "raci-no-power",
        (
            (
                "unit: ai-operations, substitute: kim}",
                "unit: ai-operations, substitute: kim, role: reviewer}",
            ),
            ("integration_maintenance: {A: sam,", "integration_maintenance: {A: kim,"),
            ("benchmarks:              {A: sam,", "benchmarks:              {A: kim,"),
        ),
        "incident_response",
        ("sam is A for incident_response", "permission to pause"),
    ),
    Broken(
        "escalation-dead-end",
        (("to: [vp],       via", "to: [lee],       via"),),
        "level: 3",
        ("last level", "dana (owner) or vp (sponsor)"),
    ),
    Broken(
        "escalation-order",
        (("{level: 3, to", "{level: 5, to"),),
        "level: 5",
        ("level 5 stands where level 3 must",),
    ),
    Broken(
        "sla-order",
        (("sev1: {resolve: 4h", "sev1: {resolve: 2h"),),
        "level: 3",
        ("level 3 acknowledges later than sev1 resolves (165m ≥ 2h)",),
    ),
    Broken(
        "two-functions",
        (
            (
                "credit_note:    {share: 0.05,",
                "credit_note:    {share: 0.05, output_schema: schemas/credit.json,",
            ),
        ),
        "task_types:",
        ("2 output schemas", "split the agent"),
    ),
    Broken("vague-function", (("verb: route", "verb: assist"),), "verb: assist", ("'assist' is open-ended",)),
    Broken("shares-sum", (("{share: 0.80}", "{share: 0.70}"),), "task_types:", ("add up to 0.9",)),
    Broken(
        "no-threshold",
        (("    completion: {min: 0.95}\n", ""),),
        "po_invoice",
        (
            "task types 'po_invoice', 'non_po_invoice', 'credit_note' have no completion",
            "Add `completion` under task_defaults",
        ),
        "all",
    ),
    Broken(
        "verifier-writes",
        (("credential: erp-read", "credential: erp-admin"),),
        "erp-admin",
        ("erp-admin may write",),
    ),
    Broken(
        "no-baseline",
        (("baseline: {value: 3.2, window: 2026-02..2026-04, n: 21400}", "baseline: {value: 3.2, n: 21400}"),),
        "cycle_time_days",
        ("no baseline window",),
    ),
    Broken("no-baseline", (("n: 21400", "n: 0"),), "cycle_time_days", ("no baseline n",), "zero"),
    Broken(
        "holdout-incomplete",
        (("{kind: holdout, share: 0.10, unit: supplier}", "{kind: holdout, share: 0.10}"),),
        "kind: holdout",
        ("has no unit",),
    ),
    Broken(
        "judge-floating",
        (("other-judge-2026-03-03", "other-judge-latest"),),
        "other-judge-latest",
        ("rubric-v3 has no exact pin",),
    ),
    Broken(
        "retired",
        (("retires_on: 2032-06-30", "retires_on: 2026-11-01"),),
        "retires_on",
        ("was retired on 2026-11-01",),
    ),
    Broken(
        "retired-published",
        (("model: acme-medium-2026-02-01", "model: gpt-4-0613"),),
        "gpt-4-0613",
        ("model.fallback[0].model: gpt-4-0613 was retired on 2026-10-23, says https://platform.openai.com",),
    ),
    Broken(
        "fallback-region",
        (("acme-medium-2026-02-01, region: eu", "acme-medium-2026-02-01, region: us"),),
        "acme-medium",
        ("lies in us, allowed: eu",),
    ),
    Broken(
        "region-outside",
        (("region: eu, rate_limit: {per_s: 10}", "region: us, rate_limit: {per_s: 10}"),),
        "per_s: 10",
        ("integrations.erp.region: us is outside",),
    ),
    Broken(
        "unknown-name",
        (("integrations: [erp, mail], share: 0.50", "integrations: [erp, mial], share: 0.50"),),
        '"2":',
        ("there is no integration mial", "Did you mean mail?"),
    ),
    Broken("phase-missing", (("share: 0.10, min: 4w,", "min: 4w,"),), '"1":', ("phase 1 lacks share",)),
    Broken(
        "phase-order",
        (("share: 1.0, min: 8w", "share: 0.4, min: 8w"),),
        '"3":',
        ("phase 3 has a smaller share than phase 2",),
        "share",
    ),
    Broken(
        "phase-order",
        (("integrations: all, share: 1.0", "integrations: [erp], share: 1.0"),),
        '"3":',
        ("fewer integrations",),
        "integrations",
    ),
    Broken(
        "phase-order",
        (
            ("integrations: [erp, mail], share: 0.50", "integrations: [mail], share: 0.50"),
            ("integrations: all, share: 1.0", "integrations: [erp, mail], share: 1.0"),
        ),
        '"2":',
        ("phase 2 has other integrations than phase 1",),
        "other-integrations",
    ),
    Broken(
        "phase1-many",
        (("integrations: [erp], share: 0.10", "integrations: [erp, mail], share: 0.10"),),
        '"1":',
        ("phase 1 has 2 integrations: erp, mail",),
    ),
    Broken(
        "phase-length",
        (("min: 4w, max: 6w", "min: 6w, max: 4w"),),
        '"1":',
        ("minimum longer than its maximum",),
    ),
    Broken(
        "exit-unasked",
        (("exit: {volume_times: 10,", "exit: {uptime: 0.999, volume_times: 10,"),),
        '"2":',
        ("phases.2.exit.uptime", "phases.1.exit"),
    ),
    Broken(
        "exit-critical",
        (("critical_errors: 0", "critical_errors: 3"),),
        '"1":',
        ("critical_errors is 3", "Write 0"),
    ),
    Broken(
        "local-rules",
        (("extend: []", "extend: [rules/local.yaml]"),),
        "framework:",
        ("nothing reads the rules in rules/local.yaml", "extend: []"),
    ),
    Broken(
        "stability-short",
        (("stability: {days: 90", "stability: {days: 30"),),
        "days: 30",
        ("30 is less than 90",),
    ),
    Broken(
        "alert-unpromised",
        (("runbook: runbooks/quality.md, detect_within: 28d", "runbook: runbooks/quality.md"),),
        "id: quality-drop",
        ("alert quality-drop says no `detect_within`",),
    ),
    Broken(
        "alert-missing",
        (
            (
                "  - {id: cost,         on: cost_per_task, task_types: all, detector: anomaly, false_alarms_per_year: 2, severity: sev2, runbook: runbooks/cost.md}\n",
                "",
            ),
        ),
        "alerts:",
        ("no alert on cost_per_task for po_invoice, non_po_invoice, credit_note",),
    ),
    Broken(
        "runbook-missing",
        (("runbooks/truth.md", "runbooks/lies.md"),),
        "lying",
        ("file runbooks/lies.md does not exist",),
    ),
    Broken(
        "file-missing",
        (("prompts/route.md", "prompts/rout.md"),),
        "prompts:",
        ("prompts[1]: file prompts/rout.md",),
    ),
    Broken(
        "budget-one",
        (
            (
                "  production: {amount: 240000, approved_by: vp, approved_on: 2026-05-20, lines: {integration: 90000, evaluation: 35000, monitoring: 25000, staff: 70000, model: 20000}}\n",
                "",
            ),
        ),
        "budgets:",
        ("no separate production budget",),
    ),
    Broken(
        "contract-moved",
        (("manifest_hash: sha256:8e19e8a2", "manifest_hash: sha256:00000000"),),
        "sha256:00000000",
        (
            "contracts/erp.find_po.json is sha256:8e19e8a2",
            "pinned is sha256:00000000",
            "`manifest_hash: sha256:8e19",
        ),
    ),
    Broken(
        "contract-unfit",
        (("erp.find_po@2:", "erp.find_po@3:"),),
        "contract: contracts/erp.find_po.json",
        ("cannot be the contract of erp.find_po@3: its contract is that of erp.find_po@2",),
    ),
    Broken("policy-wildcard", (("erp.find_po@2:", "erp.*@2:"),), "erp.*@2", ("wildcard",)),
    Broken("policy-tool-name", (("erp.find_po@2:", "erp.find_po:"),), "erp.find_po:", ("is no tool name",)),
    Broken(
        "policy-missing-role",
        (("supplier: {role: neutral, type: text", "supplier: {type: text"),),
        "supplier: {type",
        ("argument supplier of erp.find_po@2 has no role",),
    ),
    Broken(
        "policy-missing-role",
        (
            (
                "      queue: {role: target, type: enum, values: [po-match, approval, credit, exceptions], origins: [owner]}\n",
                "",
            ),
            *(
                ((f"queue: {{value: {v}, origin: {o}}}, ", ""))
                for v, o in (
                    ("approval", "owner"),
                    ("po-match", "owner"),
                    ("credit", "owner"),
                    ("credit", "owner"),
                    ("approval", "owner"),
                    ("write-off", "field"),
                    ("credit", "owner"),
                    ("credit", "owner"),
                )
            ),
            ("        - {rule: queue, given: {args: {invoice_id: {value: INV-7, origin: handle}}}}\n", ""),
            ("        - {rule: queue, given: {args: {invoice_id: {value: INV-7, origin: handle}}}}\n", ""),
        ),
        "    args:",
        ("argument queue of erp.route@1",),
        "contract",
    ),
    Broken(
        "policy-unknown-type",
        (("invoice_id: {role: target, type: id", "invoice_id: {role: target, type: blob"),),
        "type: blob",
        ("blob is no argument type",),
    ),
    Broken(
        "policy-unknown-type",
        (
            (
                "    args: {supplier: {role: neutral, type: text, max: 80}}\n",
                (
                    "    args: {supplier: {role: neutral, type: text, max: 80}}\n"
                    "    results: {number: {origin: handle}, state: {type: id, origin: owner}, total: {type: sum, origin: field}}\n"
                ),
            ),
        ),
        "total: {type: sum",
        ("sum is no argument type",),
        "result",
    ),
    Broken(
        "policy-enum-values",
        (("type: enum, values: [po-match, approval, credit, exceptions], origins", "type: enum, origins"),),
        "queue: {role",
        ("is an enum without values",),
    ),
    Broken(
        "policy-pii-role",
        (
            (
                "supplier: {role: neutral, type: text, max: 80}",
                "supplier: {role: neutral, type: text, max: 80, pii: none}",
            ),
        ),
        "supplier:",
        ("may hold no personal data",),
    ),
    Broken(
        "policy-pii-shown",
        (
            (
                "    args: {supplier: {role: neutral, type: text, max: 80}}\n",
                (
                    "    args: {supplier: {role: neutral, type: text, max: 80}}\n"
                    "    results: {number: {origin: handle}, contact: {pii: contact}, total: {pii: none}}\n"
                ),
            ),
        ),
        "contact: {pii",
        ("field contact", "(contact), and the model is shown it"),
    ),
    Broken(
        "policy-unbounded",
        (
            (
                "supplier: {role: neutral, type: text, max: 80}",
                "supplier: {role: neutral, type: text, max: 80}, amount: {role: magnitude, type: amount(EUR)}",
            ),
            (
                "      allow:\n",
                "      allow:\n        - {rule: amount, given: {args: {amount: {value: 5, origin: request}}}}\n",
            ),
            (
                "      deny:\n",
                "      deny:\n        - {rule: amount, given: {args: {amount: {value: 5, origin: model}}}}\n",
            ),
        ),
        "supplier:",
        ("magnitude amount",),
    ),
    Broken(
        "policy-no-budget",
        (
            ("    budget: {per_task: 1, per_day: 2000}\n", ""),
            (
                "        - {rule: budget, given: {used: 0, args: {queue: {value: credit, origin: owner}, invoice_id: {value: INV-8, origin: handle}}}}\n",
                "",
            ),
            (
                "        - {rule: budget, given: {used: 1, args: {queue: {value: credit, origin: owner}, invoice_id: {value: INV-8, origin: handle}}}}\n",
                "",
            ),
        ),
        "erp.route@1",
        ("effect external and no budget", "budget: {per_task"),
    ),
    Broken("policy-no-approver", (("    approvers: [lee]\n", ""),), "erp.route@1", ("nobody is asked",)),
    Broken(
        "policy-missing-example",
        (
            (
                "        - {rule: invoice_id, given: {args: {queue: {value: credit, origin: owner}, invoice_id: {value: INV-9, origin: field}}}}\n",
                "",
            ),
        ),
        "deny:",
        ("rule invoice_id of erp.route@1 has no deny example",),
    ),
    Broken(
        "policy-unknown-rule",
        (
            ("{rule: budget, given: {used: 1", "{rule: budgets, given: {used: 1"),
            (
                "      deny:\n        - {rule: entitled, given: {task_type: unknown,",
                "      deny:\n        - {rule: budget, given: {used: 2, args: {invoice_id: {value: INV-8, origin: handle}}}}\n        - {rule: entitled, given: {task_type: unknown,",
            ),
        ),
        "rule: budgets",
        ("budgets, which is no rule",),
    ),
    Broken(
        "policy-failing-example",
        (
            (
                "{rule: queue, given: {args: {queue: {value: po-match, origin: owner}",
                "{rule: queue, given: {args: {queue: {value: po-match, origin: model}",
            ),
        ),
        "origin: model",
        ("is decided ask because of queue",),
    ),
    Broken(
        "secret-in-charter",
        (("auth: mtls", "auth: sk-ant-0123456789abcdef0123"),),
        "sk-ant",
        ("integrations.erp.auth looks like a secret (model provider key)",),
    ),
    Broken("too-new", (("pilothouse/v1", "pilothouse/v2"),), "apiVersion", ("pilothouse/v2 is not known",)),
    # warnings
    Broken("old", (("pilothouse/v1", "pilothouse/v0"),), "apiVersion", ("is read as pilothouse/v1",)),
    Broken(
        "owner-term-short",
        (("term_ends: 2032-12-01", "term_ends: 2027-02-01"),),
        "owner:",
        ("ends 2027-02-01, under 6 months",),
    ),
    Broken(
        "owner-in-it",
        (("business_unit: finance-operations", "business_unit: procurement"),),
        "owner:",
        ("finance-operations differs from business unit procurement",),
    ),
    Broken(
        "no-substitute",
        (("to: [sam, kim], via", "to: [kim], via"),),
        "level: 1",
        ("kim is alone at level 1",),
    ),
    Broken(
        "many-task-types",
        (
            (
                "  po_invoice:     {share: 0.80}",
                "  po_invoice:     {share: 0.60}\n  reminder: {share: 0.20, sampling: {rate: 0.2}}",
            ),
        ),
        "task_types:",
        ("4 task types",),
    ),
    Broken(
        "unreachable-threshold",
        (("quality: {min: 0.95,", "quality: {min: 0.99, "),),
        "min: 0.99",
        ("even 60 right of 60 labelled cannot prove it", "191 cases in `datasets.labelled.per_type_min`"),
    ),
    Broken(
        "drop-wider-than-default",
        (("min: 0.95, max_drop: 5,", "min: 0.95, max_drop: 6,"),),
        "max_drop: 6",
        ("6 is more than 5 points",),
    ),
    Broken(
        "blind-alert",
        (("cost_of_error: 900, sampling: {rate: 1.0}", "cost_of_error: 900"),),
        "quality-drop",
        (
            "a drop of 5 points in credit_note is seen after 215 days, 28d asked",
            "raise `sampling.rate` of credit_note; or promise",
        ),
    ),
    Broken(
        "threshold-unstaffed",
        (("minutes_per_day: 240,", "minutes_per_day: 60,"),),
        "routing",
        ("routing of po_invoice needs 1.9 of all 2.3 review hours a day, the roster has 1.0",),
    ),
    *(
        Broken(
            "not-acted-on",
            (("{max: 0.02, on: refuse}", f"{{max: 0.02, on: {promised}}}"),),
            "unknown_task_type:",
            (f"unknown_task_type.on: nothing acts on {promised}", "Write `refuse`"),
            promised,
        )
        for promised in ("hold", "escalate")
    ),
    Broken(
        "no-verifier",
        (
            (
                '    verifier: {use: "verifiers.erp:routing_matches", after: 10m, retry_for: 24h, credential: erp-read}\n',
                "",
            ),
            (
                "  po_invoice:     {share: 0.80}",
                '  po_invoice:     {share: 0.80, unverifiable_because: "no record"}',
            ),
            ("sampling: {rate: 0.5}}", 'sampling: {rate: 0.5}, unverifiable_because: "no record"}'),
        ),
        "credit_note:",
        ("credit_note has no verifier",),
    ),
    Broken(
        "no-control",
        (('{kind: before_after, because: "fees exist only for the whole ledger"}', "{kind: before_after}"),),
        "before_after",
        ("late_payment_fees is before/after only",),
    ),
    Broken(
        "judge-same-model",
        (("other-judge-2026-03-03", "acme-large-2026-04-12"),),
        "judges",
        ("is the agent's own model",),
    ),
    Broken(
        "retires-soon",
        (("retires_on: 2032-06-30", "retires_on: 2026-12-31"),),
        "retires_on",
        ("retires in 41 days",),
    ),
    Broken(
        "notice-short",
        (("retirement_notice: 60d", "retirement_notice: 30d"),),
        "retirement_notice",
        ("30d is shorter than 60 days",),
    ),
    Broken(
        "context-edits-none",
        (("{policy: refuse, probes", "{policy: shorten_visibly, probes"),),
        "context:",
        ("no edit is switched on", "keep_last: 10"),
    ),
    Broken(
        "context-edits-refused",
        (
            (
                "{policy: refuse, probes: datasets/planted}",
                "{policy: refuse, probes: datasets/planted, edits: {keep_last: 5}}",
            ),
            ("  judges:", "  limits: {window_tokens: 8000}\n  judges:"),
        ),
        "context:",
        ("`policy: refuse`, which never shortens",),
    ),
    Broken(
        "context-edits-blind",
        (
            (
                "{policy: refuse, probes: datasets/planted}",
                "{policy: shorten_visibly, probes: datasets/planted, edits: {keep_last: 5}}",
            ),
        ),
        "context:",
        ("nobody has published the window of acme-large-2026-04-12",),
    ),
    Broken(
        "fallback-twice",
        (("model: acme-medium-2026-02-01", "model: acme-large-2026-04-12"),),
        "fallback: [{provider",
        ("model.fallback[0].model: acme-large-2026-04-12 at acme stands in the chain already",),
    ),
    Broken(
        "fingerprints-none",
        (("retires_on: 2032-06-30}", "retires_on: 2032-06-30, fingerprint: refuse}"),),
        "fingerprint: refuse",
        ("model.pin.fingerprint is refuse", "`fingerprints` names no backend"),
    ),
    Broken(
        "deployment-empty",
        (("retires_on: 2032-06-30}", "retires_on: 2032-06-30, deployment: {}}"),),
        "deployment:",
        ("neither weights nor engine",),
    ),
    Broken(
        "alert-limit-late",
        (("  judges:", "  limits: {usd_per_day: 40, alert: {usd_per_day: 40, usd_per_run: 1}}\n  judges:"),),
        "limits:",
        ("model.limits.alert.usd_per_day 40 is not below the limit 40",),
    ),
    Broken(
        "integration-manual",
        (("archive: {kind: middleware", "archive: {kind: manual"),),
        "archive:",
        ("archive is `manual`: blocks INT-6",),
    ),
    Broken(
        "phase-two-joins",
        (("integrations: [erp, mail], share: 0.50", "integrations: [erp], share: 0.50"),),
        '"3":',
        ("adds 2 integrations at once: mail, archive",),
    ),
    Broken(
        "looser-than-default",
        ((', because: "batch intake; users wait for nothing (signed 2026-05-28)"', ""),),
        "latency",
        ("task_defaults.latency.p95_s 8 is looser than 2",),
    ),
    Broken(
        "budget-late",
        (("approved_on: 2026-05-20, lines", "approved_on: 2026-07-01, lines"),),
        "production:",
        ("approved on 2026-07-01",),
    ),
    # questions
    Broken(
        "open-question",
        (("cost_of_review: 6", 'cost_of_review: "?"'),),
        "cost_of_review",
        ("task_defaults.cost_of_review is open; asked of dana (A of quality_metrics)",),
    ),
    Broken("integration-incomplete", ((ERP_AUTH, ""),), "erp:", ("integration erp lacks auth",)),
    Broken(
        "schema-missing",
        (("output_schema: schemas/routing.json", "output_schema: schemas/missing.json"),),
        "function:",
        ("schemas/missing.json does not exist",),
    ),
    # further forms of the same rules
    Broken(
        "yaml",
        (("  lee:   {name", "  lee:   &x {name"),),
        "&x",
        ("anchor &x; aliases are refused",),
        "anchor",
    ),
    Broken("yaml", (("currency: USD", "currency: !!str USD"),), "!!str", ("tags are refused",), "tag"),
    Broken(
        "yaml",
        (("currency: USD", "currency: USD\ncurrency: EUR"),),
        "EUR",
        ("key currency stands twice, first on line 3",),
        "twice",
    ),
    Broken(
        "yaml",
        (("currency: USD", "currency: USD\n---\na: b"),),
        "---",
        ("a second document begins here",),
        "documents",
    ),
    Broken("yaml", (("raci:\n", "\traci:\n"),), "raci", ("not readable",), "tab"),
    Broken(
        "bad-type",
        (("business_unit: finance-operations", "business_unit:"),),
        "business_unit",
        ("nothing is no value",),
        "empty",
    ),
    Broken(
        "bad-type",
        (("agent: ap-invoice-triage", "agent: AP Invoices"),),
        "agent:",
        ("'AP Invoices' is no agent id",),
        "agent",
    ),
    Broken(
        "bad-type",
        (("agent: ap-invoice-triage", 'agent: "?"'),),
        "agent:",
        ("'?' is no agent id",),
        "open-agent",
    ),
    Broken("bad-type", (("verb: route", 'verb: "?"'),), "function:", ("may not stay open",), "open-verb"),
    Broken(
        "bad-type",
        (("via: [phone],", "via: [pigeon],"),),
        "level: 3",
        ("'pigeon' is no value of: chat, mail",),
        "word",
    ),
    Broken(
        "bad-type",
        (("value: [0.10, 0.14]", "value: [0.14, 0.10]"),),
        "hours_per_task_today",
        ("range with its low end first",),
        "range",
    ),
    Broken(
        "bad-type",
        (("value: [0.10, 0.14]", "value: [0.14]"),),
        "hours_per_task_today",
        ("a list of 1 is no pair",),
        "pair",
    ),
    Broken(
        "bad-type",
        (("since: 2026-06-01", "since: June"),),
        "owner:",
        ("'June' is no date", "2026-06-01"),
        "date",
    ),
    Broken(
        "bad-type",
        (
            ("task_types:\n  po_invoice:     {share: 0.80}", "task_types:\n  PO Invoice:     {share: 0.80}"),
            ("[po_invoice, credit_note]", "[credit_note]"),
            ("[po_invoice, non_po_invoice, credit_note]", "[non_po_invoice, credit_note]"),
            ("task_type: po_invoice", "task_type: credit_note"),
        ),
        "PO Invoice",
        ("'PO Invoice' is no id of",),
        "key",
    ),
    Broken(
        "bad-unit",
        (("share: 0.10, min: 4w", "share: 10, min: 4w"),),
        '"1":',
        ("10 is no rate from 0 to 1",),
        "percent",
    ),
    Broken(
        "bad-unit",
        (("cost_of_error: 400", "cost_of_error: -400"),),
        "cost_of_error: -400",
        ("-400 is no amount of money",),
        "money",
    ),
    Broken(
        "missing-key",
        (("residency: {regions: [eu], inference_logged_in: [eu]}\n", ""),),
        "apiVersion",
        ("residency is required",),
        "section",
    ),
    Broken(
        "unknown-key",
        (("  labelled:    {path", "  labeled:    {path"),),
        "labeled",
        ("unknown key labeled under datasets", "Did you mean labelled?"),
        "nested",
    ),
    Broken(
        "unknown-key",
        (("currency: USD", "currency: USD\nwizardry: yes"),),
        "wizardry",
        ("unknown key wizardry under the charter", "Known here: apiVersion"),
        "foreign",
    ),
    Broken(
        "unknown-key",
        (("    claim: routed\n", "    claim: routed\n    colour: red\n"),),
        "colour",
        ("unknown key colour under",),
        "defaults",
    ),
    Broken(
        "no-threshold",
        (("quality: {min: 0.95, max_drop: 5,", "quality: {max_drop: 5,"),),
        "quality: {max_drop",
        ("'po_invoice' has no quality.min", "task_types.po_invoice"),
        "nested",
    ),
    Broken(
        "impossible-threshold",
        (("latency: {p95_s: 8.0", "latency: {p95_s: -8.0"),),
        "latency",
        ("-8 is not above 0",),
        "amount",
    ),
    Broken(
        "impossible-threshold",
        (("discrepancy: {max: 0.02,", "discrepancy: {max: 2,"),),
        "discrepancy",
        ("2 is not above 0 and below 1",),
        "percent",
    ),
    Broken(
        "floating-model",
        (("acme-medium-2026-02-01", "acme-medium"),),
        "acme-medium",
        ("model.fallback[0].model: acme-medium is an alias",),
        "fallback",
    ),
    Broken(
        "alert-missing",
        (("on: quality, task_types: all", "on: quality, task_types: [po_invoice, credit_note]"),),
        "alerts:",
        ("no alert on quality for non_po_invoice",),
        "one",
    ),
    Broken(
        "vanity-metric",
        (("unit: USD/month", "unit: sessions/month"),),
        "late_payment_fees",
        ("late_payment_fees counts use",),
        "unit",
    ),
)
